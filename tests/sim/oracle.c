#include "tests/sim/oracle.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "tests/sim/question.h"

struct model {
    struct {
        uint64_t version, value;
    } keys[HISTORY_KEYS];
    struct {
        uint32_t items, capacity;
        uint64_t *list;
    } lists[HISTORY_LISTS];
    struct account accounts[HISTORY_ACCOUNTS];
};

struct oracle {
    const struct history *history;
    const struct ledger *ledger;
    struct model model;
    uint64_t *found;         /* by operation: at which index its command is in the log */
    const struct op **reads; /* by index */
    size_t n_reads, next_read;
    bool *shown; /* by operation: a read through the log whose answer was seen */
    char *text;
    size_t n;
};

static bool say(struct oracle *o, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool say(struct oracle *o, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    vsnprintf(o->text, o->n, format, args);
    va_end(args);
    return false;
}

/* Whether the model answers a read as its client was answered. */
static bool shows(const struct model *m, const struct op *op)
{
    switch (op->kind) {
    case OP_GET: return op->version == m->keys[op->key].version && op->seen == m->keys[op->key].value;
    case OP_LIST:
        return op->items == m->lists[op->key].items &&
               (op->items == 0 ||
                memcmp(op->list, m->lists[op->key].list, op->items * sizeof *op->list) == 0);
    case OP_ACCOUNTS: return memcmp(op->accounts, m->accounts, sizeof m->accounts) == 0;
    case OP_PUT:
    case OP_CAS:
    case OP_APPEND:
    case OP_TRANSFER:
    case OP_KINDS: break;
    }
    return false;
}

static void append(struct model *m, unsigned key, uint64_t value)
{
    if (m->lists[key].items == m->lists[key].capacity) {
        m->lists[key].capacity = m->lists[key].capacity ? m->lists[key].capacity * 2 : 64;
        m->lists[key].list = realloc(m->lists[key].list, m->lists[key].capacity * sizeof *m->lists[key].list);
        if (m->lists[key].list == NULL) {
            abort();
        }
    }
    m->lists[key].list[m->lists[key].items++] = value;
}

/* What a write does, and whether its client was told so. */
static bool play_put(struct oracle *o, const struct op *op, uint64_t index)
{
    bool holds = op->kind == OP_PUT || op->expected == o->model.keys[op->key].version;

    if (holds) {
        o->model.keys[op->key].version++;
        o->model.keys[op->key].value = op->value;
    }
    if ((op->outcome == OP_DONE || op->outcome == OP_CONFLICT) &&
        (holds != (op->outcome == OP_DONE) || op->version != o->model.keys[op->key].version)) {
        return say(o,
                   "the %s of %" PRIu64 " at index %" PRIu64 " was told version %" PRIu64
                   " and %s; the log says %" PRIu64 " and %s",
                   op_name(op->kind), op->value, index, op->version,
                   op->outcome == OP_DONE ? "done" : "not done", o->model.keys[op->key].version,
                   holds ? "done" : "not done");
    }
    return true;
}

static bool play(struct oracle *o, const struct op *op, uint64_t index)
{
    switch (op->kind) {
    case OP_PUT:
    case OP_CAS: return play_put(o, op, index);
    case OP_APPEND: append(&o->model, op->key, op->value); return true;
    case OP_TRANSFER:
        o->model.accounts[op->from].balance -= (int64_t)op->amount;
        o->model.accounts[op->to].balance += (int64_t)op->amount;
        o->model.accounts[op->from].last = o->model.accounts[op->to].last = op->value;
        return true;
    case OP_GET:
    case OP_LIST:
    case OP_ACCOUNTS:
    case OP_KINDS: break;
    }
    return say(o, "entry %" PRIu64 " holds a write of an operation that reads", index);
}

static bool play_write(struct oracle *o, uint64_t value, struct cursor command, uint64_t index)
{
    const struct op *op = value <= o->history->count ? &o->history->ops[value - 1] : NULL;

    if (op == NULL || op->command != crc32c(0, command.p, cursor_left(&command))) {
        return say(o, "entry %" PRIu64 " holds a command that no client gave", index);
    }
    if (o->found[value - 1] != 0) {
        return say(o, "the %s of %" PRIu64 " is in the log twice: at %" PRIu64 " and %" PRIu64,
                   op_name(op->kind), value, o->found[value - 1], index);
    }
    if (op->outcome == OP_NOTHING) {
        return say(o, "the %s of %" PRIu64 " was refused, but is in the log at %" PRIu64, op_name(op->kind),
                   value, index);
    }
    o->found[value - 1] = index;
    return play(o, op, index);
}

/* A read through the log sees what the commands before it in its batch did. Any equal command may be its own.
 */
static void play_read(struct oracle *o, struct cursor command)
{
    uint32_t sum = crc32c(0, command.p, cursor_left(&command));
    for (size_t i = o->next_read; i < o->n_reads && o->reads[i]->index == o->reads[o->next_read]->index;
         i++) {
        const struct op *op = o->reads[i];
        bool *shown = &o->shown[op - o->history->ops];
        *shown = *shown || (op->logged && op->command == sum && shows(&o->model, op));
    }
}

static bool play_entry(struct oracle *o, uint64_t index)
{
    const struct ledger_entry *entry = ledger_committed(o->ledger, index);
    struct batch batch;
    struct error e;

    if (entry == NULL || !entry->has_content) {
        return say(o, "entry %" PRIu64 " was never seen", index);
    }
    if (entry->type != LOG_COMMANDS) {
        return true;
    }
    if (batch_decode(entry->data, entry->len, &batch, &e) != 0) {
        return say(o, "entry %" PRIu64 ": %s", index, e.text);
    }
    for (uint32_t i = 0; i < batch.commands; i++) {
        struct cursor command = cursor_blob(&batch.command);
        uint64_t value = question_value(command);
        if (value != 0 && !play_write(o, value, command, index)) {
            return false;
        }
        if (value == 0 && o->next_read < o->n_reads && o->reads[o->next_read]->index == index) {
            play_read(o, command);
        }
    }
    return true;
}

static bool check_reads_at(struct oracle *o, uint64_t index)
{
    for (; o->next_read < o->n_reads && o->reads[o->next_read]->index == index; o->next_read++) {
        const struct op *op = o->reads[o->next_read];
        if (op->logged ? !o->shown[op - o->history->ops] : !shows(&o->model, op)) {
            return say(o,
                       "the %s of %u that was answered at %" PRIu64 " us for index %" PRIu64
                       " is not what the log says",
                       op_name(op->kind), op->key, op->end_us, index);
        }
    }
    return true;
}

static bool check_writes(struct oracle *o)
{
    for (size_t i = 0; i < o->history->count; i++) {
        const struct op *op = &o->history->ops[i];
        bool told = op->outcome == OP_DONE || op->outcome == OP_CONFLICT;
        if (op_is_write(op) && told && o->found[i] != op->index) {
            return say(o,
                       "LOST: the %s of %" PRIu64 " was acknowledged at index %" PRIu64
                       ", and the log has it at %" PRIu64,
                       op_name(op->kind), op->value, op->index, o->found[i]);
        }
    }
    return true;
}

static int by_index(const void *a, const void *b)
{
    const struct op *const *x = a, *const *y = b;
    if ((*x)->index != (*y)->index) {
        return (*x)->index < (*y)->index ? -1 : 1;
    }
    return (*x > *y) - (*x < *y);
}

static void gather_reads(struct oracle *o)
{
    for (size_t i = 0; i < o->history->count; i++) {
        const struct op *op = &o->history->ops[i];
        if (!op_is_write(op) && op->outcome == OP_DONE) {
            o->reads[o->n_reads++] = op;
        }
    }
    qsort(o->reads, o->n_reads, sizeof *o->reads, by_index);
}

static bool run(struct oracle *o)
{
    bool ok = check_reads_at(o, 0);
    for (uint64_t index = 1; index <= o->ledger->commit && ok; index++) {
        ok = play_entry(o, index) && check_reads_at(o, index);
    }
    if (ok && o->next_read < o->n_reads) {
        return say(o, "a read was answered for index %" PRIu64 ", which was never committed",
                   o->reads[o->next_read]->index);
    }
    return ok && check_writes(o);
}

bool oracle_check(const struct history *h, const struct ledger *ledger, char *text, size_t n)
{
    struct oracle o = {.history = h, .ledger = ledger, .text = text, .n = n};
    bool ok = false;

    o.found = calloc(h->count + 1, sizeof *o.found);
    o.reads = calloc(h->count + 1, sizeof *o.reads);
    o.shown = calloc(h->count + 1, sizeof *o.shown);
    if (o.found == NULL || o.reads == NULL || o.shown == NULL) {
        abort();
    }
    for (unsigned i = 0; i < HISTORY_ACCOUNTS; i++) {
        o.model.accounts[i].balance = HISTORY_BALANCE;
    }
    gather_reads(&o);
    ok = run(&o);
    for (unsigned i = 0; i < HISTORY_LISTS; i++) {
        free(o.model.lists[i].list);
    }
    free(o.found);
    free(o.reads);
    free(o.shown);
    return ok;
}
