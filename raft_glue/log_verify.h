/* log_verify: reads the log of a node that is off, changes nothing, and says what is damaged where. It does
 * not know who asks. */
#ifndef QUORATE_RAFT_GLUE_LOG_VERIFY_H
#define QUORATE_RAFT_GLUE_LOG_VERIFY_H

#include "raft_glue/log.h"

struct log_verifier {
    void (*damage)(void *ctx, const struct error *what);  /* each damaged place */
    void (*hole)(void *ctx, const struct log_hole *hole); /* the entries that are lost, after all places */
    void *ctx;
};

/* Blocking. DIR is the node's directory. Errors: as log_open(), of which Q_CORRUPT is damage that nothing can
 * be said of; Q_NOT_FOUND there is no node's metadata; Q_CONFLICT a process uses the directory. */
int log_verify(struct env *env, const char *dir, const struct log_verifier *verifier,
               struct log_report *ret_report, struct error *e);

#endif
