/* nasty: a database with everything that is hard to copy. */
#ifndef QUORATE_TEST_NASTY_H
#define QUORATE_TEST_NASTY_H

#include <sqlite3.h>

#include "tests/unit/test.h"

static const char nasty_sql[] =
    "CREATE TABLE plain (id INTEGER PRIMARY KEY, t TEXT, r REAL, b BLOB);"
    "INSERT INTO plain VALUES (1, 'it''s', 0.1, x'00ff'), (5, 'two' || char(10) || 'lines', 1e999, NULL),"
    " (-7, char(13, 10, 9, 0) || 'after a zero', -1e999, zeroblob(5)), (9, '', -0.0, x''),"
    " (10, CAST(x'ff80' AS TEXT), 1e300, 'text in a blob'), (11, 9223372036854775807, 3.0, "
    "-9223372036854775808);"
    "CREATE TABLE untyped (a, b);"
    "INSERT INTO untyped (rowid, a, b) VALUES (3, 1.0, 1), (4, 'x', 2), (100, 1e15, '1'), (-5, NULL, 1e-300);"
    "CREATE TABLE \"we ird\"\"na,me\" (\"a b\" INT, \"sel\"\"ect\" TEXT, 'q' BLOB);"
    "INSERT INTO \"we ird\"\"na,me\" VALUES (1, '\"', x'22');"
    "CREATE TABLE hides (rowid TEXT, _rowid_ TEXT, oid TEXT);"
    "INSERT INTO hides VALUES ('a', 'b', 'c'), ('d', 'e', 'f');"
    "CREATE TABLE partly (rowid TEXT, x);"
    "INSERT INTO partly (_rowid_, rowid, x) VALUES (42, 'not it', 1);"
    "CREATE TABLE made (a INT, v AS (a + 1), s AS (a * 2) STORED, z TEXT DEFAULT 'z');"
    "INSERT INTO made (a) VALUES (1), (2); INSERT INTO made (a, z) VALUES (3, NULL);"
    "CREATE TABLE keyed (k TEXT, n INT, v, PRIMARY KEY (n DESC, k)) WITHOUT ROWID;"
    "INSERT INTO keyed VALUES ('b', 1, 1), ('a', 1, 2), ('a', 2, 3);"
    "CREATE TABLE described (id INTEGER PRIMARY KEY DESC, x UNIQUE);"
    "INSERT INTO described VALUES (2, 'b'), (1, 'a');"
    "CREATE TABLE counted (id INTEGER PRIMARY KEY AUTOINCREMENT, x);"
    "INSERT INTO counted VALUES (1000, 'x'), (1, 'y'); DELETE FROM counted WHERE id = 1000;"
    "CREATE TABLE strict_one (a INT NOT NULL, b ANY, c TEXT CHECK (strict_one.c <> '')) STRICT;"
    "INSERT INTO strict_one VALUES (1, x'01', 'c');"
    "CREATE TABLE child (p REFERENCES parent (id) ON DELETE CASCADE);"
    "CREATE TABLE parent (id INTEGER PRIMARY KEY);"
    "INSERT INTO parent VALUES (1); INSERT INTO child VALUES (1), (NULL);"
    "CREATE TABLE empty_one (x);"
    "CREATE VIRTUAL TABLE words USING fts5 (body, extra UNINDEXED);"
    "INSERT INTO words VALUES ('the quick brown fox', 1), ('jumps over', 2);"
    "CREATE VIRTUAL TABLE boxes USING rtree (id, x0, x1);"
    "INSERT INTO boxes VALUES (1, 0, 10), (2, 5, 7);"
    "CREATE VIEW seen AS SELECT id, t FROM plain WHERE id > 0;"
    "CREATE INDEX by_t ON plain (t COLLATE NOCASE) WHERE t IS NOT NULL;"
    "CREATE INDEX by_expression ON untyped (typeof(a), b DESC);"
    "CREATE TABLE log (what);"
    "CREATE TRIGGER told AFTER INSERT ON plain BEGIN INSERT INTO log VALUES ('plain ' || new.id); SELECT 1; "
    "END;"
    "CREATE TRIGGER instead INSTEAD OF INSERT ON seen BEGIN INSERT INTO log VALUES ('seen'); END;";

/* What is the same in a true copy: values with their types and rowids, the schema, what search finds. */
static const char *const nasty_queries[] = {
    "SELECT type, name, tbl_name, sql FROM sqlite_schema WHERE name NOT LIKE 'quorate%' AND name NOT LIKE"
    " 'sqlite_stat%' ORDER BY name",
    "SELECT id, typeof(t), hex(t), typeof(r), quote(r), typeof(b), hex(b) FROM plain",
    "SELECT rowid, typeof(a), quote(a), typeof(b), quote(b) FROM untyped",
    "SELECT rowid, * FROM \"we ird\"\"na,me\"",
    "SELECT * FROM hides",
    "SELECT _rowid_, rowid, x FROM partly",
    "SELECT rowid, a, v, s, quote(z) FROM made",
    "SELECT * FROM keyed",
    "SELECT rowid, * FROM described",
    "SELECT * FROM counted",
    "SELECT * FROM sqlite_sequence",
    "SELECT rowid, a, quote(b), c FROM strict_one",
    "SELECT rowid, quote(p) FROM child",
    "SELECT count(*) FROM empty_one",
    "SELECT rowid, * FROM words WHERE words MATCH 'quick OR jumps' ORDER BY rowid",
    "SELECT id FROM boxes WHERE x0 < 6 AND x1 > 6 ORDER BY id",
    "SELECT id, hex(t) FROM seen",
    "SELECT * FROM log",
};

static void nasty_run(sqlite3 *db, const char *sql)
{
    char *why = NULL;

    if (sqlite3_exec(db, sql, NULL, NULL, &why) != SQLITE_OK) {
        fail_msg("%s", why);
    }
}

/* Fails unless both answer all queries alike. */
static void nasty_same(sqlite3 *a, sqlite3 *b)
{
    for (size_t i = 0; i < sizeof nasty_queries / sizeof nasty_queries[0]; i++) {
        sqlite3_stmt *x, *y;
        int rx, ry;

        assert_int_equal(sqlite3_prepare_v2(a, nasty_queries[i], -1, &x, NULL), SQLITE_OK);
        if (sqlite3_prepare_v2(b, nasty_queries[i], -1, &y, NULL) != SQLITE_OK) {
            fail_msg("%s: %s", nasty_queries[i], sqlite3_errmsg(b));
        }
        do {
            rx = sqlite3_step(x);
            ry = sqlite3_step(y);
            for (int c = 0; rx == SQLITE_ROW && ry == SQLITE_ROW && c < sqlite3_column_count(x); c++) {
                const char *u = (const char *)sqlite3_column_text(x, c),
                           *v = (const char *)sqlite3_column_text(y, c);
                if (strcmp(u != NULL ? u : "-", v != NULL ? v : "-") != 0) {
                    fail_msg("%s: %s and %s", nasty_queries[i], u, v);
                }
            }
        } while (rx == ry && rx == SQLITE_ROW);
        if (rx != ry) {
            fail_msg("%s: not as many rows (%d, %d)", nasty_queries[i], rx, ry);
        }
        sqlite3_finalize(x);
        sqlite3_finalize(y);
    }
}

#endif
