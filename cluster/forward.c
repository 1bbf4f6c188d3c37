#include "cluster/forward.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"
#include "cluster/peers.h"

enum { FORWARD_MAGIC = 0x51c0de04, QUESTION_MAX = 64 * 1024 * 1024 };

/* What was taken from one asking node. */
struct taken {
    uint64_t from, session, number;
    uint64_t turn; /* of its last question */
};

struct forward {
    OBJECT_MAGIC;
    struct forward_config config;
    struct list calls; /* struct forward_call, by number */
    uint64_t session, last_number;
    struct taken taken[PEERS_MAX];
    unsigned takers;
    uint64_t turns;
    struct buf body;
};

int forward_new(const struct forward_config *config, struct forward **ret_forward, struct error *e)
{
    struct forward *f = calloc(1, sizeof *f);
    if (f == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for forwarding");
    }
    f->magic = FORWARD_MAGIC;
    f->config = *config;
    list_init(&f->calls);
    buf_init(&f->body, config->answer_max > QUESTION_MAX ? config->answer_max : QUESTION_MAX);
    env_random(config->env, &f->session, sizeof f->session);
    *ret_forward = f;
    return 0;
}

void forward_free(struct forward *f)
{
    if (f != NULL) {
        buf_close(&f->body);
        f->magic = 0;
        free(f);
    }
}

bool forward_ask(struct forward *f, uint64_t to, enum forward_kind kind, const void *command, size_t n,
                 struct forward_call *call)
{
    call->number = ++f->last_number;
    call->to = to;
    call->kind = kind;
    call->stray_ms = 0;
    list_init(&call->link);
    buf_clear(&f->body);
    buf_put_u8(&f->body, (uint8_t)kind);
    buf_put_u64(&f->body, f->session);
    buf_put_u64(&f->body, call->number);
    buf_put_bytes(&f->body, command, n);
    if (f->body.failed != Q_OK ||
        !f->config.send(f->config.ctx, to, f->config.question_type, f->body.data, f->body.len)) {
        return false;
    }
    list_push(&f->calls, &call->link);
    return true;
}

void forward_forget(struct forward_call *call)
{
    list_remove(&call->link);
}

/* False if it is too large, or the network does not take it. */
static bool send_answer(struct forward *f, const struct forward_question *question,
                        const struct forward_answer *answer)
{
    const struct error *error = &answer->error;

    buf_clear(&f->body);
    buf_put_u64(&f->body, question->session);
    buf_put_u64(&f->body, question->number);
    buf_put_u16(&f->body, (uint16_t)error->code);
    buf_put_blob(&f->body, error->text, error->code == Q_OK ? 0 : strnlen(error->text, sizeof error->text));
    buf_put_u64(&f->body, answer->index);
    if (error->code == Q_OK) {
        buf_put_bytes(&f->body, answer->result, answer->len);
    }
    return f->body.failed == Q_OK && f->body.len <= f->config.answer_max &&
           f->config.send(f->config.ctx, question->from, f->config.answer_type, f->body.data, f->body.len);
}

void forward_reply(struct forward *f, const struct forward_question *question,
                   const struct forward_answer *answer)
{
    struct forward_answer without = {.index = answer->index};

    if (send_answer(f, question, answer) || answer->error.code != Q_OK) {
        return; /* one that cannot be sent is lost like any message: the asker's deadline deals with it */
    }
    if (question->kind == FORWARD_COMMAND) {
        error_set(&without.error, Q_UNKNOWN,
                  "the result of %zu bytes cannot be sent back through another node; the command was done",
                  answer->len);
    } else {
        error_set(&without.error, Q_BUSY, "too much is waiting to be sent to this node: try again later");
    }
    send_answer(f, question, &without);
}

/* All places are taken: one of them by a member that is gone, as there are fewer others at once. */
static struct taken *longest_silent(struct forward *f)
{
    struct taken *silent = f->taken;

    for (struct taken *taken = f->taken; taken < f->taken + f->takers; taken++) {
        silent = taken->turn < silent->turn ? taken : silent;
    }
    return silent;
}

/* Whether the question is new. */
static bool take(struct forward *f, const struct forward_question *question)
{
    struct taken *taken = f->taken;
    while (taken < f->taken + f->takers && taken->from != question->from) {
        taken++;
    }
    if (taken == f->taken + f->takers) {
        taken = f->takers < PEERS_MAX ? &f->taken[f->takers++] : longest_silent(f);
        *taken = (struct taken){.from = question->from};
    }
    taken->turn = ++f->turns;
    if (taken->session == question->session && question->number <= taken->number &&
        !PLANTED("doubled_questions_are_served_twice")) {
        return false;
    }
    taken->session = question->session;
    taken->number = question->number;
    return true;
}

static int receive_question(struct forward *f, uint64_t from, const uint8_t *body, size_t n, struct error *e)
{
    struct cursor c = cursor_of(body, n);
    struct forward_question question = {.from = from};

    question.kind = (enum forward_kind)cursor_u8(&c);
    question.session = cursor_u64(&c);
    question.number = cursor_u64(&c);
    if (c.bad) {
        return error_set(e, Q_CORRUPT, "a forwarded question of %zu bytes is cut short", n);
    }
    switch (question.kind) {
    case FORWARD_COMMAND:
    case FORWARD_READ_LINEARIZABLE:
    case FORWARD_READ_WEAK:
    case FORWARD_PING:
    case FORWARD_TRANSFER:
    case FORWARD_MEMBER:
        if (take(f, &question)) {
            f->config.asked(f->config.ctx, &question, c.p, cursor_left(&c));
        }
        return 0;
    }
    return error_set(e, Q_CORRUPT, "a forwarded question of kind %u is not understood", body[0]);
}

static void finish(struct forward_call *call, const struct forward_answer *answer)
{
    list_remove(&call->link);
    call->done(call, answer);
}

static int receive_answer(struct forward *f, uint64_t from, const uint8_t *body, size_t n, struct error *e)
{
    struct cursor c = cursor_of(body, n);
    struct forward_answer answer;
    uint64_t session = cursor_u64(&c);
    uint64_t number = cursor_u64(&c);
    uint16_t code = cursor_u16(&c);
    struct cursor text = cursor_blob(&c);

    answer.index = cursor_u64(&c);
    if (c.bad || code >= Q_CODES ||
        (cursor_left(&text) >= sizeof answer.error.text && !PLANTED("text_of_an_answer_has_no_limit"))) {
        return error_set(e, Q_CORRUPT, "a forwarded answer of %zu bytes is not understood", n);
    }
    answer.error.code = (enum error_code)code;
    memset(answer.error.text, 0, sizeof answer.error.text);
    memcpy(answer.error.text, text.p, cursor_left(&text));
    answer.result = c.p;
    answer.len = cursor_left(&c);
    LIST_EACH (&f->calls, item) {
        struct forward_call *call = CONTAINER_OF(item, struct forward_call, link);
        if (session == f->session && call->number == number &&
            (call->to == from || PLANTED("anybody_may_answer"))) {
            finish(call, &answer);
            return 0;
        }
    }
    return 0; /* too late: nobody waits any more */
}

int forward_received(struct forward *f, uint64_t from, uint8_t type, const uint8_t *body, size_t n,
                     struct error *e)
{
    return type == f->config.question_type ? receive_question(f, from, body, n, e)
                                           : receive_answer(f, from, body, n, e);
}

static void fail(struct forward_call *call, const char *why)
{
    struct forward_answer answer = {.result = NULL};
    if (call->kind == FORWARD_COMMAND) {
        error_set(&answer.error, PLANTED("broken_connection_means_not_done") ? Q_NOT_LEADER : Q_UNKNOWN,
                  "%s: the outcome is unknown, the write may still be applied", why);
    } else if (call->kind == FORWARD_TRANSFER) {
        error_set(&answer.error, Q_UNKNOWN, "%s: leadership may or may not be handed over", why);
    } else if (call->kind == FORWARD_MEMBER) {
        error_set(&answer.error, Q_UNKNOWN, "%s: the members may or may not be changed", why);
    } else {
        error_set(&answer.error, Q_NO_LEADER, "leader not found");
    }
    finish(call, &answer);
}

void forward_down(struct forward *f, uint64_t to)
{
    struct list mine;
    list_take(&mine, &f->calls); /* callbacks may ask again */
    while (!list_empty(&mine)) {
        struct forward_call *call = CONTAINER_OF(mine.next, struct forward_call, link);
        if (call->to == to) {
            fail(call, "the connection to the leader broke");
        } else {
            list_remove(&call->link);
            list_push(&f->calls, &call->link);
        }
    }
}

void forward_tick(struct forward *f, uint64_t leader)
{
    uint64_t now = env_now_ms(f->config.env);
    struct list mine;

    list_take(&mine, &f->calls);
    while (!list_empty(&mine)) {
        struct forward_call *call = CONTAINER_OF(mine.next, struct forward_call, link);
        bool expected = call->to == leader || call->kind == FORWARD_PING || call->kind == FORWARD_MEMBER;
        call->stray_ms = expected ? 0 : call->stray_ms ? call->stray_ms : now;
        if (call->stray_ms != 0 && now >= call->stray_ms + f->config.grace_ms &&
            !PLANTED("deposed_leaders_are_waited_for")) {
            fail(call, "the leader that was asked does not lead any more");
        } else {
            list_remove(&call->link);
            list_push(&f->calls, &call->link);
        }
    }
}
