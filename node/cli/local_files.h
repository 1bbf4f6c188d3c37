/* local_files: the files of this machine as an env, for commands that work on a directory by themselves,
 * without a node. Only the blocking file operations of base/env.h may be used: nothing runs its loop. */
#ifndef QUORATE_NODE_CLI_LOCAL_FILES_H
#define QUORATE_NODE_CLI_LOCAL_FILES_H

#include "base/env.h"

struct local_files;

/* Errors: Q_NOMEM, Q_IO. */
int local_files_open(struct local_files **ret_files, struct error *e);
/* Everything that was opened there is closed. NULL is fine. */
void local_files_close(struct local_files *f);
struct env *local_files_env(struct local_files *f);

#endif
