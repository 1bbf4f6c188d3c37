#include "tests/unit/testlib/disk_rig.h"

enum { BLOCKS = 8, BLOCK = 4096 };

/* What MAY was asked. */
struct asked {
    bool allowed;
    unsigned times, same_file, other_file, nowhere;
    struct sim_disk_place right, wrong;
    char right_path[64], wrong_path[64];
};

static bool may(void *ctx, const struct sim_disk_place *right, const struct sim_disk_place *wrong)
{
    struct asked *a = ctx;
    a->times++;
    a->right = *right;
    a->wrong = *wrong;
    snprintf(a->right_path, sizeof a->right_path, "%s", right->path);
    snprintf(a->wrong_path, sizeof a->wrong_path, "%s", wrong->path);
    a->nowhere += wrong->len == 0;
    a->same_file += wrong->len > 0 && strcmp(right->path, wrong->path) == 0;
    a->other_file += wrong->len > 0 && strcmp(right->path, wrong->path) != 0;
    return a->allowed;
}

/* "/d/f" of BLOCKS blocks of 'a', durable, and "/d/g" of as many of 'g'. */
static struct env_file *two_files(struct machine *m, unsigned flags)
{
    struct env_file *f = make_file(m, "/d/f", flags), *g = make_file(m, "/d/g", 0);
    put(m, f, 0, 'a', BLOCKS * BLOCK);
    put(m, g, 0, 'g', BLOCKS * BLOCK);
    assert_int_equal(env_sync(m->env, f, NULL), 0);
    assert_int_equal(env_sync(m->env, g, NULL), 0);
    env_close(m->env, g);
    return f;
}

static void misdirect_all(struct machine *m, struct asked *a)
{
    sim_node_disk_faults(m->node, &(struct sim_disk_faults){.misdirect = 1000000});
    sim_disk_on_misdirect(sim_node_disk(m->node), may, a);
}

static void assert_landed(struct machine *m, const struct asked *a, char byte)
{
    if (a->wrong.len > 0) {
        assert_int_equal(a->wrong.offset % BLOCK, a->right.offset % BLOCK);
        assert_int_equal(look(m, a->wrong_path, a->wrong.offset), byte);
        assert_int_equal(look(m, a->wrong_path, a->wrong.offset + a->wrong.len - 1), byte);
    }
}

static void a_misdirected_write_lands_elsewhere_and_the_right_place_keeps_its_bytes(void **state)
{
    (void)state;
    struct asked a = {.allowed = true};
    unsigned same = 0, missing = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        struct env_file *f = two_files(&m, ENV_DURABLE);
        misdirect_all(&m, &a);
        unsigned before = a.times;

        put(&m, f, 2 * BLOCK + 512, 'x', BLOCK);

        uint64_t injected = sim_disk_counters(sim_node_disk(m.node)).misdirects;
        assert_int_equal(injected, a.times - before);
        machine_crash(&m);
        if (injected == 0) {
            same++; /* the draw was the right place */
            assert_int_equal(look(&m, "/d/f", 2 * BLOCK + 512), 'x');
        } else {
            missing++;
            assert_string_equal(a.right_path, "/d/f");
            assert_int_equal(a.right.offset, 2 * BLOCK + 512);
            assert_int_equal(a.right.len, BLOCK);
            assert_int_equal(look(&m, "/d/f", 2 * BLOCK + 512), 'a');
            assert_landed(&m, &a, 'x');
        }
        sim_free(m.sim);
    }
    assert_true(missing > SEEDS / 2 && same < SEEDS / 3);
    assert_true(a.same_file > SEEDS / 5 && a.other_file > SEEDS / 20 && a.nowhere > SEEDS / 10);
}

static void a_buffered_write_is_misdirected_by_its_sync_and_missed_after_power_loss(void **state)
{
    (void)state;
    struct asked a = {.allowed = true};
    unsigned missing = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        struct env_file *f = two_files(&m, 0);
        misdirect_all(&m, &a);

        put(&m, f, 2 * BLOCK, 'x', BLOCK);
        assert_int_equal(sim_disk_counters(sim_node_disk(m.node)).misdirects, 0);
        assert_int_equal(env_sync(m.env, f, NULL), 0);

        assert_int_equal(look(&m, "/d/f", 2 * BLOCK), 'x');
        bool injected = sim_disk_counters(sim_node_disk(m.node)).misdirects == 1;
        sim_node_disk_faults(m.node, &(struct sim_disk_faults){0});
        assert_int_equal(env_sync(m.env, f, NULL), 0);
        machine_crash(&m);
        assert_int_equal(look(&m, "/d/f", 2 * BLOCK), injected ? 'a' : 'x');
        if (injected) {
            assert_landed(&m, &a, 'x');
        }
        missing += injected;
        sim_free(m.sim);
    }
    assert_true(missing > SEEDS / 2);
}

static void a_misdirection_that_is_not_allowed_is_none(void **state)
{
    (void)state;
    struct asked a = {.allowed = false};
    struct machine m;
    machine_start(&m, 1);
    struct env_file *f = two_files(&m, ENV_DURABLE);
    misdirect_all(&m, &a);

    for (unsigned i = 0; i < 20; i++) {
        put(&m, f, 2 * BLOCK, (char)('A' + i), BLOCK);
        assert_int_equal(look(&m, "/d/f", 2 * BLOCK), 'A' + i);
    }

    assert_true(a.times > 5);
    assert_int_equal(sim_disk_counters(sim_node_disk(m.node)).misdirects, 0);
    sim_free(m.sim);
}

static void what_makes_a_file_longer_goes_where_it_should(void **state)
{
    (void)state;
    struct asked a = {.allowed = true};
    struct machine m;
    machine_start(&m, 1);
    struct env_file *f = two_files(&m, ENV_DURABLE);
    misdirect_all(&m, &a);

    for (unsigned i = BLOCKS; i < 2 * BLOCKS; i++) {
        put(&m, f, i * BLOCK, 'x', BLOCK);
        assert_int_equal(look(&m, "/d/f", i * BLOCK), 'x');
    }

    assert_int_equal(a.times, 0);
    sim_free(m.sim);
}

static void a_bit_is_flipped_somewhere_in_the_range(void **state)
{
    (void)state;
    bool hit[BLOCKS] = {false};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        struct error e;
        uint64_t at = 0;
        machine_start(&m, seed);
        two_files(&m, 0);

        struct sim_disk_place place = {"/d/f", 2 * BLOCK, 3 * BLOCK};
        assert_int_equal(sim_disk_flip_in(sim_node_disk(m.node), &place, &at, &e), 0);

        assert_in_range(at, 2 * BLOCK, 5 * BLOCK - 1);
        assert_int_not_equal(look(&m, "/d/f", at), 'a');
        hit[at / BLOCK] = true;
        place = (struct sim_disk_place){"/d/f", BLOCKS * BLOCK - 1, UINT64_MAX};
        assert_int_equal(sim_disk_flip_in(sim_node_disk(m.node), &place, &at, &e), 0);
        assert_int_equal(at, BLOCKS * BLOCK - 1);
        place.offset = BLOCKS * BLOCK;
        assert_int_equal(sim_disk_flip_in(sim_node_disk(m.node), &place, &at, &e), Q_INVALID);
        place.path = "/d/h";
        assert_int_equal(sim_disk_flip_in(sim_node_disk(m.node), &place, &at, &e), Q_NOT_FOUND);
        sim_free(m.sim);
    }
    assert_true(hit[2] && hit[3] && hit[4]);
}

static void a_restored_copy_is_what_was_seen_when_it_was_taken(void **state)
{
    (void)state;
    struct machine m;
    machine_start(&m, 1);
    struct env_file *f = two_files(&m, 0);
    put(&m, f, 0, 'b', 1);      /* not synced */
    make_file(&m, "/d/new", 0); /* empty */
    assert_int_equal(env_rename(m.env, "/d/g", "/d/renamed", NULL), 0);
    struct sim_disk_copy *copy = sim_disk_copy(m.node);

    put(&m, f, 0, 'c', BLOCKS * BLOCK + 1);
    assert_int_equal(env_sync(m.env, f, NULL), 0);
    assert_int_equal(env_unlink(m.env, "/d/renamed", NULL), 0);
    make_file(&m, "/d/later", 0);
    sim_node_kill(m.node);

    for (unsigned i = 0; i < 2; i++) { /* it can be used again */
        sim_disk_restore(m.node, copy);
        sim_node_boot(m.node);
        machine_crash(&m); /* all of it is durable */
        assert_int_equal(look(&m, "/d/f", 0), 'b');
        assert_int_equal(look(&m, "/d/f", BLOCK), 'a');
        assert_int_equal(look(&m, "/d/f", BLOCKS * BLOCK), ' ');
        assert_int_equal(look(&m, "/d/renamed", 0), 'g');
        assert_int_equal(look(&m, "/d/g", 0), '-');
        assert_int_equal(look(&m, "/d/new", 0), ' ');
        assert_int_equal(look(&m, "/d/later", 0), '-');
        f = open_file(&m, "/d/f", ENV_WRITE);
        put(&m, f, 0, 'd', 1);
        assert_int_equal(env_sync(m.env, f, NULL), 0);
        sim_node_kill(m.node);
    }
    sim_disk_copy_free(copy);
    sim_free(m.sim);
}

static void a_copy_can_be_put_into_another_machine(void **state)
{
    (void)state;
    struct machine m;
    machine_start(&m, 1);
    two_files(&m, 0);
    struct sim_disk_copy *copy = sim_disk_copy(m.node);
    m.node = sim_node_new(m.sim, "n2");
    sim_disk_restore(m.node, copy);
    sim_disk_copy_free(copy);
    m.env = sim_node_boot(m.node);
    assert_int_equal(look(&m, "/d/g", BLOCK), 'g');
    sim_free(m.sim);
}

static void the_capacity_is_set_apart_from_the_other_faults(void **state)
{
    (void)state;
    struct machine m;
    struct error e;
    machine_start(&m, 1);
    struct env_file *f = two_files(&m, 0);
    sim_node_disk_faults(m.node, &(struct sim_disk_faults){.slow_us = 7});

    sim_disk_capacity(m.node, sim_disk_used(sim_node_disk(m.node)));
    assert_int_equal(env_write(m.env, f, BLOCKS * BLOCK, "x", 1, &e), Q_NO_SPACE);
    assert_int_equal(sim_disk_faults(sim_node_disk(m.node)).slow_us, 7);
    sim_disk_capacity(m.node, 0);

    assert_int_equal(env_write(m.env, f, BLOCKS * BLOCK, "x", 1, &e), 0);
    assert_int_equal(sim_disk_counters(sim_node_disk(m.node)).no_space, 1);
    sim_free(m.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_misdirected_write_lands_elsewhere_and_the_right_place_keeps_its_bytes),
        cmocka_unit_test(a_buffered_write_is_misdirected_by_its_sync_and_missed_after_power_loss),
        cmocka_unit_test(a_misdirection_that_is_not_allowed_is_none),
        cmocka_unit_test(what_makes_a_file_longer_goes_where_it_should),
        cmocka_unit_test(a_bit_is_flipped_somewhere_in_the_range),
        cmocka_unit_test(a_restored_copy_is_what_was_seen_when_it_was_taken),
        cmocka_unit_test(a_copy_can_be_put_into_another_machine),
        cmocka_unit_test(the_capacity_is_set_apart_from_the_other_faults),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
