/* dump: the content of a database as SQL text that SQLite's own shell makes it again from, rowids included.
 * It does not know where the text goes.
 *
 * Like the shell's .dump, with these differences: a rowid that an insert would not give by itself is written
 * down; text with control characters is a CAST of a blob, so that no line end is lost; statistics
 * (sqlite_stat*) and the store's own tables are left out. A virtual table is a row of the schema and its
 * shadow tables, so whoever restores one needs `PRAGMA writable_schema`: SQLite's shell, not /db/load. */
#ifndef QUORATE_STORAGE_DUMP_H
#define QUORATE_STORAGE_DUMP_H

#include <sqlite3.h>

#include "base/buf.h"

/* Where the text goes, piece by piece. */
struct dump_out {
    /* The N bytes are borrowed. An error ends the dump. */
    int (*put)(void *ctx, const void *p, size_t n, struct error *e);
    void *ctx;
};

/* In constant memory, but for one value. TABLES: names with commas between, and only they are dumped, with
 * what belongs to them; NULL or "": all. Within a read transaction of the caller's. Its authorizer trusts.
 * Errors: SQLite's, those of OUT, Q_NOMEM; Q_NOT_FOUND one of TABLES is not there. */
int dump_sql(sqlite3 *db, const char *tables, const struct dump_out *out, struct error *e);

#endif
