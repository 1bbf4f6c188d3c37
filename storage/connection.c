#include "storage/connection.h"

#include <stdio.h>
#include <string.h>

#include "base/plant.h"
#include "storage/sql_error.h"
#include "storage/statement.h"

/* Page size and encoding count only for a database that is being made. The size of pages must be the same
 * everywhere, as what is shipped between nodes are pages. */
static const char write_settings[] = "PRAGMA page_size = 4096; PRAGMA encoding = 'UTF-8';"
                                     "PRAGMA cell_size_check = ON; PRAGMA cache_size = -32000;"
                                     "PRAGMA recursive_triggers = OFF";
static const char read_settings[] =
    "PRAGMA cell_size_check = ON; PRAGMA cache_size = -8000; PRAGMA query_only = ON";

/* A checkpoint of its own would stop the writer for as long as it lasts. */
static int use_wal(sqlite3 *db, struct error *e)
{
    char sql[200];
    sqlite3_stmt *statement;
    const char *mode;

    if (statement_new(db, "PRAGMA journal_mode = WAL", &statement, e)) {
        return (int)e->code;
    }
    int rc = sqlite3_step(statement);
    mode = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    bool wal = mode != NULL && strcmp(mode, "wal") == 0;
    sqlite3_finalize(statement);
    if (rc != SQLITE_ROW) {
        return sql_error(db, rc, "PRAGMA journal_mode = WAL", e);
    }
    if (!wal) {
        return error_set(e, Q_IO, "the file system cannot hold a WAL");
    }
    snprintf(sql, sizeof sql, "PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = %d",
             CONNECTION_WAL_KEPT_BYTES);
    rc = sqlite3_wal_autocheckpoint(db, 0);
    return rc == SQLITE_OK ? statement_once(db, sql, e) : sql_error(db, rc, "wal_autocheckpoint", e);
}

/* Memory is bounded by the machine's, not by SQLite's own first guess. */
static int lift_memory_limit(sqlite3 *db, struct error *e)
{
    sqlite3_int64 limit = INT64_MAX;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_SIZE_LIMIT, &limit);

    return rc == SQLITE_OK ? 0 : sql_error(db, rc, "lifting the limit of memory", e);
}

int connection_reserve(sqlite3 *db, int bytes, struct error *e)
{
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes);

    return rc == SQLITE_OK ? 0 : sql_error(db, rc, "reserving bytes of each page", e);
}

static int configure(sqlite3 *db, const struct connection_place *place, enum connection_use use,
                     struct error *e)
{
    switch (use) {
    case CONNECTION_WRITE:
        if (statement_once(db, write_settings, e)) {
            return (int)e->code;
        }
        if (place->in_memory) {
            return lift_memory_limit(db, e);
        }
        return connection_reserve(db, place->reserved, e) ? (int)e->code : use_wal(db, e);
    case CONNECTION_READ: return statement_once(db, read_settings, e);
    case CONNECTION_CHECKPOINT:
        if (PLANTED("checkpoints_are_not_synced")) {
            return statement_once(db, "PRAGMA synchronous = OFF; PRAGMA wal_autocheckpoint = 0", e);
        }
        return statement_once(db, "PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 0", e);
    }
    return 0;
}

int connection_open(const struct connection_place *place, enum connection_use use, sqlite3 **ret_db,
                    struct error *e)
{
    int flags = use == CONNECTION_READ ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE;
    sqlite3 *db = NULL;

    if (use == CONNECTION_WRITE) {
        flags |= SQLITE_OPEN_CREATE;
    }
    int rc =
        sqlite3_open_v2(place->name, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, place->vfs);
    if (rc != SQLITE_OK) {
        rc = sql_error(db, rc, place->name, e);
    } else {
        sqlite3_busy_timeout(db, CONNECTION_BUSY_MS);
        rc = configure(db, place, use, e);
    }
    if (rc != 0) {
        sqlite3_close(db);
        return rc;
    }
    *ret_db = db;
    return 0;
}

void connection_keep_wal(sqlite3 *db)
{
    sqlite3_db_config(db, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, NULL);
}
