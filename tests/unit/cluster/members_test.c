#include "cluster/members.h"

#include "tests/lib/sim.h"
#include "tests/unit/test.h"

static const struct peers_member first[] = {{1, "a:7001"}, {2, "b:7001"}, {3, "c:7001"}};

struct rig {
    struct sim *sim;
    struct sim_node *machine;
    struct env *env;
    struct members *members;
    struct error error;
};

static int set_up(void **state)
{
    static struct rig r;
    r = (struct rig){.sim = sim_new(7)};
    r.machine = sim_node_new(r.sim, "n");
    r.env = sim_node_boot(r.machine);
    assert_int_equal(env_make_dir(r.env, "data", NULL), 0);
    assert_int_equal(env_sync_dir(r.env, "/", NULL), 0);
    *state = &r;
    return 0;
}

static int tear_down(void **state)
{
    struct rig *r = *state;
    members_free(r->members);
    if (sim_node_env(r->machine) != NULL) {
        sim_node_kill(r->machine);
    }
    sim_free(r->sim);
    return 0;
}

static int open_with(struct rig *r, const struct peers_member *list, unsigned count)
{
    members_free(r->members);
    r->members = NULL;
    return members_open(r->env, "data", list, count, &r->members, &r->error);
}

static void open_first(struct rig *r)
{
    assert_int_equal(open_with(r, first, 3), 0);
    assert_int_equal(members_save(r->members, &r->error), 0);
}

/* Whatever was not durable is gone. */
static void lose_power(struct rig *r)
{
    if (sim_node_env(r->machine) != NULL) {
        sim_node_crash(r->machine);
    }
    r->env = sim_node_boot(r->machine);
}

static struct member row(uint64_t id, const char *address, enum member_state state, uint64_t changed)
{
    struct member m = {.id = id, .incarnation = id * 10, .state = state, .changed = changed};
    snprintf(m.address, sizeof m.address, "%s", address);
    return m;
}

static int set(struct rig *r, uint64_t id, const char *address, enum member_state state, uint64_t changed)
{
    struct member m = row(id, address, state, changed);
    return members_set(r->members, &m, 1, &r->error);
}

static void expect_in(const struct rig *r, const char *text)
{
    char is[512] = "";
    for (unsigned i = 0; i < members_count(r->members); i++) {
        const struct member *m = members_at(r->members, i);
        size_t n = strlen(is);
        snprintf(is + n, sizeof is - n, "%s%d=%s", i > 0 ? " " : "", (int)m->id, m->address);
    }
    assert_string_equal(is, text);
}

static void the_first_list_is_remembered_once_it_is_saved(void **state)
{
    struct rig *r = *state;

    open_first(r);
    expect_in(r, "1=a:7001 2=b:7001 3=c:7001");

    lose_power(r);
    assert_int_equal(open_with(r, NULL, 0), 0);
    expect_in(r, "1=a:7001 2=b:7001 3=c:7001");
    assert_int_equal(members_at(r->members, 0)->state, MEMBER_AUTO);
    assert_string_equal(members_damage(r->members), "");
}

static void nothing_is_written_before_it_is_saved(void **state)
{
    struct rig *r = *state;

    assert_int_equal(open_with(r, first, 3), 0);

    assert_int_equal(open_with(r, NULL, 0), Q_NOT_FOUND);
    assert_non_null(strstr(r->error.text, "data/members"));
}

static void what_the_file_says_counts_more_than_the_first_list(void **state)
{
    struct rig *r = *state;
    open_first(r);
    assert_int_equal(set(r, 3, "moved:1", MEMBER_AUTO, 9), 0);
    assert_int_equal(set(r, 4, "d:7001", MEMBER_STANDBY, 10), 0);

    lose_power(r);
    assert_int_equal(open_with(r, first, 3), 0);

    expect_in(r, "1=a:7001 2=b:7001 3=moved:1 4=d:7001");
    assert_int_equal(members_find(r->members, 4)->incarnation, 40);
    assert_int_equal(members_find(r->members, 4)->changed, 10);
    assert_int_equal(members_find(r->members, 4)->state, MEMBER_STANDBY);
}

static void a_removed_member_is_known_but_not_in(void **state)
{
    struct rig *r = *state;
    open_first(r);

    assert_int_equal(set(r, 2, "b:7001", MEMBER_LEAVING, 5), 0);
    expect_in(r, "1=a:7001 2=b:7001 3=c:7001");
    assert_int_equal(set(r, 2, "b:7001", MEMBER_REMOVED, 6), 0);

    expect_in(r, "1=a:7001 3=c:7001");
    assert_null(members_in(r->members, 2));
    assert_non_null(members_in(r->members, 3));
    assert_int_equal(members_find(r->members, 2)->state, MEMBER_REMOVED);
    assert_int_equal(members_known(r->members), 3);
    assert_int_equal(members_known_at(r->members, 1)->id, 2);
    assert_null(members_find(r->members, 9));
}

static void old_news_change_nothing(void **state)
{
    struct rig *r = *state;
    open_first(r);
    assert_int_equal(set(r, 3, "new:1", MEMBER_AUTO, 9), 0);
    uint64_t version = members_version(r->members);

    assert_int_equal(set(r, 3, "old:1", MEMBER_AUTO, 8), 0);
    assert_int_equal(set(r, 3, "new:1", MEMBER_AUTO, 9), 0);
    assert_int_equal(members_version(r->members), version);
    expect_in(r, "1=a:7001 2=b:7001 3=new:1");

    assert_int_equal(set(r, 3, "newer:1", MEMBER_AUTO, 10), 0);
    assert_true(members_version(r->members) > version);
    expect_in(r, "1=a:7001 2=b:7001 3=newer:1");
}

static void nonsense_is_refused_and_changes_nothing(void **state)
{
    struct rig *r = *state;
    static struct member many[MEMBERS_KNOWN_MAX + 1];
    open_first(r);
    uint64_t version = members_version(r->members);

    assert_int_equal(set(r, 0, "x:1", MEMBER_AUTO, 9), Q_INVALID);
    assert_int_equal(set(r, 4, "", MEMBER_AUTO, 9), Q_INVALID);
    assert_int_equal(set(r, 4, "x y:1", MEMBER_AUTO, 9), Q_INVALID);
    assert_int_equal(set(r, 4, "x:1", (enum member_state)0, 9), Q_INVALID);
    assert_int_equal(set(r, 4, "x:1", (enum member_state)6, 9), Q_INVALID);
    for (unsigned i = 0; i <= MEMBERS_KNOWN_MAX; i++) {
        many[i] = row(i + 1, "x:1", MEMBER_REMOVED, 9);
    }
    assert_int_equal(members_set(r->members, many, MEMBERS_KNOWN_MAX + 1, &r->error), Q_TOO_BIG);
    for (unsigned i = 0; i <= PEERS_MAX; i++) {
        many[i].state = MEMBER_AUTO;
    }
    assert_int_equal(members_set(r->members, many, PEERS_MAX + 1, &r->error), Q_TOO_BIG);

    assert_int_equal(members_version(r->members), version);
    expect_in(r, "1=a:7001 2=b:7001 3=c:7001");
    assert_int_equal(members_set(r->members, many, PEERS_MAX, &r->error), 0);
    assert_int_equal(members_count(r->members), PEERS_MAX);
}

static void a_first_list_with_a_member_twice_is_refused(void **state)
{
    struct rig *r = *state;
    const struct peers_member id_twice[] = {{1, "a:1"}, {1, "b:1"}};
    const struct peers_member address_twice[] = {{1, "a:1"}, {2, "a:1"}};
    const struct peers_member nobody[] = {{0, "a:1"}};

    assert_int_equal(open_with(r, id_twice, 2), Q_INVALID);
    assert_int_equal(open_with(r, address_twice, 2), Q_INVALID);
    assert_non_null(strstr(r->error.text, "members 1 and 2 have the same id or address"));
    assert_int_equal(open_with(r, nobody, 1), Q_INVALID);
}

static uint64_t file_bytes(struct rig *r)
{
    struct env_file *f;
    uint64_t n;
    assert_int_equal(env_open(r->env, "data/members", 0, &f, NULL), 0);
    assert_int_equal(env_size(r->env, f, &n, NULL), 0);
    env_close(r->env, f);
    return n;
}

static void flip(struct rig *r, uint64_t offset)
{
    assert_int_equal(sim_disk_flip(sim_node_disk(r->machine), "data/members", offset, offset % 8, NULL), 0);
}

static void a_flipped_bit_is_found_and_does_no_harm(void **state)
{
    struct rig *r = *state;
    open_first(r);
    assert_int_equal(set(r, 4, "d:7001", MEMBER_VOTER, 10), 0);

    assert_int_equal(file_bytes(r), 2 * ENV_BLOCK); /* no block holds something of both copies */
    for (uint64_t at = 0; at < 2 * ENV_BLOCK; at += at % ENV_BLOCK < 256 ? 1 : 97) {
        flip(r, at);
        assert_int_equal(open_with(r, NULL, 0), 0);
        expect_in(r, "1=a:7001 2=b:7001 3=c:7001 4=d:7001");
        assert_string_not_equal(members_damage(r->members), "");

        assert_int_equal(members_save(r->members, &r->error), 0);
        assert_int_equal(open_with(r, NULL, 0), 0);
        assert_string_equal(members_damage(r->members), "");
    }
}

static void a_file_beyond_help_is_named_or_made_anew(void **state)
{
    struct rig *r = *state;
    open_first(r);
    uint64_t n = file_bytes(r);

    flip(r, 3);
    flip(r, n / 2 + 3);
    assert_int_equal(open_with(r, NULL, 0), Q_CORRUPT);
    assert_non_null(strstr(r->error.text, "data/members"));

    assert_int_equal(open_with(r, first, 3), 0);
    assert_string_not_equal(members_damage(r->members), "");
    assert_int_equal(members_save(r->members, &r->error), 0);
    assert_int_equal(open_with(r, NULL, 0), 0);
    expect_in(r, "1=a:7001 2=b:7001 3=c:7001");
}

static void power_lost_at_any_point_leaves_the_old_list_or_the_new_one(void **state)
{
    struct rig *r = *state;
    bool old_seen = false, new_seen = false;

    for (unsigned op = 1; op < 12; op++) {
        open_first(r);
        struct member back = row(3, "c:7001", MEMBER_AUTO, 10 * op);
        assert_int_equal(members_set(r->members, &back, 1, &r->error), 0);
        sim_node_crash_in(r->machine, op);
        struct member away = row(3, "new:1", MEMBER_AUTO, 10 * op + 1);
        int rv = members_set(r->members, &away, 1, &r->error);
        lose_power(r);

        assert_int_equal(open_with(r, NULL, 0), 0);
        assert_string_equal(members_damage(r->members), "");
        bool is_new = strcmp(members_find(r->members, 3)->address, "new:1") == 0;
        assert_true(is_new || rv != 0);
        old_seen = old_seen || !is_new;
        new_seen = new_seen || is_new;
        members_free(r->members);
        r->members = NULL;
    }
    assert_true(old_seen && new_seen);
}

static void on_a_full_disk_the_list_changes_and_is_saved_when_there_is_room(void **state)
{
    struct rig *r = *state;
    open_first(r);

    sim_disk_capacity(r->machine, 1);
    assert_int_equal(set(r, 4, "d:7001", MEMBER_AUTO, 10), Q_NO_SPACE);
    expect_in(r, "1=a:7001 2=b:7001 3=c:7001 4=d:7001");
    assert_int_equal(members_save(r->members, &r->error), Q_NO_SPACE);
    sim_disk_capacity(r->machine, 0);
    assert_int_equal(members_save(r->members, &r->error), 0);

    lose_power(r);
    assert_int_equal(open_with(r, NULL, 0), 0);
    expect_in(r, "1=a:7001 2=b:7001 3=c:7001 4=d:7001");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
        T(the_first_list_is_remembered_once_it_is_saved),
        T(nothing_is_written_before_it_is_saved),
        T(what_the_file_says_counts_more_than_the_first_list),
        T(a_removed_member_is_known_but_not_in),
        T(old_news_change_nothing),
        T(nonsense_is_refused_and_changes_nothing),
        T(a_first_list_with_a_member_twice_is_refused),
        T(a_flipped_bit_is_found_and_does_no_harm),
        T(a_file_beyond_help_is_named_or_made_anew),
        T(power_lost_at_any_point_leaves_the_old_list_or_the_new_one),
        T(on_a_full_disk_the_list_changes_and_is_saved_when_there_is_room),
#undef T
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
