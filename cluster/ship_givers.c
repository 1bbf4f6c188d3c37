#include "cluster/ship_givers.h"

void ship_givers_renew(struct ship_givers *g)
{
    for (unsigned i = 0; i < g->count; i++) {
        g->of[i].has = SHIP_MAY_HAVE;
        g->of[i].flights = 0;
    }
}

struct ship_giver *ship_givers_find(struct ship_givers *g, uint64_t id)
{
    for (unsigned i = 0; i < g->count; i++) {
        if (g->of[i].id == id) {
            return &g->of[i];
        }
    }
    if (g->count == PEERS_MAX) {
        return NULL;
    }
    g->of[g->count] = (struct ship_giver){.id = id};
    return &g->of[g->count++];
}

struct ship_giver *ship_givers_pick(struct ship_givers *g, const uint64_t *ids, unsigned n, uint64_t now_ms,
                                    bool *ret_later)
{
    struct ship_giver *best = NULL;

    *ret_later = false;
    for (unsigned i = 0; i < n; i++) {
        struct ship_giver *giver = ship_givers_find(g, ids[i]);
        if (giver == NULL || giver->has == SHIP_LACKS) {
            continue;
        }
        if (now_ms < giver->wait_until_ms || (giver->has == SHIP_MAY_HAVE && giver->flights > 0)) {
            *ret_later = true;
        } else if (best == NULL || giver->flights < best->flights) {
            best = giver;
        }
    }
    return best;
}
