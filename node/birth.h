/* birth: who a new machine is before its directory is a node's: the incarnation that the node will have. It
 * does not know how one joins a cluster.
 *
 * Who asks to join must be the same when it asks again, or its first self would be a member that never comes.
 * So the incarnation is made first, and kept in the file DIR/joining, durable before the first question:
 *
 *     quorate-joining-1 <incarnation, 16 hex digits>\n
 *
 * It is removed when the directory has become a node's. A machine that dies anywhere in between asks again as
 * the one that was let in. */
#ifndef QUORATE_NODE_BIRTH_H
#define QUORATE_NODE_BIRTH_H

#include "base/env.h"

/* Blocking. Makes DIR, if need be, and reads or makes the incarnation, which is not 0. Errors: Q_CORRUPT the
 * file is not as above; Q_IO, Q_NO_SPACE, Q_CONFLICT (DIR is a file). */
int birth_take(struct env *env, const char *dir, uint64_t *ret_incarnation, struct error *e);
/* Blocking. It is in the node's own files now. */
int birth_forget(struct env *env, const char *dir, struct error *e);

#endif
