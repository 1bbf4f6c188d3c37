#include "raft_glue/batcher.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"

enum { BATCHER_MAGIC = 0x51c0de02 };

enum counter {
    C_BATCHES,
    C_COMMANDS,
    C_REFUSED,
    C_NO_SPACE,
    C_UNKNOWN,
    G_QUEUED,
    H_LATENCY,
    BATCHER_COUNTERS
};

static const struct metric counter_table[BATCHER_COUNTERS] = {
    [C_BATCHES] = {METRIC_COUNTER, "quorate_batches_total", NULL,
                   "Log entries made of commands by this node as leader."},
    [C_COMMANDS] = {METRIC_COUNTER, "quorate_batched_commands_total", NULL, "Commands put into log entries."},
    [C_REFUSED] = {METRIC_COUNTER, "quorate_batcher_refused_total", NULL,
                   "Commands refused because the queue was full."},
    [C_NO_SPACE] = {METRIC_COUNTER, "quorate_writes_refused_full_total", NULL,
                    "Commands refused because a disk was full."},
    [C_UNKNOWN] = {METRIC_COUNTER, "quorate_commands_unknown_total", NULL,
                   "Commands whose outcome stayed unknown."},
    [G_QUEUED] = {METRIC_GAUGE, "quorate_batcher_queued_commands", NULL,
                  "Commands waiting for the next log entry."},
    [H_LATENCY] = {METRIC_HISTOGRAM, "quorate_command_seconds", NULL,
                   "From a command's arrival at the leader to its result."},
};

/* A batch that was submitted: its commands as they stand in the entry, NULL for those that were forgotten. */
struct batcher_flight {
    struct list link;
    uint64_t index, term;
    uint32_t count;
    struct batcher_command *commands[];
};

struct batcher {
    OBJECT_MAGIC;
    struct batcher_config config;
    struct list queue;   /* struct batcher_command */
    struct list flights; /* struct batcher_flight, by index; stray ones may be among the others */
    uint64_t queued_bytes, queued_commands;
    uint64_t last_time_ms;
    uint64_t stray_ms; /* since when flights have been stray; 0: there are none */
    struct env_timer *grace;
    struct buf payload;
    struct histogram latency;
    struct metric counters[BATCHER_COUNTERS];
};

static void answer(struct batcher *b, struct batcher_command *command, const struct batcher_answer *with)
{
    if (with->error.code == Q_OK) {
        histogram_add(&b->latency, env_now_us(b->config.env) - command->since_us);
    }
    metric_add(&b->counters[C_UNKNOWN], with->error.code == Q_UNKNOWN);
    metric_add(&b->counters[C_NO_SPACE], with->error.code == Q_NO_SPACE);
    command->flight = NULL;
    command->done(command, with);
}

static struct batcher_command *pop_queue(struct batcher *b, struct list *queue)
{
    struct list *link = list_pop(queue);
    struct batcher_command *command = link ? CONTAINER_OF(link, struct batcher_command, link) : NULL;
    if (command != NULL) {
        b->queued_commands--;
        b->queued_bytes -= command->len;
    }
    return command;
}

/* Callbacks may push new commands: only what waits now is failed. */
static void fail_queue(struct batcher *b, enum error_code code, const char *text)
{
    struct batcher_answer with = {.result = NULL};
    struct batcher_command *command;
    struct list mine;

    error_set(&with.error, code, "%s", text);
    list_take(&mine, &b->queue);
    while ((command = pop_queue(b, &mine)) != NULL) {
        answer(b, command, &with);
    }
}

static struct batcher_flight *first_flight(struct batcher *b)
{
    return list_empty(&b->flights) ? NULL : CONTAINER_OF(b->flights.next, struct batcher_flight, link);
}

/* Answers the commands of a flight that is taken off its list: each with its own result, or all with FAILED.
 */
static void land(struct batcher *b, struct batcher_flight *f, struct cursor results,
                 const struct error *failed)
{
    struct batcher_answer with = {.index = f->index};

    list_remove(&f->link);
    if (failed != NULL) {
        with.error = *failed;
    }
    for (uint32_t i = 0; i < f->count; i++) {
        struct cursor result = failed ? (struct cursor){.p = NULL} : cursor_blob(&results);
        with.result = result.p;
        with.len = cursor_left(&result);
        if (f->commands[i] != NULL) {
            answer(b, f->commands[i], &with);
        }
    }
    assert(failed != NULL || (!results.bad && cursor_left(&results) == 0));
    free(f);
}

/* Whether it is for others to commit it: this node does not lead, or only since after it. */
static bool stray(const struct batcher *b, const struct batcher_flight *f)
{
    return consensus_role(b->config.consensus) != CONSENSUS_LEADER ||
           f->term != consensus_term(b->config.consensus);
}

static void give_up_flights(struct batcher *b, bool all, const char *reason)
{
    struct error why;

    error_set(&why, PLANTED("lost_leadership_means_not_done") ? Q_NOT_LEADER : Q_UNKNOWN,
              "%s: the outcome is unknown, the write may still be applied", reason);
    LIST_EACH_SAFE (&b->flights, item) {
        struct batcher_flight *f = CONTAINER_OF(item, struct batcher_flight, link);
        if (all || stray(b, f)) {
            land(b, f, (struct cursor){.p = NULL}, &why);
        }
    }
}

static void on_grace(void *owner)
{
    struct batcher *b = CAST(struct batcher, owner, BATCHER_MAGIC);
    if (b->stray_ms != 0) {
        b->stray_ms = 0;
        give_up_flights(b, false, "leadership lost while committing log");
    }
}

/* Gives stray flights their grace time. */
static void watch_strays(struct batcher *b)
{
    bool any = false;
    LIST_EACH (&b->flights, item) {
        any = any || stray(b, CONTAINER_OF(item, struct batcher_flight, link));
    }
    if (!any) {
        b->stray_ms = 0;
    } else if (b->stray_ms == 0) {
        b->stray_ms = env_now_ms(b->config.env);
        env_timer_start(b->config.env, b->grace, (b->stray_ms + b->config.grace_ms) * 1000);
    }
}

int batcher_new(const struct batcher_config *config, struct batcher **ret_batcher, struct error *e)
{
    struct batcher *b = calloc(1, sizeof *b);
    if (b == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the batcher");
    }
    b->magic = BATCHER_MAGIC;
    b->config = *config;
    list_init(&b->queue);
    list_init(&b->flights);
    memcpy(b->counters, counter_table, sizeof counter_table);
    b->counters[H_LATENCY].histogram = &b->latency;
    buf_init(&b->payload, consensus_entry_max(config->consensus));
    b->grace = env_timer_new(config->env, on_grace, b);
    if (b->grace == NULL) {
        free(b);
        return error_set(e, Q_NOMEM, "out of memory for the batcher");
    }
    *ret_batcher = b;
    return 0;
}

void batcher_free(struct batcher *b)
{
    struct batcher_flight *f;
    if (b == NULL) {
        return;
    }
    while ((f = first_flight(b)) != NULL) {
        list_remove(&f->link);
        free(f);
    }
    env_timer_free(b->config.env, b->grace);
    buf_close(&b->payload);
    b->magic = 0;
    free(b);
}

static bool refuses(const struct batcher *b, struct error *e)
{
    return b->config.refuses != NULL && b->config.refuses(b->config.ctx, e) != 0;
}

int batcher_push(struct batcher *b, struct batcher_command *command, struct error *e)
{
    uint64_t max = b->payload.max - BATCH_HEADER_BYTES - 4;

    if (!consensus_leads(b->config.consensus)) {
        return error_set(e, Q_NOT_LEADER, "this node does not lead");
    }
    if (refuses(b, e)) {
        metric_add(&b->counters[C_NO_SPACE], e->code == Q_NO_SPACE);
        return (int)e->code;
    }
    if (command->len > max) {
        return error_set(e, Q_TOO_BIG, "a command of %zu bytes is over the limit of %" PRIu64 " bytes",
                         command->len, max);
    }
    if (b->queued_commands > 0 &&
        ((b->queued_commands + 1 > b->config.queue_commands && !PLANTED("queued_commands_have_no_limit")) ||
         b->queued_bytes + command->len > b->config.queue_bytes)) {
        metric_add(&b->counters[C_REFUSED], 1);
        return error_set(e, Q_BUSY,
                         "too much is waiting to be written (%" PRIu64 " commands, %" PRIu64
                         " bytes): try again later",
                         b->queued_commands, b->queued_bytes);
    }
    command->since_us = env_now_us(b->config.env);
    list_push(&b->queue, &command->link);
    b->queued_commands++;
    b->queued_bytes += command->len;
    return 0;
}

bool batcher_forget(struct batcher *b, struct batcher_command *command)
{
    if (command->flight != NULL) {
        command->flight->commands[command->position] = NULL;
        command->flight = NULL;
        return false;
    }
    list_remove(&command->link);
    b->queued_commands--;
    b->queued_bytes -= command->len;
    return true;
}

/* How many of the waiting commands go into the next batch. */
static uint32_t next_batch(const struct batcher *b)
{
    uint32_t count = 0;
    size_t bytes = BATCH_HEADER_BYTES;
    LIST_EACH (&b->queue, item) {
        const struct batcher_command *command = CONTAINER_OF(item, struct batcher_command, link);
        bytes += 4 + command->len;
        if (count > 0 && (bytes > BATCH_BYTES_MAX || count == BATCH_COMMANDS_MAX)) {
            break;
        }
        count++;
    }
    return count;
}

static void encode_batch(struct batcher *b, const struct batcher_position *position,
                         const struct batcher_flight *f)
{
    uint64_t now_ms = env_wall_ms(b->config.env);
    struct batch batch = {
        .term = f->term,
        .index = f->index,
        .time_ms = now_ms,
        .durable_index = consensus_floor(b->config.consensus),
        .digest_index = position->digest_index,
        .commands = f->count,
    };

    if (!PLANTED("time_in_headers_falls")) {
        batch.time_ms = batch.time_ms > b->last_time_ms ? batch.time_ms : b->last_time_ms;
    }
    batch.time_ms = batch.time_ms > position->time_ms ? batch.time_ms : position->time_ms;
    b->last_time_ms = batch.time_ms;
    memcpy(batch.digest, position->digest, sizeof batch.digest);
    env_random(b->config.env, batch.seed, sizeof batch.seed);
    buf_clear(&b->payload);
    batch_put_header(&b->payload, &batch);
    LIST_EACH (&b->queue, item) {
        const struct batcher_command *command = CONTAINER_OF(item, struct batcher_command, link);
        if (batch.commands-- == 0) {
            break;
        }
        buf_put_blob(&b->payload, command->bytes, command->len);
    }
}

/* Behind all of its index and below: a leader may have to write anew what it wrote in an older term. */
static void add_flight(struct batcher *b, struct batcher_flight *f)
{
    struct list *before = b->flights.prev;
    while (before != &b->flights && CONTAINER_OF(before, struct batcher_flight, link)->index > f->index) {
        before = before->prev;
    }
    list_push(before->next, &f->link);
}

/* Submits one batch; false if nothing can go now. */
static bool submit_batch(struct batcher *b, const struct batcher_position *position)
{
    struct consensus *consensus = b->config.consensus;
    uint32_t count = next_batch(b);
    struct batcher_flight *f = malloc(sizeof *f + count * sizeof f->commands[0]);
    struct error e;

    if (f == NULL) {
        fail_queue(b, Q_NOMEM, "out of memory for a batch");
        return false;
    }
    *f = (struct batcher_flight){
        .index = consensus_last(consensus) + 1, .term = consensus_term(consensus), .count = count};
    encode_batch(b, position, f);
    if (buf_check(&b->payload, "a batch", &e) != 0) {
        free(f);
        fail_queue(b, e.code, e.text);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        f->commands[i] = pop_queue(b, &b->queue);
        f->commands[i]->flight = f;
        f->commands[i]->position = i;
    }
    add_flight(b, f);
    metric_add(&b->counters[C_BATCHES], 1);
    metric_add(&b->counters[C_COMMANDS], count);
    if (consensus_submit(consensus, LOG_COMMANDS, b->payload.data, (uint32_t)b->payload.len, &e) != 0) {
        land(b, f, (struct cursor){.p = NULL}, &e);
        return false;
    }
    return true;
}

static unsigned flights_to_commit(const struct batcher *b)
{
    uint64_t commit = consensus_commit(b->config.consensus);
    unsigned n = 0;
    LIST_EACH (&b->flights, item) {
        const struct batcher_flight *f = CONTAINER_OF(item, struct batcher_flight, link);
        n += f->index > commit && !stray(b, f) ? 1 : 0;
    }
    return n;
}

void batcher_poll(struct batcher *b, const struct batcher_position *position)
{
    struct consensus *consensus = b->config.consensus;
    struct error why;

    if (!consensus_leads(consensus)) {
        fail_queue(b, Q_NOT_LEADER, "this node does not lead any more");
    } else if (!list_empty(&b->queue) && refuses(b, &why)) {
        fail_queue(b, why.code, why.text);
    }
    while (!list_empty(&b->queue) && consensus_leads(consensus) &&
           (flights_to_commit(b) < b->config.inflight_max || PLANTED("batches_under_way_have_no_limit")) &&
           (consensus_last(consensus) < position->applied + b->config.backlog_max ||
            PLANTED("commands_do_not_wait_for_the_database")) &&
           submit_batch(b, position)) {
    }
    watch_strays(b);
    metric_set(&b->counters[G_QUEUED], (int64_t)b->queued_commands);
}

void batcher_applied(struct batcher *b, uint64_t index, uint64_t term, struct cursor results)
{
    struct batcher_flight *f;
    struct error why;

    error_set(&why, Q_NOT_LEADER, "another leader's entry took the place of this one: nothing was done");
    while ((f = first_flight(b)) != NULL && f->index <= index) {
        if (f->index == index && (f->term == term || PLANTED("entry_of_any_term_answers"))) {
            land(b, f, results, NULL);
        } else if (f->index == index) {
            land(b, f, results, &why);
        } else {
            /* Skipped by the installation of a snapshot. */
            struct error unknown;
            error_set(&unknown, Q_UNKNOWN,
                      "the outcome is unknown: the entry was taken over inside a snapshot");
            land(b, f, results, &unknown);
        }
    }
}

void batcher_stop(struct batcher *b)
{
    fail_queue(b, Q_CLOSED, "this node is stopping");
    give_up_flights(b, true, "leadership lost while committing log");
}

void batcher_abandon(struct batcher *b)
{
    fail_queue(b, Q_NOT_LEADER, "this node does not lead any more");
    give_up_flights(b, true, "the database of this node is damaged");
}

void batcher_metrics(struct batcher *b, struct metrics *metrics)
{
    metrics_register(metrics, b->counters, BATCHER_COUNTERS);
}
