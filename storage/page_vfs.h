/* page_vfs: an SQLite VFS for one database that knows a page that is damaged. On its way to the file each
 * page gets its checksum (page_sum.h), and each page that is read, from the file or from the WAL
 * (wal_sums.h), is verified: SQLite is given no byte of a wrong one, but SQLITE_IOERR_DATA. It does not know
 * what is in a page.
 *
 * The database has pages of PAGE_BYTES with PAGE_SUM_BYTES reserved at the end of each. The header, which
 * SQLite reads by itself before it knows whether the WAL has a newer one, passes; then the page that it is in
 * is read, and that is verified. Other files (journals, temporary ones) are those of the VFS below.
 *
 * Threads: any number of connections, each used by one thread at a time. */
#ifndef QUORATE_STORAGE_PAGE_VFS_H
#define QUORATE_STORAGE_PAGE_VFS_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct page_vfs;

enum { PAGE_VFS_TEXT_MAX = 400 };

/* Registers it, under a name that no other object of the process has. UNDER is the name of the VFS below
 * (NULL: the default one), which must stay registered. Errors: Q_NOT_FOUND there is no VFS of that name;
 * Q_NOMEM. */
int page_vfs_new(const char *under, struct page_vfs **ret_vfs, struct error *e);
/* Unregisters it; no connection may use it any more. NULL is fine. */
void page_vfs_free(struct page_vfs *v);

/* For sqlite3_open_v2(); lives as long as V. */
const char *page_vfs_name(const struct page_vfs *v);
/* How often a page was found bad. Any thread. */
uint64_t page_vfs_bad_pages(const struct page_vfs *v);

/* The last page that was found bad in the database of DB, as a sentence; false if there was none, or DB is
 * not on a page_vfs. */
bool page_vfs_last_bad(sqlite3 *db, char ret_text[PAGE_VFS_TEXT_MAX]);

#endif
