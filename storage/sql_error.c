#include "storage/sql_error.h"

#include <stddef.h>

static enum error_code code_of(int rc)
{
    /* FTS5 and R-tree find contradictions that a client put there (an external content table,
     * 'integrity-check'): the same on every node, and what one node's disk did shows in the digest. */
    if (rc == SQLITE_CORRUPT_VTAB) {
        return Q_SQL;
    }
    switch (rc & 0xff) {
    case SQLITE_NOMEM: return Q_NOMEM;
    case SQLITE_FULL: return Q_NO_SPACE;
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

int sql_error(sqlite3 *db, int rc, const char *what, struct error *e)
{
    const char *words = db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(rc);

    return error_set(e, code_of(rc), "%s: %s", what, words);
}

bool sql_error_is_nodes(enum error_code code)
{
    return code == Q_NOMEM || code == Q_NO_SPACE || code == Q_CORRUPT || code == Q_IO || code == Q_BUSY;
}
