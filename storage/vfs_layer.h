/* vfs_layer: an SQLite VFS that stands on another and passes everything on, and files that do the same: the
 * ground for those that change a few of the methods. It does not know what they change. */
#ifndef QUORATE_STORAGE_VFS_LAYER_H
#define QUORATE_STORAGE_VFS_LAYER_H

#include <sqlite3.h>

#include "base/error.h"

enum { VFS_LAYER_NAME_MAX = 48, VFS_LAYER_VERSIONS = 3 };

/* Memory of the caller. */
struct vfs_layer {
    sqlite3_vfs vfs; /* methods may be replaced between init and register */
    sqlite3_vfs *under;
    int file_bytes;
    char name[VFS_LAYER_NAME_MAX];
    /* Of its files, by what the file below can do: SQLite takes no method of a higher version, and for shared
     * memory it looks at the pointers too. */
    sqlite3_io_methods with_shared_memory[VFS_LAYER_VERSIONS], without[VFS_LAYER_VERSIONS];
};

/* First member of the layer's files. */
struct vfs_layer_file {
    sqlite3_file base;
    sqlite3_file *below;
};

/* UNDER is the name of the VFS below (NULL: the default one), which must stay registered. The layer's name
 * begins with KIND and is no other's. OWNER becomes pAppData. A file takes FILE_BYTES besides the one below.
 * OWN: the methods of its files that differ; NULL those that pass on. Q_NOT_FOUND there is no VFS of that
 * name. */
int vfs_layer_init(struct vfs_layer *l, const char *under, const char *kind, void *owner, int file_bytes,
                   const sqlite3_io_methods *own, struct error *e);
/* Q_NOMEM. */
int vfs_layer_register(struct vfs_layer *l, struct error *e);
/* Unregisters; no connection may use it any more. */
void vfs_layer_close(struct vfs_layer *l);

/* Opens the file below, whose memory is behind FILE_BYTES of FILE. */
int vfs_layer_open(struct vfs_layer *l, const char *name, struct vfs_layer_file *file, int flags,
                   int *ret_flags);

#endif
