#include "cluster/outbox.h"

#include <assert.h>
#include <stdlib.h>

#include "base/plant.h"
#include "cluster/frame.h"

struct piece {
    struct list link;
    uint8_t *bytes;
    size_t len, cap;
};

void outbox_init(struct outbox *o, size_t max)
{
    *o = (struct outbox){.max = max};
    list_init(&o->pieces);
}

void outbox_clear(struct outbox *o)
{
    size_t n;
    uint8_t *bytes;
    while ((bytes = outbox_take(o, &n)) != NULL) {
        free(bytes);
    }
}

static struct piece *piece_new(size_t cap)
{
    struct piece *p = malloc(sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    *p = (struct piece){.bytes = malloc(cap), .cap = cap};
    if (p->bytes == NULL) {
        free(p);
        return NULL;
    }
    return p;
}

/* The last piece, if it can take N more bytes. */
static struct piece *share_last(struct outbox *o, size_t n)
{
    struct piece *p;

    if (list_empty(&o->pieces)) {
        return NULL;
    }
    p = CONTAINER_OF(o->pieces.prev, struct piece, link);
    if (p->len + n > OUTBOX_PIECE_BYTES) {
        return NULL;
    }
    if (p->len + n > p->cap) {
        size_t cap = p->cap;
        while (cap < p->len + n) {
            cap *= 2;
        }
        uint8_t *bytes = realloc(p->bytes, cap);
        if (bytes == NULL) {
            return NULL;
        }
        p->bytes = bytes;
        p->cap = cap;
    }
    return p;
}

bool outbox_put(struct outbox *o, uint8_t type, uint8_t flags, const void *body, size_t n)
{
    size_t len = FRAME_HEADER_BYTES + n;
    struct piece *p;

    if (len > o->max || (o->bytes > o->max - len && !PLANTED("outbox_has_no_limit"))) {
        return false;
    }
    p = share_last(o, len);
    if (p == NULL) {
        p = piece_new(len);
        if (p == NULL) {
            return false;
        }
        list_push(&o->pieces, &p->link);
    }
    frame_write(p->bytes + p->len, type, flags, body, n);
    p->len += len;
    o->bytes += len;
    return true;
}

uint8_t *outbox_take(struct outbox *o, size_t *ret_len)
{
    struct list *link = list_pop(&o->pieces);
    struct piece *p;
    uint8_t *bytes;

    if (link == NULL) {
        return NULL;
    }
    p = CONTAINER_OF(link, struct piece, link);
    bytes = p->bytes;
    *ret_len = p->len;
    assert(o->bytes >= p->len);
    o->bytes -= p->len;
    free(p);
    return bytes;
}
