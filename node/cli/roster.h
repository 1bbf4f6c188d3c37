/* roster: the members of the cluster as its leader knows them, asked over HTTP. It does not know how they are
 * shown. */
#ifndef QUORATE_NODE_CLI_ROSTER_H
#define QUORATE_NODE_CLI_ROSTER_H

#include <jansson.h>

#include "node/cli/client.h"

enum { ROSTER_ADDRESS_MAX = 256 };

struct roster_member {
    uint64_t id;
    char role[16], state[16]; /* what it is, and what is wanted of it */
    char address[ROSTER_ADDRESS_MAX];
    char url[ENDPOINT_MAX];
    bool settled; /* it is what is wanted of it */
    bool leader, reachable, disk_full;
    bool removed;
    uint64_t changed; /* index at which that was decided */
    uint64_t lag;     /* entries behind; UINT64_MAX: not known */
};

struct roster {
    uint64_t applied;  /* of the node that answered */
    char waiting[256]; /* what a change that is decided waits for, as the leader says; "" if it does not */
    unsigned count;
    struct roster_member *members; /* owned */
    json_t *json;                  /* the answer as it came; owned */
};

/* Asks the leader, by way of any node, for up to TIMEOUT_MS; if there is none, any node that answers. With
 * REMOVED_TOO those that were removed are in it as well. Errors: as client_call(), Q_CORRUPT (what answers is
 * no node). The roster is to be closed by the caller. */
int roster_fetch(struct client *c, bool removed_too, uint64_t timeout_ms, struct roster *ret_roster,
                 struct error *e);
void roster_close(struct roster *r);
/* The member with this id that is in, or NULL. Borrowed. */
const struct roster_member *roster_find(const struct roster *r, uint64_t id);

#endif
