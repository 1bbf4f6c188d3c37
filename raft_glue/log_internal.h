/* log_internal: what log.c (a log in use) and log_open.c (how it comes up) share. */
#ifndef QUORATE_RAFT_GLUE_LOG_INTERNAL_H
#define QUORATE_RAFT_GLUE_LOG_INTERNAL_H

#include "raft_glue/log.h"
#include "raft_glue/log_mark.h"
#include "raft_glue/log_writer.h"

#define LOG_MAGIC 0x6c6f6720u

struct log {
    OBJECT_MAGIC;
    struct env *env;
    char dir[SEGMENT_DIR_MAX];
    uint64_t cluster, cache_bytes;
    void (*durable_call)(void *ctx, uint64_t index);
    void (*failed_call)(void *ctx, const struct error *why);
    void *ctx;

    struct log_table table;
    struct segment_pool pool;
    struct log_writer writer;
    struct log_mark mark;
    struct env_timer *mark_timer;
    bool mark_due; /* the timer runs */

    uint64_t reported; /* highest index that the owner was told is durable */
    bool failed;       /* the owner was told */
    bool closing;      /* log_close() waits for what is under way */
    bool damaged;      /* see log.h */
    bool frozen;       /* damaged, or only to be read: no file is changed */
    uint8_t *cold;     /* the last record that was read back */
    size_t cold_bytes;
    uint64_t cold_reads;
};

/* An empty log without files. Errors: Q_INVALID, Q_TOO_BIG, Q_NOMEM. */
int log_new(const struct log_config *config, struct log **ret_log, struct error *e);
/* Nothing is under way, or the env is gone. */
void log_free(struct log *l);
/* Blocking: all segments become old, the log begins anew in a new one. */
int log_begin(struct log *l, uint64_t next, uint64_t before_term, struct error *e);
/* Gives back the segments that hold nothing from first on. */
void log_retire(struct log *l);
void log_mark_saved(void *ctx, const struct error *failed);

#endif
