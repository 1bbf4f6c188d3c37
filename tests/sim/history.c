#include "tests/sim/history.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/lists.h"

size_t history_begin(struct history *h, const struct op *op)
{
    if (h->count == h->capacity) {
        h->capacity = h->capacity ? h->capacity * 2 : 1024;
        h->ops = realloc(h->ops, h->capacity * sizeof *h->ops);
        if (h->ops == NULL) {
            abort();
        }
    }
    h->ops[h->count] = *op;
    return h->count++;
}

void history_close(struct history *h)
{
    for (size_t i = 0; i < h->count; i++) {
        free(h->ops[i].list);
    }
    free(h->ops);
    *h = (struct history){.ops = NULL};
}

uint64_t history_count(const struct history *h, enum op_outcome outcome)
{
    uint64_t n = 0;
    for (size_t i = 0; i < h->count; i++) {
        n += h->ops[i].outcome == outcome;
    }
    return n;
}

bool op_is_put(const struct op *op)
{
    return op->kind == OP_PUT || op->kind == OP_CAS;
}

bool op_is_write(const struct op *op)
{
    return op_is_put(op) || op->kind == OP_TRANSFER || op->kind == OP_APPEND;
}

const char *op_name(enum op_kind kind)
{
    static const char *const names[OP_KINDS] = {
        [OP_PUT] = "put",   [OP_CAS] = "cas",           [OP_GET] = "get",           [OP_APPEND] = "append",
        [OP_LIST] = "list", [OP_TRANSFER] = "transfer", [OP_ACCOUNTS] = "accounts",
    };
    return names[kind];
}

/* The put that wrote VALUE; values are the operations' numbers plus one. */
static const struct op *writer(const struct history *h, uint64_t value)
{
    return value >= 1 && value <= h->count && op_is_put(&h->ops[value - 1]) ? &h->ops[value - 1] : NULL;
}

/* Version VERSION of KEY was seen to be VALUE, by operation BY (NULL: the final state). */
static bool check_seen(const struct history *h, unsigned key, uint64_t version, uint64_t value,
                       const struct op *by, char *text, size_t n)
{
    const struct op *put = writer(h, value);

    if (version == 0 && value == 0) {
        return true;
    }
    if (put == NULL || put->key != key) {
        snprintf(text, n, "key %u holds %" PRIu64 ", which nobody put there", key, value);
    } else if (put->outcome == OP_NOTHING || put->outcome == OP_CONFLICT) {
        snprintf(text, n, "key %u holds %" PRIu64 ", whose put was said to have done nothing", key, value);
    } else if (put->outcome == OP_DONE && put->version != version) {
        snprintf(text, n, "key %u: value %" PRIu64 " was put as version %" PRIu64 " and seen as %" PRIu64,
                 key, value, put->version, version);
    } else if (by != NULL && by->end_us < put->start_us) {
        snprintf(text, n, "key %u: value %" PRIu64 " was seen before its put began", key, value);
    } else {
        return true;
    }
    return false;
}

struct event {
    uint64_t at_us;
    bool ends; /* ends sort after starts of the same time: only what really ended before counts */
    const struct op *op;
};

static int by_time(const void *a, const void *b)
{
    const struct event *x = a, *y = b;
    if (x->at_us != y->at_us) {
        return x->at_us < y->at_us ? -1 : 1;
    }
    if (x->ends != y->ends) {
        return x->ends ? 1 : -1;
    }
    return (x->op > y->op) - (x->op < y->op);
}

/* What had ended when each operation began. */
struct floor {
    uint64_t index, versions[HISTORY_KEYS];
};

static bool check_order(const struct op *op, const struct floor *at_start, char *text, size_t n)
{
    bool keyed = op_is_put(op) || op->kind == OP_GET;
    if (!op_is_write(op) && !op->current) {
        return true;
    }
    if (op->index < at_start->index || (op_is_write(op) && op->index == at_start->index)) {
        snprintf(text, n,
                 "an operation that began at %" PRIu64 " us has index %" PRIu64 ", but index %" PRIu64
                 " had been answered before",
                 op->start_us, op->index, at_start->index);
        return false;
    }
    if (keyed && op->outcome == OP_DONE &&
        (op->version < at_start->versions[op->key] ||
         (op_is_put(op) && op->version == at_start->versions[op->key]))) {
        snprintf(text, n,
                 "key %u: an operation that began at %" PRIu64 " us has version %" PRIu64
                 ", but version %" PRIu64 " had been answered before",
                 op->key, op->start_us, op->version, at_start->versions[op->key]);
        return false;
    }
    return true;
}

static bool check_real_time(const struct history *h, char *text, size_t n)
{
    struct event *events = malloc((h->count * 2 + 1) * sizeof *events);
    struct floor *at_start = malloc((h->count + 1) * sizeof *at_start);
    struct floor now = {.index = 0};
    size_t count = 0;
    bool ok = true;

    for (size_t i = 0; i < h->count; i++) {
        const struct op *op = &h->ops[i];
        if (op->outcome == OP_DONE || op->outcome == OP_CONFLICT) {
            events[count++] = (struct event){op->start_us, false, op};
            events[count++] = (struct event){op->end_us, true, op};
        }
    }
    qsort(events, count, sizeof *events, by_time);
    for (size_t i = 0; i < count && ok; i++) {
        const struct op *op = events[i].op;
        if (!events[i].ends) {
            at_start[op - h->ops] = now;
            continue;
        }
        ok = check_order(op, &at_start[op - h->ops], text, n);
        now.index = op->index > now.index ? op->index : now.index;
        if ((op_is_put(op) || op->kind == OP_GET) && op->version > now.versions[op->key]) {
            now.versions[op->key] = op->version;
        }
    }
    free(events);
    free(at_start);
    return ok;
}

static bool check_accounts(const struct op *op, char *text, size_t n)
{
    int64_t total = 0;
    for (unsigned i = 0; i < HISTORY_ACCOUNTS; i++) {
        total += op->accounts[i].balance;
    }
    if (total != HISTORY_ACCOUNTS * HISTORY_BALANCE) {
        snprintf(text, n, "all accounts together held %" PRId64, total);
        return false;
    }
    return true;
}

static bool check_reads(const struct history *h, char *text, size_t n)
{
    for (size_t i = 0; i < h->count; i++) {
        const struct op *op = &h->ops[i];
        if (op->outcome != OP_DONE) {
            continue;
        }
        if (op->kind == OP_GET && !check_seen(h, op->key, op->version, op->seen, op, text, n)) {
            return false;
        }
        if (op->kind == OP_ACCOUNTS && !check_accounts(op, text, n)) {
            return false;
        }
    }
    return true;
}

/* Each version belongs to one put, and none is above the final one. */
static bool check_key(const struct history *h, const struct final_state *final, unsigned key, bool *taken,
                      char *text, size_t n)
{
    for (size_t i = 0; i < h->count; i++) {
        const struct op *op = &h->ops[i];
        if (!op_is_put(op) || op->key != key || op->outcome != OP_DONE) {
            continue;
        }
        if (op->version > final->keys[key].version) {
            snprintf(text, n, "LOST: key %u was acknowledged at version %" PRIu64 " and ends at %" PRIu64,
                     key, op->version, final->keys[key].version);
            return false;
        }
        if (taken[op->version]) {
            snprintf(text, n, "key %u: version %" PRIu64 " was acknowledged twice", key, op->version);
            return false;
        }
        taken[op->version] = true;
    }
    return check_seen(h, key, final->keys[key].version, final->keys[key].value, NULL, text, n);
}

static bool check_keys(const struct history *h, const struct final_state *final, char *text, size_t n)
{
    bool ok = true;
    for (unsigned key = 0; key < HISTORY_KEYS && ok; key++) {
        bool *taken = calloc(final->keys[key].version + 1, sizeof *taken);
        ok = taken != NULL && check_key(h, final, key, taken, text, n);
        free(taken);
    }
    return ok;
}

bool history_check(const struct history *h, const struct final_state *final, char *text, size_t n)
{
    return check_reads(h, text, n) && check_real_time(h, text, n) &&
           (final == NULL || (check_keys(h, final, text, n) && lists_check(h, final, text, n)));
}
