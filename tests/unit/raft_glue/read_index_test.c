/* Linearizable reads: which index they get, when, and from whose word. */
#include "raft_glue/read_index.h"

#include "base/buf.h"
#include "raft_glue/envelope.h"
#include "tests/unit/test.h"

enum { REPEAT_MS = 75, READS = 4 };

struct reader {
    struct consensus_read read;
    struct scene *scene;
    unsigned done;
    uint64_t index;
    enum error_code code;
    unsigned again;         /* how often DONE asks anew */
    struct reader *forgets; /* whose read DONE gives up */
};

/* Node 1 with its read index; what it sends is written down. */
struct scene {
    struct read_index reads;
    struct read_index_view view;
    struct metric rounds, asked;
    struct reader reader[READS];
    uint64_t now_ms, next_ms;
    unsigned sent;
    uint64_t to[32], term, round; /* of the last question */
};

static void on_done(struct consensus_read *read, uint64_t index, const struct error *failed)
{
    struct reader *r = CONTAINER_OF(read, struct reader, read);
    r->done++;
    r->index = index;
    r->code = failed ? failed->code : Q_OK;
    if (r->forgets != NULL) {
        list_remove(&r->forgets->read.link);
    }
    if (r->again > 0) {
        r->again--;
        read_index_add(&r->scene->reads, &r->read);
    }
}

static void on_send(void *ctx, uint64_t to, const uint8_t *bytes, size_t n)
{
    struct scene *s = ctx;
    struct cursor c = cursor_of(bytes, n);
    assert_int_equal(n, READ_INDEX_BYTES);
    assert_int_equal(cursor_u8(&c), ENVELOPE_READ_ASK);
    assert_in_range(s->sent, 0, 31);
    s->to[s->sent++] = to;
    s->term = cursor_u64(&c);
    s->round = cursor_u64(&c);
}

static void poll(struct scene *s)
{
    s->next_ms = read_index_poll(&s->reads, &s->view, s->now_ms, REPEAT_MS, on_send, s);
}

static void ask(struct scene *s, unsigned reader)
{
    read_index_add(&s->reads, &s->reader[reader].read);
}

/* The answer of FROM to the last question; as an owner does, polls if it counts. */
static bool answer(struct scene *s, uint64_t from)
{
    bool counts = read_index_answer(&s->reads, from, s->term, s->round);
    if (counts) {
        poll(s);
    }
    return counts;
}

static int set_up(void **state)
{
    static struct scene scene;
    struct scene *s = &scene;

    memset(s, 0, sizeof *s);
    read_index_init(&s->reads, &s->rounds, &s->asked);
    s->view = (struct read_index_view){
        .leads = true, .may_lead = true, .term = 7, .commit = 20, .self = 1, .voters = {1, 2, 3}, .count = 3};
    s->now_ms = 1000;
    for (unsigned i = 0; i < READS; i++) {
        s->reader[i].read.done = on_done;
        s->reader[i].scene = s;
    }
    *state = s;
    return 0;
}

static void expect(const struct scene *s, unsigned reader, unsigned done, enum error_code code,
                   uint64_t index)
{
    assert_int_equal(s->reader[reader].done, done);
    if (done > 0) {
        assert_int_equal(s->reader[reader].code, code);
        assert_int_equal(s->reader[reader].index, index);
    }
}

static void nothing_is_asked_when_nobody_waits(void **state)
{
    struct scene *s = *state;

    poll(s);

    assert_int_equal(s->sent, 0);
    assert_true(s->next_ms == UINT64_MAX);
}

static void a_read_gets_the_commit_index_of_when_its_round_began(void **state)
{
    struct scene *s = *state;

    ask(s, 0);
    poll(s);
    expect(s, 0, 0, Q_OK, 0);
    s->view.commit = 25;
    assert_true(answer(s, 2));

    expect(s, 0, 1, Q_OK, 20);
    assert_int_equal(s->sent, 2);
    assert_int_equal(s->to[0], 2);
    assert_int_equal(s->to[1], 3);
    assert_true(s->next_ms == UINT64_MAX);
}

static void one_round_serves_all_that_waited(void **state)
{
    struct scene *s = *state;

    ask(s, 0);
    ask(s, 1);
    ask(s, 2);
    poll(s);
    answer(s, 3);

    for (unsigned i = 0; i < 3; i++) {
        expect(s, i, 1, Q_OK, 20);
    }
    assert_int_equal(metric_get(&s->rounds), 1);
    assert_int_equal(metric_get(&s->asked), 3);
}

static void a_read_that_comes_during_a_round_waits_for_the_next(void **state)
{
    struct scene *s = *state;

    ask(s, 0);
    poll(s);
    s->view.commit = 30;
    ask(s, 1);
    poll(s);
    assert_int_equal(s->sent, 2); /* no second round beside the first */
    answer(s, 2);

    expect(s, 0, 1, Q_OK, 20);
    expect(s, 1, 0, Q_OK, 0);
    assert_int_equal(s->sent, 4);
    answer(s, 2);
    expect(s, 1, 1, Q_OK, 30);
}

static void a_read_waits_until_an_entry_of_the_own_term_is_committed(void **state)
{
    struct scene *s = *state;

    s->view.leads = false;
    ask(s, 0);
    poll(s);
    assert_int_equal(s->sent, 0);
    expect(s, 0, 0, Q_OK, 0);
    assert_true(s->next_ms == UINT64_MAX);

    s->view.leads = true;
    s->view.commit = 21;
    poll(s);
    answer(s, 2);
    expect(s, 0, 1, Q_OK, 21);
}

static void an_answer_to_an_older_round_does_not_count(void **state)
{
    struct scene *s = *state;
    uint64_t first;

    ask(s, 0);
    poll(s);
    first = s->round;
    ask(s, 1);
    answer(s, 2);

    assert_false(read_index_answer(&s->reads, 3, 7, first));
    poll(s);
    expect(s, 1, 0, Q_OK, 0);
}

static void an_answer_of_another_term_does_not_count(void **state)
{
    struct scene *s = *state;

    ask(s, 0);
    poll(s);

    assert_false(read_index_answer(&s->reads, 2, 8, s->round));
    assert_false(read_index_answer(&s->reads, 2, 6, s->round));
    poll(s);
    expect(s, 0, 0, Q_OK, 0);
}

static void an_answer_of_somebody_who_has_no_vote_does_not_count(void **state)
{
    struct scene *s = *state;

    ask(s, 0);
    poll(s);

    assert_false(answer(s, 9));
    expect(s, 0, 0, Q_OK, 0);
}

static void an_answer_that_nobody_waits_for_does_not_count(void **state)
{
    struct scene *s = *state;

    assert_false(read_index_answer(&s->reads, 2, 7, 0));
    ask(s, 0);
    poll(s);
    answer(s, 2);

    assert_false(answer(s, 3));
}

static void the_same_voter_counts_once(void **state)
{
    struct scene *s = *state;

    s->view.count = 5;
    s->view.voters[3] = 4;
    s->view.voters[4] = 5;
    ask(s, 0);
    poll(s);
    answer(s, 2);
    answer(s, 2);
    answer(s, 2);
    expect(s, 0, 0, Q_OK, 0);

    answer(s, 5);
    expect(s, 0, 1, Q_OK, 20);
}

static void of_two_voters_both_are_needed(void **state)
{
    struct scene *s = *state;

    s->view.count = 2;
    ask(s, 0);
    poll(s);
    expect(s, 0, 0, Q_OK, 0);

    answer(s, 2);
    expect(s, 0, 1, Q_OK, 20);
}

static void a_sole_voter_asks_nobody(void **state)
{
    struct scene *s = *state;

    s->view.count = 1;
    ask(s, 0);
    poll(s);

    expect(s, 0, 1, Q_OK, 20);
    assert_int_equal(s->sent, 0);
}

static void a_leader_that_has_no_vote_needs_a_majority_of_the_others(void **state)
{
    struct scene *s = *state;

    s->view.self = 9;
    ask(s, 0);
    poll(s);
    assert_int_equal(s->sent, 3);
    answer(s, 1);
    expect(s, 0, 0, Q_OK, 0);

    answer(s, 3);
    expect(s, 0, 1, Q_OK, 20);
}

static void who_has_not_answered_is_asked_again(void **state)
{
    struct scene *s = *state;

    s->view.count = 5;
    s->view.voters[3] = 4;
    s->view.voters[4] = 5;
    ask(s, 0);
    poll(s);
    assert_int_equal(s->next_ms, 1000 + REPEAT_MS);
    answer(s, 2);
    s->now_ms += REPEAT_MS - 1;
    poll(s);
    assert_int_equal(s->sent, 4);

    s->now_ms += 1;
    poll(s);
    assert_int_equal(s->sent, 7);
    assert_int_equal(s->to[4], 3);
    assert_int_equal(s->to[6], 5);
    assert_int_equal(s->next_ms, 1000 + 2 * REPEAT_MS);
    answer(s, 4);
    expect(s, 0, 1, Q_OK, 20);
}

static void losing_leadership_fails_all(void **state)
{
    struct scene *s = *state;

    ask(s, 0);
    poll(s);
    ask(s, 1);
    s->view.leads = s->view.may_lead = false;
    poll(s);

    expect(s, 0, 1, Q_NOT_LEADER, 0);
    expect(s, 1, 1, Q_NOT_LEADER, 0);
    assert_false(answer(s, 2));
}

static void a_round_does_not_survive_its_term(void **state)
{
    struct scene *s = *state;

    ask(s, 0);
    poll(s);
    s->view.term = 9; /* lost and won again between two looks */
    poll(s);

    expect(s, 0, 1, Q_NOT_LEADER, 0);
}

static void who_asks_again_after_a_failure_is_looked_at_soon(void **state)
{
    struct scene *s = *state;

    s->reader[0].again = s->reader[1].again = 1;
    ask(s, 0);
    poll(s);
    ask(s, 1);
    s->view.leads = s->view.may_lead = false;
    poll(s);
    assert_true(s->next_ms <= s->now_ms); /* not when something else happens to happen */
    expect(s, 0, 2, Q_NOT_LEADER, 0);     /* one that waited failed with the others */
    expect(s, 1, 1, Q_NOT_LEADER, 0);

    poll(s);
    expect(s, 1, 2, Q_NOT_LEADER, 0);
    assert_true(s->next_ms == UINT64_MAX);
}

static void who_asks_again_from_its_callback_gets_a_round_of_its_own(void **state)
{
    struct scene *s = *state;

    s->reader[0].again = 1;
    ask(s, 0);
    poll(s);
    s->view.commit = 22;
    answer(s, 2);
    expect(s, 0, 1, Q_OK, 20);
    assert_int_equal(s->sent, 4);

    answer(s, 2);
    expect(s, 0, 2, Q_OK, 22);
}

static void a_callback_may_give_up_another_read_of_its_round(void **state)
{
    struct scene *s = *state;

    s->reader[0].forgets = &s->reader[2];
    ask(s, 0);
    ask(s, 1);
    ask(s, 2);
    poll(s);
    answer(s, 2);

    expect(s, 0, 1, Q_OK, 20);
    expect(s, 1, 1, Q_OK, 20);
    expect(s, 2, 0, Q_OK, 0);
}

static void a_round_that_everybody_gave_up_makes_way_for_the_next(void **state)
{
    struct scene *s = *state;
    uint64_t first;

    ask(s, 0);
    poll(s);
    first = s->round;
    list_remove(&s->reader[0].read.link);
    s->view.commit = 40;
    ask(s, 1);
    poll(s);

    assert_false(read_index_answer(&s->reads, 2, 7, first));
    answer(s, 2);
    expect(s, 0, 0, Q_OK, 0);
    expect(s, 1, 1, Q_OK, 40);
}

static void a_voter_that_joins_during_a_round_is_asked_in_the_next(void **state)
{
    struct scene *s = *state;

    ask(s, 0);
    poll(s);
    s->view.voters[3] = 4;
    s->view.count = 4;
    assert_false(answer(s, 4));
    ask(s, 1);
    answer(s, 3);

    expect(s, 0, 1, Q_OK, 20);
    assert_int_equal(s->sent, 5);
    answer(s, 2);
    expect(s, 1, 0, Q_OK, 0);
    answer(s, 4);
    expect(s, 1, 1, Q_OK, 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(nothing_is_asked_when_nobody_waits, set_up),
        cmocka_unit_test_setup(a_read_gets_the_commit_index_of_when_its_round_began, set_up),
        cmocka_unit_test_setup(one_round_serves_all_that_waited, set_up),
        cmocka_unit_test_setup(a_read_that_comes_during_a_round_waits_for_the_next, set_up),
        cmocka_unit_test_setup(a_read_waits_until_an_entry_of_the_own_term_is_committed, set_up),
        cmocka_unit_test_setup(an_answer_to_an_older_round_does_not_count, set_up),
        cmocka_unit_test_setup(an_answer_of_another_term_does_not_count, set_up),
        cmocka_unit_test_setup(an_answer_of_somebody_who_has_no_vote_does_not_count, set_up),
        cmocka_unit_test_setup(an_answer_that_nobody_waits_for_does_not_count, set_up),
        cmocka_unit_test_setup(the_same_voter_counts_once, set_up),
        cmocka_unit_test_setup(of_two_voters_both_are_needed, set_up),
        cmocka_unit_test_setup(a_sole_voter_asks_nobody, set_up),
        cmocka_unit_test_setup(a_leader_that_has_no_vote_needs_a_majority_of_the_others, set_up),
        cmocka_unit_test_setup(who_has_not_answered_is_asked_again, set_up),
        cmocka_unit_test_setup(losing_leadership_fails_all, set_up),
        cmocka_unit_test_setup(a_round_does_not_survive_its_term, set_up),
        cmocka_unit_test_setup(who_asks_again_after_a_failure_is_looked_at_soon, set_up),
        cmocka_unit_test_setup(who_asks_again_from_its_callback_gets_a_round_of_its_own, set_up),
        cmocka_unit_test_setup(a_callback_may_give_up_another_read_of_its_round, set_up),
        cmocka_unit_test_setup(a_round_that_everybody_gave_up_makes_way_for_the_next, set_up),
        cmocka_unit_test_setup(a_voter_that_joins_during_a_round_is_asked_in_the_next, set_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
