/* Directories of nodes that are made around a database. */
#include "cluster/found.h"

#include "cluster/members.h"
#include "raft_glue/meta.h"
#include "storage/members.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { ENTRIES = 5, TERM = 3, RESULT_MAX = 64 * 1024 };

struct scene {
    struct sim *sim;
    struct sim_node *node;
    struct env *env;
    struct store_position was; /* before it is founded */
    struct found_config config;
    struct meta_state meta;
};

static const struct peers_member members[] = {{1, "a:1"}, {2, "b:1"}, {3, "c:1"}};
static struct scene scene;

static struct store *open_store(struct scene *s)
{
    struct store_config config = {
        .path = "data/db.sqlite", .vfs = sim_node_vfs(s->node), .readers = 1, .result_max = RESULT_MAX};
    struct store *store;
    struct error e;

    if (store_open(&config, &store, &e) != 0) {
        fail_msg("%s", e.text);
    }
    return store;
}

static void apply(struct store *store, uint64_t index, const struct buf *command)
{
    struct batch batch = {.index = index, .term = TERM, .commands = 1, .time_ms = 1000 * index};
    struct buf entry, results;
    struct error e;

    buf_init(&entry, SIZE_MAX);
    buf_init(&results, SIZE_MAX);
    batch_put_header(&entry, &batch);
    buf_put_blob(&entry, command->data, command->len);
    if (store_apply(store, index, TERM, entry.data, entry.len, &results, &e) != 0) {
        fail_msg("%s", e.text);
    }
    buf_close(&entry);
    buf_close(&results);
}

/* A database that knows a member of its old cluster. */
static void make_database(struct scene *s)
{
    struct store *store = open_store(s);
    struct member_change change = {MEMBER_ADMIT, 9, 77, MEMBER_AUTO, cursor_of("old:1", 5)};
    struct store_member found[4];
    struct buf command;
    struct error e;
    unsigned count;

    for (uint64_t index = 1; index <= ENTRIES; index++) {
        buf_init(&command, SIZE_MAX);
        command_put_member(&command, &change, 1);
        apply(store, index, &command);
        change.id++;
        change.address = cursor_of("next:1", 6);
        buf_close(&command);
    }
    assert_int_equal(store_members(store, found, 4, &count, &e), 0);
    assert_int_equal(count, 2);
    store_position(store, &s->was);
    store_close(store);
}

static int set_up(void **state)
{
    struct scene *s = &scene;
    struct error e;

    memset(s, 0, sizeof *s);
    s->sim = sim_new(3);
    s->node = sim_node_new(s->sim, "n");
    s->env = sim_node_boot(s->node);
    assert_int_equal(env_make_dir(s->env, "data", &e), 0);
    assert_int_equal(env_sync_dir(s->env, "/", &e), 0);
    make_database(s);
    s->config = (struct found_config){
        .env = s->env,
        .dir = "data",
        .vfs = sim_node_vfs(s->node),
        .id = 2,
        .members = members,
        .count = 3,
        .cluster_name = "orders",
        .result_max = RESULT_MAX,
        .origin = {1, 2, 3},
        .digest = s->was.digest,
        .scan = true,
    };
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    sim_node_kill(s->node);
    sim_free(s->sim);
    return 0;
}

static void found(struct scene *s, struct store_position *ret_at)
{
    struct error e;

    if (found_make(&s->config, ret_at, &e) != 0 || meta_read(s->env, "data", &s->meta, &e) != 0) {
        fail_msg("%s", e.text);
    }
}

static void expect_refused(struct scene *s, enum error_code code, const char *text)
{
    struct error e;

    assert_int_equal(found_make(&s->config, NULL, &e), code);
    if (strstr(e.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", e.text, text);
    }
    assert_int_equal(meta_read(s->env, "data", &s->meta, &e), Q_NOT_FOUND);
}

static void the_log_begins_behind_the_database(void **state)
{
    struct scene *s = *state;
    struct store_position at;

    found(s, &at);

    assert_int_equal(at.index, ENTRIES);
    assert_int_equal(s->meta.snapshot_index, ENTRIES);
    assert_int_equal(s->meta.snapshot_term, TERM);
    assert_int_equal(s->meta.log_first, ENTRIES + 1);
    assert_int_equal(s->meta.term, TERM);
    assert_int_equal(s->meta.node_id, 2);
    assert_true(s->meta.founder);
}

static void the_new_members_are_known_to_a_start_without_a_list(void **state)
{
    struct scene *s = *state;
    struct members *list;
    struct store_position at;
    struct error e;

    found(s, &at);

    assert_int_equal(members_open(s->env, "data", NULL, 0, &list, &e), 0);
    assert_int_equal(members_count(list), 3);
    assert_string_equal(members_at(list, 2)->address, "c:1");
    members_free(list);
}

static void the_old_members_are_forgotten_and_the_digest_is_right(void **state)
{
    struct scene *s = *state;
    struct store_position at, again;
    struct store *store;
    struct error e;
    struct store_member rows[4];
    unsigned count = 99;

    found(s, &at);
    store = open_store(s);
    int listed = store_members(store, rows, 4, &count, &e), verified = store_verify(store, &e);
    store_position(store, &again);
    store_close(store);

    assert_int_equal(listed, 0);
    assert_int_equal(count, 0);
    assert_int_equal(verified, 0);
    assert_memory_equal(at.digest, again.digest, sizeof at.digest);
    assert_memory_not_equal(at.digest, s->was.digest, sizeof at.digest);
}

static void everything_survives_a_power_loss_right_behind_it(void **state)
{
    struct scene *s = *state;
    struct store_position at, again;
    struct store *store;
    struct error e;

    found(s, &at);
    sim_node_crash(s->node);
    s->env = sim_node_boot(s->node);
    store = open_store(s);

    store_position(store, &again);
    assert_int_equal(again.index, at.index);
    assert_memory_equal(again.digest, at.digest, sizeof at.digest);
    assert_int_equal(meta_read(s->env, "data", &s->meta, &e), 0);
    store_close(store);
}

static void power_may_fail_at_any_point_without_making_half_a_node(void **state)
{
    struct scene *s = *state;
    bool died;
    unsigned at;

    for (at = 1; at < 2000; at++) {
        struct store *store;
        struct error e;

        tear_down(state);
        set_up(state);
        sim_node_crash_in(s->node, at);
        died = found_make(&s->config, NULL, &e) != 0;
        if (!died) {
            break;
        }
        s->env = sim_node_boot(s->node);
        if (meta_read(s->env, "data", &s->meta, &e) == 0) {
            struct store_position position;
            store = open_store(s);
            store_position(store, &position);
            assert_int_equal(position.index, ENTRIES);
            assert_int_equal(store_verify(store, &e), 0);
            store_close(store);
        }
    }
    assert_in_range(at, 10, 1999);
}

static void another_content_than_the_backup_names_is_refused(void **state)
{
    struct scene *s = *state;

    s->was.digest[0] ^= 1;

    expect_refused(s, Q_CORRUPT, "its digest differs");
}

static void a_list_without_the_node_is_refused(void **state)
{
    struct scene *s = *state;

    s->config.id = 4;
    expect_refused(s, Q_INVALID, "node id 4 is not in the list of members");
    s->config.count = 0;
    expect_refused(s, Q_INVALID, "a cluster has 1 to");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_log_begins_behind_the_database, set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_new_members_are_known_to_a_start_without_a_list, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_old_members_are_forgotten_and_the_digest_is_right, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(everything_survives_a_power_loss_right_behind_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(power_may_fail_at_any_point_without_making_half_a_node, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(another_content_than_the_backup_names_is_refused, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_list_without_the_node_is_refused, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
