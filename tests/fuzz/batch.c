/* batch: storage/batch.h. What decodes gives the same bytes again; a batch that is built decodes to what it
 * was built of. */
#include <string.h>

#include "storage/batch.h"
#include "tests/fuzz/target.h"

enum { BYTES_MAX = 128 * 1024 };

static void decode(const uint8_t *p, size_t n)
{
    struct batch batch;
    struct error e;
    struct buf b;

    if (batch_decode(p, n, &batch, &e) != 0) {
        FUZZ_CHECK(e.code == Q_MISMATCH || e.code == Q_CORRUPT,
                   "a refusal has one of the codes that are promised");
        return;
    }
    buf_init(&b, BYTES_MAX);
    batch_put_header(&b, &batch);
    for (uint32_t i = 0; i < batch.commands; i++) {
        struct cursor command = cursor_blob(&batch.command);
        buf_put_blob(&b, command.p, cursor_left(&command));
    }
    FUZZ_CHECK(!batch.command.bad && cursor_left(&batch.command) == 0, "the commands fill the bytes");
    FUZZ_CHECK(b.len == n && memcmp(b.data, p, n) == 0, "a batch is encoded in one way only");
    buf_close(&b);
}

static void build(struct cursor input)
{
    struct batch batch = {.commands = input_range(&input, 1, 5)}, back;
    struct buf b;
    struct error e;

    batch.term = cursor_u64(&input);
    batch.index = cursor_u64(&input);
    batch.time_ms = cursor_u64(&input);
    batch.durable_index = cursor_u64(&input);
    batch.digest_index = cursor_u64(&input);
    memset(batch.seed, cursor_u8(&input), sizeof batch.seed);
    memset(batch.digest, cursor_u8(&input), sizeof batch.digest);
    buf_init(&b, BYTES_MAX);
    batch_put_header(&b, &batch);
    FUZZ_CHECK(b.len == BATCH_HEADER_BYTES, "the header has its length");
    for (uint32_t i = 0; i < batch.commands; i++) {
        struct cursor command = input_bytes(&input, 300);
        buf_put_blob(&b, command.p, cursor_left(&command));
    }
    FUZZ_CHECK(batch_decode(b.data, b.len, &back, &e) == 0, "what was encoded decodes");
    FUZZ_CHECK(back.commands == batch.commands && back.term == batch.term && back.index == batch.index &&
                   back.time_ms == batch.time_ms && back.durable_index == batch.durable_index &&
                   back.digest_index == batch.digest_index &&
                   memcmp(back.seed, batch.seed, sizeof back.seed) == 0 &&
                   memcmp(back.digest, batch.digest, sizeof back.digest) == 0,
               "to the same header");
    buf_close(&b);
}

static void run(const uint8_t *p, size_t n)
{
    decode(p, n);
    build(cursor_of(p, n));
}

static void seeds(struct seeds *s)
{
    struct batch batch = {.term = 3, .index = 7, .time_ms = 1700000000000, .durable_index = 5, .commands = 2};
    struct buf b;

    buf_init(&b, BYTES_MAX);
    batch_put_header(&b, &batch);
    buf_put_blob(&b, "first", 5);
    buf_put_blob(&b, "", 0);
    seeds_add(s, "two", b.data, b.len);
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
