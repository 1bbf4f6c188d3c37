#include "node/cli/seen.h"

#include <stdlib.h>

enum { SEEN_FIRST = 1024 };

void seen_close(struct seen *s)
{
    free(s->slots);
    *s = (struct seen){0};
}

/* FNV-1a. Never 0. */
static uint64_t hash_of(const uint8_t *p, size_t n)
{
    uint64_t h = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < n; i++) {
        h = (h ^ p[i]) * UINT64_C(1099511628211);
    }
    return h != 0 ? h : 1;
}

static bool put(uint64_t *slots, size_t cap, uint64_t hash)
{
    size_t i = (size_t)(hash ^ (hash >> 32)) & (cap - 1);
    while (slots[i] != 0 && slots[i] != hash) {
        i = (i + 1) & (cap - 1);
    }
    if (slots[i] == hash) {
        return false;
    }
    slots[i] = hash;
    return true;
}

static int grow(struct seen *s, struct error *e)
{
    size_t cap = s->cap != 0 ? s->cap * 2 : SEEN_FIRST;
    uint64_t *slots = calloc(cap, sizeof *slots);

    if (slots == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for %zu keys", s->count);
    }
    for (size_t i = 0; i < s->cap; i++) {
        if (s->slots[i] != 0) {
            put(slots, cap, s->slots[i]);
        }
    }
    free(s->slots);
    s->slots = slots;
    s->cap = cap;
    return 0;
}

int seen_add(struct seen *s, const void *key, size_t n, bool *ret_new, struct error *e)
{
    if (s->count * 2 >= s->cap) {
        int rv = grow(s, e);
        if (rv != 0) {
            return rv;
        }
    }
    *ret_new = put(s->slots, s->cap, hash_of(key, n));
    s->count += *ret_new;
    return 0;
}
