/* The directory of a machine that has been let in is made. Whenever power is lost meanwhile, what is found
 * afterwards is a node that starts by itself, or a new machine that may join anew, whatever cluster. */
#include "cluster/charter.h"
#include "cluster/join.h"
#include "cluster/replica.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { OPERATIONS_MAX = 1000 };

static const uint8_t secret[] = "a secret that is long enough";

struct scene {
    struct sim *sim;
    struct sim_node *machine;
    struct replica *replica;
    struct error e;
};

static void on_log(void *ctx, const char *line)
{
    (void)ctx;
    (void)line;
}

static void on_fatal(void *ctx, const struct error *why)
{
    (void)ctx;
    (void)why; /* the power is lost */
}

static struct replica_config config_of(struct scene *s, const struct join_answer *joined)
{
    return (struct replica_config){.env = sim_node_env(s->machine),
                                   .dir = "/node",
                                   .id = joined != NULL ? joined->id : 0,
                                   .incarnation = joined != NULL ? 77 : 0,
                                   .joined = joined,
                                   .cluster_name = "town",
                                   .secret = secret,
                                   .secret_len = sizeof secret - 1,
                                   .in_memory = true,
                                   .readers = 1,
                                   .election_ms = 300,
                                   .heartbeat_ms = 75,
                                   .batches_inflight = 2,
                                   .queue_bytes = 1024 * 1024,
                                   .queue_commands = 1000,
                                   .result_max = 64 * 1024,
                                   .segment_bytes = 256 * 1024,
                                   .cache_bytes = 64 * 1024,
                                   .compact_bytes = 1024 * 1024,
                                   .log = on_log,
                                   .fatal = on_fatal,
                                   .ctx = s};
}

/* Member 1 is at FIRST, and this machine, as ID, at "new:7000". */
static struct join_answer answer_of(uint8_t cluster, uint64_t id, const char *first)
{
    struct join_answer answer = {.id = id, .cluster_id = {cluster}, .cluster_name = "town", .count = 2};

    answer.members[0] = (struct member){.id = 1, .state = MEMBER_AUTO};
    answer.members[1] = (struct member){.id = id, .incarnation = 77, .state = MEMBER_AUTO, .changed = 9};
    snprintf(answer.members[0].address, sizeof answer.members[0].address, "%s", first);
    snprintf(answer.members[1].address, sizeof answer.members[1].address, "new:7000");
    return answer;
}

static bool is_node(struct scene *s)
{
    struct env_file *meta;

    if (env_open(sim_node_env(s->machine), "/node/meta", 0, &meta, &s->e) != 0) {
        return false;
    }
    env_close(sim_node_env(s->machine), meta);
    return true;
}

static void open_replica(struct scene *s, const struct join_answer *joined)
{
    struct replica_config config = config_of(s, joined);

    if (replica_open(&config, &s->replica, &s->e) != 0) {
        fail_msg("%s", s->e.text);
    }
}

static void expect_members(struct scene *s, const struct join_answer *wanted)
{
    struct replica_status *status = malloc(sizeof *status);

    assert_non_null(status);
    replica_status(s->replica, status);
    assert_int_equal(status->id, wanted->id);
    assert_int_equal(status->count, wanted->count);
    for (unsigned i = 0; i < wanted->count; i++) {
        assert_int_equal(status->members[i].id, wanted->members[i].id);
        assert_string_equal(status->members[i].address, wanted->members[i].address);
    }
    free(status);
}

/* True if the directory was made before the power was lost. */
static bool lose_power_in(unsigned operation, unsigned *nodes, unsigned *machines)
{
    struct join_answer here = answer_of(1, 4, "a:7000"), there = answer_of(2, 5, "b:7000");
    struct scene s = {.sim = sim_new(operation)};
    struct replica_config config;
    bool made;

    s.machine = sim_node_new(s.sim, "new");
    sim_node_boot(s.machine);
    sim_node_crash_in(s.machine, operation);
    config = config_of(&s, &here);
    made = replica_open(&config, &s.replica, &s.e) == 0 && sim_node_env(s.machine) != NULL;
    if (made) {
        sim_node_crash(s.machine);
    }
    replica_free(s.replica);
    s.replica = NULL;

    sim_node_boot(s.machine);
    if (is_node(&s)) {
        open_replica(&s, NULL);
        expect_members(&s, &here);
        ++*nodes;
    } else {
        assert_false(made);
        open_replica(&s, &there);
        expect_members(&s, &there);
        ++*machines;
    }
    sim_node_kill(s.machine);
    replica_free(s.replica);
    sim_free(s.sim);
    return made;
}

static void a_machine_that_loses_power_is_a_node_or_may_join_anew(void **state)
{
    unsigned operation = 1, nodes = 0, machines = 0;
    (void)state;

    while (!lose_power_in(operation, &nodes, &machines)) {
        operation++;
        assert_true(operation < OPERATIONS_MAX);
    }
    assert_true(nodes > 1 && machines > 1); /* both were seen */
}

/* A node that joined cluster "town", without foreign keys, and is off. */
static void open_scene(struct scene *s)
{
    struct join_answer here = answer_of(1, 4, "a:7000");

    *s = (struct scene){.sim = sim_new(1)};
    s->machine = sim_node_new(s->sim, "new");
    sim_node_boot(s->machine);
    open_replica(s, &here);
    sim_node_crash(s->machine);
    replica_free(s->replica);
    s->replica = NULL;
    sim_node_boot(s->machine);
}

static void close_scene(struct scene *s)
{
    sim_node_kill(s->machine);
    replica_free(s->replica);
    sim_free(s->sim);
}

static void expect_refused(struct scene *s, const struct replica_config *config, const char *text)
{
    assert_int_equal(replica_open(config, &s->replica, &s->e), Q_MISMATCH);
    assert_null(s->replica);
    if (strstr(s->e.text, text) == NULL) {
        fail_msg("%s", s->e.text);
    }
}

static void a_node_is_not_started_by_other_rules_than_its_clusters(void **state)
{
    struct scene s;
    struct replica_config config;
    (void)state;
    open_scene(&s);

    config = config_of(&s, NULL);
    config.foreign_keys = true;
    expect_refused(&s, &config, "works with foreign-keys=off, and this node is started with foreign-keys=on");
    config.foreign_keys = false;
    config.instructions_max = 5000000;
    expect_refused(&s, &config, "sql-instructions=5000000");
    config = config_of(&s, NULL);
    config.cluster_name = "city";
    expect_refused(&s, &config, "belongs to cluster \"town\", not \"city\"");
    close_scene(&s);
}

static void a_node_that_is_told_no_name_keeps_its_clusters(void **state)
{
    struct replica_status *status = malloc(sizeof *status);
    struct replica_config config;
    struct scene s;
    (void)state;
    assert_non_null(status);
    open_scene(&s);

    config = config_of(&s, NULL);
    config.cluster_name = NULL;
    assert_int_equal(replica_open(&config, &s.replica, &s.e), 0);

    replica_status(s.replica, status);
    assert_string_equal(status->cluster_name, "town");
    free(status);
    close_scene(&s);
}

static void a_damaged_charter_is_told_and_written_again(void **state)
{
    struct charter kept;
    struct scene s;
    (void)state;
    open_scene(&s);
    assert_int_equal(sim_disk_flip(sim_node_disk(s.machine), "/node/charter", 14, 3, &s.e), 0);
    assert_int_equal(charter_load(sim_node_env(s.machine), "/node", &kept, &s.e), Q_CORRUPT);

    open_replica(&s, NULL);

    assert_int_equal(charter_load(sim_node_env(s.machine), "/node", &kept, &s.e), 0);
    assert_string_equal(kept.name, "town");
    assert_string_equal(kept.semantics, "foreign-keys=off");
    close_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_machine_that_loses_power_is_a_node_or_may_join_anew),
        cmocka_unit_test(a_node_is_not_started_by_other_rules_than_its_clusters),
        cmocka_unit_test(a_node_that_is_told_no_name_keeps_its_clusters),
        cmocka_unit_test(a_damaged_charter_is_told_and_written_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
