#include "node/cli/bench.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/rng.h"
#include "node/cli/clock.h"
#include "node/cli/process.h"
#include "node/cli/wire.h"

enum { PAUSE_US = 20 * 1000, POLL_MS = 20, TARGET_MAX = 512, FILL_ERRORS_MAX = 1000 };

/* FILLING -> WARMING -> MEASURING -> ENDED; FILLING only where there are gets */
enum phase { FILLING, WARMING, MEASURING, ENDED };

struct bench_client {
    uint64_t sent_us, pause_until_us;
    uint64_t due_us; /* 0: at once */
    unsigned key;
    bool put, idle;
};

struct bench {
    const struct bench_plan *plan;
    struct bench_result *result;
    struct wire *wire;
    struct bench_client *clients;
    struct rng rng;
    uint8_t *value;
    enum phase phase;
    unsigned idle;
    unsigned fill_next, filled, fill_errors; /* keys */
    uint64_t last_ack_us, next_due_us;
    struct error failed;
};

static void send_next(struct bench *b, unsigned number)
{
    struct bench_client *c = &b->clients[number];
    char target[TARGET_MAX];
    struct error e;

    c->sent_us = c->due_us != 0 ? c->due_us : clock_us();
    c->idle = false;
    if (c->put) {
        snprintf(target, sizeof target, "/v1/kv/%s/key%08u", b->plan->ns, c->key);
    } else {
        snprintf(target, sizeof target, "/v1/kv/%s/key%08u?level=%s", b->plan->ns, c->key, b->plan->level);
    }
    if (wire_send(b->wire, number, c->put ? "PUT" : "GET", target, c->put ? "application/octet-stream" : NULL,
                  c->put ? b->value : NULL, c->put ? b->plan->value_size : 0, NULL, &e) != 0) {
        b->failed = e;
        b->phase = ENDED;
    }
}

static uint64_t next_due(struct bench *b)
{
    uint64_t due = b->next_due_us != 0 ? b->next_due_us : clock_us();

    if (b->plan->rate == 0) {
        return 0;
    }
    b->next_due_us = due + 1000000 / b->plan->rate;
    return due;
}

/* Chooses what the client does next; it is idle if there is nothing to fill any more. */
static void start_next(struct bench *b, unsigned number)
{
    struct bench_client *c = &b->clients[number];

    if (b->phase == ENDED || (b->phase == FILLING && b->fill_next == b->plan->keys)) {
        c->idle = true;
        b->idle++;
        return;
    }
    if (b->phase == FILLING) {
        c->put = true;
        c->key = b->fill_next++;
    } else {
        uint64_t dice = rng_next(&b->rng);
        c->put = dice % 100 < b->plan->put_percent;
        c->key = (unsigned)((dice >> 32) % b->plan->keys);
        c->due_us = next_due(b);
    }
    if (c->due_us > clock_us()) {
        c->pause_until_us = c->due_us;
        c->idle = true;
        b->idle++;
        return;
    }
    send_next(b, number);
}

static void count_success(struct bench *b, const struct bench_client *c, uint64_t now)
{
    struct bench_result *r = b->result;
    uint64_t took = now - c->sent_us;

    histogram_add(&r->latency, took);
    r->max_us = took > r->max_us ? took : r->max_us;
    r->puts += c->put;
    r->gets += !c->put;
    if (now - b->last_ack_us > r->longest_gap_us) {
        r->longest_gap_us = now - b->last_ack_us;
    }
    b->last_ack_us = now;
}

static void on_done(void *ctx, unsigned number, void *tag, const struct reply *reply, const struct error *why)
{
    struct bench *b = ctx;
    struct bench_client *c = &b->clients[number];
    uint64_t now = clock_us();
    (void)tag;

    if (reply != NULL && reply->status == 200) {
        b->filled += b->phase == FILLING;
        if (b->phase == MEASURING) {
            count_success(b, c, now);
        }
        start_next(b, number);
        return;
    }
    if (b->result->first_error[0] == 0 && reply != NULL) {
        snprintf(b->result->first_error, sizeof b->result->first_error, "status %d: %.*s", reply->status,
                 (int)(reply->len < 150 ? reply->len : 150), reply->body);
    } else if (b->result->first_error[0] == 0) {
        snprintf(b->result->first_error, sizeof b->result->first_error, "%.190s", why->text);
    }
    b->result->errors += b->phase == MEASURING;
    if (b->phase == FILLING && ++b->fill_errors > FILL_ERRORS_MAX) {
        error_set(&b->failed, Q_NO_LEADER, "the keys cannot be written: %s", b->result->first_error);
        b->phase = ENDED;
    }
    /* The same again, a little later: a cluster without a leader is not to be flooded. */
    c->pause_until_us = now + PAUSE_US;
    c->idle = true;
    b->idle++;
}

static void wake_idle(struct bench *b)
{
    uint64_t now = clock_us();

    for (unsigned i = 0; b->idle > 0 && i < b->plan->clients; i++) {
        struct bench_client *c = &b->clients[i];
        bool again = c->pause_until_us != 0;
        if (!c->idle || now < c->pause_until_us || !wire_has_room(b->wire, i)) {
            continue;
        }
        c->pause_until_us = 0;
        if (again && b->phase != ENDED) {
            b->idle--;
            send_next(b, i);
        } else if (b->phase == WARMING || b->phase == MEASURING) {
            b->idle--;
            start_next(b, i);
        }
    }
}

static int run_until(struct bench *b, uint64_t end_us, struct error *e)
{
    int rv = 0;

    while (rv == 0 && b->phase != ENDED && clock_us() < end_us &&
           (b->phase != FILLING || b->filled < b->plan->keys)) {
        if (b->idle > 0) {
            wake_idle(b);
        }
        rv = wire_poll(b->wire, b->plan->rate > 0 ? 1 : POLL_MS, e);
    }
    if (rv == 0 && b->failed.code != Q_OK) {
        *e = b->failed;
        rv = (int)e->code;
    }
    return rv;
}

static uint64_t own_cpu_us(void)
{
    struct rusage use;
    getrusage(RUSAGE_SELF, &use);
    return (uint64_t)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(use.ru_utime.tv_usec + use.ru_stime.tv_usec);
}

static void read_nodes_cpu(const struct bench_plan *plan, uint64_t ret_us[BENCH_PIDS_MAX])
{
    for (unsigned i = 0; i < plan->pid_count; i++) {
        ret_us[i] = process_cpu_us(plan->pids[i]);
    }
}

static int measure(struct bench *b, struct error *e)
{
    uint64_t before[BENCH_PIDS_MAX], after[BENCH_PIDS_MAX], begin = clock_us(), own = own_cpu_us();
    int rv;

    read_nodes_cpu(b->plan, before);
    b->phase = MEASURING;
    b->last_ack_us = begin;
    rv = run_until(b, begin + b->plan->duration_ms * 1000, e);
    b->result->elapsed_us = clock_us() - begin;
    b->result->client_cpu_us = own_cpu_us() - own;
    read_nodes_cpu(b->plan, after);
    for (unsigned i = 0; i < b->plan->pid_count; i++) {
        b->result->nodes_cpu_us += after[i] > before[i] ? after[i] - before[i] : 0; /* it may have ended */
    }
    return rv;
}

int bench_run(const struct bench_plan *plan, struct bench_result *ret_result, struct error *e)
{
    struct bench b = {
        .plan = plan, .result = ret_result, .phase = plan->put_percent < 100 ? FILLING : WARMING};
    struct wire_config config = {.endpoints = plan->endpoints,
                                 .connections = plan->clients,
                                 .depth = 1,
                                 .spread = plan->spread,
                                 .timeout_ms = plan->timeout_ms,
                                 .done = on_done,
                                 .ctx = &b};
    int rv;

    memset(ret_result, 0, sizeof *ret_result);
    rng_init(&b.rng, clock_us());
    b.clients = calloc(plan->clients, sizeof *b.clients);
    b.value = malloc(plan->value_size + 1);
    if (b.clients == NULL || b.value == NULL) {
        free(b.clients);
        free(b.value);
        return error_set(e, Q_NOMEM, "out of memory for %u clients", plan->clients);
    }
    rng_fill(&b.rng, b.value, plan->value_size);
    rv = wire_new(&config, &b.wire, e);
    for (unsigned i = 0; rv == 0 && i < plan->clients; i++) {
        start_next(&b, i);
    }
    if (rv == 0 && b.phase == FILLING) {
        rv = run_until(&b, UINT64_MAX, e);
    }
    if (rv == 0) {
        b.phase = WARMING;
        rv = run_until(&b, clock_us() + plan->warmup_ms * 1000, e);
    }
    if (rv == 0) {
        rv = measure(&b, e);
    }
    b.phase = ENDED;
    wire_free(b.wire);
    free(b.clients);
    free(b.value);
    return rv;
}
