#include "cluster/served.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"
#include "storage/command.h"

enum { SERVED_MAGIC = 0x51c0de09 };

static const struct metric questions_row = {
    .kind = METRIC_COUNTER,
    .name = "quorate_requests_served_total",
    .help = "Questions of other nodes answered.",
};

struct served {
    OBJECT_MAGIC;
    struct served_config config;
    struct list waiting; /* struct question */
    bool stopped;
    struct metric questions;
};

/* A question that waits for the batcher or the read index. */
struct question {
    struct list link;
    struct served *owner;
    struct forward_question asked;
    struct batcher_command writing;
    struct consensus_read reading;
    uint8_t command[];
};

static void question_free(struct question *q)
{
    list_remove(&q->link);
    free(q);
}

static void reply(struct question *q, const struct forward_answer *answer)
{
    forward_reply(q->owner->config.forward, &q->asked, answer);
    question_free(q);
}

static void on_written(struct batcher_command *command, const struct batcher_answer *answer)
{
    struct question *q = CONTAINER_OF(command, struct question, writing);
    struct forward_answer with = {
        .error = answer->error, .result = answer->result, .len = answer->len, .index = answer->index};
    reply(q, &with);
}

static void on_index(struct consensus_read *read, uint64_t index, const struct error *failed)
{
    struct question *q = CONTAINER_OF(read, struct question, reading);
    struct forward_answer with = {.index = index};
    if (failed != NULL) {
        with.error = *failed;
    }
    reply(q, &with);
}

static void write_command(struct question *q, size_t n)
{
    struct forward_answer refused = {.result = NULL};
    struct command decoded;

    q->writing = (struct batcher_command){.bytes = q->command, .len = n, .done = on_written};
    if (command_decode(q->command, n, &decoded, &refused.error) != 0 ||
        batcher_push(q->owner->config.batcher, &q->writing, &refused.error) != 0) {
        reply(q, &refused);
    }
}

static void weak_index(struct question *q)
{
    struct consensus *consensus = q->owner->config.consensus;
    struct forward_answer answer = {.index = consensus_commit(consensus)};

    if (consensus_role(consensus) != CONSENSUS_LEADER && !PLANTED("followers_answer_weak_reads")) {
        error_set(&answer.error, Q_NOT_LEADER, "this node does not lead");
    }
    reply(q, &answer);
}

static void hand_over(struct question *q, size_t n)
{
    struct forward_answer answer = {.result = NULL};

    if (n != 8) {
        error_set(&answer.error, Q_CORRUPT, "a question for a transfer of %zu bytes is not understood", n);
    } else {
        consensus_transfer(q->owner->config.consensus, get_le64(q->command), &answer.error);
    }
    reply(q, &answer);
}

static void say_nothing(struct question *q)
{
    struct forward_answer answer = {.result = NULL};

    reply(q, &answer);
}

void served_ask(struct served *s, const struct forward_question *asked, const uint8_t *command, size_t n)
{
    struct forward_answer refused = {.result = NULL};
    struct question *q = s->stopped ? NULL : malloc(sizeof *q + n);

    metric_add(&s->questions, 1);
    if (q == NULL) {
        error_set(&refused.error, s->stopped ? Q_NOT_LEADER : Q_BUSY,
                  s->stopped ? "this node is stopping" : "out of memory for a forwarded request");
        forward_reply(s->config.forward, asked, &refused);
        return;
    }
    *q = (struct question){.owner = s, .asked = *asked};
    memcpy(q->command, command, n);
    list_push(&s->waiting, &q->link);
    switch (asked->kind) {
    case FORWARD_COMMAND: write_command(q, n); return;
    case FORWARD_READ_LINEARIZABLE:
        q->reading.done = on_index;
        consensus_read(s->config.consensus, &q->reading);
        return;
    case FORWARD_READ_WEAK: weak_index(q); return;
    case FORWARD_PING: say_nothing(q); return;
    case FORWARD_TRANSFER: hand_over(q, n); return;
    case FORWARD_MEMBER: break;
    }
    assert(false);
}

int served_new(const struct served_config *config, struct served **ret_served, struct error *e)
{
    struct served *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for forwarded requests");
    }
    s->magic = SERVED_MAGIC;
    s->config = *config;
    s->questions = questions_row;
    list_init(&s->waiting);
    *ret_served = s;
    return 0;
}

void served_free(struct served *s)
{
    if (s == NULL) {
        return;
    }
    while (!list_empty(&s->waiting)) {
        question_free(CONTAINER_OF(s->waiting.next, struct question, link));
    }
    s->magic = 0;
    free(s);
}

void served_stop(struct served *s)
{
    s->stopped = true;
}

void served_metrics(struct served *s, struct metrics *metrics)
{
    metrics_register(metrics, &s->questions, 1);
}
