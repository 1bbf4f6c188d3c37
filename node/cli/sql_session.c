#include "node/cli/sql_session.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/splitter.h"
#include "node/cli/sql_result.h"

enum { SQL_SESSION_TEXT_MAX = 64 * 1024 * 1024, TARGET_MAX = 128 };

/* The statements of TEXT as an array for /db/request. reads: all of them can only read. */
static int split(const char *text, size_t n, json_t *array, bool *ret_reads, struct error *e)
{
    bool reads = true;

    while (n > 0) {
        bool blank;
        size_t length = splitter_next(text, n, &blank);
        if (length == 0) {
            length = n; /* the last one needs no semicolon */
        }
        if (!blank) {
            json_t *one = json_stringn(text, length);
            if (one == NULL) {
                return error_set(e, Q_INVALID, "the statement is not UTF-8");
            }
            if (json_array_append_new(array, one) != 0) {
                return error_set(e, Q_NOMEM, "out of memory for the statements");
            }
            reads = reads && splitter_reads(text, length);
        }
        text += length;
        n -= length;
    }
    *ret_reads = reads;
    return 0;
}

static int print_answer(struct sql_session *s, const struct client_response *response, struct error *e)
{
    int rv = client_refusal(response, e);

    if (rv != 0) {
        return rv;
    }
    if (!s->json) {
        return sql_result_print(&response->body, s->times, s->out, e);
    }
    fwrite(response->body.data, 1, response->body.len, s->out);
    fputc('\n', s->out);
    return sql_result_check(&response->body, e);
}

int sql_session_run(struct sql_session *s, const char *text, size_t n, struct error *e)
{
    json_t *array = json_array();
    struct client_response response;
    char target[TARGET_MAX], *body = NULL;
    bool reads = true;
    int rv = array != NULL ? split(text, n, array, &reads, e) : error_set(e, Q_NOMEM, "out of memory");

    if (rv != 0 || json_array_size(array) == 0) {
        json_decref(array);
        return rv;
    }
    body = json_dumps(array, JSON_COMPACT);
    json_decref(array);
    if (body == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the statements");
    }
    snprintf(target, sizeof target, "/db/request?level=%s%s%s", s->level,
             s->transaction ? "&transaction" : "", s->times ? "&timings" : "");
    struct client_request request = {
        .method = "POST",
        .target = target,
        .body = body,
        .len = strlen(body),
        .policy = reads ? CLIENT_REPEATABLE : CLIENT_ONCE,
    };
    rv = client_call(s->client, &request, &response, e);
    free(body);
    if (rv == 0) {
        rv = print_answer(s, &response, e);
        client_response_close(&response);
    }
    fflush(s->out);
    return rv;
}

/* Runs what is whole in TEXT and takes it out of there. */
static int run_whole(struct sql_session *s, struct buf *text, unsigned *line, struct error *e)
{
    const char *p = (const char *)text->data;
    size_t used = 0, length;
    int rv = 0;
    bool blank;

    while (rv == 0 && (length = splitter_next(p + used, text->len - used, &blank)) > 0) {
        rv = sql_session_run(s, p + used, length, e);
        if (rv != 0) {
            error_wrap(e, "the statement that begins in line %u", *line);
        }
        for (size_t i = used; i < used + length; i++) {
            *line += p[i] == '\n';
        }
        used += length;
    }
    memmove(text->data, text->data + used, text->len - used);
    text->len -= used;
    return rv;
}

int sql_session_run_file(struct sql_session *s, FILE *from, struct error *e)
{
    struct buf text;
    char *row = NULL;
    size_t cap = 0;
    ssize_t n;
    unsigned line = 1;
    int rv = 0;

    buf_init(&text, SQL_SESSION_TEXT_MAX);
    while (rv == 0 && (n = getline(&row, &cap, from)) > 0) {
        buf_put_bytes(&text, row, (size_t)n);
        rv = buf_check(&text, "the input", e);
        if (rv == 0 && !s->transaction && memchr(row, ';', (size_t)n) != NULL) {
            rv = run_whole(s, &text, &line, e);
        }
    }
    if (rv == 0 && ferror(from)) {
        rv = error_errno(e, errno, "reading the statements");
    }
    if (rv == 0 && text.len > 0) {
        rv = sql_session_run(s, (const char *)text.data, text.len, e);
    }
    free(row);
    buf_close(&text);
    return rv;
}
