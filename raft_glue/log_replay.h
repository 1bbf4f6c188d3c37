/* log_replay: reads the segments of a log back into the table, and tells a torn tail from damage. It does not
 * change any file. The rules are told in log_format.h. */
#ifndef QUORATE_RAFT_GLUE_LOG_REPLAY_H
#define QUORATE_RAFT_GLUE_LOG_REPLAY_H

#include "raft_glue/log_table.h"

/* Where a next group begins that is not whole: where the log ends, or at the start of the segment after. */
struct log_torn {
    struct segment *segment;
    uint64_t offset;
};

struct log_replay {
    /* Given. */
    struct env *env;
    const char *dir;
    struct list *segments; /* from the one in which the log starts, without a hole */
    const struct format_mark *mark;
    struct log_table *table; /* restarted where the log starts */
    uint64_t cache_bytes;
    /* Found. */
    struct segment *end;   /* the segment where the log ends */
    struct format_mark at; /* the last group, or where the log starts */
    uint64_t torn_bytes;   /* of groups behind the end of which the header is whole */
    struct log_torn torn[2];
    unsigned n_torn;
};

/* Blocking. Fills the table, last_number and last_index of the segments, and what is found. Errors: Q_CORRUPT
 * a durable group is damaged or missing; Q_IO, Q_NOMEM. */
int log_replay(struct log_replay *r, struct error *e);

#endif
