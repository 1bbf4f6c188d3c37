/* frame: cluster/frame.h. Any bytes give the same frames however they are cut into pieces; frames that were
 * written come back. */
#include <string.h>

#include "cluster/frame.h"
#include "tests/fuzz/target.h"

enum { BODY_MAX = 2000, STREAM_MAX = 64 * 1024, PIECE_MAX = 64 };

/* What a stream was: the frames that came whole, as bytes, and how it ended. */
struct reading {
    size_t max; /* of a body */
    struct buf seen;
    unsigned frames;
    enum error_code ended; /* Q_OK: it has not */
};

static void take(struct reading *r, struct frame_decoder *d, const uint8_t *bytes, size_t n)
{
    struct cursor in = cursor_of(bytes, n);

    while (cursor_left(&in) > 0 && r->ended == Q_OK) {
        struct frame f;
        struct error e;
        bool whole = false;
        size_t left = cursor_left(&in);

        if (frame_decode(d, &in, &f, &whole, &e) != 0) {
            FUZZ_CHECK(e.code == Q_CORRUPT || e.code == Q_TOO_BIG, "a refusal has one of the promised codes");
            r->ended = e.code;
        } else if (whole) {
            buf_put_u8(&r->seen, f.type);
            buf_put_u8(&r->seen, f.flags);
            buf_put_blob(&r->seen, f.body, f.len);
            r->frames++;
        }
        FUZZ_CHECK(r->ended != Q_OK || cursor_left(&in) < left, "each call uses bytes");
        FUZZ_CHECK(whole || r->ended != Q_OK || cursor_left(&in) == 0, "all bytes but those of a next frame");
        FUZZ_CHECK(d->cap <= d->max, "no more memory than the limit is taken");
    }
}

/* In pieces whose sizes come from INPUT (all at once where it is used up), each in a block of its own. */
static struct reading read_stream(const uint8_t *p, size_t n, size_t max, struct cursor input)
{
    struct reading r = {.max = max, .ended = Q_OK};
    struct frame_decoder d;

    buf_init(&r.seen, 2 * STREAM_MAX);
    frame_decoder_init(&d, max);
    while (n > 0 && r.ended == Q_OK) {
        size_t size = cursor_left(&input) > 0 ? input_range(&input, 1, PIECE_MAX) : n;
        uint8_t *piece;
        size = size > n ? n : size;
        piece = malloc(size);
        FUZZ_CHECK(piece != NULL, "there is memory");
        memcpy(piece, p, size);
        take(&r, &d, piece, size);
        free(piece);
        p += size;
        n -= size;
    }
    frame_decoder_close(&d);
    return r;
}

static void compare(const struct reading *a, const struct reading *b)
{
    FUZZ_CHECK(a->frames == b->frames && a->ended == b->ended && a->seen.len == b->seen.len &&
                   (a->seen.len == 0 || memcmp(a->seen.data, b->seen.data, a->seen.len) == 0),
               "pieces do not change what is read");
}

/* The same frames as bytes of a stream and as they must be read. */
static void build(struct cursor *input, struct buf *stream, struct reading *wanted)
{
    for (unsigned count = input_range(input, 0, 8); count > 0; count--) {
        uint8_t type = cursor_u8(input), flags = (uint8_t)input_range(input, 0, FRAME_CONTROL);
        struct cursor body = input_bytes(input, 255);
        size_t n = cursor_left(&body);
        uint8_t *to = buf_reserve(stream, FRAME_HEADER_BYTES + n);

        FUZZ_CHECK(to != NULL, "there is memory");
        frame_write(to, type, flags, body.p, n);
        stream->len += FRAME_HEADER_BYTES + n;
        if (n > wanted->max) {
            wanted->ended = Q_TOO_BIG;
        }
        if (wanted->ended == Q_OK) {
            buf_put_u8(&wanted->seen, type);
            buf_put_u8(&wanted->seen, flags);
            buf_put_blob(&wanted->seen, body.p, n);
            wanted->frames++;
        }
    }
}

/* With a byte of it changed: what still comes is what came before. */
static void read_damaged(struct buf *stream, const struct reading *wanted, struct cursor *input)
{
    struct reading r;
    size_t at = stream->len > 0 ? input_range(input, 0, (uint32_t)stream->len - 1) : 0;
    uint8_t was = stream->len > 0 ? stream->data[at] : 0;

    if (stream->len == 0) {
        return;
    }
    stream->data[at] ^= (uint8_t)input_range(input, 1, 255);
    r = read_stream(stream->data, stream->len, wanted->max, *input);
    FUZZ_CHECK(r.seen.len <= wanted->seen.len &&
                   (r.seen.len == 0 || memcmp(r.seen.data, wanted->seen.data, r.seen.len) == 0),
               "a damaged frame is not given out, nor what is behind it");
    FUZZ_CHECK(r.frames < wanted->frames || wanted->ended != Q_OK, "it is missed");
    buf_close(&r.seen);
    stream->data[at] = was;
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n), none = cursor_of(NULL, 0), raw;
    struct reading wanted = {.max = input_range(&input, 0, 255), .ended = Q_OK}, whole, pieces;
    struct buf stream;

    buf_init(&stream, STREAM_MAX);
    buf_init(&wanted.seen, 2 * STREAM_MAX);
    build(&input, &stream, &wanted);
    whole = read_stream(stream.data, stream.len, wanted.max, none);
    pieces = read_stream(stream.data, stream.len, wanted.max, input);
    compare(&whole, &wanted);
    compare(&pieces, &wanted);
    buf_close(&whole.seen);
    buf_close(&pieces.seen);
    read_damaged(&stream, &wanted, &input);

    /* And what is no frame, behind them. */
    raw = input_bytes(&input, FUZZ_INPUT_MAX);
    buf_put_bytes(&stream, raw.p, cursor_left(&raw));
    whole = read_stream(stream.data, stream.len, BODY_MAX, none);
    pieces = read_stream(stream.data, stream.len, BODY_MAX, input);
    compare(&whole, &pieces);
    buf_close(&whole.seen);
    buf_close(&pieces.seen);
    buf_close(&wanted.seen);
    buf_close(&stream);
}

static void seeds(struct seeds *s)
{
    uint8_t built[] = {200, 3, 7, 0, 5, 'h', 'e', 'l', 'l', 'o', 1, 1, 0, 9, 0, 2, 0, 1, 3, 1, 60, 4};
    struct buf b;
    uint8_t *to;

    seeds_add(s, "built", built, sizeof built);
    built[0] = 3; /* a body is longer than the limit */
    seeds_add(s, "long", built, sizeof built);
    buf_init(&b, STREAM_MAX);
    buf_put_u8(&b, 0); /* a limit */
    buf_put_u8(&b, 0); /* no built ones; then two bytes of length, and a frame cut into pieces of 5 */
    buf_put_u8(&b, 0);
    buf_put_u8(&b, FRAME_HEADER_BYTES + 11);
    to = buf_reserve(&b, FRAME_HEADER_BYTES + 11);
    frame_write(to, 2, 0, "hello world", 11);
    b.len += FRAME_HEADER_BYTES + 11;
    for (unsigned i = 0; i < 6; i++) {
        buf_put_u8(&b, 4);
    }
    seeds_add(s, "raw", b.data, b.len);
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
