/* expect: what the product is expected to do about disks that lie; what it is not yet is neither done to it
 * nor asked for. */
#ifndef QUORATE_TESTS_SIM_EXPECT_H
#define QUORATE_TESTS_SIM_EXPECT_H

enum {
    /* A node with a damaged log heals from its peers and goes on; else it refuses, with the place. In a
     * ruthless run it may always refuse. */
    DAMAGED_NODES_HEAL = 1,
    /* A node whose disk was put back to an older state finds out, and refuses for good. */
    STALE_DISKS_ARE_REFUSED = 0,
};

#endif
