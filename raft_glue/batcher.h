/* batcher: makes everything that waits into one log entry, and brings each command its result.
 * It does not know where commands come from nor what they mean.
 *
 * A batch holds at most BATCH_COMMANDS_MAX commands and BATCH_BYTES_MAX bytes, or one larger command. A few
 * batches are on their way at once; while they are, commands gather for the next (group commit). The queue in
 * front is bounded.
 *
 * A command's end is known exactly when an entry is applied at its index: of the same term, it is that
 * command's result; of another term, the command was never done. When leadership is lost and no entry decides
 * it within a grace time, its outcome is unknown.
 *
 * Threads: loop only. */
#ifndef QUORATE_RAFT_GLUE_BATCHER_H
#define QUORATE_RAFT_GLUE_BATCHER_H

#include "raft_glue/consensus.h"
#include "storage/batch.h"

struct batcher;
struct batcher_flight;

struct batcher_answer {
    struct error error;    /* Q_OK: RESULT holds the result. Q_NOT_LEADER: nothing was done. Q_UNKNOWN */
    const uint8_t *result; /* borrowed until done returns */
    size_t len;
    uint64_t index;
};

struct batcher_command {
    const uint8_t *bytes; /* kept until DONE */
    size_t len;
    void (*done)(struct batcher_command *, const struct batcher_answer *); /* never inside batcher_push() */
    /* Private. */
    struct list link;              /* while it waits in the queue */
    struct batcher_flight *flight; /* while it is on its way */
    uint32_t position;             /* in its batch */
    uint64_t since_us;
};

struct batcher_config {
    struct env *env;
    struct consensus *consensus;
    unsigned inflight_max; /* batches that are not yet committed */
    unsigned backlog_max;  /* entries that are not yet applied here: beyond it commands wait */
    uint64_t queue_bytes, queue_commands;
    uint64_t grace_ms; /* after losing leadership, until outcomes are called unknown */
    /* Optional: whether commands are to be refused now, and with which error: 0 or its code. */
    int (*refuses)(void *ctx, struct error *e);
    void *ctx;
};

int batcher_new(const struct batcher_config *config, struct batcher **ret_batcher, struct error *e);
/* Pending commands get no callback. NULL is fine. */
void batcher_free(struct batcher *b);

/* Errors (nothing was taken): Q_NOT_LEADER; Q_BUSY the queue is full; Q_TOO_BIG the command fits into no
 * entry; those of refuses(), which also end what waits already. */
int batcher_push(struct batcher *b, struct batcher_command *command, struct error *e);
/* Forgets a pending command whose owner has answered already: its DONE will not be called and its memory is
 * free. One that waited is not done; one on its way may be. Returns whether it was still waiting. */
bool batcher_forget(struct batcher *b, struct batcher_command *command);

/* After a change of leadership, commit or applied index: submits what may go, fails what cannot succeed.
 * POSITION is what the database holds: its digest goes into the next header. */
struct batcher_position {
    uint64_t applied, time_ms, digest_index;
    uint8_t digest[DIGEST_BYTES];
};
void batcher_poll(struct batcher *b, const struct batcher_position *position);
/* Entry INDEX of TERM was applied; RESULTS holds one blob a command, in order (empty for other kinds of
 * entries). */
void batcher_applied(struct batcher *b, uint64_t index, uint64_t term, struct cursor results);
/* What this node answers is not to be trusted any more: queued commands fail with Q_NOT_LEADER, those on
 * their way with Q_UNKNOWN. */
void batcher_abandon(struct batcher *b);
/* Fails everything: queued commands with Q_CLOSED, those on their way with Q_UNKNOWN. */
void batcher_stop(struct batcher *b);

void batcher_metrics(struct batcher *b, struct metrics *metrics);

#endif
