/* server: one driver over a disk in memory, for tests. What it sends and is told is kept to be looked at;
 * what it writes is durable only when the test says so. Anything unexpected aborts, so that servers also work
 * in a forked child. */
#ifndef QUORATE_TEST_SERVER_H
#define QUORATE_TEST_SERVER_H

#include "raft_glue/driver.h"
#include "raft_glue/message.h"
#include "tests/unit/raft_glue/memlog.h"

enum { ELECTION_MS = 1000, HEARTBEAT_MS = 100 };

/* A message on its way, as bytes. */
struct letter {
    struct letter *next;
    uint64_t from, to;
    enum raft_message_type type;
    size_t len;
    uint8_t bytes[];
};

struct server {
    struct driver *driver;
    struct driver_config config; /* what the next server_start() starts with */
    char name[16];
    uint64_t now_ms;

    /* Memory and disk. Entries below WRITTEN are the same in both. */
    struct memlog log, disk;
    uint64_t written;
    uint64_t term, vote;
    struct raft_snapshot_metadata snapshot; /* on disk; index 0: none */
    uint64_t database; /* the next start finds it at this index, or where the log begins */

    /* What was sent, oldest first */
    struct letter *sent, **sent_end;

    /* What was told */
    uint64_t applicable;
    int state;
    uint64_t told_term, leader;
    unsigned roles, configurations, flushes, fetches, installs, saves;
    uint64_t configuration_index; /* of the last one told */
    uint64_t fetch_from, fetch_index, fetch_term;
    struct raft_snapshot_metadata install; /* asked for; index 0: nothing */
    uint64_t damaged;                      /* this entry cannot be read */
    bool full;                             /* no entry can be appended */
};

/* A server with an empty disk. Guards: GUARD_ALL. */
void server_init(struct server *s, uint64_t id);
/* Writes term 1 and, as entry 1, a configuration of VOTERS servers with the ids from 1 on that vote. */
void server_bootstrap(struct server *s, unsigned voters);
/* Starts the driver on what is on disk. */
void server_start(struct server *s);
/* What the database holds at a start. */
uint64_t server_database(const struct server *s);
/* As server_start(), and returns the code. */
int server_try_start(struct server *s, struct error *e);
/* Forgets all that is not on disk. */
void server_stop(struct server *s);
void server_close(struct server *s);

/* Events, at the server's own time */
void server_hear(struct server *s, struct raft_message *message);
void server_hear_letter(struct server *s, const struct letter *letter);
/* Moves the time to the deadline. */
void server_timeout(struct server *s);
void server_write(struct server *s, uint64_t index); /* up to INDEX is durable now */
void server_write_all(struct server *s);
void server_submit(struct server *s, const char *text);
/* Compacts at INDEX and trims the log. */
void server_compact(struct server *s, uint64_t index, uint64_t trailing);
/* What fetch_snapshot() asked for is staged: an image at INDEX of TERM, with the voters 1 to 3. Returns the
 * driver's code. */
int server_stage(struct server *s, uint64_t index, uint64_t term);
/* Does what install_snapshot() asked for. */
void server_install(struct server *s);
/* As the first server of VOTERS: times out and gets every vote of 2 .. VOTERS, so that it leads. */
void server_win(struct server *s, unsigned voters);

/* What was sent */
unsigned server_sent(const struct server *s, enum raft_message_type type, uint64_t to);
/* The newest one, decoded; it stays valid until the next call of this function. Aborts if there is none. */
const struct raft_message *server_last_sent(struct server *s, enum raft_message_type type, uint64_t to);
void server_forget_sent(struct server *s);
/* The oldest one, taken out; NULL when there is none. Free with free(). */
struct letter *server_take_sent(struct server *s);

/* Messages to hear. Entries are added one by one and borrowed from the text. */
struct script {
    struct raft_message message;
    struct raft_entry entries[8];
};
void script_append(struct script *script, uint64_t from, uint64_t term, uint64_t prev, uint64_t prev_term,
                   uint64_t commit);
void script_entry(struct script *script, uint64_t term, enum raft_entry_type type, const void *p, size_t len);
void script_command(struct script *script, uint64_t term, const char *text);
/* A configuration entry of the voters 1 .. VOTERS and the standbys after them. Aborts over one per script. */
void script_configuration(struct script *script, uint64_t term, unsigned voters, unsigned standbys);
void script_close(struct script *script);
struct raft_message append_result(uint64_t from, uint64_t term, uint64_t rejected, uint64_t last);
struct raft_message vote_request(uint64_t from, uint64_t term, uint64_t last, uint64_t last_term,
                                 bool pre_vote, bool disrupt);
struct raft_message vote_result(uint64_t from, uint64_t term, bool granted, bool pre_vote);
/* Its configuration is made anew for each: voters 1 to 3. */
struct raft_message install_request(uint64_t from, uint64_t term, uint64_t index, uint64_t index_term);
/* The voters 1 .. VOTERS and the standbys after them. Close with raft_configuration_close(). */
struct raft_configuration members(unsigned voters, unsigned standbys);

#endif
