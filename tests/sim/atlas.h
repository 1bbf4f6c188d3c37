/* atlas: where the disks of a cluster are damaged, so that what must survive can: no record of the log is
 * ever damaged on a majority of the nodes, nor its last good copy, which may be a database that holds it. In
 * a ruthless run it marks nothing and refuses nothing: there the nodes only must not lie. It damages what it
 * is told to; when, is the nemesis's affair. */
#ifndef QUORATE_TESTS_SIM_ATLAS_H
#define QUORATE_TESTS_SIM_ATLAS_H

#include "base/rng.h"
#include "tests/sim/group.h"
#include "tests/sim/peek.h"

enum { ATLAS_SPOTS_MAX = 256 };

/* Entries whose records may be damaged on a node. */
struct atlas_spot {
    unsigned node;  /* number in the group */
    uint64_t boots; /* of the node when it was damaged: once it runs again it has healed them */
    uint64_t id;    /* of the member that it was: another one has healed them when this one is out */
    uint64_t from, to;
    uint64_t page; /* not 0: that of the database which is damaged; then FROM and TO are all entries */
};

struct atlas;

/* One disk, as it asks whether a write may go astray. */
struct atlas_disk {
    struct atlas *atlas;
    struct group_node *node;
    uint64_t mark_boots; /* in this life of the node what is known of its mark is not what its disk has */
};

struct atlas {
    struct group *group;
    struct atlas_disk disks[GROUP_MAX];
    bool ruthless;
    struct atlas_spot spots[ATLAS_SPOTS_MAX];
    unsigned count;
    unsigned voters; /* as they were when somebody ran last */
};

struct atlas_place {
    char path[PEEK_PATH_MAX];
    uint64_t offset;
    unsigned bit;
    uint64_t from, to; /* entries that depend on it; from > to: none */
    uint64_t page;     /* of the database; 0: it is none */
    bool marked;       /* as damaged */
};

/* The group has been made. From then on the disks ask it about misdirected writes. */
void atlas_init(struct atlas *a, struct group *g, bool ruthless);
/* A bit on the disk of NODE, whose replica is there, that may flip. False: none was found. */
bool atlas_choose(struct atlas *a, const struct group_node *node, struct rng *rng,
                  struct atlas_place *ret_place);
/* The same, in a record, which then counts as damaged already: for damage on all nodes together. */
bool atlas_choose_record(struct atlas *a, struct group_node *node, struct rng *rng,
                         struct atlas_place *ret_place);
/* The same, in the database: until it is healed the node counts as one that has nothing. */
bool atlas_choose_page(struct atlas *a, const struct group_node *node, struct rng *rng,
                       struct atlas_place *ret_place);
/* The same, in a chunk or a manifest, of which nobody needs any one copy. */
bool atlas_choose_image(const struct group_node *node, struct rng *rng, struct atlas_place *ret_place);
/* Whether a node may be away for good. From then on it counts as damaged everywhere. */
bool atlas_give_up(struct atlas *a, struct group_node *node);
/* Flips it. The node is off, unless it is in a chunk or a manifest. */
void atlas_flip(struct atlas *a, struct group_node *node, const struct atlas_place *place);

#endif
