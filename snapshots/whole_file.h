/* whole_file: a small file that is read and replaced as a whole: under another name first, so that a crash
 * leaves the old content or the new one. It does not know what is in it.
 *
 * Threads: any lane; calls block. */
#ifndef QUORATE_SNAPSHOTS_WHOLE_FILE_H
#define QUORATE_SNAPSHOTS_WHOLE_FILE_H

#include "base/buf.h"
#include "base/env.h"

enum { WHOLE_FILE_PATH_MAX = 4096 };

/* What a file that is being written is called: its name and this. One that is found was left by a crash. */
#define WHOLE_FILE_NEW ".new"

/* DIR/NAME; Q_TOO_BIG. */
int whole_file_path(const char *dir, const char *name, char ret_path[WHOLE_FILE_PATH_MAX], struct error *e);
/* Appends all of the file to RET_BYTES, whose maximum holds. Errors: Q_NOT_FOUND, Q_TOO_BIG, Q_NOMEM, Q_IO.
 */
int whole_file_read(struct env *env, const char *path, struct buf *ret_bytes, struct error *e);
/* The halves of whole_file_write(), for who writes many: once the first of them is synced, the others cost
 * little. BEGIN writes the content under the temporary name; END makes it durable and gives it its name. FILE
 * is closed by END and by DROP, which leaves nothing behind, as END does after a failure. Errors: those of
 * whole_file_write(). */
int whole_file_begin(struct env *env, const char *dir, const char *name, const void *p, size_t n,
                     struct env_file **ret_file, struct error *e);
int whole_file_end(struct env *env, const char *dir, const char *name, struct env_file *file,
                   struct error *e);
void whole_file_drop(struct env *env, const char *dir, const char *name, struct env_file *file);
/* Makes or replaces DIR/NAME. The content is durable before the name is there; the name is durable after
 * env_sync_dir(DIR), which is the caller's. After a failure nothing has changed, and nothing is left. Errors:
 * Q_NO_SPACE, Q_IO, Q_TOO_BIG. */
int whole_file_write(struct env *env, const char *dir, const char *name, const void *p, size_t n,
                     struct error *e);
/* Unlinks what a crash left in DIR under a temporary name, and calls EACH for every other name. EACH does not
 * change the directory. Errors: Q_NOT_FOUND, Q_IO, Q_NOMEM; Q_TOO_BIG too many names. */
int whole_file_list(struct env *env, const char *dir, void (*each)(void *ctx, const char *name), void *ctx,
                    struct error *e);

#endif
