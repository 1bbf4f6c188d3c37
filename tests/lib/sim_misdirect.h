/* sim_misdirect: where a write lands that the disk puts in the wrong place: at another block of the same file
 * or of another one, or where no file is. It does not know when that happens. The simulator's own header. */
#ifndef QUORATE_TESTS_LIB_SIM_MISDIRECT_H
#define QUORATE_TESTS_LIB_SIM_MISDIRECT_H

#include "tests/lib/sim_tree.h"

struct sim_misdirect {
    struct sim_inode *file; /* NULL: where no file is */
    uint64_t offset;        /* lies in its block as the right one does */
    size_t len;             /* what of the write fits into FILE */
};

/* Draws a place for a write of N bytes at OFFSET of INODE; false when the draw is the right one. */
bool sim_misdirect_draw(const struct sim_tree *t, struct rng *rng, const struct sim_inode *inode,
                        uint64_t offset, size_t n, struct sim_misdirect *ret_place);

#endif
