#include "tests/unit/storage/behind.h"

#include "storage/page_vfs.h"
#include "tests/unit/test.h"

int behind_run(const char *path, const char *sql)
{
    struct page_vfs *vfs;
    struct error e;
    sqlite3 *db;

    if (page_vfs_new(NULL, &vfs, &e) != 0) {
        fail_msg("%s", e.text);
    }
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READWRITE, page_vfs_name(vfs)), SQLITE_OK);
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK) {
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
    }
    int changes = sqlite3_changes(db);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
    page_vfs_free(vfs);
    return changes;
}
