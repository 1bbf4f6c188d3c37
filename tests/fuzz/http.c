/* http: the HTTP door of a node (door.h) and one client of it: any bytes, in any pieces. Whatever comes out
 * is HTTP, with JSON where it says so; pieces and late answers change nothing of it; and a client that does
 * not read, or vanishes, or takes its time, does no harm. */
#include <jansson.h>
#include <string.h>

#include "node/cli/reply.h"
#include "tests/fuzz/door.h"
#include "tests/fuzz/fake_uv.h"
#include "tests/fuzz/target.h"

enum { MEMORY = 64 * 1024 * 1024, LITTLE_MEMORY = 16 * 1024, SMALL_MAX = 2000 };

static void answer_all(void)
{
    while (door_pending() > 0) {
        door_answer(0);
    }
}

/* ---- what comes out ---- */

static bool contains(const void *p, size_t n, const char *text)
{
    return n > 0 && memmem(p, n, text, strlen(text)) != NULL;
}

static void check_reply(const char *p, const struct reply *r)
{
    size_t head = r->total - r->len;

    if (contains(p, head, "Content-Type: application/json")) {
        json_t *root = json_loadb(r->body, r->len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
        FUZZ_CHECK(root != NULL, "what is called JSON is JSON");
        json_decref(root);
    }
    FUZZ_CHECK(contains(p, head, "\r\nDate: "), "an answer has its headers");
}

/* Takes out what depends on the moment: interim answers and dates. */
static void make_timeless(struct buf *out)
{
    static const char interim[] = "HTTP/1.1 100 Continue\r\n\r\n", date[] = "\r\nDate: ";
    char *at;

    if (out->len == 0) {
        return;
    }
    while ((at = memmem(out->data, out->len, interim, strlen(interim))) != NULL) {
        size_t behind = (size_t)((char *)out->data + out->len - at) - strlen(interim);
        memmove(at, at + strlen(interim), behind);
        out->len -= strlen(interim);
    }
    for (char *p = (char *)out->data, *end = p + out->len;
         p < end && (at = memmem(p, (size_t)(end - p), date, strlen(date))) != NULL; p = at + 1) {
        for (char *c = at + strlen(date); c < end && *c != '\r'; c++) {
            *c = 'x';
        }
    }
}

static struct reply take_reply(const struct buf *out, size_t *at)
{
    const char *p = (const char *)out->data + *at;
    struct reply r;
    struct error e;
    bool whole = false;

    FUZZ_CHECK(reply_parse(p, out->len - *at, &whole, &r, &e) == 0 && whole,
               "the answers are HTTP, and whole");
    check_reply(p, &r);
    *at += r.total;
    return r;
}

/* Two ways of asking the same. Of a request that is malformed in two ways, pieces tell which one is seen
 * first, and so which words refuse it. */
static void compare_output(const struct buf *a, const struct buf *b)
{
    size_t at_a = 0, at_b = 0;

    while (at_a < a->len) {
        FUZZ_CHECK(at_b < b->len, "there are as many answers");
        struct reply r = take_reply(a, &at_a), s = take_reply(b, &at_b);
        FUZZ_CHECK(r.status == s.status, "with the same status");
        FUZZ_CHECK(r.status == 400 || (r.total == s.total && memcmp(a->data + at_a - r.total,
                                                                    b->data + at_b - s.total, r.total) == 0),
                   "and the same bytes");
    }
    FUZZ_CHECK(at_b == b->len, "and no more");
}

/* ---- one client ---- */

/* A client that keeps up; its bytes come in pieces as SIZES says (none: all at once). Returns all that it
 * got. */
static struct buf converse(struct cursor bytes, struct cursor sizes, struct cursor choices)
{
    struct door d;
    struct buf out;
    unsigned turn = 0;

    door_open(&d, choices, MEMORY);
    fake_uv_connect();
    while (cursor_left(&bytes) > 0 && fake_uv_is_read()) {
        size_t n = cursor_left(&bytes);
        if (cursor_left(&sizes) > 0) {
            uint8_t size = sizes.p[turn++ % cursor_left(&sizes)];
            n = (size_t)size + 1 < n ? (size_t)size + 1 : n;
        }
        fake_uv_send(cursor_bytes(&bytes, n), n);
        fake_uv_settle();
        if (turn % 3 != 1 || !fake_uv_is_read()) {
            answer_all();
        }
    }
    answer_all();
    fake_uv_end(0);
    fake_uv_settle();
    door_close(&d);
    out = fake_uv_out;
    buf_init(&fake_uv_out, 0);
    make_timeless(&out);
    return out;
}

static void compare_pieces(struct cursor bytes, struct cursor sizes, struct cursor choices)
{
    struct cursor none = cursor_of(NULL, 0);
    struct buf whole = converse(bytes, none, choices), pieces = converse(bytes, sizes, choices);

    if (!contains(bytes.p, cursor_left(&bytes), "HEAD")) { /* its answer has a length, but no body */
        compare_output(&whole, &pieces);
    }
    buf_close(&whole);
    buf_close(&pieces);
}

/* A client that does what it likes. */
static void quarrel(struct cursor bytes, struct cursor acts, struct cursor choices, bool poor)
{
    struct door d;

    door_open(&d, choices, poor ? LITTLE_MEMORY : MEMORY);
    fake_uv_connect();
    fake_uv_set_room(0);
    while (cursor_left(&acts) > 0) {
        uint8_t act = cursor_u8(&acts), amount = act >> 3;
        switch (act & 7) {
        case 0: fake_uv_advance(amount * UINT64_C(400)); break;
        case 1: fake_uv_take(amount * (size_t)16); break;
        case 2: fake_uv_set_room(amount == 31 ? SMALL_MAX : amount); break;
        case 3:
            if (door_pending() > 0) {
                door_answer(amount % door_pending());
            }
            break;
        case 4: fake_uv_end(amount < 8 ? UV_ECONNRESET : 0); break;
        default:
            if (fake_uv_is_read() && cursor_left(&bytes) > 0) {
                size_t n = amount == 31 ? SMALL_MAX : (size_t)amount + 1;
                n = n < cursor_left(&bytes) ? n : cursor_left(&bytes);
                fake_uv_send(cursor_bytes(&bytes, n), n);
            }
        }
        fake_uv_settle();
        if (!fake_uv_is_connected()) {
            answer_all();
            fake_uv_settle();
            fake_uv_connect(); /* the next one */
            fake_uv_settle();
        }
    }
    door_close(&d);
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);
    uint8_t mode = (uint8_t)input_range(&input, 0, 255);
    struct cursor choices = input_bytes(&input, 15), acts = input_bytes(&input, 127);

    if (mode % 4 < 2) {
        compare_pieces(input, acts, choices);
    } else {
        quarrel(input, acts, choices, mode % 4 == 2);
    }
    buf_close(&fake_uv_out);
}

static const char *const requests[] = {
    "POST /db/execute?transaction&pretty HTTP/1.1\r\nHost: a\r\nContent-Length: 23\r\n\r\n[\"INSERT INTO "
    "t(a)\", 1]x"
    "GET /db/query?q=SELECT%201&level=none&timings HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /db/request?associative&blob_array HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    "c\r\n[[\"SELECT ?\"\r\n4\r\n,1]]\r\n0\r\nTrailer: x\r\n\r\nGET /metrics HTTP/1.1\r\nHost: a\r\n\r\n",
    "PUT /v1/kv/app/a%2Fb HTTP/1.1\r\nHost: a\r\nIf-Match: \"7\"\r\nExpect: 100-continue\r\nContent-Length: "
    "5\r\n\r\nhello"
    "GET /v1/kv/app/key?level=strong HTTP/1.1\r\nHost: a\r\nIf-None-Match: \"4\"\r\n\r\n",
    "GET /v1/kv/app?prefix=a&after_base64=YQ==&limit=2&values HTTP/1.1\r\nHost: a\r\n\r\n"
    "DELETE /v1/kv/app/key HTTP/1.1\r\nHost: a\r\nIf-Match: *\r\nConnection: close\r\n\r\n",
    "GET /status?pretty HTTP/1.1\r\nHost: a\r\n\r\nGET /nodes?timeout=1s&ver=2 HTTP/1.1\r\nHost: a\r\n\r\n"
    "GET /readyz?sync&timeout=2s HTTP/1.1\r\nHost: a\r\n\r\nGET /leader HTTP/1.0\r\n\r\n",
    "POST /leader?wait HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n{\"id\":2}HEAD /healthz "
    "HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /v1/cluster/members?wait&timeout=2s HTTP/1.1\r\nHost: a\r\nContent-Length: 28\r\n\r\n"
    "{\"id\":2,\"address\":\"[::1]:9\"}DELETE /v1/cluster/members/3?wait&timeout=1s HTTP/1.1\r\nHost: "
    "a\r\n\r\n"
    "GET /v1/cluster/members?all&pretty HTTP/1.1\r\nHost: a\r\n\r\n",
    "POST /v1/cluster/members/2/replace HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{\"with\":5}"
    "POST /v1/cluster/transfer?wait HTTP/1.1\r\nHost: a\r\nContent-Length: 8\r\n\r\n{\"to\":2}"
    "DELETE /remove HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n{\"id\":\"3\"}",
    "POST /db/execute?queue&wait&timeout=5s HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\n[\"a\"]"
    "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\nPATCH / HTTP/1.1\r\nHost: a\r\n\r\n",
};

static void seeds(struct seeds *s)
{
    struct buf b;

    buf_init(&b, FUZZ_INPUT_MAX);
    for (unsigned i = 0; i < sizeof requests / sizeof requests[0]; i++) {
        for (unsigned mode = 0; mode < 4; mode++) {
            char name[16];
            buf_clear(&b);
            buf_put_u8(&b, (uint8_t)mode);
            buf_put_u8(&b, (uint8_t)(i % 3)); /* choices, then acts or sizes */
            buf_put_bytes(&b, "\0\14", i % 3);
            buf_put_u8(&b, mode == 1 ? 1 : 12); /* pieces of four bytes, or of any */
            buf_put_bytes(&b, mode == 1 ? "\3" : "\xff\x1d\x03\xfa\x25\x03\x7d\x0b\xf9\x08\xfd\x03",
                          mode == 1 ? 1 : 12);
            buf_put_bytes(&b, requests[i], strlen(requests[i]));
            snprintf(name, sizeof name, "%u_%u", i, mode);
            seeds_add(s, name, b.data, b.len);
        }
    }
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds, .cost = 8};
