/* log_replay: reads the segments of a log back into the table, tells a torn tail from damage, and goes on
 * behind damage. It does not change any file. The rules are told in log_format.h.
 *
 * After Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST'18: what was durable
 * and cannot be read is a hole of known extent, never the end of the log. */
#ifndef QUORATE_RAFT_GLUE_LOG_REPLAY_H
#define QUORATE_RAFT_GLUE_LOG_REPLAY_H

#include "raft_glue/log_image.h"
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
    struct list *segments; /* from the one in which the log starts; some may be missing */
    const struct format_mark *mark;
    struct log_table *table; /* empty, where the snapshot ends */
    uint64_t cache_bytes;
    uint64_t known_index, known_term;                    /* as in struct log_config */
    void (*damage)(void *ctx, const struct error *what); /* each place: file, offset, what is wrong */
    void *ctx;
    /* Found. */
    struct segment *end;   /* the segment where the log ends */
    struct format_mark at; /* the last group, or where the log starts */
    uint64_t torn_bytes;   /* of groups behind the end of which the header is whole */
    struct log_torn torn[2];
    unsigned n_torn;
    bool damaged; /* something durable could not be read */
    /* Within. */
    struct log_image image;
    uint64_t durable;          /* groups up to this number are known to have been durable */
    struct format_group claim; /* that says so, if it is not the mark */
};

/* Blocking. Fills the table, last_number and last_index of the segments, and what is found. Errors: Q_IO,
 * Q_NOMEM.
 */
int log_replay(struct log_replay *r, struct error *e);

/* For log_resync.c. */

/* Tells of damage. */
void log_replay_damaged(struct log_replay *r, const struct segment *s, uint64_t offset, const char *what);
/* Whether the next group is known to have been durable. */
bool log_replay_goes_on(const struct log_replay *r);
/* The segment after S; NULL if there is none. */
struct segment *log_replay_after(const struct log_replay *r, const struct segment *s);
/* The group at FOUND follows a group that is lost: the table gets a hole, unless what was lost makes no
 * difference. */
int log_replay_join(struct log_replay *r, uint64_t index, uint64_t term, struct error *e);

#endif
