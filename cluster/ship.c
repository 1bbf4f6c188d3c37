#include "cluster/ship.h"

#include <string.h>

#include "base/plant.h"

void ship_put_question(struct buf *b, const struct ship_question *question)
{
    const struct ship_question *q = question;

    buf_put_u64(b, q->session);
    buf_put_u64(b, q->number);
    buf_put_u8(b, (uint8_t)q->kind);
    if (q->kind == SHIP_MANIFEST) {
        buf_put_u64(b, q->at_least);
        buf_put_u64(b, q->index);
        buf_put_u64(b, q->term);
        buf_put_u64(b, q->offset);
        return;
    }
    buf_put_u64(b, q->index);
    buf_put_u64(b, q->term);
    buf_put_u32(b, q->chunk);
    buf_put_bytes(b, q->name.sha256, sizeof q->name.sha256);
    buf_put_u8(b, q->has_base);
    if (q->has_base) {
        buf_put_bytes(b, q->base, sizeof q->base);
    }
}

int ship_get_question(const uint8_t *body, size_t n, struct ship_question *ret_question, struct error *e)
{
    struct cursor c = cursor_of(body, n);
    struct ship_question q = {.session = cursor_u64(&c), .number = 0};
    const uint8_t *name = NULL, *sums = NULL;
    uint8_t base = 0;

    q.number = cursor_u64(&c);
    q.kind = (enum ship_kind)cursor_u8(&c);
    if (q.kind == SHIP_MANIFEST) {
        q.at_least = cursor_u64(&c);
        q.index = cursor_u64(&c);
        q.term = cursor_u64(&c);
        q.offset = cursor_u64(&c);
    } else if (q.kind == SHIP_CHUNK) {
        q.index = cursor_u64(&c);
        q.term = cursor_u64(&c);
        q.chunk = cursor_u32(&c);
        name = cursor_bytes(&c, sizeof q.name.sha256);
        base = cursor_u8(&c);
        sums = base == 1 ? cursor_bytes(&c, sizeof q.base) : NULL;
    }
    if (c.bad || cursor_left(&c) != 0 || base > 1 || (q.kind != SHIP_MANIFEST && q.kind != SHIP_CHUNK)) {
        return error_set(e, Q_CORRUPT, "a question of %zu bytes about an image is not understood", n);
    }
    if (name != NULL) {
        memcpy(q.name.sha256, name, sizeof q.name.sha256);
    }
    if (sums != NULL) {
        memcpy(q.base, sums, sizeof q.base);
        q.has_base = true;
    }
    *ret_question = q;
    return 0;
}

void ship_put_answer(struct buf *b, const struct ship_answer *answer)
{
    const struct error *error = &answer->error;

    buf_put_u64(b, answer->session);
    buf_put_u64(b, answer->number);
    buf_put_u8(b, (uint8_t)answer->kind);
    buf_put_u16(b, (uint16_t)error->code);
    if (error->code != Q_OK) {
        buf_put_blob(b, error->text, strnlen(error->text, sizeof error->text));
        return;
    }
    if (answer->kind == SHIP_MANIFEST) {
        buf_put_u64(b, answer->index);
        buf_put_u64(b, answer->term);
        buf_put_u64(b, answer->bytes);
        buf_put_u64(b, answer->offset);
    }
    buf_put_blob(b, answer->blob, answer->len);
}

int ship_get_answer(const uint8_t *body, size_t n, struct ship_answer *ret_answer, struct error *e)
{
    struct cursor c = cursor_of(body, n);
    struct ship_answer a = {.session = cursor_u64(&c), .error = {.code = Q_OK}};
    struct cursor blob;
    uint16_t code;

    a.number = cursor_u64(&c);
    a.kind = (enum ship_kind)cursor_u8(&c);
    code = cursor_u16(&c);
    if (code == Q_OK && a.kind == SHIP_MANIFEST) {
        a.index = cursor_u64(&c);
        a.term = cursor_u64(&c);
        a.bytes = cursor_u64(&c);
        a.offset = cursor_u64(&c);
    }
    blob = cursor_blob(&c);
    if (c.bad || cursor_left(&c) != 0 || code >= Q_CODES || a.kind < SHIP_MANIFEST || a.kind > SHIP_DELTA ||
        (code != Q_OK && cursor_left(&blob) >= sizeof a.error.text &&
         !PLANTED("trouble_with_an_image_has_no_limit")) ||
        cursor_left(&blob) > SHIP_BLOB_MAX) {
        return error_set(e, Q_CORRUPT, "an answer of %zu bytes about an image is not understood", n);
    }
    a.error.code = (enum error_code)code;
    if (code != Q_OK) {
        memcpy(a.error.text, blob.p, cursor_left(&blob));
    } else {
        a.blob = blob.p;
        a.len = cursor_left(&blob);
    }
    *ret_answer = a;
    return 0;
}
