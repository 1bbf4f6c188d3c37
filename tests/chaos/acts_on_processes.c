/* Processes are killed, stopped, and made to stand still, and leaders to hand over. */
#include <signal.h>

#include "tests/chaos/act.h"

enum { STOP_MS = 40000, ASK_MS = 300 };

static bool kill_one(const struct act_world *w, struct act *a)
{
    machines_kill(w->machines, a->node);
    return true;
}

static void start_one(const struct act_world *w, struct act *a)
{
    machines_start(w->machines, a->node);
}

static bool kill_all(const struct act_world *w, struct act *a)
{
    (void)a;
    for (unsigned i = 0; i < w->machines->count; i++) {
        machines_kill(w->machines, i);
    }
    return true;
}

/* Not the same one first each time. */
static void start_all(const struct act_world *w, struct act *a)
{
    unsigned first = (unsigned)act_draw(w, 0, w->machines->count - 1);

    (void)a;
    for (unsigned i = 0; i < w->machines->count; i++) {
        machines_start(w->machines, (first + i) % w->machines->count);
    }
}

/* Requests, messages and timers wait in front of a process that believes that no time has passed. */
static bool pause_one(const struct act_world *w, struct act *a)
{
    process_pause(&w->machines->machine[a->node].process);
    return true;
}

static void resume_one(const struct act_world *w, struct act *a)
{
    process_resume(&w->machines->machine[a->node].process);
}

static bool stop_one(const struct act_world *w, struct act *a)
{
    process_ask_to_stop(&w->machines->machine[a->node].process);
    a->limit_ms = deadline_now_ms() + STOP_MS;
    return true;
}

static bool has_stopped(const struct act_world *w, struct act *a)
{
    if (!a->node_ended && deadline_now_ms() > a->limit_ms) {
        record_violation(w->record, "node %u was asked to stop and runs on", a->node + 1);
        machines_kill(w->machines, a->node);
        return true;
    }
    return a->node_ended && act_time_is_over(a);
}

static void start_again(const struct act_world *w, struct act *a)
{
    /* One that had hardly begun is ended by the signal itself. */
    if (a->node_ended && a->status != 0 && a->status != -SIGTERM) {
        record_violation(w->record, "node %u was asked to stop and ended with status %d", a->node + 1,
                         a->status);
    }
    machines_start(w->machines, a->node);
}

/* Some node is asked for another leader; whether there is one, or an answer, is its own affair. */
static bool transfer(const struct act_world *w, struct act *a)
{
    const struct http_ask ask = {.method = "POST", .target = "/leader", .body = "", .len = 0};
    struct deadline deadline = deadline_in(ASK_MS);
    struct http_client client;
    struct http_reply reply;

    a->until_ms = 0;
    http_client_init(&client, &w->machines->machine[act_draw(w, 0, w->machines->count - 1)].http);
    if (http_client_ask(&client, &ask, &deadline, &reply) == HTTP_ANSWERED) {
        http_reply_close(&reply);
    }
    http_client_close(&client);
    return true;
}

const struct act_kind acts_on_processes[] = {
    {"kill", 8, TAKES_A_NODE, false, 0, 4000, kill_one, NULL, start_one},
    {"kill_all", 1, TAKES_ALL_NODES, false, 0, 2000, kill_all, NULL, start_all},
    {"pause", 9, TAKES_A_NODE, false, 100, 20000, pause_one, NULL, resume_one},
    {"stop", 2, TAKES_A_NODE, true, 0, 2000, stop_one, has_stopped, start_again},
    {"transfer", 3, TAKES_NO_NODE, false, 0, 0, transfer, NULL, NULL},
    {.name = NULL},
};
