/* Random statements from a seed, over tables of every shape that the digest treats apart: what it adds up on
 * the way must be what a full scan finds, and the same content reached in other ways must have the same
 * digest. */
#include "base/rng.h"
#include "storage/digest.h"
#include "tests/unit/storage/hashed.h"

enum { SEEDS = 6, STATEMENTS = 600, CHECK_EVERY = 20 };

static const char *const schema[] = {
    "CREATE TABLE plain(a, b TEXT, c REAL)",
    "CREATE TABLE ipk(a INTEGER PRIMARY KEY, b UNIQUE, c DEFAULT 5)",
    "CREATE TABLE auto(a INTEGER PRIMARY KEY AUTOINCREMENT, b, c INT)",
    "CREATE TABLE keyed(a TEXT PRIMARY KEY, b, c DEFAULT 'x') WITHOUT ROWID",
    "CREATE TABLE made(v AS (b || '!') VIRTUAL, a INTEGER PRIMARY KEY, b, s AS (b || '?') STORED, c)",
    "CREATE TABLE seen(a, b, c)",
    "CREATE TRIGGER t1 AFTER INSERT ON plain BEGIN INSERT INTO seen VALUES(new.a, 'i', new.c); END",
    "CREATE TRIGGER t2 AFTER DELETE ON ipk BEGIN DELETE FROM plain WHERE a = old.a; END",
    "CREATE TRIGGER t3 BEFORE UPDATE ON made WHEN new.c > 50 BEGIN UPDATE seen SET c = c + 1 WHERE a = "
    "old.a; END",
    "CREATE VIRTUAL TABLE words USING fts5(a, b, c)",
    "CREATE INDEX i1 ON plain(b, c)",
    "CREATE INDEX i2 ON made(v)",
};

static const char *const tables[] = {"plain", "ipk", "auto", "keyed", "made", "seen", "words"};

enum { TABLES = sizeof tables / sizeof tables[0] };

static const char *value(struct rng *r, char *p, size_t n)
{
    switch (rng_between(r, 0, 9)) {
    case 0: return "NULL";
    case 1: snprintf(p, n, "%d.0", (int)rng_between(r, 0, 60)); break;
    case 2: snprintf(p, n, "%d.25", (int)rng_between(r, 0, 60)); break;
    case 3: snprintf(p, n, "'text %d'", (int)rng_between(r, 0, 60)); break;
    case 4: snprintf(p, n, "x'%02x%02x'", (int)rng_between(r, 0, 255), (int)rng_between(r, 0, 255)); break;
    case 5: return "-0.0";
    case 6: return "9007199254740993";
    default: snprintf(p, n, "%d", (int)rng_between(r, 0, 60)); break;
    }
    return p;
}

static const char *pick(struct rng *r)
{
    return tables[rng_between(r, 0, TABLES - 1)];
}

/* One statement; many fail, which is fine. */
static void statement(struct rng *r, char *sql, size_t n)
{
    static const char *const verbs[] = {"INSERT", "INSERT OR IGNORE", "REPLACE", "INSERT OR FAIL"};
    const char *t = pick(r);
    char a[40], b[40], c[40], d[40];
    const char *va = value(r, a, sizeof a), *vb = value(r, b, sizeof b), *vc = value(r, c, sizeof c),
               *vd = value(r, d, sizeof d);
    int number = (int)rng_between(r, 0, 60);

    switch (rng_between(r, 0, 19)) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
        snprintf(sql, n, "%s INTO %s(a, b, c) VALUES(%s, %s, %s), (%d, %s, %s)", verbs[rng_between(r, 0, 3)],
                 t, va, vb, vc, number, vd, va);
        break;
    case 6:
    case 7: snprintf(sql, n, "INSERT INTO %s(b) VALUES(%s)", t, vb); break;
    case 8:
    case 9: snprintf(sql, n, "UPDATE %s SET b = %s, c = %s WHERE a = %d", t, vb, vc, number); break;
    case 10: snprintf(sql, n, "UPDATE OR REPLACE %s SET b = %s WHERE a > %d", t, vb, number); break;
    case 11: snprintf(sql, n, "UPDATE OR IGNORE %s SET a = a + %d WHERE a < %d", t, number, number); break;
    case 12: snprintf(sql, n, "DELETE FROM %s WHERE a = %d", t, number); break;
    case 13: snprintf(sql, n, "DELETE FROM %s WHERE b IS %s", t, vb); break;
    case 14:
        snprintf(sql, n, "INSERT OR IGNORE INTO %s(a, b, c) SELECT a, c, b FROM %s LIMIT 7", t, pick(r));
        break;
    case 15:
        snprintf(sql, n,
                 "INSERT INTO ipk VALUES(%d, %s, %s) ON CONFLICT DO UPDATE SET c = excluded.c, b = %s",
                 number, vb, vc, vd);
        break;
    case 16:
        if (number < 5) {
            snprintf(sql, n, "DELETE FROM %s", t);
        } else {
            snprintf(sql, n, "UPDATE %s SET rowid = rowid + 1000 WHERE a = %d", t, number);
        }
        break;
    case 17:
        snprintf(sql, n,
                 number < 20 ? "ALTER TABLE %s ADD COLUMN x%d DEFAULT %s"
                             : "ALTER TABLE %s DROP COLUMN x%d%.0s",
                 t, number % 4, vb);
        break;
    case 18:
        snprintf(sql, n,
                 number < 10 ? "DROP TABLE IF EXISTS copy"
                             : "CREATE TABLE IF NOT EXISTS copy AS SELECT * FROM %s",
                 t);
        break;
    default: snprintf(sql, n, "UPDATE sqlite_sequence SET seq = %d", number); break;
    }
}

static void sql(struct hashed *h, const char *text)
{
    assert_int_equal(sqlite3_exec(h->db, text, NULL, NULL, NULL), SQLITE_OK);
}

/* What the store does with a statement, under a savepoint that is given up one time in eight. */
static void step(struct hashed *h, struct rng *r, const char *text)
{
    struct error e;
    int rc;

    sql(h, "SAVEPOINT s");
    assert_int_equal(digest_savepoint(h->digest, &e), Q_OK);
    rc = sqlite3_exec(h->db, text, NULL, NULL, NULL);
    if (rc == SQLITE_OK && digest_follow(h->digest, &e) != Q_OK) {
        fail_msg("%s: %s", text, e.text);
    }
    if (rc != SQLITE_OK || rng_between(r, 0, 7) == 0) {
        sql(h, "ROLLBACK TO s");
        digest_rollback(h->digest);
    }
    sql(h, "RELEASE s");
    digest_release(h->digest);
}

static void wander(struct hashed *h, struct rng *r, int statements)
{
    char text[500];
    struct error e;
    unsigned depth = 0;

    for (int i = 0; i < statements; i++) {
        uint64_t dice = rng_between(r, 0, 30);
        if (dice == 0 && depth < 4) {
            sql(h, "SAVEPOINT deep");
            assert_int_equal(digest_savepoint(h->digest, &e), Q_OK);
            depth++;
        } else if (dice == 1 && depth > 0) {
            sql(h, "RELEASE deep");
            digest_release(h->digest);
            depth--;
        } else if (dice == 2 && depth > 0) {
            sql(h, "ROLLBACK TO deep");
            digest_rollback(h->digest);
        }
        statement(r, text, sizeof text);
        step(h, r, text);
        if (i % CHECK_EVERY == 0) {
            hashed_check(h, text);
        }
    }
    for (; depth > 0; depth--) {
        sql(h, "RELEASE deep");
        digest_release(h->digest);
    }
    hashed_check(h, "the last statement");
}

static void open_with_schema(struct hashed *h)
{
    hashed_open(h);
    for (size_t i = 0; i < sizeof schema / sizeof schema[0]; i++) {
        hashed_run(h, schema[i]);
    }
}

static void what_is_added_up_is_what_a_scan_finds(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct hashed h;
        struct rng r;
        sqlite3 *copy;
        sqlite3_backup *backup;
        struct error e;

        rng_init(&r, seed);
        open_with_schema(&h);
        wander(&h, &r, STATEMENTS);

        /* Another connection to the same content agrees. */
        assert_int_equal(sqlite3_open(":memory:", &copy), SQLITE_OK);
        backup = sqlite3_backup_init(copy, "main", h.db, "main");
        assert_int_equal(sqlite3_backup_step(backup, -1), SQLITE_DONE);
        sqlite3_backup_finish(backup);
        if (digest_verify(h.digest, copy, &e) != Q_OK) {
            fail_msg("seed %llu: %s", (unsigned long long)seed, e.text);
        }
        sqlite3_close(copy);
        hashed_close(&h);
    }
}

/* All rows of TABLE, last first, after a detour. */
static void copy_backwards(struct hashed *from, struct hashed *to, const char *table, bool keyed)
{
    char text[500];
    sqlite3_stmt *rows, *insert;

    snprintf(text, sizeof text, "INSERT INTO %s(a, b, c) VALUES('detour', 1, 2)", table);
    hashed_run(to, text);
    snprintf(text, sizeof text, "SELECT a, b, c, %s FROM %s ORDER BY 4 DESC", keyed ? "a" : "rowid", table);
    assert_int_equal(sqlite3_prepare_v2(from->db, text, -1, &rows, NULL), SQLITE_OK);
    snprintf(text, sizeof text, "REPLACE INTO %s(a, b, c, %s) VALUES(?1, ?2, ?3, ?4)", table,
             keyed ? "a" : "rowid");
    assert_int_equal(sqlite3_prepare_v2(to->db, text, -1, &insert, NULL), SQLITE_OK);
    while (sqlite3_step(rows) == SQLITE_ROW) {
        for (int column = 0; column < 4; column++) {
            sqlite3_bind_value(insert, column + 1, sqlite3_column_value(rows, column));
        }
        assert_int_equal(sqlite3_step(insert), SQLITE_DONE);
        sqlite3_reset(insert);
    }
    sqlite3_finalize(insert);
    sqlite3_finalize(rows);
    snprintf(text, sizeof text, "DELETE FROM %s WHERE a = 'detour'", table);
    hashed_run(to, text);
}

static void equal_content_has_an_equal_digest_whatever_the_history(void **state)
{
    static const char *const copied[] = {"plain", "keyed", "seen"};

    (void)state;
    for (uint64_t seed = 100; seed < 100 + SEEDS; seed++) {
        struct hashed long_way, short_way;
        struct rng r;
        uint8_t a[DIGEST_BYTES], b[DIGEST_BYTES];

        rng_init(&r, seed);
        hashed_open(&long_way);
        hashed_open(&short_way);
        hashed_run(&long_way, schema[0]);
        hashed_run(&long_way, schema[3]);
        hashed_run(&long_way, schema[5]);
        hashed_run(&short_way, schema[5]);
        hashed_run(&short_way, schema[3]);
        hashed_run(&short_way, schema[0]);
        for (int i = 0; i < STATEMENTS / 2; i++) {
            char text[500];
            do {
                statement(&r, text, sizeof text);
            } while (strstr(text, "ALTER") != NULL || strstr(text, "copy") != NULL);
            step(&long_way, &r, text);
        }
        for (size_t i = 0; i < 3; i++) {
            copy_backwards(&long_way, &short_way, copied[i], strcmp(copied[i], "keyed") == 0);
        }

        hashed_value(&long_way, a);
        hashed_value(&short_way, b);
        assert_memory_equal(a, b, DIGEST_BYTES);
        hashed_close(&long_way);
        hashed_close(&short_way);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_added_up_is_what_a_scan_finds),
        cmocka_unit_test(equal_content_has_an_equal_digest_whatever_the_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
