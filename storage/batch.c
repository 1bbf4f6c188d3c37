#include "storage/batch.h"

#include <assert.h>
#include <string.h>

void batch_put_header(struct buf *b, const struct batch *batch)
{
    assert(batch->commands >= 1 && batch->commands <= BATCH_COMMANDS_MAX);
    buf_put_u8(b, BATCH_VERSION);
    buf_put_zeros(b, 3);
    buf_put_u32(b, batch->commands);
    buf_put_u64(b, batch->term);
    buf_put_u64(b, batch->index);
    buf_put_u64(b, batch->time_ms);
    buf_put_bytes(b, batch->seed, sizeof batch->seed);
    buf_put_u64(b, batch->durable_index);
    buf_put_u64(b, batch->digest_index);
    buf_put_bytes(b, batch->digest, sizeof batch->digest);
}

static int corrupt(struct error *e)
{
    return error_set(e, Q_CORRUPT, "the batch's bytes do not follow its format");
}

int batch_decode(const void *p, size_t n, struct batch *ret_batch, struct error *e)
{
    struct cursor c = cursor_of(p, n);
    struct batch batch = {0};
    uint8_t version = cursor_u8(&c);

    if (!c.bad && version != BATCH_VERSION) {
        return error_set(e, Q_MISMATCH, "unknown version %u of a batch", version);
    }
    if (n < BATCH_HEADER_BYTES) {
        return corrupt(e);
    }
    uint8_t reserved_byte = cursor_u8(&c);
    uint16_t reserved = cursor_u16(&c);
    if (reserved_byte != 0 || reserved != 0) {
        return error_set(e, Q_MISMATCH, "unknown flags in the header of a batch");
    }
    batch.commands = cursor_u32(&c);
    batch.term = cursor_u64(&c);
    batch.index = cursor_u64(&c);
    batch.time_ms = cursor_u64(&c);
    memcpy(batch.seed, cursor_bytes(&c, sizeof batch.seed), sizeof batch.seed);
    batch.durable_index = cursor_u64(&c);
    batch.digest_index = cursor_u64(&c);
    memcpy(batch.digest, cursor_bytes(&c, sizeof batch.digest), sizeof batch.digest);
    batch.command = c;
    if (batch.commands < 1 || batch.commands > BATCH_COMMANDS_MAX) {
        return corrupt(e);
    }
    for (uint32_t i = 0; i < batch.commands; i++) {
        cursor_blob(&c);
    }
    if (c.bad || cursor_left(&c) > 0) {
        return corrupt(e);
    }
    *ret_batch = batch;
    return 0;
}
