#include "tests/unit/cluster/forward_scene.h"

bool on_send(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n)
{
    struct side *side = ctx;
    struct frame *frame = &side->sent[side->frames];

    if (side->refuse > 0) {
        side->refuse--;
        return false;
    }
    assert_in_range(side->frames, 0, FRAMES - 1);
    assert_in_range(n, 1, ANSWER_MAX);
    *frame = (struct frame){.to = to, .type = type, .len = n};
    memcpy(frame->body, body, n);
    side->frames++;
    return true;
}

void on_asked(void *ctx, const struct forward_question *question, const uint8_t *command, size_t n)
{
    struct side *side = ctx;
    side->asked++;
    side->question = *question;
    side->command_len = n;
    assert_in_range(n, 0, sizeof side->command);
    memcpy(side->command, command, n);
}

void on_done(struct forward_call *call, const struct forward_answer *answer)
{
    struct caller *caller = CONTAINER_OF(call, struct caller, call);
    caller->done++;
    caller->code = answer->error.code;
    caller->index = answer->index;
    snprintf(caller->text, sizeof caller->text, "%s", answer->error.code == Q_OK ? "" : answer->error.text);
    if (answer->error.code == Q_OK) {
        caller->len = answer->len;
        memcpy(caller->result, answer->result,
               answer->len < sizeof caller->result ? answer->len : sizeof caller->result);
    }
    if (caller->forgets != NULL) {
        forward_forget(&caller->forgets->call);
    }
    if (caller->asks != NULL) {
        caller->asks->call.done = on_done;
        forward_ask(caller->scene->asking.forward, call->to, FORWARD_COMMAND, "again", 5,
                    &caller->asks->call);
    }
}

void new_side(struct scene *s, struct side *side)
{
    struct error e;
    struct forward_config config = {
        .env = sim_node_env(s->node),
        .grace_ms = GRACE_MS,
        .send = on_send,
        .question_type = QUESTION,
        .answer_type = ANSWER,
        .asked = on_asked,
        .answer_max = ANSWER_MAX,
        .ctx = side,
    };
    assert_int_equal(forward_new(&config, &side->forward, &e), 0);
}

int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);

    s->sim = sim_new(1);
    s->node = sim_node_new(s->sim, "n");
    sim_node_boot(s->node);
    new_side(s, &s->asking);
    new_side(s, &s->answering);
    for (unsigned i = 0; i < CALLS; i++) {
        s->caller[i].scene = s;
        s->caller[i].call.done = on_done;
    }
    *state = s;
    return 0;
}

int tear_down(void **state)
{
    struct scene *s = *state;
    sim_node_kill(s->node);
    forward_free(s->asking.forward);
    forward_free(s->answering.forward);
    sim_free(s->sim);
    free(s);
    return 0;
}

void ask(struct scene *s, unsigned caller, enum forward_kind kind)
{
    bool command = kind == FORWARD_COMMAND;
    assert_true(forward_ask(s->asking.forward, 1, kind, command ? "do it" : NULL, command ? 5 : 0,
                            &s->caller[caller].call));
}

int bring_question(struct scene *s)
{
    const struct frame *frame = &s->asking.sent[s->asking.frames - 1];
    struct error e;
    assert_int_equal(frame->to, 1);
    assert_int_equal(frame->type, QUESTION);
    return forward_received(s->answering.forward, 2, QUESTION, frame->body, frame->len, &e);
}

void reply(struct scene *s, enum error_code code, const char *text, uint64_t index)
{
    struct forward_answer answer = {.error.code = code, .index = index};
    if (code == Q_OK) {
        answer.result = (const uint8_t *)text;
        answer.len = strlen(text);
    } else {
        error_set(&answer.error, code, "%s", text);
    }
    forward_reply(s->answering.forward, &s->answering.question, &answer);
}

int bring_answer(struct scene *s, uint64_t from)
{
    const struct frame *frame = &s->answering.sent[s->answering.frames - 1];
    struct error e;
    assert_int_equal(frame->to, 2);
    assert_int_equal(frame->type, ANSWER);
    return forward_received(s->asking.forward, from, ANSWER, frame->body, frame->len, &e);
}

void expect(const struct scene *s, unsigned caller, unsigned done, enum error_code code)
{
    assert_int_equal(s->caller[caller].done, done);
    if (done > 0) {
        assert_int_equal(s->caller[caller].code, code);
    }
}

void wait_ms(struct scene *s, uint64_t ms)
{
    sim_run_until(s->sim, sim_now_us(s->sim) + ms * 1000);
}
