/* ship: cluster/ship.h: what a member that needs an image and one that has it say to each other, as written
 * by our own encoders from the input's choices, and as any bytes. */
#include <string.h>

#include "cluster/ship.h"
#include "tests/fuzz/target.h"

static void copy_name(struct cursor *input, struct chunk_name *to)
{
    struct cursor some = input_bytes(input, sizeof to->sha256);

    if (cursor_left(&some) > 0) {
        memcpy(to->sha256, some.p, cursor_left(&some));
    }
}

static bool same_question(const struct ship_question *x, const struct ship_question *y)
{
    return x->session == y->session && x->number == y->number && x->kind == y->kind && x->index == y->index &&
           x->term == y->term && x->at_least == y->at_least && x->offset == y->offset &&
           x->chunk == y->chunk && memcmp(&x->name, &y->name, sizeof x->name) == 0 &&
           x->has_base == y->has_base && memcmp(x->base, y->base, sizeof x->base) == 0;
}

static void write_and_read_a_question(struct cursor *input)
{
    struct ship_question q = {.kind = (enum ship_kind)input_range(input, SHIP_MANIFEST, SHIP_CHUNK)}, again;
    struct buf b;
    struct error e;

    q.session = cursor_u64(input);
    q.number = cursor_u64(input);
    q.index = cursor_u64(input);
    q.term = cursor_u64(input);
    if (q.kind == SHIP_MANIFEST) {
        q.at_least = cursor_u64(input);
        q.offset = cursor_u64(input);
    } else {
        q.chunk = cursor_u32(input);
        q.has_base = cursor_u8(input) % 2 == 1;
        for (unsigned i = 0; i < sizeof q.base && q.has_base; i++) {
            q.base[i] = cursor_u8(input);
        }
        copy_name(input, &q.name);
    }
    buf_init(&b, SHIP_FRAME_MAX);
    ship_put_question(&b, &q);
    FUZZ_CHECK(b.failed == Q_OK, "every question fits into a frame");
    FUZZ_CHECK(ship_get_question(b.data, b.len, &again, &e) == 0, "what was written is understood");
    FUZZ_CHECK(same_question(&q, &again), "as it was");
    buf_close(&b);
}

static bool same_answer(const struct ship_answer *x, const struct ship_answer *y)
{
    return x->session == y->session && x->number == y->number && x->kind == y->kind &&
           x->error.code == y->error.code && strcmp(x->error.text, y->error.text) == 0 &&
           x->index == y->index && x->term == y->term && x->bytes == y->bytes && x->offset == y->offset &&
           x->len == y->len && (x->len == 0 || memcmp(x->blob, y->blob, x->len) == 0);
}

static void write_and_read_an_answer(struct cursor *input)
{
    struct ship_answer a = {.kind = (enum ship_kind)input_range(input, SHIP_MANIFEST, SHIP_DELTA)}, again;
    struct buf b;
    struct error e;

    a.session = cursor_u64(input);
    a.number = cursor_u64(input);
    a.error.code = (enum error_code)input_range(input, 0, 3 * Q_CODES);
    a.error.code = a.error.code < Q_CODES ? a.error.code : Q_OK;
    if (a.error.code != Q_OK) {
        char *text = input_string(input, ERROR_TEXT_MAX - 1);
        memcpy(a.error.text, text, strlen(text) + 1);
        free(text);
    } else {
        if (a.kind == SHIP_MANIFEST) {
            a.index = cursor_u64(input);
            a.term = cursor_u64(input);
            a.bytes = cursor_u64(input);
            a.offset = cursor_u64(input);
        }
        struct cursor blob = input_bytes(input, SHIP_BLOB_MAX);
        a.blob = blob.p;
        a.len = cursor_left(&blob);
    }
    buf_init(&b, SHIP_FRAME_MAX);
    ship_put_answer(&b, &a);
    FUZZ_CHECK(b.failed == Q_OK, "every answer fits into a frame");
    FUZZ_CHECK(ship_get_answer(b.data, b.len, &again, &e) == 0, "what was written is understood");
    FUZZ_CHECK(same_answer(&a, &again), "as it was");
    buf_close(&b);
}

static void read_anything(const uint8_t *p, size_t n)
{
    struct ship_question q;
    struct ship_answer a;
    struct buf b;
    struct error e;

    buf_init(&b, SHIP_FRAME_MAX);
    if (ship_get_question(p, n, &q, &e) == 0) {
        ship_put_question(&b, &q);
        FUZZ_CHECK(b.len == n && memcmp(b.data, p, n) == 0, "a question is written in one way");
    }
    buf_clear(&b);
    if (ship_get_answer(p, n, &a, &e) == 0) {
        ship_put_answer(&b, &a);
        FUZZ_CHECK(b.failed == Q_OK && a.len <= SHIP_BLOB_MAX, "an answer is within its limits");
        FUZZ_CHECK(strnlen(a.error.text, sizeof a.error.text) < sizeof a.error.text, "its text has an end");
        FUZZ_CHECK(a.error.code != Q_OK || (b.len == n && memcmp(b.data, p, n) == 0),
                   "an answer is written in one way");
    }
    buf_close(&b);
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);

    switch (input_range(&input, 0, 2)) {
    case 0: write_and_read_a_question(&input); break;
    case 1: write_and_read_an_answer(&input); break;
    default: read_anything(input.p, cursor_left(&input));
    }
}

static void add(struct seeds *s, const char *name, uint8_t choice, const struct buf *said)
{
    struct buf b;

    buf_init(&b, FUZZ_INPUT_MAX);
    buf_put_u8(&b, choice);
    buf_put_bytes(&b, said->data, said->len);
    seeds_add(s, name, b.data, b.len);
    buf_close(&b);
}

static void seeds(struct seeds *s)
{
    static const struct ship_question questions[] = {
        {.session = 7, .number = 1, .kind = SHIP_MANIFEST, .at_least = 100},
        {.session = 7, .number = 2, .kind = SHIP_CHUNK, .index = 100, .term = 3, .chunk = 5},
        {.session = 7, .number = 3, .kind = SHIP_CHUNK, .index = 100, .term = 3, .has_base = true},
    };
    static const struct ship_answer answers[] = {
        {.number = 1, .kind = SHIP_MANIFEST, .error = {Q_BUSY, "an image is being taken"}},
        {.number = 1,
         .kind = SHIP_MANIFEST,
         .index = 9,
         .bytes = 4,
         .blob = (const uint8_t *)"some",
         .len = 4},
        {.number = 2, .kind = SHIP_CHUNK, .blob = (const uint8_t *)"some", .len = 4},
        {.number = 3, .kind = SHIP_DELTA, .blob = (const uint8_t *)"some", .len = 4},
    };
    static const char *const question_names[] = {"manifest", "chunk", "delta"};
    static const char *const answer_names[] = {"busy", "part", "whole_chunk", "pages"};
    struct buf b;

    buf_init(&b, FUZZ_INPUT_MAX);
    for (unsigned i = 0; i < sizeof questions / sizeof questions[0]; i++) {
        buf_clear(&b);
        ship_put_question(&b, &questions[i]);
        add(s, question_names[i], 2, &b);
    }
    for (unsigned i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        buf_clear(&b);
        ship_put_answer(&b, &answers[i]);
        add(s, answer_names[i], 2, &b);
    }
    buf_clear(&b); /* a text longer than there is room for */
    buf_put_zeros(&b, 16);
    buf_put_u8(&b, SHIP_CHUNK);
    buf_put_u16(&b, Q_NOT_FOUND);
    buf_put_u32(&b, 2 * ERROR_TEXT_MAX);
    buf_put_zeros(&b, 2 * (size_t)ERROR_TEXT_MAX);
    add(s, "too_long", 2, &b);
    buf_clear(&b);
    buf_put_zeros(&b, 80);
    add(s, "written_question", 0, &b);
    add(s, "written_answer", 1, &b);
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
