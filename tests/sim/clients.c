#include "tests/sim/clients.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/command.h"
#include "storage/result.h"

enum {
    THINK_US = 120000, /* on average, between two operations of a client */
    REQUEST_MS = 3000,
    FINAL_US = 20000000,
};

enum { NOT_RECORDED = -1 };

struct client {
    struct clients *all;
    struct group_node *node; /* that was asked; NULL: nothing is under way */
    struct replica_request request;
    struct buf command;
    ssize_t op;
    struct rng rng;
    uint64_t versions[HISTORY_KEYS]; /* last seen, for CAS */
    bool setting_up;
};

struct clients {
    struct group *group;
    struct history *history;
    unsigned count;
    bool ready, stopped;
    struct client clients[CLIENTS_MAX];
    /* The final reads. */
    struct client reader;
    bool read_done;
    struct final_key read;
};

static struct cursor key_of(unsigned key, char text[8])
{
    snprintf(text, 8, "key%u", key);
    return cursor_of(text, strlen(text));
}

static void put_sql(struct buf *b, enum command_op op, const char *const *statements, uint32_t count)
{
    command_put_sql(b, op, COMMAND_TRANSACTION, count);
    for (uint32_t i = 0; i < count; i++) {
        command_put_statement(b, statements[i], strlen(statements[i]), 0);
    }
}

/* Answers. */

static void read_total(struct op *op, struct cursor c)
{
    struct result_sql item;
    op->total = -1;
    if (result_next_item(&c, &item) && item.item == RESULT_ROWS && result_next_row(&c)) {
        op->total = value_get(&c).integer;
    }
}

static void read_value(struct op *op, struct cursor c)
{
    bool found = cursor_u8(&c) != 0;
    op->version = cursor_u64(&c);
    struct cursor value = cursor_blob(&c);
    op->seen = found && cursor_left(&value) == 8 ? get_le64(value.p) : 0;
    op->version = found ? op->version : 0;
}

static void read_result(struct client *client, struct op *op, const struct replica_answer *answer)
{
    struct cursor c = cursor_of(answer->result, answer->len);
    enum result_kind kind;
    struct error failed, e;
    struct result_sql item;

    op->index = answer->index;
    if (result_decode(&c, &kind, &failed, &e) != 0 || kind == RESULT_ERROR) {
        group_fail(client->all->group, "a result is not understood or an error: %s",
                   kind == RESULT_ERROR ? failed.text : e.text);
        return;
    }
    op->outcome = OP_DONE;
    switch (op->kind) {
    case OP_PUT:
    case OP_CAS:
        op->outcome = cursor_u8(&c) ? OP_DONE : OP_CONFLICT;
        op->version = cursor_u64(&c);
        break;
    case OP_GET: read_value(op, c); break;
    case OP_TOTAL: read_total(op, c); break;
    case OP_TRANSFER:
        while (result_next_item(&c, &item)) {
            if (item.item == RESULT_STATEMENT_ERROR) {
                group_fail(client->all->group, "a transfer failed: %.*s", (int)cursor_left(&item.text),
                           item.text.p);
            }
        }
        break;
    }
    if (op->kind != OP_TOTAL && op->kind != OP_TRANSFER && op->version > client->versions[op->key]) {
        client->versions[op->key] = op->version;
    }
}

static void next_soon(struct client *client);

static void ended(struct replica_request *request, const struct replica_answer *answer)
{
    struct client *client = CONTAINER_OF(request, struct client, request);
    struct clients *all = client->all;

    client->node = NULL;
    if (client->op != NOT_RECORDED) {
        struct op *op = &all->history->ops[client->op];
        op->end_us = sim_now_us(all->group->sim);
        if (answer->error.code == Q_OK) {
            read_result(client, op, answer);
        } else {
            op->outcome = answer->error.code == Q_UNKNOWN ? OP_UNKNOWN : OP_NOTHING;
        }
        sim_note(all->group->sim, op->index * 8 + op->outcome);
    } else if (client->setting_up && answer->error.code == Q_OK) {
        client->setting_up = false;
        all->ready = true;
    }
    next_soon(client);
}

/* Questions. */

static void ask(struct client *client, struct group_node *node, enum read_level level)
{
    client->node = node;
    client->request = (struct replica_request){
        .command = client->command.data,
        .len = client->command.len,
        .level = level,
        .timeout_ms = REQUEST_MS,
        .done = ended,
    };
    replica_submit(node->replica, &client->request);
}

static void ask_setup(struct client *client, struct group_node *node)
{
    const char *const statements[] = {
        "CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL)",
        "INSERT OR IGNORE INTO account VALUES (0, 100), (1, 100), (2, 100), (3, 100), (4, 100)",
    };
    client->op = NOT_RECORDED;
    client->setting_up = true;
    put_sql(&client->command, COMMAND_SQL_EXECUTE, statements, 2);
    ask(client, node, READ_STRONG);
}

static void ask_transfer(struct client *client, struct group_node *node)
{
    char from[128], to[128];
    const char *const statements[] = {from, to};
    uint64_t amount = rng_between(&client->rng, 1, 9);

    snprintf(from, sizeof from, "UPDATE account SET balance = balance - %" PRIu64 " WHERE id = %" PRIu64,
             amount, rng_between(&client->rng, 0, HISTORY_ACCOUNTS - 1));
    snprintf(to, sizeof to, "UPDATE account SET balance = balance + %" PRIu64 " WHERE id = %" PRIu64, amount,
             rng_between(&client->rng, 0, HISTORY_ACCOUNTS - 1));
    put_sql(&client->command, COMMAND_SQL_EXECUTE, statements, 2);
    ask(client, node, READ_STRONG);
}

static void ask_put(struct client *client, struct group_node *node, unsigned key, bool cas)
{
    uint8_t value[8];
    char text[8];
    put_le64(value, (uint64_t)client->op + 1);
    client->all->history->ops[client->op].value = (uint64_t)client->op + 1;
    command_put_kv_put(&client->command, cursor_of("sim", 3), key_of(key, text),
                       cursor_of(value, sizeof value),
                       !cas                    ? KV_ALWAYS
                       : client->versions[key] ? KV_IF_VERSION
                                               : KV_IF_ABSENT,
                       cas ? client->versions[key] : 0);
    ask(client, node, READ_STRONG);
}

static void ask_get(struct client *client, struct group_node *node, unsigned key, enum read_level level)
{
    char text[8];
    command_put_kv_get(&client->command, cursor_of("sim", 3), key_of(key, text));
    ask(client, node, level);
}

static void ask_total(struct client *client, struct group_node *node, enum read_level level)
{
    const char *const statements[] = {"SELECT sum(balance) FROM account"};
    put_sql(&client->command, COMMAND_SQL_QUERY, statements, 1);
    ask(client, node, level);
}

static void ask_something(struct client *client, struct group_node *node)
{
    static const enum op_kind kinds[] = {OP_PUT, OP_PUT, OP_CAS,      OP_GET,
                                         OP_GET, OP_GET, OP_TRANSFER, OP_TOTAL};
    static const enum read_level levels[] = {READ_LINEARIZABLE, READ_LINEARIZABLE, READ_STRONG, READ_WEAK,
                                             READ_NONE};
    enum read_level level = levels[rng_between(&client->rng, 0, 4)];
    struct op op = {
        .kind = kinds[rng_between(&client->rng, 0, 7)],
        .key = (unsigned)rng_between(&client->rng, 0, HISTORY_KEYS - 1),
        .start_us = sim_now_us(client->all->group->sim),
        .end_us = UINT64_MAX,
        .current = level == READ_LINEARIZABLE || level == READ_STRONG,
    };

    if (op.kind == OP_TOTAL && level != READ_LINEARIZABLE) {
        level = READ_LINEARIZABLE; /* before the table is there a stale read is an error */
        op.current = true;
    }
    client->op = (ssize_t)history_begin(client->all->history, &op);
    switch (op.kind) {
    case OP_PUT: ask_put(client, node, op.key, false); return;
    case OP_CAS: ask_put(client, node, op.key, true); return;
    case OP_GET: ask_get(client, node, op.key, level); return;
    case OP_TRANSFER: ask_transfer(client, node); return;
    case OP_TOTAL: ask_total(client, node, level); return;
    }
}

static void act(void *ctx)
{
    struct client *client = ctx;
    struct clients *all = client->all;
    struct group_node *node = &all->group->nodes[rng_between(&client->rng, 0, all->group->count - 1)];

    if (all->stopped) {
        return;
    }
    /* A paused process still accepts; one that is off does not. */
    if (node->replica == NULL || node->broken || (!all->ready && client != &all->clients[0])) {
        next_soon(client);
        return;
    }
    buf_clear(&client->command);
    if (!all->ready) {
        ask_setup(client, node);
    } else {
        ask_something(client, node);
    }
}

static void next_soon(struct client *client)
{
    if (!client->all->stopped && client != &client->all->reader) {
        sim_call(client->all->group->sim,
                 sim_now_us(client->all->group->sim) + rng_between(&client->rng, 1, THINK_US * 2), act,
                 client);
    }
}

/* Requests to a node that vanished end without an answer: a write may have been done, and nobody knows. */
static void on_vanished(void *ctx, struct group_node *node)
{
    struct clients *all = ctx;
    for (unsigned i = 0; i < all->count; i++) {
        struct client *client = &all->clients[i];
        if (client->node == node) {
            client->node = NULL;
            next_soon(client);
        }
    }
    if (all->reader.node == node) {
        all->reader.node = NULL;
    }
}

struct clients *clients_new(struct group *g, unsigned count, struct history *history)
{
    struct clients *all = calloc(1, sizeof *all);
    if (all == NULL) {
        abort();
    }
    all->group = g;
    all->history = history;
    all->count = count;
    g->vanished = on_vanished;
    g->ctx = all;
    for (unsigned i = 0; i < count; i++) {
        struct client *client = &all->clients[i];
        client->all = all;
        client->op = NOT_RECORDED;
        buf_init(&client->command, 64 * 1024);
        rng_init(&client->rng, sim_random(g->sim, 0, UINT64_MAX));
        next_soon(client);
    }
    all->reader.all = all;
    buf_init(&all->reader.command, 1024);
    return all;
}

void clients_stop(struct clients *c)
{
    c->stopped = true;
}

bool clients_idle(const struct clients *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        if (c->clients[i].node != NULL) {
            return false;
        }
    }
    return true;
}

void clients_free(struct clients *c)
{
    for (unsigned i = 0; i < c->count; i++) {
        buf_close(&c->clients[i].command);
    }
    buf_close(&c->reader.command);
    c->group->ctx = NULL;
    free(c);
}

/* The final reads. */

static void final_read(struct replica_request *request, const struct replica_answer *answer)
{
    struct client *client = CONTAINER_OF(request, struct client, request);
    struct cursor c = cursor_of(answer->result, answer->len);
    enum result_kind kind;
    struct error failed, e;
    struct op op = {.kind = OP_GET};

    client->node = NULL;
    client->all->read_done = true;
    if (answer->error.code != Q_OK || result_decode(&c, &kind, &failed, &e) != 0) {
        group_fail(client->all->group, "a final read fails: %s", answer->error.text);
        return;
    }
    read_value(&op, c);
    client->all->read = (struct final_key){op.version, op.seen};
}

static bool still_reading(void *ctx)
{
    return !((struct clients *)ctx)->read_done;
}

void clients_read_final(struct clients *c, struct final_key ret_final[HISTORY_KEYS])
{
    for (unsigned key = 0; key < HISTORY_KEYS; key++) {
        for (unsigned i = 0; i < c->group->count; i++) {
            buf_clear(&c->reader.command);
            c->read_done = false;
            ask_get(&c->reader, &c->group->nodes[i], key, READ_NONE);
            c->reader.request.done = final_read;
            if (!sim_run_while(c->group->sim, still_reading, c, sim_now_us(c->group->sim) + FINAL_US)) {
                group_fail(c->group, "a final read does not end");
                return;
            }
            if (i > 0 &&
                (c->read.version != ret_final[key].version || c->read.value != ret_final[key].value)) {
                group_fail(c->group, "key %u differs between nodes 1 and %u", key, i + 1);
            }
            ret_final[key] = c->read;
        }
    }
}
