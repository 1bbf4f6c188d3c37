/* digest: names the content of the database: the sum, modulo 2^128, of XXH3-128 of every row of every table,
 * and of the schema. Equal content gives an equal digest whatever the history; it is kept up to date by
 * SQLite's preupdate hook at a few per cent of the writer's time. It does not know commands or the log.
 *
 * The hash of a row covers the table's name, the rowid (0 where SQL cannot see one: WITHOUT ROWID tables, and
 * sqlite_sequence) and the values of its stored columns with their types; a REAL that holds a whole number
 * hashes as that INTEGER, because the hook shows it so. One sum is kept per table (so that a dropped or
 * altered table can be taken out or rescanned), and the digest is the sum of the tables' sums and of the hash
 * of each schema row (type, name, tbl_name, sql), sqlite_sequence and the shadow tables of FTS5 and R-tree
 * included; quorate_state, where the store keeps the digest itself, sqlite_stat* and virtual tables (which
 * hold no rows of their own) excluded.
 *
 * What SQLite does past the hook, and what is done about it:
 * - ROLLBACK TO, and the undoing of a statement that fails after some of its rows (a constraint, RAISE): the
 * sums are saved and restored with each savepoint, so the caller gives each statement that may fail a
 * savepoint.
 * - ALTER TABLE ADD or DROP COLUMN, CREATE TABLE AS and DROP TABLE: digest_follow() compares the schema with
 * what it was and scans the tables whose schema rows changed.
 * - The rows that AUTOINCREMENT writes in sqlite_sequence: digest_follow() reads that table each time, if
 * there is one.
 * - A row from before an ALTER TABLE ADD COLUMN shows NULL where SELECT shows the default, and tables with
 * virtual generated columns show values under the wrong column: such rows are read back by their key.
 * - FTS5 keeps changes in memory and writes them to its shadow tables at the next SAVEPOINT or at COMMIT
 * (SQLite 3.40 at RELEASE too): digest_settle() makes it write before the digest is read.
 *
 * Some statements would leave content that SQLite chooses by random numbers of its own: digest_follow()
 * refuses them. After the rowid 9223372036854775807 an ordinary table gets random ones (and an AUTOINCREMENT
 * table SQLITE_FULL, which rolls the transaction back); the sixth column of one name in CREATE TABLE AS gets
 * a random name. */
#ifndef QUORATE_STORAGE_DIGEST_H
#define QUORATE_STORAGE_DIGEST_H

#include <sqlite3.h>

#include "base/buf.h"
#include "storage/batch.h"

struct digest;

/* Hooks into DB, which no statement that writes may have been compiled for before. Starts from the content of
 * DB as it is, by a full scan, unless SAVED (the N bytes that digest_save() gave when the content was what it
 * is now) is given. It compiles statements of its own that only read, which the authorizer of determinism.h
 * lets pass. Errors: Q_CORRUPT if SAVED does not decode or names other tables than DB has; SQLite's. */
int digest_new(sqlite3 *db, const void *saved, size_t n, struct digest **ret_digest, struct error *e);
/* Unhooks and finalizes its statements; before sqlite3_close(). NULL is fine. */
void digest_free(struct digest *d);

/* Makes virtual tables write what they hold in memory, which SQLite else makes them do some time later, and
 * follows it. Call after the last statement of each command, while it is known whose doing it is, and before
 * digest_value(), digest_save() and COMMIT. The authorizer must trust the caller. Errors: as digest_follow();
 * Q_SQL too, if a client has led such a table to contradict itself. */
int digest_settle(struct digest *d, struct error *e);
/* The digest of the whole content, little-endian. */
void digest_value(const struct digest *d, uint8_t ret_value[DIGEST_BYTES]);
/* The sums of all tables as bytes, to be kept beside the content: 24 bytes and 40 a table. */
void digest_save(const struct digest *d, struct buf *out);

/* Call right after SAVEPOINT, RELEASE and ROLLBACK TO, in the same order as the database sees them; nests.
 * After a rollback the sums are as at the savepoint, which stays open as SQLite's does. Cheap: only tables
 * that are then written are remembered. A savepoint of the digest alone, without one of SQLite, is fine
 * around a single statement: roll it back when the statement failed, unless that kept rows (INSERT OR FAIL,
 * RAISE(FAIL)): those need SQLite's. */
int digest_savepoint(struct digest *d, struct error *e);
void digest_release(struct digest *d);
void digest_rollback(struct digest *d);

/* Call after every statement that may have written (not sqlite3_stmt_readonly()) and succeeded, before the
 * next one and before digest_value(): brings in what the hook does not see. Two short statements when nothing
 * is to be done. Errors: Q_INVALID the statement must be rolled back, and the text is for the client (the
 * largest rowid); any other is this node's failure: Q_NOMEM, Q_IO, Q_CORRUPT, ... */
int digest_follow(struct digest *d, struct error *e);

/* Recomputes everything by a full scan of DB and compares it with SAVED, the N bytes that digest_save() gave;
 * NULL: with nothing. NAMES gets the names of what differs, with ", " between them: tables, and
 * sqlite_schema. Inside one read transaction of the caller's, or nobody may write. Errors: as digest_new().
 */
int digest_check(sqlite3 *db, const void *saved, size_t n, uint8_t ret_found[DIGEST_BYTES], struct buf *names,
                 struct error *e);
/* The same with the sums of D, of whose content DB is: Q_CORRUPT names what differs. */
int digest_verify(const struct digest *d, sqlite3 *db, struct error *e);

#endif
