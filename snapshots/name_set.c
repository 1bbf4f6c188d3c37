#include "snapshots/name_set.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS_AT_FIRST = 64 };

static const struct chunk_name none;

static bool is_free(const struct chunk_name *slot)
{
    return chunk_name_equal(slot, &none);
}

/* Names are hashes already: their first bytes are as good as any. */
static size_t home_of(const struct name_set *s, const struct chunk_name *name)
{
    return (size_t)get_le64(name->sha256) & (s->slots - 1);
}

/* Where NAME is, or the free slot where it would be. There is always a free one. */
static size_t find(const struct name_set *s, const struct chunk_name *name)
{
    size_t at = home_of(s, name);
    while (!is_free(&s->slot[at]) && !chunk_name_equal(&s->slot[at], name)) {
        at = (at + 1) & (s->slots - 1);
    }
    return at;
}

void name_set_close(struct name_set *s)
{
    free(s->slot);
    *s = (struct name_set){0};
}

bool name_set_has(const struct name_set *s, const struct chunk_name *name)
{
    return s->slots > 0 && !is_free(name) && !is_free(&s->slot[find(s, name)]);
}

static int grow(struct name_set *s, struct error *e)
{
    struct name_set larger = {.slots = s->slots == 0 ? SLOTS_AT_FIRST : s->slots * 2, .count = s->count};
    larger.slot = calloc(larger.slots, sizeof *larger.slot);
    if (larger.slot == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for %zu chunk names", larger.slots);
    }
    for (size_t i = 0; i < s->slots; i++) {
        if (!is_free(&s->slot[i])) {
            larger.slot[find(&larger, &s->slot[i])] = s->slot[i];
        }
    }
    free(s->slot);
    *s = larger;
    return 0;
}

int name_set_add(struct name_set *s, const struct chunk_name *name, struct error *e)
{
    if (is_free(name)) {
        return error_set(e, Q_INVALID, "no chunk has a name of zeros");
    }
    if (name_set_has(s, name)) {
        return 0;
    }
    if (s->count + 1 > s->slots / 4 * 3) {
        int rc = grow(s, e);
        if (rc != 0) {
            return rc;
        }
    }
    s->slot[find(s, name)] = *name;
    s->count++;
    return 0;
}

/* Those behind it that would not be found any more across the gap move up. */
void name_set_remove(struct name_set *s, const struct chunk_name *name)
{
    if (!name_set_has(s, name)) {
        return;
    }
    size_t mask = s->slots - 1, gap = find(s, name);
    for (size_t at = (gap + 1) & mask; !is_free(&s->slot[at]); at = (at + 1) & mask) {
        size_t from_home = (at - home_of(s, &s->slot[at])) & mask;
        if (from_home >= ((at - gap) & mask)) {
            s->slot[gap] = s->slot[at];
            gap = at;
        }
    }
    s->slot[gap] = none;
    s->count--;
}

void name_set_each(const struct name_set *s, void (*each)(void *ctx, const struct chunk_name *name),
                   void *ctx)
{
    for (size_t i = 0; i < s->slots; i++) {
        if (!is_free(&s->slot[i])) {
            each(ctx, &s->slot[i]);
        }
    }
}
