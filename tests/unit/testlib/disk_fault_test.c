#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { SECOND = 1000000, SEEDS = 200 };

struct machine {
    struct sim *sim;
    struct sim_node *node;
    struct sim_disk *disk;
    struct env *env;
    struct env_file *file; /* "/f", durable name, ENV_WRITE and what was asked for */
};

static void machine_start(struct machine *m, uint64_t seed, unsigned flags)
{
    m->sim = sim_new(seed);
    m->node = sim_node_new(m->sim, "n1");
    m->disk = sim_node_disk(m->node);
    m->env = sim_node_boot(m->node);
    assert_int_equal(env_open(m->env, "/f", ENV_CREATE | ENV_WRITE | flags, &m->file, NULL), 0);
    assert_int_equal(env_sync_dir(m->env, "/", NULL), 0);
}

static void set_faults(struct machine *m, struct sim_disk_faults faults)
{
    sim_node_disk_faults(m->node, &faults);
}

static char first_byte(struct machine *m)
{
    char byte = ' ';
    size_t n;
    assert_int_equal(env_read(m->env, m->file, 0, &byte, 1, &n, NULL), 0);
    return byte;
}

static void machine_crash(struct machine *m)
{
    sim_node_crash(m->node);
    m->env = sim_node_boot(m->node);
    assert_int_equal(env_open(m->env, "/f", ENV_WRITE, &m->file, NULL), 0);
}

static void errors_come_at_the_rate_asked_for_and_are_counted(void **state)
{
    (void)state;
    struct machine m;
    struct error e;
    char byte;
    size_t n = 99;
    unsigned reads = 0, writes = 0, syncs = 0;
    machine_start(&m, 1, 0);
    set_faults(&m, (struct sim_disk_faults){.read_eio = 100000, .write_eio = 200000, .sync_eio = 300000});

    for (unsigned i = 0; i < 1000; i++) {
        writes += env_write(m.env, m.file, 0, "x", 1, &e) == Q_IO;
        syncs += env_sync(m.env, m.file, &e) == Q_IO;
        reads += env_read(m.env, m.file, 0, &byte, 1, &n, &e) == Q_IO;
    }

    assert_in_range(reads, 60, 140);
    assert_in_range(writes, 150, 250);
    assert_in_range(syncs, 250, 350);
    struct sim_disk_counters counters = sim_disk_counters(m.disk);
    assert_int_equal(counters.read_eio, reads);
    assert_int_equal(counters.write_eio, writes);
    assert_int_equal(counters.sync_eio, syncs);
    assert_int_equal(counters.reads, 1000);
    assert_int_equal(counters.writes, 1000);
    assert_string_equal(strrchr(e.text, ':'), ": Input/output error");
    sim_free(m.sim);
}

static void a_failed_read_leaves_its_output_alone(void **state)
{
    (void)state;
    struct machine m;
    size_t n = 99;
    char byte = 'q';
    machine_start(&m, 1, 0);
    set_faults(&m, (struct sim_disk_faults){.read_eio = 1000000});

    assert_int_equal(env_read(m.env, m.file, 0, &byte, 1, &n, NULL), Q_IO);

    assert_int_equal(n, 99);
    sim_free(m.sim);
}

static void after_a_failed_sync_the_next_one_succeeds_and_saves_nothing(void **state)
{
    (void)state;
    unsigned lost = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed, 0);
        assert_int_equal(env_write(m.env, m.file, 0, "a", 1, NULL), 0);
        assert_int_equal(env_sync(m.env, m.file, NULL), 0);
        assert_int_equal(env_write(m.env, m.file, 0, "b", 1, NULL), 0);

        set_faults(&m, (struct sim_disk_faults){.sync_eio = 1000000});
        assert_int_equal(env_sync(m.env, m.file, NULL), Q_IO);
        set_faults(&m, (struct sim_disk_faults){0});
        assert_int_equal(env_sync(m.env, m.file, NULL), 0);
        assert_int_equal(first_byte(&m), 'b');
        machine_crash(&m);

        lost += first_byte(&m) == 'a';
        sim_free(m.sim);
    }
    assert_in_range(lost, SEEDS / 4, SEEDS * 3 / 4);
}

static void what_a_failed_sync_lost_is_saved_when_it_is_written_again(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed, 0);
        assert_int_equal(env_write(m.env, m.file, 0, "b", 1, NULL), 0);
        set_faults(&m, (struct sim_disk_faults){.sync_eio = 1000000});
        assert_int_equal(env_sync(m.env, m.file, NULL), Q_IO);
        set_faults(&m, (struct sim_disk_faults){0});

        assert_int_equal(env_write(m.env, m.file, 0, "b", 1, NULL), 0);
        assert_int_equal(env_sync(m.env, m.file, NULL), 0);
        machine_crash(&m);

        assert_int_equal(first_byte(&m), 'b');
        sim_free(m.sim);
    }
}

static uint64_t space(struct machine *m)
{
    uint64_t left = 12345;
    assert_int_equal(env_space(m->env, "/", &left, NULL), 0);
    return left;
}

static void a_full_disk_takes_no_growth_but_still_takes_overwrites(void **state)
{
    (void)state;
    struct machine m;
    struct error e;
    struct env_file *other;
    static const char bytes[3 * 4096] = "x";
    machine_start(&m, 1, 0);
    set_faults(&m, (struct sim_disk_faults){.capacity = sizeof bytes});
    assert_int_equal(env_write(m.env, m.file, 0, bytes, 4096, NULL), 0);
    assert_int_equal(env_write(m.env, m.file, 4096, bytes, 2 * 4096, NULL), 0);
    assert_int_equal(sim_disk_used(m.disk), sizeof bytes);
    assert_int_equal(space(&m), 0);

    assert_int_equal(env_write(m.env, m.file, 1, bytes, sizeof bytes, &e), Q_NO_SPACE);
    assert_int_equal(env_open(m.env, "/g", ENV_CREATE | ENV_WRITE, &other, &e), Q_NO_SPACE);
    assert_int_equal(env_write(m.env, m.file, 0, bytes, sizeof bytes, &e), 0);
    assert_int_equal(sim_disk_counters(m.disk).no_space, 2);

    env_close(m.env, m.file);
    assert_int_equal(env_unlink(m.env, "/f", NULL), 0);
    assert_int_equal(sim_disk_used(m.disk), 0);
    assert_int_equal(space(&m), sizeof bytes);
    assert_int_equal(env_open(m.env, "/g", ENV_CREATE | ENV_WRITE, &other, &e), 0);
    set_faults(&m, (struct sim_disk_faults){.capacity = 0});
    assert_int_equal(space(&m), UINT64_MAX);
    sim_free(m.sim);
}

struct submitted {
    struct env_write write;
    unsigned done;
    enum error_code failed;
};

static void on_written(struct env_write *write, const struct error *failed)
{
    struct submitted *s = CONTAINER_OF(write, struct submitted, write);
    s->done++;
    s->failed = failed == NULL ? Q_OK : failed->code;
}

static void submit(struct machine *m, struct submitted *s, const char *text)
{
    *s =
        (struct submitted){.write = {.file = m->file, .data = text, .len = strlen(text), .done = on_written}};
    env_submit_write(m->env, &s->write);
}

static void a_submitted_write_fails_with_the_disk(void **state)
{
    (void)state;
    struct machine m;
    struct submitted s;
    machine_start(&m, 1, ENV_DURABLE);

    set_faults(&m, (struct sim_disk_faults){.write_eio = 1000000});
    submit(&m, &s, "x");
    sim_run_until(m.sim, SECOND);
    assert_int_equal(s.done, 1);
    assert_int_equal(s.failed, Q_IO);

    set_faults(&m, (struct sim_disk_faults){.capacity = 1});
    submit(&m, &s, "x");
    sim_run_until(m.sim, 2 * SECOND);
    assert_int_equal(s.done, 1);
    assert_int_equal(s.failed, Q_NO_SPACE);
    sim_free(m.sim);
}

struct sync_work {
    struct env_work work;
    struct machine *machine;
    unsigned ran, done;
};

static void run_sync(struct env_work *work)
{
    struct sync_work *s = CONTAINER_OF(work, struct sync_work, work);
    s->ran++;
    assert_int_equal(env_sync(s->machine->env, s->machine->file, NULL), 0);
}

static void sync_done(struct env_work *work)
{
    CONTAINER_OF(work, struct sync_work, work)->done++;
}

static void a_stuck_disk_completes_nothing_until_it_is_free_again(void **state)
{
    (void)state;
    struct machine m;
    struct submitted s;
    struct sync_work first = {.work = {.run = run_sync, .done = sync_done, .lane = ENV_WORKER},
                              .machine = &m};
    struct sync_work second = first;
    machine_start(&m, 1, ENV_DURABLE);

    set_faults(&m, (struct sim_disk_faults){.stuck = true});
    submit(&m, &s, "x");
    env_run(m.env, &first.work);
    env_run(m.env, &second.work);
    sim_run_until(m.sim, 60 * SECOND);
    assert_int_equal(s.done + first.done + second.ran, 0);

    set_faults(&m, (struct sim_disk_faults){0});
    sim_run_until(m.sim, 61 * SECOND);
    assert_int_equal(s.done, 1);
    assert_int_equal(first.done + second.done, 2);
    sim_free(m.sim);
}

static void a_slow_disk_takes_longer(void **state)
{
    (void)state;
    struct machine m;
    unsigned late = 0;
    machine_start(&m, 1, ENV_DURABLE);
    set_faults(&m, (struct sim_disk_faults){.slow_us = 2 * SECOND});

    for (unsigned i = 0; i < 100; i++) {
        struct submitted s;
        submit(&m, &s, "x");
        sim_run_until(m.sim, sim_now_us(m.sim) + SECOND);
        late += s.done == 0;
        sim_run_until(m.sim, sim_now_us(m.sim) + 2 * SECOND);
        assert_int_equal(s.done, 1);
    }

    assert_in_range(late, 30, 70);
    sim_free(m.sim);
}

static void a_pause_does_not_stop_the_disk_but_the_process_hears_of_it_later(void **state)
{
    (void)state;
    struct machine m;
    struct submitted s;
    machine_start(&m, 1, ENV_DURABLE);

    submit(&m, &s, "x");
    sim_node_pause(m.node);
    sim_run_until(m.sim, SECOND);
    assert_int_equal(s.done, 0);
    assert_int_equal(sim_disk_counters(m.disk).writes, 1);
    sim_node_resume(m.node);
    sim_run_until(m.sim, SECOND + 1000);

    assert_int_equal(s.done, 1);
    sim_free(m.sim);
}

static void a_flipped_bit_is_read_back_flipped_also_after_a_crash(void **state)
{
    (void)state;
    struct machine m;
    struct error e;
    machine_start(&m, 1, 0);
    assert_int_equal(env_write(m.env, m.file, 0, "a", 1, NULL), 0);
    assert_int_equal(env_sync(m.env, m.file, NULL), 0);

    assert_int_equal(sim_disk_flip(m.disk, "/f", 0, 1, &e), 0);
    assert_int_equal(first_byte(&m), 'a' ^ 2);
    machine_crash(&m);
    assert_int_equal(first_byte(&m), 'a' ^ 2);

    assert_int_equal(sim_disk_flip(m.disk, "/f", 1, 1, &e), Q_INVALID);
    assert_int_equal(sim_disk_flip(m.disk, "/g", 0, 1, &e), Q_NOT_FOUND);
    assert_int_equal(sim_disk_counters(m.disk).flips, 1);
    sim_free(m.sim);
}

static void join_names(void *ctx, const char *path, uint64_t size)
{
    char *text = ctx;
    size_t n = strlen(text);
    snprintf(text + n, 200 - n, "%s=%llu ", path, (unsigned long long)size);
}

static void every_file_is_listed_by_its_path_and_a_wiped_disk_has_none(void **state)
{
    (void)state;
    struct machine m;
    struct env_file *g;
    char text[200] = "";
    machine_start(&m, 1, 0);
    assert_int_equal(env_make_dir(m.env, "/d", NULL), 0);
    assert_int_equal(env_open(m.env, "/d/g", ENV_CREATE | ENV_WRITE, &g, NULL), 0);
    assert_int_equal(env_write(m.env, g, 10, "x", 1, NULL), 0);

    sim_disk_each_file(m.disk, join_names, text);
    assert_string_equal(text, "/d/g=11 /f=0 ");

    sim_node_kill(m.node);
    sim_disk_wipe(m.disk);
    text[0] = '\0';
    sim_disk_each_file(m.disk, join_names, text);
    assert_string_equal(text, "");
    m.env = sim_node_boot(m.node);
    assert_int_equal(env_open(m.env, "/f", 0, &m.file, NULL), Q_NOT_FOUND);
    sim_free(m.sim);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(errors_come_at_the_rate_asked_for_and_are_counted),
        cmocka_unit_test(a_failed_read_leaves_its_output_alone),
        cmocka_unit_test(after_a_failed_sync_the_next_one_succeeds_and_saves_nothing),
        cmocka_unit_test(what_a_failed_sync_lost_is_saved_when_it_is_written_again),
        cmocka_unit_test(a_full_disk_takes_no_growth_but_still_takes_overwrites),
        cmocka_unit_test(a_submitted_write_fails_with_the_disk),
        cmocka_unit_test(a_stuck_disk_completes_nothing_until_it_is_free_again),
        cmocka_unit_test(a_slow_disk_takes_longer),
        cmocka_unit_test(a_pause_does_not_stop_the_disk_but_the_process_hears_of_it_later),
        cmocka_unit_test(a_flipped_bit_is_read_back_flipped_also_after_a_crash),
        cmocka_unit_test(every_file_is_listed_by_its_path_and_a_wiped_disk_has_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
