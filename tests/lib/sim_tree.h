/* sim_tree: the names of a simulated disk: directories, and which of their changes a crash may undo. It knows
 * the files that the names stand for, but nothing of faults or of who opens them.
 *
 * Every directory has two lists of names, NOW and SAFE, as a file has two images. A change is made to NOW at
 * once and waits in the tree's list of changes; sync_dir and a crash carry changes over to SAFE. */
#ifndef QUORATE_TESTS_LIB_SIM_TREE_H
#define QUORATE_TESTS_LIB_SIM_TREE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"
#include "base/rng.h"
#include "tests/lib/sim_file.h"

struct sim_inode;

struct sim_name {
    char *text;
    struct sim_inode *inode;
};

/* Sorted by text. */
struct sim_names {
    struct sim_name *v;
    size_t n, cap;
};

struct sim_inode {
    bool is_dir, locked;
    unsigned refs;    /* names in both lists, waiting changes, open files */
    unsigned links;   /* names in NOW lists */
    unsigned handles; /* open files */
    struct sim_file file;
    struct sim_names now, safe; /* of a directory */
    struct list all;
};

struct sim_tree {
    struct sim_inode *root;
    struct list all;     /* every inode, by age */
    struct list changes; /* struct change in sim_tree.c, by age */
};

void sim_tree_init(struct sim_tree *t);
/* No inode is held any more. */
void sim_tree_close(struct sim_tree *t);
/* Makes TO, as init does, with the names and bytes that FROM has now, all of them safe. */
void sim_tree_copy(struct sim_tree *to, const struct sim_tree *from);

void sim_inode_hold(struct sim_inode *inode);
void sim_inode_drop(struct sim_inode *inode);

/* Q_NOT_FOUND when any part is missing; Q_IO when a part on the way is a file. */
int sim_tree_find(const struct sim_tree *t, const char *path, struct sim_inode **ret_inode, struct error *e);
/* A path of the file; false when it has none any more. Linear in the names. */
bool sim_tree_path(const struct sim_tree *t, const struct sim_inode *inode, char *ret_path, size_t n);
/* Q_NOT_FOUND without the parent; Q_CONFLICT when the name is taken. */
int sim_tree_make(struct sim_tree *t, const char *path, bool is_dir, struct sim_inode **ret_inode,
                  struct error *e);
/* Files only. */
int sim_tree_unlink(struct sim_tree *t, const char *path, struct error *e);
/* Replaces a file or an empty directory of the same kind. A directory moves only within its parent. */
int sim_tree_rename(struct sim_tree *t, const char *from, const char *to, struct error *e);
/* Makes every waiting change of this directory safe, and the earlier changes those stand on. */
void sim_tree_sync(struct sim_tree *t, struct sim_inode *dir);
/* Power loss: names and the bytes of all files. */
void sim_tree_crash(struct sim_tree *t, struct rng *rng, struct sim_torn *names, struct sim_torn *sectors);
/* Calls EACH for every file, in the order of their paths. */
void sim_tree_each_file(struct sim_tree *t, void (*each)(void *ctx, const char *path, uint64_t size),
                        void *ctx);

#endif
