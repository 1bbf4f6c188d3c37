#include "raft_glue/log_verify.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "raft_glue/log_swap.h"
#include "raft_glue/meta.h"

enum { VERIFY_SEGMENT_BYTES = 1 << 20, VERIFY_PATH_MAX = 4096 }; /* the first: any that log_open() takes */

/* The log of which log_swap_recover() would make the log. */
static int name_of(struct env *env, const char *dir, const char **ret_name, struct error *e)
{
    bool swapping;
    int rc = log_swap_under_way(env, dir, &swapping, e);
    *ret_name = rc == 0 && swapping ? LOG_SWAP_MENDED : NULL;
    return rc;
}

static int verify(struct env *env, const char *dir, const struct log_verifier *verifier,
                  struct log_report *ret_report, struct error *e)
{
    struct meta_state *state = malloc(sizeof *state);
    struct log_config config = {
        .env = env,
        .dir = dir,
        .segment_bytes = VERIFY_SEGMENT_BYTES,
        .damage = verifier->damage,
        .ctx = verifier->ctx,
        .read_only = true,
    };
    struct log_hole hole = {0};
    struct log *l;
    int rc = state != NULL ? meta_read(env, dir, state, e)
                           : error_set(e, Q_NOMEM, "out of memory to verify a log");
    if (rc == 0) {
        config.cluster = get_le64(state->cluster_id);
        config.first_index = state->log_first;
        config.before_term = state->log_before_term;
        rc = name_of(env, dir, &config.name, e);
    }
    free(state);
    if (rc != 0 || (rc = log_open(&config, &l, ret_report, e)) != 0) {
        return rc;
    }
    for (uint64_t i = 0; log_hole(l, i, &hole); i = hole.last + 1) {
        verifier->hole(verifier->ctx, &hole);
    }
    log_close(l);
    return 0;
}

int log_verify(struct env *env, const char *dir, const struct log_verifier *verifier,
               struct log_report *ret_report, struct error *e)
{
    char path[VERIFY_PATH_MAX];
    struct env_file *lock;
    if ((size_t)snprintf(path, sizeof path, "%s/meta", dir) >= sizeof path) {
        return error_set(e, Q_TOO_BIG, "the directory's name is longer than %zu bytes", sizeof path - 6);
    }
    /* The lock's file would be made where there is none: only in a node's directory. */
    int rc = env_open(env, path, 0, &lock, e);
    if (rc != 0) {
        return rc;
    }
    env_close(env, lock);
    snprintf(path, sizeof path, "%.*s/lock", (int)sizeof path - 6, dir);
    rc = env_lock(env, path, &lock, e);
    if (rc == 0) {
        rc = verify(env, dir, verifier, ret_report, e);
        env_close(env, lock);
    }
    return rc;
}
