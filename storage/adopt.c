#include "storage/adopt.h"

#include <errno.h>
#include <string.h>

#include "base/plant.h"
#include "storage/page_sum.h"
#include "storage/page_vfs.h"
#include "storage/sql_error.h"
#include "storage/state.h"
#include "storage/statement.h"

enum { VALUE_MAX = 200 };

struct adopt {
    const char *from, *to, *vfs;
    sqlite3 *source, *made;
    struct page_vfs *reads, *writes; /* of a file with checksums */
};

static int open_file(const char *path, const char *vfs, int flags, sqlite3 **ret_db, struct error *e)
{
    sqlite3 *db = NULL;
    int rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, vfs);

    if (rc != SQLITE_OK) {
        bool absent = db != NULL && sqlite3_system_errno(db) == ENOENT;
        rc = absent ? error_set(e, Q_NOT_FOUND, "there is no such file") : sql_error(db, rc, "opening it", e);
        sqlite3_close(db);
        return rc;
    }
    *ret_db = db;
    return 0;
}

/* The first column of the first row, as text; "" if there is none. */
static int ask(sqlite3 *db, const char *sql, char ret_value[VALUE_MAX], struct error *e)
{
    sqlite3_stmt *statement;
    const char *text = NULL;

    if (statement_new(db, sql, &statement, e)) {
        return (int)e->code;
    }
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        text = (const char *)sqlite3_column_text(statement, 0);
    }
    sqlite3_snprintf(VALUE_MAX, ret_value, "%s", text != NULL ? text : "");
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : sql_error(db, rc, sql, e);
}

static int check_source(sqlite3 *db, struct error *e)
{
    char value[VALUE_MAX], foreign[VALUE_MAX];

    if (ask(db, "PRAGMA encoding", value, e)) {
        return (int)e->code;
    }
    if (strcmp(value, "UTF-8") != 0) {
        return error_set(e, Q_MISMATCH, "its text is %s, and a store's is UTF-8: dump it and load the dump",
                         value);
    }
    if (ask(db, "SELECT count(*) FROM sqlite_schema WHERE name = 'quorate_state'", value, e) ||
        ask(db, "SELECT name FROM sqlite_schema WHERE name LIKE 'quorate\\_%' ESCAPE '\\' LIMIT 1", foreign,
            e)) {
        return (int)e->code;
    }
    if (strcmp(value, "0") == 0 && foreign[0] != '\0') {
        return error_set(e, Q_MISMATCH, "it has something named %s, but is not a store's database", foreign);
    }
    return 0;
}

/* A file without checksums gets none here: store_open() makes room for them. The settings are the copy's. */
static int copy_rows(struct adopt *a, struct error *e)
{
    sqlite3_stmt *statement;

    if (statement_once(a->source, "PRAGMA page_size = 4096; PRAGMA auto_vacuum = NONE", e) ||
        statement_new(a->source, "VACUUM INTO ?1", &statement, e)) {
        return (int)e->code;
    }
    int rc = sqlite3_bind_text(statement, 1, a->to, -1, SQLITE_STATIC);
    rc = rc == SQLITE_OK ? statement_run(statement) : rc;
    rc = rc == SQLITE_OK ? 0 : sql_error(a->source, rc, "copying it", e);
    sqlite3_finalize(statement);
    return rc == 0 ? open_file(a->to, a->vfs, SQLITE_OPEN_READWRITE, &a->made, e) : rc;
}

/* A file with checksums: each page is verified when it is read, and gets its own when it is written. */
static int copy_pages(struct adopt *a, struct error *e)
{
    char bad[PAGE_VFS_TEXT_MAX];
    sqlite3_backup *backup;

    sqlite3_close(a->source);
    a->source = NULL;
    if (page_vfs_new(a->vfs, &a->reads, e) || page_vfs_new(a->vfs, &a->writes, e) ||
        open_file(a->from, page_vfs_name(a->reads), SQLITE_OPEN_READONLY, &a->source, e) ||
        open_file(a->to, page_vfs_name(a->writes), SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &a->made, e)) {
        return (int)e->code;
    }
    backup = sqlite3_backup_init(a->made, "main", a->source, "main");
    if (backup == NULL) {
        return sql_error(a->made, sqlite3_errcode(a->made), "copying it", e);
    }
    int rc = sqlite3_backup_step(backup, -1);
    int end = sqlite3_backup_finish(backup);
    if (rc == SQLITE_DONE && end == SQLITE_OK) {
        return 0;
    }
    /* The backup has only its own words for what was read. */
    if (page_vfs_last_bad(a->source, bad)) {
        return error_set(e, Q_CORRUPT, "%s", bad);
    }
    return sql_error(a->made, end != SQLITE_OK ? end : rc, "copying it", e);
}

static int copy(struct adopt *a, struct error *e)
{
    char store[VALUE_MAX];
    int reserved = -1;
    int rc = sqlite3_file_control(a->source, "main", SQLITE_FCNTL_RESERVE_BYTES, &reserved);

    if (rc != SQLITE_OK) {
        return sql_error(a->source, rc, "looking at its pages", e);
    }
    if (reserved == 0) {
        return copy_rows(a, e);
    }
    if (ask(a->source, "SELECT count(*) FROM sqlite_schema WHERE name = 'quorate_state'", store, e)) {
        return (int)e->code;
    }
    if (reserved != PAGE_SUM_BYTES || strcmp(store, "1") != 0) {
        return error_set(e, Q_MISMATCH,
                         "another program keeps %d bytes of its own in each page: dump it and load the dump",
                         reserved);
    }
    return copy_pages(a, e);
}

static int check_copy(sqlite3 *db, struct error *e)
{
    char value[VALUE_MAX];

    if (ask(db, "PRAGMA quick_check(1)", value, e)) {
        return (int)e->code;
    }
    if (strcmp(value, "ok") != 0 && !PLANTED("damaged_files_are_adopted")) {
        return error_set(e, Q_CORRUPT, "it is damaged: %s", value);
    }
    return 0;
}

int store_adopt(const char *from, const char *to, const char *vfs, struct error *e)
{
    struct adopt a = {.from = from, .to = to, .vfs = vfs};
    struct error mine;

    e = e != NULL ? e : &mine;
    int rv = open_file(from, vfs, SQLITE_OPEN_READONLY, &a.source, e);
    rv = rv == 0 ? check_source(a.source, e) : rv;
    rv = rv == 0 ? copy(&a, e) : rv;
    rv = rv == 0 ? check_copy(a.made, e) : rv;
    rv = rv == 0 ? state_adopt(a.made, ADOPT_INDEX, ADOPT_TERM, e) : rv;
    sqlite3_close(a.source);
    sqlite3_close(a.made);
    page_vfs_free(a.reads);
    page_vfs_free(a.writes);
    return rv == 0 ? 0 : error_wrap(e, "SQLite file %s", from);
}
