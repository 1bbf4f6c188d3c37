/* text: the small languages: base64, percent escapes, queries, durations, dates, addresses, UTF-8 in JSON.
 * What one end writes, the other reads, and where two of ours read the same, they agree. */
#include <jansson.h>
#include <string.h>

#include "node/cli/base64.h"
#include "node/cli/endpoints.h"
#include "node/cli/percent.h"
#include "node/env/address.h"
#include "node/http/json.h"
#include "node/http/params.h"
#include "node/http/query.h"
#include "node/http/timestamp.h"
#include "storage/utf8.h"
#include "tests/fuzz/target.h"

enum { BYTES_MAX = 8 * FUZZ_INPUT_MAX };

static void check_base64(const uint8_t *p, size_t n)
{
    struct buf text, back;
    uint8_t *server = malloc(n + 3);
    struct json j;
    size_t len = 0;
    bool read;

    FUZZ_CHECK(server != NULL, "there is memory");
    buf_init(&text, BYTES_MAX);
    buf_init(&back, BYTES_MAX);
    js_init(&j, &text, false);
    js_base64(&j, p, n);
    FUZZ_CHECK(text.len >= 2 && base64_put_decoded(&back, (const char *)text.data + 1, text.len - 2) &&
                   back.len == n && (n == 0 || memcmp(back.data, p, n) == 0),
               "the command line reads what the node writes");

    buf_clear(&back);
    read = js_base64_decode((const char *)p, n, server, &len);
    FUZZ_CHECK(base64_put_decoded(&back, (const char *)p, n) == read, "both take the same for base64");
    FUZZ_CHECK(!read || (back.len == len && (len == 0 || memcmp(back.data, server, len) == 0)),
               "and read the same");
    free(server);
    buf_close(&text);
    buf_close(&back);
}

static void check_percent(const uint8_t *p, size_t n)
{
    struct buf text;
    char *back;
    size_t len = 0;

    buf_init(&text, BYTES_MAX);
    percent_put(&text, p, n);
    back = malloc(text.len + 1);
    FUZZ_CHECK(back != NULL, "there is memory");
    FUZZ_CHECK(http_decode_segment((const char *)text.data, text.len, back, &len) && len == n &&
                   (n == 0 || memcmp(back, p, n) == 0),
               "the node reads what the command line writes");
    free(back);
    buf_close(&text);

    back = malloc(n > 0 ? n : 1);
    FUZZ_CHECK(back != NULL, "there is memory");
    FUZZ_CHECK(!http_decode_segment((const char *)p, n, back, &len) || len <= n,
               "decoding makes nothing longer");
    free(back);
}

static void check_json(const uint8_t *p, size_t n)
{
    struct buf text;
    struct json j;
    json_t *back;

    buf_init(&text, BYTES_MAX);
    js_init(&j, &text, false);
    js_text(&j, p, n);
    back = json_loadb((const char *)text.data, text.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    FUZZ_CHECK(back != NULL, "a text becomes JSON");
    if (utf8_valid(p, n)) {
        FUZZ_CHECK(json_string_length(back) == n && (n == 0 || memcmp(json_string_value(back), p, n) == 0),
                   "and is the same if it is UTF-8");
    }
    json_decref(back);
    buf_close(&text);
}

static void check_times(const uint8_t *p, size_t n, const char *text)
{
    char time[TIMESTAMP_MAX], again[TIMESTAMP_MAX];
    int64_t ns, v = 0;

    params_parse_duration(text, &ns);
    timestamp_of_text(p, n, time);
    timestamp_of_text(time, strlen(time), again);
    FUZZ_CHECK(strcmp(time, again) == 0, "a time that was written is read as it is");
    if (n >= sizeof v) {
        memcpy(&v, p, sizeof v);
    }
    timestamp_of_integer(v, time);
    FUZZ_CHECK(strlen(time) < sizeof time, "any number is a time");
}

static void check_places(const char *text)
{
    struct address address;
    struct sockaddr_storage socket;
    struct endpoints list = {.count = 0};
    struct error e;

    if (address_parse(text, &address, &e) == 0) {
        address_numeric(&address, &socket);
    } else {
        FUZZ_CHECK(e.code == Q_INVALID || e.code == Q_TOO_BIG, "a refusal has one of the promised codes");
    }
    if (endpoints_add(&list, text, &e) != 0) {
        FUZZ_CHECK(e.code == Q_INVALID || e.code == Q_TOO_BIG, "a refusal has one of the promised codes");
    }
    for (unsigned i = 0; i < list.count; i++) {
        char host[ENDPOINT_MAX], port[8];
        endpoint_split(list.url[i], host, port);
        FUZZ_CHECK(host[0] != 0 && port[0] != 0, "an endpoint has host and port");
    }
}

static void check_query(const char *text)
{
    char error[64];
    struct buf b;
    struct cursor c;

    buf_init(&b, BYTES_MAX);
    query_parse(text, &b, error, sizeof error);
    FUZZ_CHECK(b.failed == Q_OK && strlen(error) < sizeof error, "a query is taken apart");
    c = cursor_of(b.data, b.len);
    while (cursor_left(&c) > 0) {
        for (unsigned i = 0; i < 2; i++) {
            cursor_blob(&c);
            FUZZ_CHECK(cursor_u8(&c) == 0, "names and values are terminated");
        }
    }
    FUZZ_CHECK(!c.bad, "its parts fill the bytes");
    buf_close(&b);
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);
    char *text = input_string(&input, FUZZ_INPUT_MAX);

    check_base64(p, n);
    check_percent(p, n);
    check_json(p, n);
    check_times(p, n, text);
    check_places(text);
    check_query(text);
    free(text);
}

static void seeds(struct seeds *s)
{
    static const char *const texts[] = {
        "aGVsbG8=",
        "a%2Fb+c%zz&d=%41;e&=f",
        "1h2m3.5s4ms5us6ns",
        "2024-02-29T23:59:59.123456789+05:30",
        "[fe80::1]:4001",
        "http://a:1,b:2,[::1]:3/",
        "-9223372036854775808ns",
        "9999-12-31 24:00",
        "caf\xc3\xa9<>&\x7f",
        "\xf0\x9f\x98\x80\xed\xa0\x80\xff",
    };
    struct buf b;

    buf_init(&b, FUZZ_INPUT_MAX);
    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        char name[8];
        snprintf(name, sizeof name, "%u", i);
        seeds_add(s, name, texts[i], strlen(texts[i]));
        buf_clear(&b); /* and behind a length, as input_string() wants it */
        buf_put_u8(&b, 0);
        buf_put_u8(&b, (uint8_t)strlen(texts[i]));
        buf_put_bytes(&b, texts[i], strlen(texts[i]));
        snprintf(name, sizeof name, "text%u", i);
        seeds_add(s, name, b.data, b.len);
    }
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
