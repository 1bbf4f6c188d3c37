/* ship_scene: a cluster whose databases are on its machines' disks, small logs, and clients that write: so
 * that whoever was away needs an image. For the tests of cluster/. */
#ifndef QUORATE_TESTS_SHIP_SCENE_H
#define QUORATE_TESTS_SHIP_SCENE_H

#include "tests/unit/cluster/asker.h"

enum { SHIP_LINES = 2000, SHIP_ROWS = 500 };

struct ship_scene {
    struct sim *sim;
    struct group group;
    struct asker a;
    uint64_t keep_bytes, rate; /* set before the start; else the scene's own */
    unsigned rows;             /* likewise */
    bool verify;               /* images are read as a whole before they are served */
    bool write_always;         /* keep a write under way whenever the scene runs */
    struct asker writer;
    uint64_t writes, write_at_us;
    struct {
        uint64_t node;
        char text[512];
    } lines[SHIP_LINES]; /* what nodes said that has to do with images */
    unsigned count;
};

struct ship_scene *ship_scene_new(uint64_t seed);
void ship_scene_free(struct ship_scene *s);
/* COUNT nodes with a table of ROWS rows, of about 500 bytes each; settled. */
void ship_start(struct ship_scene *s, unsigned count);
/* Adds, or rewrites, ROWS rows from FROM on, a hundred in a command. */
void ship_write(struct ship_scene *s, unsigned from, unsigned rows, unsigned salt);
/* Writes until LEADER has compacted its log past what node BEHIND has. */
void ship_write_past(struct ship_scene *s, uint64_t applied);
/* Runs while writes go on, at most 60 s of virtual time, until EXPRESSION. */
#define SHIP_UNTIL(s_, expression)                                                                           \
    do {                                                                                                     \
        uint64_t deadline_ = sim_now_us((s_)->sim) + 60 * (uint64_t)SECOND;                                  \
        while (!(expression) && sim_now_us((s_)->sim) < deadline_ && sim_step((s_)->sim)) {                  \
            ship_keep_writing(s_);                                                                           \
        }                                                                                                    \
        assert_true(expression);                                                                             \
    } while (0)
void ship_keep_writing(struct ship_scene *s);
/* Settled, and all that live have the same content. */
void ship_settled(struct ship_scene *s);
/* A follower, off, and the others have let go of what it lacks. */
struct group_node *ship_send_away(struct ship_scene *s);
/* Boots it and waits for its image. */
void ship_come_back(struct ship_scene *s, struct group_node *away);
/* All that NODE has is in the database file, its last page too. */
void ship_checkpointed(struct ship_scene *s, struct group_node *node);
/* An orderly end; what its WAL held is in the file, and the WAL is gone. */
void ship_stop(struct ship_scene *s, struct group_node *node);
/* Flips a bit of a row in the last page of NODE's database. The other: a letter of it, with a right checksum,
 * while NODE is off. */
void ship_flip_last_page(struct group_node *node);
void ship_change_last_page(struct group_node *node);
/* A scan of NODE finds what its digest names, and nothing else. */
void ship_scanned(struct ship_scene *s, struct group_node *node);
/* How many lines of NODE (0: any) begin with EVENT; the newest is returned in RET_LINE if that is not NULL.
 */
unsigned ship_said(const struct ship_scene *s, uint64_t node, const char *event, const char **ret_line);
/* The number behind KEY= in a line. */
uint64_t ship_number(const char *line, const char *key);
/* Flips a bit of the first file whose path begins with PREFIX; or of all. */
void ship_flip(struct group_node *node, const char *prefix, uint64_t offset);
void ship_flip_all(struct group_node *node, const char *prefix, uint64_t offset);
/* How many files there are whose path begins with PREFIX. */
unsigned ship_files(struct group_node *node, const char *prefix);

#endif
