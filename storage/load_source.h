/* load_source: an SQLite file of somebody else as the stream of a load (load.h), piece by piece. It does not
 * know how the stream travels.
 *
 * Any version and page size, any text encoding, with or without a store's own tables, which are left out, as
 * statistics are. The file stays as it is; nobody else writes it meanwhile. */
#ifndef QUORATE_STORAGE_LOAD_SOURCE_H
#define QUORATE_STORAGE_LOAD_SOURCE_H

#include "base/buf.h"

struct load_source;

/* Opens the file at PATH through SQLite's own VFS named VFS (NULL: its default) and looks whether it is
 * sound, all of it. Errors: Q_INVALID it is no SQLite file, or damaged, or has a virtual table of a module
 * that cannot be; SQLite's. */
int load_source_open(const char *path, const char *vfs, struct load_source **ret_source, struct error *e);
void load_source_close(struct load_source *s); /* NULL is fine */

/* Appends the next bytes of the stream to OUT: whole records until there are MOST bytes or more, so that one
 * record may pass it. RET_END: that was the last of them. Errors: SQLite's; Q_NOMEM. */
int load_source_read(struct load_source *s, size_t most, struct buf *out, bool *ret_end, struct error *e);

struct load_source_progress {
    uint64_t rows, tables, tables_all;
};
void load_source_progress(const struct load_source *s, struct load_source_progress *ret_progress);

#endif
