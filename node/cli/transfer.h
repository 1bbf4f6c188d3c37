/* transfer: a file that goes to a node, or comes from one, by HTTP, of any size, with its progress shown. It
 * does not know what is in it. */
#ifndef QUORATE_NODE_CLI_TRANSFER_H
#define QUORATE_NODE_CLI_TRANSFER_H

#include <stdint.h>
#include <stdio.h>

#include "base/buf.h"
#include "node/cli/endpoints.h"

struct transfer_config {
    const struct endpoints *endpoints; /* the first to which there is a connection is asked */
    const char *target;                /* path and query */
    uint64_t connect_ms;               /* to each of them */
    FILE *progress;                    /* a terminal; NULL: nothing is shown */
};

/* GET: the body goes to TO; RET_BYTES. Errors: Q_NO_LEADER nobody is there, or has a leader; Q_NOT_FOUND,
 * Q_INVALID, Q_IO: what the node refused; Q_CORRUPT the body ended early; Q_NO_SPACE, Q_IO: TO. */
int transfer_get(const struct transfer_config *config, FILE *to, uint64_t *ret_bytes, struct error *e);
/* POST: FROM, which has BYTES; RET_ANSWER gets the body of the answer, which is 200. Q_UNKNOWN: the
 * connection broke when all was sent. Others as above. */
int transfer_post(const struct transfer_config *config, FILE *from, uint64_t bytes, struct buf *ret_answer,
                  struct error *e);

#endif
