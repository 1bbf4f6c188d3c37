/* env_disk: the blocking file operations of struct env_ops, with its signatures, so that the table can name
 * them. It does not know about threads or the loop; asynchronous writes are env_writes.
 *
 * A file opened with ENV_DIRECT has two descriptors: a plain one for the blocking operations, which may then
 * have any offset, length and memory, and one with O_DIRECT for the asynchronous writes. Where the file
 * system refuses O_DIRECT there is only the plain one. The kernel keeps the two views of the file coherent.
 *
 * Errors are those of error_errno() and name the operation, the offset and the path; besides these Q_CONFLICT
 * where a file to be made, or a lock, is there already. */
#ifndef QUORATE_NODE_ENV_DISK_H
#define QUORATE_NODE_ENV_DISK_H

#include "base/env.h"
#include "base/object.h"

struct env_file {
    OBJECT_MAGIC;
    int fd;
    int direct_fd; /* -1: none */
    bool durable;
    size_t writes_in_flight; /* counted by env_writes; loop only */
    char path[];
};

int env_disk_open(struct env *env, const char *path, unsigned flags, struct env_file **ret_file,
                  struct error *e);
void env_disk_close(struct env_file *f);
int env_disk_size(struct env_file *f, uint64_t *ret_size, struct error *e);
int env_disk_read(struct env_file *f, uint64_t offset, void *p, size_t n, size_t *ret_n, struct error *e);
int env_disk_write(struct env_file *f, uint64_t offset, const void *p, size_t n, struct error *e);
int env_disk_sync(struct env_file *f, struct error *e);
int env_disk_rename(struct env *env, const char *from, const char *to, struct error *e);
int env_disk_unlink(struct env *env, const char *path, struct error *e);
int env_disk_make_dir(struct env *env, const char *path, struct error *e);
int env_disk_sync_dir(struct env *env, const char *path, struct error *e);
int env_disk_list_dir(struct env *env, const char *path, void (*each)(void *ctx, const char *name), void *ctx,
                      struct error *e);
int env_disk_lock(struct env *env, const char *path, struct env_file **ret_file, struct error *e);
int env_disk_space(struct env *env, const char *path, uint64_t *ret_free, struct error *e);

/* The descriptor for an asynchronous write of these bytes: the one with O_DIRECT if there is one and all
 * three are aligned, else the plain one. */
int env_disk_write_fd(const struct env_file *f, const void *data, size_t len, uint64_t offset);
/* Explains a failed write; returns its code. */
int env_disk_write_error(const struct env_file *f, uint64_t offset, size_t n, int errno_value,
                         struct error *e);

#endif
