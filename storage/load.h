/* load: replaces the whole content of the database by another one, which came in pieces through the log. It
 * does not know where the pieces come from (load_source.h).
 *
 *     BEGIN     makes the table quorate_load, in place of that of an earlier load that never ended
 *     PIECE     keeps a piece there; in any order, also twice
 *     FINISH    the old tables, indexes, views and triggers go, what the pieces say comes, all in this one
 *               entry; or, if that fails, nothing changes
 *     ABORT     throws the pieces away
 *
 * So readers see the old content, all of it, and then the new one, all of it. Every step may be sent again
 * when it is not known whether it was done. Whoever begins later wins: the other one's next step is
 * Q_CONFLICT.
 *
 *     quorate_load (number INTEGER PRIMARY KEY, data BLOB): the pieces; number 0: u64 load, u8 1 when it is
 *         finished, and then there are no pieces
 *
 * The pieces, one after the other, are a stream of records, each u8 kind, u32 length, and so many bytes:
 *     HEADER  u8 version 1, u32 user_version, u32 application_id     the first one
 *     SCHEMA  text: one statement that begins with CREATE
 *     TABLE   blob name, u8 name of the rowid (0 none, 1 rowid, 2 _rowid_, 3 oid), u16 columns, for each a
 * blob with its name. What the table holds goes; the rows that follow are its ROW     values (command.h): the
 * rowid if it has a name, then the columns END     nothing the last one Tables come before their rows,
 * indexes, views and triggers behind all rows. Rows of a virtual table are those of its shadow tables. A
 * client's rules hold for the statements: no quorate_ names, the modules that there are. With foreign_keys
 * on, what breaks them is refused at the end.
 *
 * The old content's pages are used again, but the file does not get smaller. */
#ifndef QUORATE_STORAGE_LOAD_H
#define QUORATE_STORAGE_LOAD_H

#include "storage/command.h"
#include "storage/determinism.h"
#include "storage/transaction.h"

enum { LOAD_STREAM_VERSION = 1, LOAD_RECORD_MAX = DETERMINISM_LENGTH_MAX + 1024 * 1024 };

enum load_record { LOAD_HEADER = 1, LOAD_SCHEMA = 2, LOAD_TABLE = 3, LOAD_ROW = 4, LOAD_END = 5 };

/* The writer's. Pointers are kept. */
struct load {
    sqlite3 *db;
    struct transaction *transaction;
    struct determinism *determinism;
    struct digest *digest;
};

/* Runs a COMMAND_LOAD within the entry's transaction and appends its result. As sql_run(): the transaction
 * may be lost at return. Errors: this node's. */
int load_run(struct load *l, const struct load_command *command, struct buf *result, struct error *e);

#endif
