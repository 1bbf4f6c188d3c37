#include "node/http/kv_api.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "node/http/exchange.h"
#include "node/http/json.h"
#include "node/http/params.h"
#include "storage/result.h"
#include "storage/utf8.h"

enum { KV_LIST_DEFAULT = 100 };

struct kv_exchange {
    struct exchange x;
    /* What render found; for finish. */
    bool done, found;
    uint64_t version;
    bool unchanged; /* If-None-Match of a GET holds */
};

struct kv_path {
    char *bytes; /* namespace and key, decoded; owned */
    struct cursor ns, key;
    bool has_key;
};

/* ---- what is asked ---- */

static int read_path(const char *path, struct kv_path *ret_path, struct error *e)
{
    const char *ns = path + strlen("/v1/kv/"), *slash = strchr(ns, '/');
    size_t ns_len = slash != NULL ? (size_t)(slash - ns) : strlen(ns), key_len = 0;
    char *bytes = malloc(strlen(ns) + 1);

    if (bytes == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a key");
    }
    if (slash != NULL) {
        size_t at = ns_len;
        if (!http_decode_segment(slash + 1, strlen(slash + 1), bytes + at, &key_len)) {
            free(bytes);
            return error_set(e, Q_INVALID, "the key has a malformed percent escape");
        }
    }
    if (!http_decode_segment(ns, ns_len, bytes, &ns_len)) {
        free(bytes);
        return error_set(e, Q_INVALID, "the namespace has a malformed percent escape");
    }
    *ret_path = (struct kv_path){.bytes = bytes,
                                 .ns = cursor_of(bytes, ns_len),
                                 .key = cursor_of(bytes + (slash != NULL ? slash - ns : 0), key_len),
                                 .has_key = slash != NULL};
    return 0;
}

static int read_level(const struct http_request *r, enum read_level *ret_level, struct error *e)
{
    static const char *const names[] = {[READ_NONE] = "none",
                                        [READ_WEAK] = "weak",
                                        [READ_LINEARIZABLE] = "linearizable",
                                        [READ_STRONG] = "strong"};
    const char *name = http_param(r, "level");

    if (name == NULL) {
        *ret_level = READ_LINEARIZABLE;
        return 0;
    }
    for (unsigned i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(name, names[i]) == 0) {
            *ret_level = (enum read_level)i;
            return 0;
        }
    }
    return error_set(e, Q_INVALID, "level must be none, weak, linearizable or strong");
}

/* "N", as our ETag has it. */
static bool read_etag(const char *text, uint64_t *ret_version)
{
    char *end;
    if (text[0] != '"' || text[1] < '0' || text[1] > '9') {
        return false;
    }
    errno = 0;
    *ret_version = strtoull(text + 1, &end, 10);
    return errno == 0 && strcmp(end, "\"") == 0;
}

static int read_condition(const struct http_request *r, enum kv_condition *ret_condition,
                          uint64_t *ret_version, struct error *e)
{
    const char *match = http_header(r, "If-Match"), *none = http_header(r, "If-None-Match");

    *ret_condition = KV_ALWAYS;
    *ret_version = 0;
    if (match != NULL && none != NULL) {
        return error_set(e, Q_INVALID, "If-Match and If-None-Match together");
    }
    if (none != NULL) {
        *ret_condition = KV_IF_ABSENT;
        return strcmp(none, "*") == 0 ? 0 : error_set(e, Q_INVALID, "If-None-Match of a write can only be *");
    }
    if (match == NULL || PLANTED("if_match_is_not_read")) {
        return 0;
    }
    if (strcmp(match, "*") == 0) {
        *ret_condition = KV_IF_PRESENT;
        return 0;
    }
    *ret_condition = KV_IF_VERSION;
    return read_etag(match, ret_version)
               ? 0
               : error_set(e, Q_INVALID, "If-Match must be * or one version in quotes, such as \"7\"");
}

/* ---- answers ---- */

/* Past version and kind; a RESULT_ERROR becomes the exchange's error. */
static int open_result(const uint8_t *result, size_t n, enum result_kind wanted, struct cursor *ret_body,
                       struct error *e)
{
    struct cursor body = cursor_of(result, n);
    enum result_kind kind;
    struct error failed;
    int rc = result_decode(&body, &kind, &failed, e);

    if (rc != 0) {
        return rc;
    }
    if (kind == RESULT_ERROR) {
        *e = failed;
        return (int)failed.code;
    }
    if (kind != wanted) {
        return error_set(e, Q_CORRUPT, "the result is not one of this command");
    }
    *ret_body = body;
    return 0;
}

static int check_end(const struct cursor *c, struct error *e)
{
    return c->bad ? error_set(e, Q_CORRUPT, "the bytes of a result do not follow its format") : 0;
}

static void set_etag(struct http_request *r, uint64_t version)
{
    char text[24];
    snprintf(text, sizeof text, "\"%" PRIu64 "\"", version);
    http_set_header(r, "ETag", text);
}

static int render_write(struct kv_exchange *k, const uint8_t *result, size_t n, enum result_kind kind,
                        struct error *e)
{
    struct cursor body;
    int rc = open_result(result, n, kind, &body, e);

    if (rc == 0) {
        k->done = cursor_u8(&body) != 0;
        k->version = cursor_u64(&body);
        rc = check_end(&body, e);
    }
    return rc;
}

static int render_put(struct exchange *x, const uint8_t *result, size_t n, struct error *e)
{
    return render_write((struct kv_exchange *)x, result, n, RESULT_KV_PUT, e);
}

static int render_delete(struct exchange *x, const uint8_t *result, size_t n, struct error *e)
{
    return render_write((struct kv_exchange *)x, result, n, RESULT_KV_DELETE, e);
}

static void finish_write(struct exchange *x, const struct replica_answer *answer)
{
    struct kv_exchange *k = (struct kv_exchange *)x;
    struct json j;

    js_init(&j, &x->body, x->pretty);
    js_begin_object(&j);
    if (!k->done) {
        char text[80] = "the condition does not hold: there is no such key";
        if (k->version != 0) {
            snprintf(text, sizeof text, "the condition does not hold: the key has version %" PRIu64,
                     k->version);
        }
        js_key(&j, "error");
        js_string(&j, text);
    }
    js_key(&j, "version");
    js_unsigned(&j, k->version);
    if (k->done) {
        js_key(&j, "index");
        js_unsigned(&j, answer->index);
    }
    js_end_object(&j);
    if (k->version != 0) {
        set_etag(x->http, k->version);
    }
    http_respond(x->http, k->done ? 200 : 412, API_JSON, &x->body);
}

static int render_get(struct exchange *x, const uint8_t *result, size_t n, struct error *e)
{
    struct kv_exchange *k = (struct kv_exchange *)x;
    const char *none = http_header(x->http, "If-None-Match");
    struct cursor body, value;
    uint64_t known;
    int rc = open_result(result, n, RESULT_KV_GET, &body, e);

    if (rc != 0) {
        return rc;
    }
    k->found = cursor_u8(&body) != 0;
    k->version = cursor_u64(&body);
    value = cursor_blob(&body);
    k->unchanged = k->found && none != NULL &&
                   (strcmp(none, "*") == 0 || (read_etag(none, &known) && known == k->version));
    buf_put_bytes(&x->body, value.p, cursor_left(&value));
    return check_end(&body, e);
}

static void finish_get(struct exchange *x, const struct replica_answer *answer)
{
    struct kv_exchange *k = (struct kv_exchange *)x;
    (void)answer;

    if (!k->found) {
        api_respond_error(x->http, 404, "no such key");
        return;
    }
    set_etag(x->http, k->version);
    if (k->unchanged) {
        http_respond(x->http, 304, NULL, NULL);
    } else {
        http_respond(x->http, 200, "application/octet-stream", &x->body);
    }
}

static void put_key(struct json *j, const char *name, const char *name_base64, const struct cursor *key)
{
    if (utf8_valid(key->p, cursor_left(key))) {
        js_key(j, name);
        js_text(j, key->p, cursor_left(key));
    } else {
        js_key(j, name_base64);
        js_base64(j, key->p, cursor_left(key));
    }
}

static int render_list(struct exchange *x, const uint8_t *result, size_t n, struct error *e)
{
    struct cursor body, last = cursor_of(NULL, 0);
    struct json j;
    bool more, any = false;
    int rc = open_result(result, n, RESULT_KV_LIST, &body, e);

    if (rc != 0) {
        return rc;
    }
    js_init(&j, &x->body, x->pretty);
    js_begin_object(&j);
    js_key(&j, "keys");
    js_begin_array(&j);
    while (cursor_u8(&body) != 0) {
        struct cursor value;
        any = true;
        last = cursor_blob(&body);
        js_begin_object(&j);
        put_key(&j, "key", "key_base64", &last);
        js_key(&j, "version");
        js_unsigned(&j, cursor_u64(&body));
        bool has_value = cursor_u8(&body) != 0;
        value = cursor_blob(&body);
        if (has_value) {
            js_key(&j, "value");
            js_base64(&j, value.p, cursor_left(&value));
        }
        js_end_object(&j);
    }
    js_end_array(&j);
    more = cursor_u8(&body) != 0;
    js_key(&j, "more");
    js_bool(&j, more);
    if (more && any) {
        put_key(&j, "next", "next_base64", &last);
    }
    js_end_object(&j);
    return check_end(&body, e);
}

static void finish_list(struct exchange *x, const struct replica_answer *answer)
{
    (void)answer;
    http_respond(x->http, 200, API_JSON, &x->body);
}

/* ---- commands ---- */

static int put_list(struct exchange *x, const struct kv_path *path, struct error *e)
{
    size_t prefix_len = 0, after_len = 0, base64_len = 0;
    const char *prefix = http_param_bytes(x->http, "prefix", &prefix_len);
    const char *after = http_param_bytes(x->http, "after", &after_len);
    const char *base64 = http_param_bytes(x->http, "after_base64", &base64_len);
    uint8_t decoded[KV_KEY_MAX + 3];
    struct cursor from;
    uint64_t limit;

    if (after != NULL && base64 != NULL) {
        return error_set(e, Q_INVALID, "after and after_base64 together");
    }
    if (base64 != NULL) {
        if (base64_len / 4 * 3 > sizeof decoded ||
            !js_base64_decode(base64, base64_len, decoded, &after_len)) {
            return error_set(e, Q_INVALID, "after_base64 is not base64 of a key");
        }
        after = (const char *)decoded;
    }
    if (params_number(x->http, "limit", 1, KV_LIST_MAX, KV_LIST_DEFAULT, &limit, e) != 0) {
        return (int)e->code;
    }
    from = cursor_of(after, after_len);
    command_put_kv_list(&x->command, path->ns, cursor_of(prefix, prefix_len), after != NULL ? &from : NULL,
                        (uint32_t)limit, params_flag(x->http, "values"));
    x->render = render_list;
    x->finish = finish_list;
    return 0;
}

static int put_read(struct exchange *x, const struct kv_path *path, struct error *e)
{
    enum read_level level = READ_LINEARIZABLE;
    int rc = read_level(x->http, &level, e);

    if (rc != 0) {
        return rc;
    }
    exchange_set_level(x, level, true);
    if (!path->has_key) {
        return put_list(x, path, e);
    }
    command_put_kv_get(&x->command, path->ns, path->key);
    x->render = render_get;
    x->finish = finish_get;
    return 0;
}

static int put_write(struct exchange *x, const struct kv_path *path, struct error *e)
{
    enum kv_condition condition;
    uint64_t version;
    size_t n;
    const void *value = http_body(x->http, &n);
    int rc = read_condition(x->http, &condition, &version, e);

    if (rc != 0) {
        return rc;
    }
    if (!path->has_key) {
        return error_set(e, Q_INVALID, "the path has no key: /v1/kv/{namespace}/{key}");
    }
    if (http_method(x->http) == HTTP_METHOD_PUT) {
        command_put_kv_put(&x->command, path->ns, path->key, cursor_of(value, n), condition, version);
        x->render = render_put;
    } else {
        command_put_kv_delete(&x->command, path->ns, path->key, condition, version);
        x->render = render_delete;
    }
    x->finish = finish_write;
    return 0;
}

void kv_api_handle(void *ctx, struct http_request *r)
{
    struct kv_exchange *k = exchange_new(sizeof *k, ctx, r, EXCHANGE_JSON);
    bool writes = http_method(r) == HTTP_METHOD_PUT || http_method(r) == HTTP_METHOD_DELETE;
    struct kv_path path = {.bytes = NULL};
    struct error e;
    int rc;

    if (k == NULL) {
        return;
    }
    rc = read_path(http_path(r), &path, &e);
    if (rc == 0) {
        rc = writes ? put_write(&k->x, &path, &e) : put_read(&k->x, &path, &e);
        free(path.bytes);
    }
    if (rc != 0) {
        exchange_refuse(&k->x, &e);
        return;
    }
    exchange_submit(&k->x);
}
