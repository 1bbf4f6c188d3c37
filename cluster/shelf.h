/* shelf: which images of the database are kept, and until when. It does not know files.
 *
 * Threads: none of its own. */
#ifndef QUORATE_CLUSTER_SHELF_H
#define QUORATE_CLUSTER_SHELF_H

#include <stdbool.h>
#include <stdint.h>

enum { SHELF_MAX = 8 }; /* at once; the one that would go first makes room */

struct image {
    uint64_t index, term, bytes;
    uint32_t chunks;
    uint64_t shipped_until_ms, kept_until_ms;
    uint64_t keep_ms; /* what a touch adds */
};

struct shelf {
    struct image images[SHELF_MAX];
    unsigned count;
};

/* One of the same index and term is there already: that one stays. Returns whether another one had to go. */
bool shelf_add(struct shelf *s, const struct image *image);
/* The newest one that is not older than INDEX and behind which a log that begins at FIRST goes on; NULL.
 * Borrowed until the next call that changes S. */
const struct image *shelf_find(const struct shelf *s, uint64_t index, uint64_t first);
const struct image *shelf_find_exact(const struct shelf *s, uint64_t index, uint64_t term);
/* A shipment needs it until UNTIL_MS. False: it is not here. */
bool shelf_ship(struct shelf *s, uint64_t index, uint64_t term, uint64_t until_ms);
/* Somebody needs it for KEEP_MS from now on; 0: for as long as he said before. */
bool shelf_keep(struct shelf *s, uint64_t index, uint64_t term, uint64_t now_ms, uint64_t keep_ms);
/* Whether it was there. */
bool shelf_drop(struct shelf *s, uint64_t index, uint64_t term);
/* Lets go what nobody needs any more; whether there was any. */
bool shelf_expire(struct shelf *s, uint64_t now_ms);
/* The lowest index of those that shipments need; UINT64_MAX: none. */
uint64_t shelf_log_limit(const struct shelf *s, uint64_t now_ms);

#endif
