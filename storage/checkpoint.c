#include "storage/checkpoint.h"

#include <stdlib.h>

#include "base/object.h"
#include "base/plant.h"
#include "storage/clock_vfs.h"
#include "storage/page_sum.h"
#include "storage/sql_error.h"
#include "storage/state.h"
#include "storage/statement.h"
#include "storage/wal_sums.h"

enum {
    CHECKPOINT_MAGIC = 0x51434b50,
    SETTLE_FRAMES = 15, /* SQLite's own VFS writes at most 128 KiB - 1 at once, and calls more a full disk */
    SETTLE_BYTES = SETTLE_FRAMES * (WAL_FRAME_HEADER_BYTES + PAGE_BYTES),
};

struct checkpoint {
    OBJECT_MAGIC;
    struct clock_vfs *vfs; /* for what it remembers of failures */
    sqlite3 *db;
    sqlite3_stmt *index;
};

int checkpoint_new(const struct connection_place *place, struct checkpoint **ret_checkpoint, struct error *e)
{
    struct checkpoint *c = calloc(1, sizeof *c);
    struct connection_place own = *place;

    if (c == NULL) {
        return error_set(e, Q_NOMEM, "out of memory");
    }
    c->magic = CHECKPOINT_MAGIC;
    if (clock_vfs_new(place->vfs, &c->vfs, e)) {
        checkpoint_free(c);
        return (int)e->code;
    }
    own.vfs = clock_vfs_name(c->vfs);
    if (connection_open(&own, CONNECTION_CHECKPOINT, &c->db, e) ||
        statement_new(c->db, STATE_INDEX_SQL, &c->index, e)) {
        checkpoint_free(c);
        return (int)e->code;
    }
    *ret_checkpoint = c;
    return 0;
}

void checkpoint_free(struct checkpoint *c)
{
    if (c != NULL) {
        sqlite3_finalize(c->index);
        sqlite3_close(c->db);
        clock_vfs_free(c->vfs);
        c->magic = 0;
        free(c);
    }
}

void checkpoint_keep_wal(struct checkpoint *c)
{
    connection_keep_wal(c->db);
}

static int read_index(struct checkpoint *c, uint64_t *ret_index, struct error *e)
{
    int rc = sqlite3_step(c->index);
    uint64_t index = rc == SQLITE_ROW ? (uint64_t)sqlite3_column_int64(c->index, 0) : 0;

    statement_end(c->index);
    if (rc == SQLITE_ROW) {
        *ret_index = index;
        return 0;
    }
    return rc == SQLITE_DONE ? error_set(e, Q_CORRUPT, "quorate_state has no index")
                             : sql_error(c->db, rc, "reading the applied index", e);
}

/* One checkpoint; BUSY is none of its errors: then some pages, or the start of a new WAL, are left to do. */
static int copy(struct checkpoint *c, int mode, int *ret_pages, int *ret_copied, struct error *e)
{
    int rc = sqlite3_wal_checkpoint_v2(c->db, "main", mode, ret_pages, ret_copied);

    return rc == SQLITE_OK || (rc & 0xff) == SQLITE_BUSY ? 0 : sql_error(c->db, rc, "checkpoint", e);
}

/* Syncs a file that this connection has open: SQLITE_FCNTL_FILE_POINTER the database, _JOURNAL_POINTER the
 * WAL. */
static int sync_file(struct checkpoint *c, int which, struct error *e)
{
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(c->db, "main", which, &file);

    if (rc == SQLITE_OK && file != NULL && file->pMethods != NULL) {
        rc = file->pMethods->xSync(file, SQLITE_SYNC_NORMAL);
    }
    return rc == SQLITE_OK ? 0 : sql_error(c->db, rc, "checkpoint: sync", e);
}

/* Writes the WAL once more, byte by byte what it is: its header, then whole frames (wal_sums.h). */
static int rewrite(sqlite3_file *wal)
{
    sqlite3_int64 size = 0, at = 0;
    uint8_t *bytes = malloc(SETTLE_BYTES);
    int rc = bytes != NULL ? wal->pMethods->xFileSize(wal, &size) : SQLITE_NOMEM;

    while (rc == SQLITE_OK && at < size) {
        int n = at == 0 ? WAL_HEADER_BYTES : SETTLE_BYTES;

        n = size - at < n ? (int)(size - at) : n;
        rc = wal->pMethods->xRead(wal, bytes, n, at);
        rc = rc == SQLITE_OK ? wal->pMethods->xWrite(wal, bytes, n, at) : rc;
        at += n;
    }
    free(bytes);
    return rc == SQLITE_OK && size > 0 ? wal->pMethods->xSync(wal, SQLITE_SYNC_NORMAL) : rc;
}

int checkpoint_settle(struct checkpoint *c, struct error *e)
{
    sqlite3_file *wal = NULL;
    uint64_t index;

    if (PLANTED("left_wal_is_trusted")) {
        return 0;
    }
    if (read_index(c, &index, e)) { /* opens the WAL */
        return (int)e->code;
    }
    int rc = sqlite3_file_control(c->db, "main", SQLITE_FCNTL_JOURNAL_POINTER, &wal);
    if (rc == SQLITE_OK && wal != NULL && wal->pMethods != NULL) {
        rc = rewrite(wal);
    }
    return rc == SQLITE_OK ? 0 : sql_error(c->db, rc, "writing what was left in the WAL once more", e);
}

int checkpoint_copy(struct checkpoint *c, struct error *e)
{
    int pages = 0, copied = 0, left, before = INT32_MAX;

    for (int i = 0; i < CHECKPOINT_STEPS_MAX; i++) {
        int last = pages;

        if (copy(c, SQLITE_CHECKPOINT_PASSIVE, &pages, &copied, e)) {
            return (int)e->code;
        }
        left = pages - last;
        if (left <= CHECKPOINT_REMAINDER_PAGES || left >= before) {
            break;
        }
        before = left;
    }
    /* A passive step that was overtaken by the writer has synced no page yet: not to do it while the writer
     * waits. */
    return sync_file(c, SQLITE_FCNTL_FILE_POINTER, e);
}

static int file_bytes(struct checkpoint *c, uint64_t *ret_bytes, struct error *e)
{
    sqlite3_file *file = NULL;
    sqlite3_int64 size = 0;
    int rc = sqlite3_file_control(c->db, "main", SQLITE_FCNTL_FILE_POINTER, &file);

    rc = rc == SQLITE_OK ? file->pMethods->xFileSize(file, &size) : rc;
    *ret_bytes = (uint64_t)size;
    return rc == SQLITE_OK ? 0 : sql_error(c->db, rc, "checkpoint: size", e);
}

int checkpoint_finish(struct checkpoint *c, struct checkpoint_end *ret_end, struct error *e)
{
    int pages, copied, patience_ms = CHECKPOINT_PATIENCE_MS;
    struct checkpoint_end end;

    if (read_index(c, &end.index, e) || copy(c, SQLITE_CHECKPOINT_PASSIVE, &pages, &copied, e)) {
        return (int)e->code;
    }
    if (pages > CHECKPOINT_LARGE_PAGES) {
        patience_ms = CHECKPOINT_LARGE_PATIENCE_MS;
    }
    sqlite3_busy_timeout(c->db, patience_ms);
    int rc = copy(c, SQLITE_CHECKPOINT_RESTART, &pages, &copied, e);
    sqlite3_busy_timeout(c->db, CONNECTION_BUSY_MS);
    end.whole = copied >= 0 && copied == pages;
    if (rc == 0 && !end.whole && !PLANTED("wal_that_is_left_is_not_synced")) {
        /* A reader of an old snapshot keeps pages from being copied. The WAL holds them, so that must last.
         */
        rc = sync_file(c, SQLITE_FCNTL_JOURNAL_POINTER, e);
    }
    rc = rc == 0 ? file_bytes(c, &end.bytes, e) : rc;
    if (rc == 0) {
        *ret_end = end;
    }
    return rc;
}
