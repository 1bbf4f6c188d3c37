/* determinism: makes one SQLite connection give the same rows on every replica: its clock is the entry's
 * time, its randomness is seeded by the entry, its time zone is UTC, and what depends on the machine, the
 * connection or the file is refused. It does not know commands or the log.
 *
 * The clock is a VFS that stands on another and answers xCurrentTime and xCurrentTimeInt64 with the time that
 * was set, so datetime('now'), CURRENT_TIMESTAMP, column defaults and triggers all agree (clock_vfs.h).
 * random() and randomblob() are replaced by functions that draw from a generator seeded by (seed, position of
 * the command), and the transcendental functions by ones that do not depend on the CPU (math_functions.h). An
 * authorizer refuses ATTACH and DETACH, TEMP objects, load_extension, transaction control,
 * PRAGMAs that change the file or the connection, virtual tables and functions that read the connection or
 * the build (sqlite_stmt, dbstat, ...; sqlite_version() is allowed, total_changes(), changes() and
 * last_insert_rowid() start from 0 with each command), and writes to quorate_* tables (authorizer.h). */
#ifndef QUORATE_STORAGE_DETERMINISM_H
#define QUORATE_STORAGE_DETERMINISM_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "storage/authorizer.h"

struct determinism;

/* Bytes of one value, row or statement. */
enum { DETERMINISM_LENGTH_MAX = 64 * 1024 * 1024 };

/* Makes the object and registers its clock VFS, which stands on UNDER (NULL: the default VFS). Open the
 * writer connection with determinism_vfs() as its VFS name, then attach. Objects are independent of each
 * other: any number in one process, each used by one thread at a time. Errors: Q_NOT_FOUND no VFS of that
 * name; Q_MISMATCH this SQLite cannot be told the time zone; Q_NOMEM. */
int determinism_new(const char *under, struct determinism **ret_determinism, struct error *e);
const char *determinism_vfs(const struct determinism *d);
/* Installs functions, authorizer, limits and defensive settings on DB. The same D must outlive DB. */
int determinism_attach(struct determinism *d, sqlite3 *db, struct error *e);
/* Finalizes D's own statements on DB: call it before sqlite3_close(). NULL is fine, twice is fine. */
void determinism_detach(struct determinism *d);
/* Unregisters the VFS; the connection must be closed. NULL is fine. */
void determinism_free(struct determinism *d);

/* Before the BEGIN of each entry: makes the query planner see what a node that opens the file now would see,
 * for the order of rows depends on its plans. After most entries one PRAGMA; after one that changed the
 * schema or ran ANALYZE it reads the schema again. */
int determinism_refresh(struct determinism *d, struct error *e);

/* Before each command: sets time (Unix ms) and randomness, and resets last_insert_rowid, changes,
 * total_changes (the SQL functions and, but for the last, the C functions). Inside the entry's transaction,
 * before the command's savepoint: it runs a statement of its own. Errors are this node's, not the command's.
 */
int determinism_begin(struct determinism *d, uint64_t time_ms, const uint8_t seed[16], uint32_t position,
                      struct error *e);

/* Before a client's statement is compiled for the writer: refuses what the authorizer cannot see: REFERENCES
 * or RENAME TO a quorate_* table, for a foreign key would let a client's rows stop the store's own
 * statements. SQL is N bytes of UTF-8. Q_DENIED; the text is for the client. */
int determinism_check(const char *sql, size_t n, struct error *e);

/* While trusted, the authorizer lets everything pass: for the store's own statements. */
void determinism_trust(struct determinism *d, bool trusted);
/* Why the authorizer last refused something (see authorizer_reason()): say it in place of "not authorized".
 */
const char *determinism_reason(struct determinism *d);

/* The same authorizer and refusals, limits and time zone for a read-only connection, which keeps the
 * machine's clock and randomness. A is kept until DB is closed. */
int determinism_attach_reader(struct authorizer *a, sqlite3 *db, struct error *e);

#endif
