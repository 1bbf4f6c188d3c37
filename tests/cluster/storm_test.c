/* Kills, pauses, stops and starts, mixed: what no single one of them finds. */
#include "tests/cluster/scene.h"

#include "base/rng.h"

enum {
    STEPS = 30,
    SOME = 60,
    CALM_WRITES_MAX = 60, /* between two steps, if the cluster can serve them ... */
    CALM_MS_MAX = 600,    /* ... and no longer than this */
};

/* What may be done to a node that is in some state, and what it is then. */
enum action { KILL, STOP, PAUSE, RESUME, START, ACTIONS };

static bool possible(const struct node *node, enum action action)
{
    switch (action) {
    case KILL: return node->up;
    case STOP:
    case PAUSE: return node->up && !node->process.paused;
    case RESUME: return node->up && node->process.paused;
    case START: return !node->up;
    case ACTIONS: break;
    }
    return false;
}

static void act(struct processes *nodes, unsigned i, enum action action)
{
    switch (action) {
    case KILL: processes_kill(nodes, i); return;
    case STOP: processes_stop(nodes, i); return;
    case PAUSE: processes_pause(nodes, i); return;
    case RESUME: processes_resume(nodes, i); return;
    case START: processes_start_one(nodes, i); return;
    case ACTIONS: return;
    }
}

static void strike(struct processes *nodes, struct rng *rng)
{
    unsigned i;
    enum action action;

    do {
        i = (unsigned)rng_between(rng, 0, nodes->count - 1);
        action = (enum action)rng_between(rng, 0, ACTIONS - 1);
    } while (!possible(&nodes->node[i], action));
    act(nodes, i, action);
}

/* Some writes, or some time when nobody can serve them. */
static void calm(struct load *load, struct rng *rng)
{
    uint64_t until = load_acknowledged(load) + rng_between(rng, 0, CALM_WRITES_MAX);
    struct deadline deadline = deadline_in((unsigned)rng_between(rng, 0, CALM_MS_MAX));

    while (load_acknowledged(load) < until && deadline_wait(&deadline)) {
    }
}

static void a_storm_of_kills_pauses_and_restarts_loses_nothing_acknowledged(void **state)
{
    struct scene *scene = *state;
    struct processes *nodes = scene_start(scene, NULL);
    struct load *load = scene_load(scene);
    struct rng rng;

    rng_init(&rng, 1);
    for (unsigned step = 0; step < STEPS; step++) {
        strike(nodes, &rng);
        calm(load, &rng);
    }
    for (unsigned i = 0; i < nodes->count; i++) {
        if (possible(&nodes->node[i], RESUME)) {
            processes_resume(nodes, i);
        }
    }
    processes_start(nodes);
    load_wait_acknowledged(load, SOME);

    scene_check(scene);
    scene_finish(scene);
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_storm_of_kills_pauses_and_restarts_loses_nothing_acknowledged)};
    scene_choose(argc, argv);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
