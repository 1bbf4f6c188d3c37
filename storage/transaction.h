/* transaction: the writer's transaction and the savepoints in it, kept in step with the digest. It does not
 * know what is written.
 *
 *     begin ── save ── save ── release / undo ── release / undo ── commit
 *       └───────┴───────┴── abandon, from anywhere
 *
 * A client's statement can end the whole transaction behind our back (ON CONFLICT ROLLBACK, RAISE(ROLLBACK)),
 * or leave what cannot be saved. The transaction is then lost: only abandon is left. */
#ifndef QUORATE_STORAGE_TRANSACTION_H
#define QUORATE_STORAGE_TRANSACTION_H

#include "storage/digest.h"

enum { TRANSACTION_SAVEPOINTS = 2 }; /* at once: a command's and a statement's */

/* Memory of the caller; its fields are private. Zeroed until init. */
struct transaction {
    sqlite3 *db;
    struct digest *digest;
    sqlite3_stmt *begin, *commit, *rollback;
    sqlite3_stmt *save[TRANSACTION_SAVEPOINTS], *release[TRANSACTION_SAVEPOINTS],
        *undo[TRANSACTION_SAVEPOINTS];
    bool doomed;
    unsigned depth; /* 0 none, 1 begun, 2 and more: savepoints */
};

/* DB and DIGEST are kept until close. Errors of all functions: SQLite's, this node's. */
int transaction_init(struct transaction *t, sqlite3 *db, struct digest *digest, struct error *e);
/* No transaction may be open. A zeroed struct may be closed. */
void transaction_close(struct transaction *t);

/* Takes the write lock at once. */
int transaction_begin(struct transaction *t, struct error *e);
int transaction_save(struct transaction *t, struct error *e);
/* Keeps what was done since the last save. */
int transaction_release(struct transaction *t, struct error *e);
/* Takes back what was done since the last save, and ends that savepoint. */
int transaction_undo(struct transaction *t, struct error *e);
int transaction_commit(struct transaction *t, struct error *e);
/* Takes back everything. Also when it is lost, and when there is none. */
void transaction_abandon(struct transaction *t);
/* Declares it lost: something in it can neither be kept nor be taken back alone. */
void transaction_doom(struct transaction *t);
/* Whether SQLite has rolled it back by itself, or it is doomed. */
bool transaction_lost(const struct transaction *t);

#endif
