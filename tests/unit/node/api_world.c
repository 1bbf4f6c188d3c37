#include "tests/unit/node/api_world.h"

#include <unistd.h>

#include "tests/unit/test.h"

int api_world_open(void **state)
{
    struct api_world *w = calloc(1, sizeof *w);
    struct error e;
    unsigned count;
    const struct http_route *routes = api_routes(&count);

    world_init(&w->http, routes, count, NULL);
    fake_replica_open(&w->replica, &w->http.loop);
    metrics_init(&w->metrics);
    struct api_config config = {.replica = &w->replica,
                                .metrics = &w->metrics,
                                .env = &w->replica.env,
                                .command_max = 512 * 1024,
                                .reply_max = 1024 * 1024,
                                .ctx = w};
    assert_int_equal(api_new(&config, &w->api, &e), 0);
    assert_ptr_equal(api_owner(w->api), w);
    w->http.config.ctx = w->api;
    w->http.config.gate = api_gate;
    w->http.config.prepare = api_prepare;
    w->http.config.sink = api_sink;
    world_open(&w->http);
    http_server_metrics(w->http.server, &w->metrics);
    *state = w;
    return 0;
}

int api_world_close(void **state)
{
    struct api_world *w = *state;
    world_stop(&w->http);
    api_free(w->api);
    world_close(&w->http);
    fake_replica_close(&w->replica);
    free(w);
    return 0;
}

struct reply ask(struct api_world *w, const char *method, const char *target, const char *headers,
                 const char *body)
{
    size_t n = body != NULL ? strlen(body) : 0, max = strlen(target) + strlen(headers) + n + 200;
    char *text = malloc(max), *split;
    struct reply r;

    snprintf(text, max, "%s %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %zu\r\n%s\r\n%s",
             method, target, n, headers, body != NULL ? body : "");
    r.head = world_ask(&w->http, text);
    free(text);
    assert_memory_equal(r.head, "HTTP/1.1 ", 9);
    r.status = (int)strtol(r.head + 9, NULL, 10);
    split = strstr(r.head, "\r\n\r\n");
    assert_non_null(split);
    split[2] = '\0';
    r.body = split + 4;
    /* What rule 1.1 asks of every answer whatever. */
    assert_string_equal(reply_header(&r, "X-RQLITE-VERSION"), API_VERSION);
    assert_string_equal(reply_header(&r, "Access-Control-Allow-Methods"), "OPTIONS, GET, POST");
    assert_string_equal(reply_header(&r, "Access-Control-Allow-Headers"), "Content-Type");
    assert_non_null(reply_header(&r, "X-Quorate-Index"));
    return r;
}

struct reply get(struct api_world *w, const char *target)
{
    return ask(w, "GET", target, "", NULL);
}

struct reply post(struct api_world *w, const char *target, const char *body)
{
    return ask(w, "POST", target, "", body);
}

const char *reply_header(const struct reply *r, const char *name)
{
    static char value[4096];
    char wanted[100];
    const char *line;

    snprintf(wanted, sizeof wanted, "\r\n%s: ", name);
    line = strcasestr(r->head, wanted);
    if (line == NULL) {
        return NULL;
    }
    snprintf(value, sizeof value, "%s", line + strlen(wanted));
    value[strcspn(value, "\r")] = '\0';
    return value;
}

void expect(const struct reply *r, int status, const char *body)
{
    if (r->status != status || strcmp(r->body, body) != 0) {
        fail_msg("%d %s instead of %d %s", r->status, r->body, status, body);
    }
}
