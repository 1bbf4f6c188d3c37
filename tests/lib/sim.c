#include "tests/lib/sim.h"

#include <stdlib.h>

#include "tests/lib/sched.h"
#include "tests/lib/sim_env.h"
#include "tests/lib/sim_vfs.h"
#include "tests/lib/sim_wire.h"

struct sim {
    struct sched sched;
    struct sim_node *nodes[SIM_NODES_MAX];
    unsigned n_nodes;
    struct sim_net *net;
    struct list calls;
};

/* One sim_call() that has not come yet. */
struct call {
    struct event event;
    struct sim *sim;
    void (*fn)(void *ctx);
    void *ctx;
    struct list link;
};

struct sim *sim_new(uint64_t seed)
{
    struct sim *sim = sim_alloc(sizeof *sim);
    sched_init(&sim->sched, seed);
    list_init(&sim->calls);
    sim->net = sim_net_new(&sim->sched);
    return sim;
}

static void call_free(struct call *call)
{
    sched_cancel(&call->sim->sched, &call->event);
    list_remove(&call->link);
    free(call);
}

static void node_free(struct sim_node *node)
{
    LIST_EACH_SAFE (&node->dead, l) {
        sim_world_free(CONTAINER_OF(l, struct sim_world, link));
    }
    sim_vfs_free(node->vfs);
    sim_disk_free(node->disk);
    free(node->name);
    node->magic = 0;
    free(node);
}

void sim_free(struct sim *sim)
{
    if (sim == NULL) {
        return;
    }
    LIST_EACH_SAFE (&sim->calls, l) {
        call_free(CONTAINER_OF(l, struct call, link));
    }
    for (unsigned i = 0; i < sim->n_nodes; i++) {
        sim_node_kill(sim->nodes[i]);
    }
    for (unsigned i = 0; i < sim->n_nodes; i++) {
        node_free(sim->nodes[i]);
    }
    sim_net_free(sim->net);
    sched_close(&sim->sched);
    free(sim);
}

uint64_t sim_now_us(const struct sim *sim)
{
    return sim->sched.now_us;
}

uint64_t sim_hash(const struct sim *sim)
{
    return sim->sched.hash;
}

uint64_t sim_events(const struct sim *sim)
{
    return sim->sched.fired;
}

void sim_note(struct sim *sim, uint64_t value)
{
    sched_fold(&sim->sched, value);
}

uint64_t sim_random(struct sim *sim, uint64_t low, uint64_t high)
{
    return sched_random(&sim->sched, low, high);
}

void sim_trace(struct sim *sim, FILE *to)
{
    sim->sched.trace = to;
}

struct sim_net *sim_network(struct sim *sim)
{
    return sim->net;
}

bool sim_step(struct sim *sim)
{
    return sched_step(&sim->sched);
}

void sim_run_until(struct sim *sim, uint64_t at_us)
{
    while (sched_next_us(&sim->sched) <= at_us) {
        sched_step(&sim->sched);
    }
    if (sim->sched.now_us < at_us) {
        sim->sched.now_us = at_us;
    }
}

bool sim_run_while(struct sim *sim, bool (*cond)(void *ctx), void *ctx, uint64_t deadline_us)
{
    while (cond(ctx)) {
        if (sched_next_us(&sim->sched) > deadline_us) {
            sim_run_until(sim, deadline_us);
            return false;
        }
        sched_step(&sim->sched);
    }
    return true;
}

static void on_call(struct event *ev)
{
    struct call *call = CONTAINER_OF(ev, struct call, event);
    void (*fn)(void *) = call->fn;
    void *ctx = call->ctx;
    call_free(call);
    fn(ctx);
}

void sim_call(struct sim *sim, uint64_t at_us, void (*fn)(void *ctx), void *ctx)
{
    struct call *call = sim_alloc(sizeof *call);
    call->sim = sim;
    call->fn = fn;
    call->ctx = ctx;
    event_init(&call->event, EVENT_CALL, SIM_NODES_MAX, NULL, on_call);
    list_push(&sim->calls, &call->link);
    sched_at(&sim->sched, &call->event, at_us);
}

struct sim_node *sim_node_new(struct sim *sim, const char *name)
{
    assert(sim->n_nodes < SIM_NODES_MAX);
    struct sim_node *node = sim_alloc(sizeof *node);
    node->magic = SIM_NODE_MAGIC;
    node->sim = sim;
    node->sched = &sim->sched;
    node->id = sim->n_nodes;
    node->net = sim->net;
    node->clock_rate = 1000;
    node->name = sim_strdup(name);
    node->disk = sim_disk_new(&sim->sched.rng);
    sim_gate_init(&node->running);
    sim_gate_init(&node->disk_works);
    list_init(&node->dead);
    sim->nodes[sim->n_nodes++] = node;
    return node;
}

const char *sim_node_name(const struct sim_node *node)
{
    return node->name;
}

struct env *sim_node_boot(struct sim_node *node)
{
    assert(node->world == NULL);
    node->world = sim_world_new(node);
    node->mute = false;
    wires_refresh(node->net);
    return &node->world->env;
}

struct env *sim_node_env(const struct sim_node *node)
{
    return node->world == NULL ? NULL : &node->world->env;
}

static void end_process(struct sim_node *node, bool power_loss)
{
    struct sim_world *w = node->world;
    node->crash_in = 0;
    if (w != NULL) {
        node->world = NULL;
        list_push(&node->dead, &w->link);
        sim_world_die(w, power_loss);
        sim_node_resume(node);
    }
}

void sim_node_crash(struct sim_node *node)
{
    node->mute = sched_random(node->sched, 0, 1) == 0;
    end_process(node, true);
    sim_disk_crash(node->disk);
}

void sim_node_kill(struct sim_node *node)
{
    end_process(node, false);
}

void sim_node_crash_in(struct sim_node *node, unsigned operations)
{
    node->crash_in = operations;
}

void sim_node_pause(struct sim_node *node)
{
    if (node->world != NULL) {
        sim_gate_close(&node->running);
    }
}

void sim_node_resume(struct sim_node *node)
{
    sim_gate_open(node->sched, &node->running);
}

bool sim_node_paused(const struct sim_node *node)
{
    return node->running.closed;
}

void sim_node_wall_jump(struct sim_node *node, int64_t ms)
{
    node->wall_offset_ms += ms;
}

void sim_node_clock_rate(struct sim_node *node, unsigned permille)
{
    assert(permille >= 100 && permille <= 10000);
    if (node->world != NULL) {
        sim_world_clock_rate(node->world, permille);
    } else {
        node->clock_rate = permille;
    }
}

struct sim_disk *sim_node_disk(struct sim_node *node)
{
    return node->disk;
}

const char *sim_node_vfs(struct sim_node *node)
{
    if (node->vfs == NULL) {
        node->vfs = sim_vfs_new(node);
    }
    return sim_vfs_name(node->vfs);
}

void sim_node_wal_readers(struct sim_node *node, unsigned ppm)
{
    node->wal_readers = ppm;
}

void sim_node_disk_faults(struct sim_node *node, const struct sim_disk_faults *faults)
{
    sim_disk_set_faults(node->disk, faults);
    if (faults->stuck) {
        sim_gate_close(&node->disk_works);
    } else {
        sim_gate_open(node->sched, &node->disk_works);
    }
}

void sim_disk_capacity(struct sim_node *node, uint64_t bytes)
{
    struct sim_disk_faults faults = sim_disk_faults(node->disk);
    faults.capacity = bytes;
    sim_disk_set_faults(node->disk, &faults);
}

struct sim_disk_copy *sim_disk_copy(struct sim_node *node)
{
    return sim_disk_take(node->disk);
}

void sim_disk_restore(struct sim_node *node, const struct sim_disk_copy *copy)
{
    assert(node->world == NULL);
    sim_disk_put(node->disk, copy);
}
