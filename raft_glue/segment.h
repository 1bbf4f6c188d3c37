/* segment: one file of the log, from zero-filled spare to segment and back. It does not know what its groups
 * hold, nor which segments the log needs. The formats are told in log_format.h.
 *
 * A file changes its role by a rename that is durable before anyone relies on it:
 *
 *     segment_zero()          segment_from_spare()               segment_to_spare()
 *     ------------> spare-<n> -------------------> segment-<seq> -----------------> spare-<n>
 *
 * Threads: all calls are blocking and may come from any lane; a segment belongs to one lane at a time. */
#ifndef QUORATE_RAFT_GLUE_SEGMENT_H
#define QUORATE_RAFT_GLUE_SEGMENT_H

#include "base/list.h"
#include "raft_glue/log_format.h"

enum {
    SEGMENT_BYTES_MIN = 2 * ENV_BLOCK,
    SEGMENT_BYTES_MAX = 1 << 30,
    SEGMENT_DIR_MAX = 3900, /* bytes of the log directory's path */
    SEGMENT_PATH_MAX = 4096,
};

struct segment {
    struct format_segment head;
    struct env_file *file; /* ENV_WRITE|ENV_DURABLE|ENV_DIRECT */
    bool damaged; /* of the header only sequence, cluster and bytes are known, and the last is the file's size
                   */
    /* Kept by whoever fills it: */
    uint64_t last_number; /* of its last group; what the mark must have reached before it may go */
    uint64_t last_index;  /* highest index that it holds, dropped entries included; 0: none */
    unsigned writes;      /* in flight */
    struct list link;
};

/* P has SEGMENT_PATH_MAX bytes, DIR at most SEGMENT_DIR_MAX. */
void segment_path(const char *dir, uint64_t sequence, char *p);
void segment_spare_path(const char *dir, uint64_t number, char *p);
/* Whether NAME is that of a segment or a spare, and which. */
bool segment_name_parse(const char *name, uint64_t *ret_sequence);
bool segment_spare_name_parse(const char *name, uint64_t *ret_number);

/* BYTES of memory, aligned as ENV_DIRECT wants it; free(). NULL when there is none. */
void *segment_memory(size_t bytes);

/* Makes a spare of BYTES really written zeros, synced; its name is not synced yet. On failure no file is
 * left. Errors: Q_IO, Q_NO_SPACE, Q_NOMEM. */
int segment_zero(struct env *env, const char *dir, uint64_t number, uint64_t bytes, struct error *e);
/* Gives a spare the header HEAD and the name of its segment, durably, and opens it. */
int segment_from_spare(struct env *env, const char *dir, uint64_t number, const struct format_segment *head,
                       struct segment **ret_segment, struct error *e);
/* Opens a segment and verifies its header. One with a damaged header, or of another size than it says, is
 * opened as `damaged`. Errors: Q_MISMATCH another cluster's, or unknown version; Q_IO, Q_NOMEM. */
int segment_open(struct env *env, const char *dir, uint64_t sequence, uint64_t cluster, bool read_only,
                 struct segment **ret_segment, struct error *e);
/* Takes its name away, durably. The open file stays the segment's. */
int segment_to_spare(struct env *env, const char *dir, const struct segment *s, uint64_t number,
                     struct error *e);
/* Closes the file; no write is in flight. NULL is fine. */
void segment_free(struct env *env, struct segment *s);

#endif
