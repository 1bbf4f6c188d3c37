#include "cluster/requests_impl.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"

static const struct metric counter_table[REQUEST_COUNTERS] = {
    [C_WRITES] = {METRIC_COUNTER, "quorate_requests_total", "kind=\"write\"",
                  "Requests by the way they went."},
    [C_READS_NONE] = {METRIC_COUNTER, "quorate_requests_total", "kind=\"read_none\"", ""},
    [C_READS_WEAK] = {METRIC_COUNTER, "quorate_requests_total", "kind=\"read_weak\"", ""},
    [C_READS_LINEARIZABLE] = {METRIC_COUNTER, "quorate_requests_total", "kind=\"read_linearizable\"", ""},
    [C_FORWARDED] = {METRIC_COUNTER, "quorate_requests_forwarded_total", NULL,
                     "Questions sent to the leader."},
    [C_TIMEOUTS] = {METRIC_COUNTER, "quorate_requests_timed_out_total", NULL,
                    "Requests that reached their deadline."},
    [G_UNDER_WAY] = {METRIC_GAUGE, "quorate_requests_under_way", NULL,
                     "Requests that wait for their answer."},
};

/* Ending. */

static void tell(struct replica_request *q)
{
    struct requests *rs = q->owner;
    struct buf result = q->result;

    rs->count--;
    metric_set(&rs->counters[G_UNDER_WAY], rs->count);
    buf_init(&q->result, 0);
    list_remove(&q->link);
    q->done(q, &q->answer); /* Q's memory is its owner's again */
    buf_close(&result);
}

static void finish(struct replica_request *q)
{
    struct requests *rs = q->owner;
    q->phase = REQUEST_ANSWERED;
    list_remove(&q->link);
    if (rs->submitting) {
        list_push(&rs->answered, &q->link);
        env_timer_start(rs->config.env, rs->soon, 0);
    } else {
        tell(q);
    }
}

static void finish_error(struct replica_request *q, const struct error *why)
{
    q->answer =
        (struct replica_answer){.error = *why, .index = q->owner->config.applied(q->owner->config.ctx)};
    finish(q);
}

void requests_finish_code(struct replica_request *q, enum error_code code, const char *text)
{
    struct error why;
    error_set(&why, code, "%s", text);
    finish_error(q, &why);
}

static void on_soon(void *owner)
{
    struct requests *rs = CAST(struct requests, owner, REQUESTS_MAGIC);
    struct list mine;
    list_take(&mine, &rs->answered);
    while (!list_empty(&mine)) {
        tell(CONTAINER_OF(mine.next, struct replica_request, link));
    }
}

/* Reading. */

/* A statement has the time that its request has left, or less if the client says so. */
static uint64_t time_left_ms(const struct replica_request *q)
{
    uint64_t now = env_now_ms(q->owner->config.env);
    uint64_t left = q->deadline_ms > now ? q->deadline_ms - now : 1;

    return q->sql_timeout_ms > 0 && q->sql_timeout_ms < left ? q->sql_timeout_ms : left;
}

static void read_on_lane(struct env_work *work)
{
    struct replica_request *q = CONTAINER_OF(work, struct replica_request, work);
    struct error e;
    int rv =
        store_read(q->owner->config.store, &q->decoded, time_left_ms(q), &q->result, &q->answer.index, &e);

    if (rv != 0) {
        q->answer.error = e;
    } else if (q->format != NULL) {
        q->format(q, q->result.data, q->result.len);
    } else {
        q->answer.result = q->result.data;
        q->answer.len = q->result.len;
    }
}

static bool may_answer(const struct requests *rs, struct error *why)
{
    return rs->config.may_answer(rs->config.ctx, why) || PLANTED("fenced_nodes_answer");
}

static void read_done(struct env_work *work)
{
    struct replica_request *q = CONTAINER_OF(work, struct replica_request, work);
    struct error why;

    if (may_answer(q->owner, &why)) {
        finish(q);
    } else {
        finish_error(q, &why); /* found out while it was read */
    }
}

static void start_reading(struct replica_request *q)
{
    struct requests *rs = q->owner;
    struct error why;

    list_remove(&q->link);
    list_push(&rs->under_way, &q->link);
    if (!may_answer(rs, &why)) {
        finish_error(q, &why);
        return;
    }
    q->phase = REQUEST_READING;
    q->work = (struct env_work){.run = read_on_lane, .done = read_done, .lane = ENV_READER};
    env_run(rs->config.env, &q->work);
}

/* The answer must not be older than INDEX. */
static void read_at(struct replica_request *q, uint64_t index)
{
    struct requests *rs = q->owner;
    if (rs->config.applied(rs->config.ctx) >= index || PLANTED("reads_do_not_wait_for_their_index")) {
        start_reading(q);
        return;
    }
    q->phase = REQUEST_CATCHING_UP;
    q->answer.index = index;
    list_remove(&q->link);
    list_push(&rs->catching_up, &q->link);
}

void requests_advanced(struct requests *rs)
{
    uint64_t applied = rs->config.applied(rs->config.ctx);
    LIST_EACH_SAFE (&rs->catching_up, item) {
        struct replica_request *q = CONTAINER_OF(item, struct replica_request, link);
        if (q->answer.index <= applied) {
            start_reading(q);
        }
    }
}

/* Nothing was done. An election takes moments, and who waits for it notices nothing. */
static void no_leader(struct replica_request *q)
{
    struct requests *rs = q->owner;
    uint64_t now = env_now_ms(rs->config.env);

    q->seek_until_ms = q->seek_until_ms != 0 ? q->seek_until_ms : now + rs->config.patience_ms;
    if (now >= q->seek_until_ms || PLANTED("nobody_waits_for_an_election")) {
        requests_finish_code(q, Q_NO_LEADER, "leader not found");
        return;
    }
    q->phase = REQUEST_SEEKING;
    list_remove(&q->link);
    list_push(&rs->seeking, &q->link);
}

/* ASKED did nothing because it does not lead: go where the leader is now, if that is somewhere else. */
static void follow_leader(struct replica_request *q, uint64_t asked)
{
    uint64_t leader = consensus_leader(q->owner->config.consensus);
    if (leader == 0 || leader == asked) {
        no_leader(q);
    } else {
        requests_route(q);
    }
}

static void asked_here(struct consensus_read *read, uint64_t index, const struct error *failed)
{
    struct replica_request *q = CONTAINER_OF(read, struct replica_request, asking);
    if (failed != NULL) {
        requests_route(q);
        return;
    }
    q->answer.served_by = q->owner->config.id;
    read_at(q, index);
}

static void asked_leader(struct forward_call *call, const struct forward_answer *answer)
{
    struct replica_request *q = CONTAINER_OF(call, struct replica_request, call);
    if (answer->error.code == Q_NOT_LEADER || answer->error.code == Q_NO_LEADER) {
        follow_leader(q, call->to);
    } else if (answer->error.code != Q_OK) {
        finish_error(q, &answer->error);
    } else {
        q->answer.served_by = call->to;
        read_at(q, answer->index);
    }
}

static bool is_stale(const struct replica_request *q)
{
    const struct requests_config *config = &q->owner->config;
    return q->freshness_us != 0 && (config->leader_contact_us(config->ctx) > q->freshness_us ||
                                    (q->freshness_strict && config->lag_us(config->ctx) > q->freshness_us));
}

static void route_read(struct replica_request *q)
{
    struct requests *rs = q->owner;
    struct consensus *consensus = rs->config.consensus;
    uint64_t leader = consensus_leader(consensus);
    bool leads = consensus_role(consensus) == CONSENSUS_LEADER;

    if (q->level == READ_NONE) {
        metric_add(&rs->counters[C_READS_NONE], 1);
        if (!leads && is_stale(q) && !PLANTED("stale_reads_are_answered")) {
            requests_finish_code(q, Q_CONFLICT, "stale read");
            return;
        }
        q->answer.served_by = rs->config.id;
        start_reading(q);
    } else if (leads && (q->level == READ_WEAK || PLANTED("every_read_is_a_weak_one"))) {
        metric_add(&rs->counters[C_READS_WEAK], 1);
        q->answer.served_by = rs->config.id;
        read_at(q, consensus_commit(consensus));
    } else if (leads) {
        metric_add(&rs->counters[C_READS_LINEARIZABLE], 1);
        q->phase = REQUEST_ASKING_HERE;
        q->asking.done = asked_here;
        consensus_read(consensus, &q->asking);
    } else if (q->only_here) {
        requests_finish_code(q, leader ? Q_NOT_LEADER : Q_NO_LEADER,
                             leader ? "this node does not lead" : "leader not found");
    } else {
        enum forward_kind kind = q->level == READ_WEAK ? FORWARD_READ_WEAK : FORWARD_READ_LINEARIZABLE;
        metric_add(&rs->counters[q->level == READ_WEAK ? C_READS_WEAK : C_READS_LINEARIZABLE], 1);
        q->phase = REQUEST_ASKING_LEADER;
        q->call.done = asked_leader;
        if (leader == 0 || !forward_ask(rs->config.forward, leader, kind, NULL, 0, &q->call)) {
            no_leader(q);
            return;
        }
        metric_add(&rs->counters[C_FORWARDED], 1);
    }
}

/* Writing. */

static void take_result(struct replica_request *q, const uint8_t *result, size_t n, uint64_t index,
                        uint64_t served_by)
{
    q->answer = (struct replica_answer){
        .result = result, .len = n, .index = index, .logged = true, .served_by = served_by};
    finish(q);
}

static void written(struct batcher_command *command, const struct batcher_answer *answer)
{
    struct replica_request *q = CONTAINER_OF(command, struct replica_request, writing);
    if (answer->error.code == Q_OK) {
        take_result(q, answer->result, answer->len, answer->index, q->owner->config.id);
    } else if (answer->error.code == Q_NOT_LEADER) {
        requests_route(q); /* nothing was done: try where the leader is now */
    } else {
        finish_error(q, &answer->error);
    }
}

static void forwarded(struct forward_call *call, const struct forward_answer *answer)
{
    struct replica_request *q = CONTAINER_OF(call, struct replica_request, call);
    if (answer->error.code == Q_OK) {
        take_result(q, answer->result, answer->len, answer->index, call->to);
    } else if (answer->error.code == Q_NOT_LEADER) {
        follow_leader(q, call->to);
    } else {
        finish_error(q, &answer->error);
    }
}

static void route_write(struct replica_request *q)
{
    struct requests *rs = q->owner;
    uint64_t leader = consensus_leader(rs->config.consensus);
    struct error e;
    int rv;

    metric_add(&rs->counters[C_WRITES], 1);
    q->writing = (struct batcher_command){.bytes = q->command, .len = q->len, .done = written};
    q->phase = REQUEST_WRITING;
    rv = batcher_push(rs->config.batcher, &q->writing, &e);
    if (rv == 0) {
        rs->config.pushed(rs->config.ctx);
        return;
    }
    if (rv != Q_NOT_LEADER) {
        finish_error(q, &e);
    } else if (leader == 0 || leader == rs->config.id) {
        no_leader(q);
    } else if (q->only_here) {
        requests_finish_code(q, Q_NOT_LEADER, "this node does not lead");
    } else {
        q->phase = REQUEST_FORWARDED;
        q->call.done = forwarded;
        if (!forward_ask(rs->config.forward, leader, FORWARD_COMMAND, q->command, q->len, &q->call)) {
            no_leader(q);
            return;
        }
        metric_add(&rs->counters[C_FORWARDED], 1);
    }
}

void requests_route(struct replica_request *q)
{
    if (q->owner->stopped) {
        requests_finish_code(q, Q_CLOSED, "this node is stopping");
    } else if (consensus_recovering(q->owner->config.consensus) && !PLANTED("recovering_node_answers")) {
        requests_finish_code(q, Q_BUSY,
                             "this node recovers: its log is damaged and is being repaired from the others");
    } else if (q->reads) {
        route_read(q);
    } else {
        route_write(q);
    }
}

static void classify_on_lane(struct env_work *work)
{
    struct replica_request *q = CONTAINER_OF(work, struct replica_request, work);
    q->reads = store_is_read_only(q->owner->config.store, &q->decoded);
}

static void classified(struct env_work *work)
{
    requests_route(CONTAINER_OF(work, struct replica_request, work));
}

void requests_submit(struct requests *rs, struct replica_request *q)
{
    struct error e;

    q->owner = rs;
    q->answer = (struct replica_answer){.error.code = Q_OK};
    q->deadline_ms = env_now_ms(rs->config.env) + q->timeout_ms;
    q->seek_until_ms = 0;
    buf_init(&q->result, rs->config.result_max + 64);
    list_init(&q->link);
    list_push(&rs->under_way, &q->link);
    rs->count++;
    metric_set(&rs->counters[G_UNDER_WAY], rs->count);

    rs->submitting = true;
    if (rs->stopped) {
        requests_finish_code(q, Q_CLOSED, "this node is stopping");
    } else if (command_decode(q->command, q->len, &q->decoded, &e) != 0) {
        finish_error(q, &e);
    } else if (q->decoded.op == COMMAND_MEMBER) {
        requests_finish_code(q, Q_INVALID, "changes of the members have a door of their own");
    } else if (q->decoded.op == COMMAND_SQL_REQUEST && q->level != READ_STRONG) {
        q->phase = REQUEST_CLASSIFY;
        q->work = (struct env_work){.run = classify_on_lane, .done = classified, .lane = ENV_READER};
        env_run(rs->config.env, &q->work);
    } else {
        q->reads = command_reads(q->decoded.op) && q->level != READ_STRONG;
        requests_route(q);
    }
    rs->submitting = false;
}

int requests_new(const struct requests_config *config, struct requests **ret_requests, struct error *e)
{
    struct requests *rs = calloc(1, sizeof *rs);
    if (rs != NULL) {
        rs->soon = env_timer_new(config->env, on_soon, rs);
    }
    if (rs == NULL || rs->soon == NULL) {
        free(rs);
        return error_set(e, Q_NOMEM, "out of memory for requests");
    }
    rs->magic = REQUESTS_MAGIC;
    rs->config = *config;
    list_init(&rs->under_way);
    list_init(&rs->catching_up);
    list_init(&rs->seeking);
    list_init(&rs->answered);
    memcpy(rs->counters, counter_table, sizeof counter_table);
    *ret_requests = rs;
    return 0;
}

static void drop_results(struct list *requests)
{
    LIST_EACH (requests, item) {
        buf_close(&CONTAINER_OF(item, struct replica_request, link)->result);
    }
}

void requests_free(struct requests *rs)
{
    if (rs == NULL) {
        return;
    }
    drop_results(&rs->under_way);
    drop_results(&rs->catching_up);
    drop_results(&rs->seeking);
    drop_results(&rs->answered);
    env_timer_free(rs->config.env, rs->soon);
    rs->magic = 0;
    free(rs);
}

void requests_stop(struct requests *rs)
{
    rs->stopped = true;
}

bool requests_idle(const struct requests *rs)
{
    return rs->count == 0;
}

void requests_metrics(struct requests *rs, struct metrics *metrics)
{
    metrics_register(metrics, rs->counters, REQUEST_COUNTERS);
}
