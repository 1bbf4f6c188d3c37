/* Whole replicas: what they refuse to start with, what they tell of themselves, and what survives. */
#include "cluster/replica_impl.h"

#include <ftw.h>
#include <unistd.h>

#include "tests/unit/cluster/asker.h"

struct scene {
    struct sim *sim;
    struct group group;
    struct asker a;
    char root[64]; /* real directory for databases in files; empty: in memory */
    char dirs[GROUP_MAX][16];
    void (*tune)(struct scene *s, struct group_node *node, struct replica_config *config);
};

static struct scene scene;

static void tune(struct group_node *node, struct replica_config *config)
{
    if (scene.root[0] != 0) {
        char *dir = scene.dirs[node->id - 1];
        snprintf(dir, sizeof scene.dirs[0], "node%d", (int)node->id);
        config->dir = dir;
        config->in_memory = false;
        config->segment_bytes = 64 * 1024;
        config->compact_bytes = 64 * 1024;
    }
    if (scene.tune != NULL) {
        scene.tune(&scene, node, config);
    }
}

static int set_up(void **state)
{
    memset(&scene, 0, sizeof scene);
    scene.sim = sim_new(14);
    scene.group.tune = tune;
    asker_init(&scene.a);
    *state = &scene;
    return 0;
}

static int remove_one(const char *path, const struct stat *st, int flag, struct FTW *ftw)
{
    (void)st;
    (void)flag;
    (void)ftw;
    return remove(path);
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    group_close(&s->group);
    sim_free(s->sim);
    asker_close(&s->a);
    if (s->root[0] != 0) {
        assert_int_equal(chdir("/"), 0);
        nftw(s->root, remove_one, 16, FTW_DEPTH | FTW_PHYS);
    }
    return 0;
}

static void start(struct scene *s, unsigned count)
{
    group_init(&s->group, s->sim, count);
}

static void put(struct scene *s, struct group_node *node, const char *key, const char *value)
{
    ask_put(&s->a, node, key, value);
    GROUP_UNTIL(&s->group, s->a.done == 1);
    if (s->a.code != Q_OK) {
        fail_msg("%s", s->a.text);
    }
}

static void expect_read(struct scene *s, struct group_node *node, const char *key, const char *shown)
{
    ask_get(&s->a, node, key);
    expect_shown(&s->a, &s->group, shown);
}

/* What is refused at the start. */

static void ignore_line(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

static void ignore_fatal(void *ctx, const struct error *why)
{
    (void)ctx;
    (void)why;
}

static struct replica_config plain_config(struct scene *s, const struct peers_member *members, unsigned count)
{
    static const uint8_t secret[] = "a secret that is long enough";
    return (struct replica_config){
        .env = sim_node_boot(sim_node_new(s->sim, "single")),
        .dir = "/node",
        .id = 1,
        .members = members,
        .count = count,
        .cluster_name = "test",
        .secret = secret,
        .secret_len = sizeof secret - 1,
        .in_memory = true,
        .readers = 1,
        .election_ms = 300,
        .heartbeat_ms = 75,
        .batches_inflight = 2,
        .queue_bytes = 65536,
        .queue_commands = 100,
        .result_max = 65536,
        .segment_bytes = 65536,
        .cache_bytes = 65536,
        .compact_bytes = 65536,
        .log = ignore_line,
        .fatal = ignore_fatal,
    };
}

static void expect_refused(const struct replica_config *config, enum error_code code, const char *text)
{
    struct replica *r = NULL;
    struct error e;

    assert_int_equal(replica_open(config, &r, &e), code);
    assert_null(r);
    if (strstr(e.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", e.text, text);
    }
}

static void a_list_that_cannot_be_is_refused_before_the_disk_is_touched(void **state)
{
    struct peers_member members[] = {{1, "a:1"}, {2, "b:1"}, {3, "c:1"}};
    struct scene *s = *state;
    struct replica_config config = plain_config(s, members, 3);
    struct env_file *file;
    struct error e;

    config.id = 4;
    expect_refused(&config, Q_INVALID, "node id 4 is not in the list of members");
    config.id = 1;
    config.count = 0;
    expect_refused(&config, Q_NOT_FOUND,
                   "/node holds no node yet, and neither members nor a cluster to join are given");
    config.count = 3;
    members[2].id = 2;
    expect_refused(&config, Q_INVALID, "members 2 and 3 have the same id or address (2, c:1)");
    members[2] = members[0];
    members[2].id = 3;
    expect_refused(&config, Q_INVALID, "members 1 and 3 have the same id or address (3, a:1)");
    config.secret_len = PEERS_SECRET_MAX + 1;
    snprintf(members[2].address, sizeof members[2].address, "c:1");
    expect_refused(&config, Q_INVALID, "the cluster secret is longer than 1024 bytes");
    assert_int_equal(env_open(config.env, "/node/meta", 0, &file, &e), Q_NOT_FOUND);
}

static void a_directory_in_use_is_refused(void **state)
{
    const struct peers_member members[] = {{1, "a:1"}};
    struct scene *s = *state;
    struct replica_config config = plain_config(s, members, 1);
    struct replica *r;
    struct error e;

    assert_int_equal(replica_open(&config, &r, &e), 0);
    expect_refused(&config, Q_CONFLICT, "/node/lock");
    replica_free(r);
    assert_int_equal(replica_open(&config, &r, &e), 0);
    sim_run_until(s->sim, 100000);
    replica_free(r);
    sim_run_until(s->sim, 200000);
}

static void another_setting_of_what_decides_results_is_another_cluster(void **state)
{
    const struct peers_member members[] = {{1, "a:1"}};
    struct scene *s = *state;
    struct replica_config config = plain_config(s, members, 1);
    struct replica *r;
    struct error e;

    assert_int_equal(replica_open(&config, &r, &e), 0);
    sim_run_until(s->sim, 100000);
    replica_free(r);
    config.foreign_keys = true;
    expect_refused(&config, Q_MISMATCH, "another setting of foreign-keys or sql-instructions");
    config.foreign_keys = false;
    config.instructions_max = 5000000;
    expect_refused(&config, Q_MISMATCH, "another setting of foreign-keys or sql-instructions");
    config.instructions_max = STORE_INSTRUCTIONS_DEFAULT; /* as if nothing was said */
    assert_int_equal(replica_open(&config, &r, &e), 0);
    replica_free(r);
    sim_run_until(s->sim, 200000);
}

static void turn_one_list_around(struct scene *s, struct group_node *node, struct replica_config *config)
{
    static struct peers_member turned[3];
    (void)s;
    if (node->id == 2) {
        turned[0] = config->members[2];
        turned[1] = config->members[0];
        turned[2] = config->members[1];
        config->members = turned;
    }
}

static void the_order_of_the_list_does_not_matter(void **state)
{
    struct scene *s = *state;

    s->tune = turn_one_list_around;
    start(s, 3);
    put(s, group_settled(&s->group), "key", "x");
    expect_read(s, &s->group.nodes[1], "key", "v1 x");
}

static void set_one_foreign_key(struct scene *s, struct group_node *node, struct replica_config *config)
{
    (void)s;
    config->foreign_keys = node->id == 3;
}

static void a_member_with_other_semantics_does_not_join(void **state)
{
    struct scene *s = *state;

    s->tune = set_one_foreign_key;
    start(s, 3);
    GROUP_UNTIL(&s->group, group_leader(&s->group) != NULL);
    put(s, group_leader(&s->group), "key", "x");
    group_run_ms(&s->group, 3000);
    assert_int_equal(status_of(&s->group.nodes[2]).leader, 0);
    assert_in_range(status_of(&s->group.nodes[2]).applied, 0, 1); /* the member list */
    assert_false(status_of(&s->group.nodes[2]).ready);
}

/* What it tells of itself. */

static void the_status_tells_of_all_members(void **state)
{
    struct scene *s = *state;
    struct group_node *leader;
    struct replica_status status, other;

    start(s, 3);
    leader = group_settled(&s->group);
    put(s, leader, "key", "x");
    leader = group_settled(&s->group);
    GROUP_UNTIL(&s->group, status_of(leader).members[0].match == status_of(leader).log_last &&
                               status_of(leader).members[1].match == status_of(leader).log_last &&
                               status_of(leader).members[2].match == status_of(leader).log_last);
    status = status_of(leader);
    assert_string_equal(status.state, "leader");
    assert_string_equal(status.cluster_name, "simulated");
    assert_int_equal(status.id, leader->id);
    assert_int_equal(status.leader, leader->id);
    assert_int_equal(status.last_leader_contact_ms, 0);
    assert_int_equal(status.log_first, 1);
    assert_int_equal(status.log_durable, status.log_last);
    assert_int_equal(status.commit, status.log_last);
    assert_int_equal(status.applied, status.log_last);
    assert_int_equal(status.snapshot_index, 0);
    assert_true(status.ready && !status.fenced);
    assert_int_equal(status.count, 3);
    for (unsigned i = 0; i < 3; i++) {
        char address[32];
        snprintf(address, sizeof address, "node%u:7000", i + 1);
        assert_int_equal(status.members[i].id, i + 1);
        assert_string_equal(status.members[i].address, address);
        assert_string_equal(status.members[i].api_address, "http://simulated");
        assert_true(status.members[i].voter && status.members[i].reachable);
        assert_int_equal(status.members[i].leader, i + 1 == leader->id);
        assert_in_range(status.members[i].last_heard_ms, 0, 200);
    }

    other = status_of(group_follower(&s->group, 0));
    assert_string_equal(other.state, "follower");
    assert_memory_equal(other.digest, status.digest, DIGEST_BYTES);
    assert_memory_equal(other.cluster_id, status.cluster_id, sizeof status.cluster_id);
    assert_int_not_equal(other.incarnation, status.incarnation);
    assert_in_range(other.last_leader_contact_ms, 0, 200);
    assert_int_equal(other.members[0].match, 0);
}

static void a_member_that_is_cut_off_is_not_reachable(void **state)
{
    struct scene *s = *state;
    struct group_node *leader, *follower;

    start(s, 3);
    leader = group_settled(&s->group);
    follower = group_follower(&s->group, 0);
    group_cut(&s->group, follower, true);
    GROUP_UNTIL(&s->group, !status_of(leader).members[follower->id - 1].reachable);
    assert_true(status_of(leader).members[follower->id - 1].last_heard_ms > 1000);
    assert_true(status_of(leader).ready);
    GROUP_UNTIL(&s->group, !status_of(follower).ready);
    assert_true(status_of(follower).last_leader_contact_ms > 200);
}

static void a_node_is_ready_when_it_has_caught_up(void **state)
{
    struct scene *s = *state;
    struct group_node *leader, *follower;

    start(s, 3);
    leader = group_settled(&s->group);
    follower = group_follower(&s->group, 0);
    group_crash(follower);
    for (unsigned i = 0; i < 100; i++) {
        put(s, leader, "key", "x");
    }
    group_boot(follower);
    assert_false(status_of(follower).ready);
    GROUP_UNTIL(&s->group, status_of(follower).ready);
    assert_int_equal(status_of(follower).term, status_of(leader).term);
}

/* What survives. */

static void what_was_acknowledged_survives_a_power_loss_of_all(void **state)
{
    struct scene *s = *state;
    char key[16];

    start(s, 3);
    for (unsigned round = 0; round < 3; round++) {
        snprintf(key, sizeof key, "key%u", round);
        put(s, group_settled(&s->group), key, "x");
        for (unsigned i = 0; i < 3; i++) {
            group_crash(&s->group.nodes[i]);
        }
        for (unsigned i = 0; i < 3; i++) {
            group_boot(&s->group.nodes[i]);
        }
    }
    group_settled(&s->group);
    for (unsigned i = 0; i < 3; i++) {
        snprintf(key, sizeof key, "key%u", i);
        expect_read(s, &s->group.nodes[i], key, "v1 x");
    }
}

/* Databases in files lie in a real directory, logs on the simulated disks under the same names. */
static void start_on_files(struct scene *s, unsigned count)
{
    snprintf(s->root, sizeof s->root, "/tmp/quorate-replica-XXXXXX");
    assert_non_null(mkdtemp(s->root));
    assert_int_equal(chdir(s->root), 0);
    for (unsigned i = 1; i <= count; i++) {
        char dir[16];
        snprintf(dir, sizeof dir, "node%u", i);
        assert_int_equal(mkdir(dir, 0700), 0);
    }
    group_init(&s->group, s->sim, count);
}

static void fill(struct scene *s, unsigned entries)
{
    static char value[2000];

    memset(value, 'v', sizeof value - 1);
    for (unsigned i = 0; i < entries; i++) {
        char key[16];
        snprintf(key, sizeof key, "fill%u", i);
        put(s, group_leader(&s->group), key, value);
    }
}

static void expect_filled(struct scene *s, struct group_node *node)
{
    ask_get(&s->a, node, "fill0");
    GROUP_UNTIL(&s->group, s->a.done == 1);
    assert_non_null(strstr(s->a.shown, " vvvvvv"));
}

static bool all_compacted(struct scene *s, uint64_t index)
{
    bool all = true;
    for (unsigned i = 0; i < s->group.count; i++) {
        all = all && status_of(&s->group.nodes[i]).snapshot_index > index;
    }
    return all;
}

static void the_log_is_let_go_when_the_databases_hold_it(void **state)
{
    struct scene *s = *state;

    start_on_files(s, 3);
    group_settled(&s->group);
    put(s, group_leader(&s->group), "key", "x");
    for (unsigned i = 0; i < 20 && !all_compacted(s, 50); i++) {
        fill(s, 20);
        group_settled(&s->group);
    }
    assert_true(all_compacted(s, 50));
    for (unsigned i = 0; i < 3; i++) {
        struct replica_status status = status_of(&s->group.nodes[i]);
        assert_int_equal(status.log_first, status.snapshot_index + 1);
        assert_true(status.applied >= status.snapshot_index);
    }

    for (unsigned i = 0; i < 3; i++) {
        group_kill(&s->group.nodes[i]);
    }
    for (unsigned i = 0; i < 3; i++) {
        group_boot(&s->group.nodes[i]);
        assert_true(status_of(&s->group.nodes[i]).log_first > 50);
    }
    group_settled(&s->group);
    expect_read(s, &s->group.nodes[0], "key", "v1 x");
    put(s, &s->group.nodes[1], "key", "y");
    expect_read(s, &s->group.nodes[2], "key", "v2 y");
    group_settled(&s->group);
    assert_memory_equal(status_of(&s->group.nodes[0]).digest, status_of(&s->group.nodes[1]).digest,
                        DIGEST_BYTES);
}

static void the_log_stays_short_for_ever(void **state)
{
    struct scene *s = *state;
    uint64_t most = 0;

    start_on_files(s, 1);
    group_settled(&s->group);
    for (unsigned i = 0; i < 40; i++) {
        uint64_t bytes;
        fill(s, 20); /* most of a segment */
        bytes = consensus_log_bytes(s->group.nodes[0].replica->consensus);
        most = bytes > most ? bytes : most;
    }
    assert_in_range(most, 1, 4 * 64 * 1024); /* of the 25 segments that were written */
}

static void nothing_is_let_go_that_a_member_has_not_got(void **state)
{
    struct scene *s = *state;
    struct group_node *away;
    uint64_t held;

    start_on_files(s, 3);
    group_settled(&s->group);
    away = group_follower(&s->group, 0);
    fill(s, 5);
    group_settled(&s->group);
    held = status_of(away).log_last;
    group_kill(away);
    fill(s, 200);
    for (unsigned i = 0; i < 3; i++) {
        if (&s->group.nodes[i] != away) {
            assert_true(status_of(&s->group.nodes[i]).log_first <= held + 1);
        }
    }

    group_boot(away);
    group_settled(&s->group);
    expect_filled(s, away);
}

static void a_database_in_memory_keeps_its_whole_log(void **state)
{
    struct scene *s = *state;

    start(s, 1);
    group_settled(&s->group);
    fill(s, 700); /* more than the compaction wants */
    assert_int_equal(status_of(&s->group.nodes[0]).log_first, 1);
    group_crash(&s->group.nodes[0]);
    group_boot(&s->group.nodes[0]);
    group_settled(&s->group);
    expect_filled(s, &s->group.nodes[0]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_list_that_cannot_be_is_refused_before_the_disk_is_touched),
        TEST(a_directory_in_use_is_refused),
        TEST(another_setting_of_what_decides_results_is_another_cluster),
        TEST(the_order_of_the_list_does_not_matter),
        TEST(a_member_with_other_semantics_does_not_join),
        TEST(the_status_tells_of_all_members),
        TEST(a_member_that_is_cut_off_is_not_reachable),
        TEST(a_node_is_ready_when_it_has_caught_up),
        TEST(what_was_acknowledged_survives_a_power_loss_of_all),
        TEST(the_log_is_let_go_when_the_databases_hold_it),
        TEST(the_log_stays_short_for_ever),
        TEST(nothing_is_let_go_that_a_member_has_not_got),
        TEST(a_database_in_memory_keeps_its_whole_log),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
