/* kv list: keys in order, page by page. */
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/base64.h"
#include "node/cli/command.h"
#include "node/cli/kv_call.h"
#include "node/cli/percent.h"
#include "node/cli/table.h"

enum { PAGE_MAX = 10000, PAGE_WITH_VALUES = 500 };

static const struct args_option options[] = {
    {"prefix", ARGS_TEXT, "TEXT", "", 0, 0, "only keys that begin with it"},
    {"after", ARGS_TEXT, "KEY", NULL, 0, 0, "only keys that sort behind it"},
    {"limit", ARGS_NUMBER, "N", NULL, 1, INT64_MAX, "at most so many keys (all)"},
    {"values", ARGS_FLAG, NULL, NULL, 0, 0, "print the values too"},
    {"count", ARGS_FLAG, NULL, NULL, 0, 0, "print only how many keys there are"},
    {"level", ARGS_TEXT, "LEVEL", "linearizable", 0, 0, "none, weak, linearizable or strong"},
};

struct listing {
    const struct args *args;
    struct client *client;
    struct table table;
    json_t *keys;      /* with --json: all of them */
    struct buf cursor; /* the query part that leads to the next page: "&after=..." */
    uint64_t count, limit;
    bool more;
};

/* The bytes of NAME in ITEM, or of its base64 form; false if there is neither. */
static bool bytes_of(const json_t *item, const char *name, struct buf *to)
{
    char name_base64[32];
    const json_t *text = json_object_get(item, name), *base64;

    snprintf(name_base64, sizeof name_base64, "%s_base64", name);
    base64 = json_object_get(item, name_base64);
    if (json_is_string(text)) {
        buf_put_bytes(to, json_string_value(text), json_string_length(text));
        return true;
    }
    return json_is_string(base64) &&
           base64_put_decoded(to, json_string_value(base64), json_string_length(base64));
}

static bool add_value(struct listing *l, const json_t *item)
{
    const json_t *value = json_object_get(item, "value");
    struct buf bytes;
    bool good;

    buf_init(&bytes, KV_VALUE_MAX);
    good = json_is_string(value) &&
           base64_put_decoded(&bytes, json_string_value(value), json_string_length(value));
    table_add_bytes(&l->table, bytes.data, bytes.len);
    buf_close(&bytes);
    return good;
}

static int take_key(struct listing *l, json_t *item, struct error *e)
{
    const json_t *version = json_object_get(item, "version");
    struct buf key;
    bool good;

    l->count++;
    if (args_flag(l->args, "count")) {
        return 0;
    }
    if (l->keys != NULL) {
        return json_array_append(l->keys, item) == 0 ? 0
                                                     : error_set(e, Q_NOMEM, "out of memory for the keys");
    }
    buf_init(&key, KV_TARGET_MAX);
    good = bytes_of(item, "key", &key) && json_is_integer(version);
    table_add_bytes(&l->table, key.data, key.len);
    table_addf(&l->table, "%" JSON_INTEGER_FORMAT, json_integer_value(version));
    if (args_flag(l->args, "values")) {
        good = add_value(l, item) && good;
    }
    buf_close(&key);
    return good ? 0 : error_set(e, Q_CORRUPT, "the answer lists a key without name, version or value");
}

/* Where the next page begins. */
static bool take_cursor(struct listing *l, const json_t *root)
{
    const json_t *base64 = json_object_get(root, "next_base64"), *next = json_object_get(root, "next");
    const json_t *from = base64 != NULL ? base64 : next;

    buf_clear(&l->cursor);
    buf_printf(&l->cursor, base64 != NULL ? "&after_base64=" : "&after=");
    if (json_is_string(from)) {
        percent_put(&l->cursor, json_string_value(from), json_string_length(from));
    }
    return json_is_string(from) && l->cursor.failed == Q_OK;
}

static int take_page(struct listing *l, const struct client_response *response, struct error *e)
{
    json_t *root = json_loadb((const char *)response->body.data, response->body.len, JSON_ALLOW_NUL, NULL);
    const json_t *keys = json_object_get(root, "keys");
    int rv = json_is_array(keys) ? 0 : error_set(e, Q_CORRUPT, "the answer is not a list of keys");

    for (size_t i = 0; rv == 0 && i < json_array_size(keys) && l->count < l->limit; i++) {
        rv = take_key(l, json_array_get(keys, i), e);
    }
    l->more = rv == 0 && json_is_true(json_object_get(root, "more")) && json_array_size(keys) > 0;
    if (l->more && !take_cursor(l, root)) {
        rv = error_set(e, Q_CORRUPT, "the answer does not say where the next page begins");
    }
    json_decref(root);
    return rv;
}

static int fetch_page(struct listing *l, struct error *e)
{
    const struct args *a = l->args;
    uint64_t left = l->limit - l->count, page = args_flag(a, "values") ? PAGE_WITH_VALUES : PAGE_MAX;
    struct client_response response;
    struct buf target;
    int rv;

    buf_init(&target, KV_TARGET_MAX);
    kv_target(&target, a->words[0], NULL);
    buf_printf(&target, "?limit=%" PRIu64 "&level=%s%s&prefix=", left < page ? left : page,
               args_text(a, "level"), args_flag(a, "values") ? "&values" : "");
    percent_put(&target, args_text(a, "prefix"), strlen(args_text(a, "prefix")));
    buf_put_bytes(&target, l->cursor.data, l->cursor.len);
    buf_put_u8(&target, 0);
    rv = buf_check(&target, "the request", e);
    if (rv == 0) {
        struct client_request request = {
            .method = "GET", .target = (const char *)target.data, .policy = CLIENT_REPEATABLE};
        rv = client_call(l->client, &request, &response, e);
    }
    if (rv == 0) {
        rv = client_refusal(&response, e);
        if (rv == 0) {
            rv = take_page(l, &response, e);
        }
        client_response_close(&response);
    }
    buf_close(&target);
    return rv;
}

static int print_list(struct listing *l, struct error *e)
{
    if (l->keys != NULL) {
        json_t *root =
            json_pack("{s:I,s:b,s:O}", "count", (json_int_t)l->count, "more", l->more, "keys", l->keys);
        json_dumpf(root, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(root);
        return 0;
    }
    if (args_flag(l->args, "count")) {
        printf("%" PRIu64 "\n", l->count);
        return 0;
    }
    return table_print(&l->table, stdout, e);
}

static int list_all(struct listing *l, struct error *e)
{
    const char *after = args_text(l->args, "after");
    bool values = args_flag(l->args, "values");
    int rv = 0;

    l->limit = args_given(l->args, "limit") ? (uint64_t)args_number(l->args, "limit") : UINT64_MAX;
    l->more = true;
    buf_init(&l->cursor, KV_TARGET_MAX);
    table_init(&l->table, values ? 3 : 2);
    table_align_right(&l->table, 1);
    table_add(&l->table, "key");
    table_add(&l->table, "version");
    if (values) {
        table_add(&l->table, "value");
    }
    if (args_flag(l->args, "json")) {
        l->keys = json_array();
        rv = l->keys != NULL ? 0 : error_set(e, Q_NOMEM, "out of memory for the keys");
    }
    if (after != NULL) {
        buf_printf(&l->cursor, "&after=");
        percent_put(&l->cursor, after, strlen(after));
    }
    while (rv == 0 && l->more && l->count < l->limit) {
        rv = fetch_page(l, e);
    }
    if (rv == 0) {
        rv = print_list(l, e);
    }
    table_close(&l->table);
    buf_close(&l->cursor);
    json_decref(l->keys);
    return rv;
}

static enum outcome run(const struct args *a, struct error *e)
{
    struct listing l = {.args = a};
    int rv = command_check_level(args_text(a, "level"), e);

    if (rv != 0 || command_client(a, &l.client, e) != 0) {
        return OUTCOME_USAGE;
    }
    rv = list_all(&l, e);
    client_free(l.client);
    return rv == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
}

const struct command kv_list_command = {
    .name = "kv list",
    .usage = "NAMESPACE",
    .summary = "list the keys of a namespace",
    .details =
        "Keys come in the order of their bytes. Without --limit all pages are fetched. With --json values\n"
        "are base64, and keys that are not UTF-8 appear as key_base64.\n",
    .options = options,
    .option_count = sizeof options / sizeof options[0],
    .words_min = 1,
    .words_max = 1,
    .run = run,
};
