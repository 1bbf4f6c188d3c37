/* quorate-sim: whole clusters in virtual time, one after the other, each from one seed.
 *
 *   quorate-sim --seed S [--trace | --shrink]   one seed; its story, or the smallest part that still fails
 *   quorate-sim --seeds N [--first S]           N seeds, fresh ones unless --first is given
 *   quorate-sim --seconds T [--hours H]         fresh seeds for T seconds, or until H hours are simulated
 *   --jobs N            lives at once; as many as there are processors
 *   --twice             every seed runs twice and must do exactly the same
 *   --stop              ends at the first violation
 *   --coverage          prints what was met
 *   --complete          fails if a way out of trouble was never taken
 * and what a run may not do, other than its seed says:
 *   --nodes 3|5, --clients N, --until MS (the faults end then), --without KIND (of faults; again and again),
 *   --only-acts N,N,... (of the nemesis; none), --in-memory, --on-disk (SQLite), --settled, --restless
 * (operator) The last line is `seeds N, simulated H h, speed xS, violations V`; exit 1 if there was a
 * violation. */
#include <getopt.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "tests/sim/clients.h"
#include "tests/sim/pool.h"
#include "tests/sim/shrink.h"
#include "tests/sim/totals.h"

enum { PROGRESS_S = 5 };

struct session {
    struct life_limits limits;
    bool trace, shrink, twice, stop, coverage, complete, given;
    uint64_t seed, seeds, seconds;
    double hours;
    unsigned jobs;

    struct totals totals;
    struct timespec began;
    double told;
    uint64_t started;
};

static double seconds_since(const struct timespec *from)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)(now.tv_sec - from->tv_sec) + (double)(now.tv_nsec - from->tv_nsec) / 1e9;
}

static bool next_seed(void *ctx, uint64_t *ret_seed)
{
    struct session *s = ctx;
    bool over =
        s->started == s->seeds || (s->seconds != 0 && seconds_since(&s->began) >= (double)s->seconds) ||
        (s->hours > 0 && totals_hours(&s->totals) >= s->hours) || (s->stop && s->totals.violations > 0);
    if (!over) {
        *ret_seed = s->seed + s->started++;
    }
    return !over;
}

static void print_violation(const struct life_result *r)
{
    printf("%sVIOLATION seed %" PRIu64 " (%u nodes) at %" PRIu64 " ms: %s\n",
           isatty(STDOUT_FILENO) ? "\n" : "", r->seed, r->nodes, r->simulated_us / 1000, r->failure);
    fflush(stdout);
}

static void life_ended(void *ctx, const struct life_result *result)
{
    struct session *s = ctx;
    totals_add(&s->totals, result);
    if (result->failure[0] != 0) {
        print_violation(result);
    }
}

static void progress(void *ctx)
{
    struct session *s = ctx;
    double seconds = seconds_since(&s->began);
    if (seconds - s->told >= (isatty(STDOUT_FILENO) ? 0.5 : PROGRESS_S)) {
        s->told = seconds;
        totals_progress(&s->totals, seconds);
    }
}

static uint64_t fresh_seed(void)
{
    uint64_t seed = 0;
    if (getrandom(&seed, sizeof seed, 0) != (ssize_t)sizeof seed) {
        abort();
    }
    return seed >> 24; /* short enough to type */
}

static bool only_acts(struct nemesis_only *only, const char *list)
{
    only->some = true;
    if (strcmp(list, "none") == 0) {
        return true;
    }
    while (*list != 0) {
        char *end;
        unsigned long act = strtoul(list, &end, 10);
        if (end == list || act >= NEMESIS_ACTS_MAX) {
            return false;
        }
        only->acts[act] = true;
        list = *end == ',' ? end + 1 : end;
    }
    return true;
}

static bool without(struct nemesis_only *only, const char *name)
{
    enum fault fault = fault_by_name(name);
    if (fault == FAULT_COUNT) {
        fprintf(stderr, "quorate-sim: there is no fault '%s'; there are:", name);
        for (unsigned i = 0; i < FAULT_COUNT; i++) {
            fprintf(stderr, " %s", fault_name((enum fault)i));
        }
        fputc('\n', stderr);
        return false;
    }
    only->without |= UINT32_C(1) << fault;
    return true;
}

static int usage(void)
{
    fprintf(stderr, "usage: quorate-sim [--seed S [--trace | --shrink] | --seeds N [--first S] | --seconds T "
                    "[--hours H]]\n"
                    "                   [--jobs N] [--twice] [--stop] [--coverage] [--complete]\n"
                    "                   [--nodes 3|5] [--clients N] [--until MS] [--without KIND]... "
                    "[--only-acts N,N...]\n"
                    "                   [--in-memory | --on-disk] [--settled | --restless]\n");
    return 2;
}

static bool take_option(struct session *s, int option, const char *text)
{
    uint64_t number = text ? strtoull(text, NULL, 10) : 0;
    switch (option) {
    case 's':
    case 'f':
        s->seed = number;
        s->given = true;
        return true;
    case 'n': s->seeds = number; return true;
    case 't':
        s->seconds = number;
        s->seeds = UINT64_MAX;
        return number > 0;
    case 'h': s->hours = strtod(text, NULL); return s->hours > 0;
    case 'j': s->jobs = (unsigned)number; return number >= 1 && number <= POOL_JOBS_MAX;
    case 'v': s->trace = true; return true;
    case 'r': s->shrink = true; return true;
    case '2': s->twice = true; return true;
    case 'p': s->stop = true; return true;
    case 'g': s->coverage = true; return true;
    case 'e': s->complete = true; return true;
    case 'm': s->limits.in_memory = true; return true;
    case 'R': s->limits.restless = true; return true;
    case 'S': s->limits.settled = true; return true;
    case 'D': s->limits.on_disk = true; return true;
    case 'k': s->limits.nodes = (unsigned)number; return number >= 1 && number <= GROUP_MAX;
    case 'c': s->limits.clients = (unsigned)number; return number >= 1 && number <= CLIENTS_MAX;
    case 'u': s->limits.until_us = number * 1000; return number > 0;
    case 'w': return without(&s->limits.only, text);
    case 'o': return only_acts(&s->limits.only, text);
    default: return false;
    }
}

static bool take_options(struct session *s, int argc, char **argv)
{
    static const struct option options[] = {
        {"seed", required_argument, NULL, 's'},      {"seeds", required_argument, NULL, 'n'},
        {"first", required_argument, NULL, 'f'},     {"seconds", required_argument, NULL, 't'},
        {"hours", required_argument, NULL, 'h'},     {"jobs", required_argument, NULL, 'j'},
        {"trace", no_argument, NULL, 'v'},           {"shrink", no_argument, NULL, 'r'},
        {"twice", no_argument, NULL, '2'},           {"stop", no_argument, NULL, 'p'},
        {"coverage", no_argument, NULL, 'g'},        {"complete", no_argument, NULL, 'e'},
        {"in-memory", no_argument, NULL, 'm'},       {"on-disk", no_argument, NULL, 'D'},
        {"settled", no_argument, NULL, 'S'},         {"restless", no_argument, NULL, 'R'},
        {"nodes", required_argument, NULL, 'k'},     {"clients", required_argument, NULL, 'c'},
        {"until", required_argument, NULL, 'u'},     {"without", required_argument, NULL, 'w'},
        {"only-acts", required_argument, NULL, 'o'}, {NULL, 0, NULL, 0},
    };
    int c;
    while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
        if (!take_option(s, c, optarg)) {
            return false;
        }
    }
    return optind == argc;
}

static void run_story(struct session *s)
{
    struct life_result *result = calloc(1, sizeof *result);
    if (result == NULL) {
        abort();
    }
    life_run(s->seed, &s->limits, true, result);
    life_ended(s, result);
    printf("seed %" PRIu64 " hash %016" PRIx64 "\n", s->seed, result->hash);
    free(result);
}

int main(int argc, char **argv)
{
    static struct session s; /* large */
    long processors = sysconf(_SC_NPROCESSORS_ONLN);

    /* One thread, so that mutexes and counters under them are waste. Nothing has used SQLite yet. */
    sqlite3_config(SQLITE_CONFIG_SINGLETHREAD);
    sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
    s.seeds = 1;
    s.jobs = processors < 1 ? 1 : processors > POOL_JOBS_MAX ? POOL_JOBS_MAX : (unsigned)processors;
    if (!take_options(&s, argc, argv)) {
        return usage();
    }
    clock_gettime(CLOCK_MONOTONIC, &s.began);
    s.seed = s.given ? s.seed : fresh_seed();
    if (s.shrink) {
        return shrink(s.seed, &s.limits) ? 1 : 0;
    }
    if (s.trace) {
        run_story(&s);
    } else {
        printf("first seed %" PRIu64 "\n", s.seed);
        pool_run(&(struct pool_config){
            .jobs = s.jobs,
            .twice = s.twice,
            .limits = &s.limits,
            .next = next_seed,
            .ended = life_ended,
            .idle = progress,
            .ctx = &s,
        });
    }
    if (s.coverage) {
        coverage_print(&s.totals.coverage);
    }
    if (s.complete && !coverage_complete(&s.totals.coverage)) {
        s.totals.violations++;
    }
    totals_report(&s.totals, seconds_since(&s.began));
    return s.totals.violations ? 1 : 0;
}
