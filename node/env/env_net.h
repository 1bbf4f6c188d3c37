/* env_net: connections over TCP: made to an address or taken over from a listener. It does not know what the
 * bytes mean, and it keeps no limit on how many connections there are or how much one may have unsent: those
 * are the user's (env_unsent()).
 *
 *     env_net_connect() --> CONNECTING --> OPEN --> CLOSING --> CLOSED (freed)
 *                             |  ^ |                  ^
 *     env_net_adopt() --> NEW |  +-+ next address     |   env_conn_close(), or anything that fails
 *                          |  +-----------------------+
 *                          +--> OPEN by env_net_accept()
 *
 * CONNECTING resolves the name (never on the loop thread) and tries the addresses it finds one after the
 * other, at most NET_ADDRESSES_MAX. The connect timeout is for the name, and again for all addresses
 * together, each of which gets its share. What is sent meanwhile waits. In CLOSING the only thing that still
 * happens is closed(). A close by this side wins over a failure that was on its way, so WHY is then NULL.
 *
 * Reads of all connections share one buffer of NET_READ_MAX bytes. A send to an idle connection is handed to
 * the kernel at once; what is sent behind it in the same loop iteration goes out together, after it. */
#ifndef QUORATE_NODE_ENV_NET_H
#define QUORATE_NODE_ENV_NET_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/env.h"
#include "base/object.h"

enum {
    NET_READ_MAX = 64 * 1024,
    NET_ADDRESSES_MAX = 8, /* of one name */
    NET_WRITE_CHUNKS = 64, /* sends that one system call takes together */
    /* A silent connection is given up after about half a minute. */
    NET_KEEPALIVE_IDLE_S = 15,
    NET_KEEPALIVE_INTERVAL_S = 5,
    NET_KEEPALIVE_PROBES = 3,
};

struct env_net {
    OBJECT_MAGIC;
    uv_loop_t *loop;
    unsigned connect_timeout_ms;
    struct list conns;
    bool shut;
    void (*settled)(void *owner);
    void *owner;
    char read_buffer[NET_READ_MAX];
};

/* SETTLED(owner) comes on the loop whenever the last connection is gone. */
void env_net_init(struct env_net *net, uv_loop_t *loop, unsigned connect_timeout_ms,
                  void (*settled)(void *owner), void *owner);
/* Closes every connection as env_conn_close() does, and fails with Q_CLOSED those made later. */
void env_net_shut(struct env_net *net);
/* True when there are no connections, so that the memory may go. */
bool env_net_is_quiet(const struct env_net *net);

/* These have the contracts of struct env_ops. NULL when out of memory. */
struct env_conn *env_net_connect(struct env_net *net, const char *address,
                                 const struct env_conn_callbacks *callbacks, void *owner);
void env_net_accept(struct env_conn *c, const struct env_conn_callbacks *callbacks, void *owner);
void env_net_send(struct env_conn *c, uint8_t *bytes, size_t n);
size_t env_net_unsent(struct env_conn *c);
void env_net_conn_close(struct env_conn *c);
void env_net_peer(struct env_conn *c, char *p, size_t n);

/* A connection in NEW over an accepted socket, which is given. Errors: Q_NOMEM, Q_IO. */
int env_net_adopt(struct env_net *net, int fd, struct env_conn **ret_conn, struct error *e);
/* True while neither env_net_accept() nor env_net_conn_close() was called for it. */
bool env_net_is_new(const struct env_conn *c);

#endif
