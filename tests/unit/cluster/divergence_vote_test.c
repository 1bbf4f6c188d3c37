/* Whose word counts when digests differ: three voters and two standbys, told apart by a fake. */
#include "cluster/divergence.h"

#include "base/buf.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { INDEX = 40, RIGHT = 1, WRONG = 2, VOTERS = 3, KIND_ASK = 1, KIND_SAY = 2 };

struct rig {
    struct sim *sim;
    struct sim_node *machine;
    struct env *env;
    struct members *members;
    struct divergence *divergence;
    uint64_t self;
    uint8_t own; /* the first byte of this node's digest */
    unsigned odd, settled;
    uint64_t asked; /* a bit for each id */
    struct divergence_verdict verdict;
};

static bool is_voter(void *ctx, uint64_t id)
{
    (void)ctx;
    return id <= VOTERS;
}

static unsigned voters(void *ctx)
{
    (void)ctx;
    return VOTERS;
}

static bool digest(void *ctx, uint64_t index, uint8_t ret_digest[DIGEST_BYTES])
{
    struct rig *r = ctx;
    memset(ret_digest, 0, DIGEST_BYTES);
    ret_digest[0] = r->own;
    return index == INDEX;
}

static uint64_t applied(void *ctx)
{
    (void)ctx;
    return INDEX;
}

static void on_send(void *ctx, uint64_t to, const uint8_t *body, size_t n)
{
    struct rig *r = ctx;
    assert_int_equal(n, DIVERGENCE_FRAME_BYTES);
    r->asked |= body[1] == KIND_ASK ? UINT64_C(1) << to : 0;
}

static void on_odd(void *ctx, const struct divergence_verdict *verdict)
{
    struct rig *r = ctx;
    r->odd++;
    r->verdict = *verdict;
}

static void on_settled(void *ctx, const struct divergence_verdict *verdict)
{
    struct rig *r = ctx;
    r->settled++;
    r->verdict = *verdict;
}

static int set_up(void **state)
{
    static const struct peers_member first[] = {{1, "a:1"}, {2, "b:1"}, {3, "c:1"}, {4, "d:1"}, {5, "e:1"}};
    static struct rig r;
    r = (struct rig){.sim = sim_new(3)};
    r.machine = sim_node_new(r.sim, "n");
    r.env = sim_node_boot(r.machine);
    assert_int_equal(members_open(r.env, "data", first, 5, &r.members, NULL), 0);
    *state = &r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    divergence_free(r->divergence);
    members_free(r->members);
    sim_node_kill(r->machine);
    sim_free(r->sim);
    return 0;
}

/* Node SELF, whose digest begins with OWN. */
static void begin(struct rig *r, uint64_t self, uint8_t own)
{
    struct divergence_config config = {.env = r->env,
                                       .id = self,
                                       .members = r->members,
                                       .voter = is_voter,
                                       .voters = voters,
                                       .digest = digest,
                                       .applied = applied,
                                       .send = on_send,
                                       .odd = on_odd,
                                       .settled = on_settled,
                                       .ctx = r};
    r->self = self;
    r->own = own;
    assert_int_equal(divergence_new(&config, &r->divergence, NULL), 0);
}

static void say(struct rig *r, uint64_t from, uint8_t first_byte, uint8_t kind)
{
    uint8_t body[DIVERGENCE_FRAME_BYTES] = {1, kind, 1};
    put_le64(body + 3, INDEX);
    body[11] = first_byte;
    assert_int_equal(divergence_received(r->divergence, from, body, sizeof body, NULL), 0);
}

static void a_standby_that_differs_from_a_majority_of_the_voters_is_odd(void **state)
{
    struct rig *r = *state;
    begin(r, 4, WRONG);

    divergence_differs(r->divergence, INDEX);
    assert_int_equal(r->asked, 1 << 1 | 1 << 2 | 1 << 3 | 1 << 5);
    say(r, 5, WRONG, KIND_SAY);
    say(r, 1, RIGHT, KIND_SAY);
    assert_int_equal(r->odd, 0);
    say(r, 2, RIGHT, KIND_SAY);

    assert_int_equal(r->odd, 1);
    assert_true(r->verdict.majority);
    assert_int_equal(r->verdict.agree, 2);
    assert_int_equal(r->verdict.differ, 0);
}

static void two_of_three_voters_are_a_majority_however_many_standbys_differ(void **state)
{
    struct rig *r = *state;
    begin(r, 1, RIGHT);

    say(r, 4, WRONG, KIND_ASK);
    say(r, 5, WRONG, KIND_SAY);
    assert_int_equal(r->settled, 0);
    say(r, 3, RIGHT, KIND_SAY);

    assert_int_equal(r->settled, 1);
    assert_int_equal(r->odd, 0);
    assert_true(r->verdict.majority);
}

static void standbys_do_not_outvote_a_voter(void **state)
{
    struct rig *r = *state;
    begin(r, 2, RIGHT);

    divergence_differs(r->divergence, INDEX);
    say(r, 1, WRONG, KIND_SAY);
    say(r, 4, WRONG, KIND_SAY);
    say(r, 5, WRONG, KIND_SAY);
    assert_int_equal(r->odd + r->settled, 0);
    say(r, 3, RIGHT, KIND_SAY);

    assert_int_equal(r->settled, 1);
}

static void a_member_that_came_in_the_middle_is_heard_the_next_time(void **state)
{
    struct rig *r = *state;
    struct member sixth = {.id = 6, .address = "f:1", .state = MEMBER_AUTO, .changed = 50};
    begin(r, 2, RIGHT);

    divergence_differs(r->divergence, INDEX);
    assert_int_equal(members_set(r->members, &sixth, 1, NULL), Q_NOT_FOUND); /* no directory: in memory */
    say(r, 6, WRONG, KIND_SAY);
    say(r, 1, RIGHT, KIND_SAY);

    assert_int_equal(r->settled, 1);
    assert_int_equal(r->verdict.differ, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(a_standby_that_differs_from_a_majority_of_the_voters_is_odd),
        T(two_of_three_voters_are_a_majority_however_many_standbys_differ),
        T(standbys_do_not_outvote_a_voter),
        T(a_member_that_came_in_the_middle_is_heard_the_next_time),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
