/* Two nodes apply the same random entries. One keeps a file, restarts and makes checkpoints when it likes;
 * the other lives in memory without a break. Whatever the commands do, results, position and digest are the
 * same. */
#include "base/rng.h"
#include "tests/unit/storage/kit.h"

static const char *const schema[] = {
    "CREATE TABLE IF NOT EXISTS t (id INTEGER PRIMARY KEY, a UNIQUE, b DEFAULT CURRENT_TIMESTAMP)",
    "CREATE TABLE IF NOT EXISTS w (k TEXT PRIMARY KEY ON CONFLICT ROLLBACK, v REAL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS s (id INTEGER PRIMARY KEY AUTOINCREMENT, x)",
    "CREATE TABLE IF NOT EXISTS c (p REFERENCES t (id) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED)",
    "CREATE VIRTUAL TABLE IF NOT EXISTS f USING fts5(words)",
    "CREATE VIRTUAL TABLE IF NOT EXISTS r USING rtree(id, low, high)",
    "CREATE TABLE IF NOT EXISTS g (a INTEGER, d AS (a * 2), e AS (a || 'e') STORED, UNIQUE (a))",
    "CREATE VIEW IF NOT EXISTS v AS SELECT a, d FROM g",
    "CREATE TRIGGER IF NOT EXISTS into_v INSTEAD OF INSERT ON v BEGIN INSERT INTO g (a) VALUES (NEW.a); END",
    "CREATE INDEX IF NOT EXISTS i ON t (b)",
    "CREATE TRIGGER IF NOT EXISTS guard AFTER UPDATE ON t WHEN NEW.a % 7 = 0"
    " BEGIN INSERT INTO s (x) VALUES (NEW.a); SELECT RAISE(ROLLBACK, 'seven'); END",
    "CREATE TRIGGER IF NOT EXISTS copy AFTER INSERT ON t BEGIN INSERT INTO f VALUES ('row ' || NEW.id); END",
};

static const char *const statements[] = {
    "INSERT INTO t (a) VALUES (random() % 20)",
    "INSERT OR REPLACE INTO t (id, a) VALUES (abs(random()) % 10, random() % 20)",
    "INSERT OR FAIL INTO t (a) VALUES (random() % 20), (random() % 20), (3)",
    "INSERT OR ROLLBACK INTO t (a) VALUES (random() % 20), (4)",
    "INSERT OR IGNORE INTO t (a) SELECT x FROM s",
    "UPDATE t SET a = a + 1 WHERE id % 3 = 0",
    "UPDATE t SET a = abs(random()) % 100 WHERE id = (SELECT min(id) FROM t)",
    "DELETE FROM t WHERE id = (SELECT max(id) FROM t) RETURNING *",
    "DELETE FROM t",
    "INSERT INTO w VALUES (hex(randomblob(1)), random() / 3.0)",
    "UPDATE w SET v = v * 2, k = k || 'x' WHERE k < '4'",
    "INSERT INTO s (x) VALUES (datetime('now')), (randomblob(4))",
    "DELETE FROM s WHERE id < 5",
    "INSERT INTO c SELECT id FROM t LIMIT 2",
    "INSERT INTO c VALUES (abs(random()) % 20)",
    "INSERT INTO f VALUES ('words ' || random())",
    "DELETE FROM f WHERE rowid % 2 = 0",
    "SELECT count(*), total(v) FROM w",
    "SELECT id, a FROM t ORDER BY random()",
    "SELECT rowid FROM f WHERE f MATCH 'row OR words'",
    "ALTER TABLE t ADD COLUMN more DEFAULT 7",
    "ALTER TABLE t DROP COLUMN more",
    "DROP TABLE IF EXISTS w",
    "DROP TABLE IF EXISTS f",
    "DROP INDEX IF EXISTS i",
    "INSERT INTO f (f) VALUES ('rebuild')",
    "INSERT INTO f (f) VALUES ('optimize')",
    "INSERT INTO f (f, rank) VALUES ('integrity-check', 1)",
    "ALTER TABLE f RENAME TO f2",
    "ALTER TABLE f2 RENAME TO f",
    "INSERT INTO r VALUES (abs(random()) % 50, random() % 10, 11)",
    "INSERT OR ROLLBACK INTO r VALUES (abs(random()) % 50, 5, random() % 10)",
    "UPDATE r SET high = high + 1 WHERE id % 2 = 1",
    "DELETE FROM r WHERE low < 0",
    "DROP TABLE IF EXISTS r",
    "INSERT INTO v (a) VALUES (abs(random()) % 50)",
    "INSERT INTO g (a) VALUES (1), (2) ON CONFLICT (a) DO UPDATE SET a = a + 100 RETURNING d, e",
    "UPDATE OR REPLACE g SET a = a % 5",
    "WITH RECURSIVE n (x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n WHERE x < 50)"
    " INSERT INTO s (x) SELECT x FROM n",
    "CREATE VIRTUAL TABLE f USING fts5(words); INSERT INTO f VALUES ('made'); nonsense",
    "ANALYZE",
    "REINDEX",
    "CREATE TABLE made AS SELECT * FROM t",
    "DROP TABLE made",
    "nonsense",
    "SELECT * FROM nowhere",
    "BEGIN",
    "PRAGMA user_version = 3",
    "INSERT INTO s (x) VALUES (1); INSERT INTO t (a) VALUES (1); INSERT INTO t (a) VALUES (1)",
    "-- nothing",
    "",
};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static const char *pick(struct rng *r)
{
    if (rng_between(r, 0, 3) == 0) {
        return schema[rng_between(r, 0, COUNT(schema) - 1)];
    }
    return statements[rng_between(r, 0, COUNT(statements) - 1)];
}

static void add_sql(struct kit *a, struct kit *b, struct rng *r)
{
    const enum command_op ops[] = {COMMAND_SQL_EXECUTE, COMMAND_SQL_REQUEST, COMMAND_SQL_QUERY};
    enum command_op op = ops[rng_between(r, 0, 2)];
    unsigned flags = rng_between(r, 0, 2) == 0 ? COMMAND_TRANSACTION : 0;
    const char *first = pick(r), *second = NULL, *third = NULL;

    if (rng_between(r, 0, 1)) {
        second = pick(r);
        third = rng_between(r, 0, 1) ? pick(r) : NULL;
    }
    kit_add_sql(a, op, flags, first, second, third, NULL);
    kit_add_sql(b, op, flags, first, second, third, NULL);
}

static void add_kv(struct kit *a, struct kit *b, struct rng *r)
{
    char key[2] = {(char)('a' + rng_between(r, 0, 3)), '\0'};
    enum kv_condition condition = (enum kv_condition)rng_between(r, 0, 3);
    uint64_t version = condition == KV_IF_VERSION ? rng_between(r, 0, 5) : 0;

    if (rng_between(r, 0, 2) > 0) {
        kit_add_put(a, "ns", key, "value", condition, version);
        kit_add_put(b, "ns", key, "value", condition, version);
    } else {
        kit_add_delete(a, "ns", key, condition, version);
        kit_add_delete(b, "ns", key, condition, version);
    }
}

static void check_equal(struct kit *a, struct kit *b, uint64_t seed, unsigned step)
{
    struct store_position of_a, of_b;
    struct error e;

    kit_position(a, &of_a);
    kit_position(b, &of_b);
    if (memcmp(&of_a, &of_b, sizeof of_a) != 0 || a->results.len != b->results.len ||
        memcmp(a->results.data, b->results.data, a->results.len) != 0) {
        fail_msg("seed %llu, entry %u: the two nodes differ", (unsigned long long)seed, step);
    }
    if (store_verify(a->s, &e) || store_verify(b->s, &e)) {
        fail_msg("seed %llu, entry %u: %s", (unsigned long long)seed, step, e.text);
    }
}

static void run_seed(uint64_t seed)
{
    struct rng r;
    struct kit a, b;
    uint64_t index;
    struct error e;

    rng_init(&r, seed);
    kit_open_file(&a);
    kit_open_memory(&b);
    if (seed % 2) {
        a.config.foreign_keys = b.config.foreign_keys = true;
        kit_reopen(&a);
        kit_reopen(&b);
    }
    for (unsigned step = 0; step < 40; step++) {
        unsigned commands = (unsigned)rng_between(&r, 1, 8);

        for (unsigned i = 0; i < commands; i++) {
            if (rng_between(&r, 0, 3) == 0) {
                add_kv(&a, &b, &r);
            } else {
                add_sql(&a, &b, &r);
            }
        }
        a.seed = b.seed = (uint8_t)rng_between(&r, 0, 255);
        kit_apply(&a);
        kit_apply(&b);
        check_equal(&a, &b, seed, step);
        if (rng_between(&r, 0, 9) == 0) {
            kit_reopen(&a);
        }
        if (rng_between(&r, 0, 9) == 0) {
            assert_int_equal(store_checkpoint(a.s, &index, &e), 0);
        }
    }
    kit_close(&a);
    kit_close(&b);
}

static void two_nodes_stay_the_same_whatever_the_entries_and_restarts(void **state)
{
    const uint64_t *first = *state;

    for (uint64_t seed = *first; seed < *first + 5; seed++) {
        run_seed(seed);
    }
}

/* With a number: starts at that seed. */
int main(int argc, char **argv)
{
    uint64_t first = argc > 1 ? strtoull(argv[1], NULL, 10) : 1;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(two_nodes_stay_the_same_whatever_the_entries_and_restarts, &first),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
