#include "cluster/shelf.h"

#include <stddef.h>

static struct image *find(const struct shelf *s, uint64_t index, uint64_t term)
{
    for (unsigned i = 0; i < s->count; i++) {
        if (s->images[i].index == index && s->images[i].term == term) {
            return (struct image *)(uintptr_t)&s->images[i];
        }
    }
    return NULL;
}

static uint64_t until(const struct image *image)
{
    return image->shipped_until_ms > image->kept_until_ms ? image->shipped_until_ms : image->kept_until_ms;
}

static void let_go(struct shelf *s, struct image *image)
{
    *image = s->images[--s->count];
}

static struct image *first_to_go(struct shelf *s)
{
    struct image *first = &s->images[0];

    for (unsigned i = 1; i < s->count; i++) {
        first = until(&s->images[i]) < until(first) ? &s->images[i] : first;
    }
    return first;
}

bool shelf_add(struct shelf *s, const struct image *image)
{
    bool full = s->count == SHELF_MAX;

    if (find(s, image->index, image->term) != NULL) {
        return false;
    }
    if (full) {
        let_go(s, first_to_go(s));
    }
    s->images[s->count++] = *image;
    return full;
}

const struct image *shelf_find(const struct shelf *s, uint64_t index, uint64_t first)
{
    const struct image *best = NULL;

    for (unsigned i = 0; i < s->count; i++) {
        const struct image *image = &s->images[i];
        if (image->index >= index && image->index + 1 >= first &&
            (best == NULL || image->index > best->index)) {
            best = image;
        }
    }
    return best;
}

const struct image *shelf_find_exact(const struct shelf *s, uint64_t index, uint64_t term)
{
    return find(s, index, term);
}

bool shelf_ship(struct shelf *s, uint64_t index, uint64_t term, uint64_t until_ms)
{
    struct image *image = find(s, index, term);

    if (image != NULL) {
        image->shipped_until_ms = until_ms;
    }
    return image != NULL;
}

bool shelf_keep(struct shelf *s, uint64_t index, uint64_t term, uint64_t now_ms, uint64_t keep_ms)
{
    struct image *image = find(s, index, term);

    if (image != NULL) {
        image->keep_ms = keep_ms > image->keep_ms ? keep_ms : image->keep_ms;
        if (now_ms + image->keep_ms > image->kept_until_ms) {
            image->kept_until_ms = now_ms + image->keep_ms;
        }
    }
    return image != NULL;
}

bool shelf_drop(struct shelf *s, uint64_t index, uint64_t term)
{
    struct image *image = find(s, index, term);

    if (image != NULL) {
        let_go(s, image);
    }
    return image != NULL;
}

bool shelf_expire(struct shelf *s, uint64_t now_ms)
{
    unsigned before = s->count;

    for (unsigned i = s->count; i > 0; i--) {
        if (until(&s->images[i - 1]) <= now_ms) {
            let_go(s, &s->images[i - 1]);
        }
    }
    return s->count < before;
}

uint64_t shelf_log_limit(const struct shelf *s, uint64_t now_ms)
{
    uint64_t lowest = UINT64_MAX;

    for (unsigned i = 0; i < s->count; i++) {
        if (s->images[i].shipped_until_ms > now_ms && s->images[i].index < lowest) {
            lowest = s->images[i].index;
        }
    }
    return lowest;
}
