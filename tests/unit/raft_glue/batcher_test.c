/* Commands become entries, and results find their commands. */
#include "raft_glue/batcher.h"

#include <inttypes.h>

#include "tests/lib/sim.h"
#include "tests/unit/raft_glue/fake_consensus.h"
#include "tests/unit/test.h"

enum { COMMANDS = 3000, GRACE_MS = 150, SMALL = 10 };

struct scene;

struct caller {
    struct batcher_command command;
    struct scene *scene;
    uint8_t bytes[SMALL];
    unsigned done;
    enum error_code code;
    char text[32]; /* the result, or the beginning of the error's text */
    uint64_t index;
    struct caller *forgets, *pushes; /* what DONE does besides */
};

struct scene {
    struct sim *sim;
    struct sim_node *node;
    struct env *env;
    struct consensus consensus;
    struct batcher *batcher;
    struct batcher_position position;
    struct caller callers[COMMANDS];
    unsigned next; /* the next caller to push */
    uint8_t large[2 * 1024 * 1024];
    bool pushing;
};

static void on_done(struct batcher_command *command, const struct batcher_answer *answer)
{
    struct caller *caller = CONTAINER_OF(command, struct caller, command);
    struct error e;

    assert_false(caller->scene->pushing);
    caller->done++;
    caller->code = answer->error.code;
    caller->index = answer->index;
    if (answer->error.code == Q_OK) {
        snprintf(caller->text, sizeof caller->text, "%.*s", (int)answer->len, (const char *)answer->result);
    } else {
        snprintf(caller->text, sizeof caller->text, "%.31s", answer->error.text);
    }
    if (caller->forgets != NULL) {
        batcher_forget(caller->scene->batcher, &caller->forgets->command);
    }
    if (caller->pushes != NULL) {
        batcher_push(caller->scene->batcher, &caller->pushes->command, &e);
    }
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct error e;
    struct batcher_config config = {
        .consensus = &s->consensus,
        .inflight_max = 2,
        .backlog_max = 64,
        .queue_bytes = 4 * 1024 * 1024,
        .queue_commands = 2500,
        .grace_ms = GRACE_MS,
    };

    s->sim = sim_new(1);
    s->node = sim_node_new(s->sim, "n");
    s->env = config.env = sim_node_boot(s->node);
    fake_init(&s->consensus);
    assert_int_equal(batcher_new(&config, &s->batcher, &e), 0);
    for (unsigned i = 0; i < COMMANDS; i++) {
        struct caller *caller = &s->callers[i];
        caller->scene = s;
        snprintf((char *)caller->bytes, sizeof caller->bytes, "command %u", i % 10);
        caller->command = (struct batcher_command){.bytes = caller->bytes, .len = SMALL, .done = on_done};
    }
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    sim_node_kill(s->node);
    batcher_free(s->batcher);
    fake_close(&s->consensus);
    sim_free(s->sim);
    free(s);
    return 0;
}

static int push(struct scene *s, unsigned caller, struct error *e)
{
    int rv;
    s->pushing = true;
    rv = batcher_push(s->batcher, &s->callers[caller].command, e);
    s->pushing = false;
    return rv;
}

static void push_some(struct scene *s, unsigned n)
{
    struct error e;
    for (unsigned i = 0; i < n; i++) {
        assert_int_equal(push(s, s->next++, &e), 0);
    }
}

static void push_large(struct scene *s, size_t len)
{
    s->callers[s->next].command.bytes = s->large;
    s->callers[s->next].command.len = len;
    push_some(s, 1);
}

static void poll(struct scene *s)
{
    batcher_poll(s->batcher, &s->position);
}

static struct batch batch_at(const struct scene *s, uint64_t index)
{
    const struct fake_entry *entry = &s->consensus.entries[index - 1];
    struct batch batch;
    struct error e;

    assert_in_range(index, 1, s->consensus.last);
    assert_int_equal(entry->type, LOG_COMMANDS);
    assert_int_equal(batch_decode(entry->data, entry->len, &batch, &e), 0);
    return batch;
}

static void commit(struct scene *s, uint64_t index)
{
    s->consensus.commit = index;
    poll(s);
}

/* Entry INDEX is applied, with N results "result 0", "result 1" and so on. */
static void apply(struct scene *s, uint64_t index, uint64_t term, unsigned n)
{
    struct buf results;
    char text[32];

    buf_init(&results, 1024 * 1024);
    for (unsigned i = 0; i < n; i++) {
        snprintf(text, sizeof text, "result %u", i);
        buf_put_blob(&results, text, strlen(text));
    }
    s->position.applied = index;
    batcher_applied(s->batcher, index, term, cursor_of(results.data, results.len));
    buf_close(&results);
}

static void lose_leadership(struct scene *s)
{
    s->consensus.role = CONSENSUS_FOLLOWER;
    s->consensus.term++;
    poll(s);
}

static void lead_again(struct scene *s)
{
    s->consensus.role = CONSENSUS_LEADER;
    s->consensus.term++;
    poll(s);
}

static void wait_ms(struct scene *s, uint64_t ms)
{
    sim_run_until(s->sim, sim_now_us(s->sim) + ms * 1000);
}

static void expect(struct scene *s, unsigned caller, enum error_code code, const char *text)
{
    assert_int_equal(s->callers[caller].done, 1);
    assert_int_equal(s->callers[caller].code, code);
    if (text != NULL) {
        assert_string_equal(s->callers[caller].text, text);
    }
}

static void expect_pending(struct scene *s, unsigned caller)
{
    assert_int_equal(s->callers[caller].done, 0);
}

/* Batches. */

static void everything_that_waits_becomes_one_entry(void **state)
{
    struct scene *s = *state;
    struct batch batch;
    struct cursor command;

    push_some(s, 5);
    assert_int_equal(s->consensus.last, 0); /* not before the round of events is over */
    poll(s);

    assert_int_equal(s->consensus.last, 1);
    batch = batch_at(s, 1);
    assert_int_equal(batch.commands, 5);
    assert_int_equal(batch.index, 1);
    assert_int_equal(batch.term, 2);
    for (unsigned i = 0; i < 5; i++) {
        command = cursor_blob(&batch.command);
        assert_int_equal(cursor_left(&command), SMALL);
        assert_memory_equal(command.p, s->callers[i].bytes, SMALL);
    }
}

static void a_batch_holds_at_most_1024_commands(void **state)
{
    struct scene *s = *state;

    push_some(s, BATCH_COMMANDS_MAX + 1);
    poll(s);

    assert_int_equal(batch_at(s, 1).commands, BATCH_COMMANDS_MAX);
    assert_int_equal(batch_at(s, 2).commands, 1);
}

static void a_batch_of_several_commands_holds_at_most_64_kib(void **state)
{
    struct scene *s = *state;
    size_t half = (BATCH_BYTES_MAX - BATCH_HEADER_BYTES) / 2 - 4;

    push_large(s, half);
    push_large(s, half);
    push_large(s, 1);
    poll(s);

    assert_int_equal(batch_at(s, 1).commands, 2);
    assert_int_equal(s->consensus.entries[0].len, BATCH_BYTES_MAX);
    assert_int_equal(batch_at(s, 2).commands, 1);
}

static void a_larger_command_goes_alone(void **state)
{
    struct scene *s = *state;

    push_some(s, 2);
    push_large(s, 2 * 1024 * 1024);
    push_some(s, 1);
    poll(s);
    commit(s, 2);

    assert_int_equal(batch_at(s, 1).commands, 2);
    assert_int_equal(batch_at(s, 2).commands, 1);
    assert_int_equal(s->consensus.entries[1].len, BATCH_HEADER_BYTES + 4 + 2 * 1024 * 1024);
    assert_int_equal(batch_at(s, 3).commands, 1);
}

static void a_command_that_fits_into_no_entry_is_refused(void **state)
{
    struct scene *s = *state;
    struct error e;

    s->callers[0].command.len = FAKE_ENTRY_MAX - BATCH_HEADER_BYTES - 4 + 1;
    assert_int_equal(push(s, 0, &e), Q_TOO_BIG);
    assert_non_null(strstr(e.text, "3145644")); /* names the limit */
    assert_int_equal(s->callers[0].done, 0);
}

static void while_enough_batches_are_on_their_way_commands_gather(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    push_some(s, 1);
    poll(s);
    push_some(s, 3);
    poll(s);
    assert_int_equal(s->consensus.last, 2);

    commit(s, 1);
    assert_int_equal(s->consensus.last, 3);
    assert_int_equal(batch_at(s, 3).commands, 3);
}

static void commands_wait_while_the_database_is_far_behind_the_log(void **state)
{
    struct scene *s = *state;

    for (unsigned i = 0; i < 64; i++) {
        fake_append(&s->consensus, 2, LOG_BARRIER, "", 0);
    }
    push_some(s, 1);
    commit(s, 64);
    assert_int_equal(s->consensus.last, 64);

    apply(s, 1, 2, 0);
    poll(s);
    assert_int_equal(s->consensus.last, 65);
}

static void the_header_says_what_the_leader_knows(void **state)
{
    struct scene *s = *state;
    struct batch first, second;

    s->consensus.floor = 17;
    s->position.digest_index = 12;
    memset(s->position.digest, 0xd1, DIGEST_BYTES);
    push_some(s, 1);
    poll(s);
    push_some(s, 1);
    poll(s);

    first = batch_at(s, 1);
    second = batch_at(s, 2);
    assert_int_equal(first.durable_index, 17);
    assert_int_equal(first.digest_index, 12);
    assert_memory_equal(first.digest, s->position.digest, DIGEST_BYTES);
    assert_memory_not_equal(first.seed, second.seed, BATCH_SEED_BYTES);
}

static void time_never_falls(void **state)
{
    struct scene *s = *state;
    uint64_t first, second, third;

    push_some(s, 1);
    poll(s);
    first = batch_at(s, 1).time_ms;
    assert_true(first + 1000 > env_wall_ms(s->env) && first <= env_wall_ms(s->env));

    sim_node_wall_jump(s->node, -3600 * 1000);
    push_some(s, 1);
    commit(s, 1);
    second = batch_at(s, 2).time_ms;
    assert_int_equal(second, first);

    s->position.time_ms = first + 5000; /* another leader's clock was ahead */
    push_some(s, 1);
    commit(s, 2);
    third = batch_at(s, 3).time_ms;
    assert_int_equal(third, first + 5000);

    s->position.time_ms = 0;
    push_some(s, 1);
    commit(s, 3);
    assert_int_equal(batch_at(s, 4).time_ms, third);
}

/* The queue in front. */

static void a_full_queue_is_busy(void **state)
{
    struct scene *s = *state;
    struct error e;

    push_some(s, 2500);
    assert_int_equal(push(s, s->next, &e), Q_BUSY);
    assert_non_null(strstr(e.text, "2500 commands"));

    poll(s); /* two batches leave */
    push_some(s, 1);
}

static void a_queue_of_too_many_bytes_is_busy(void **state)
{
    struct scene *s = *state;
    struct error e;

    push_large(s, 2 * 1024 * 1024);
    push_large(s, 2 * 1024 * 1024);
    assert_int_equal(push(s, s->next, &e), Q_BUSY);

    assert_true(batcher_forget(s->batcher, &s->callers[0].command));
    push_some(s, 1);
}

static void the_largest_command_fits_into_an_empty_queue(void **state)
{
    struct scene *s = *state;
    struct error e;
    struct batcher_config config = {.env = s->env,
                                    .consensus = &s->consensus,
                                    .inflight_max = 2,
                                    .backlog_max = 64,
                                    .queue_bytes = 65536,
                                    .queue_commands = 10,
                                    .grace_ms = GRACE_MS};
    batcher_free(s->batcher);
    assert_int_equal(batcher_new(&config, &s->batcher, &e), 0);

    push_large(s, 1024 * 1024);
    assert_int_equal(push(s, s->next, &e), Q_BUSY);

    poll(s);
    push_some(s, 1);
}

static void who_does_not_lead_takes_nothing(void **state)
{
    struct scene *s = *state;
    struct error e;

    lose_leadership(s);
    assert_int_equal(push(s, 0, &e), Q_NOT_LEADER);
    s->consensus.role = CONSENSUS_LEADER;
    s->consensus.transferring = true;
    assert_int_equal(push(s, 0, &e), Q_NOT_LEADER);
}

/* Results. */

static void each_command_gets_its_own_result(void **state)
{
    struct scene *s = *state;

    push_some(s, 3);
    poll(s);
    push_some(s, 1);
    poll(s);
    commit(s, 2);
    expect_pending(s, 0);

    apply(s, 1, 2, 3);
    expect(s, 0, Q_OK, "result 0");
    expect(s, 1, Q_OK, "result 1");
    expect(s, 2, Q_OK, "result 2");
    assert_int_equal(s->callers[2].index, 1);
    expect_pending(s, 3);
    apply(s, 2, 2, 1);
    expect(s, 3, Q_OK, "result 0");
}

static void a_command_that_waits_can_be_forgotten(void **state)
{
    struct scene *s = *state;

    push_some(s, 3);
    assert_true(batcher_forget(s->batcher, &s->callers[1].command));
    poll(s);

    assert_int_equal(batch_at(s, 1).commands, 2);
    apply(s, 1, 2, 2);
    expect(s, 0, Q_OK, "result 0");
    expect_pending(s, 1);
    expect(s, 2, Q_OK, "result 1");
}

static void a_command_on_its_way_can_be_forgotten_but_may_be_done(void **state)
{
    struct scene *s = *state;

    push_some(s, 3);
    poll(s);
    assert_false(batcher_forget(s->batcher, &s->callers[1].command));
    memset(&s->callers[1].command, 0xee, sizeof s->callers[1].command); /* its memory is free */
    apply(s, 1, 2, 3);

    expect(s, 0, Q_OK, "result 0");
    expect_pending(s, 1);
    expect(s, 2, Q_OK, "result 2");
}

static void a_callback_may_forget_its_neighbour_and_push_anew(void **state)
{
    struct scene *s = *state;

    push_some(s, 3);
    s->callers[0].forgets = &s->callers[2];
    s->callers[0].pushes = &s->callers[3];
    poll(s);
    apply(s, 1, 2, 3);

    expect(s, 1, Q_OK, "result 1");
    expect_pending(s, 2);
    poll(s);
    assert_int_equal(batch_at(s, 2).commands, 1);
    apply(s, 2, 2, 1);
    expect(s, 3, Q_OK, "result 0");
}

/* Leadership. */

static void when_leadership_is_lost_what_waits_was_not_done(void **state)
{
    struct scene *s = *state;

    push_some(s, 2);
    s->callers[0].pushes = &s->callers[2]; /* refused, and no endless loop */
    lose_leadership(s);

    expect(s, 0, Q_NOT_LEADER, NULL);
    expect(s, 1, Q_NOT_LEADER, NULL);
    expect_pending(s, 2);
    assert_int_equal(s->consensus.last, 0);
}

static void an_entry_that_the_core_refuses_was_not_done(void **state)
{
    struct scene *s = *state;

    push_some(s, 2);
    error_set(&s->consensus.refusal, Q_NOT_LEADER, "not any more");
    poll(s);

    expect(s, 0, Q_NOT_LEADER, "not any more");
    expect(s, 1, Q_NOT_LEADER, "not any more");
}

static void what_was_on_its_way_is_unknown_after_the_grace_time(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    lose_leadership(s);
    wait_ms(s, GRACE_MS - 10);
    poll(s);
    expect_pending(s, 0);

    wait_ms(s, 20);
    expect(s, 0, Q_UNKNOWN, NULL);
    apply(s, 1, 2, 1); /* it was done after all; nobody asks any more */
    expect(s, 0, Q_UNKNOWN, NULL);
}

static void an_entry_that_survives_its_leader_still_answers(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    lose_leadership(s);
    wait_ms(s, GRACE_MS - 10);
    apply(s, 1, 2, 1);

    expect(s, 0, Q_OK, "result 0");
    wait_ms(s, 1000);
    expect(s, 0, Q_OK, "result 0");
}

static void an_entry_of_another_term_in_its_place_means_not_done(void **state)
{
    struct scene *s = *state;

    push_some(s, 2);
    poll(s);
    lose_leadership(s);
    apply(s, 1, 3, 0);

    expect(s, 0, Q_NOT_LEADER, NULL);
    expect(s, 1, Q_NOT_LEADER, NULL);
}

static void an_entry_that_was_passed_over_is_unknown(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    lose_leadership(s);
    apply(s, 5, 3, 0); /* as after the installation of a snapshot */

    expect(s, 0, Q_UNKNOWN, NULL);
}

static void a_transfer_that_comes_to_nothing_harms_no_entry_on_its_way(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    s->consensus.transferring = true;
    poll(s);
    wait_ms(s, 2 * GRACE_MS);
    expect_pending(s, 0); /* this node leads all the time */

    s->consensus.transferring = false;
    commit(s, 1);
    apply(s, 1, 2, 1);
    expect(s, 0, Q_OK, "result 0");
}

static void who_leads_again_at_once_keeps_what_was_on_its_way(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    lose_leadership(s);
    lead_again(s);
    fake_append(&s->consensus, 4, LOG_BARRIER, "", 0);
    commit(s, 2);
    apply(s, 1, 2, 1);

    expect(s, 0, Q_OK, "result 0");
}

static void entries_that_another_leader_dropped_do_not_hold_up_new_ones(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    push_some(s, 1);
    poll(s);
    lose_leadership(s);
    fake_truncate(&s->consensus, 1);
    lead_again(s);
    push_some(s, 1);
    poll(s);

    assert_int_equal(s->consensus.last, 1); /* though two are on their way, for all this node knows */
    wait_ms(s, GRACE_MS + 10);
    expect(s, 0, Q_UNKNOWN, NULL);
    expect(s, 1, Q_UNKNOWN, NULL);
    expect_pending(s, 2);
}

static void a_new_entry_before_a_dropped_one_gets_its_result(void **state)
{
    struct scene *s = *state;

    fake_append(&s->consensus, 2, LOG_BARRIER, "", 0);
    push_some(s, 1);
    poll(s);
    push_some(s, 1);
    poll(s); /* entries 2 and 3 */
    lose_leadership(s);
    fake_truncate(&s->consensus, 2);
    lead_again(s);
    push_some(s, 1);
    poll(s); /* entry 2 again */
    commit(s, 2);
    apply(s, 2, 4, 1);

    expect(s, 0, Q_NOT_LEADER, NULL);
    expect_pending(s, 1);
    expect(s, 2, Q_OK, "result 0");
}

/* Stop. */

static void a_stop_fails_everything(void **state)
{
    struct scene *s = *state;

    push_some(s, 1);
    poll(s);
    push_some(s, 1);
    batcher_stop(s->batcher);

    expect(s, 0, Q_UNKNOWN, NULL);
    expect(s, 1, Q_CLOSED, NULL);
    wait_ms(s, 1000);
    expect(s, 0, Q_UNKNOWN, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(everything_that_waits_becomes_one_entry),
        TEST(a_batch_holds_at_most_1024_commands),
        TEST(a_batch_of_several_commands_holds_at_most_64_kib),
        TEST(a_larger_command_goes_alone),
        TEST(a_command_that_fits_into_no_entry_is_refused),
        TEST(while_enough_batches_are_on_their_way_commands_gather),
        TEST(commands_wait_while_the_database_is_far_behind_the_log),
        TEST(the_header_says_what_the_leader_knows),
        TEST(time_never_falls),
        TEST(a_full_queue_is_busy),
        TEST(a_queue_of_too_many_bytes_is_busy),
        TEST(the_largest_command_fits_into_an_empty_queue),
        TEST(who_does_not_lead_takes_nothing),
        TEST(each_command_gets_its_own_result),
        TEST(a_command_that_waits_can_be_forgotten),
        TEST(a_command_on_its_way_can_be_forgotten_but_may_be_done),
        TEST(a_callback_may_forget_its_neighbour_and_push_anew),
        TEST(when_leadership_is_lost_what_waits_was_not_done),
        TEST(an_entry_that_the_core_refuses_was_not_done),
        TEST(what_was_on_its_way_is_unknown_after_the_grace_time),
        TEST(an_entry_that_survives_its_leader_still_answers),
        TEST(an_entry_of_another_term_in_its_place_means_not_done),
        TEST(an_entry_that_was_passed_over_is_unknown),
        TEST(a_transfer_that_comes_to_nothing_harms_no_entry_on_its_way),
        TEST(who_leads_again_at_once_keeps_what_was_on_its_way),
        TEST(entries_that_another_leader_dropped_do_not_hold_up_new_ones),
        TEST(a_new_entry_before_a_dropped_one_gets_its_result),
        TEST(a_stop_fails_everything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
