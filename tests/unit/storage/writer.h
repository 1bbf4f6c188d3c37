/* writer: a connection made deterministic, for tests, and helpers that run SQL as a client would. */
#ifndef QUORATE_TESTS_WRITER_H
#define QUORATE_TESTS_WRITER_H

#include "storage/determinism.h"
#include "tests/unit/test.h"

struct writer {
    struct determinism *d;
    sqlite3 *db;
    char answer[2000]; /* of the last query: rows separated by '\n', columns by '|' */
};

static inline void writer_open(struct writer *w, const char *path)
{
    struct error e;

    if (determinism_new(NULL, &w->d, &e) != Q_OK) {
        fail_msg("%s", e.text);
    }
    assert_int_equal(
        sqlite3_open_v2(path, &w->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, determinism_vfs(w->d)),
        SQLITE_OK);
    if (determinism_attach(w->d, w->db, &e) != Q_OK) {
        fail_msg("%s", e.text);
    }
}

static inline void writer_close(struct writer *w)
{
    determinism_detach(w->d);
    assert_int_equal(sqlite3_close(w->db), SQLITE_OK);
    determinism_free(w->d);
}

/* A statement of the store's own. */
static inline void writer_own(struct writer *w, const char *sql)
{
    int rc;

    determinism_trust(w->d, true);
    rc = sqlite3_exec(w->db, sql, NULL, NULL, NULL);
    determinism_trust(w->d, false);
    if (rc != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(w->db));
    }
}

/* Opens an entry's transaction and begins a command. */
static inline void writer_begin(struct writer *w, uint64_t time_ms, uint8_t seed, uint32_t position)
{
    uint8_t bytes[16] = {seed};
    struct error e;

    if (sqlite3_get_autocommit(w->db)) {
        assert_int_equal(determinism_refresh(w->d, &e), Q_OK);
        writer_own(w, "BEGIN IMMEDIATE");
    }
    if (determinism_begin(w->d, time_ms, bytes, position, &e) != Q_OK) {
        fail_msg("%s", e.text);
    }
}

static inline int sql_try(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s;
    int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

    while (rc == SQLITE_OK || rc == SQLITE_ROW) {
        rc = sqlite3_step(s);
    }
    sqlite3_finalize(s);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static inline void sql_run(sqlite3 *db, const char *sql)
{
    if (sql_try(db, sql) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
}

/* The answer as text, in P. */
static inline const char *sql_ask(sqlite3 *db, const char *sql, char *p, size_t n)
{
    sqlite3_stmt *s;
    size_t used = 0;
    int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

    p[0] = '\0';
    while ((rc == SQLITE_OK || rc == SQLITE_ROW) && (rc = sqlite3_step(s)) == SQLITE_ROW) {
        for (int i = 0; i < sqlite3_column_count(s) && used < n; i++) {
            const char *text = (const char *)sqlite3_column_text(s, i);
            used += (size_t)snprintf(p + used, n - used, "%s%s",
                                     i > 0      ? "|"
                                     : used > 0 ? "\n"
                                                : "",
                                     text != NULL ? text : "NULL");
        }
    }
    if (rc != SQLITE_DONE) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
    sqlite3_finalize(s);
    return p;
}

static inline void writer_run(struct writer *w, const char *sql)
{
    sql_run(w->db, sql);
}

static inline const char *writer_ask(struct writer *w, const char *sql)
{
    return sql_ask(w->db, sql, w->answer, sizeof w->answer);
}

/* 2024-02-29 12:34:56.789 UTC, in ms of Unix time. */
#define NOON UINT64_C(1709210096789)

/* A test whose state is a struct writer of its own, in a command. */
#define WRITER_TEST(name) cmocka_unit_test_setup_teardown(name, writer_setup, writer_teardown)

static inline int writer_setup(void **state)
{
    static struct writer w;

    writer_open(&w, ":memory:");
    writer_begin(&w, NOON, 1, 0);
    *state = &w;
    return 0;
}

static inline int writer_teardown(void **state)
{
    writer_close(*state);
    return 0;
}

#endif
