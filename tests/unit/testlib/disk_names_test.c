#include "tests/unit/testlib/disk_rig.h"

static void a_name_is_durable_only_after_a_sync_of_its_directory(void **state)
{
    (void)state;
    unsigned kept = 0, dropped = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        struct env_file *f = open_file(&m, "/d/f", ENV_CREATE | ENV_WRITE);
        put(&m, f, 0, 'a', 100);
        assert_int_equal(env_sync(m.env, f, NULL), 0);
        env_close(m.env, make_file(&m, "/d/synced", 0));
        struct env_file *late = open_file(&m, "/d/late", ENV_CREATE | ENV_WRITE);
        put(&m, late, 0, 'a', 100);
        assert_int_equal(env_sync(m.env, late, NULL), 0);

        machine_crash(&m);

        assert_int_equal(look(&m, "/d/f", 0), 'a');
        assert_int_equal(look(&m, "/d/synced", 0), ' ');
        char c = look(&m, "/d/late", 0);
        kept += c == 'a';
        dropped += c == '-';
        sim_free(m.sim);
    }
    assert_true(kept > SEEDS / 5 && dropped > SEEDS / 5);
    assert_int_equal(kept + dropped, SEEDS);
}

static void a_rename_without_a_directory_sync_is_kept_or_undone_as_a_whole(void **state)
{
    (void)state;
    unsigned kept = 0, undone = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        struct env_file *old = make_file(&m, "/d/f", 0);
        put(&m, old, 0, 'o', 100);
        assert_int_equal(env_sync(m.env, old, NULL), 0);
        struct env_file *new = make_file(&m, "/d/f.new", 0);
        put(&m, new, 0, 'n', 100);
        assert_int_equal(env_sync(m.env, new, NULL), 0);

        assert_int_equal(env_rename(m.env, "/d/f.new", "/d/f", NULL), 0);
        assert_int_equal(look(&m, "/d/f", 0), 'n');
        assert_int_equal(look(&m, "/d/f.new", 0), '-');
        machine_crash(&m);

        bool is_new = look(&m, "/d/f", 0) == 'n';
        assert_int_equal(look(&m, "/d/f", 0), is_new ? 'n' : 'o');
        assert_int_equal(look(&m, "/d/f.new", 0), is_new ? '-' : 'n');
        kept += is_new;
        undone += !is_new;
        sim_free(m.sim);
    }
    assert_true(kept > SEEDS / 5 && undone > SEEDS / 5);
}

static void a_synced_rename_and_unlink_are_never_undone(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        env_close(m.env, make_file(&m, "/d/a", 0));
        env_close(m.env, make_file(&m, "/d/b", 0));
        assert_int_equal(env_rename(m.env, "/d/a", "/d/c", NULL), 0);
        assert_int_equal(env_unlink(m.env, "/d/b", NULL), 0);
        assert_int_equal(env_sync_dir(m.env, "/d", NULL), 0);

        machine_crash(&m);

        assert_int_equal(look(&m, "/d/a", 0), '-');
        assert_int_equal(look(&m, "/d/b", 0), '-');
        assert_int_equal(look(&m, "/d/c", 0), ' ');
        sim_free(m.sim);
    }
}

static void of_changes_to_one_file_none_survives_without_the_earlier_ones(void **state)
{
    (void)state;
    unsigned at[3] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        env_close(m.env, make_file(&m, "/d/a", 0));
        assert_int_equal(env_rename(m.env, "/d/a", "/d/b", NULL), 0);
        assert_int_equal(env_rename(m.env, "/d/b", "/d/c", NULL), 0);

        machine_crash(&m);

        unsigned a = look(&m, "/d/a", 0) == ' ';
        unsigned b = look(&m, "/d/b", 0) == ' ';
        unsigned c = look(&m, "/d/c", 0) == ' ';
        assert_int_equal(a + b + c, 1);
        at[0] += a;
        at[1] += b;
        at[2] += c;
        sim_free(m.sim);
    }
    assert_true(at[0] > 0 && at[1] > 0 && at[2] > 0);
}

static void the_sync_of_one_directory_saves_what_its_changes_stand_on_elsewhere(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        assert_int_equal(env_make_dir(m.env, "/e", NULL), 0);
        assert_int_equal(env_sync_dir(m.env, "/", NULL), 0);
        env_close(m.env, make_file(&m, "/d/a", 0));
        assert_int_equal(env_rename(m.env, "/d/a", "/d/b", NULL), 0);
        assert_int_equal(env_rename(m.env, "/d/b", "/e/c", NULL), 0);
        assert_int_equal(env_sync_dir(m.env, "/e", NULL), 0);

        machine_crash(&m);

        assert_int_equal(look(&m, "/d/a", 0), '-');
        assert_int_equal(look(&m, "/d/b", 0), '-');
        assert_int_equal(look(&m, "/e/c", 0), ' ');
        sim_free(m.sim);
    }
}

static void a_new_directory_may_vanish_with_all_its_files_until_its_parent_is_synced(void **state)
{
    (void)state;
    unsigned kept = 0, vanished = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        assert_int_equal(env_make_dir(m.env, "/d/sub", NULL), 0);
        struct env_file *f = open_file(&m, "/d/sub/f", ENV_CREATE | ENV_WRITE);
        assert_int_equal(env_sync(m.env, f, NULL), 0);
        assert_int_equal(env_sync_dir(m.env, "/d/sub", NULL), 0);

        machine_crash(&m);

        char c = look(&m, "/d/sub/f", 0);
        kept += c == ' ';
        vanished += c == '-';
        sim_free(m.sim);
    }
    assert_true(kept > 0 && vanished > 0);
}

/* Which of the files a, b and c were listed, and how many names in all. */
struct listing {
    unsigned names;
    bool seen[3];
    char order[4];
};

static void on_name(void *ctx, const char *name)
{
    struct listing *l = ctx;
    assert_true(strlen(name) == 1 && name[0] >= 'a' && name[0] <= 'c');
    l->order[l->names++] = name[0];
    l->seen[name[0] - 'a'] = true;
}

static void a_directory_lists_every_name_once_in_no_particular_order(void **state)
{
    (void)state;
    unsigned sorted = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        struct listing l = {0};
        machine_start(&m, seed);
        env_close(m.env, make_file(&m, "/d/b", 0));
        env_close(m.env, make_file(&m, "/d/a", 0));
        env_close(m.env, make_file(&m, "/d/c", 0));

        assert_int_equal(env_list_dir(m.env, "/d", on_name, &l, NULL), 0);

        assert_int_equal(l.names, 3);
        assert_true(l.seen[0] && l.seen[1] && l.seen[2]);
        sorted += strcmp(l.order, "abc") == 0;
        sim_free(m.sim);
    }
    assert_in_range(sorted, SEEDS / 12, SEEDS / 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_name_is_durable_only_after_a_sync_of_its_directory),
        cmocka_unit_test(a_rename_without_a_directory_sync_is_kept_or_undone_as_a_whole),
        cmocka_unit_test(a_synced_rename_and_unlink_are_never_undone),
        cmocka_unit_test(of_changes_to_one_file_none_survives_without_the_earlier_ones),
        cmocka_unit_test(the_sync_of_one_directory_saves_what_its_changes_stand_on_elsewhere),
        cmocka_unit_test(a_new_directory_may_vanish_with_all_its_files_until_its_parent_is_synced),
        cmocka_unit_test(a_directory_lists_every_name_once_in_no_particular_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
