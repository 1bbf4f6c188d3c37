/* Questions of other nodes, answered. Batcher, consensus and the way back are played by the test. */
#include "cluster/served.h"

#include "storage/command.h"
#include "tests/unit/test.h"

struct consensus {
    enum consensus_role role;
    uint64_t commit;
    struct consensus_read *read; /* the last that was asked for */
    uint64_t handed_to;
};

struct batcher {
    struct error refusal; /* code not Q_OK: of every push */
    struct batcher_command *command;
};

struct forward {
    unsigned replies;
    struct forward_question question;
    struct forward_answer answer;
    char result[16];
};

enum consensus_role consensus_role(const struct consensus *c)
{
    return c->role;
}

uint64_t consensus_commit(const struct consensus *c)
{
    return c->commit;
}

void consensus_read(struct consensus *c, struct consensus_read *read)
{
    c->read = read;
}

int consensus_transfer(struct consensus *c, uint64_t to, struct error *e)
{
    if (c->role != CONSENSUS_LEADER) {
        return error_set(e, Q_NOT_LEADER, "this node does not lead");
    }
    c->handed_to = to;
    return 0;
}

int batcher_push(struct batcher *b, struct batcher_command *command, struct error *e)
{
    if (b->refusal.code != Q_OK) {
        return error_set(e, b->refusal.code, "%s", b->refusal.text);
    }
    b->command = command;
    return 0;
}

void forward_reply(struct forward *f, const struct forward_question *question,
                   const struct forward_answer *answer)
{
    f->replies++;
    f->question = *question;
    f->answer = *answer;
    if (answer->error.code == Q_OK && answer->len > 0) {
        assert_in_range(answer->len, 1, sizeof f->result);
        memcpy(f->result, answer->result, answer->len);
    }
}

struct scene {
    struct consensus consensus;
    struct batcher batcher;
    struct forward forward;
    struct served *served;
    struct buf command;
};

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct served_config config = {&s->consensus, &s->batcher, &s->forward};
    struct error e;

    assert_int_equal(served_new(&config, &s->served, &e), 0);
    s->consensus.role = CONSENSUS_LEADER;
    s->consensus.commit = 42;
    buf_init(&s->command, 1024);
    command_put_kv_get(&s->command, cursor_of("ns", 2), cursor_of("key", 3));
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    served_free(s->served);
    buf_close(&s->command);
    free(s);
    return 0;
}

static void ask(struct scene *s, enum forward_kind kind, const void *command, size_t n)
{
    struct forward_question question = {.from = 3, .session = 5, .number = 7, .kind = kind};
    served_ask(s->served, &question, command, n);
}

static void expect_reply(const struct scene *s, enum error_code code)
{
    assert_int_equal(s->forward.replies, 1);
    assert_int_equal(s->forward.question.from, 3);
    assert_int_equal(s->forward.question.session, 5);
    assert_int_equal(s->forward.question.number, 7);
    assert_int_equal(s->forward.answer.error.code, code);
}

static void a_command_is_put_into_the_log_and_its_result_sent_back(void **state)
{
    struct scene *s = *state;
    struct batcher_answer answer = {.result = (const uint8_t *)"done", .len = 4, .index = 9};

    ask(s, FORWARD_COMMAND, s->command.data, s->command.len);
    assert_int_equal(s->forward.replies, 0);
    assert_int_equal(s->batcher.command->len, s->command.len);
    memset(s->command.data, 0, s->command.len); /* it was borrowed: a copy is on its way */
    assert_int_equal(s->batcher.command->bytes[0], COMMAND_VERSION);

    s->batcher.command->done(s->batcher.command, &answer);
    expect_reply(s, Q_OK);
    assert_int_equal(s->forward.answer.index, 9);
    assert_memory_equal(s->forward.result, "done", 4);
}

static void what_becomes_of_a_command_is_passed_on(void **state)
{
    struct scene *s = *state;
    struct batcher_answer answer = {.index = 9};

    ask(s, FORWARD_COMMAND, s->command.data, s->command.len);
    error_set(&answer.error, Q_UNKNOWN, "nobody knows");
    s->batcher.command->done(s->batcher.command, &answer);
    expect_reply(s, Q_UNKNOWN);
    assert_string_equal(s->forward.answer.error.text, "nobody knows");
}

static void a_command_that_the_batcher_refuses_was_not_done(void **state)
{
    struct scene *s = *state;

    error_set(&s->batcher.refusal, Q_BUSY, "too much is waiting");
    ask(s, FORWARD_COMMAND, s->command.data, s->command.len);
    expect_reply(s, Q_BUSY);
}

static void bytes_that_are_no_command_do_not_reach_the_log(void **state)
{
    struct scene *s = *state;

    ask(s, FORWARD_COMMAND, s->command.data, s->command.len - 1);
    expect_reply(s, Q_CORRUPT);
    assert_null(s->batcher.command);
}

static void an_index_is_answered_when_it_is_confirmed(void **state)
{
    struct scene *s = *state;

    ask(s, FORWARD_READ_LINEARIZABLE, "", 0);
    assert_int_equal(s->forward.replies, 0);
    s->consensus.read->done(s->consensus.read, 40, NULL);
    expect_reply(s, Q_OK);
    assert_int_equal(s->forward.answer.index, 40);
    assert_int_equal(s->forward.answer.len, 0);
}

static void an_index_that_is_not_confirmed_is_refused(void **state)
{
    struct scene *s = *state;
    struct error why;

    ask(s, FORWARD_READ_LINEARIZABLE, "", 0);
    error_set(&why, Q_NOT_LEADER, "this node does not lead");
    s->consensus.read->done(s->consensus.read, 0, &why);
    expect_reply(s, Q_NOT_LEADER);
}

static void a_weak_index_is_what_a_leader_has_committed(void **state)
{
    struct scene *s = *state;

    ask(s, FORWARD_READ_WEAK, "", 0);
    expect_reply(s, Q_OK);
    assert_int_equal(s->forward.answer.index, 42);
}

static void who_does_not_lead_knows_no_weak_index(void **state)
{
    struct scene *s = *state;

    s->consensus.role = CONSENSUS_FOLLOWER;
    ask(s, FORWARD_READ_WEAK, "", 0);
    expect_reply(s, Q_NOT_LEADER);
}

static void leadership_goes_to_whom_the_question_names(void **state)
{
    struct scene *s = *state;

    ask(s, FORWARD_TRANSFER, "\2\0\0\0\0\0\0\0", 8);
    expect_reply(s, Q_OK);
    assert_int_equal(s->consensus.handed_to, 2);
}

static void who_does_not_lead_hands_nothing_over(void **state)
{
    struct scene *s = *state;

    s->consensus.role = CONSENSUS_FOLLOWER;
    ask(s, FORWARD_TRANSFER, "\2\0\0\0\0\0\0\0", 8);
    expect_reply(s, Q_NOT_LEADER);
}

static void a_transfer_of_another_length_is_not_understood(void **state)
{
    struct scene *s = *state;

    ask(s, FORWARD_TRANSFER, "\2\0\0\0", 4);
    expect_reply(s, Q_CORRUPT);
    assert_int_equal(s->consensus.handed_to, 0);
}

static void a_ping_is_answered_by_whoever_is_there(void **state)
{
    struct scene *s = *state;

    s->consensus.role = CONSENSUS_FOLLOWER;
    ask(s, FORWARD_PING, "", 0);
    expect_reply(s, Q_OK);
}

static void after_the_stop_everything_is_refused_and_what_waits_goes_on(void **state)
{
    struct scene *s = *state;
    struct batcher_answer answer = {.index = 9};

    ask(s, FORWARD_COMMAND, s->command.data, s->command.len);
    served_stop(s->served);
    ask(s, FORWARD_READ_WEAK, "", 0);
    expect_reply(s, Q_NOT_LEADER);
    s->batcher.command->done(s->batcher.command, &answer);
    assert_int_equal(s->forward.replies, 2);
    assert_int_equal(s->forward.answer.error.code, Q_OK);
}

static void what_waits_at_the_end_is_let_go(void **state)
{
    struct scene *s = *state;

    for (unsigned i = 0; i < 10; i++) {
        ask(s, FORWARD_COMMAND, s->command.data, s->command.len);
        ask(s, FORWARD_READ_LINEARIZABLE, "", 0);
    }
    assert_int_equal(s->forward.replies, 0); /* and the sanitizer sees what is lost */
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_command_is_put_into_the_log_and_its_result_sent_back),
        TEST(what_becomes_of_a_command_is_passed_on),
        TEST(a_command_that_the_batcher_refuses_was_not_done),
        TEST(bytes_that_are_no_command_do_not_reach_the_log),
        TEST(an_index_is_answered_when_it_is_confirmed),
        TEST(an_index_that_is_not_confirmed_is_refused),
        TEST(a_weak_index_is_what_a_leader_has_committed),
        TEST(who_does_not_lead_knows_no_weak_index),
        TEST(leadership_goes_to_whom_the_question_names),
        TEST(who_does_not_lead_hands_nothing_over),
        TEST(a_transfer_of_another_length_is_not_understood),
        TEST(a_ping_is_answered_by_whoever_is_there),
        TEST(after_the_stop_everything_is_refused_and_what_waits_goes_on),
        TEST(what_waits_at_the_end_is_let_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
