/* kv get, put, delete: one key at a time. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "node/cli/command.h"
#include "node/cli/kv_call.h"

enum { READ_AT_ONCE = 64 * 1024 };

/* ---- get ---- */

static const struct args_option get_options[] = {
    {"level", ARGS_TEXT, "LEVEL", "linearizable", 0, 0, "none, weak, linearizable or strong"},
};

/* The value's bytes and nothing else; a line end is added on a terminal only. */
static int print_value(const struct args *a, const struct client_response *response, struct error *e)
{
    const struct buf *body = &response->body;

    if (args_flag(a, "json")) {
        json_t *text = json_stringn(body->len > 0 ? (const char *)body->data : "", body->len);
        json_t *root = json_pack("{s:s,s:I,s:o*}", "key", a->words[1], "version",
                                 (json_int_t)strtoull(response->etag + (response->etag[0] == '"'), NULL, 10),
                                 "value", text);
        if (root == NULL || text == NULL) {
            json_decref(root);
            return error_set(e, Q_INVALID, "the value is not UTF-8 text: read it without --json");
        }
        json_dumpf(root, stdout, JSON_COMPACT);
        putchar('\n');
        json_decref(root);
    } else {
        fwrite(body->data, 1, body->len, stdout);
        if (isatty(STDOUT_FILENO) && (body->len == 0 || body->data[body->len - 1] != '\n')) {
            putchar('\n');
        }
    }
    return fflush(stdout) == 0 ? 0 : error_errno(e, errno, "writing the value");
}

static enum outcome get(const struct args *a, struct error *e)
{
    struct client *client = NULL;
    struct client_response response;
    struct buf target;
    int rv = command_check_level(args_text(a, "level"), e);

    if (rv != 0 || command_client(a, &client, e) != 0) {
        return OUTCOME_USAGE;
    }
    buf_init(&target, KV_TARGET_MAX);
    kv_target(&target, a->words[0], a->words[1]);
    buf_printf(&target, "?level=%s%c", args_text(a, "level"), 0);
    rv = buf_check(&target, "the key", e);
    if (rv == 0) {
        struct client_request request = {
            .method = "GET", .target = (const char *)target.data, .policy = CLIENT_REPEATABLE};
        rv = client_call(client, &request, &response, e);
    }
    if (rv == 0) {
        rv = client_refusal(&response, e);
        if (rv == 0) {
            rv = print_value(a, &response, e);
        }
        client_response_close(&response);
    }
    buf_close(&target);
    client_free(client);
    return rv == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
}

const struct command kv_get_command = {
    .name = "kv get",
    .usage = "NAMESPACE KEY",
    .summary = "print the value of a key",
    .options = get_options,
    .option_count = sizeof get_options / sizeof get_options[0],
    .words_min = 2,
    .words_max = 2,
    .run = get,
};

/* ---- put, delete ---- */

#define CONDITIONS                                                                                           \
    {"if-version", ARGS_NUMBER, "N", NULL, 1, INT64_MAX, "only if the key has this version"},                \
        {"if-absent", ARGS_FLAG, NULL, NULL, 0, 0, "only if there is no such key"},                          \
    {                                                                                                        \
        "if-exists", ARGS_FLAG, NULL, NULL, 0, 0, "only if there is such a key"                              \
    }

static const struct args_option put_options[] = {
    {"file", ARGS_TEXT, "FILE", NULL, 0, 0, "take the value from this file"}, CONDITIONS};
static const struct args_option delete_options[] = {CONDITIONS};

static int read_stream(FILE *from, const char *name, struct buf *to, struct error *e)
{
    size_t n = 1;

    while (n > 0) {
        uint8_t *p = buf_reserve(to, READ_AT_ONCE);
        if (p == NULL) {
            return buf_check(to, "the value", e);
        }
        n = fread(p, 1, READ_AT_ONCE, from);
        to->len += n;
    }
    return ferror(from) ? error_errno(e, errno, "reading %s", name) : 0;
}

static int read_value(const struct args *a, struct buf *to, struct error *e)
{
    const char *path = args_text(a, "file"), *word = a->word_count == 3 ? a->words[2] : NULL;
    FILE *file;
    int rv;

    if ((path != NULL) == (word != NULL)) {
        return error_set(e, Q_INVALID, "give the value as a word, as - for standard input, or with --file");
    }
    if (word != NULL && strcmp(word, "-") != 0) {
        buf_put_bytes(to, word, strlen(word));
        return buf_check(to, "the value", e);
    }
    if (word != NULL) {
        return read_stream(stdin, "standard input", to, e);
    }
    file = fopen(path, "rbe");
    if (file == NULL) {
        return error_errno(e, errno, "%s", path);
    }
    rv = read_stream(file, path, to, e);
    fclose(file);
    return rv;
}

static int print_version(const struct args *a, const struct client_response *response, struct error *e)
{
    json_t *root = json_loadb((const char *)response->body.data, response->body.len, 0, NULL);
    const json_t *version = json_object_get(root, "version");
    int rv = 0;

    if (!json_is_integer(version)) {
        rv = error_set(e, Q_CORRUPT, "%s: the answer is not one of /v1/kv/", response->endpoint);
    } else if (args_flag(a, "json")) {
        printf("%s\n", (const char *)response->body.data);
    } else {
        printf("version %" JSON_INTEGER_FORMAT "\n", json_integer_value(version));
    }
    json_decref(root);
    return rv;
}

/* A write is sent again only if it was certainly not done: a second put under a condition would fail after
 * the first succeeded. One without a condition may be repeated. */
static enum outcome write_key(const struct args *a, const char *method, const struct buf *value,
                              struct error *e)
{
    struct client *client = NULL;
    struct client_response response;
    struct buf target;
    char condition[64];
    int rv;

    if (kv_condition(a, condition, e) != 0 || command_client(a, &client, e) != 0) {
        return OUTCOME_USAGE;
    }
    buf_init(&target, KV_TARGET_MAX);
    kv_target(&target, a->words[0], a->words[1]);
    buf_put_u8(&target, 0);
    rv = buf_check(&target, "the key", e);
    if (rv == 0) {
        struct client_request request = {
            .method = method,
            .target = (const char *)target.data,
            .body = value != NULL && value->len > 0 ? (const void *)value->data
                    : value != NULL                 ? ""
                                                    : NULL,
            .len = value != NULL ? value->len : 0,
            .headers = {"Content-Type: application/octet-stream", condition[0] != 0 ? condition : NULL},
            .policy = condition[0] != 0 ? CLIENT_ONCE : CLIENT_REPEATABLE,
        };
        rv = client_call(client, &request, &response, e);
    }
    if (rv == 0) {
        rv = client_refusal(&response, e);
        if (rv == 0) {
            rv = print_version(a, &response, e);
        }
        client_response_close(&response);
    }
    buf_close(&target);
    client_free(client);
    return rv == 0 ? OUTCOME_DONE : OUTCOME_FAILED;
}

static enum outcome put(const struct args *a, struct error *e)
{
    struct buf value;
    enum outcome outcome;

    buf_init(&value, KV_VALUE_MAX);
    outcome = read_value(a, &value, e) != 0 ? (e->code == Q_INVALID ? OUTCOME_USAGE : OUTCOME_FAILED)
                                            : write_key(a, "PUT", &value, e);
    buf_close(&value);
    return outcome;
}

static enum outcome delete_key(const struct args *a, struct error *e)
{
    return write_key(a, "DELETE", NULL, e);
}

const struct command kv_put_command = {
    .name = "kv put",
    .usage = "NAMESPACE KEY VALUE|-",
    .summary = "set a key",
    .details = "VALUE - is standard input. Prints the key's new version.\n",
    .options = put_options,
    .option_count = sizeof put_options / sizeof put_options[0],
    .words_min = 2,
    .words_max = 3,
    .run = put,
};

const struct command kv_delete_command = {
    .name = "kv delete",
    .usage = "NAMESPACE KEY",
    .summary = "delete a key",
    .options = delete_options,
    .option_count = sizeof delete_options / sizeof delete_options[0],
    .words_min = 2,
    .words_max = 2,
    .run = delete_key,
};
