/* digest: names the content of the database: the sum, modulo 2^128, of XXH3-128 of every row of every table,
 * and of the schema. Equal content gives an equal digest whatever the history; it is kept up to date by
 * SQLite's preupdate hook at a few per cent of the writer's time. It does not know commands or the log.
 *
 * The hash of a row covers the table's name, the rowid (0 for WITHOUT ROWID tables) and its column values
 * with their types; a REAL that holds a whole number hashes as that INTEGER, because the hook shows it so.
 * One sum is kept per table (so that a dropped or altered table can be taken out or rescanned), and the
 * digest is the sum of the tables' sums and of the hash of each schema row (type, name, tbl_name, sql),
 * sqlite_sequence and the shadow tables of FTS5 and R-tree included; quorate_state, where the store keeps the
 * digest itself, sqlite_stat* and virtual tables (which hold no rows of their own) excluded.
 *
 * Traps: ROLLBACK TO does not reach the hook, so sums are saved and restored with each savepoint; ALTER TABLE
 * ADD or DROP COLUMN and DROP TABLE change content without the hook, so after a statement that changed the
 * schema the tables whose schema rows changed are scanned again. */
#ifndef QUORATE_STORAGE_DIGEST_H
#define QUORATE_STORAGE_DIGEST_H

#include <sqlite3.h>

#include "base/buf.h"
#include "storage/batch.h"

struct digest;

/* Hooks into DB. Starts from the content of DB as it is, by a full scan, unless SAVED (the N bytes that
 * digest_save() gave when the content was what it is now) is given. Errors: Q_CORRUPT if SAVED does not
 * decode; SQLite's. */
int digest_new(sqlite3 *db, const void *saved, size_t n, struct digest **ret_digest, struct error *e);
/* Unhooks. NULL is fine. */
void digest_free(struct digest *d);

/* The digest of the whole content. */
void digest_value(const struct digest *d, uint8_t ret_value[DIGEST_BYTES]);
/* The sums of all tables as bytes, to be kept beside the content. */
void digest_save(const struct digest *d, struct buf *out);

/* Call right after SAVEPOINT, RELEASE and ROLLBACK TO, in the same order as the database sees them; nests.
 * After a rollback the sums are as at the savepoint, which stays open as SQLite's does. */
int digest_savepoint(struct digest *d, struct error *e);
void digest_release(struct digest *d);
void digest_rollback(struct digest *d);

/* After a statement that may have changed the schema: compares the schema with what it was and takes out,
 * adds or rescans the tables that changed. Cheap (one PRAGMA) when nothing did. */
int digest_schema(struct digest *d, struct error *e);

/* Recomputes everything by a full scan of DB (which may be another connection to the same content) and
 * compares: Q_CORRUPT names the first table that differs. */
int digest_verify(const struct digest *d, sqlite3 *db, struct error *e);

#endif
