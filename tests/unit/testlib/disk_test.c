#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { SECOND = 1000000, SEEDS = 200 };

/* One node with one directory that is durable. */
struct machine {
    struct sim *sim;
    struct sim_node *node;
    struct env *env;
};

static void machine_start(struct machine *m, uint64_t seed)
{
    m->sim = sim_new(seed);
    m->node = sim_node_new(m->sim, "n1");
    m->env = sim_node_boot(m->node);
    assert_int_equal(env_make_dir(m->env, "/d", NULL), 0);
    assert_int_equal(env_sync_dir(m->env, "/", NULL), 0);
}

static void machine_crash(struct machine *m)
{
    sim_node_crash(m->node);
    m->env = sim_node_boot(m->node);
}

static struct env_file *open_file(struct machine *m, const char *path, unsigned flags)
{
    struct env_file *f;
    assert_int_equal(env_open(m->env, path, flags, &f, NULL), 0);
    return f;
}

/* An empty file whose name is durable. */
static struct env_file *make_file(struct machine *m, const char *path, unsigned flags)
{
    struct env_file *f = open_file(m, path, ENV_CREATE | ENV_WRITE | flags);
    assert_int_equal(env_sync_dir(m->env, "/d", NULL), 0);
    return f;
}

static void put(struct machine *m, struct env_file *f, uint64_t offset, char byte, size_t n)
{
    char *bytes = malloc(n);
    memset(bytes, byte, n);
    assert_int_equal(env_write(m->env, f, offset, bytes, n, NULL), 0);
    free(bytes);
}

/* The byte at OFFSET, '.' for zero, ' ' past the end, '-' when there is no such file. */
static char look(struct machine *m, const char *path, uint64_t offset)
{
    struct env_file *f;
    char byte = ' ';
    size_t n;
    if (env_open(m->env, path, 0, &f, NULL) != 0) {
        return '-';
    }
    assert_int_equal(env_read(m->env, f, offset, &byte, 1, &n, NULL), 0);
    env_close(m->env, f);
    return n == 0 ? ' ' : byte == 0 ? '.' : byte;
}

static void what_is_written_is_read_back_within_and_past_the_end(void **state)
{
    (void)state;
    struct machine m;
    char bytes[10000];
    uint64_t size;
    size_t n;
    machine_start(&m, 1);
    struct env_file *f = open_file(&m, "/d/f", ENV_CREATE | ENV_WRITE);

    put(&m, f, 5000, 'x', 3000);

    assert_int_equal(env_size(m.env, f, &size, NULL), 0);
    assert_int_equal(size, 8000);
    assert_int_equal(env_read(m.env, f, 4999, bytes, sizeof bytes, &n, NULL), 0);
    assert_int_equal(n, 3001);
    assert_int_equal(bytes[0], 0);
    assert_int_equal(bytes[1], 'x');
    assert_int_equal(bytes[3000], 'x');
    assert_int_equal(env_read(m.env, f, 8000, bytes, 1, &n, NULL), 0);
    assert_int_equal(n, 0);
    env_close(m.env, f);
    sim_free(m.sim);
}

static void opening_and_naming_fail_as_on_a_real_disk(void **state)
{
    (void)state;
    struct machine m;
    struct env_file *f = NULL;
    struct error e;
    machine_start(&m, 1);
    env_close(m.env, make_file(&m, "/d/f", 0));

    assert_int_equal(env_open(m.env, "/d/none", ENV_WRITE, &f, &e), Q_NOT_FOUND);
    assert_int_equal(env_open(m.env, "/none/f", ENV_CREATE | ENV_WRITE, &f, &e), Q_NOT_FOUND);
    assert_int_equal(env_open(m.env, "/d/f", ENV_CREATE | ENV_WRITE, &f, &e), Q_IO);
    assert_int_equal(env_open(m.env, "/d", 0, &f, &e), Q_IO);
    assert_int_equal(env_open(m.env, "/d/f/g", 0, &f, &e), Q_IO);
    assert_int_equal(env_unlink(m.env, "/d/none", &e), Q_NOT_FOUND);
    assert_int_equal(env_rename(m.env, "/d/none", "/d/f", &e), Q_NOT_FOUND);
    assert_int_equal(env_make_dir(m.env, "/d", &e), 0);
    assert_int_equal(env_make_dir(m.env, "/d/f", &e), Q_IO);
    assert_int_equal(env_sync_dir(m.env, "/none", &e), Q_NOT_FOUND);
    assert_null(f);
    assert_int_equal(env_open(m.env, "./d//f/", 0, &f, &e), 0);
    assert_int_equal(env_write(m.env, f, 0, "x", 1, &e), Q_IO);
    env_close(m.env, f);
    sim_free(m.sim);
}

static void a_lock_is_held_by_one_and_dies_with_the_process(void **state)
{
    (void)state;
    struct machine m;
    struct env_file *lock, *second;
    struct error e;
    machine_start(&m, 1);

    assert_int_equal(env_lock(m.env, "/d/lock", &lock, &e), 0);
    assert_int_equal(env_lock(m.env, "/d/lock", &second, &e), Q_CONFLICT);
    env_close(m.env, lock);
    assert_int_equal(env_lock(m.env, "/d/lock", &lock, &e), 0);
    struct env *old = m.env;
    machine_crash(&m);

    assert_int_equal(env_lock(m.env, "/d/lock", &second, &e), 0);
    env_close(old, lock);
    assert_int_equal(env_lock(m.env, "/d/lock", &lock, &e), Q_CONFLICT);
    env_close(m.env, second);
    sim_free(m.sim);
}

static void an_unsynced_write_may_survive_a_crash_or_not(void **state)
{
    (void)state;
    unsigned kept = 0, dropped = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        struct env_file *f = make_file(&m, "/d/f", 0);
        put(&m, f, 0, 'a', 512);
        assert_int_equal(env_sync(m.env, f, NULL), 0);
        put(&m, f, 0, 'b', 512);

        machine_crash(&m);

        char c = look(&m, "/d/f", 0);
        kept += c == 'b';
        dropped += c == 'a';
        assert_true(c == 'a' || c == 'b');
        sim_free(m.sim);
    }
    assert_true(kept > SEEDS / 5 && dropped > SEEDS / 5);
}

static void a_crash_tears_only_between_sectors(void **state)
{
    (void)state;
    unsigned mixed = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        uint8_t bytes[16 * 512];
        size_t n, new_sectors = 0;
        machine_start(&m, seed);
        struct env_file *f = make_file(&m, "/d/f", 0);
        put(&m, f, 0, 'a', sizeof bytes);
        assert_int_equal(env_sync(m.env, f, NULL), 0);
        put(&m, f, 0, 'b', sizeof bytes);

        machine_crash(&m);

        f = open_file(&m, "/d/f", 0);
        assert_int_equal(env_read(m.env, f, 0, bytes, sizeof bytes, &n, NULL), 0);
        assert_int_equal(n, sizeof bytes);
        for (size_t s = 0; s < 16; s++) {
            for (size_t i = 1; i < 512; i++) {
                assert_int_equal(bytes[s * 512 + i], bytes[s * 512]);
            }
            new_sectors += bytes[s * 512] == 'b';
        }
        mixed += new_sectors > 0 && new_sectors < 16;
        env_close(m.env, f);
        sim_free(m.sim);
    }
    assert_true(mixed > SEEDS / 5);
}

static void of_two_unsynced_writes_to_a_sector_any_may_be_the_last_that_survives(void **state)
{
    (void)state;
    unsigned seen[128] = {0};
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        struct env_file *f = make_file(&m, "/d/f", 0);
        put(&m, f, 0, 'a', 512);
        assert_int_equal(env_sync(m.env, f, NULL), 0);
        put(&m, f, 0, 'b', 512);
        put(&m, f, 0, 'c', 512);

        machine_crash(&m);

        seen[(unsigned)look(&m, "/d/f", 0)]++;
        sim_free(m.sim);
    }
    assert_true(seen['a'] > 0 && seen['b'] > 0 && seen['c'] > 0);
    assert_int_equal(seen['a'] + seen['b'] + seen['c'], SEEDS);
}

static void a_file_that_grew_without_sync_has_any_length_and_zeros_where_nothing_was_kept(void **state)
{
    (void)state;
    unsigned short_ = 0, full = 0, between = 0, zero = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        uint8_t bytes[10000];
        size_t n;
        machine_start(&m, seed);
        struct env_file *f = make_file(&m, "/d/f", 0);
        put(&m, f, 0, 'a', 100);
        assert_int_equal(env_sync(m.env, f, NULL), 0);
        put(&m, f, 100, 'b', sizeof bytes - 100);

        machine_crash(&m);

        f = open_file(&m, "/d/f", ENV_WRITE);
        assert_int_equal(env_read(m.env, f, 0, bytes, sizeof bytes, &n, NULL), 0);
        assert_true(n >= 100);
        for (size_t i = 0; i < 100; i++) {
            assert_int_equal(bytes[i], 'a');
        }
        for (size_t i = 100; i < n; i++) {
            assert_true(bytes[i] == 'b' || bytes[i] == 0);
            zero += bytes[i] == 0;
        }
        short_ += n == 100;
        full += n == sizeof bytes;
        between += n > 100 && n < sizeof bytes;
        put(&m, f, 20000, 'c', 1);
        if (n < sizeof bytes) {
            assert_int_equal(look(&m, "/d/f", n), '.');
        }
        env_close(m.env, f);
        sim_free(m.sim);
    }
    assert_true(short_ > 0 && full > 0 && between > 0 && zero > 0);
}

static void what_was_synced_survives_every_crash(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        struct env_file *f = make_file(&m, "/d/f", 0);
        put(&m, f, 0, 'a', 10000);
        put(&m, f, 600, 'b', 5000);
        assert_int_equal(env_sync(m.env, f, NULL), 0);

        machine_crash(&m);
        machine_crash(&m);

        assert_int_equal(look(&m, "/d/f", 599), 'a');
        assert_int_equal(look(&m, "/d/f", 600), 'b');
        assert_int_equal(look(&m, "/d/f", 9999), 'a');
        assert_int_equal(look(&m, "/d/f", 10000), ' ');
        sim_free(m.sim);
    }
}

enum { WRITES = 8 };

struct in_flight {
    struct env_write write;
    unsigned *completions;
    unsigned place; /* of its completion, from 1; 0 while in flight */
    enum error_code failed;
    uint8_t data[ENV_BLOCK];
};

static void on_written(struct env_write *write, const struct error *failed)
{
    struct in_flight *w = CONTAINER_OF(write, struct in_flight, write);
    w->place = ++*w->completions;
    w->failed = failed == NULL ? Q_OK : failed->code;
}

static void submit_all(struct in_flight *writes, unsigned *completions, struct machine *m, struct env_file *f)
{
    *completions = 0;
    for (unsigned i = 0; i < WRITES; i++) {
        struct in_flight *w = &writes[i];
        memset(w, 0, sizeof *w);
        memset(w->data, 'a' + (int)i, sizeof w->data);
        w->completions = completions;
        w->write = (struct env_write){.file = f,
                                      .data = w->data,
                                      .len = ENV_BLOCK,
                                      .offset = (uint64_t)i * ENV_BLOCK,
                                      .done = on_written};
        env_submit_write(m->env, &w->write);
    }
}

static void a_completed_durable_write_survives_and_one_in_flight_may_be_torn(void **state)
{
    (void)state;
    static struct in_flight writes[WRITES];
    unsigned lost = 0, kept = 0, torn = 0, disordered = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        unsigned completions;
        machine_start(&m, seed);
        struct env_file *f = make_file(&m, "/d/f", ENV_DURABLE);
        put(&m, f, 0, 'z', WRITES * ENV_BLOCK);

        submit_all(writes, &completions, &m, f);
        assert_int_equal(completions, 0);
        sim_run_until(m.sim, sim_random(m.sim, 0, 500));
        machine_crash(&m);
        sim_run_until(m.sim, SECOND);

        f = open_file(&m, "/d/f", 0);
        for (unsigned i = 0; i < WRITES; i++) {
            uint8_t bytes[ENV_BLOCK];
            unsigned new_bytes = 0;
            size_t n;
            assert_int_equal(env_read(m.env, f, (uint64_t)i * ENV_BLOCK, bytes, sizeof bytes, &n, NULL), 0);
            for (unsigned k = 0; k < ENV_BLOCK; k++) {
                assert_true(bytes[k] == writes[i].data[0] || bytes[k] == 'z');
                new_bytes += bytes[k] == writes[i].data[0];
            }
            assert_true(writes[i].place == 0 || new_bytes == ENV_BLOCK);
            lost += new_bytes == 0;
            kept += new_bytes == ENV_BLOCK && writes[i].place == 0;
            torn += new_bytes > 0 && new_bytes < ENV_BLOCK;
            disordered += i > 0 && writes[i].place > 0 && writes[i].place < writes[i - 1].place;
        }
        env_close(m.env, f);
        sim_free(m.sim);
    }
    assert_true(lost > 0 && kept > 0 && torn > 0 && disordered > 0);
}

static void a_kill_keeps_the_page_cache_and_whole_writes(void **state)
{
    (void)state;
    static struct in_flight writes[WRITES];
    unsigned lost = 0, kept = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        unsigned completions;
        machine_start(&m, seed);
        struct env_file *buffered = open_file(&m, "/d/buffered", ENV_CREATE | ENV_WRITE);
        put(&m, buffered, 0, 'x', 5000);
        struct env_file *f = open_file(&m, "/d/f", ENV_CREATE | ENV_WRITE | ENV_DURABLE);
        put(&m, f, 0, 'z', WRITES * ENV_BLOCK);
        submit_all(writes, &completions, &m, f);

        sim_node_kill(m.node);
        m.env = sim_node_boot(m.node);

        assert_int_equal(look(&m, "/d/buffered", 4999), 'x');
        for (unsigned i = 0; i < WRITES; i++) {
            char first = look(&m, "/d/f", (uint64_t)i * ENV_BLOCK);
            assert_int_equal(first, look(&m, "/d/f", (uint64_t)i * ENV_BLOCK + ENV_BLOCK - 1));
            kept += first != 'z';
            lost += first == 'z';
        }
        sim_free(m.sim);
    }
    assert_true(lost > 0 && kept > 0);
}

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

static void power_lost_in_the_nth_operation_leaves_the_earlier_ones(void **state)
{
    (void)state;
    for (unsigned n = 1; n <= 5; n++) {
        struct machine m;
        struct error e;
        struct env_file *f;
        machine_start(&m, n);
        struct env *env = m.env;
        int results[4] = {-1, -1, -1, -1};

        sim_node_crash_in(m.node, n);
        results[0] = env_open(env, "/d/f", ENV_CREATE | ENV_WRITE, &f, &e);
        if (results[0] == 0) {
            results[1] = env_write(env, f, 0, "x", 1, &e);
            results[2] = env_sync(env, f, &e);
            results[3] = env_sync_dir(env, "/d", &e);
            env_close(env, f);
        }

        assert_true((sim_node_env(m.node) == NULL) == (n <= 4));
        for (unsigned i = 0; i < 4; i++) {
            int wanted = i + 1 < n ? 0 : n == 1 && i > 0 ? -1 : Q_CLOSED;
            assert_int_equal(results[i], wanted);
        }
        sim_free(m.sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_is_read_back_within_and_past_the_end),
        cmocka_unit_test(opening_and_naming_fail_as_on_a_real_disk),
        cmocka_unit_test(a_lock_is_held_by_one_and_dies_with_the_process),
        cmocka_unit_test(an_unsynced_write_may_survive_a_crash_or_not),
        cmocka_unit_test(a_crash_tears_only_between_sectors),
        cmocka_unit_test(of_two_unsynced_writes_to_a_sector_any_may_be_the_last_that_survives),
        cmocka_unit_test(a_file_that_grew_without_sync_has_any_length_and_zeros_where_nothing_was_kept),
        cmocka_unit_test(what_was_synced_survives_every_crash),
        cmocka_unit_test(a_completed_durable_write_survives_and_one_in_flight_may_be_torn),
        cmocka_unit_test(a_kill_keeps_the_page_cache_and_whole_writes),
        cmocka_unit_test(a_name_is_durable_only_after_a_sync_of_its_directory),
        cmocka_unit_test(a_rename_without_a_directory_sync_is_kept_or_undone_as_a_whole),
        cmocka_unit_test(a_synced_rename_and_unlink_are_never_undone),
        cmocka_unit_test(a_new_directory_may_vanish_with_all_its_files_until_its_parent_is_synced),
        cmocka_unit_test(a_directory_lists_every_name_once_in_no_particular_order),
        cmocka_unit_test(power_lost_in_the_nth_operation_leaves_the_earlier_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
