#include "tests/sim/clients.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "tests/sim/peek.h"
#include "tests/sim/question.h"

enum {
    REQUEST_MS = 3000,
    TRIES_MAX = 5,
    AGAIN_US = 300000, /* until something refused is asked again, at most */
    NOT_RECORDED = -1,
};

struct client {
    struct clients *all;
    struct group_node *node; /* that was asked; NULL: nothing is under way */
    struct replica_request request;
    struct buf command;
    ssize_t op;
    bool again; /* the operation was refused and will be asked once more */
    struct rng rng;
    uint64_t versions[HISTORY_KEYS]; /* last seen, for CAS */
    unsigned number;
};

struct clients {
    struct clients_config config;
    bool ready, stopped;
    uint64_t setup_index;
    struct client clients[CLIENTS_MAX];
};

static struct op *op_of(const struct client *client)
{
    return client->op == NOT_RECORDED ? NULL : &client->all->config.history->ops[client->op];
}

static void act(void *ctx);

static void act_after(struct client *client, uint64_t after_us)
{
    struct sim *sim = client->all->config.group->sim;
    sim_call(sim, sim_now_us(sim) + after_us, act, client);
}

static void next_soon(struct client *client)
{
    if (!client->all->stopped) {
        act_after(client, rng_between(&client->rng, 1, client->all->config.think_us * 2));
    }
}

/* Answers. */

static void tell(const struct client *client, const struct op *op, const char *what)
{
    const struct group *g = client->all->config.group;
    if (g->story) {
        group_say((struct group *)g, "client %u: %s %u (value %" PRIu64 ") is %s, index %" PRIu64,
                  client->number, op_name(op->kind), op->key, op->value, what, op->index);
    }
}

/* What was acknowledged at an index is the entry that was committed there. */
static void check_logged(const struct client *client, const struct op *op)
{
    const struct clients *all = client->all;
    if (op->logged &&
        ledger_holds(all->config.ledger, op->index, client->command.data, client->command.len) == 0) {
        group_fail(all->config.group,
                   "a %s was acknowledged at index %" PRIu64 ", where it is not in the committed log",
                   op_name(op->kind), op->index);
    }
}

static void take_answer(struct client *client, struct op *op, const struct replica_answer *answer)
{
    struct clients *all = client->all;
    char why[256];

    if (!question_answered(op, answer, why, sizeof why)) {
        /* Where the tables have not been made yet, there is nothing to read. */
        op->outcome = OP_NOTHING;
        if (op_is_write(op) || answer->index >= all->setup_index) {
            group_fail(all->config.group, "a %s at index %" PRIu64 " is answered wrongly: %s",
                       op_name(op->kind), answer->index, why);
        }
        return;
    }
    check_logged(client, op);
    if (op_is_put(op) || op->kind == OP_GET) {
        client->versions[op->key] =
            op->version > client->versions[op->key] ? op->version : client->versions[op->key];
    }
    if (op->tries > 1) {
        coverage_path(all->config.coverage, PATH_RETRIED);
    }
}

static void note_error(const struct client *client, struct op *op, enum error_code code)
{
    struct coverage *coverage = client->all->config.coverage;
    struct peek at;

    op->outcome = code == Q_UNKNOWN ? OP_UNKNOWN : OP_NOTHING;
    peek(client->node->replica, &at);
    if (code == Q_UNKNOWN) {
        coverage_path(coverage, at.leads ? PATH_WRITE_UNKNOWN : PATH_FORWARD_UNKNOWN);
    } else if (code == Q_TIMEOUT && !op_is_write(op)) {
        coverage_path(coverage, PATH_ROUND_FAILED);
    }
}

static void ended(struct replica_request *request, const struct replica_answer *answer)
{
    static const char *const words[] = {"unknown", "done", "not done: the condition does not hold",
                                        "refused"};
    struct client *client = CONTAINER_OF(request, struct client, request);
    struct clients *all = client->all;
    struct op *op = op_of(client);

    if (op == NULL) {
        if (answer->error.code == Q_OK) {
            all->ready = true;
            all->setup_index = answer->index;
        }
        client->node = NULL;
        next_soon(client);
        return;
    }
    op->end_us = sim_now_us(all->config.group->sim);
    if (answer->error.code == Q_OK) {
        take_answer(client, op, answer);
    } else {
        note_error(client, op, answer->error.code);
    }
    client->node = NULL;
    tell(client, op, words[op->outcome]);
    sim_note(all->config.group->sim, op->index * 8 + op->outcome);
    client->again = op->outcome == OP_NOTHING && op->tries < TRIES_MAX && !all->stopped &&
                    rng_between(&client->rng, 0, 1) == 0;
    if (client->again) {
        act_after(client, rng_between(&client->rng, 1, AGAIN_US));
    } else {
        next_soon(client);
    }
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

static void choose(struct client *client, struct op *op)
{
    static const enum op_kind kinds[] = {OP_PUT,    OP_PUT,  OP_CAS,  OP_CAS,      OP_GET,      OP_GET,
                                         OP_APPEND, OP_LIST, OP_LIST, OP_TRANSFER, OP_TRANSFER, OP_ACCOUNTS};
    *op = (struct op){
        .kind = kinds[rng_between(&client->rng, 0, sizeof kinds / sizeof kinds[0] - 1)],
        .key = (unsigned)rng_between(&client->rng, 0, HISTORY_KEYS - 1),
        .from = (unsigned)rng_between(&client->rng, 0, HISTORY_ACCOUNTS - 1),
        .to = (unsigned)rng_between(&client->rng, 0, HISTORY_ACCOUNTS - 1),
        .amount = rng_between(&client->rng, 1, 9),
        .start_us = sim_now_us(client->all->config.group->sim),
        .end_us = UINT64_MAX,
    };
    op->key = op->kind == OP_APPEND || op->kind == OP_LIST ? op->key % HISTORY_LISTS : op->key;
    op->expected = op->kind == OP_CAS ? client->versions[op->key] : 0;
}

static enum read_level choose_level(struct client *client)
{
    static const enum read_level levels[] = {READ_LINEARIZABLE, READ_LINEARIZABLE, READ_STRONG, READ_WEAK,
                                             READ_NONE};
    return levels[rng_between(&client->rng, 0, sizeof levels / sizeof levels[0] - 1)];
}

static void ask_operation(struct client *client, struct group_node *node)
{
    struct history *history = client->all->config.history;
    struct op new, *op = op_of(client);

    if (!client->again) {
        choose(client, &new);
        client->op = (ssize_t)history_begin(history, &new);
        op = op_of(client);
        op->value = op_is_write(op) ? (uint64_t)client->op + 1 : 0;
        buf_clear(&client->command);
        question_put(&client->command, op);
        op->command = crc32c(0, client->command.data, client->command.len);
        client->request.level = choose_level(client);
        op->current = client->request.level == READ_LINEARIZABLE || client->request.level == READ_STRONG;
    }
    client->again = false;
    op->outcome = OP_UNKNOWN;
    op->end_us = UINT64_MAX;
    op->tries++;
    ask(client, node, client->request.level);
}

static void ask_setup(struct client *client, struct group_node *node)
{
    client->op = NOT_RECORDED;
    buf_clear(&client->command);
    question_put_setup(&client->command, client->all->config.bulk);
    ask(client, node, READ_STRONG);
}

static void act(void *ctx)
{
    struct client *client = ctx;
    struct clients *all = client->all;
    struct group *g = all->config.group;
    struct group_node *node = &g->nodes[rng_between(&client->rng, 0, g->count - 1)];

    if (all->stopped) {
        return;
    }
    /* A paused process still accepts; one that is off does not. */
    if (node->replica == NULL || node->broken || (!all->ready && client != &all->clients[0])) {
        next_soon(client);
    } else if (!all->ready) {
        ask_setup(client, node);
    } else {
        ask_operation(client, node);
    }
}

/* Requests to a node that vanished end without an answer: a write may have been done, and nobody knows. */
static void on_vanished(void *ctx, struct group_node *node)
{
    struct clients *all = ctx;
    for (unsigned i = 0; i < all->config.count; i++) {
        struct client *client = &all->clients[i];
        if (client->node == node) {
            client->node = NULL;
            next_soon(client);
        }
    }
}

struct clients *clients_new(const struct clients_config *config)
{
    struct clients *all = calloc(1, sizeof *all);
    if (all == NULL) {
        abort();
    }
    all->config = *config;
    config->group->vanished = on_vanished;
    config->group->ctx = all;
    for (unsigned i = 0; i < config->count; i++) {
        struct client *client = &all->clients[i];
        client->all = all;
        client->number = i + 1;
        client->op = NOT_RECORDED;
        buf_init(&client->command, 64 * 1024);
        rng_init(&client->rng, sim_random(config->group->sim, 0, UINT64_MAX));
        next_soon(client);
    }
    return all;
}

void clients_stop(struct clients *c)
{
    c->stopped = true;
}

bool clients_idle(const struct clients *c)
{
    for (unsigned i = 0; i < c->config.count; i++) {
        if (c->clients[i].node != NULL) {
            return false;
        }
    }
    return true;
}

bool clients_wait(const struct clients *c)
{
    for (unsigned i = 0; i < c->config.count; i++) {
        const struct op *op = op_of(&c->clients[i]);
        if (c->clients[i].node != NULL && op != NULL && op_is_write(op)) {
            return true;
        }
    }
    return false;
}

uint64_t clients_setup_index(const struct clients *c)
{
    return c->setup_index;
}

void clients_free(struct clients *c)
{
    for (unsigned i = 0; i < c->config.count; i++) {
        buf_close(&c->clients[i].command);
    }
    c->config.group->ctx = NULL;
    free(c);
}
