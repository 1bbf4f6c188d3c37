#include "node/http/verify_api.h"

#include <stdio.h>
#include <stdlib.h>

#include "node/http/json.h"
#include "node/http/params.h"

enum { VERIFY_MAGIC = 0x56524631, ANSWER_MAX = 4096 };

/* A client that waits for a check. */
struct verify {
    OBJECT_MAGIC;
    struct api *api;
    struct http_request *http;
    struct replica_check check;
};

static void put_hex(struct json *j, const char *key, const uint8_t *p, size_t n)
{
    char hex[2 * DIGEST_BYTES + 1];

    for (size_t i = 0; i < n; i++) {
        snprintf(hex + 2 * i, 3, "%02x", p[i]);
    }
    js_key(j, key);
    js_string(j, hex);
}

static void respond(struct verify *v)
{
    const struct store_check *found = &v->check.found;
    struct buf out;
    struct json j;

    buf_init(&out, ANSWER_MAX);
    js_init(&j, &out, params_flag(v->http, "pretty"));
    js_begin_object(&j);
    js_key(&j, "node");
    js_unsigned(&j, v->api->id);
    js_key(&j, "index");
    js_unsigned(&j, found->index);
    put_hex(&j, "digest", found->digest, sizeof found->digest);
    js_key(&j, "ok");
    js_bool(&j, found->ok);
    js_key(&j, "differing");
    js_string(&j, found->differing);
    js_end_object(&j);
    http_respond(v->http, 200, API_JSON, &out);
    buf_close(&out);
}

static void on_checked(struct replica_check *check, const struct error *failed)
{
    struct verify *v = CAST(struct verify, CONTAINER_OF(check, struct verify, check), VERIFY_MAGIC);

    if (failed != NULL) {
        api_respond_error(v->http, 503, failed->text);
    } else {
        respond(v);
    }
    v->magic = 0;
    free(v);
}

void verify_api_handle(void *ctx, struct http_request *r)
{
    struct verify *v = calloc(1, sizeof *v);
    struct error e;

    if (v == NULL) {
        api_respond_error(r, 503, "out of memory");
        return;
    }
    v->magic = VERIFY_MAGIC;
    v->api = ctx;
    v->http = r;
    v->check.done = on_checked;
    if (replica_check(v->api->config.replica, &v->check, &e) != 0) {
        api_respond_error(r, 503, e.text);
        free(v);
    }
}
