#include "storage/state.h"

#include <stdio.h>
#include <string.h>

#include "base/plant.h"
#include "storage/build.h"
#include "storage/sql_error.h"
#include "storage/statement.h"

static const char schema[] = "CREATE TABLE quorate_state (key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
                             "CREATE TABLE quorate_kv (ns TEXT, key BLOB, version INTEGER NOT NULL,"
                             " value BLOB NOT NULL, PRIMARY KEY (ns, key)) WITHOUT ROWID;"
                             "CREATE TABLE quorate_kv_floor (ns TEXT PRIMARY KEY, version INTEGER NOT NULL)"
                             " WITHOUT ROWID;"
                             "INSERT INTO quorate_state VALUES"
                             " ('format', 1), ('index', 0), ('term', 0), ('time_ms', 0), ('digest', NULL),"
                             " ('sqlite', NULL)";

#define SAVE_BUILD_SQL "UPDATE quorate_state SET value = ?1 WHERE key = 'sqlite'"

static int count(sqlite3 *db, const char *sql, int64_t *ret_count, struct error *e)
{
    sqlite3_stmt *statement;

    if (statement_new(db, sql, &statement, e)) {
        return (int)e->code;
    }
    int rc = sqlite3_step(statement);
    int64_t n = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    if (rc != SQLITE_ROW) {
        return sql_error(db, rc, sql, e);
    }
    *ret_count = n;
    return 0;
}

static int all_or_nothing(sqlite3 *db, const char *const *sql, struct error *e)
{
    int rc = statement_once(db, "BEGIN IMMEDIATE", e);

    for (; rc == 0 && *sql != NULL; sql++) {
        rc = statement_once(db, *sql, e);
    }
    rc = rc == 0 ? statement_once(db, "COMMIT", e) : rc;
    if (rc != 0 && sqlite3_get_autocommit(db) == 0) {
        statement_once(db, "ROLLBACK", NULL);
    }
    return rc;
}

static int create(sqlite3 *db, struct error *e)
{
    int64_t tables;

    if (count(db, "SELECT count(*) FROM sqlite_schema", &tables, e)) {
        return (int)e->code;
    }
    if (tables > 0) {
        return error_set(e, Q_MISMATCH, "it has tables, but not those of a store");
    }
    return all_or_nothing(db, (const char *const[]){schema, NULL}, e);
}

/* What quorate_state says. */
struct facts {
    unsigned seen; /* one bit a known key */
    int64_t format;
    struct state state;
    struct buf digest, build;
};

enum { SEEN_FORMAT = 1, SEEN_INDEX = 2, SEEN_TERM = 4, SEEN_TIME = 8 };

static void read_fact(sqlite3_stmt *row, struct facts *f)
{
    const char *key = (const char *)sqlite3_column_text(row, 0);
    int64_t integer = sqlite3_column_int64(row, 1);
    const void *bytes = sqlite3_column_blob(row, 1);
    size_t n = (size_t)sqlite3_column_bytes(row, 1);

    if (key == NULL) {
        return;
    }
    if (strcmp(key, "format") == 0) {
        f->format = integer;
        f->seen |= SEEN_FORMAT;
    } else if (strcmp(key, "index") == 0) {
        f->state.index = (uint64_t)integer;
        f->seen |= SEEN_INDEX;
    } else if (strcmp(key, "term") == 0) {
        f->state.term = (uint64_t)integer;
        f->seen |= SEEN_TERM;
    } else if (strcmp(key, "time_ms") == 0) {
        f->state.time_ms = (uint64_t)integer;
        f->seen |= SEEN_TIME;
    } else if (strcmp(key, "digest") == 0) {
        buf_put_bytes(&f->digest, bytes, n);
    } else if (strcmp(key, "sqlite") == 0) {
        buf_put_bytes(&f->build, bytes, n);
    }
}

static int read_facts(sqlite3 *db, struct facts *f, struct error *e)
{
    sqlite3_stmt *rows;
    int rc;

    if (statement_new(db, "SELECT key, value FROM quorate_state", &rows, e)) {
        return (int)e->code;
    }
    while ((rc = sqlite3_step(rows)) == SQLITE_ROW) {
        read_fact(rows, f);
    }
    sqlite3_finalize(rows);
    if (rc != SQLITE_DONE) {
        return sql_error(db, rc, "reading quorate_state", e);
    }
    if (buf_check(&f->digest, "the saved digest", e) || buf_check(&f->build, "the recorded SQLite", e)) {
        return (int)e->code;
    }
    if ((f->seen & SEEN_FORMAT) && f->format > STATE_FORMAT && !PLANTED("newer_databases_are_opened")) {
        return error_set(e, Q_MISMATCH, "its format is %lld, this version knows up to %d",
                         (long long)f->format, STATE_FORMAT);
    }
    if (f->seen != (SEEN_FORMAT | SEEN_INDEX | SEEN_TERM | SEEN_TIME)) {
        return error_set(e, Q_CORRUPT, "quorate_state is not complete");
    }
    return 0;
}

static int saved(sqlite3_stmt *save, int rc, struct error *e)
{
    return rc == SQLITE_OK ? 0 : sql_error(sqlite3_db_handle(save), rc, "writing quorate_state", e);
}

static int check_build(sqlite3 *db, bool adopt, const struct buf *recorded, struct error *e)
{
    struct buf mine;
    sqlite3_stmt *save = NULL;

    buf_init(&mine, BUILD_TEXT_MAX);
    build_put(&mine);
    int rc = buf_check(&mine, "the text about SQLite", e);
    if (rc == 0 && recorded->len > 0 && !adopt && !PLANTED("any_sqlite_opens_the_database")) {
        rc = build_compare(cursor_of(recorded->data, recorded->len), cursor_of(mine.data, mine.len), e);
        goto out;
    }
    rc = rc == 0 ? statement_new(db, SAVE_BUILD_SQL, &save, e) : rc;
    if (rc == 0) {
        sqlite3_bind_text64(save, 1, (const char *)mine.data, mine.len, SQLITE_STATIC, SQLITE_UTF8);
        rc = saved(save, statement_run(save), e);
    }
out:
    sqlite3_finalize(save);
    buf_close(&mine);
    return rc;
}

int state_open(sqlite3 *db, bool adopt, struct state *ret_state, struct buf *ret_digest, struct error *e)
{
    struct facts facts = {0};
    int64_t mine;
    int rc = count(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'quorate_state'", &mine, e);

    buf_init(&facts.digest, SIZE_MAX);
    buf_init(&facts.build, BUILD_TEXT_MAX);
    if (rc == 0 && mine == 0) {
        rc = create(db, e);
    }
    rc = rc == 0 ? read_facts(db, &facts, e) : rc;
    rc = rc == 0 ? check_build(db, adopt, &facts.build, e) : rc;
    if (rc == 0) {
        buf_put_bytes(ret_digest, facts.digest.data, facts.digest.len);
        rc = buf_check(ret_digest, "the saved digest", e);
    }
    if (rc == 0) {
        *ret_state = facts.state;
    }
    buf_close(&facts.digest);
    buf_close(&facts.build);
    return rc;
}

int state_adopt(sqlite3 *db, uint64_t index, uint64_t term, struct error *e)
{
    struct facts facts = {0};
    int64_t mine;
    char raise[400];

    if (count(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'quorate_state'", &mine, e)) {
        return (int)e->code;
    }
    buf_init(&facts.digest, SIZE_MAX);
    buf_init(&facts.build, BUILD_TEXT_MAX);
    int rc = mine > 0 ? read_facts(db, &facts, e) : 0;
    buf_close(&facts.digest);
    buf_close(&facts.build);
    if (rc != 0) {
        return rc;
    }
    snprintf(raise, sizeof raise,
             "DROP TABLE IF EXISTS quorate_members;"
             "UPDATE quorate_state SET value = max(value, CASE key WHEN 'index' THEN %llu ELSE %llu END)"
             " WHERE key IN ('index', 'term');"
             "UPDATE quorate_state SET value = NULL WHERE key IN ('digest', 'sqlite')",
             (unsigned long long)index, (unsigned long long)term);
    return all_or_nothing(
        db, (const char *const[]){mine == 0 ? schema : raise, mine == 0 ? raise : NULL, NULL}, e);
}

int state_save(sqlite3_stmt *save, const struct state *state, const struct buf *digest, struct error *e)
{
    struct cursor bytes = cursor_of(digest->data, digest->len);

    sqlite3_bind_int64(save, 1, (int64_t)state->index);
    sqlite3_bind_int64(save, 2, (int64_t)state->term);
    sqlite3_bind_int64(save, 3, (int64_t)state->time_ms);
    int rc = statement_bind_blob(save, 4, &bytes);
    return saved(save, rc == SQLITE_OK ? statement_run(save) : rc, e);
}
