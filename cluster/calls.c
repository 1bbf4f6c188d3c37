#include "cluster/calls.h"

#include <stdlib.h>

#include "base/object.h"

enum { CALLS_MAGIC = 0x51c0de0a };

struct calls {
    OBJECT_MAGIC;
    struct calls_config config;
    struct list waiting; /* struct peer_call: for an answer */
    struct list ended;   /* to be told from the timer */
    struct env_timer *soon;
    bool stopped;
};

static void on_soon(void *owner)
{
    struct calls *cs = CAST(struct calls, owner, CALLS_MAGIC);
    struct list mine, *link;

    list_take(&mine, &cs->ended);
    while ((link = list_pop(&mine)) != NULL) {
        struct peer_call *call = CONTAINER_OF(link, struct peer_call, link);
        call->done(call, call->ended.code != Q_OK ? &call->ended : NULL);
    }
}

/* All are told from the timer: so none is told inside the function that started it, nor while a list is
 * walked. */
static void end(struct peer_call *call, const struct error *failed)
{
    struct calls *cs = call->owner;

    call->elapsed_us = env_now_us(cs->config.env) - call->started_us;
    call->ended = failed != NULL ? *failed : (struct error){.code = Q_OK};
    list_remove(&call->link);
    list_push(&cs->ended, &call->link);
    env_timer_start(cs->config.env, cs->soon, 0);
}

static void end_with(struct peer_call *call, enum error_code code, const char *text)
{
    struct error why;

    error_set(&why, code, "%s", text);
    end(call, &why);
}

/* False: this node stops, and the call has ended. */
static bool start(struct calls *cs, struct peer_call *call)
{
    call->owner = cs;
    call->started_us = env_now_us(cs->config.env);
    list_init(&call->link);
    list_push(&cs->waiting, &call->link);
    list_init(&call->forwarded.link);
    if (cs->stopped) {
        end_with(call, Q_CLOSED, "this node is stopping");
    }
    return !cs->stopped;
}

static void on_contact(struct forward_call *forwarded, const struct forward_answer *answer)
{
    struct peer_call *call = CONTAINER_OF(forwarded, struct peer_call, forwarded);

    if (answer->error.code == Q_OK) {
        end(call, NULL);
    } else {
        end_with(call, Q_NO_LEADER, "the connection broke");
    }
}

void calls_contact(struct calls *cs, uint64_t id, struct peer_call *call)
{
    if (!start(cs, call)) {
        return;
    }
    call->forwarded.done = on_contact;
    if (id == cs->config.id) {
        end(call, NULL);
    } else if (!forward_ask(cs->config.forward, id, FORWARD_PING, NULL, 0, &call->forwarded)) {
        end_with(call, Q_NO_LEADER, "not connected");
    }
}

static void on_transfer(struct forward_call *forwarded, const struct forward_answer *answer)
{
    struct peer_call *call = CONTAINER_OF(forwarded, struct peer_call, forwarded);

    end(call, answer->error.code != Q_OK ? &answer->error : NULL);
}

void calls_transfer(struct calls *cs, uint64_t to, struct peer_call *call)
{
    uint64_t leader = cs->config.leader(cs->config.ctx);
    uint8_t bytes[8];
    struct error e;

    if (!start(cs, call)) {
        return;
    }
    put_le64(bytes, to);
    call->forwarded.done = on_transfer;
    if (leader == cs->config.id) {
        end(call, cs->config.transfer(cs->config.ctx, to, &e) != 0 ? &e : NULL);
    } else if (leader == 0 || !forward_ask(cs->config.forward, leader, FORWARD_TRANSFER, bytes, sizeof bytes,
                                           &call->forwarded)) {
        end_with(call, Q_NO_LEADER, "leader not found");
    }
}

static void forget(struct peer_call *call, enum error_code code, const char *text)
{
    forward_forget(&call->forwarded);
    end_with(call, code, text);
}

void calls_tick(struct calls *cs)
{
    uint64_t now = env_now_us(cs->config.env);

    LIST_EACH_SAFE (&cs->waiting, item) {
        struct peer_call *call = CONTAINER_OF(item, struct peer_call, link);
        if (now - call->started_us >= call->timeout_ms * 1000) {
            forget(call, Q_TIMEOUT, "timeout waiting for node to respond");
        }
    }
}

void calls_stop(struct calls *cs)
{
    cs->stopped = true;
    LIST_EACH_SAFE (&cs->waiting, item) {
        forget(CONTAINER_OF(item, struct peer_call, link), Q_CLOSED, "this node is stopping");
    }
}

int calls_new(const struct calls_config *config, struct calls **ret_calls, struct error *e)
{
    struct calls *cs = calloc(1, sizeof *cs);

    if (cs != NULL) {
        cs->soon = env_timer_new(config->env, on_soon, cs);
    }
    if (cs == NULL || cs->soon == NULL) {
        free(cs);
        return error_set(e, Q_NOMEM, "out of memory for calls");
    }
    cs->magic = CALLS_MAGIC;
    cs->config = *config;
    list_init(&cs->waiting);
    list_init(&cs->ended);
    *ret_calls = cs;
    return 0;
}

void calls_free(struct calls *cs)
{
    if (cs != NULL) {
        env_timer_free(cs->config.env, cs->soon);
        cs->magic = 0;
        free(cs);
    }
}
