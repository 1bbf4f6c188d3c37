/* name_set: a set of chunk names in memory, 32 bytes and a little slack for each. It does not know what they
 * name. */
#ifndef QUORATE_SNAPSHOTS_NAME_SET_H
#define QUORATE_SNAPSHOTS_NAME_SET_H

#include "snapshots/chunk.h"

struct name_set {
    struct chunk_name *slot; /* open addressing; the name of zeros is an empty slot */
    size_t slots, count;     /* SLOTS is 0 or a power of two */
};

/* A zeroed struct is an empty set, and may be closed. */
void name_set_close(struct name_set *s);
bool name_set_has(const struct name_set *s, const struct chunk_name *name);
/* Adding one that is there does nothing. Errors: Q_NOMEM; Q_INVALID the name of zeros, which nothing has. */
int name_set_add(struct name_set *s, const struct chunk_name *name, struct error *e);
void name_set_remove(struct name_set *s, const struct chunk_name *name);
/* Calls EACH for every name, in no order. EACH does not change the set. */
void name_set_each(const struct name_set *s, void (*each)(void *ctx, const struct chunk_name *name),
                   void *ctx);

#endif
