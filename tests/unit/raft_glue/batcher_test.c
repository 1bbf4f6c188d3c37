/* Commands become entries: how many, how large, and what waits. */
#include "tests/unit/raft_glue/batcher_scene.h"

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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
