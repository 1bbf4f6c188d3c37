#include "node/call.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "node/http/member_list.h"

struct call {
    struct door_visit visit;
    struct quorate *node;
    pthread_mutex_t lock;
    pthread_cond_t over;
    bool done;
    struct error error;
};

static void call_init(struct call *call, struct quorate *node, void (*enter)(struct door_visit *))
{
    *call = (struct call){.visit.enter = enter, .node = node};
    pthread_mutex_init(&call->lock, NULL);
    pthread_cond_init(&call->over, NULL);
}

/* The last touch of the loop: the caller's stack is gone after it. */
static void call_end(struct call *call)
{
    pthread_mutex_lock(&call->lock);
    call->done = true;
    pthread_cond_signal(&call->over);
    pthread_mutex_unlock(&call->lock);
}

static int call_wait(struct call *call, struct error *e)
{
    if (!node_visit(call->node, &call->visit)) {
        error_set(&call->error, Q_CLOSED, "this node is stopping");
    } else {
        pthread_mutex_lock(&call->lock);
        while (!call->done) {
            pthread_cond_wait(&call->over, &call->lock);
        }
        pthread_mutex_unlock(&call->lock);
    }
    pthread_mutex_destroy(&call->lock);
    pthread_cond_destroy(&call->over);
    return call->error.code == Q_OK ? 0 : error_set(e, call->error.code, "%s", call->error.text);
}

/* Commands. */

struct command_call {
    struct call call;
    struct replica_request request;
    struct call_result result;
};

static void command_done(struct replica_request *request, const struct replica_answer *answer)
{
    struct command_call *c = CONTAINER_OF(request, struct command_call, request);

    c->call.error = answer->error;
    c->result.index = answer->index;
    if (answer->error.code == Q_OK) {
        c->result.bytes = malloc(answer->len ? answer->len : 1);
        if (c->result.bytes == NULL) {
            error_set(&c->call.error, Q_NOMEM, "out of memory for the result; the command was done");
        } else {
            memcpy(c->result.bytes, answer->result, answer->len);
            c->result.len = answer->len;
        }
    }
    call_end(&c->call);
}

static void command_enter(struct door_visit *visit)
{
    struct command_call *c = CONTAINER_OF(visit, struct command_call, call.visit);
    replica_submit(node_replica(c->call.node), &c->request);
}

int call_run(struct quorate *node, const struct buf *command, enum read_level level,
             struct call_result *ret_result, struct error *e)
{
    struct command_call c = {
        .request = {.command = command->data,
                    .len = command->len,
                    .level = level,
                    .timeout_ms = node_request_timeout_ms(node),
                    .sql_timeout_ms = node_request_timeout_ms(node),
                    .done = command_done},
    };
    int rv = buf_check(command, "the command", e);

    if (rv != 0) {
        return rv;
    }
    call_init(&c.call, node, command_enter);
    rv = call_wait(&c.call, e);
    if (rv == 0) {
        *ret_result = c.result;
    }
    return rv;
}

static uint64_t monotonic_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static uint64_t deadline_ms(uint64_t timeout_ms)
{
    uint64_t now_ms = monotonic_ms();
    return timeout_ms < UINT64_MAX - now_ms ? now_ms + timeout_ms : UINT64_MAX;
}

/* Members. */

struct change_call {
    struct call call;
    struct replica_change change;
    uint64_t wait_ms, deadline_ms;
    struct replica_wait wait;
};

static void look_at_change(struct change_call *c);

static void on_change_progress(struct replica_wait *wait, const struct error *failed)
{
    struct change_call *c = CONTAINER_OF(wait, struct change_call, wait);
    if (failed != NULL && failed->code == Q_CLOSED) {
        c->call.error = *failed;
        call_end(&c->call);
    } else {
        look_at_change(c); /* an index was applied, or the short deadline is over */
    }
}

static void look_at_change(struct change_call *c)
{
    struct replica_status status;
    bool done;

    replica_status(node_replica(c->call.node), &status);
    done = member_list_shows(&status, &c->change);
    if (!done && monotonic_ms() < c->deadline_ms) {
        c->wait = (struct replica_wait){
            .index = status.applied + 1, .deadline_ms = 0, .reached = on_change_progress};
        replica_wait(node_replica(c->call.node), &c->wait);
        return;
    }
    if (!done) {
        error_set(&c->call.error, Q_TIMEOUT,
                  "the change of the members is decided (index %" PRIu64 ") but not done after %" PRIu64
                  " ms; it goes on",
                  c->change.index, c->wait_ms);
    }
    call_end(&c->call);
}

static void on_decided(struct replica_change *change, const struct error *failed)
{
    struct change_call *c = CONTAINER_OF(change, struct change_call, change);

    if (failed == NULL && c->wait_ms > 0) {
        look_at_change(c);
        return;
    }
    if (failed != NULL) {
        c->call.error = *failed;
    }
    call_end(&c->call);
}

static void change_enter(struct door_visit *visit)
{
    struct change_call *c = CONTAINER_OF(visit, struct change_call, call.visit);
    replica_change_member(node_replica(c->call.node), &c->change);
}

int call_change(struct quorate *node, const struct replica_change *change, uint64_t wait_ms, struct error *e)
{
    struct change_call c = {.change = *change, .wait_ms = wait_ms, .deadline_ms = deadline_ms(wait_ms)};

    c.change.timeout_ms = node_request_timeout_ms(node);
    c.change.done = on_decided;
    call_init(&c.call, node, change_enter);
    return call_wait(&c.call, e);
}

struct transfer_call {
    struct call call;
    uint64_t to;
    struct peer_call asked;
};

static void on_transferred(struct peer_call *asked, const struct error *failed)
{
    struct transfer_call *c = CONTAINER_OF(asked, struct transfer_call, asked);

    if (failed != NULL) {
        c->call.error = *failed;
    }
    call_end(&c->call);
}

static void transfer_enter(struct door_visit *visit)
{
    struct transfer_call *c = CONTAINER_OF(visit, struct transfer_call, call.visit);
    replica_transfer(node_replica(c->call.node), c->to, &c->asked);
}

int call_transfer(struct quorate *node, uint64_t to, struct error *e)
{
    struct transfer_call c = {.to = to,
                              .asked = {.timeout_ms = node_request_timeout_ms(node), .done = on_transferred}};

    call_init(&c.call, node, transfer_enter);
    return call_wait(&c.call, e);
}

/* Readiness: asked again on every entry that is applied, and by the replica's tick. */

struct ready_call {
    struct call call;
    uint64_t deadline_ms;
    struct replica_wait wait;
};

static void look(struct ready_call *c);

static void on_progress(struct replica_wait *wait, const struct error *failed)
{
    struct ready_call *c = CONTAINER_OF(wait, struct ready_call, wait);
    if (failed != NULL && failed->code == Q_CLOSED) {
        c->call.error = *failed;
        call_end(&c->call);
    } else {
        look(c); /* an index was applied, or the short deadline is over */
    }
}

static void look(struct ready_call *c)
{
    struct replica_status status;

    replica_status(node_replica(c->call.node), &status);
    if (!status.ready && monotonic_ms() < c->deadline_ms) {
        c->wait =
            (struct replica_wait){.index = status.applied + 1, .deadline_ms = 0, .reached = on_progress};
        replica_wait(node_replica(c->call.node), &c->wait);
        return;
    }
    if (!status.ready) {
        error_set(&c->call.error, Q_TIMEOUT, "this node is not ready: %s",
                  status.leader ? "it has not caught up with the leader" : "no leader is known");
    }
    call_end(&c->call);
}

static void ready_enter(struct door_visit *visit)
{
    look(CONTAINER_OF(visit, struct ready_call, call.visit));
}

int call_wait_ready(struct quorate *node, uint64_t timeout_ms, struct error *e)
{
    struct ready_call c = {.deadline_ms = deadline_ms(timeout_ms)};

    call_init(&c.call, node, ready_enter);
    return call_wait(&c.call, e);
}
