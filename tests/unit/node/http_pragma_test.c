#include "node/http/pragma.h"

#include "tests/unit/test.h"

static void check(const char *sql, bool expected)
{
    /* Exactly as long as it is: what reads past the end is found out. */
    size_t n = strlen(sql);
    char *exact = malloc(n > 0 ? n : 1);
    memcpy(exact, sql, n);
    bool found = pragma_disallowed(exact, n);
    free(exact);
    if (found != expected) {
        fail_msg("%s: %s", found ? "disallowed" : "passes", sql);
    }
}

static void breaking_pragmas_are_found_however_they_are_written(void **state)
{
    static const char *const cases[] = {
        "PRAGMA journal_mode=DELETE",
        "pragma Journal_Mode = wal",
        "PRAGMA journal_mode(delete)",
        "PRAGMA main.journal_mode=off",
        "PRAGMA \"main\" . [journal_mode] = off",
        "PRAGMA `journal_mode`=off",
        "PRAGMA 'journal_mode'=off",
        "PRAGMA/**/journal_mode/* = */=off",
        "-- a comment\nPRAGMA -- another\n journal_mode\n=\noff",
        "  \t\n PRAGMA synchronous=0",
        "PRAGMA query_only = 1",
        "PRAGMA wal_autocheckpoint = 1",
        "PRAGMA wal_autocheckpoint(0)",
        "PRAGMA wal_checkpoint",
        "PRAGMA main.wal_checkpoint(TRUNCATE)",
        "SELECT 1; PRAGMA wal_checkpoint",
        ";;PRAGMA wal_checkpoint",
        "PRAGMA user_version;PRAGMA wal_checkpoint",
        "PRAGMA ;PRAGMA wal_checkpoint",
        "PRAGMA user_version = 1;PRAGMA journal_mode=off",
        "INSERT INTO t VALUES (';');PRAGMA journal_mode=off",
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(cases[i], true);
    }
}

static void all_else_passes(void **state)
{
    static const char *const cases[] = {
        "",
        "PRAGMA",
        "PRAGMA ;",
        "PRAGMA main.",
        "PRAGMA journal_mode",
        "PRAGMA main.journal_mode;",
        "PRAGMA synchronous",
        "PRAGMA query_only -- = 1",
        "PRAGMA wal_autocheckpoint /* (1) */",
        "PRAGMA table_info(wal_checkpoint)",
        "PRAGMA journal_mode.table_info(t)",
        "PRAGMA journal_modes = 1",
        "PRAGMA journal_size_limit = 1",
        "SELECT 'PRAGMA wal_checkpoint'",
        "SELECT '; PRAGMA wal_checkpoint'",
        "SELECT 'it''s; PRAGMA wal_checkpoint'",
        "SELECT \"; PRAGMA wal_checkpoint\" FROM t",
        "SELECT 1 -- ; PRAGMA wal_checkpoint",
        "SELECT 1 /* ; PRAGMA wal_checkpoint */",
        "/* PRAGMA wal_checkpoint",
        "SELECT '; PRAGMA wal_checkpoint",
        "SELECT pragma, wal_checkpoint FROM t",
        "INSERT INTO pragma VALUES (1)",
    };
    (void)state;
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        check(cases[i], false);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(breaking_pragmas_are_found_however_they_are_written),
        cmocka_unit_test(all_else_passes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
