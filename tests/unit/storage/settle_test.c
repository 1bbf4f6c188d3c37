/* What a disk has that failed to sync, or lost power, and what the page cache shows. */
#include "storage/store.h"

#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { LIVES = 20, ENTRIES = 10 };

struct scene {
    struct sim *sim;
    struct sim_node *node;
    struct store *store;
    struct error error;
};

static void open_store(struct scene *s)
{
    struct store_config config = {
        .path = "/db", .vfs = sim_node_vfs(s->node), .readers = 1, .result_max = STORE_RESULT_MIN};
    sim_node_boot(s->node);
    if (store_open(&config, &s->store, &s->error) != 0) {
        fail_msg("%s", s->error.text);
    }
}

static void end(struct scene *s, void (*how)(struct sim_node *node))
{
    how(s->node);
    store_close(s->store);
}

static uint64_t applied(const struct scene *s)
{
    struct store_position at;
    store_position(s->store, &at);
    return at.index;
}

static void apply(struct scene *s)
{
    struct batch head = {.term = 1, .index = applied(s) + 1, .time_ms = 1, .commands = 1};
    struct buf command, entry, results;
    char key[16];

    buf_init(&command, 65536);
    buf_init(&entry, 65536);
    buf_init(&results, 65536);
    snprintf(key, sizeof key, "key%llu", (unsigned long long)head.index);
    command_put_kv_put(&command, cursor_of("ns", 2), cursor_of(key, strlen(key)), cursor_of("value", 5),
                       KV_ALWAYS, 0);
    batch_put_header(&entry, &head);
    buf_put_blob(&entry, command.data, command.len);
    assert_int_equal(store_apply(s->store, head.index, 1, entry.data, entry.len, &results, &s->error), 0);
    buf_close(&command);
    buf_close(&entry);
    buf_close(&results);
}

static void live(uint64_t seed)
{
    struct scene s = {.sim = sim_new(seed)};
    uint64_t durable = 0;
    s.node = sim_node_new(s.sim, "n");
    open_store(&s);
    for (unsigned i = 0; i < ENTRIES; i++) {
        apply(&s);
    }

    sim_node_disk_faults(s.node, &(struct sim_disk_faults){.sync_eio = 1000000});
    assert_int_not_equal(store_checkpoint(s.store, &durable, &s.error), 0);
    sim_node_disk_faults(s.node, &(struct sim_disk_faults){.sync_eio = 0});
    end(&s, sim_node_kill);
    open_store(&s);
    assert_int_equal(store_checkpoint(s.store, &durable, &s.error), 0);
    assert_int_equal(durable, ENTRIES);
    end(&s, sim_node_crash);
    open_store(&s);

    assert_int_equal(applied(&s), ENTRIES);
    assert_int_equal(store_verify(s.store, &s.error), 0);
    end(&s, sim_node_kill);
    sim_free(s.sim);
}

static void a_wal_whose_sync_failed_is_made_to_last_before_it_is_used_again(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= LIVES; seed++) {
        live(seed);
    }
}

/* What is taken of a held file is given a good name: it must be the database, and stay so. */
static void a_held_file_alone_outlives_a_power_cut(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= LIVES; seed++) {
        struct scene s = {.sim = sim_new(seed)};
        struct store_image image;
        s.node = sim_node_new(s.sim, "n");
        open_store(&s);
        for (unsigned i = 0; i < ENTRIES; i++) {
            apply(&s);
        }
        assert_int_equal(store_hold(s.store, &image, &s.error), 0);
        for (unsigned i = 0; i < ENTRIES; i++) {
            apply(&s);
        }
        end(&s, sim_node_crash);

        struct env *env = sim_node_boot(s.node);
        env_unlink(env, "/db-wal", NULL);
        sim_node_kill(s.node);
        open_store(&s);

        assert_int_equal(image.position.index, ENTRIES);
        assert_int_equal(applied(&s), ENTRIES);
        assert_int_equal(store_verify(s.store, &s.error), 0);
        end(&s, sim_node_kill);
        sim_free(s.sim);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_wal_whose_sync_failed_is_made_to_last_before_it_is_used_again),
        cmocka_unit_test(a_held_file_alone_outlives_a_power_cut),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
