/* outbox: frames waiting to be sent, in order, packed into pieces of whole frames.
 * It does not know where they go.
 *
 * Each frame is encoded once, straight into the piece that env_send() will be given: small ones share a piece
 * of at most OUTBOX_PIECE_BYTES, a larger one has its own. */
#ifndef QUORATE_CLUSTER_OUTBOX_H
#define QUORATE_CLUSTER_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"

enum { OUTBOX_PIECE_BYTES = 64 * 1024 };

struct outbox {
    struct list pieces;
    size_t bytes, max; /* waiting, headers too */
};

/* MAX is in bytes. */
void outbox_init(struct outbox *o, size_t max);
/* Drops what waits; the outbox may be used again. */
void outbox_clear(struct outbox *o);
/* False, and nothing is changed, if it would pass the maximum or memory is short. */
bool outbox_put(struct outbox *o, uint8_t type, uint8_t flags, const void *body, size_t n);
/* The first piece (returned, free with free()); NULL if nothing waits. */
uint8_t *outbox_take(struct outbox *o, size_t *ret_len);

#endif
