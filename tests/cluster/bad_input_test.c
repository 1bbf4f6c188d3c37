/* What clients should not send: each gets a status or is cut off, nothing is changed by it, and others do not
 * notice.
 */
#include "tests/cluster/scene.h"

#include <string.h>

#include "base/rng.h"

enum {
    ANSWER_MS = 15000,
    SOME = 60,
    IDLE_CLIENTS = 200,
    DEAF_CLIENTS = 4,
    PIPELINED = 20,
    BIG_VALUE = 256 * 1024,
    REQUEST_MAX = 1024 * 1024,
    /* What the deaf ones may be kept: all that they asked for, and as much again. */
    GROWTH_KB = 64 * 1024,
    MUTATIONS = 2000,
};

/* Small limits, so that breaking them costs little. */
static const char *const options[] = {"--request-max=1M", NULL};

struct bad {
    int status;
    const char *request; /* without a body of its own if BODY is given */
    const char *body;
};

#define EXECUTE                   "POST /db/execute HTTP/1.1\r\nHost: q\r\n"
#define QUERY                     "POST /db/query HTTP/1.1\r\nHost: q\r\n"
#define KV(method, rest, headers) method " /v1/kv/" rest " HTTP/1.1\r\nHost: q\r\n" headers

static const struct bad bads[] = {
    /* JSON that is none, and JSON of a wrong type. */
    {400, EXECUTE, ""},
    {400, EXECUTE, "{"},
    {400, EXECUTE, "[\"CREATE TABLE harm (a)\""},
    {400, EXECUTE, "[\"CREATE TABLE harm (a)\",]"},
    {400, EXECUTE, "null"},
    {400, EXECUTE, "{\"sql\":\"CREATE TABLE harm (a)\"}"},
    {400, EXECUTE, "\"CREATE TABLE harm (a)\""},
    {400, EXECUTE, "[1]"},
    {400, EXECUTE, "[[]]"},
    {400, EXECUTE, "[[1,\"CREATE TABLE harm (a)\"]]"},
    {400, EXECUTE, "[[\"CREATE TABLE harm (a)\",{\"a\":{\"b\":1}}]]"},
    {400, EXECUTE, "[[\"CREATE TABLE harm (a)\",[\"x\"]]]"},
    {400, EXECUTE, "[\"CREATE TABLE harm (a) -- \xff\xfe\"]"},
    {400, QUERY, "{\"q\":\"SELECT 1\"}"},
    {400, "POST /db/execute?timeout=soon HTTP/1.1\r\nHost: q\r\n", "[\"CREATE TABLE harm (a)\"]"},
    /* Keys and their conditions. */
    {400, KV("PUT", "bad", ""), "no key"},
    {400, KV("PUT", "bad/", ""), "an empty key"},
    {400, KV("PUT", "/key", ""), "an empty namespace"},
    {400, KV("PUT", "a%20b/key", ""), "a namespace with a blank"},
    {400, KV("PUT", "bad/%zz", ""), "a broken escape"},
    {400, KV("PUT", "bad/key", "If-Match: 7\r\n"), "a version without quotes"},
    {400, KV("PUT", "bad/key", "If-None-Match: \"7\"\r\n"), "a condition that is none of a write"},
    {400, KV("PUT", "bad/key", "If-Match: *\r\nIf-None-Match: *\r\n"), "two conditions"},
    {400, KV("GET", "bad/key?level=certain", "") "\r\n", NULL},
    {400, KV("GET", "bad?limit=0", "") "\r\n", NULL},
    {400, KV("GET", "bad?limit=many", "") "\r\n", NULL},
    {400, KV("GET", "bad?after=a&after_base64=YQ==", "") "\r\n", NULL},
    /* Paths and methods. */
    {404, "GET /no/such/path HTTP/1.1\r\nHost: q\r\n\r\n", NULL},
    {404, "GET /v1/kv HTTP/1.1\r\nHost: q\r\n\r\n", NULL},
    {405, KV("POST", "bad/key", ""), "x"},
    {405, "DELETE /status HTTP/1.1\r\nHost: q\r\n\r\n", NULL},
    {405, "GET /db/execute HTTP/1.1\r\nHost: q\r\n\r\n", NULL},
    {501, "FROB /status HTTP/1.1\r\nHost: q\r\n\r\n", NULL},
    /* Not HTTP, or not as we speak it. */
    {400, "\x16\x03\x01\x02\x01\x01\xfc\x03\x03 a TLS hello\r\n\r\n", NULL},
    {400, "*1\r\n$4\r\nPING\r\n\r\n", NULL},
    {505, "GET /status HTTP/2.0\r\nHost: q\r\n\r\n", NULL},
    {400, EXECUTE "Content-Length: -1\r\n\r\n", NULL},
    {400, EXECUTE "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", NULL},
    {400, EXECUTE "Transfer-Encoding: chunked\r\n\r\nxyz\r\n", NULL},
    /* More than the limits. */
    {413, EXECUTE "Content-Length: 1048577\r\n\r\n", NULL},
    {413, EXECUTE "Content-Length: 9000000000000000000\r\n\r\n", NULL},
};

/* The status of the answer to these bytes on a connection of its own; 0: cut off without one. */
static int status_of(const struct node *node, const void *bytes, size_t n)
{
    struct http_client client;
    struct deadline deadline = deadline_in(ANSWER_MS);
    struct http_reply reply;
    int status = 0;

    http_client_init(&client, &node->http);
    if (http_client_send_bytes(&client, bytes, n, &deadline) == HTTP_NOT_SENT) {
        fail_msg("node %u takes no connections", (unsigned)node->id);
    }
    if (http_client_receive(&client, &deadline, &reply) == HTTP_ANSWERED) {
        status = reply.status;
        http_reply_close(&reply);
    }
    http_client_close(&client);
    return status;
}

static void put_request(struct buf *b, const struct bad *bad)
{
    buf_clear(b);
    buf_put_bytes(b, bad->request, strlen(bad->request));
    if (bad->body != NULL) {
        buf_printf(b, "Content-Length: %zu\r\n\r\n%s", strlen(bad->body), bad->body);
    }
}

/* Nobody's content was changed: no table, and no key in the namespace of the bad requests. */
static void check_no_harm(struct processes *nodes)
{
    char *body;

    assert_int_equal(check_ask(nodes, 0, "GET", "/v1/kv/bad?level=linearizable", NULL, &body), 200);
    assert_string_equal(body, "{\"keys\":[],\"more\":false}");
    free(body);
    assert_int_equal(
        check_ask(nodes, 0, "GET",
                  "/db/query?level=linearizable&q=SELECT+name+FROM+sqlite_master+WHERE+name='harm'", NULL,
                  &body),
        200);
    assert_null(strstr(body, "values"));
    free(body);
}

static void bad_input_on_the_http_port_gets_a_status_and_harms_nobody(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, options);
    struct load *load = scene_load(scene);
    struct buf request;

    buf_init(&request, 4096);
    for (unsigned i = 0; i < sizeof bads / sizeof bads[0]; i++) {
        for (unsigned node = 0; node < nodes->count; node++) {
            int status;
            put_request(&request, &bads[i]);
            status = status_of(&nodes->node[node], request.data, request.len);
            if (status != bads[i].status) {
                fail_msg("node %u answers %d, not %d, to: %.*s", node + 1, status, bads[i].status,
                         (int)request.len, (const char *)request.data);
            }
        }
    }
    buf_close(&request);
    check_no_harm(nodes);
    load_wait_acknowledged(load, SOME);
    scene_check(scene);
    scene_finish(scene);
}

static void heads_keys_and_bodies_beyond_the_limits_are_refused(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, options);
    struct buf b;

    buf_init(&b, 4 * REQUEST_MAX);
    buf_put_bytes(&b, "GET /v1/kv/bad/", 15);
    buf_put_zeros(&b, 70000);
    memset(b.data + 15, 'k', 70000);
    buf_put_bytes(&b, " HTTP/1.1\r\nHost: q\r\n\r\n", 22);
    assert_int_equal(status_of(&nodes->node[0], b.data, b.len), 414);

    buf_clear(&b);
    buf_printf(&b, "PUT /v1/kv/bad/");
    for (unsigned i = 0; i < 4097; i++) {
        buf_put_u8(&b, 'k');
    }
    buf_printf(&b, " HTTP/1.1\r\nHost: q\r\nContent-Length: 1\r\n\r\nx");
    assert_int_equal(status_of(&nodes->node[0], b.data, b.len), 400);

    buf_clear(&b);
    buf_printf(&b, "GET /status HTTP/1.1\r\nHost: q\r\n");
    for (unsigned i = 0; i < 5000; i++) {
        buf_printf(&b, "X-Header-%u: value\r\n", i);
    }
    buf_printf(&b, "\r\n");
    assert_int_equal(status_of(&nodes->node[0], b.data, b.len), 431);

    buf_clear(&b);
    buf_printf(&b, EXECUTE "Content-Length: 600000\r\n\r\n");
    for (unsigned i = 0; i < 600000; i++) {
        buf_put_u8(&b, '[');
    }
    assert_int_equal(status_of(&nodes->node[0], b.data, b.len), 400);

    buf_clear(&b);
    buf_printf(&b, KV("PUT", "bad/key", "") "Transfer-Encoding: chunked\r\n\r\n%x\r\n", REQUEST_MAX + 1);
    buf_put_zeros(&b, REQUEST_MAX + 1);
    buf_printf(&b, "\r\n0\r\n\r\n");
    assert_int_equal(status_of(&nodes->node[0], b.data, b.len), 413);

    buf_close(&b);
    check_no_harm(nodes);
    check_answer(nodes, 0, "PUT", "/v1/kv/good/key", "value", 200);
    check_settled(nodes);
    scene_finish(scene);
}

/* Requests of the table with bytes changed and cut off, and noise. */
static void garbage_on_the_http_port_harms_nobody(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, options);
    struct load *load = scene_load(scene);
    struct rng rng;
    struct buf b;

    rng_init(&rng, 1);
    buf_init(&b, 64 * 1024);
    for (unsigned i = 0; i < MUTATIONS; i++) {
        const struct node *node = &nodes->node[i % nodes->count];
        struct http_client client;
        struct deadline deadline = deadline_in(ANSWER_MS);

        put_request(&b, &bads[rng_between(&rng, 0, sizeof bads / sizeof bads[0] - 1)]);
        if (i % 4 == 0) {
            rng_fill(&rng, b.data, b.len);
        }
        for (uint64_t changes = rng_between(&rng, 1, 8); changes > 0; changes--) {
            b.data[rng_between(&rng, 0, b.len - 1)] = (uint8_t)rng_next(&rng);
        }
        http_client_init(&client, &node->http);
        assert_int_not_equal(http_client_send_bytes(&client, b.data, rng_between(&rng, 1, b.len), &deadline),
                             HTTP_NOT_SENT);
        http_client_close(&client);
    }
    buf_close(&b);
    processes_check_alive(nodes);
    load_wait_acknowledged(load, SOME);
    scene_check(scene);
    scene_finish(scene);
}

static void clients_that_never_speak_and_never_read_cost_little_and_harm_nobody(void **state)
{
    static const char half[] = "PUT /v1/kv/bad/key HTTP/1.1\r\nHost: q\r\nContent-Length: 100\r\n\r\nhalf";
    static struct http_client idle[IDLE_CLIENTS], deaf[DEAF_CLIENTS];
    const struct http_ask big = {.method = "GET", .target = "/v1/kv/good/big?level=none"};
    struct scene *scene = *state;
    struct processes *nodes = scene_prepare(scene, options);
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    unsigned long before, after;
    struct load *load;
    char *value = calloc(1, BIG_VALUE + 1);

    assert_non_null(value);
    memset(value, 'v', BIG_VALUE);
    for (unsigned i = 0; i < nodes->count; i++) {
        /* What the sanitizer keeps of freed memory is not the product's. */
        process_set_variable(&nodes->node[i].process, "ASAN_OPTIONS", "quarantine_size_mb=8");
    }
    processes_start(nodes);
    check_answer(nodes, 0, "PUT", "/v1/kv/good/big", value, 200);
    free(value);
    check_settled(nodes);
    load = scene_load(scene);
    load_wait_acknowledged(load, SOME);
    before = process_memory_kb(&nodes->node[0].process);

    for (unsigned i = 0; i < IDLE_CLIENTS; i++) {
        http_client_init(&idle[i], &nodes->node[0].http);
        assert_int_equal(http_client_send_bytes(&idle[i], half, i % sizeof half, &deadline), HTTP_ANSWERED);
    }
    for (unsigned i = 0; i < DEAF_CLIENTS; i++) {
        http_client_init(&deaf[i], &nodes->node[0].http);
        for (unsigned j = 0; j < PIPELINED; j++) {
            http_client_send(&deaf[i], &big, &deadline);
        }
    }
    load_wait_acknowledged(load, SOME * 5);
    load_wait_read(load, SOME * 5);
    after = process_memory_kb(&nodes->node[0].process);
    if (after > before + GROWTH_KB) {
        fail_msg("node 1 grew from %lu to %lu kB", before, after);
    }

    for (unsigned i = 0; i < IDLE_CLIENTS; i++) {
        http_client_close(&idle[i]);
    }
    for (unsigned i = 0; i < DEAF_CLIENTS; i++) {
        http_client_close(&deaf[i]);
    }
    check_no_harm(nodes);
    scene_check(scene);
    scene_finish(scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(bad_input_on_the_http_port_gets_a_status_and_harms_nobody),
        SCENE(heads_keys_and_bodies_beyond_the_limits_are_refused),
        SCENE(garbage_on_the_http_port_harms_nobody),
        SCENE(clients_that_never_speak_and_never_read_cost_little_and_harm_nobody),
    };
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
