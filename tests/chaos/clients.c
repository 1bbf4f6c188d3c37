#include "tests/chaos/clients.h"

#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/rng.h"
#include "tests/chaos/bank.h"
#include "tests/cluster/http_client.h"

enum {
    PATIENCE_MS = 2000, /* for one answer: a node may be paused for longer */
    LONG_PATIENCE_MS =
        25000, /* one time in LONG_OF: longer than any pause, to be there when the node wakes up */
    LONG_OF = 8,
    REST_MS = 20, /* at most, between two operations of the busiest; each next rests twice as long */
    PACES = 8,
    SLOW_MS = 300, /* who rests longer only reads what must not be stale */
    LEVELS = 5,
    LIST_ITEMS_MAX = 400, /* about; then they are only read: whole lists are recorded */
};

static const char *const levels[LEVELS] = {"linearizable", "linearizable", "strong", "weak", "none"};

struct client {
    struct clients *all;
    pthread_t thread;
    struct rng rng;
    unsigned at;      /* the node that is asked now */
    unsigned rest_ms; /* slow ones come late, over connections that were made before a node was paused */
    struct http_client nodes[MACHINES_MAX];
    uint64_t versions[HISTORY_KEYS]; /* last seen, for compare-and-set */
    uint32_t items;                  /* of the longest list that was seen */
};

struct clients {
    const struct machines *machines;
    struct record *record;
    unsigned count;
    atomic_bool stop;
    struct client client[CLIENTS_MAX];
};

/* What is asked, and what will be understood by the answer. */
struct asking {
    struct op op;
    char target[192], headers[64], body[512];
    const char *method, *level;
    unsigned patience_ms;
    uint64_t expected; /* of a compare-and-set: the version that is to be replaced */
};

static uint64_t draw(struct client *c, uint64_t low, uint64_t high)
{
    return rng_between(&c->rng, low, high);
}

/* ---- questions */

static void ask_put(struct client *c, struct asking *a, size_t number)
{
    uint64_t version = a->expected = c->versions[a->op.key];

    a->method = "PUT";
    snprintf(a->target, sizeof a->target, "/v1/kv/" CLIENTS_NAMESPACE "/key%u?timeout=%ums", a->op.key,
             a->patience_ms);
    snprintf(a->body, sizeof a->body, "%zu", number + 1);
    if (a->op.kind == OP_CAS && version > 0) {
        snprintf(a->headers, sizeof a->headers, "If-Match: \"%" PRIu64 "\"\r\n", version);
    } else if (a->op.kind == OP_CAS) {
        snprintf(a->headers, sizeof a->headers, "If-None-Match: *\r\n");
    }
}

static void ask_get(struct asking *a)
{
    a->method = "GET";
    snprintf(a->target, sizeof a->target, "/v1/kv/" CLIENTS_NAMESPACE "/key%u?level=%s&timeout=%ums",
             a->op.key, a->level, a->patience_ms);
}

static void ask_transfer(struct client *c, struct asking *a, size_t number)
{
    a->method = "POST";
    snprintf(a->target, sizeof a->target, "/db/execute?transaction&timeout=%ums", a->patience_ms);
    bank_transfer(a->body, sizeof a->body, number + 1, (unsigned)draw(c, 0, HISTORY_ACCOUNTS - 1),
                  (unsigned)draw(c, 0, HISTORY_ACCOUNTS - 1), (unsigned)draw(c, 1, 9));
}

static void ask_append(struct asking *a, size_t number)
{
    a->method = "POST";
    snprintf(a->target, sizeof a->target, "/db/execute?timeout=%ums", a->patience_ms);
    bank_append(a->body, sizeof a->body, a->op.key, number + 1);
}

static void ask_list(struct asking *a)
{
    a->method = "POST";
    snprintf(a->target, sizeof a->target, "/db/query?level=%s&timeout=%ums", a->level, a->patience_ms);
    bank_read_list(a->body, sizeof a->body, a->op.key);
}

static void ask_accounts(struct asking *a)
{
    a->method = "POST";
    snprintf(a->target, sizeof a->target, "/db/query?level=%s&timeout=%ums", a->level, a->patience_ms);
    snprintf(a->body, sizeof a->body, "[\"" BANK_ACCOUNTS_SQL "\"]");
}

static void choose(struct client *c, struct asking *a)
{
    /* The first are reads. */
    static const enum op_kind kinds[] = {OP_GET, OP_ACCOUNTS, OP_LIST,   OP_GET, OP_GET,
                                         OP_PUT, OP_PUT,      OP_APPEND, OP_CAS, OP_TRANSFER};
    bool slow = c->rest_ms > SLOW_MS, of_list;
    unsigned level = (unsigned)draw(c, 0, slow ? 1 : LEVELS - 1);

    a->level = levels[level];
    a->patience_ms = draw(c, 1, LONG_OF) == 1 ? LONG_PATIENCE_MS : PATIENCE_MS;
    a->op = (struct op){.kind = kinds[draw(c, 0, slow ? 4 : 9)], .current = level < 3};
    if (a->op.kind == OP_APPEND && c->items >= LIST_ITEMS_MAX) {
        a->op.kind = OP_PUT;
    }
    of_list = a->op.kind == OP_APPEND || a->op.kind == OP_LIST;
    a->op.key = (unsigned)draw(c, 0, of_list ? HISTORY_LISTS - 1 : HISTORY_KEYS - 1);
}

static void phrase(struct client *c, struct asking *a, size_t number)
{
    switch (a->op.kind) {
    case OP_PUT:
    case OP_CAS: ask_put(c, a, number); break;
    case OP_GET: ask_get(a); break;
    case OP_TRANSFER: ask_transfer(c, a, number); break;
    case OP_ACCOUNTS: ask_accounts(a); break;
    case OP_APPEND: ask_append(a, number); break;
    case OP_LIST: ask_list(a); break;
    case OP_KINDS: abort(); /* never chosen */
    }
}

/* ---- answers */

static uint64_t number_in_header(const struct http_reply *r, const char *name)
{
    char text[32];
    const char *digits = text;

    if (!http_reply_header(r, name, text, sizeof text)) {
        return 0;
    }
    return strtoull(digits + (text[0] == '"'), NULL, 10);
}

static void complain(struct client *c, const struct asking *a, const struct http_reply *r, const char *why)
{
    record_violation(c->all->record, "node %u answered %s %s with %d, %s: %.300s", c->at + 1, a->method,
                     a->target, r->status, why, r->body);
}

static void take_kv(struct client *c, struct asking *a, const struct http_reply *r)
{
    struct op *op = &a->op;
    bool reads = op->kind == OP_GET;

    op->version = number_in_header(r, "ETag");
    if (r->status == 200) {
        op->outcome = OP_DONE;
        op->seen = reads ? strtoull(r->body, NULL, 10) : 0;
    } else if (r->status == 404 && reads) {
        op->outcome = OP_DONE;
    } else if (r->status == 412 && op->kind == OP_CAS) {
        op->outcome = OP_CONFLICT;
    } else {
        complain(c, a, r, "which is no answer to it");
    }
    if (op->outcome == OP_DONE && op->version == 0 && r->status == 200) {
        complain(c, a, r, "without a version");
    }
    if (op->outcome == OP_DONE && op->kind == OP_CAS && op->version != a->expected + 1) {
        complain(c, a, r, "though its condition did not hold");
    }
    if (op->version > c->versions[op->key]) {
        c->versions[op->key] = op->version;
    }
}

static void take_sql(struct client *c, struct asking *a, const struct http_reply *r)
{
    static const enum op_outcome outcomes[] = {[BANK_DONE] = OP_DONE,
                                               [BANK_UNKNOWN] = OP_UNKNOWN,
                                               [BANK_NOTHING] = OP_NOTHING,
                                               [BANK_WRONG] = OP_UNKNOWN};
    enum bank_answer answer = BANK_WRONG;
    char text[300] = "which is no answer to it";

    if (r->status == 200) {
        answer =
            bank_read(r->body, r->len, a->op.kind == OP_ACCOUNTS ? a->op.accounts : NULL, text, sizeof text);
    }
    if (answer == BANK_WRONG) {
        complain(c, a, r, text);
    }
    a->op.outcome = outcomes[answer];
    if (answer == BANK_DONE && a->op.kind == OP_LIST) {
        a->op.list = bank_list(r->body, r->len, &a->op.items);
        c->items = a->op.items > c->items ? a->op.items : c->items;
    }
}

static void take(struct client *c, struct asking *a, const struct http_reply *r)
{
    bool kv = a->op.kind == OP_GET || op_is_put(&a->op);

    a->op.index = number_in_header(r, "X-Quorate-Index");
    if (r->status == 503 || r->status == 507) {
        a->op.outcome = strstr(r->body, "\"outcome\"") != NULL ? OP_UNKNOWN : OP_NOTHING;
    } else if (kv) {
        take_kv(c, a, r);
    } else {
        take_sql(c, a, r);
    }
}

/* ---- one after the other */

static void act(struct client *c)
{
    struct asking a = {.headers = ""};
    struct deadline deadline;
    struct http_ask ask;
    struct http_reply reply;
    size_t number;

    choose(c, &a);
    deadline = deadline_in(a.patience_ms);
    number = record_begin(c->all->record, &a.op);
    phrase(c, &a, number);
    ask = (struct http_ask){.method = a.method, .target = a.target, .headers = a.headers};
    if (a.body[0] != 0) {
        ask.body = a.body;
        ask.len = strlen(a.body);
    }
    switch (http_client_ask(&c->nodes[c->at], &ask, &deadline, &reply)) {
    case HTTP_NOT_SENT: a.op.outcome = OP_NOTHING; break;
    case HTTP_LOST: break;
    case HTTP_ANSWERED:
        take(c, &a, &reply);
        http_reply_close(&reply);
        break;
    }
    record_end(c->all->record, number, &a.op);
}

static void *run(void *arg)
{
    struct client *c = arg;
    struct clients *all = c->all;
    struct error e;

    if (netns_enter(&all->machines->ports[machines_clients(all->machines)], &e) != 0) {
        record_violation(all->record, "%s", e.text);
        return NULL;
    }
    while (!atomic_load(&all->stop)) {
        c->at = (unsigned)draw(c, 0, all->machines->count - 1);
        act(c);
        poll(NULL, 0, (int)draw(c, 0, c->rest_ms));
    }
    for (unsigned i = 0; i < all->machines->count; i++) {
        http_client_close(&c->nodes[i]);
    }
    return NULL;
}

struct clients *clients_start(const struct machines *ms, struct record *record, unsigned count, uint64_t seed)
{
    struct clients *all = calloc(1, sizeof *all);

    assert(all != NULL && count <= CLIENTS_MAX);
    all->machines = ms;
    all->record = record;
    all->count = count;
    for (unsigned i = 0; i < count; i++) {
        struct client *c = &all->client[i];
        c->all = all;
        c->rest_ms = REST_MS << i % PACES;
        rng_init(&c->rng, seed + i);
        for (unsigned j = 0; j < ms->count; j++) {
            http_client_init(&c->nodes[j], &ms->machine[j].http);
        }
        if (pthread_create(&c->thread, NULL, run, c) != 0) {
            abort();
        }
    }
    return all;
}

void clients_stop(struct clients *c)
{
    atomic_store(&c->stop, true);
    for (unsigned i = 0; i < c->count; i++) {
        pthread_join(c->client[i].thread, NULL);
    }
    free(c);
}
