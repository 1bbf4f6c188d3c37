#include "tests/sim/survey.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/peek.h"
#include "tests/sim/question.h"

enum { ANSWER_US = 20000000, REQUEST_MS = 3000, QUIET_US = 2000000, QUIET_ROUNDS = 10 };

struct surveyor {
    struct group *group;
    struct invariants *invariants;
    struct replica_request request;
    struct buf command;
    bool waits;
    struct op read; /* the last one */
};

static void answered(struct replica_request *request, const struct replica_answer *answer)
{
    struct surveyor *s = CONTAINER_OF(request, struct surveyor, request);
    char why[256] = "";

    s->waits = false;
    if (answer->error.code != Q_OK || !question_answered(&s->read, answer, why, sizeof why)) {
        group_fail(s->group, "a final %s fails: %s%s", op_name(s->read.kind),
                   answer->error.code != Q_OK ? answer->error.text : "", why);
    }
}

/* The cluster goes on meanwhile, and is watched as ever. */
static bool still_waits(void *ctx)
{
    struct surveyor *s = ctx;
    invariants_check(s->invariants);
    return s->waits;
}

/* Grows with every entry that comes to a log or a database. */
static uint64_t progress(const struct group *g)
{
    uint64_t sum = 0;

    for (unsigned i = 0; i < g->count; i++) {
        struct peek at = {.runs = false};
        if (group_alive(&g->nodes[i])) {
            peek(g->nodes[i].replica, &at);
        }
        sum += at.runs ? at.last + at.applied : 0;
    }
    return sum;
}

/* What a client does not wait for any more may still be on its way to the log, and members are compared one
 * after the other. */
static void wait_until_quiet(struct surveyor *s)
{
    struct sim *sim = s->group->sim;
    uint64_t before, now = progress(s->group);
    unsigned rounds = 0;

    s->waits = true;
    do {
        before = now;
        sim_run_while(sim, still_waits, s, sim_now_us(sim) + QUIET_US);
        now = progress(s->group);
    } while (now != before && ++rounds < QUIET_ROUNDS);
}

static bool read_once(struct surveyor *s, struct group_node *node, enum op_kind kind, unsigned key)
{
    struct sim *sim = s->group->sim;

    free(s->read.list);
    s->read = (struct op){.kind = kind, .key = key};
    buf_clear(&s->command);
    question_put(&s->command, &s->read);
    s->request = (struct replica_request){
        .command = s->command.data,
        .len = s->command.len,
        .level = READ_NONE,
        .timeout_ms = REQUEST_MS,
        .done = answered,
    };
    s->waits = true;
    replica_submit(node->replica, &s->request);
    if (!sim_run_while(sim, still_waits, s, sim_now_us(sim) + ANSWER_US)) {
        group_fail(s->group, "a final read does not end");
    }
    return s->group->failure[0] == 0;
}

/* One node's answers against what those before it said. */
static bool same_keys(struct surveyor *s, struct group_node *node, bool first, struct final_state *f)
{
    for (unsigned key = 0; key < HISTORY_KEYS; key++) {
        if (!read_once(s, node, OP_GET, key)) {
            return false;
        }
        if (!first && (s->read.version != f->keys[key].version || s->read.seen != f->keys[key].value)) {
            group_fail(s->group, "key %u of node %" PRIu64 " differs from others", key, node->id);
            return false;
        }
        f->keys[key].version = s->read.version;
        f->keys[key].value = s->read.seen;
    }
    return true;
}

static bool same_lists(struct surveyor *s, struct group_node *node, bool first, struct final_state *f)
{
    for (unsigned list = 0; list < HISTORY_LISTS; list++) {
        if (!read_once(s, node, OP_LIST, list)) {
            return false;
        }
        if (!first &&
            (s->read.items != f->lists[list].items ||
             memcmp(s->read.list, f->lists[list].list, s->read.items * sizeof *s->read.list) != 0)) {
            group_fail(s->group, "list %u of node %" PRIu64 " differs from others", list, node->id);
            return false;
        }
        free(f->lists[list].list);
        f->lists[list].list = s->read.list;
        f->lists[list].items = s->read.items;
        s->read.list = NULL;
    }
    return true;
}

bool survey(struct group *g, struct invariants *invariants, bool lists, struct final_state *ret_final)
{
    struct surveyor s = {.group = g, .invariants = invariants};
    bool first = true, ok = true;
    bool runs[GROUP_MAX]; /* one that is mended only while others are asked has to catch up first */

    buf_init(&s.command, 1024);
    wait_until_quiet(&s);
    for (unsigned i = 0; i < g->count; i++) {
        struct peek at = {.runs = false};
        if (group_alive(&g->nodes[i])) {
            peek(g->nodes[i].replica, &at);
        }
        runs[i] = at.runs && !at.removed;
    }
    for (unsigned i = 0; i < g->count && ok; i++) {
        if (runs[i] && group_alive(&g->nodes[i])) {
            ok = same_keys(&s, &g->nodes[i], first, ret_final) &&
                 (!lists || same_lists(&s, &g->nodes[i], first, ret_final));
            first = false;
        }
    }
    free(s.read.list);
    buf_close(&s.command);
    return ok;
}

void final_state_close(struct final_state *f)
{
    for (unsigned i = 0; i < HISTORY_LISTS; i++) {
        free(f->lists[i].list);
    }
}
