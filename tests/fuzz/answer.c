/* answer: what a node (or whatever else listens there) answers to the command line: HTTP
 * (node/cli/reply.h) and the JSON of /db/request (node/cli/sql_result.h). */
#include <string.h>

#include "node/cli/reply.h"
#include "node/cli/sql_result.h"
#include "tests/fuzz/target.h"

/* The answers of a stream, one after the other. */
static void read_answers(const uint8_t *bytes, size_t n)
{
    const char *p = (const char *)bytes;

    while (n > 0) {
        struct reply r, again;
        struct error e;
        bool whole = false;

        if (reply_parse(p, n, &whole, &r, &e) != 0) {
            FUZZ_CHECK(e.code == Q_CORRUPT || e.code == Q_TOO_BIG, "a refusal has one of the promised codes");
            return;
        }
        if (!whole) {
            return;
        }
        FUZZ_CHECK(r.total > 0 && r.total <= n && r.body >= p && r.body + r.len == p + r.total,
                   "an answer is within the bytes");
        FUZZ_CHECK(r.status >= 100 && r.status <= 999, "a status has three digits");
        FUZZ_CHECK(reply_parse(p, r.total, &whole, &again, &e) == 0 && whole && again.total == r.total,
                   "where it ends does not depend on what follows");
        FUZZ_CHECK(reply_parse(p, r.total - 1, &whole, &again, &e) == 0 && !whole, "nor is a part of it one");
        p += r.total;
        n -= r.total;
    }
}

static void print_result(const uint8_t *bytes, size_t n)
{
    struct buf body;
    struct error e, same;
    FILE *to = fopen("/dev/null", "w");
    int rv;

    FUZZ_CHECK(to != NULL, "there is a place for it");
    buf_init(&body, FUZZ_INPUT_MAX);
    buf_put_bytes(&body, bytes, n);
    rv = sql_result_print(&body, true, to, &e);
    FUZZ_CHECK(rv == 0 || e.code == Q_SQL || e.code == Q_UNKNOWN || e.code == Q_IO || e.code == Q_CORRUPT,
               "a refusal has one of the codes that are promised");
    FUZZ_CHECK(sql_result_check(&body, &same) == rv || rv == Q_CORRUPT, "it is checked as it is printed");
    fclose(to);
    buf_close(&body);
}

static void run(const uint8_t *p, size_t n)
{
    read_answers(p, n);
    print_result(p, n);
}

static void seeds(struct seeds *s)
{
    static const char *const texts[] = {
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhelloHTTP/1.1 204 No "
        "Content\r\n\r\n",
        "HTTP/1.1 503 Busy\r\nretry-after:  7 \r\ncontent-length: 0\r\n\r\n",
        "HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        "{\"results\":[{\"columns\":[\"a\",\"b\"],\"types\":[\"\",\"text\"],\"values\":[[1,\"caf\\u00e9\"],["
        "2.5,null]],"
        "\"time\":0.1},{\"last_insert_id\":1,\"rows_affected\":2},{\"error\":\"no such "
        "table\"},{}],\"time\":0.2}",
        "{\"results\":[],\"error\":\"leader not found\",\"outcome\":\"unknown\"}",
    };
    char name[8];

    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        snprintf(name, sizeof name, "%u", i);
        seeds_add(s, name, texts[i], strlen(texts[i]));
    }
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
