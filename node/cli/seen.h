/* seen: a set of keys that only grows, kept as 64-bit hashes. Two keys of one hash are taken for the same:
 * callers must only lose time or beauty by that. */
#ifndef QUORATE_NODE_CLI_SEEN_H
#define QUORATE_NODE_CLI_SEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

struct seen {
    uint64_t *slots; /* 0: empty */
    size_t cap, count;
};

/* A zeroed struct is an empty set. */
void seen_close(struct seen *s);
/* Adds a key; ret_new says whether it was not there yet. Errors: Q_NOMEM. */
int seen_add(struct seen *s, const void *key, size_t n, bool *ret_new, struct error *e);

#endif
