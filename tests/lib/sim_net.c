#include "tests/lib/sim_net.h"

#include <stdlib.h>
#include <string.h>

#include "tests/lib/sim_env.h"
#include "tests/lib/sim_wire.h"

/* Whose an address is. */
struct address {
    char *text;
    struct sim_node *node;
    struct list link;
};

struct sim_net *sim_net_new(struct sched *sched)
{
    struct sim_net *net = sim_alloc(sizeof *net);
    net->sched = sched;
    list_init(&net->wires);
    list_init(&net->listeners);
    list_init(&net->addresses);
    return net;
}

void sim_net_free(struct sim_net *net)
{
    LIST_EACH_SAFE (&net->wires, l) {
        wire_free(CONTAINER_OF(l, struct wire, link));
    }
    LIST_EACH_SAFE (&net->addresses, l) {
        struct address *address = CONTAINER_OF(l, struct address, link);
        free(address->text);
        free(address);
    }
    free(net);
}

static struct address *find_address(struct sim_net *net, const char *text)
{
    LIST_EACH (&net->addresses, l) {
        struct address *address = CONTAINER_OF(l, struct address, link);
        if (strcmp(address->text, text) == 0) {
            return address;
        }
    }
    return NULL;
}

void sim_net_remember(struct sim_net *net, const char *text, struct sim_node *node)
{
    struct address *address = find_address(net, text);
    if (address == NULL) {
        address = sim_alloc(sizeof *address);
        address->text = sim_strdup(text);
        list_push(&net->addresses, &address->link);
    }
    address->node = node;
}

struct sim_node *sim_net_whose(struct sim_net *net, const char *text)
{
    struct address *address = find_address(net, text);
    return address == NULL ? NULL : address->node;
}

static void set_bit(uint64_t *bits, const struct sim_node *node, bool set)
{
    uint64_t bit = (uint64_t)1 << node->id;
    *bits = set ? *bits | bit : *bits & ~bit;
}

void sim_net_cut(struct sim_net *net, const struct sim_node *from, const struct sim_node *to, bool cut)
{
    set_bit(&net->cut_to[from->id], to, cut);
    wires_refresh(net);
}

void sim_net_clog(struct sim_net *net, const struct sim_node *from, const struct sim_node *to, bool clogged)
{
    set_bit(&net->clog_to[from->id], to, clogged);
    wires_refresh(net);
}

void sim_net_slow(struct sim_net *net, const struct sim_node *from, const struct sim_node *to,
                  uint64_t extra_us)
{
    net->slow_us[from->id][to->id] = extra_us;
}

void sim_net_heal(struct sim_net *net)
{
    memset(net->cut_to, 0, sizeof net->cut_to);
    memset(net->clog_to, 0, sizeof net->clog_to);
    wires_refresh(net);
}

void sim_net_set_faults(struct sim_net *net, const struct sim_net_faults *faults)
{
    net->faults = *faults;
}

struct sim_net_counters sim_net_counters(const struct sim_net *net)
{
    return net->counters;
}
