/* quorate-sim: whole clusters in virtual time, one after the other, each from one seed.
 *
 *   quorate-sim --seed S [--trace]     one seed; --trace tells the story
 *   quorate-sim --seeds N [--first S]  N seeds, fresh ones unless --first is given
 *   quorate-sim --seconds T            fresh seeds during T seconds
 *   --nodes 3|5                        instead of what the seed says
 *   --twice                            every seed runs twice and must do exactly the same
 * The last line is `seeds N, simulated H h, speed xS, violations V`; exit 1 if there was a violation. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "tests/sim/clients.h"
#include "tests/sim/invariants.h"
#include "tests/sim/nemesis.h"

enum {
    FAULTS_US = 180 * 1000 * 1000, /* of simulated time with faults */
    HEAL_US = 60 * 1000 * 1000,    /* within which everything must be in order again */
};

struct totals {
    uint64_t seeds, simulated_us, events, violations;
    uint64_t crashes, kills, pauses, cuts, storms, elections, done, unknown, nothing;
};

struct settings {
    bool trace, twice;
    unsigned nodes;
};

/* One life of a cluster. */
struct life {
    struct sim *sim;
    struct group group;
    struct invariants *invariants;
    struct clients *clients;
    struct nemesis nemesis;
    struct history history;
};

static bool unsettled(void *ctx)
{
    struct life *life = ctx;
    struct group_node *leader = group_leader(&life->group);
    struct replica_role role;

    invariants_check(life->invariants);
    if (life->group.failure[0] != 0) {
        return false;
    }
    if (leader == NULL || !clients_idle(life->clients)) {
        return true;
    }
    replica_role(leader->replica, &role);
    for (unsigned i = 0; i < life->group.count; i++) {
        struct replica_role other;
        if (life->group.nodes[i].replica == NULL) {
            return true;
        }
        replica_role(life->group.nodes[i].replica, &other);
        if (other.term != role.term || other.applied != role.last || other.last != role.last) {
            return true;
        }
    }
    return false;
}

static bool still_faults(void *ctx)
{
    struct life *life = ctx;
    invariants_check(life->invariants);
    return life->group.failure[0] == 0;
}

static void live(struct life *life)
{
    struct final_key final[HISTORY_KEYS];
    char why[512];

    sim_run_while(life->sim, still_faults, life, FAULTS_US);
    if (life->group.failure[0] != 0) {
        return;
    }
    clients_stop(life->clients);
    nemesis_end(&life->nemesis);
    if (!sim_run_while(life->sim, unsettled, life, sim_now_us(life->sim) + HEAL_US)) {
        group_fail(&life->group, "no leader that everybody follows 60 s after the last fault");
    }
    if (life->group.failure[0] == 0) {
        clients_read_final(life->clients, final);
        invariants_final(life->invariants);
    }
    if (life->group.failure[0] == 0 && !history_check(&life->history, final, why, sizeof why)) {
        group_fail(&life->group, "%s", why);
    }
}

static void add(struct totals *t, const struct life *life)
{
    t->seeds++;
    t->simulated_us += sim_now_us(life->sim);
    t->events += sim_events(life->sim);
    t->violations += life->group.failure[0] != 0;
    t->crashes += life->group.crashes;
    t->kills += life->group.kills;
    t->pauses += life->nemesis.pauses;
    t->cuts += life->nemesis.cuts + life->nemesis.one_way_cuts;
    t->storms += life->nemesis.storms;
    t->elections += invariants_elections(life->invariants);
    t->done += history_count(&life->history, OP_DONE);
    t->unknown += history_count(&life->history, OP_UNKNOWN);
    t->nothing += history_count(&life->history, OP_NOTHING);
}

/* Returns the hash of everything that happened. */
static uint64_t run_seed(uint64_t seed, const struct settings *settings, struct totals *totals)
{
    static struct life life; /* large, and one at a time */
    uint64_t hash;
    unsigned nodes;

    memset(&life, 0, sizeof life);
    life.sim = sim_new(seed);
    nodes = settings->nodes ? settings->nodes : sim_random(life.sim, 0, 3) ? 3 : 5;
    life.group.story = settings->trace;
    group_init(&life.group, life.sim, nodes);
    life.invariants = invariants_new(&life.group);
    life.clients = clients_new(&life.group, CLIENTS_MAX, &life.history);
    nemesis_start(&life.nemesis, &life.group);
    live(&life);
    hash = sim_hash(life.sim);
    add(totals, &life);
    if (life.group.failure[0] != 0) {
        printf("VIOLATION seed %" PRIu64 " (%u nodes) at %" PRIu64 " ms: %s\n", seed, nodes,
               sim_now_us(life.sim) / 1000, life.group.failure);
    }
    group_close(&life.group);
    clients_free(life.clients);
    invariants_free(life.invariants);
    history_close(&life.history);
    sim_free(life.sim);
    return hash;
}

static void run_one(uint64_t seed, const struct settings *settings, struct totals *totals)
{
    struct totals again = {.seeds = 0};
    uint64_t hash = run_seed(seed, settings, totals);
    if (settings->trace) {
        printf("seed %" PRIu64 " hash %016" PRIx64 "\n", seed, hash);
    }
    if (settings->twice && run_seed(seed, settings, &again) != hash) {
        printf("VIOLATION seed %" PRIu64 ": two runs differ\n", seed);
        totals->violations++;
    }
}

static double seconds_since(const struct timespec *from)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

static void progress(const struct totals *t, double seconds, double *last)
{
    if (seconds - *last >= 5) {
        *last = seconds;
        printf("%" PRIu64 " seeds, %.2f h simulated, %" PRIu64 " violations\n", t->seeds,
               (double)t->simulated_us / 3.6e9, t->violations);
        fflush(stdout);
    }
}

static void report(const struct totals *t, double seconds)
{
    printf("crashes %" PRIu64 ", kills %" PRIu64 ", pauses %" PRIu64 ", cuts %" PRIu64 ", storms %" PRIu64
           ", elections %" PRIu64 ", operations done %" PRIu64 ", refused %" PRIu64 ", unknown %" PRIu64
           ", events %" PRIu64 "\n",
           t->crashes, t->kills, t->pauses, t->cuts, t->storms, t->elections, t->done, t->nothing, t->unknown,
           t->events);
    printf("seeds %" PRIu64 ", simulated %.2f h, speed x%.0f, violations %" PRIu64 "\n", t->seeds,
           (double)t->simulated_us / 3.6e9, (double)t->simulated_us / 1e6 / (seconds > 0 ? seconds : 1),
           t->violations);
}

static uint64_t fresh_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        abort();
    }
    return seed >> 24; /* short enough to type */
}

static int usage(void)
{
    fprintf(stderr, "usage: quorate-sim [--seed S [--trace] | --seeds N [--first S] | --seconds T] [--nodes "
                    "3|5] [--twice]\n");
    return 2;
}

int main(int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},  {"seeds", required_argument, NULL, 'n'},
        {"first", required_argument, NULL, 'f'}, {"seconds", required_argument, NULL, 't'},
        {"nodes", required_argument, NULL, 'k'}, {"trace", no_argument, NULL, 'v'},
        {"twice", no_argument, NULL, '2'},       {NULL, 0, NULL, 0},
    };
    struct settings settings = {.nodes = 0};
    struct totals totals = {.seeds = 0};
    uint64_t seed = 0, seeds = 1, seconds = 0;
    bool given = false;
    double last = 0;
    struct timespec began;
    int c;

    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        uint64_t number = optarg ? strtoull(optarg, NULL, 10) : 0;
        switch (c) {
        case 's':
        case 'f':
            seed = number;
            given = true;
            break;
        case 'n': seeds = number; break;
        case 't':
            seconds = number;
            seeds = UINT64_MAX;
            break;
        case 'k': settings.nodes = (unsigned)number; break;
        case 'v': settings.trace = true; break;
        case '2': settings.twice = true; break;
        default: return usage();
        }
    }
    if (optind != argc || settings.nodes > GROUP_MAX) {
        return usage();
    }
    clock_gettime(CLOCK_MONOTONIC, &began);
    seed = given ? seed : fresh_seed();
    printf("first seed %" PRIu64 "\n", seed);
    for (uint64_t i = 0; i < seeds && (seconds == 0 || seconds_since(&began) < (double)seconds); i++) {
        run_one(seed + i, &settings, &totals);
        progress(&totals, seconds_since(&began), &last);
    }
    report(&totals, seconds_since(&began));
    return totals.violations ? 1 : 0;
}
