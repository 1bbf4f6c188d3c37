#include "storage/transaction.h"

#include <assert.h>
#include <string.h>

#include "storage/sql_error.h"
#include "storage/statement.h"

static const char *const save_sql[] = {"SAVEPOINT quorate_command", "SAVEPOINT quorate_statement"};
static const char *const release_sql[] = {"RELEASE quorate_command", "RELEASE quorate_statement"};
static const char *const undo_sql[] = {"ROLLBACK TO quorate_command", "ROLLBACK TO quorate_statement"};

int transaction_init(struct transaction *t, sqlite3 *db, struct digest *digest, struct error *e)
{
    memset(t, 0, sizeof *t);
    t->db = db;
    t->digest = digest;
    if (statement_new(db, "BEGIN IMMEDIATE", &t->begin, e) || statement_new(db, "COMMIT", &t->commit, e) ||
        statement_new(db, "ROLLBACK", &t->rollback, e)) {
        goto failed;
    }
    for (int i = 0; i < TRANSACTION_SAVEPOINTS; i++) {
        if (statement_new(db, save_sql[i], &t->save[i], e) ||
            statement_new(db, release_sql[i], &t->release[i], e) ||
            statement_new(db, undo_sql[i], &t->undo[i], e)) {
            goto failed;
        }
    }
    return 0;
failed:
    transaction_close(t);
    return (int)e->code;
}

void transaction_close(struct transaction *t)
{
    assert(t->depth == 0);
    sqlite3_finalize(t->begin);
    sqlite3_finalize(t->commit);
    sqlite3_finalize(t->rollback);
    for (int i = 0; i < TRANSACTION_SAVEPOINTS; i++) {
        sqlite3_finalize(t->save[i]);
        sqlite3_finalize(t->release[i]);
        sqlite3_finalize(t->undo[i]);
    }
    memset(t, 0, sizeof *t);
}

static int run(struct transaction *t, sqlite3_stmt *statement, struct error *e)
{
    int rc = statement_run(statement);

    return rc == SQLITE_OK ? 0 : sql_error(t->db, rc, sqlite3_sql(statement), e);
}

int transaction_begin(struct transaction *t, struct error *e)
{
    assert(t->depth == 0);
    if (run(t, t->begin, e)) {
        return (int)e->code;
    }
    if (digest_savepoint(t->digest, e)) {
        run(t, t->rollback, NULL);
        return (int)e->code;
    }
    t->depth = 1;
    return 0;
}

int transaction_save(struct transaction *t, struct error *e)
{
    assert(t->depth >= 1 && t->depth <= TRANSACTION_SAVEPOINTS);
    if (run(t, t->save[t->depth - 1], e) || digest_savepoint(t->digest, e)) {
        return (int)e->code;
    }
    t->depth++;
    return 0;
}

int transaction_release(struct transaction *t, struct error *e)
{
    assert(t->depth >= 2 && !transaction_lost(t));
    if (run(t, t->release[t->depth - 2], e)) {
        return (int)e->code;
    }
    digest_release(t->digest);
    t->depth--;
    return 0;
}

int transaction_undo(struct transaction *t, struct error *e)
{
    struct error ignored;

    assert(t->depth >= 2 && !transaction_lost(t));
    /* If what FTS5 holds in memory goes back together with its table, FTS5 is not told, and would write it at
     * the next savepoint into tables that are gone. So it writes before, and that goes back too. */
    digest_settle(t->digest, &ignored);
    if (run(t, t->undo[t->depth - 2], e)) {
        return (int)e->code;
    }
    digest_rollback(t->digest);
    return transaction_release(t, e);
}

int transaction_commit(struct transaction *t, struct error *e)
{
    assert(t->depth == 1 && !transaction_lost(t));
    if (run(t, t->commit, e)) {
        return (int)e->code;
    }
    digest_release(t->digest);
    t->depth = 0;
    return 0;
}

void transaction_abandon(struct transaction *t)
{
    if (sqlite3_get_autocommit(t->db) == 0) {
        /* After an error of the disk this may fail too; the transaction is gone then as well. */
        run(t, t->rollback, NULL);
    }
    t->doomed = false;
    while (t->depth > 0) {
        digest_rollback(t->digest);
        digest_release(t->digest);
        t->depth--;
    }
}

void transaction_doom(struct transaction *t)
{
    assert(t->depth > 0);
    t->doomed = true;
}

bool transaction_lost(const struct transaction *t)
{
    return t->depth > 0 && (t->doomed || sqlite3_get_autocommit(t->db) != 0);
}
