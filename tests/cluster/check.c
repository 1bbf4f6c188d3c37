#include "tests/cluster/check.h"

#include <inttypes.h>
#include <jansson.h>
#include <openssl/evp.h>
#include <string.h>

#include "tests/unit/test.h"

enum { ANSWER_MS = 15000, PAGE_KEYS = 1000, VALUE_MAX = 1024 * 1024 };

/* RET_ANY: one of them, to compare the others with. */
static bool settled(struct processes *ps, unsigned count, struct status *ret_status, unsigned *ret_any)
{
    unsigned any = count;

    for (unsigned i = 0; i < count; i++) {
        struct status *s = &ret_status[i];
        if (ps->node[i].gone) {
            continue;
        }
        any = any == count ? i : any;
        if (!processes_status(ps, i, s) || !s->ready || s->applied != s->log_last ||
            s->applied != ret_status[any].applied) {
            return false;
        }
    }
    *ret_any = any;
    return any < count;
}

void check_settled_among(struct processes *ps, unsigned count)
{
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    struct status status[PROCESSES_MAX];
    unsigned any;

    memset(status, 0, sizeof status);
    while (!settled(ps, count, status, &any)) {
        processes_check_alive(ps);
        if (!deadline_wait(&deadline)) {
            for (unsigned i = 0; i < count; i++) {
                fprintf(stderr, "node %u: ready %d, applied %" PRIu64 " of %" PRIu64 "%s\n", i + 1,
                        status[i].ready, status[i].applied, status[i].log_last,
                        ps->node[i].gone ? ", gone" : "");
            }
            fail_msg("the nodes do not come to rest within %d ms", PROCESSES_WAIT_MS);
        }
    }
    for (unsigned i = 0; i < count; i++) {
        if (!ps->node[i].gone) {
            assert_string_equal(status[i].digest, status[any].digest);
        }
    }
}

void check_settled(struct processes *ps)
{
    check_settled_among(ps, ps->count);
}

/* ---- what one node holds, against what the load remembers ---- */

struct holding {
    const struct load *load;
    uint64_t node;
    json_t *values; /* key to base64 */
    struct buf value;
    uint64_t accounted;
};

static void read_all(struct processes *ps, unsigned i, json_t *ret_values)
{
    char after[LOAD_KEY_MAX + 16] = "", target[256];
    bool more = true;

    while (more) {
        json_t *page, *item;
        size_t at;
        char *body;

        snprintf(target, sizeof target, "/v1/kv/" LOAD_NAMESPACE "?values&level=none&limit=%d%s", PAGE_KEYS,
                 after);
        assert_int_equal(check_ask(ps, i, "GET", target, NULL, &body), 200);
        page = json_loads(body, 0, NULL);
        free(body);
        assert_non_null(page);
        json_array_foreach(json_object_get(page, "keys"), at, item)
        {
            const char *key = json_string_value(json_object_get(item, "key"));
            assert_non_null(key);
            assert_null(json_object_get(ret_values, key));
            json_object_set(ret_values, key, json_object_get(item, "value"));
        }
        more = json_is_true(json_object_get(page, "more"));
        if (more) {
            snprintf(after, sizeof after, "&after=%s", json_string_value(json_object_get(page, "next")));
        }
        json_decref(page);
    }
}

static bool same_value(struct holding *h, const char *key, const char *base64)
{
    unsigned char *wanted;
    bool same;

    load_value(h->load, key, &h->value);
    wanted = malloc(h->value.len * 4 / 3 + 8);
    assert_non_null(wanted);
    EVP_EncodeBlock(wanted, h->value.data, (int)h->value.len);
    same = base64 != NULL && strcmp((const char *)wanted, base64) == 0;
    free(wanted);
    return same;
}

static void compare_one(void *ctx, const char *key, enum load_outcome outcome)
{
    struct holding *h = ctx;
    const json_t *held = json_object_get(h->values, key);

    if (held == NULL && outcome == LOAD_ACKNOWLEDGED) {
        fail_msg("node %" PRIu64 " has lost %s, which was acknowledged", h->node, key);
    }
    if (held != NULL && outcome == LOAD_REFUSED) {
        fail_msg("node %" PRIu64 " has %s, which was refused every time", h->node, key);
    }
    if (held != NULL && !same_value(h, key, json_string_value(held))) {
        fail_msg("node %" PRIu64 " has %s with another value than was written", h->node, key);
    }
    h->accounted += held != NULL;
}

void check_writes(struct processes *ps, const struct load *load)
{
    if (load_complaint(load) != NULL) {
        fail_msg("%s", load_complaint(load));
    }
    for (unsigned i = 0; i < ps->count; i++) {
        if (ps->node[i].gone) {
            continue;
        }
        struct holding h = {.load = load, .node = ps->node[i].id, .values = json_object()};
        buf_init(&h.value, VALUE_MAX);
        read_all(ps, i, h.values);
        load_each(load, compare_one, &h);
        assert_int_equal(h.accounted, json_object_size(h.values));
        json_decref(h.values);
        buf_close(&h.value);
    }
    print_message("           %" PRIu64 " writes acknowledged, %" PRIu64 " refused, %" PRIu64 " unknown\n",
                  load_count(load, LOAD_ACKNOWLEDGED), load_count(load, LOAD_REFUSED),
                  load_count(load, LOAD_UNKNOWN));
}

/* ---- single questions ---- */

int check_ask(struct processes *ps, unsigned i, const char *method, const char *target, const char *body,
              char **ret_body)
{
    struct http_ask ask = {
        .method = method, .target = target, .body = body, .len = body != NULL ? strlen(body) : 0};
    struct deadline deadline = deadline_in(ANSWER_MS);
    struct http_reply reply;
    int status;

    if (http_client_ask(&ps->node[i].client, &ask, &deadline, &reply) != HTTP_ANSWERED) {
        fail_msg("node %" PRIu64 " does not answer %s %s", ps->node[i].id, method, target);
    }
    status = reply.status;
    if (ret_body != NULL) {
        *ret_body = reply.body;
        reply.body = NULL;
    }
    http_reply_close(&reply);
    return status;
}

void check_answer(struct processes *ps, unsigned i, const char *method, const char *target, const char *body,
                  int status)
{
    char *said;
    int got = check_ask(ps, i, method, target, body, &said);

    if (got != status) {
        fail_msg("node %" PRIu64 " answers %s %s with %d, not %d: %s", ps->node[i].id, method, target, got,
                 status, said);
    }
    free(said);
}

void check_value(struct processes *ps, unsigned i, const char *key, const char *level, const char *value)
{
    char target[256], *said;

    snprintf(target, sizeof target, "/v1/kv/%s?level=%s", key, level);
    assert_int_equal(check_ask(ps, i, "GET", target, NULL, &said), 200);
    assert_string_equal(said, value);
    free(said);
}
