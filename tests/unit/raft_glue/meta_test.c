#include "raft_glue/meta.h"

#include "base/buf.h"
#include "base/crc32c.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

struct rig {
    struct sim *sim;
    struct sim_node *node;
    struct env *env;
    struct error error;
};

static void init(struct rig *r, uint64_t seed)
{
    *r = (struct rig){.sim = sim_new(seed)};
    r->node = sim_node_new(r->sim, "n");
    r->env = sim_node_boot(r->node);
    assert_int_equal(env_make_dir(r->env, "data", &r->error), 0);
    assert_int_equal(env_sync_dir(r->env, "/", &r->error), 0);
}

static void done(struct rig *r)
{
    if (sim_node_env(r->node) != NULL) {
        sim_node_kill(r->node);
    }
    sim_free(r->sim);
}

/* All fields follow from N, so that a mix of two states shows. */
static struct meta_state state_of(uint64_t n)
{
    struct meta_state s = {
        .node_id = 3,
        .incarnation = 99,
        .term = n,
        .vote = n % 5,
        .snapshot_index = n * 10,
        .snapshot_term = n,
        .configuration_index = n * 9,
        .configuration_len = (uint32_t)(n * 37 % (META_CONFIGURATION_MAX + 1)),
        .peers = (uint32_t)(n % (META_PEERS_MAX + 1)),
        .boots = n * 3,
        .fence = (enum meta_fence)(n % (META_FENCE_PAGE + 1)),
        .fence_index = n * 8,
        .log_first = n * 10 - n % 7,
        .log_before_term = n,
        .installing = (enum meta_installing)(n % (META_INSTALLING_DATABASE + 1)),
        .installing_index = n * 12,
        .installing_term = n + 1,
    };
    s.founder = n % 2 == 0;
    s.begun = n % 3 == 0;
    s.removed = n % 5 == 0;
    memset(s.origin, (int)(n % 200), sizeof s.origin);
    s.retired = n % 2 != 0;
    for (uint32_t i = 0; i < META_MARKS; i++) {
        s.marks[i] = (uint32_t)(n * 11 + i);
    }
    memset(s.cluster_id, 7, sizeof s.cluster_id);
    memset(s.configuration, (int)(n % 256), s.configuration_len);
    for (uint32_t i = 0; i < s.peers; i++) {
        s.peer[i] = (struct meta_peer){.id = i + 1,
                                       .incarnation = n + i,
                                       .boots = n + 2 * i,
                                       .mark = (uint32_t)(n + 6 * i),
                                       .term = n + 3 * i,
                                       .durable_index = n + 4 * i,
                                       .durable_term = n + 5 * i};
    }
    return s;
}

static void expect_state(const struct meta *m, uint64_t n)
{
    struct meta_state s = state_of(n);
    const struct meta_state *found = meta_state(m);
    assert_memory_equal(found->cluster_id, s.cluster_id, sizeof s.cluster_id);
    assert_int_equal(found->node_id, s.node_id);
    assert_int_equal(found->incarnation, s.incarnation);
    assert_int_equal(found->term, s.term);
    assert_int_equal(found->vote, s.vote);
    assert_int_equal(found->snapshot_index, s.snapshot_index);
    assert_int_equal(found->snapshot_term, s.snapshot_term);
    assert_int_equal(found->configuration_index, s.configuration_index);
    assert_int_equal(found->configuration_len, s.configuration_len);
    assert_memory_equal(found->configuration, s.configuration, s.configuration_len);
    assert_int_equal(found->peers, s.peers);
    assert_memory_equal(found->peer, s.peer, s.peers * sizeof *s.peer);
    assert_int_equal(found->boots, s.boots);
    assert_memory_equal(found->marks, s.marks, sizeof s.marks);
    assert_int_equal(found->retired, s.retired);
    assert_int_equal(found->founder, s.founder);
    assert_int_equal(found->begun, s.begun);
    assert_int_equal(found->removed, s.removed);
    assert_memory_equal(found->origin, s.origin, sizeof s.origin);
    assert_int_equal(found->log_first, s.log_first);
    assert_int_equal(found->log_before_term, s.log_before_term);
    assert_int_equal(found->installing, s.installing);
    assert_int_equal(found->installing_index, s.installing_index);
    assert_int_equal(found->installing_term, s.installing_term);
    assert_int_equal(found->fence, s.fence);
    assert_int_equal(found->fence_index, s.fence_index);
}

static struct meta *create_ok(struct rig *r, uint64_t n)
{
    struct meta_state s = state_of(n);
    struct meta *m;
    assert_int_equal(meta_create(r->env, "data", &s, &m, &r->error), 0);
    return m;
}

static struct meta *open_ok(struct rig *r)
{
    struct meta *m;
    if (meta_open(r->env, "data", &m, &r->error) != 0) {
        fail_msg("meta_open: %s", r->error.text);
    }
    return m;
}

static void save_ok(struct rig *r, struct meta *m, uint64_t n)
{
    struct meta_state s = state_of(n);
    assert_int_equal(meta_save(m, &s, &r->error), 0);
    expect_state(m, n);
}

static void flip(struct rig *r, unsigned slot, uint64_t at, unsigned bit)
{
    assert_int_equal(
        sim_disk_flip(sim_node_disk(r->node), "data/meta", slot * META_SLOT_BYTES + at, bit, &r->error), 0);
}

static void what_was_saved_is_there_after_power_loss(void **state)
{
    struct rig r;
    struct meta *m;
    (void)state;
    init(&r, 1);

    m = create_ok(&r, 1);
    meta_close(m);
    for (uint64_t n = 2; n < 200; n++) {
        m = open_ok(&r);
        expect_state(m, n - 1);
        save_ok(&r, m, n);
        sim_node_crash(r.node);
        meta_close(m);
        r.env = sim_node_boot(r.node);
    }
    done(&r);
}

static void the_largest_state_fits(void **state)
{
    struct rig r;
    struct meta_state s = state_of(META_PEERS_MAX);
    struct meta *m;
    (void)state;
    init(&r, 2);

    s.configuration_len = META_CONFIGURATION_MAX;
    memset(s.configuration, 'c', META_CONFIGURATION_MAX);
    assert_int_equal(s.peers, META_PEERS_MAX);
    assert_int_equal(meta_create(r.env, "data", &s, &m, &r.error), 0);
    meta_close(m);
    m = open_ok(&r);

    assert_int_equal(meta_state(m)->configuration_len, META_CONFIGURATION_MAX);
    assert_int_equal(meta_state(m)->peer[META_PEERS_MAX - 1].incarnation, 2 * META_PEERS_MAX - 1);
    meta_close(m);
    done(&r);
}

static void without_a_file_there_is_nothing_and_create_refuses_to_replace_one(void **state)
{
    struct rig r;
    struct meta_state s = state_of(2);
    struct meta *m;
    (void)state;
    init(&r, 3);

    assert_int_equal(meta_open(r.env, "data", &m, &r.error), Q_NOT_FOUND);
    meta_close(create_ok(&r, 1));
    assert_int_equal(meta_create(r.env, "data", &s, &m, &r.error), Q_CONFLICT);

    m = open_ok(&r);
    expect_state(m, 1);
    meta_close(m);
    done(&r);
}

static void a_slot_with_a_flip_anywhere_is_healed_from_the_other(void **state)
{
    struct rig r;
    struct meta *m;
    (void)state;
    init(&r, 4);
    m = create_ok(&r, 1);
    save_ok(&r, m, 77);
    meta_close(m);

    for (uint64_t at = 0; at < META_SLOT_BYTES; at++) {
        unsigned slot = at % 2;
        flip(&r, slot, at, at % 8);
        m = open_ok(&r);
        expect_state(m, 77);
        meta_close(m);
        /* The other one alone must do now. */
        flip(&r, !slot, at, 0);
        m = open_ok(&r);
        expect_state(m, 77);
        meta_close(m);
    }
    done(&r);
}

static void two_damaged_slots_are_corrupt(void **state)
{
    struct rig r;
    struct meta *m;
    (void)state;
    init(&r, 5);
    meta_close(create_ok(&r, 5));

    for (uint64_t at = 0; at < META_SLOT_BYTES; at += 13) {
        flip(&r, 0, at, 1);
        flip(&r, 1, META_SLOT_BYTES - 1 - at, 2);
        assert_int_equal(meta_open(r.env, "data", &m, &r.error), Q_CORRUPT);
        flip(&r, 0, at, 1);
        flip(&r, 1, META_SLOT_BYTES - 1 - at, 2);
    }

    m = open_ok(&r);
    expect_state(m, 5);
    meta_close(m);
    done(&r);
}

static void write_file(struct rig *r, const char *path, const void *p, size_t n)
{
    struct env_file *file;
    assert_int_equal(env_open(r->env, path, ENV_CREATE | ENV_WRITE, &file, &r->error), 0);
    assert_int_equal(env_write(r->env, file, 0, p, n, &r->error), 0);
    env_close(r->env, file);
}

static void an_unknown_format_is_refused_and_a_short_file_is_corrupt(void **state)
{
    struct rig r;
    struct meta *m;
    static uint8_t slots[2 * META_SLOT_BYTES] = "QRTMETA4";
    (void)state;
    init(&r, 6);

    write_file(&r, "data/meta", "QRTMETA1", 8);
    assert_int_equal(meta_open(r.env, "data", &m, &r.error), Q_CORRUPT);
    assert_int_equal(env_unlink(r.env, "data/meta", &r.error), 0);
    put_le32(slots + META_SLOT_BYTES - 4, crc32c(0, slots, META_SLOT_BYTES - 4));
    write_file(&r, "data/meta", slots, sizeof slots);

    assert_int_equal(meta_open(r.env, "data", &m, &r.error), Q_MISMATCH);
    done(&r);
}

/* A format that ends sooner is read, with what it lacks made up, and the next save writes all of it. */
static void open_older(const char *format, bool has_life)
{
    enum {
        CONFIGURATION_AT = 88,
        LIFE_AT = CONFIGURATION_AT + 24,
        FENCE_AT = LIFE_AT + 8 + 4 * META_MARKS + 4
    };
    static uint8_t slots[2 * META_SLOT_BYTES];
    struct rig r;
    struct meta *m;
    init(&r, 6);

    memset(slots, 0, sizeof slots);
    memcpy(slots, format, 8);
    put_le64(slots + 8, 5);   /* version */
    put_le64(slots + 32, 3);  /* node id */
    put_le64(slots + 48, 17); /* term */
    put_le64(slots + 64, 40); /* snapshot */
    put_le64(slots + 72, 16);
    put_le32(slots + CONFIGURATION_AT + 4, 1);
    put_le64(slots + CONFIGURATION_AT + 8, 2);
    put_le64(slots + CONFIGURATION_AT + 16, 99);
    put_le64(slots + LIFE_AT, 12);
    put_le32(slots + FENCE_AT, META_FENCE_SCAN);
    put_le32(slots + META_SLOT_BYTES - 4, crc32c(0, slots, META_SLOT_BYTES - 4));
    memcpy(slots + META_SLOT_BYTES, slots, META_SLOT_BYTES);
    write_file(&r, "data/meta", slots, sizeof slots);

    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(meta_open(r.env, "data", &m, &r.error), 0);
        assert_int_equal(meta_state(m)->node_id, 3);
        assert_int_equal(meta_state(m)->term, 17);
        assert_int_equal(meta_state(m)->peers, 1);
        assert_int_equal(meta_state(m)->peer[0].id, 2);
        assert_int_equal(meta_state(m)->peer[0].incarnation, 99);
        assert_int_equal(meta_state(m)->peer[0].durable_index, 0);
        assert_int_equal(meta_state(m)->boots, has_life ? 12 : 0);
        assert_int_equal(meta_state(m)->fence, has_life ? META_FENCE_SCAN : META_NO_FENCE);
        assert_true(meta_state(m)->founder);
        assert_false(meta_state(m)->removed);
        assert_int_equal(meta_state(m)->log_first, 41);
        assert_int_equal(meta_state(m)->log_before_term, 16);
        assert_int_equal(meta_state(m)->installing, META_NOT_INSTALLING);
        assert_int_equal(meta_save(m, meta_state(m), &r.error), 0);
        meta_close(m);
    }
    done(&r);
}

static void the_formats_before_are_read(void **state)
{
    (void)state;
    open_older("QRTMETA1", false);
    open_older("QRTMETA2", true);
}

static void lengths_in_a_slot_are_checked(void **state)
{
    enum { CONFIGURATION_AT = 88 };
    static const uint32_t lengths[] = {META_CONFIGURATION_MAX + 1, META_SLOT_BYTES, UINT32_MAX};
    struct rig r;
    struct meta *m;
    (void)state;
    init(&r, 7);

    for (unsigned i = 0; i < 6; i++) {
        static uint8_t slots[2 * META_SLOT_BYTES];
        memset(slots, 0, sizeof slots);
        memcpy(slots, "QRTMETA2", 8);
        put_le32(slots + CONFIGURATION_AT + (i < 3 ? 0 : 4), i < 3 ? lengths[i] : lengths[i - 3]);
        put_le32(slots + META_SLOT_BYTES - 4, crc32c(0, slots, META_SLOT_BYTES - 4));
        write_file(&r, "data/meta", slots, sizeof slots);
        assert_int_equal(meta_open(r.env, "data", &m, &r.error), Q_CORRUPT);
        assert_int_equal(env_unlink(r.env, "data/meta", &r.error), 0);
    }
    done(&r);
}

static void power_loss_in_a_save_leaves_the_old_state_or_the_new_one(void **state)
{
    unsigned old = 0, new = 0;
    (void)state;
    for (uint64_t seed = 1; seed <= 300; seed++) {
        struct rig r;
        struct meta *m;
        struct meta_state s = state_of(seed + 1);
        init(&r, seed);
        m = create_ok(&r, seed);

        sim_node_crash_in(r.node, (unsigned)sim_random(r.sim, 1, 3));
        int rc = meta_save(m, &s, &r.error);
        sim_node_crash(r.node);
        meta_close(m);
        r.env = sim_node_boot(r.node);
        m = open_ok(&r);

        bool is_new = meta_state(m)->term == seed + 1;
        expect_state(m, is_new ? seed + 1 : seed);
        assert_true(is_new || rc != 0);
        old += !is_new;
        new += is_new;
        meta_close(m);
        done(&r);
    }
    assert_in_range(old, 30, 270);
    assert_in_range(new, 30, 270);
}

/* Whichever slot is the damaged one: the good one is not touched before it has been healed. */
static void power_loss_while_a_slot_is_healed_leaves_the_other(void **state)
{
    (void)state;
    for (unsigned slot = 0; slot < 2; slot++) {
        for (unsigned n = 1; n <= 2; n++) {
            for (uint64_t seed = 1; seed <= 20; seed++) {
                struct rig r;
                struct meta *m;
                struct meta_state first = state_of(1);
                init(&r, seed);
                assert_int_equal(meta_create(r.env, "data", &first, &m, &r.error), 0);
                meta_close(m);
                flip(&r, slot, 100, 1);

                sim_node_crash_in(r.node, n);
                assert_int_not_equal(meta_open(r.env, "data", &m, &r.error), 0);
                r.env = sim_node_boot(r.node);

                assert_int_equal(meta_open(r.env, "data", &m, &r.error), 0);
                expect_state(m, 1);
                meta_close(m);
                done(&r);
            }
        }
    }
}

static void power_loss_in_create_leaves_all_or_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 200; seed++) {
        struct rig r;
        struct meta_state s = state_of(3);
        struct meta *m = NULL;
        init(&r, seed);

        sim_node_crash_in(r.node, (unsigned)sim_random(r.sim, 1, 6));
        int rc = meta_create(r.env, "data", &s, &m, &r.error);
        sim_node_crash(r.node);
        meta_close(m);
        r.env = sim_node_boot(r.node);

        int opened = meta_open(r.env, "data", &m, &r.error);
        assert_true(opened == 0 || (opened == Q_NOT_FOUND && rc != 0));
        if (opened != 0) {
            m = create_ok(&r, 3);
        }
        expect_state(m, 3);
        meta_close(m);
        done(&r);
    }
}

static void a_save_that_the_disk_put_elsewhere_is_told(void **state)
{
    struct rig r;
    struct meta *m;
    struct meta_state s = state_of(2);
    (void)state;
    init(&r, 9);
    m = create_ok(&r, 1);

    sim_node_disk_faults(r.node, &(struct sim_disk_faults){.misdirect = 1000000});
    assert_int_equal(meta_save(m, &s, &r.error), Q_IO);

    assert_non_null(strstr(r.error.text, "reads back differently"));
    expect_state(m, 1);
    meta_close(m);
    done(&r);
}

static void an_error_in_a_save_is_told(void **state)
{
    struct rig r;
    struct meta *m;
    struct meta_state s = state_of(2);
    (void)state;
    init(&r, 8);
    m = create_ok(&r, 1);

    sim_node_disk_faults(r.node, &(struct sim_disk_faults){.write_eio = 1000000});
    assert_int_equal(meta_save(m, &s, &r.error), Q_IO);

    expect_state(m, 1);
    meta_close(m);
    done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_saved_is_there_after_power_loss),
        cmocka_unit_test(the_largest_state_fits),
        cmocka_unit_test(without_a_file_there_is_nothing_and_create_refuses_to_replace_one),
        cmocka_unit_test(a_slot_with_a_flip_anywhere_is_healed_from_the_other),
        cmocka_unit_test(two_damaged_slots_are_corrupt),
        cmocka_unit_test(an_unknown_format_is_refused_and_a_short_file_is_corrupt),
        cmocka_unit_test(the_formats_before_are_read),
        cmocka_unit_test(lengths_in_a_slot_are_checked),
        cmocka_unit_test(power_loss_in_a_save_leaves_the_old_state_or_the_new_one),
        cmocka_unit_test(power_loss_while_a_slot_is_healed_leaves_the_other),
        cmocka_unit_test(power_loss_in_create_leaves_all_or_nothing),
        cmocka_unit_test(a_save_that_the_disk_put_elsewhere_is_told),
        cmocka_unit_test(an_error_in_a_save_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
