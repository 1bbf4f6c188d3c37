#include "storage/sql_error.h"

#include <stddef.h>

#include "base/plant.h"
#include "storage/file_watch.h"
#include "storage/page_vfs.h"

static enum error_code code_of(int rc)
{
    /* FTS5 and R-tree find contradictions that a client put there (an external content table,
     * 'integrity-check'): the same on every node, and what one node's disk did shows in the digest. */
    if (rc == SQLITE_CORRUPT_VTAB) {
        return Q_SQL;
    }
    if (rc == SQLITE_IOERR_NOMEM) {
        return Q_NOMEM;
    }
    if (rc == SQLITE_IOERR_DATA && !PLANTED("bad_page_is_an_io_error")) {
        return Q_CORRUPT;
    }
    switch (rc & 0xff) {
    case SQLITE_NOMEM: return Q_NOMEM;
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
    case SQLITE_FORMAT: return Q_CORRUPT;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_NOLFS:
    case SQLITE_READONLY: return Q_IO;
    case SQLITE_BUSY:
    case SQLITE_PROTOCOL: return Q_BUSY;
    case SQLITE_INTERRUPT: return Q_TIMEOUT;
    case SQLITE_TOOBIG: return Q_TOO_BIG;
    case SQLITE_AUTH: return Q_DENIED;
    }
    return Q_SQL;
}

/* SQLite also says "full" of a table that has run out of row ids: the same on every node. */
static enum error_code refine(int rc, bool watched, const struct file_failure *failure)
{
    bool failed = watched && failure->rc != SQLITE_OK;

    switch (rc & 0xff) {
    case SQLITE_FULL: return watched && !failed && !PLANTED("every_full_is_the_disks") ? Q_SQL : Q_NO_SPACE;
    case SQLITE_IOERR:
    case SQLITE_CANTOPEN: return failed && failure->no_space ? Q_NO_SPACE : code_of(rc);
    }
    return code_of(rc);
}

int sql_error(sqlite3 *db, int rc, const char *what, struct error *e)
{
    /* A call on one of its files leaves nothing in the connection, and a lack of memory what was there. */
    bool has_words = db != NULL && (sqlite3_errcode(db) & 0xff) == (rc & 0xff);
    const char *words = has_words ? sqlite3_errmsg(db) : sqlite3_errstr(rc);
    struct file_failure failure = {.rc = SQLITE_OK};
    bool watched = db != NULL && file_watch_take(db, &failure);
    enum error_code code = refine(rc, watched, &failure);
    char bad_page[PAGE_VFS_TEXT_MAX];

    if (rc == SQLITE_IOERR_DATA && db != NULL && page_vfs_last_bad(db, bad_page)) {
        return error_set(e, code, "%s: %s", what, bad_page);
    }
    if (sql_error_is_nodes(code) && failure.rc != SQLITE_OK) {
        return error_set(e, code, "%s: %s: %s", what, words, failure.text);
    }
    return error_set(e, code, "%s: %s", what, words);
}

bool sql_error_is_nodes(enum error_code code)
{
    return code == Q_NOMEM || (code == Q_NO_SPACE && !PLANTED("full_disk_is_the_clients_fault")) ||
           code == Q_CORRUPT || code == Q_IO || code == Q_BUSY;
}
