/* sim_handle: the open files of a simulated process and its writes in flight. The file operations of the env
 * table; their contracts stand in base/env.h. */
#ifndef QUORATE_TESTS_LIB_SIM_HANDLE_H
#define QUORATE_TESTS_LIB_SIM_HANDLE_H

#include "base/env.h"

struct sim_world;

void sim_handles_init(struct sim_world *w);
/* Lets go of the disk: every write in flight is torn (POWER_LOSS) or happened or did not. */
void sim_handles_die(struct sim_world *w, bool power_loss);
/* Files that a dead process never closed. */
void sim_handles_free(struct sim_world *w);

int sim_handle_open(struct env *env, const char *path, unsigned flags, struct env_file **ret_file,
                    struct error *e);
void sim_handle_close(struct env_file *f);
int sim_handle_size(struct env_file *f, uint64_t *ret_size, struct error *e);
int sim_handle_read(struct env_file *f, uint64_t offset, void *p, size_t n, size_t *ret_n, struct error *e);
int sim_handle_write(struct env_file *f, uint64_t offset, const void *p, size_t n, struct error *e);
int sim_handle_sync(struct env_file *f, struct error *e);
/* Not of the env table: for the VFS (sim_vfs.h). */
int sim_handle_truncate(struct env_file *f, uint64_t size, struct error *e);
int sim_handle_stat(struct env *env, const char *path, uint64_t *ret_size, struct error *e);
int sim_handle_rename(struct env *env, const char *from, const char *to, struct error *e);
int sim_handle_unlink(struct env *env, const char *path, struct error *e);
int sim_handle_make_dir(struct env *env, const char *path, struct error *e);
int sim_handle_sync_dir(struct env *env, const char *path, struct error *e);
int sim_handle_list_dir(struct env *env, const char *path, void (*each)(void *ctx, const char *name),
                        void *ctx, struct error *e);
int sim_handle_lock(struct env *env, const char *path, struct env_file **ret_file, struct error *e);
int sim_handle_space(struct env *env, const char *path, uint64_t *ret_free, struct error *e);
void sim_handle_submit_write(struct env *env, struct env_write *write);

#endif
