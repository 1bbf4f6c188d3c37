#include "cluster/peers.h"

#include <assert.h>
#include <stdlib.h>

#include "cluster/hub.h"
#include "cluster/inbound.h"
#include "cluster/peer.h"

enum { PEERS_MAGIC = 0x9ee95000 };

struct peers {
    OBJECT_MAGIC;
    struct hub hub;
    struct inbounds inbounds;
    struct env_listener *listener;
    struct env_timer *end; /* brings the last callback */
    void (*closed)(void *ctx);
};

void peers_free(struct peers *p)
{
    struct env *env;

    if (p == NULL) {
        return;
    }
    env = p->hub.env;
    env_listener_close(env, p->listener);
    inbounds_free(&p->inbounds);

    for (unsigned i = 0; i < p->hub.count; i++) {
        peer_free(p->hub.members[i].peer);
    }
    env_timer_free(env, p->end);
    hub_close(&p->hub);
    p->magic = 0;
    free(p);
}

static void on_end(void *owner)
{
    struct peers *p = CAST(struct peers, owner, PEERS_MAGIC);
    void (*closed)(void *) = p->closed;
    void *ctx = p->hub.config.ctx;

    peers_free(p);
    closed(ctx);
}

/* The last session is gone. The end comes in a round of its own, because this may be inside peers_close(). */
static void on_idle(struct hub *hub)
{
    struct peers *p = CAST(struct peers, CONTAINER_OF(hub, struct peers, hub), PEERS_MAGIC);
    env_timer_start(hub->env, p->end, env_now_us(hub->env));
}

static void on_accepted(void *owner, struct env_conn *conn)
{
    struct peers *p = CAST(struct peers, owner, PEERS_MAGIC);
    inbounds_accept(&p->inbounds, conn);
}

static int make_parts(struct peers *p, const char *listen, struct error *e)
{
    struct hub *hub = &p->hub;
    int rc;

    inbounds_init(&p->inbounds, hub);
    p->end = env_timer_new(hub->env, on_end, p);
    if (p->end == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a timer");
    }
    for (unsigned i = 0; i < hub->count; i++) {
        if ((rc = peer_new(hub, &hub->members[i], &hub->members[i].peer, e)) != 0) {
            return rc;
        }
    }
    if ((rc = env_listen(hub->env, listen, on_accepted, p, &p->listener, e)) != 0) {
        error_wrap(e, "peers: cannot listen on %s", listen);
    }
    return rc;
}

int peers_open(const struct peers_config *config, struct peers **ret_peers, struct error *e)
{
    struct peers *p = calloc(1, sizeof *p);
    int rc;

    if (p == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the peers");
    }
    p->magic = PEERS_MAGIC;
    if ((rc = hub_init(&p->hub, config, on_idle, e)) != 0) {
        free(p);
        return rc;
    }
    if ((rc = make_parts(p, config->listen, e)) != 0) {
        peers_free(p);
        return rc;
    }
    for (unsigned i = 0; i < p->hub.count; i++) {
        peer_dial(p->hub.members[i].peer);
    }
    *ret_peers = p;
    return 0;
}

void peers_close(struct peers *p, void (*closed)(void *ctx))
{
    struct hub *hub = &p->hub;

    assert(!hub->closing);
    hub->closing = true;
    p->closed = closed;
    env_listener_close(hub->env, p->listener);
    p->listener = NULL;
    for (unsigned i = 0; i < hub->count; i++) {
        peer_close(hub->members[i].peer);
    }
    inbounds_close(&p->inbounds);
    if (hub->sessions == 0) {
        on_idle(hub);
    }
}

static struct peer *peer_of(const struct peers *p, uint64_t id)
{
    struct hub_member *m = hub_member(&p->hub, id);
    return m != NULL ? m->peer : NULL;
}

bool peers_send(struct peers *p, uint64_t to, enum peers_queue queue, uint8_t type, const void *body,
                size_t n)
{
    struct peer *peer = peer_of(p, to);
    return peer != NULL && peer_send(peer, queue, type, body, n);
}

bool peers_connected(const struct peers *p, uint64_t id)
{
    struct peer *peer = peer_of(p, id);
    return peer != NULL && peer_up(peer);
}

const char *peers_api_address(const struct peers *p, uint64_t id)
{
    struct hub_member *m = hub_member(&p->hub, id);
    return m != NULL ? m->api_address : "";
}

uint64_t peers_last_received_ms(const struct peers *p, uint64_t id)
{
    struct hub_member *m = hub_member(&p->hub, id);
    return m != NULL ? m->last_received_ms : 0;
}

void peers_metrics(struct peers *p, struct metrics *metrics)
{
    metrics_register(metrics, p->hub.metrics, HUB_METRICS_COUNT);
}
