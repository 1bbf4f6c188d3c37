/* repair: entries of the log that one member has lost, asked from the others and given to them. It does not
 * know how a log is made whole of them (raft_glue/log_mend.h, which also says what may be believed).
 *
 * Frame bodies, little-endian.
 *     Question:  u64 session, u64 number, u64 from, u64 to, u64 term of TO (0: unknown)
 *     Answer:    u64 session, u64 number, u8 verdict (enum repair_verdict),
 *                u64 first index of the giver's log, u64 term of its entry FROM - 1 (0: unknown),
 *                u32 n, then n times: u64 term, u8 type, blob payload.
 *                Only ENTRIES and COMMITTED have n > 0: the entries from FROM on, at most to TO.
 *                COMPACTED goes on with what stands for them (consensus_compaction()): u64 index, u64 term,
 *                u64 configuration index, blob configuration.
 * The session is drawn by the asking process and numbers grow, so a late or doubled answer finds nobody.
 *
 * One question is under way at a time. A member that does not have the entries, or does not answer in time,
 * is followed by the next one. When nobody has them all are asked again every REPAIR_AGAIN_MS, in turn for
 * the whole hole and for its beginning alone: members that are damaged themselves may have no run as long as
 * that.
 *
 * A member that runs gives what its log has, or what is committed. One that recovers itself gives only runs
 * that are good and end in the wanted term; of what is committed it knows nothing any more.
 *
 * Threads: loop only. */
#ifndef QUORATE_CLUSTER_REPAIR_H
#define QUORATE_CLUSTER_REPAIR_H

#include "cluster/members.h"
#include "raft_glue/consensus.h"

struct repair;

enum {
    REPAIR_AGAIN_MS = 1000,
    REPAIR_ANSWER_MS = 1000,           /* for an answer; then the next member is asked */
    REPAIR_ANSWER_BYTES = 1024 * 1024, /* of payload, beyond which no further entry goes into an answer */
    REPAIR_ANSWER_ENTRIES = 1024,
};

enum repair_verdict {
    REPAIR_ENTRIES = 1,   /* of a log that has, or had, the entry TO in the wanted term */
    REPAIR_COMMITTED = 2, /* committed entries */
    REPAIR_NOT_HERE = 3,
    REPAIR_COMPACTED = 4, /* FROM is below the first index of the log */
};

struct repair_config {
    struct env *env;
    struct consensus *consensus;
    uint64_t id;
    const struct members *members;      /* kept */
    uint8_t question_type, answer_type; /* of frames */
    bool (*send)(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n);
    /* All members that are reached were asked twice, and nobody has what is lost. Said again after each
     * round. */
    void (*stuck)(void *ctx, const struct log_want *want);
    /* The same, but a member has compacted its log, and IMAGE stands for what is wanted. Borrowed. */
    void (*compacted)(void *ctx, const struct log_want *want, const struct consensus_image *image);
    void *ctx;
};

int repair_new(const struct repair_config *config, struct repair **ret_repair, struct error *e);
void repair_free(struct repair *r); /* NULL is fine */

/* Asks if something is wanted and nobody is being asked. Call when consensus_wanted() may have changed, and
 * about every 50 ms. */
void repair_poll(struct repair *r);
/* A member is reached: if nobody is being asked, it is. */
void repair_up(struct repair *r);
/* A frame of one of the two types came. A body that does not decode, or that contradicts what is wanted, is
 * dropped: Q_CORRUPT and others of log_mend_give(). */
int repair_received(struct repair *r, uint64_t from, uint8_t type, const uint8_t *body, size_t n,
                    struct error *e);
void repair_metrics(struct repair *r, struct metrics *metrics);

#endif
