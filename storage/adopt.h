/* adopt: makes a store's database of an SQLite file that is not one, or of a copy of another store's: what a
 * new cluster begins with. It does not know clusters, nor where the file came from. */
#ifndef QUORATE_STORAGE_ADOPT_H
#define QUORATE_STORAGE_ADOPT_H

#include "storage/store.h"

/* A plain file becomes the content as of this index and term; a store's copy keeps its own. Not 1: no
 * cluster begins there (raft_glue/consensus_found.h). */
enum { ADOPT_INDEX = 2, ADOPT_TERM = 1 };

/* Copies FROM, which is only read (with its WAL, if one is beside it), into TO, which must not exist, and
 * puts the store's tables beside those that are there, or takes over those of a store; what those say of
 * members is left out. Then store_open() opens TO, after a scan for its digest. The same file gives the same
 * content everywhere. VFS as in struct store_config. Blocking; TO is not synced, and what is left of it after
 * an error is the caller's to remove. Errors: Q_NOT_FOUND there is no FROM; Q_MISMATCH not UTF-8, tables
 * named quorate_* that are not a store's, or a store's of a newer format; Q_CORRUPT it is no database, or a
 * damaged one; Q_NO_SPACE, Q_IO, Q_NOMEM. */
int store_adopt(const char *from, const char *to, const char *vfs, struct error *e);

#endif
