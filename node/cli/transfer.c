#include "node/cli/transfer.h"

#include <curl/curl.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "node/cli/clock.h"

enum { SHOW_US = 200000, STATUS_OK = 200 };

struct transfer {
    const struct transfer_config *config;
    CURL *curl;
    FILE *to, *from; /* TO NULL: the body goes to ANSWER */
    uint64_t received, sent;
    bool disk_failed;
    struct buf answer; /* of a refusal, or of a post */
    uint64_t shown_us;
};

static void show(struct transfer *t, uint64_t all, bool last)
{
    uint64_t now = clock_us(), done = t->from != NULL ? t->sent : t->received;

    if (t->config->progress != NULL && (last || now - t->shown_us >= SHOW_US)) {
        t->shown_us = now;
        fprintf(t->config->progress, "\r%.1f MiB", (double)done / 1048576);
        if (all > 0) {
            fprintf(t->config->progress, " of %.1f", (double)all / 1048576);
        }
        fprintf(t->config->progress, t->from != NULL && done == all ? ", waiting until it is done " : " ");
        fprintf(t->config->progress, last ? "\n" : "");
        fflush(t->config->progress);
    }
}

static int on_progress(void *ctx, curl_off_t all_down, curl_off_t down, curl_off_t all_up, curl_off_t up)
{
    struct transfer *t = ctx;

    (void)down;
    (void)up;
    show(t, (uint64_t)(t->from != NULL ? all_up : all_down), false);
    return 0;
}

static long status_of(struct transfer *t)
{
    long status = 0;

    curl_easy_getinfo(t->curl, CURLINFO_RESPONSE_CODE, &status);
    return status;
}

static size_t on_body(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;

    n *= size;
    if (t->to != NULL && status_of(t) == STATUS_OK) {
        t->disk_failed = fwrite(p, 1, n, t->to) != n;
        t->received += n;
        return t->disk_failed ? 0 : n;
    }
    buf_put_bytes(&t->answer, p, n);
    return n;
}

static size_t on_read(char *p, size_t size, size_t n, void *ctx)
{
    struct transfer *t = ctx;

    n = fread(p, 1, n * size, t->from);
    if (n == 0 && ferror(t->from)) {
        t->disk_failed = true;
        return CURL_READFUNC_ABORT;
    }
    t->sent += n;
    return n;
}

static int refused(struct transfer *t, struct error *e)
{
    long status = status_of(t);
    size_t n = t->answer.len;
    enum error_code code = status == 503   ? Q_NO_LEADER
                           : status == 404 ? Q_NOT_FOUND
                           : status == 507 ? Q_NO_SPACE
                           : status < 500  ? Q_INVALID
                                           : Q_IO;

    while (n > 0 && t->answer.data[n - 1] == '\n') {
        n--;
    }
    return error_set(e, code, "the node says %ld: %.*s", status, (int)n,
                     n > 0 ? (const char *)t->answer.data : "");
}

static int broken(struct transfer *t, CURLcode rc, struct error *e)
{
    if (t->disk_failed) {
        return error_errno(e, errno, "the file");
    }
    if (t->from != NULL && status_of(t) == 0 && t->sent > 0) {
        return error_set(e, Q_UNKNOWN, "%s: it may or may not have been loaded", curl_easy_strerror(rc));
    }
    return error_set(e, t->received > 0 ? Q_CORRUPT : Q_IO, "%s", curl_easy_strerror(rc));
}

static bool never_connected(CURLcode rc)
{
    return rc == CURLE_COULDNT_CONNECT || rc == CURLE_COULDNT_RESOLVE_HOST;
}

/* RC and E: of the last endpoint that was asked. */
static CURLcode perform(struct transfer *t)
{
    const struct endpoints *all = t->config->endpoints;
    CURLcode rc = CURLE_COULDNT_CONNECT;
    char url[ENDPOINT_MAX + 1024];

    for (unsigned i = 0; i < all->count && never_connected(rc); i++) {
        snprintf(url, sizeof url, "%s%s", all->url[i], t->config->target);
        curl_easy_setopt(t->curl, CURLOPT_URL, url);
        rc = curl_easy_perform(t->curl);
    }
    return rc;
}

static int run(struct transfer *t, struct error *e)
{
    CURLcode rc;
    int rv;

    curl_easy_setopt(t->curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(t->curl, CURLOPT_PROXY, "");
    curl_easy_setopt(t->curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(t->curl, CURLOPT_CONNECTTIMEOUT_MS, (long)t->config->connect_ms);
    curl_easy_setopt(t->curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(t->curl, CURLOPT_WRITEDATA, t);
    curl_easy_setopt(t->curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(t->curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(t->curl, CURLOPT_XFERINFODATA, t);
    rc = perform(t);
    show(t, t->from != NULL ? t->sent : t->received, true);
    if (never_connected(rc)) {
        rv = error_set(e, Q_NO_LEADER, "no node can be reached: %s", curl_easy_strerror(rc));
    } else if (status_of(t) != 0 && status_of(t) != STATUS_OK) {
        rv = refused(t, e);
    } else {
        rv = rc == CURLE_OK ? 0 : broken(t, rc, e);
    }
    return rv;
}

static int open_curl(struct transfer *t, struct error *e)
{
    buf_init(&t->answer, 64 * 1024);
    if (curl_global_init(CURL_GLOBAL_NOTHING) != CURLE_OK || (t->curl = curl_easy_init()) == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for an HTTP client");
    }
    return 0;
}

static void close_curl(struct transfer *t)
{
    curl_easy_cleanup(t->curl);
    curl_global_cleanup();
}

int transfer_get(const struct transfer_config *config, FILE *to, uint64_t *ret_bytes, struct error *e)
{
    struct transfer t = {.config = config, .to = to};
    int rv = open_curl(&t, e);

    rv = rv == 0 ? run(&t, e) : rv;
    if (rv == 0 && fflush(to) != 0) {
        rv = error_errno(e, errno, "the file");
    }
    close_curl(&t);
    buf_close(&t.answer);
    if (rv == 0) {
        *ret_bytes = t.received;
    }
    return rv;
}

int transfer_post(const struct transfer_config *config, FILE *from, uint64_t bytes, struct buf *ret_answer,
                  struct error *e)
{
    struct transfer t = {.config = config, .from = from};
    struct curl_slist *headers;
    int rv = open_curl(&t, e);

    headers = curl_slist_append(NULL, "Content-Type: application/octet-stream");
    if (rv == 0) {
        curl_easy_setopt(t.curl, CURLOPT_POST, 1L);
        curl_easy_setopt(t.curl, CURLOPT_HTTPHEADER, headers);
        curl_easy_setopt(t.curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)bytes);
        curl_easy_setopt(t.curl, CURLOPT_READFUNCTION, on_read);
        curl_easy_setopt(t.curl, CURLOPT_READDATA, &t);
        rv = run(&t, e);
    }
    curl_slist_free_all(headers);
    close_curl(&t);
    if (rv == 0) {
        buf_put_bytes(ret_answer, t.answer.data, t.answer.len);
        rv = buf_check(ret_answer, "the answer", e);
    }
    buf_close(&t.answer);
    return rv;
}
