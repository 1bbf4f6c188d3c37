/* mirror: what one node was last seen to be, and to have in its log: so that the next look has to go through
 * only what is new. It does not judge. */
#ifndef QUORATE_TESTS_SIM_MIRROR_H
#define QUORATE_TESTS_SIM_MIRROR_H

#include "tests/sim/peek.h"

struct mirror {
    uint64_t boots; /* of the node, when it was last seen */
    unsigned lives; /* likewise */
    struct peek seen;
    bool mended;     /* since then others gave it parts of its log */
    uint64_t *terms; /* by index, of the log from seen.first to seen.last */
    uint64_t capacity;
};

void mirror_close(struct mirror *m);

/* How the log differs from what was last seen. */
struct mirror_change {
    uint64_t from;    /* the lowest index that is new; last + 1 if none is */
    uint64_t removed; /* entries that were there from FROM on and are not any more */
};

/* Looks at the log only, and takes it over. */
struct mirror_change mirror_log(struct mirror *m, struct replica *r, const struct peek *now);

#endif
