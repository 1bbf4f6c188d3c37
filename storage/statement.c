#include "storage/statement.h"

#include "storage/sql_error.h"

int statement_new(sqlite3 *db, const char *sql, sqlite3_stmt **ret_statement, struct error *e)
{
    sqlite3_stmt *statement;
    int rc = sqlite3_prepare_v3(db, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, NULL);

    if (rc != SQLITE_OK) {
        return sql_error(db, rc, sql, e);
    }
    *ret_statement = statement;
    return 0;
}

int statement_run(sqlite3_stmt *statement)
{
    int rc;

    do {
        rc = sqlite3_step(statement);
    } while (rc == SQLITE_ROW);
    statement_end(statement);
    return rc == SQLITE_DONE ? SQLITE_OK : rc;
}

void statement_end(sqlite3_stmt *statement)
{
    sqlite3_reset(statement);
    sqlite3_clear_bindings(statement);
}

int statement_once(sqlite3 *db, const char *sql, struct error *e)
{
    int rc = sqlite3_exec(db, sql, NULL, NULL, NULL);

    return rc == SQLITE_OK ? 0 : sql_error(db, rc, sql, e);
}

/* SQLite takes a NULL pointer for NULL, whatever the length. */
static const void *not_null(const struct cursor *bytes)
{
    return bytes->p != NULL ? (const void *)bytes->p : "";
}

int statement_bind_blob(sqlite3_stmt *statement, int at, const struct cursor *bytes)
{
    return sqlite3_bind_blob64(statement, at, not_null(bytes), cursor_left(bytes), SQLITE_STATIC);
}

int statement_bind_text(sqlite3_stmt *statement, int at, const struct cursor *bytes)
{
    return sqlite3_bind_text64(statement, at, not_null(bytes), cursor_left(bytes), SQLITE_STATIC,
                               SQLITE_UTF8);
}
