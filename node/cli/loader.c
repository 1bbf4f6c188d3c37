#include "node/cli/loader.h"

#include <assert.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/clock.h"
#include "node/cli/wire.h"

enum {
    TRY_EVERY_US = 10 * 1000,
    TRIES_QUICK = 300, /* so many at that pace, then the slower one */
    TRY_SLOWLY_US = 100 * 1000,
    TURN_MS = 10,
};

struct loader {
    struct loader_config config;
    struct wire *wire;
    struct loader_job *jobs;
    struct list unused, waiting;
    unsigned under_way, next; /* next: the connection to try first */
    /* Since the last failure nothing was acknowledged: only TRYING is sent, from TRY_AT_US on. */
    bool failing;
    struct loader_job *trying;
    uint64_t try_at_us;
    unsigned tries;
    char answering[ENDPOINT_MAX];
    struct loader_totals totals;
    struct error failed; /* code Q_OK while the load goes on */
};

static struct loader_job *job_of(struct list *link)
{
    return CONTAINER_OF(link, struct loader_job, link);
}

/* ---- answers ---- */

/* Why the load must end, or Q_OK. ret_again: the write may not have been done, and should be sent again. */
static void judge_sql(const struct reply *reply, bool *ret_again, struct error *e)
{
    json_t *root = json_loadb(reply->body, reply->len, 0, NULL);
    const json_t *results = json_object_get(root, "results");
    const char *whole = json_string_value(json_object_get(root, "error"));

    *ret_again = false;
    if (whole != NULL) {
        *ret_again = json_object_get(root, "outcome") != NULL || strstr(whole, "leadership lost") != NULL;
        error_set(e, *ret_again ? Q_UNKNOWN : Q_SQL, "%s", whole);
    } else if (!json_is_array(results)) {
        error_set(e, Q_CORRUPT, "the answer is not one of /db/execute");
    }
    for (size_t i = 0; whole == NULL && i < json_array_size(results); i++) {
        const char *one = json_string_value(json_object_get(json_array_get(results, i), "error"));
        if (one != NULL) {
            error_set(e, Q_SQL, "%s", one);
        }
    }
    json_decref(root);
}

static void judge(const struct loader_job *job, const struct reply *reply, bool *ret_again, struct error *e)
{
    int n = reply->len < 300 ? (int)reply->len : 300;

    *ret_again = reply->status == 503 || reply->status == 429 || reply->status == 408;
    if (reply->status == 200 && job->sql) {
        judge_sql(reply, ret_again, e);
    } else if (reply->status < 200 || reply->status > 299) {
        error_set(e, *ret_again ? Q_NO_LEADER : Q_INVALID, "status %d: %.*s", reply->status, n,
                  n > 0 ? reply->body : "");
    }
}

static void acknowledge(struct loader *l, struct loader_job *job, unsigned connection)
{
    struct loader_totals *t = &l->totals;
    uint64_t now = clock_us();

    if (t->last_us != 0 && now - t->last_us > t->longest_gap_us) {
        t->longest_gap_us = now - t->last_us;
    }
    t->first_us = t->first_us != 0 ? t->first_us : now;
    t->last_us = now;
    t->rows += job->rows;
    t->bytes += job->bytes;
    t->requests++;
    l->failing = false;
    l->tries = 0;
    snprintf(l->answering, sizeof l->answering, "%s", wire_endpoint(l->wire, connection));
    list_push(&l->unused, &job->link);
}

/* It waits again, before those that were never sent. */
static void send_again(struct loader *l, struct loader_job *job, const struct error *why)
{
    uint64_t now = clock_us();

    l->totals.failures++;
    if (now - job->first_us > l->config.timeout_ms * 1000) {
        error_set(&l->failed, why->code, "a write was not acknowledged for %.1f s (last: %s)",
                  (double)(now - job->first_us) / 1e6, why->text);
    }
    if (!l->failing) {
        l->failing = true;
        l->try_at_us = now;
    }
    list_push(l->waiting.next, &job->link);
}

static void on_done(void *ctx, unsigned connection, void *tag, const struct reply *reply,
                    const struct error *why)
{
    struct loader *l = ctx;
    struct loader_job *job = tag;
    struct error e = {.code = Q_OK};
    bool again = true;

    l->under_way--;
    l->trying = l->trying == job ? NULL : l->trying;
    if (reply == NULL) {
        send_again(l, job, why);
        return;
    }
    judge(job, reply, &again, &e);
    if (e.code == Q_OK) {
        acknowledge(l, job, connection);
    } else if (again) {
        wire_leave(l->wire, connection);
        send_again(l, job, &e);
    } else {
        l->failed = e;
        list_push(&l->waiting, &job->link);
    }
}

/* ---- sending ---- */

/* A connection with room, from the one behind the last one used: each gets its share. */
static bool find_room(struct loader *l, unsigned *ret_connection)
{
    for (unsigned i = 0; i < l->config.connections; i++) {
        unsigned connection = (l->next + i) % l->config.connections;
        if (wire_has_room(l->wire, connection)) {
            l->next = (connection + 1) % l->config.connections;
            *ret_connection = connection;
            return true;
        }
    }
    return false;
}

/* Whether anything may be sent now. While the load fails, each call that says so is one try. */
static bool may_send(struct loader *l)
{
    uint64_t now;

    if (!l->failing) {
        return true;
    }
    now = clock_us();
    if (l->trying != NULL || now < l->try_at_us) {
        return false;
    }
    l->try_at_us = now + (++l->tries < TRIES_QUICK ? TRY_EVERY_US : TRY_SLOWLY_US);
    return true;
}

static int send_waiting(struct loader *l, struct error *e)
{
    unsigned connection;
    int rv = 0;

    while (rv == 0 && !list_empty(&l->waiting) && may_send(l) && find_room(l, &connection)) {
        struct loader_job *job = job_of(list_pop(&l->waiting));
        l->trying = l->failing ? job : NULL;
        job->attempts++;
        l->totals.retried += job->attempts > 1;
        rv = wire_send(l->wire, connection, job->method, (const char *)job->target.data, job->type,
                       job->body.data, job->body.len, job, e);
        if (rv != 0) {
            list_push(&l->waiting, &job->link);
        } else {
            l->under_way++;
        }
    }
    return rv;
}

/* ---- from outside ---- */

int loader_new(const struct loader_config *config, struct loader **ret_loader, struct error *e)
{
    struct loader *l = calloc(1, sizeof *l);
    struct wire_config wire = {.endpoints = config->endpoints,
                               .connections = config->connections,
                               .depth = config->depth,
                               .timeout_ms = config->attempt_ms,
                               .done = on_done,
                               .ctx = l};
    int rv = l != NULL ? wire_new(&wire, &l->wire, e) : error_set(e, Q_NOMEM, "out of memory for a load");

    if (rv != 0) {
        free(l);
        return rv;
    }
    l->config = *config;
    list_init(&l->unused);
    list_init(&l->waiting);
    l->jobs = calloc(config->jobs, sizeof *l->jobs);
    if (l->jobs == NULL) {
        loader_free(l);
        return error_set(e, Q_NOMEM, "out of memory for %u requests", config->jobs);
    }
    for (unsigned i = 0; i < config->jobs; i++) {
        buf_init(&l->jobs[i].target, LOADER_TARGET_MAX);
        buf_init(&l->jobs[i].body, LOADER_BODY_MAX);
        list_push(&l->unused, &l->jobs[i].link);
    }
    *ret_loader = l;
    return 0;
}

void loader_free(struct loader *l)
{
    if (l == NULL) {
        return;
    }
    wire_free(l->wire);
    for (unsigned i = 0; l->jobs != NULL && i < l->config.jobs; i++) {
        buf_close(&l->jobs[i].target);
        buf_close(&l->jobs[i].body);
    }
    free(l->jobs);
    free(l);
}

struct loader_job *loader_take(struct loader *l)
{
    struct list *link = list_pop(&l->unused);
    struct loader_job *job;

    if (link == NULL) {
        return NULL;
    }
    job = job_of(link);
    buf_clear(&job->target);
    buf_clear(&job->body);
    job->rows = job->attempts = 0;
    job->bytes = 0;
    return job;
}

void loader_submit(struct loader *l, struct loader_job *job)
{
    assert(job->target.failed == Q_OK && job->body.failed == Q_OK);
    job->first_us = clock_us();
    list_push(&l->waiting, &job->link);
}

int loader_run(struct loader *l, uint64_t timeout_ms, struct error *e)
{
    int rv = send_waiting(l, e);

    if (rv == 0) {
        uint64_t turn = !l->failing || timeout_ms < TURN_MS ? timeout_ms : TURN_MS;
        rv = wire_poll(l->wire, turn, e);
    }
    if (rv == 0 && l->failed.code != Q_OK) {
        *e = l->failed;
        rv = (int)e->code;
    }
    return rv;
}

bool loader_is_done(const struct loader *l)
{
    return l->under_way == 0 && list_empty(&l->waiting);
}

const struct loader_totals *loader_totals(const struct loader *l)
{
    return &l->totals;
}

const char *loader_answering(const struct loader *l)
{
    return l->answering[0] != 0 ? l->answering : NULL;
}

void loader_prefer(struct loader *l, const char *url)
{
    wire_prefer(l->wire, url);
}
