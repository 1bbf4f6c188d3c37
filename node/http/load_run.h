/* load_run: sends an SQLite file through the log, as what is to replace the content of the database
 * (storage/load.h): the file is looked at, then its stream is cut into pieces, a few of which are on their
 * way at once, and the last command makes them the content. It does not know HTTP.
 *
 *     CHECK -> BEGIN -> PIECES -> FINISH -> done
 *                  `------`---------`-> ABORT -> done, failed
 *
 * Any node does it, not only the leader. What fails for a while (no leader, a full queue, an unknown outcome)
 * is sent again until there was no progress for so long; every command may come twice. */
#ifndef QUORATE_NODE_HTTP_LOAD_RUN_H
#define QUORATE_NODE_HTTP_LOAD_RUN_H

#include "cluster/replica.h"

struct load_run;

enum {
    LOAD_RUN_WINDOW = 4, /* pieces on their way */
    LOAD_RUN_AGAIN_MS = 100,
    LOAD_RUN_FINISH_MS = 10 * 60 * 1000, /* the last command does all the work */
    LOAD_RUN_SAY_MS = 5000,
};

struct load_run_config {
    struct env *env;
    struct replica *replica;
    const char *path;     /* of the file; kept */
    uint64_t patience_ms; /* without progress */
    /* The operator's log: load_started, load_progress, load_done, load_failed. NULL: nobody hears. */
    void (*log)(void *ctx, const char *line);
    void *log_ctx;
    /* Once, on the loop, never inside load_run_new(). FAILED NULL: the content is that of the file.
     * Q_INVALID, Q_SQL, Q_TOO_BIG: the file cannot be that, and everything is as it was; Q_UNKNOWN: it may
     * still become it; all others: everything is as it was. */
    void (*done)(void *ctx, const struct error *failed);
    void *ctx;
};

/* Q_NOMEM. */
int load_run_new(const struct load_run_config *config, struct load_run **ret_run, struct error *e);
/* In DONE, or after it. */
void load_run_free(struct load_run *r);
/* The replica has stopped: nothing is sent any more; DONE comes with Q_CLOSED, here or when the lane gives
 * back what it has. */
void load_run_stop(struct load_run *r);

#endif
