/* restore: the directory of a node of a new cluster, out of a directory of backups or of a plain SQLite file.
 * No node runs meanwhile. It does not know the command line.
 *
 * What DIR lacks to be a node's is made last: one that was broken off is refused by quorated, and by a second
 * restore. */
#ifndef QUORATE_NODE_CLI_RESTORE_H
#define QUORATE_NODE_CLI_RESTORE_H

#include "cluster/peers.h"
#include "node/cli/progress.h"

enum { RESTORE_NAME_MAX = 256 };

struct restore {
    struct env *env;
    const char *from; /* a directory of backups, or an SQLite file */
    uint64_t index;   /* of the backup; 0: the newest that is not damaged */
    const char *dir;  /* must be empty, or is made */
    uint64_t id;
    const struct peers_member *members;
    unsigned count;
    const char *cluster_name; /* NULL: that of the backup, or "quorate" */
    bool foreign_keys;
    uint64_t instructions_max;
    bool scan; /* read all of the content once more and compare it with its digest */
    struct progress *progress;
    /* What was made. */
    uint64_t at_index, at_term;
    char name[RESTORE_NAME_MAX]; /* of the new cluster */
};

/* Blocking. Errors: Q_NOT_FOUND there is no FROM, or no such backup; Q_CONFLICT DIR is not empty; Q_CORRUPT
 * what is damaged; as backup_open(), store_adopt() and found_make(). */
int restore_run(struct restore *r, struct error *e);

#endif
