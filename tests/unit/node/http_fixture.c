#include "tests/unit/node/http_fixture.h"

#include "tests/unit/test.h"

static void on_echo(void *ctx, struct http_request *r)
{
    struct fixture *f = ctx;
    size_t n;
    const uint8_t *bytes = http_body(r, &n);
    struct buf body;

    f->handled++;
    buf_init(&body, 4 * 1024 * 1024);
    buf_printf(&body, "%d %s %s [", http_method(r), http_path(r), http_raw_query(r));
    buf_put_bytes(&body, bytes, n);
    buf_printf(&body, "]");
    http_respond(r, 200, "text/plain", &body);
}

static void on_later(void *ctx, struct http_request *r)
{
    struct fixture *f = ctx;
    f->later[f->waiting++] = r;
}

static void on_param(void *ctx, struct http_request *r)
{
    size_t n = 0;
    const char *value = http_param_bytes(r, "p", &n);
    const char *error = http_query_error(r);
    struct buf body;

    (void)ctx;
    buf_init(&body, 65536);
    buf_printf(&body, "%s:", value != NULL ? "there" : "none");
    buf_put_bytes(&body, value, n);
    buf_printf(&body, ":%s:%s", error != NULL ? error : "fine",
               http_header(r, "x-test") != NULL ? http_header(r, "x-test") : "no header");
    http_respond(r, 200, NULL, &body);
}

static void on_big(void *ctx, struct http_request *r)
{
    size_t n = strtoul(http_param(r, "n"), NULL, 10);
    struct fixture *f = ctx;
    struct buf body;

    f->handled++;
    buf_init(&body, n);
    assert_non_null(buf_reserve(&body, n));
    memset(body.data, 'x', n);
    body.len = n;
    http_respond(r, 200, NULL, &body);
}

static const struct http_route routes[] = {
    {.path = "/echo", .prefix = true, .methods = ~0U, .handler = on_echo},
    {.path = "/later", .methods = 1U << HTTP_METHOD_GET, .handler = on_later},
    {.path = "/param", .methods = 1U << HTTP_METHOD_GET, .handler = on_param},
    {.path = "/big", .methods = 1U << HTTP_METHOD_GET | 1U << HTTP_METHOD_POST, .handler = on_big},
};

int fixture_open(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    world_init(&f->world, routes, sizeof routes / sizeof routes[0], f);
    *state = f;
    return 0;
}

int fixture_close(void **state)
{
    struct fixture *f = *state;
    world_close(&f->world);
    free(f);
    return 0;
}

void answer_text(struct http_request *r, const char *text)
{
    struct buf body;
    buf_init(&body, 1000);
    buf_printf(&body, "%s", text);
    http_respond(r, 200, NULL, &body);
}

void wait_for_later(struct fixture *f, unsigned count)
{
    uint64_t end = uv_hrtime() + WORLD_WAIT_MS * UINT64_C(1000000);
    while (f->waiting < count) {
        assert_true(uv_hrtime() < end);
        world_turn(&f->world);
    }
}

int status_of(const char *text)
{
    assert_memory_equal(text, "HTTP/1.1 ", 9);
    return (int)strtol(text + 9, NULL, 10);
}
