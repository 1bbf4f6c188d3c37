#include "tests/cluster/load.h"

#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <string.h>

#include "base/rng.h"
#include "tests/unit/test.h"

enum {
    ATTEMPTS = 4,
    CLIENTS_MAX = 8,
    REST_MS = 10,       /* after a refusal */
    PATIENCE_MS = 2000, /* for one answer: a node may be paused */
};

struct client {
    struct load *owner;
    pthread_t thread;
    unsigned number, at; /* AT: the node that is asked now */
    struct http_client node[PROCESSES_MAX];
    struct rng rng;
    atomic_uint_fast64_t last; /* writers: number of the newest acknowledged key, plus 1 */
    struct buf outcomes;       /* writers: one byte for each key */
};

struct load {
    struct load_config config;
    unsigned nodes;
    struct client writer[CLIENTS_MAX], reader[CLIENTS_MAX];
    atomic_bool stop;
    bool joined;
    atomic_uint_fast64_t acknowledged, read;
    pthread_mutex_t lock; /* guards what follows */
    char complaint[512];
};

static void complain(struct load *l, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void complain(struct load *l, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    pthread_mutex_lock(&l->lock);
    if (l->complaint[0] == 0) {
        vsnprintf(l->complaint, sizeof l->complaint, format, args);
    }
    pthread_mutex_unlock(&l->lock);
    va_end(args);
}

static void name_key(const struct load *l, unsigned writer, uint64_t number, char key[LOAD_KEY_MAX])
{
    snprintf(key, LOAD_KEY_MAX, "w%u-%u-%" PRIu64, l->config.name, writer, number);
}

void load_value(const struct load *l, const char *key, struct buf *ret_value)
{
    struct rng rng;
    uint64_t seed = 0;

    for (const char *p = key; *p != 0; p++) {
        seed = seed * 131 + (unsigned char)*p;
    }
    rng_init(&rng, seed);
    buf_clear(ret_value);
    buf_put_bytes(ret_value, key, strlen(key));
    while (ret_value->len + 8 <= l->config.value_bytes) {
        buf_put_u64(ret_value, rng_next(&rng));
    }
}

static void next_node(struct client *c)
{
    c->at = (c->at + 1) % c->owner->nodes;
}

/* ---- writers ---- */

/* One attempt through the node that serves this writer now. */
static enum load_outcome attempt(struct client *c, const char *key, const struct buf *value)
{
    char target[128];
    struct http_ask ask = {.method = "PUT", .target = target, .body = value->data, .len = value->len};
    struct deadline deadline = deadline_in(PATIENCE_MS);
    enum load_outcome outcome = LOAD_REFUSED;
    struct http_reply reply;

    snprintf(target, sizeof target, "/v1/kv/" LOAD_NAMESPACE "/%s?timeout=1s", key);
    switch (http_client_ask(&c->node[c->at], &ask, &deadline, &reply)) {
    case HTTP_NOT_SENT: return LOAD_REFUSED;
    case HTTP_LOST: return LOAD_UNKNOWN;
    case HTTP_ANSWERED: break;
    }
    if (reply.status == 200) {
        outcome = LOAD_ACKNOWLEDGED;
    } else if (reply.status != 503 && reply.status != 507) {
        complain(c->owner, "put of %s was answered %d: %s", key, reply.status, reply.body);
    } else if (strstr(reply.body, "\"outcome\"") != NULL) {
        outcome = LOAD_UNKNOWN;
    }
    http_reply_close(&reply);
    return outcome;
}

static enum load_outcome put(struct client *c, const char *key, const struct buf *value)
{
    enum load_outcome outcome = LOAD_REFUSED;

    for (unsigned i = 0; i < ATTEMPTS; i++) {
        enum load_outcome once = attempt(c, key, value);
        if (once == LOAD_ACKNOWLEDGED) {
            return once;
        }
        outcome = once == LOAD_UNKNOWN ? once : outcome;
        next_node(c);
        if (once == LOAD_REFUSED) {
            poll(NULL, 0, REST_MS);
        }
    }
    return outcome;
}

static void *write_on(void *arg)
{
    struct client *c = arg;
    struct load *l = c->owner;
    struct buf value;

    buf_init(&value, l->config.value_bytes + LOAD_KEY_MAX);
    while (!atomic_load(&l->stop)) {
        uint64_t number = c->outcomes.len;
        char key[LOAD_KEY_MAX];
        enum load_outcome outcome;

        name_key(l, c->number, number, key);
        load_value(l, key, &value);
        outcome = put(c, key, &value);
        buf_put_u8(&c->outcomes, (uint8_t)outcome);
        if (outcome == LOAD_ACKNOWLEDGED) {
            atomic_store(&c->last, number + 1);
            atomic_fetch_add(&l->acknowledged, 1);
        }
    }
    buf_close(&value);
    return NULL;
}

/* ---- readers ---- */

static void judge(struct client *c, const char *key, const struct http_reply *reply, struct buf *value)
{
    struct load *l = c->owner;

    load_value(l, key, value);
    if (reply->status == 404) {
        complain(l, "node %u answered that %s, acknowledged before, does not exist", c->at + 1, key);
    } else if (reply->status == 200) {
        if (reply->len != value->len || memcmp(reply->body, value->data, value->len) != 0) {
            complain(l, "node %u answered another value of %s than was written", c->at + 1, key);
        }
        atomic_fetch_add(&l->read, 1);
    } else if (reply->status != 503) {
        complain(l, "get of %s was answered %d: %s", key, reply->status, reply->body);
    }
}

static void read_one(struct client *c, unsigned writer, uint64_t number, struct buf *value)
{
    char key[LOAD_KEY_MAX], target[128];
    struct http_ask ask = {.method = "GET", .target = target};
    struct deadline deadline = deadline_in(PATIENCE_MS);
    struct http_reply reply;

    name_key(c->owner, writer, number, key);
    snprintf(target, sizeof target, "/v1/kv/" LOAD_NAMESPACE "/%s?level=linearizable&timeout=1s", key);
    if (http_client_ask(&c->node[c->at], &ask, &deadline, &reply) == HTTP_ANSWERED) {
        judge(c, key, &reply, value);
        http_reply_close(&reply);
    } else {
        poll(NULL, 0, REST_MS);
    }
}

static void *read_on(void *arg)
{
    struct client *c = arg;
    struct load *l = c->owner;
    struct buf value;

    buf_init(&value, l->config.value_bytes + LOAD_KEY_MAX);
    while (!atomic_load(&l->stop)) {
        unsigned writer = (unsigned)rng_between(&c->rng, 0, l->config.writers - 1);
        uint64_t last = atomic_load(&l->writer[writer].last);

        c->at = (unsigned)rng_between(&c->rng, 0, l->nodes - 1);
        if (last > 0) {
            read_one(c, writer, last - 1, &value);
        } else {
            poll(NULL, 0, REST_MS);
        }
    }
    buf_close(&value);
    return NULL;
}

/* ---- all of them ---- */

static void start_client(struct load *l, struct client *c, unsigned number, void *(*run)(void *))
{
    c->owner = l;
    c->number = number;
    c->at = number % l->nodes;
    rng_init(&c->rng, number);
    buf_init(&c->outcomes, SIZE_MAX / 2);
    for (unsigned i = 0; i < l->nodes; i++) {
        http_client_init(&c->node[i], &l->config.nodes->node[i].http);
    }
    assert_int_equal(pthread_create(&c->thread, NULL, run, c), 0);
}

struct load *load_start(const struct load_config *config)
{
    struct load *l = calloc(1, sizeof *l);

    assert_non_null(l);
    assert_true(config->writers > 0 && config->writers <= CLIENTS_MAX && config->readers <= CLIENTS_MAX);
    l->config = *config;
    l->nodes = config->nodes->count;
    pthread_mutex_init(&l->lock, NULL);
    for (unsigned i = 0; i < config->writers; i++) {
        start_client(l, &l->writer[i], i, write_on);
    }
    for (unsigned i = 0; i < config->readers; i++) {
        start_client(l, &l->reader[i], i, read_on);
    }
    return l;
}

static void join(struct client *clients, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        pthread_join(clients[i].thread, NULL);
        for (unsigned j = 0; j < clients[i].owner->nodes; j++) {
            http_client_close(&clients[i].node[j]);
        }
    }
}

void load_stop(struct load *l)
{
    if (!l->joined) {
        l->joined = true;
        atomic_store(&l->stop, true);
        join(l->writer, l->config.writers);
        join(l->reader, l->config.readers);
    }
}

void load_free(struct load *l)
{
    if (l == NULL) {
        return;
    }
    load_stop(l);
    for (unsigned i = 0; i < l->config.writers; i++) {
        buf_close(&l->writer[i].outcomes);
    }
    pthread_mutex_destroy(&l->lock);
    free(l);
}

static void wait_more(atomic_uint_fast64_t *count, uint64_t more, const char *what)
{
    struct deadline deadline = deadline_in(PROCESSES_WAIT_MS);
    uint64_t from = atomic_load(count);

    while (atomic_load(count) - from < more) {
        if (!deadline_wait(&deadline)) {
            fail_msg("only %" PRIu64 " of %" PRIu64 " more %s within %d ms", atomic_load(count) - from, more,
                     what, PROCESSES_WAIT_MS);
        }
    }
}

uint64_t load_acknowledged(struct load *l)
{
    return atomic_load(&l->acknowledged);
}

void load_wait_acknowledged(struct load *l, uint64_t more)
{
    wait_more(&l->acknowledged, more, "writes were acknowledged");
}

void load_wait_read(struct load *l, uint64_t more)
{
    wait_more(&l->read, more, "reads were answered");
}

const char *load_complaint(const struct load *l)
{
    assert_true(l->joined);
    return l->complaint[0] != 0 ? l->complaint : NULL;
}

void load_each(const struct load *l, void (*each)(void *ctx, const char *key, enum load_outcome outcome),
               void *ctx)
{
    assert_true(l->joined);
    for (unsigned i = 0; i < l->config.writers; i++) {
        for (uint64_t j = 0; j < l->writer[i].outcomes.len; j++) {
            char key[LOAD_KEY_MAX];
            name_key(l, i, j, key);
            each(ctx, key, (enum load_outcome)l->writer[i].outcomes.data[j]);
        }
    }
}

struct counting {
    enum load_outcome wanted;
    uint64_t count;
};

static void count_one(void *ctx, const char *key, enum load_outcome outcome)
{
    struct counting *counting = ctx;
    (void)key;
    counting->count += outcome == counting->wanted;
}

uint64_t load_count(const struct load *l, enum load_outcome outcome)
{
    struct counting counting = {.wanted = outcome};
    load_each(l, count_one, &counting);
    return counting.count;
}
