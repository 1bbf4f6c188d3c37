/* Clusters that begin at a database which is there already. */
#include "raft_glue/consensus_found.h"
#include "tests/unit/raft_glue/consensus_scene.h"

enum { INDEX = 700, TERM = 9 };

static struct consensus_found found_of(struct member *member)
{
    struct consensus_found found = {
        .env = member->env,
        .dir = "data",
        .id = member->id,
        .members = member->all->servers,
        .count = member->all->count,
        .index = INDEX,
        .term = TERM,
    };
    memcpy(found.cluster_id, member->config.cluster_id, CLUSTER_ID_BYTES);
    return found;
}

static void found(struct member *member)
{
    struct consensus_found config = found_of(member);
    struct error e;

    assert_int_equal(consensus_found(&config, &e), 0);
}

static void start_at(struct member *member, uint64_t index, uint64_t term)
{
    struct error e;

    assert_int_equal(member_open(member, &e), 0);
    assert_int_equal(consensus_start(member->c, index, term, &e), 0);
}

static void found_and_start_all(struct members *m)
{
    for (unsigned i = 1; i <= m->count; i++) {
        found(&m->member[i]);
        start_at(&m->member[i], INDEX, TERM);
    }
}

static void expect_refused(const struct consensus_found *config, enum error_code code, const char *text)
{
    struct error e;

    assert_int_equal(consensus_found(config, &e), code);
    if (strstr(e.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", e.text, text);
    }
}

static void a_founded_cluster_goes_on_behind_its_database(void **state)
{
    struct members *m = *state;
    struct member *leader;

    found_and_start_all(m);
    leader = members_leader(m);

    assert_true(consensus_term(leader->c) > TERM);
    assert_int_equal(consensus_first(leader->c), INDEX + 1);
    assert_int_equal(consensus_last(leader->c), INDEX + 1);
    member_submit(leader, 3, 100);
    MEMBERS_UNTIL(m, all_have_applicable(m, INDEX + 4));
}

static void a_founded_member_that_is_alone_leads(void **state)
{
    struct members *m = *state;

    found_and_start_all(m);

    assert_ptr_equal(members_leader(m), &m->member[1]);
}

static void a_founded_cluster_survives_power_losses(void **state)
{
    struct members *m = *state;
    struct member *leader;

    found_and_start_all(m);
    leader = members_leader(m);
    member_submit(leader, 3, 100);
    MEMBERS_UNTIL(m, all_have_applicable(m, INDEX + 4));
    for (unsigned i = 1; i <= m->count; i++) {
        member_crash(&m->member[i]);
        start_at(&m->member[i], INDEX, TERM);
    }
    leader = members_leader(m);

    assert_true(consensus_commit(leader->c) > INDEX + 4);
    assert_true(consensus_is_voter(leader->c, 1));
    assert_true(consensus_is_voter(leader->c, 2));
    assert_true(consensus_is_voter(leader->c, 3));
}

static void a_founded_member_whose_database_is_another_does_not_start(void **state)
{
    struct member *member = &((struct members *)*state)->member[1];
    struct error e;

    found(member);
    assert_int_equal(member_open(member, &e), 0);

    assert_int_equal(consensus_start(member->c, INDEX - 1, TERM, &e), Q_CORRUPT);
}

static void a_directory_that_is_a_members_is_not_founded(void **state)
{
    struct member *member = &((struct members *)*state)->member[1];
    struct consensus_found config = found_of(member);

    found(member);

    config.index++;
    expect_refused(&config, Q_CONFLICT, "meta");
}

static void what_cannot_be_founded_is_refused(void **state)
{
    struct members *m = *state;
    struct consensus_found config = found_of(&m->member[1]);

    config.id = 4;
    expect_refused(&config, Q_INVALID, "node id 4 is not in the list of members");
    config.id = 1;
    config.index = 1;
    expect_refused(&config, Q_INVALID, "cannot begin at index 1");
    config.index = INDEX;
    m->servers[2].id = 2;
    expect_refused(&config, Q_INVALID, "twice");
    m->servers[2].id = 3;
    found(&m->member[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_founded_cluster_goes_on_behind_its_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_founded_member_that_is_alone_leads, set_up_one, tear_down),
        cmocka_unit_test_setup_teardown(a_founded_cluster_survives_power_losses, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_founded_member_whose_database_is_another_does_not_start, set_up_one,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_directory_that_is_a_members_is_not_founded, set_up_one, tear_down),
        cmocka_unit_test_setup_teardown(what_cannot_be_founded_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
