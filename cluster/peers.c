#include "cluster/peers.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
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

static void on_left(struct hub *hub, struct hub_member *m)
{
    (void)hub;
    list_remove(&m->link);
    peer_free(m->peer);
    free(m);
}

void peers_free(struct peers *p)
{
    struct env *env;

    if (p == NULL) {
        return;
    }
    env = p->hub.env;
    env_listener_close(env, p->listener);
    inbounds_free(&p->inbounds);

    while (p->hub.count > 0) {
        hub_remove(&p->hub, p->hub.members[0]);
    }
    LIST_EACH_SAFE (&p->hub.gone, item) {
        on_left(&p->hub, CONTAINER_OF(item, struct hub_member, link));
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

static int member_new(struct peers *p, const struct peers_member *member, struct hub_member **ret_member,
                      struct error *e)
{
    struct hub_member *m = calloc(1, sizeof *m);
    int rc;

    if (m == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a member");
    }
    m->id = member->id;
    memcpy(m->address, member->address, sizeof m->address);
    list_init(&m->link);
    rc = peer_new(&p->hub, m, &m->peer, e);
    if (rc != 0) {
        free(m);
        return rc;
    }
    *ret_member = m;
    return 0;
}

/* Those of MEMBERS that are not yet in the hub, into RET_FRESH; all of them or none. */
static int make_fresh(struct peers *p, const struct peers_member *members, unsigned count,
                      struct hub_member *ret_fresh[PEERS_MAX], unsigned *ret_n, struct error *e)
{
    unsigned n = 0;
    int rc = 0;

    for (unsigned i = 0; i < count && rc == 0; i++) {
        if (members[i].id != p->hub.self.id && hub_member(&p->hub, members[i].id) == NULL) {
            rc = member_new(p, &members[i], &ret_fresh[n], e);
            n += rc == 0;
        }
    }
    while (rc != 0 && n > 0) {
        on_left(&p->hub, ret_fresh[--n]);
    }
    *ret_n = n;
    return rc;
}

static int make_parts(struct peers *p, const char *listen, const struct peers_member *members, unsigned count,
                      struct error *e)
{
    struct hub *hub = &p->hub;
    struct hub_member *fresh[PEERS_MAX];
    unsigned n;
    int rc;

    inbounds_init(&p->inbounds, hub);
    p->end = env_timer_new(hub->env, on_end, p);
    if (p->end == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a timer");
    }
    if ((rc = make_fresh(p, members, count, fresh, &n, e)) != 0) {
        return rc;
    }
    for (unsigned i = 0; i < n; i++) {
        hub_add(hub, fresh[i]);
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
    if ((rc = hub_init(&p->hub, config, e)) != 0) {
        free(p);
        return rc;
    }
    p->hub.idle = on_idle;
    p->hub.left = on_left;
    if ((rc = make_parts(p, config->listen, config->members, config->count, e)) != 0) {
        peers_free(p);
        return rc;
    }
    for (unsigned i = 0; i < p->hub.count; i++) {
        peer_dial(p->hub.members[i]->peer);
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
        peer_close(hub->members[i]->peer);
    }
    inbounds_close(&p->inbounds);
    if (hub->sessions == 0) {
        on_idle(hub);
    }
}

static const struct peers_member *find(const struct peers_member *members, unsigned count, uint64_t id)
{
    for (unsigned i = 0; i < count; i++) {
        if (members[i].id == id) {
            return &members[i];
        }
    }
    return NULL;
}

static void leave(struct peers *p, struct hub_member *m)
{
    hub_remove(&p->hub, m);
    inbounds_leave(&p->inbounds, m);
    if (peer_close(m->peer)) {
        on_left(&p->hub, m);
    }
}

/* What it said of itself counts no more, unless it is the same. */
static void move(struct hub_member *m, const char *address)
{
    bool there = strcmp(peer_address(m->peer), address) == 0;

    memcpy(m->address, address, sizeof m->address);
    m->told[0] = '\0';
    peer_redial(m->peer, !there);
}

int peers_set_members(struct peers *p, const struct peers_member *members, unsigned count, struct error *e)
{
    struct hub *hub = &p->hub;
    struct hub_member *fresh[PEERS_MAX];
    unsigned n;
    int rc;

    if (hub->closing) {
        return 0;
    }
    if ((rc = hub_check_members(members, count, e)) != 0 ||
        (rc = make_fresh(p, members, count, fresh, &n, e)) != 0) {
        return rc;
    }
    for (unsigned i = hub->count; i > 0; i--) {
        struct hub_member *m = hub->members[i - 1];
        const struct peers_member *now = find(members, count, m->id);
        if (now == NULL && !PLANTED("members_that_are_gone_stay_connected")) {
            leave(p, m);
        } else if (now != NULL && strcmp(now->address, m->address) != 0) {
            move(m, now->address);
        }
    }
    for (unsigned i = 0; i < n; i++) {
        hub_add(hub, fresh[i]);
        peer_dial(fresh[i]->peer);
    }
    return 0;
}

void peers_answer_guest(struct peers *p, uint64_t guest, const struct join_answer *answer)
{
    inbounds_answer_guest(&p->inbounds, guest, answer);
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
