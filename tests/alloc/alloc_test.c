/* Memory runs out, once, at every allocation in turn: on the way up, while requests are answered, replicated
 * and applied. The node says so or stops; what it acknowledged is there afterwards, on each node. Every
 * STEP-th allocation is tried, from a random one on; ALLOC_STEP=1 in the environment tries them all. */
#include <inttypes.h>
#include <sys/random.h>

#include "tests/alloc/failing.h"
#include "tests/unit/cluster/asker.h"

enum { START_STEP = 29, STEP = 3, WRITES = 40, VALUE_BYTES = 8 * 1024, PATIENCE_US = 4 * SECOND };

struct scene {
    struct sim *sim;
    struct group group;
    struct asker a;
    uint64_t step, first, tried;
    uint64_t times; /* how many allocations fail in a row */
};

/* How it is tried. */
struct way {
    uint64_t step, times;
    bool on_disk;
};

static int set_up(void **state)
{
    const struct way *way = *state;
    struct scene *s = calloc(1, sizeof *s);
    const char *step = getenv("ALLOC_STEP");

    s->step = step != NULL ? strtoull(step, NULL, 10) : way->step;
    assert_true(s->step > 0);
    assert_int_equal(getrandom(&s->first, sizeof s->first, 0), sizeof s->first);
    s->first = s->first % s->step + 1;
    s->times = way->times;
    s->sim = sim_new(7);
    s->group.on_disk = way->on_disk;
    asker_init(&s->a);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    failing_disarm();
    group_close(&s->group);
    asker_close(&s->a);
    sim_free(s->sim);
    free(s);
    return 0;
}

static bool over(struct scene *s)
{
    return s->group.failure[0] != 0 || s->group.nodes[0].broken;
}

static bool leads(const struct group_node *node)
{
    struct replica_role role;
    if (node->replica == NULL || node->broken) {
        return false;
    }
    replica_role(node->replica, &role);
    return role.leads && role.applied == role.last;
}

/* A cluster of one node that holds a key, switched off. Always the same one, so that its allocations can be
 * counted. */
static void make_a_node(struct scene *s)
{
    group_init(&s->group, s->sim, 1);
    group_settled(&s->group);
    ask_put(&s->a, &s->group.nodes[0], "key", "value");
    expect_shown(&s->a, &s->group, "put 1");
    group_kill(&s->group.nodes[0]);
}

/* Boots it with an allocation failing. Whether one did. */
static bool boot_short_of_memory(struct scene *s, uint64_t nth)
{
    struct group_node *node = &s->group.nodes[0];
    uint64_t until = sim_now_us(s->sim) + PATIENCE_US;

    failing_arm(nth, s->times);
    group_boot(node);
    while (!over(s) && !leads(node) && sim_now_us(s->sim) < until && sim_step(s->sim)) {
    }
    failing_disarm();
    if (!over(s) && !leads(node)) {
        fail_msg("allocation %" PRIu64 ": neither leads nor stopped", nth);
    }
    if (s->group.failure[0] != 0 && strstr(s->group.failure, "memory") == NULL) {
        fail_msg("allocation %" PRIu64 ": %s", nth, s->group.failure);
    }
    s->group.failure[0] = 0;
    group_run_ms(&s->group, 500); /* what was under way on other lanes ends, and its memory with it */
    group_kill(node);
    return failing_fired();
}

static void start(void **state)
{
    struct scene *s = *state;
    uint64_t nth;
    bool fired = true;

    for (nth = s->first; fired; nth += s->step, s->tried += fired) {
        make_a_node(s);

        fired = boot_short_of_memory(s, nth);

        group_boot(&s->group.nodes[0]);
        group_settled(&s->group);
        ask_get(&s->a, &s->group.nodes[0], "key");
        expect_shown(&s->a, &s->group, "v1 value");
        group_close(&s->group);
        sim_free(s->sim);
        s->sim = sim_new(7);
    }

    printf("%" PRIu64 " of %" PRIu64 " allocations of a start\n", s->tried, nth - s->step);
    assert_true(s->tried > 0);
}

/* Three nodes. */

static void run_short_of_memory(struct scene *s, struct group_node *node)
{
    uint64_t until = sim_now_us(s->sim) + 2 * PATIENCE_US;
    while (s->a.done == 0 && !node->broken && sim_now_us(s->sim) < until && sim_step(s->sim)) {
    }
    group_run_ms(&s->group, 30); /* the followers' part comes after the answer */
}

static void restart_the_broken(struct scene *s, struct group_node *asked)
{
    for (unsigned i = 0; i < s->group.count; i++) {
        struct group_node *node = &s->group.nodes[i];
        if (node->broken) {
            group_kill(node);
            group_boot(node);
            if (node == asked && s->a.asking) {
                s->a.asking = false; /* it vanished with its process: nobody knows */
                s->a.code = Q_UNKNOWN;
            }
        }
    }
    group_settled(&s->group);
    GROUP_UNTIL(&s->group, !s->a.asking);
}

/* What a node may show when NEW was asked to replace OLD, and CODE was the answer. */
static void expect_new_or_old(struct scene *s, struct group_node *node, enum error_code code, const char *why,
                              const char *new, const char *old)
{
    bool is_new, is_old;
    GROUP_UNTIL(&s->group, s->a.done == 1);
    assert_int_equal(s->a.code, Q_OK);
    is_new = strcmp(s->a.shown, new) == 0;
    is_old = strcmp(s->a.shown, old) == 0;
    if ((code == Q_OK && !is_new) || (code != Q_OK && code != Q_UNKNOWN && !is_old) || (!is_new && !is_old)) {
        fail_msg("after %s (%s) node %" PRIu64 " has \"%s\", not \"%s\" or \"%s\"", error_name(code), why,
                 node->id, s->a.shown, new, old);
    }
}

/* Asks ASKED to count up with an allocation failing, then each node for the count. Whether one failed. */
static bool count_short_of_memory(struct scene *s, struct group_node *asked, uint64_t nth, uint64_t *count)
{
    char sql[128], new[32], old[32], why[ERROR_TEXT_MAX];
    enum error_code code;

    /* Text that was never seen before: it has to be prepared. */
    snprintf(sql, sizeof sql, "UPDATE t SET n = %" PRIu64 " WHERE n = %" PRIu64, *count + 1, *count);
    snprintf(new, sizeof new, "rows %" PRIu64, *count + 1);
    snprintf(old, sizeof old, "rows %" PRIu64, *count);
    failing_arm(nth, s->times);
    ask_sql(&s->a, asked, COMMAND_SQL_EXECUTE, sql);
    run_short_of_memory(s, asked);
    failing_disarm();

    restart_the_broken(s, asked);
    code = s->a.code;
    if (code == Q_OK && strncmp(s->a.shown, "error", 5) == 0) {
        code = Q_SQL; /* a result, the same on each node */
    }
    snprintf(why, sizeof why, "%s", code == Q_SQL ? s->a.shown : s->a.text);
    for (unsigned i = 0; i < s->group.count; i++) {
        ask_sql(&s->a, &s->group.nodes[i], COMMAND_SQL_QUERY, "SELECT n FROM t");
        expect_new_or_old(s, &s->group.nodes[i], code, why, new, old);
    }
    *count += strcmp(s->a.shown, new) == 0;
    return failing_fired();
}

static void writes(void **state)
{
    struct scene *s = *state;
    uint64_t count = 0, nth;
    group_init(&s->group, s->sim, 3);
    group_settled(&s->group);
    ask_sql(&s->a, &s->group.nodes[0], COMMAND_SQL_EXECUTE, "CREATE TABLE t (n INTEGER)");
    expect_shown(&s->a, &s->group, "write 0/0");
    ask_sql(&s->a, &s->group.nodes[0], COMMAND_SQL_EXECUTE, "INSERT INTO t VALUES (0)");
    expect_shown(&s->a, &s->group, "write 1/1");

    for (unsigned i = 0; i < s->group.count; i++) {
        for (nth = s->first; count_short_of_memory(s, &s->group.nodes[i], nth, &count); nth += s->step) {
            s->tried++;
        }
    }

    printf("%" PRIu64 " allocations of writes to three nodes, %" PRIu64 " nodes stopped, %" PRIu64
           " writes done\n",
           s->tried, s->group.fatals, count);
    assert_true(s->tried > 0 && count > 0);
    assert_string_equal(s->group.failure, "");
}

/* Numbers that were written to one key. */
struct writes {
    unsigned last, acknowledged;
};

/* Writes until the log is compacted, with an allocation failing. Whether one failed. */
static bool compact_short_of_memory(struct scene *s, uint64_t nth, char *value, struct writes *w)
{
    struct group_node *node = &s->group.nodes[0];
    uint64_t compacted = status_of(node).snapshot_index;
    unsigned found;

    failing_arm(nth, s->times);
    for (unsigned i = 0; i < WRITES && !node->broken && status_of(node).snapshot_index == compacted; i++) {
        snprintf(value, 16, "%09u", ++w->last);
        value[9] = ' ';
        ask_put(&s->a, node, "key", value);
        run_short_of_memory(s, node);
        w->acknowledged = s->a.code == Q_OK && !s->a.asking ? w->last : w->acknowledged;
    }
    failing_disarm();

    restart_the_broken(s, node);
    ask_get(&s->a, node, "key");
    GROUP_UNTIL(&s->group, s->a.done == 1);
    assert_int_equal(s->a.code, Q_OK);
    if (sscanf(s->a.shown, "v%*u %u", &found) != 1) {
        fail_msg("allocation %" PRIu64 ": after %u writes \"%.20s\"", nth, w->last, s->a.shown);
    }
    assert_in_range(found, w->acknowledged, w->last);
    w->acknowledged = found;
    return failing_fired();
}
static void compaction(void **state)
{
    struct scene *s = *state;
    static char value[VALUE_BYTES + 1];
    struct writes w = {0, 0};
    uint64_t nth, compacted;
    memset(value, 'x', VALUE_BYTES);
    group_init(&s->group, s->sim, 1);
    group_settled(&s->group);
    ask_put(&s->a, &s->group.nodes[0], "key", "000000000 ");
    expect_shown(&s->a, &s->group, "put 1");

    for (nth = s->first; compact_short_of_memory(s, nth, value, &w); nth += s->step) {
        s->tried++;
    }

    compacted = status_of(&s->group.nodes[0]).snapshot_index;
    printf("%" PRIu64 " of %" PRIu64
           " allocations on the way to a compaction, %u writes, compacted up to %" PRIu64 "\n",
           s->tried, nth, w.last, compacted);
    assert_true(s->tried > 0 && compacted > 0);
    assert_string_equal(s->group.failure, "");
}

/* The consensus core does not free the entries that it is started with when it fails early. The process ends
 * then. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
    return "leak:load_entries\n";
}

int main(void)
{
    static struct way start_once = {START_STEP, 1, false},
                      start_for_good = {START_STEP, UINT64_MAX / 2, false},
                      start_on_disk = {START_STEP, 1, true}, once = {STEP, 1, false},
                      for_good = {STEP, UINT64_MAX / 2, false}, on_disk = {STEP, 1, true},
                      on_disk_for_good = {STEP, UINT64_MAX / 2, true};
    const struct CMUnitTest tests[] = {
        {"a start that runs out of memory says so and the next one is whole", start, set_up, tear_down,
         &start_once},
        {"the same, with no more memory at all", start, set_up, tear_down, &start_for_good},
        {"the same, with the database on a disk", start, set_up, tear_down, &start_on_disk},
        {"writes that run out of memory are refused or stop a node, and none is lost", writes, set_up,
         tear_down, &once},
        {"the same, with no more memory at all", writes, set_up, tear_down, &for_good},
        {"the same, with the database on a disk", writes, set_up, tear_down, &on_disk},
        {"a compaction that runs out of memory comes later or stops the node, and nothing is lost",
         compaction, set_up, tear_down, &on_disk},
        {"the same, with no more memory at all", compaction, set_up, tear_down, &on_disk_for_good},
    };
    failing_install();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
