/* forward: cluster/forward.h: a question and its answer arrive as they were sent; what is neither is refused
 * and wakes nobody. */
#include <string.h>

#include "cluster/forward.h"
#include "tests/fuzz/machine.h"

enum { QUESTION = 2, ANSWER = 3, FRAME_MAX = 8192 };

struct end {
    struct forward *forward;
    uint8_t sent[FRAME_MAX];
    size_t sent_len;
    unsigned frames, asked;
    struct forward_question question;
    struct buf command;
};

struct caller {
    struct forward_call call;
    unsigned done;
    struct error error;
    struct buf result;
    uint64_t index;
};

static bool on_send(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n)
{
    struct end *end = ctx;
    (void)to;
    (void)type;
    FUZZ_CHECK(n <= sizeof end->sent, "an answer is within its limit");
    memcpy(end->sent, body, n);
    end->sent_len = n;
    end->frames++;
    return true;
}

static void on_asked(void *ctx, const struct forward_question *question, const uint8_t *command, size_t n)
{
    struct end *end = ctx;
    end->asked++;
    end->question = *question;
    buf_clear(&end->command);
    buf_put_bytes(&end->command, command, n);
}

static void on_done(struct forward_call *call, const struct forward_answer *answer)
{
    struct caller *caller = CONTAINER_OF(call, struct caller, call);
    caller->done++;
    caller->error = answer->error;
    caller->index = answer->index;
    buf_put_bytes(&caller->result, answer->result, answer->len);
}

static void end_init(struct end *end, struct env *env)
{
    struct forward_config config = {.env = env,
                                    .grace_ms = 100,
                                    .send = on_send,
                                    .question_type = QUESTION,
                                    .answer_type = ANSWER,
                                    .asked = on_asked,
                                    .answer_max = FRAME_MAX,
                                    .ctx = end};
    *end = (struct end){.frames = 0};
    FUZZ_CHECK(forward_new(&config, &end->forward, NULL) == 0, "there is memory");
    buf_init(&end->command, FUZZ_INPUT_MAX);
}

static void end_close(struct end *end)
{
    forward_free(end->forward);
    buf_close(&end->command);
}

static int receive(struct end *end, uint8_t type, const uint8_t *p, size_t n)
{
    struct error e = {.code = Q_OK};
    uint8_t *block = malloc(n > 0 ? n : 1);
    int rv;

    FUZZ_CHECK(block != NULL, "there is memory");
    if (n > 0) {
        memcpy(block, p, n);
    }
    rv = forward_received(end->forward, 9, type, block, n, &e);
    FUZZ_CHECK(rv == 0 || e.code == Q_CORRUPT, "a refusal has the code that is promised");
    free(block);
    return rv;
}

/* One question there, its answer back. */
static void exchange(struct end *asker, struct end *asked, struct caller *caller, struct cursor *input)
{
    enum forward_kind kind = (enum forward_kind)input_range(input, FORWARD_COMMAND, FORWARD_TRANSFER);
    struct cursor command = input_bytes(input, 300), result, text;
    struct forward_answer answer = {.index = cursor_u64(input)};

    FUZZ_CHECK(forward_ask(asker->forward, 9, kind, command.p, cursor_left(&command), &caller->call),
               "a question is sent");
    FUZZ_CHECK(
        receive(asked, QUESTION, asker->sent, asker->sent_len) == 0 && asked->asked == 1 &&
            asked->question.kind == kind && asked->command.len == cursor_left(&command) &&
            (command.p == command.end || memcmp(asked->command.data, command.p, asked->command.len) == 0),
        "and arrives as it was");
    FUZZ_CHECK(receive(asked, QUESTION, asker->sent, asker->sent_len) == 0 && asked->asked == 1,
               "once, however often it comes");

    answer.error.code = (enum error_code)input_range(input, Q_OK, Q_CODES - 1);
    text = input_bytes(input, sizeof answer.error.text - 1);
    if (cursor_left(&text) > 0) {
        memcpy(answer.error.text, text.p, cursor_left(&text));
    }
    result = input_bytes(input, 300);
    answer.result = result.p;
    answer.len = cursor_left(&result);
    forward_reply(asked->forward, &asked->question, &answer);
    FUZZ_CHECK(receive(asker, ANSWER, asked->sent, asked->sent_len) == 0 && caller->done == 1,
               "it is answered");
    FUZZ_CHECK(caller->error.code == answer.error.code && caller->index == answer.index,
               "with the same code");
    if (answer.error.code == Q_OK) {
        FUZZ_CHECK(caller->result.len == answer.len &&
                       (answer.len == 0 || memcmp(caller->result.data, answer.result, answer.len) == 0),
                   "and result");
    } else {
        FUZZ_CHECK(strcmp(caller->error.text, answer.error.text) == 0, "or text");
    }
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);
    struct caller caller = {.call.done = on_done}, waiting = {.call.done = on_done};
    struct machine m;
    struct end asker, asked;

    machine_init(&m);
    end_init(&asker, m.env);
    end_init(&asked, m.env);
    buf_init(&caller.result, FUZZ_INPUT_MAX);
    buf_init(&waiting.result, FUZZ_INPUT_MAX);
    exchange(&asker, &asked, &caller, &input);

    /* Then anything, while a question waits. Nobody can know the session, but for a fuzzer that watches what
     * bytes are compared with. */
    FUZZ_CHECK(forward_ask(asker.forward, 9, FORWARD_COMMAND, "x", 1, &waiting.call), "a question is sent");
    bool known = memmem(p, n, asker.sent + 1, sizeof(uint64_t)) != NULL;
    receive(&asker, ANSWER, p, n);
    receive(&asked, QUESTION, p, n);
    receive(&asker, ANSWER, input.p, cursor_left(&input));
    receive(&asked, QUESTION, input.p, cursor_left(&input));
    FUZZ_CHECK((waiting.done == 0 && caller.done == 1) || known, "what is no answer wakes nobody");
    forward_down(asker.forward, 9);
    FUZZ_CHECK((waiting.done == 1 && waiting.error.code == Q_UNKNOWN) || known,
               "the end of the connection does");

    machine_stop(&m);
    end_close(&asker);
    end_close(&asked);
    machine_close(&m);
    buf_close(&caller.result);
    buf_close(&waiting.result);
}

static void seeds(struct seeds *s)
{
    struct buf b;

    buf_init(&b, FUZZ_INPUT_MAX);
    buf_put_u8(&b, 0); /* FORWARD_COMMAND; two bytes of length */
    buf_put_u16(&b, 0x0500);
    buf_put_bytes(&b, "do it", 5);
    buf_put_u64(&b, 77);
    buf_put_u8(&b, 0);
    buf_put_u16(&b, 0);
    buf_put_u16(&b, 0x0400);
    buf_put_bytes(&b, "done", 4);
    buf_put_u8(&b, FORWARD_TRANSFER);
    buf_put_u64(&b, 5);
    buf_put_u64(&b, 6);
    buf_put_u64(&b, 2);
    seeds_add(s, "question", b.data, b.len);

    buf_clear(&b);
    buf_put_u64(&b, 5);
    buf_put_u64(&b, 6);
    buf_put_u16(&b, Q_BUSY);
    buf_put_blob(&b, "busy", 4);
    buf_put_u64(&b, 9);
    seeds_add(s, "answer", b.data, b.len);

    buf_clear(&b); /* an answer with more text than there is room for */
    buf_put_zeros(&b, 16);
    buf_put_u16(&b, Q_BUSY);
    buf_put_u32(&b, 2 * ERROR_TEXT_MAX);
    buf_put_zeros(&b, 2 * ERROR_TEXT_MAX + 8);
    seeds_add(s, "long_text", b.data, b.len);
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds, .cost = 4};
