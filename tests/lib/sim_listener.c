#include "tests/lib/sim_listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/sim_env.h"
#include "tests/lib/sim_wire.h"

#define LISTENER_MAGIC 0x5eed0006u

struct env_listener {
    OBJECT_MAGIC;
    struct sim_world *world;
    char *address;
    void (*accepted)(void *owner, struct env_conn *);
    void *owner;
    struct list at_net; /* in net->listeners while the process lives */
    struct list link;   /* in world->listeners */
};

static struct env_listener *find(struct sim_net *net, const char *address)
{
    LIST_EACH (&net->listeners, l) {
        struct env_listener *listener = CONTAINER_OF(l, struct env_listener, at_net);
        if (strcmp(listener->address, address) == 0) {
            return listener;
        }
    }
    return NULL;
}

int sim_listener_open(struct env *env, const char *address, void (*accepted)(void *owner, struct env_conn *),
                      void *owner, struct env_listener **ret_listener, struct error *e)
{
    struct sim_world *w = sim_world_of(env);
    struct sim_net *net = w->node->net;
    if (w->dead) {
        return error_set(e, Q_CLOSED, "the simulated process is gone");
    }
    if (find(net, address) != NULL) {
        return error_errno(e, EADDRINUSE, "listen on %s", address);
    }
    struct env_listener *l = sim_alloc(sizeof *l);
    l->magic = LISTENER_MAGIC;
    l->world = w;
    l->address = sim_strdup(address);
    l->accepted = accepted;
    l->owner = owner;
    list_push(&net->listeners, &l->at_net);
    list_push(&w->listeners, &l->link);
    sim_net_remember(net, address, w->node);
    *ret_listener = l;
    return 0;
}

void sim_listener_close(struct env_listener *l)
{
    if (l != NULL) {
        (void)CAST(struct env_listener, l, LISTENER_MAGIC);
        list_remove(&l->at_net);
        list_remove(&l->link);
        free(l->address);
        l->magic = 0;
        free(l);
    }
}

void sim_listeners_init(struct sim_world *w)
{
    list_init(&w->listeners);
}

void sim_listeners_die(struct sim_world *w)
{
    LIST_EACH (&w->listeners, l) {
        list_remove(&CONTAINER_OF(l, struct env_listener, link)->at_net);
    }
}

void sim_listeners_free(struct sim_world *w)
{
    LIST_EACH_SAFE (&w->listeners, l) {
        sim_listener_close(CONTAINER_OF(l, struct env_listener, link));
    }
}

bool sim_listener_at(struct sim_world *w, const char *address)
{
    struct env_listener *l = find(w->node->net, address);
    return l != NULL && l->world == w;
}

bool sim_listener_offer(struct sim_world *w, const char *address, struct env_conn *c)
{
    struct env_listener *l = find(w->node->net, address);
    if (l == NULL || l->world != w) {
        return false;
    }
    l->accepted(l->owner, c);
    return true;
}
