#include "storage/convert.h"

#include <stdio.h>
#include <string.h>

#include "base/plant.h"
#include "storage/determinism.h"
#include "storage/digest.h"
#include "storage/page_sum.h"
#include "storage/sql_error.h"
#include "storage/state.h"
#include "storage/statement.h"

enum {
    HEADER_BYTES = 100,
    RESERVED_AT = 20, /* in the header: how many bytes each page reserves */
    LINE_MAX_BYTES = 600,
};

static const char first_words[16] = "SQLite format 3";

static int exists(const struct connection_place *plain, bool *ret_exists, struct error *e)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(plain->vfs);
    int found = 0;

    if (vfs == NULL) {
        return error_set(e, Q_NOT_FOUND, "there is no SQLite VFS named %s", plain->vfs);
    }
    int rc = vfs->xAccess(vfs, plain->name, SQLITE_ACCESS_EXISTS, &found);
    *ret_exists = found != 0;
    return rc == SQLITE_OK ? 0 : sql_error(NULL, rc, plain->name, e);
}

/* From the file itself, whatever the WAL has. ret_n: as much as there is. */
static int read_file(sqlite3 *db, uint8_t *p, int n, sqlite3_int64 offset, struct error *e)
{
    sqlite3_file *file = NULL;
    int rc = sqlite3_file_control(db, "main", SQLITE_FCNTL_FILE_POINTER, &file);

    memset(p, 0, (size_t)n);
    rc = rc == SQLITE_OK ? file->pMethods->xRead(file, p, n, offset) : rc;
    return rc == SQLITE_OK || rc == SQLITE_IOERR_SHORT_READ ? 0 : sql_error(db, rc, "reading the file", e);
}

/* Whether the file, as far as one can see without its WAL, is a database without the room. No statement is
 * run: it would open the WAL, and the end of the connection would copy that back without checksums. */
static int looks_old(const struct connection_place *plain, bool *ret_old, struct error *e)
{
    uint8_t header[HEADER_BYTES];
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(plain->name, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_EXRESCODE, plain->vfs);

    rc = rc == SQLITE_OK ? read_file(db, header, sizeof header, 0, e) : sql_error(db, rc, plain->name, e);
    sqlite3_close(db);
    if (rc == 0) {
        *ret_old =
            memcmp(header, first_words, sizeof first_words) == 0 && header[RESERVED_AT] != PAGE_SUM_BYTES;
    }
    return rc;
}

/* A file whose pages have checksums, but whose header says otherwise, is damaged: a bit is enough. */
static int check_not_damaged(sqlite3 *db, const char *name, struct error *e)
{
    uint8_t first[PAGE_BYTES], second[PAGE_BYTES];
    static const uint8_t none[PAGE_BYTES];

    if (read_file(db, first, PAGE_BYTES, 0, e) || read_file(db, second, PAGE_BYTES, PAGE_BYTES, e)) {
        return (int)e->code;
    }
    first[RESERVED_AT] = PAGE_SUM_BYTES;
    bool has_sums =
        page_sum_ok(first, 1) || (memcmp(second, none, PAGE_BYTES) != 0 && page_sum_ok(second, 2));
    return has_sums ? error_set(e, Q_CORRUPT, "page 1 of %s fails its checksum", name) : 0;
}

static int64_t number(sqlite3 *db, const char *sql, int *ret_rc)
{
    sqlite3_stmt *statement = NULL;
    int rc = sqlite3_prepare_v2(db, sql, -1, &statement, NULL);

    rc = rc == SQLITE_OK ? sqlite3_step(statement) : rc;
    int64_t answer = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    sqlite3_finalize(statement);
    *ret_rc = rc == SQLITE_ROW ? SQLITE_OK : rc;
    return answer;
}

/* ret_empty: no tables at all. */
static int check_is_store(sqlite3 *db, bool *ret_empty, struct error *e)
{
    int rc;
    int64_t all = number(db, "SELECT count(*) FROM sqlite_schema", &rc), own = 0;

    if (rc == SQLITE_OK) {
        own = number(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'quorate_state'", &rc);
    }
    if (rc != SQLITE_OK) {
        return sql_error(db, rc, "reading the schema", e);
    }
    *ret_empty = all == 0;
    return all == 0 || own > 0 ? 0 : error_set(e, Q_MISMATCH, "it has tables, but not those of a store");
}

static int reserved(sqlite3 *db)
{
    int bytes = -1;
    return sqlite3_file_control(db, "main", SQLITE_FCNTL_RESERVE_BYTES, &bytes) == SQLITE_OK ? bytes : 0;
}

static int compare(sqlite3 *db, struct error *e)
{
    uint8_t found[DIGEST_BYTES];
    struct buf names;
    sqlite3_stmt *saved;

    if (statement_new(db, STATE_DIGEST_SQL, &saved, e)) {
        return (int)e->code;
    }
    buf_init(&names, SIZE_MAX);
    int rc = sqlite3_step(saved);
    if (rc != SQLITE_ROW) {
        rc = rc == SQLITE_DONE ? error_set(e, Q_CORRUPT, "quorate_state has no digest")
                               : sql_error(db, rc, "reading the digest", e);
    } else if (sqlite3_column_type(saved, 0) == SQLITE_NULL) {
        rc = 0; /* before the first entry */
    } else {
        rc = digest_check(db, sqlite3_column_blob(saved, 0), (size_t)sqlite3_column_bytes(saved, 0), found,
                          &names, e);
    }
    sqlite3_finalize(saved);
    if (rc == 0 && names.len > 0) {
        rc = error_set(e, Q_CORRUPT, "converted, its rows differ from its digest: %.*s", (int)names.len,
                       (const char *)names.data);
    }
    buf_close(&names);
    return rc;
}

struct conversion {
    struct connection_place place; /* of the old one; its VFS has the clock */
    struct connection_place new_place;
    struct determinism *determinism;
    struct authorizer authorizer; /* of the new one's connection */
    sqlite3 *old, *new;
};

static int remove_new(struct conversion *c, struct error *e)
{
    sqlite3_vfs *vfs = sqlite3_vfs_find(c->place.vfs);
    int rc = vfs->xDelete(vfs, c->new_place.name, 1);

    return rc == SQLITE_OK || rc == SQLITE_IOERR_DELETE_NOENT ? 0 : sql_error(NULL, rc, c->new_place.name, e);
}

static int write_new(struct conversion *c, struct error *e)
{
    char *sql = sqlite3_mprintf("VACUUM INTO %Q", c->new_place.name);
    int rc =
        sql != NULL ? connection_reserve(c->old, PAGE_SUM_BYTES, e) : error_set(e, Q_NOMEM, "out of memory");

    sqlite3_limit(c->old, SQLITE_LIMIT_ATTACHED, 1); /* the new one, meanwhile */
    rc = rc == 0 ? statement_once(c->old, sql, e) : rc;
    sqlite3_free(sql);
    return rc;
}

static int open_new(struct conversion *c, struct error *e)
{
    if (connection_open(&c->new_place, CONNECTION_READ, &c->new, e) ||
        determinism_attach_reader(&c->authorizer, c->new, e)) {
        return (int)e->code;
    }
    authorizer_trust(&c->authorizer, true);
    return 0;
}

static int copy_over(struct conversion *c, struct error *e)
{
    sqlite3_backup *backup = sqlite3_backup_init(c->old, "main", c->new, "main");

    if (backup != NULL) {
        sqlite3_backup_step(backup, -1);
        sqlite3_backup_finish(backup);
    }
    int rc = sqlite3_extended_errcode(c->old);
    return rc == SQLITE_OK ? 0 : sql_error(c->old, rc, "copying what was converted", e);
}

static int rewrite(struct conversion *c, bool empty, struct error *e)
{
    int rc = remove_new(c, e);

    rc = rc == 0 ? write_new(c, e) : rc;
    rc = rc == 0 ? open_new(c, e) : rc;
    rc = rc == 0 && !empty && !PLANTED("conversion_is_not_compared") ? compare(c->new, e) : rc;
    return rc == 0 ? copy_over(c, e) : rc;
}

static int convert(struct conversion *c, void (*say)(void *ctx, const char *line), void *ctx, struct error *e)
{
    char line[LINE_MAX_BYTES];
    bool empty;
    int sql_rc;

    if (check_is_store(c->old, &empty, e)) {
        return (int)e->code;
    }
    if (reserved(c->old) == PAGE_SUM_BYTES) { /* in the WAL, by an earlier process */
        return remove_new(c, e);
    }
    if (check_not_damaged(c->old, c->place.name, e)) {
        return (int)e->code;
    }
    int64_t pages = number(c->old, "PRAGMA page_count", &sql_rc);
    snprintf(line, sizeof line, "converting database=%s bytes=%lld", c->place.name,
             (long long)pages * PAGE_BYTES);
    if (say != NULL) {
        say(ctx, line);
    }
    int rc = rewrite(c, empty, e);
    sqlite3_close(c->new);
    c->new = NULL;
    if (remove_new(c, rc == 0 ? e : NULL) != 0 && rc == 0) {
        rc = (int)e->code;
    }
    snprintf(line, sizeof line, "converted database=%s", c->place.name);
    if (rc == 0 && say != NULL) {
        say(ctx, line);
    }
    return rc;
}

/* The writer's kind of connection: indexes on expressions are built anew, too. */
static int open_old(struct conversion *c, struct error *e)
{
    int rc = connection_open(&c->place, CONNECTION_WRITE, &c->old, e);

    if (rc == 0 && !PLANTED("conversion_writes_pages_without_checksums")) {
        connection_keep_wal(c->old);
    }
    rc = rc == 0 ? determinism_attach(c->determinism, c->old, e) : rc;
    if (rc == 0) {
        determinism_trust(c->determinism, true);
    }
    return rc;
}

int convert_if_needed(const struct connection_place *plain, void (*say)(void *ctx, const char *line),
                      void *ctx, struct error *e)
{
    struct conversion c = {.place = *plain, .new_place = *plain};
    bool there = false, old = false;
    char *name;

    if (exists(plain, &there, e) || (there && looks_old(plain, &old, e))) {
        return (int)e->code;
    }
    if (!old) {
        return 0;
    }
    name = sqlite3_mprintf("%s-converted", plain->name);
    int rc = name != NULL ? determinism_new(plain->vfs, &c.determinism, e)
                          : error_set(e, Q_NOMEM, "out of memory");
    if (rc == 0) {
        c.place.vfs = determinism_vfs(c.determinism);
        c.new_place.name = name;
        rc = open_old(&c, e);
        rc = rc == 0 ? convert(&c, say, ctx, e) : rc;
    }
    determinism_detach(c.determinism);
    sqlite3_close(c.old);
    determinism_free(c.determinism);
    sqlite3_free(name);
    return rc;
}
