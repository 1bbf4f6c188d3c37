/* cluster_view: what all nodes say about themselves and each other, asked from outside, one after the other.
 * It does not know how it is printed. */
#ifndef QUORATE_NODE_CLI_CLUSTER_VIEW_H
#define QUORATE_NODE_CLI_CLUSTER_VIEW_H

#include "node/cli/client.h"

enum { CLUSTER_VIEW_MAX = 32, CLUSTER_VIEW_PROBE_MS = 1500 };

struct node_view {
    uint64_t id;            /* 0: never learned */
    char url[ENDPOINT_MAX]; /* of its HTTP door; "" if unknown */
    char address[128];      /* of its peers' door */
    char state[16];         /* "leader", "follower", ...; "" if it did not answer */
    char role[16];          /* "voter", "standby", ... as the others say; "" if nobody did */
    bool answered, ready, fenced, disk_full, removed;
    uint64_t lost; /* entries of its log that wait for their repair */
    uint64_t term, commit, applied;
    char digest[65];
    uint64_t fence_index; /* fenced: where its database was found wrong, and how */
    char fence_reason[128];
    /* An image of the database on its way to it; STATE "" if there is none. */
    struct {
        char state[16];
        uint64_t peer, bytes, chunks, reused, fetched, wire, per_s, eta_ms;
        bool eta_known;
    } shipment;
    char error[160]; /* why it did not answer */
};

struct cluster_view {
    unsigned count; /* nodes, by id */
    struct node_view nodes[CLUSTER_VIEW_MAX];
    uint64_t leader; /* as the answer of the highest term says; 0: unknown */
    uint64_t term;
};

/* Asks the client's endpoints and every node that they name, each once and for PROBE_MS at most. Errors:
 * Q_NO_LEADER if nobody answered, with the last reason. */
int cluster_view_fetch(struct client *c, uint64_t probe_ms, struct cluster_view *ret_view, struct error *e);
/* Asks only the node at URL: what it says of itself, and where the others are. Errors: as client_call() for a
 * probe, Q_CORRUPT. */
int cluster_view_ask(struct client *c, const char *url, uint64_t probe_ms, struct cluster_view *ret_view,
                     struct error *e);
/* The URL of the node that leads, as far as VIEW knows; "" if it does not. Borrowed. */
const char *cluster_view_leader_url(const struct cluster_view *view);
/* The node that leads, if it answered; else NULL. Borrowed from VIEW. */
const struct node_view *cluster_view_leader(const struct cluster_view *view);

#endif
