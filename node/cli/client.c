#include "node/cli/client.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/clock.h"

enum {
    CONNECT_MS = 2000,
    PAUSE_FIRST_MS = 20,
    PAUSE_MAX_MS = 500,
    RETRY_AFTER_MAX_MS = 1000,
    ATTEMPT_MIN_MS = 1000,
    OUTCOME_BODY_MAX = 4096, /* an answer that says "unknown" is short */
};

struct client {
    CURL *curl;
    struct endpoints endpoints;
    unsigned current;
    uint64_t timeout_ms;
};

enum verdict { ANSWERED, NOTHING_DONE, UNKNOWN };

int client_new(const struct endpoints *endpoints, uint64_t timeout_ms, struct client **ret_client,
               struct error *e)
{
    struct client *c;

    if (endpoints->count == 0) {
        return error_set(e, Q_INVALID, "no endpoint is given");
    }
    c = calloc(1, sizeof *c);
    if (c == NULL || curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK ||
        (c->curl = curl_easy_init()) == NULL) {
        free(c);
        return error_set(e, Q_NOMEM, "out of memory for an HTTP client");
    }
    c->endpoints = *endpoints;
    c->timeout_ms = timeout_ms;
    *ret_client = c;
    return 0;
}

void client_free(struct client *c)
{
    if (c != NULL) {
        curl_easy_cleanup(c->curl);
        curl_global_cleanup();
        free(c);
    }
}

const struct endpoints *client_endpoints(const struct client *c)
{
    return &c->endpoints;
}

void client_response_close(struct client_response *response)
{
    buf_close(&response->body);
}

/* ---- one attempt ---- */

static size_t on_bytes(char *p, size_t size, size_t n, void *ctx)
{
    struct buf *body = ctx;
    buf_put_bytes(body, p, size * n);
    return body->failed == Q_OK ? size * n : 0;
}

static const char *header(CURL *curl, const char *name)
{
    struct curl_header *h;
    return curl_easy_header(curl, name, 0, CURLH_HEADER, -1, &h) == CURLHE_OK ? h->value : NULL;
}

static struct curl_slist *make_headers(const struct client_request *request)
{
    /* Without it curl asks for permission to send a large body, and waits for it. */
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    bool typed = false;

    for (unsigned i = 0; list != NULL && i < CLIENT_HEADERS_MAX && request->headers[i] != NULL; i++) {
        struct curl_slist *longer = curl_slist_append(list, request->headers[i]);
        typed = typed || strncasecmp(request->headers[i], "Content-Type:", 13) == 0;
        if (longer == NULL) {
            curl_slist_free_all(list);
        }
        list = longer;
    }
    if (list != NULL && !typed) {
        struct curl_slist *longer = curl_slist_append(list, "Content-Type: application/json");
        if (longer == NULL) {
            curl_slist_free_all(list);
        }
        list = longer;
    }
    return list;
}

static void prepare(struct client *c, const struct client_request *request, const char *url,
                    struct curl_slist *headers, uint64_t timeout_ms, struct buf *body)
{
    CURL *curl = c->curl;

    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    if (request->body != NULL) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->len);
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS, request->body);
    }
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http");
    curl_easy_setopt(curl, CURLOPT_PROXY, ""); /* nodes are reached directly, whatever the environment says */
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 1L);
    curl_easy_setopt(curl, CURLOPT_MAXREDIRS, 4L);
    curl_easy_setopt(curl, CURLOPT_POSTREDIR, (long)CURL_REDIR_POST_ALL); /* with the body */
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS,
                     (long)(timeout_ms < CONNECT_MS ? timeout_ms : CONNECT_MS));
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)timeout_ms);
    /* curl sends a request again, unasked, when a kept connection turns out to be closed. */
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, request->policy == CLIENT_ONCE ? 1L : 0L);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_bytes);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, body);
}

/* The node's own words: the "error" of a JSON answer, or its text. */
static void words_of(const struct client_response *response, char *to, size_t max)
{
    json_t *root = json_loadb((const char *)response->body.data, response->body.len, 0, NULL);
    const char *text = json_string_value(json_object_get(root, "error"));

    if (text != NULL) {
        snprintf(to, max, "%s", text);
    } else {
        size_t n = response->body.len;
        const char *p = n > 0 ? (const char *)response->body.data : "";
        while (n > 0 && (p[n - 1] == '\n' || p[n - 1] == '\r')) {
            n--;
        }
        n = n < max ? n : max - 1;
        snprintf(to, max, "%.*s", (int)n, p);
    }
    json_decref(root);
}

static bool says_unknown(const struct client_response *response)
{
    const struct buf *body = &response->body;
    const char *outcome;
    json_t *root;
    bool unknown;

    if (body->len > OUTCOME_BODY_MAX || body->len == 0 ||
        memmem(body->data, body->len, "\"outcome\"", 9) == NULL) {
        return false;
    }
    root = json_loadb((const char *)body->data, body->len, 0, NULL);
    outcome = json_string_value(json_object_get(root, "outcome"));
    unknown = outcome != NULL && strcmp(outcome, "unknown") == 0;
    json_decref(root);
    return unknown;
}

/* Fills E unless the verdict is ANSWERED. */
static enum verdict judge(const struct client_response *response, struct error *e)
{
    char words[ERROR_TEXT_MAX / 2];

    if (says_unknown(response)) {
        words_of(response, words, sizeof words);
        error_set(e, Q_UNKNOWN, "%s: %s", response->endpoint, words);
        return UNKNOWN;
    }
    if (response->status == 503 || response->status == 429) {
        words_of(response, words, sizeof words);
        error_set(e, Q_NO_LEADER, "%s: %s", response->endpoint, words[0] != 0 ? words : "not available");
        return NOTHING_DONE;
    }
    return ANSWERED;
}

static void read_head(CURL *curl, struct client_response *response, uint64_t *ret_retry_after_ms)
{
    const char *etag = header(curl, "ETag"), *at = header(curl, "X-Quorate-Index"),
               *after = header(curl, "Retry-After");
    long status = 0;

    curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &status);
    response->status = (int)status;
    response->index = at != NULL ? strtoull(at, NULL, 10) : 0;
    snprintf(response->etag, sizeof response->etag, "%s", etag != NULL ? etag : "");
    *ret_retry_after_ms = after != NULL ? strtoull(after, NULL, 10) * 1000 : 0;
}

/* Nothing has left this machine for the node: the request cannot have been done. */
static bool nothing_sent(CURL *curl, CURLcode code)
{
    curl_off_t sent_at = 0;
    curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &sent_at);
    return code == CURLE_COULDNT_CONNECT || code == CURLE_COULDNT_RESOLVE_HOST ||
           (code == CURLE_OPERATION_TIMEDOUT && sent_at == 0);
}

static enum verdict attempt(struct client *c, const struct client_request *request, const char *endpoint,
                            uint64_t timeout_ms, struct client_response *response,
                            uint64_t *ret_retry_after_ms, struct error *e)
{
    struct curl_slist *headers = make_headers(request);
    size_t n = strlen(endpoint) + strlen(request->target) + 1;
    char *url = malloc(n);
    CURLcode code = CURLE_OUT_OF_MEMORY;
    enum verdict verdict = NOTHING_DONE;

    *ret_retry_after_ms = 0;
    buf_clear(&response->body);
    snprintf(response->endpoint, sizeof response->endpoint, "%s", endpoint);
    if (headers == NULL || url == NULL) {
        error_set(e, Q_NOMEM, "out of memory for a request");
    } else {
        snprintf(url, n, "%s%s", endpoint, request->target);
        prepare(c, request, url, headers, timeout_ms, &response->body);
        code = curl_easy_perform(c->curl);
        if (code == CURLE_OK) {
            read_head(c->curl, response, ret_retry_after_ms);
            buf_put_u8(&response->body, 0);
            response->body.len -= response->body.failed == Q_OK;
            verdict = judge(response, e);
        } else if (response->body.failed != Q_OK) {
            buf_check(&response->body, "the answer", e);
            verdict = ANSWERED; /* no other node would make it shorter */
        } else {
            verdict = nothing_sent(c->curl, code) ? NOTHING_DONE : UNKNOWN;
            error_set(e, verdict == UNKNOWN ? Q_UNKNOWN : Q_NO_LEADER, "%s: %s", endpoint,
                      curl_easy_strerror(code));
        }
    }
    curl_slist_free_all(headers);
    free(url);
    return verdict;
}

/* ---- all attempts ---- */

struct round {
    uint64_t deadline_ms, pause_ms;
    unsigned tried; /* endpoints since the last pause */
    bool maybe;     /* an attempt had an unknown outcome */
};

/* A request that may be repeated leaves time for another node to be asked. */
static uint64_t attempt_ms(const struct client_request *request, uint64_t left_ms)
{
    uint64_t half = left_ms / 2 > ATTEMPT_MIN_MS ? left_ms / 2 : ATTEMPT_MIN_MS;
    return request->policy == CLIENT_REPEATABLE && half < left_ms ? half : left_ms;
}

static int give_up(const struct client_request *request, const struct round *round, uint64_t timeout_ms,
                   struct error *e)
{
    bool unknown = round->maybe;
    struct error last = *e;

    if (last.code == Q_NOMEM) {
        return (int)last.code;
    }
    if (request->policy == CLIENT_REPEATABLE || !unknown) {
        error_set(e, unknown ? Q_UNKNOWN : last.code, "no node answered within %.1f s (last: %s)%s",
                  (double)timeout_ms / 1000, last.text,
                  unknown && strcmp(request->method, "GET") != 0
                      ? "; the outcome is unknown: it may or may not have been done"
                      : "");
    } else {
        error_set(e, Q_UNKNOWN, "%s; the outcome is unknown: it may or may not have been done", last.text);
    }
    return (int)e->code;
}

/* Chooses the next endpoint and waits if all have been tried. False: no time is left. */
static bool go_on(struct client *c, const struct client_request *request, struct round *round,
                  uint64_t retry_after_ms)
{
    unsigned count = request->endpoint != NULL ? 1 : c->endpoints.count;
    uint64_t pause = round->pause_ms;

    c->current = request->endpoint != NULL ? c->current : (c->current + 1) % count;
    if (++round->tried % count == 0) {
        retry_after_ms = retry_after_ms < RETRY_AFTER_MAX_MS ? retry_after_ms : RETRY_AFTER_MAX_MS;
        pause = pause > retry_after_ms ? pause : retry_after_ms;
        if (clock_ms() + pause >= round->deadline_ms) {
            return false;
        }
        clock_pause(pause);
        round->pause_ms = round->pause_ms * 2 < PAUSE_MAX_MS ? round->pause_ms * 2 : PAUSE_MAX_MS;
    }
    return clock_ms() < round->deadline_ms;
}

int client_call(struct client *c, const struct client_request *request, struct client_response *ret_response,
                struct error *e)
{
    uint64_t timeout_ms = request->timeout_ms != 0 ? request->timeout_ms : c->timeout_ms;
    struct client_response response = {0};
    struct round round = {.deadline_ms = clock_ms() + timeout_ms, .pause_ms = PAUSE_FIRST_MS};
    struct error last = {.code = Q_OK};
    bool again = true;

    buf_init(&response.body, CLIENT_BODY_MAX);
    while (again) {
        const char *endpoint = request->endpoint != NULL ? request->endpoint : c->endpoints.url[c->current];
        uint64_t now = clock_ms(), left = now < round.deadline_ms ? round.deadline_ms - now : 1, retry_after;
        enum verdict verdict =
            attempt(c, request, endpoint, attempt_ms(request, left), &response, &retry_after, &last);

        response.attempts++;
        if (verdict == ANSWERED) {
            int rv = buf_check(&response.body, "the answer", e);
            if (rv != 0) {
                client_response_close(&response);
                return rv;
            }
            *ret_response = response;
            return 0;
        }
        round.maybe = round.maybe || verdict == UNKNOWN;
        again = last.code != Q_NOMEM && request->policy != CLIENT_PROBE &&
                (verdict == NOTHING_DONE || request->policy == CLIENT_REPEATABLE) &&
                go_on(c, request, &round, retry_after);
    }
    client_response_close(&response);
    if (request->policy != CLIENT_PROBE) {
        give_up(request, &round, timeout_ms, &last);
    }
    return error_set(e, last.code, "%s", last.text);
}

int client_refusal(const struct client_response *response, struct error *e)
{
    static const struct {
        int status;
        enum error_code code;
    } codes[] = {{400, Q_INVALID},  {401, Q_DENIED},  {404, Q_NOT_FOUND}, {409, Q_CONFLICT},
                 {412, Q_CONFLICT}, {413, Q_TOO_BIG}, {507, Q_NO_SPACE},  {408, Q_TIMEOUT}};
    enum error_code code = Q_IO;
    char words[ERROR_TEXT_MAX];

    if (response->status < 400) {
        return 0;
    }
    for (unsigned i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        code = codes[i].status == response->status ? codes[i].code : code;
    }
    words_of(response, words, sizeof words);
    return words[0] != 0
               ? error_set(e, code, "%s", words)
               : error_set(e, code, "%s answered with status %d", response->endpoint, response->status);
}
