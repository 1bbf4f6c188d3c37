/* ship_givers: which members can be asked for chunks of an image, and how they did so far. It does not know
 * frames or files.
 *
 * Who is not known to have the image gets one question; its answer says whether it gets more. */
#ifndef QUORATE_CLUSTER_SHIP_GIVERS_H
#define QUORATE_CLUSTER_SHIP_GIVERS_H

#include "cluster/peers.h"

enum ship_has { SHIP_MAY_HAVE, SHIP_HAS, SHIP_LACKS };

struct ship_giver {
    uint64_t id;
    enum ship_has has;
    unsigned flights;  /* questions that wait for its answer */
    uint64_t heard_ms; /* its last answer, or when it was asked without one under way */
    uint64_t wait_until_ms;
    uint64_t avoid_until_ms; /* no manifest is asked from it before; and its last images that were wrong: */
    unsigned wrong_images;
};

struct ship_givers {
    struct ship_giver of[PEERS_MAX];
    unsigned count;
};

/* Another image: nobody is known to have it, and nothing is under way. Who is to be waited for stays so. */
void ship_givers_renew(struct ship_givers *g);
/* NULL: more members than there may be. */
struct ship_giver *ship_givers_find(struct ship_givers *g, uint64_t id);
/* Whom of the N members IDS to ask for a chunk now; NULL: nobody. RET_LATER: somebody who is only to be
 * waited for. */
struct ship_giver *ship_givers_pick(struct ship_givers *g, const uint64_t *ids, unsigned n, uint64_t now_ms,
                                    bool *ret_later);

#endif
