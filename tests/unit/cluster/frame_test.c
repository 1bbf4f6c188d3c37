#include "base/rng.h"
#include "cluster/frame.h"
#include "tests/unit/test.h"

enum { MAX = 1000 };

/* Three frames, one after the other: with a body, without one, and a control frame. */
static size_t three_frames(uint8_t *to)
{
    size_t n = 0;
    frame_write(to + n, 7, 0, "hello, world", 12);
    n += FRAME_HEADER_BYTES + 12;
    frame_write(to + n, 8, 0, NULL, 0);
    n += FRAME_HEADER_BYTES;
    frame_write(to + n, 9, FRAME_CONTROL, "abc", 3);
    return n + FRAME_HEADER_BYTES + 3;
}

static void expect_frame(unsigned which, const struct frame *f)
{
    static const struct frame wanted[] = {
        {7, 0, (const uint8_t *)"hello, world", 12},
        {8, 0, (const uint8_t *)"", 0},
        {9, FRAME_CONTROL, (const uint8_t *)"abc", 3},
    };
    assert_in_range(which, 0, 2);
    assert_int_equal(f->type, wanted[which].type);
    assert_int_equal(f->flags, wanted[which].flags);
    assert_int_equal(f->len, wanted[which].len);
    assert_memory_equal(f->body, wanted[which].body, f->len);
}

/* Feeds N bytes in a piece of their own, so that a read past its end is noticed; counts the frames. */
static unsigned feed(struct frame_decoder *d, const uint8_t *bytes, size_t n, unsigned seen)
{
    uint8_t *piece = malloc(n ? n : 1);
    struct cursor in;
    memcpy(piece, bytes, n);
    in = cursor_of(piece, n);
    while (cursor_left(&in) > 0) {
        struct frame f;
        struct error e = {0};
        bool whole;
        assert_int_equal(frame_decode(d, &in, &f, &whole, &e), 0);
        if (whole) {
            expect_frame(seen++, &f);
        } else {
            assert_int_equal(cursor_left(&in), 0);
        }
    }
    free(piece);
    return seen;
}

static void frames_come_whole_byte_by_byte(void **state)
{
    (void)state;
    uint8_t bytes[200];
    size_t n = three_frames(bytes);
    struct frame_decoder d;
    unsigned seen = 0;

    frame_decoder_init(&d, MAX);
    for (size_t i = 0; i < n; i++) {
        seen = feed(&d, bytes + i, 1, seen);
    }

    assert_int_equal(seen, 3);
    frame_decoder_close(&d);
}

static void frames_come_whole_however_the_stream_is_cut_in_three(void **state)
{
    (void)state;
    uint8_t bytes[200];
    size_t n = three_frames(bytes);

    for (size_t a = 0; a <= n; a++) {
        for (size_t b = a; b <= n; b++) {
            struct frame_decoder d;
            unsigned seen = 0;
            frame_decoder_init(&d, MAX);
            seen = feed(&d, bytes, a, seen);
            seen = feed(&d, bytes + a, b - a, seen);
            seen = feed(&d, bytes + b, n - b, seen);
            assert_int_equal(seen, 3);
            frame_decoder_close(&d);
        }
    }
}

static void a_frame_that_is_all_there_takes_no_memory(void **state)
{
    (void)state;
    uint8_t bytes[200];
    size_t n = three_frames(bytes);
    struct frame_decoder d;

    frame_decoder_init(&d, MAX);
    assert_int_equal(feed(&d, bytes, n, 0), 3);
    assert_null(d.body);
    frame_decoder_close(&d);
}

/* Decodes until the first error; returns it, and how many frames came before it. */
static int decode_all(const uint8_t *bytes, size_t n, size_t piece, unsigned *ret_frames, struct error *e)
{
    struct frame_decoder d;
    int rc = 0;
    *ret_frames = 0;
    frame_decoder_init(&d, MAX);
    for (size_t at = 0; at < n && rc == 0; at += piece) {
        struct cursor in = cursor_of(bytes + at, n - at < piece ? n - at : piece);
        while (rc == 0 && cursor_left(&in) > 0) {
            struct frame f;
            bool whole = false;
            rc = frame_decode(&d, &in, &f, &whole, e);
            *ret_frames += rc == 0 && whole;
        }
    }
    frame_decoder_close(&d);
    return rc;
}

static void every_flipped_bit_is_noticed_and_its_frame_never_given(void **state)
{
    (void)state;
    uint8_t bytes[200];
    size_t n = three_frames(bytes), first = FRAME_HEADER_BYTES + 12;

    for (size_t bit = 0; bit < first * 8; bit++) {
        for (size_t piece = 1; piece <= n; piece += 20) {
            struct error e;
            unsigned frames;
            bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1u << (bit % 8)));
            assert_int_equal(decode_all(bytes, n, piece, &frames, &e), Q_CORRUPT);
            assert_int_equal(frames, 0);
            bytes[bit / 8] = (uint8_t)(bytes[bit / 8] ^ (1u << (bit % 8)));
        }
    }
}

static void damage_does_not_take_back_the_frames_before_it(void **state)
{
    (void)state;
    uint8_t bytes[200];
    size_t n = three_frames(bytes);
    struct error e;
    unsigned frames;

    bytes[n - 1] ^= 1;

    assert_int_equal(decode_all(bytes, n, n, &frames, &e), Q_CORRUPT);
    assert_int_equal(frames, 2);
    assert_string_equal(e.text, "the body of a frame of 3 bytes fails its checksum");
}

static void a_length_over_the_limit_is_refused_before_memory_is_taken(void **state)
{
    (void)state;
    static uint8_t body[MAX + 1], bytes[FRAME_HEADER_BYTES + MAX + 1];
    struct frame_decoder d;
    struct frame f;
    struct error e;
    bool whole;
    struct cursor in;

    frame_write(bytes, 1, 0, body, MAX + 1);
    frame_decoder_init(&d, MAX);
    in = cursor_of(bytes, FRAME_HEADER_BYTES);
    assert_int_equal(frame_decode(&d, &in, &f, &whole, &e), Q_TOO_BIG);
    assert_string_equal(e.text, "a frame of 1001 bytes is larger than the limit of 1000");
    assert_null(d.body);
    frame_decoder_close(&d);

    frame_write(bytes, 1, 0, body, MAX);
    frame_decoder_init(&d, MAX);
    in = cursor_of(bytes, FRAME_HEADER_BYTES + MAX);
    assert_int_equal(frame_decode(&d, &in, &f, &whole, &e), 0);
    assert_true(whole);
    frame_decoder_close(&d);
}

static void a_header_alone_takes_no_memory_for_its_body(void **state)
{
    (void)state;
    static uint8_t body[MAX], bytes[FRAME_HEADER_BYTES + MAX];
    struct frame_decoder d;
    struct frame f;
    struct error e;
    bool whole = true;
    struct cursor in;

    frame_write(bytes, 1, 0, body, MAX);
    frame_decoder_init(&d, MAX);
    in = cursor_of(bytes, FRAME_HEADER_BYTES);

    assert_int_equal(frame_decode(&d, &in, &f, &whole, &e), 0);
    assert_false(whole);
    assert_null(d.body);
    frame_decoder_close(&d);
}

static void unknown_flags_are_refused(void **state)
{
    (void)state;
    uint8_t bytes[FRAME_HEADER_BYTES];
    struct error e;
    unsigned frames;

    frame_write(bytes, 1, 0x82, NULL, 0);

    assert_int_equal(decode_all(bytes, sizeof bytes, sizeof bytes, &frames, &e), Q_CORRUPT);
    assert_string_equal(e.text, "a frame has unknown flags 0x82");
}

static void random_bytes_are_never_a_frame(void **state)
{
    (void)state;
    struct rng rng;
    uint8_t bytes[300];

    rng_init(&rng, 1);
    for (int i = 0; i < 5000; i++) {
        struct error e;
        unsigned frames;
        rng_fill(&rng, bytes, sizeof bytes);
        assert_int_not_equal(decode_all(bytes, sizeof bytes, rng_between(&rng, 1, 300), &frames, &e), 0);
        assert_int_equal(frames, 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_whole_byte_by_byte),
        cmocka_unit_test(frames_come_whole_however_the_stream_is_cut_in_three),
        cmocka_unit_test(a_frame_that_is_all_there_takes_no_memory),
        cmocka_unit_test(every_flipped_bit_is_noticed_and_its_frame_never_given),
        cmocka_unit_test(damage_does_not_take_back_the_frames_before_it),
        cmocka_unit_test(a_length_over_the_limit_is_refused_before_memory_is_taken),
        cmocka_unit_test(a_header_alone_takes_no_memory_for_its_body),
        cmocka_unit_test(unknown_flags_are_refused),
        cmocka_unit_test(random_bytes_are_never_a_frame),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
