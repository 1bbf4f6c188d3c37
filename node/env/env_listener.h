/* env_listener: a listening TCP socket that turns accepted sockets into connections of env_net. It does not
 * know what they are for.
 *
 * When a connection cannot be taken for want of something (descriptors, memory) it stops for
 * LISTENER_PAUSE_MS: the socket stays readable, so that trying again at once would spin. Connections wait in
 * the kernel's backlog meanwhile. */
#ifndef QUORATE_NODE_ENV_LISTENER_H
#define QUORATE_NODE_ENV_LISTENER_H

#include "node/env/env_net.h"

enum {
    LISTENER_BACKLOG = 1024,
    LISTENER_PAUSE_MS = 100,
    LISTENER_BURST = 32, /* connections taken before the loop sees to others */
};

struct env_listener {
    OBJECT_MAGIC;
    struct env_net *net;
    struct list link; /* the owner's */
    int fd;           /* -1: stopped */
    uv_poll_t readable;
    uv_timer_t pause;
    unsigned handles; /* of the two, those that are not closed */
    uint64_t pauses;  /* how often it had to pause */
    void (*accepted)(void *owner, struct env_conn *);
    void *owner;
    void (*ended)(void *ended_owner);
    void *ended_owner;
};

/* As env_ops.listen; blocks for the resolver if ADDRESS is a name. ENDED(ended_owner) comes on the loop after
 * env_listener_end(), when the memory is gone. Errors: those of address_parse(), Q_NOT_FOUND for a name
 * without address, Q_CONFLICT when the address is in use, Q_IO, Q_NOMEM. */
int env_listener_new(struct env_net *net, const char *address,
                     void (*accepted)(void *owner, struct env_conn *), void *owner,
                     void (*ended)(void *ended_owner), void *ended_owner, struct env_listener **ret_listener,
                     struct error *e);
/* Closes the socket at once, so that nothing is accepted any more. Twice is fine. */
void env_listener_stop(struct env_listener *l);
/* Stops it and frees it. */
void env_listener_end(struct env_listener *l);
/* The port it listens on; 0 when stopped. */
uint16_t env_listener_port(const struct env_listener *l);

#endif
