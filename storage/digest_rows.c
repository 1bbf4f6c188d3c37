#include "storage/digest_rows.h"

#include "base/plant.h"
#include "storage/sql_error.h"

static void make_stale(struct digest_rows *r, struct digest_table *t)
{
    t->stale = true;
    r->any_stale = true;
}

/* Adds the row that the hook could not show, now that SQLite has written it: it does so before the hook is
 * called again. */
int digest_rows_settle(struct digest_rows *r, struct error *e)
{
    struct digest_table *t = r->pending;
    digest_sum hash;
    bool found;
    int rc;

    if (t == NULL) {
        return Q_OK;
    }
    r->pending = NULL;
    rc = digest_table_read(t, r->db, &r->row, &found, &hash, e);
    if (rc == Q_SQL || (rc == Q_OK && !found)) {
        make_stale(r, t); /* its layout is changing under the statement */
        return Q_OK;
    }
    if (rc == Q_OK) {
        t->sum += hash;
    }
    return rc;
}

typedef int (*preupdate_value)(sqlite3 *db, int column, sqlite3_value **ret_value);

/* Hashes the row as the hook shows it. ret_ambiguous: it ends in NULLs that may stand for columns the row
 * lacks. */
static int hash_shown(struct digest_rows *r, const struct digest_table *t, preupdate_value get,
                      sqlite3_int64 rowid, bool *ret_ambiguous, digest_sum *ret_hash, struct error *e)
{
    bool ambiguous = false;
    int rc;

    digest_row_begin(&r->row, t, rowid);
    for (int i = 0; i < t->columns; i++) {
        const struct digest_column *column = &t->column[i];
        sqlite3_value *value;

        rc = get(r->db, i, &value);
        if (rc != SQLITE_OK) {
            return sql_error(NULL, rc, "preupdate hook", e);
        }
        digest_row_value(&r->row, value);
        ambiguous = sqlite3_value_type(value) == SQLITE_NULL && (ambiguous || column->has_default);
    }
    rc = buf_check(&r->row.bytes, "a row to hash", e);
    if (rc == Q_OK) {
        *ret_ambiguous = ambiguous;
        *ret_hash = digest_row_end(&r->row, t);
    }
    return rc;
}

/* Binds the key of the row that is changing to T's by_key statement. */
static int bind_key(struct digest_rows *r, struct digest_table *t, preupdate_value get, sqlite3_int64 rowid,
                    struct error *e)
{
    sqlite3_stmt *statement;
    int bound = digest_table_by_key(t, r->db, &statement, e), rc = SQLITE_OK;

    if (bound != Q_OK) {
        return bound;
    }
    if (t->rowid != NULL) {
        rc = sqlite3_bind_int64(statement, 1, rowid);
    }
    for (int i = 0; t->rowid == NULL && i < t->columns && rc == SQLITE_OK; i++) {
        sqlite3_value *value;
        if (t->column[i].key > 0) {
            rc = get(r->db, i, &value);
            rc = rc == SQLITE_OK ? sqlite3_bind_value(statement, t->column[i].key, value) : rc;
        }
    }
    return rc == SQLITE_OK ? Q_OK : sql_error(NULL, rc, "preupdate hook", e);
}

/* The row before the change, still in its table. */
static int subtract_old(struct digest_rows *r, struct digest_table *t, sqlite3_int64 rowid, struct error *e)
{
    bool read_back = t->source == DIGEST_BY_KEY, found = true;
    digest_sum hash = 0;
    int rc = Q_OK;

    if (!read_back) {
        rc = hash_shown(r, t, sqlite3_preupdate_old, rowid, &read_back, &hash, e);
    }
    if (rc == Q_OK && read_back) {
        if (t->key_sql == NULL) {
            found = false;
        } else {
            rc = bind_key(r, t, sqlite3_preupdate_old, rowid, e);
            rc = rc == Q_OK ? digest_table_read(t, r->db, &r->row, &found, &hash, e) : rc;
        }
    }
    if (rc == Q_SQL || (rc == Q_OK && !found)) {
        make_stale(r, t);
        return Q_OK;
    }
    if (rc == Q_OK) {
        t->sum -= hash;
    }
    return rc;
}

/* The row after the change, when it is in its table: it waits for the next settling. */
static int read_back_later(struct digest_rows *r, struct digest_table *t, preupdate_value get,
                           sqlite3_int64 rowid, struct error *e)
{
    int rc = t->key_sql != NULL ? bind_key(r, t, get, rowid, e) : Q_SQL;

    if (rc == Q_SQL) {
        make_stale(r, t);
        return Q_OK;
    }
    r->pending = rc == Q_OK ? t : NULL;
    return rc;
}

/* The row after the change, not yet in its table: if it must be read back, it waits. An UPDATE shows all its
 * columns, so only an INSERT that copies whole records from a table of the same layout can be ambiguous. */
static int add_new(struct digest_rows *r, struct digest_table *t, int operation, sqlite3_int64 rowid,
                   struct error *e)
{
    bool read_back = t->source == DIGEST_BY_KEY, ambiguous = false;
    digest_sum hash = 0;
    int rc = Q_OK;

    if (!read_back) {
        rc = hash_shown(r, t, sqlite3_preupdate_new, rowid, &ambiguous, &hash, e);
        read_back = ambiguous && operation == SQLITE_INSERT;
    }
    if (rc != Q_OK || t->stale) {
        return rc;
    }
    if (!read_back) {
        t->sum += hash;
        return Q_OK;
    }
    return read_back_later(r, t, sqlite3_preupdate_new, rowid, e);
}

void digest_rows_forget(struct digest_rows *r)
{
    r->pending = NULL;
}

int digest_rows_change(struct digest_rows *r, struct digest_table *t, int operation, sqlite3_int64 before,
                       sqlite3_int64 after, struct error *e)
{
    int rc = Q_OK;

    if (t->source == DIGEST_BY_SCAN || sqlite3_preupdate_count(r->db) != t->columns) {
        make_stale(r, t);
    }
    if (operation != SQLITE_INSERT && !t->stale) {
        rc = subtract_old(r, t, before, e);
    }
    if (rc == Q_OK && operation != SQLITE_DELETE && !t->stale) {
        rc = add_new(r, t, operation, after, e);
    }
    /* A write into the middle of a value is shown as a DELETE, and no INSERT follows it. FTS5 writes so. */
    if (rc == Q_OK && operation == SQLITE_DELETE && sqlite3_preupdate_blobwrite(r->db) >= 0 && !t->stale &&
        !PLANTED("digest_forgets_blob_writes")) {
        rc = read_back_later(r, t, sqlite3_preupdate_old, before, e);
    }
    return rc;
}
