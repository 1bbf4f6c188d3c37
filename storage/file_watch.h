/* file_watch: files of an SQLite VFS that remember how the disk failed them: SQLite itself only says "disk
 * I/O error", and "database or disk is full" for other things as well (a table that has run out of row ids).
 *
 * A watched file stands on a file of the VFS below and passes everything on. All files of one connection
 * share one struct file_failure, which whoever opens them provides; sql_error() asks for it and empties it. A
 * connection may be used by one thread at a time. */
#ifndef QUORATE_STORAGE_FILE_WATCH_H
#define QUORATE_STORAGE_FILE_WATCH_H

#include <sqlite3.h>
#include <stdbool.h>

#include "storage/vfs_layer.h"

enum { FILE_FAILURE_TEXT_MAX = 384 };

/* The last failure that SQLite was told of; RC is SQLITE_OK if there was none. */
struct file_failure {
    int rc;
    bool no_space; /* there was no room for what is new: nothing that was there is in doubt */
    char text[FILE_FAILURE_TEXT_MAX]; /* operation, place, file, and what the system said */
};

/* For a layer (vfs_layer.h) that opens its files here: what they take, their methods, and its xOpen. FAILURE
 * is kept until the file is closed. */
int file_watch_bytes(void);
const sqlite3_io_methods *file_watch_methods(void);
int file_watch_open(struct vfs_layer *layer, struct file_failure *failure, const char *name,
                    sqlite3_file *file, int flags, int *ret_flags);

/* Takes the last failure out of the files of DB; false when they are not watched. */
bool file_watch_take(sqlite3 *db, struct file_failure *ret_failure);

#endif
