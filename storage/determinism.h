/* determinism: makes one SQLite connection give the same rows on every replica: its clock is the entry's
 * time, its randomness is seeded by the entry, and what depends on the machine, the connection or the file is
 * refused. It does not know commands or the log.
 *
 * The clock is a VFS that stands on another and answers xCurrentTime and xCurrentTimeInt64 with the time that
 * was set, so datetime('now'), CURRENT_TIMESTAMP, column defaults and triggers all agree. random() and
 * randomblob() are replaced by functions that draw from a generator seeded by (seed, position of the
 * command). An authorizer refuses ATTACH and DETACH, TEMP objects, load_extension, transaction control,
 * PRAGMAs that change the file or the connection, virtual tables and functions that read the connection or
 * the build (sqlite_stmt, dbstat, ...; sqlite_version() is allowed, total_changes(), changes() and
 * last_insert_rowid() start from 0 with each command), and writes to quorate_* tables. */
#ifndef QUORATE_STORAGE_DETERMINISM_H
#define QUORATE_STORAGE_DETERMINISM_H

#include <sqlite3.h>

#include "base/error.h"
#include "base/rng.h"

struct determinism;

/* Makes the object and registers its clock VFS, which stands on UNDER (NULL: the default VFS). Open the
 * writer connection with determinism_vfs() as its VFS name, then attach. */
int determinism_new(const char *under, struct determinism **ret_determinism, struct error *e);
const char *determinism_vfs(const struct determinism *d);
/* Installs functions, authorizer, limits and defensive settings on DB. The same D must outlive DB. */
int determinism_attach(struct determinism *d, sqlite3 *db, struct error *e);
/* Unregisters the VFS; the connection must be closed. NULL is fine. */
void determinism_free(struct determinism *d);

/* Before each command: sets time (Unix ms) and randomness, and resets last_insert_rowid, changes,
 * total_changes. */
void determinism_begin(struct determinism *d, uint64_t time_ms, const uint8_t seed[16], uint32_t position);

/* While trusted, the authorizer lets everything pass: for the store's own statements. */
void determinism_trust(struct determinism *d, bool trusted);

/* The same authorizer and refusals for a read-only connection, which keeps the machine's clock and
 * randomness. */
int determinism_attach_reader(sqlite3 *db, struct error *e);

#endif
