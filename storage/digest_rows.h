/* digest_rows: brings the change of one row, as SQLite's preupdate hook shows it, into the sum of its table.
 * It does not know savepoints, nor the schema.
 *
 * The hook is called before the change. It shows the values of most rows; where it cannot (digest_table.h:
 * source, and rows that end in NULLs that may stand for defaults), the old row is read back by its key at
 * once, and the new one when it has been written: at the next call, for SQLite completes one row before it
 * begins the next. What cannot be known so makes the table stale: it wants a scan. */
#ifndef QUORATE_STORAGE_DIGEST_ROWS_H
#define QUORATE_STORAGE_DIGEST_ROWS_H

#include "storage/digest_table.h"

struct digest_rows {
    sqlite3 *db;
    struct digest_row row;
    struct digest_table
        *pending;   /* its by_key statement is bound to a new row that is to be read back, and added */
    bool any_stale; /* some table became stale; cleared by who scans them */
};

/* One row of T changes; from inside the hook, with its arguments. Errors: Q_NOMEM, SQLite's: T's sum is then
 * wrong. */
int digest_rows_change(struct digest_rows *r, struct digest_table *t, int operation, sqlite3_int64 before,
                       sqlite3_int64 after, struct error *e);
/* Adds a row that is pending; at the next call of the hook and at the end of a statement. */
int digest_rows_settle(struct digest_rows *r, struct error *e);
/* Forgets it: the statement was undone. */
void digest_rows_forget(struct digest_rows *r);

#endif
