#include "tests/sim/shrink.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/sim/pool.h"

struct shrinking {
    uint64_t seed;
    struct life_limits *best;
    struct life_result *result; /* of the best */
    struct life_result *tried;
    unsigned tries;
};

/* Whether it still fails; then it is the best so far. */
static bool fails(struct shrinking *s, const struct life_limits *limits)
{
    s->tries++;
    pool_try(s->seed, limits, s->tried);
    if (s->tried->failure[0] == 0) {
        return false;
    }
    *s->best = *limits;
    *s->result = *s->tried;
    return true;
}

static unsigned count_acts(const struct life_result *r)
{
    unsigned count = 0;
    for (unsigned i = 0; i < NEMESIS_ACTS_MAX; i++) {
        count += r->played[i];
    }
    return count;
}

static void tell(const struct shrinking *s)
{
    printf("  %u acts, %" PRIu64 " ms, after %u tries: %s\n", count_acts(s->result),
           s->result->simulated_us / 1000, s->tries, s->result->failure);
    fflush(stdout);
}

static void fewer_kinds(struct shrinking *s)
{
    for (unsigned fault = 0; fault < FAULT_COUNT; fault++) {
        struct life_limits less = *s->best;
        less.only.without |= UINT32_C(1) << fault;
        fails(s, &less);
    }
    tell(s);
}

/* Without the acts numbered from FROM to TO among those that were played. */
static bool without_acts(struct shrinking *s, unsigned from, unsigned to)
{
    struct life_limits less = *s->best;
    unsigned played = 0;
    less.only.some = true;
    for (unsigned i = 0; i < NEMESIS_ACTS_MAX; i++) {
        less.only.acts[i] = s->result->played[i] && !(played >= from && played < to);
        played += s->result->played[i];
    }
    return fails(s, &less);
}

/* Ever smaller pieces are left out (Zeller and Hildebrandt, "Simplifying and Isolating Failure-Inducing
 * Input", 2002). */
static void fewer_acts(struct shrinking *s)
{
    unsigned piece = (count_acts(s->result) + 1) / 2;
    while (piece > 0) {
        unsigned from = 0;
        while (from < count_acts(s->result)) {
            from += without_acts(s, from, from + piece) ? 0 : piece;
        }
        tell(s);
        piece = piece > 1 ? (piece + 1) / 2 : 0;
    }
}

static void less_time(struct shrinking *s)
{
    struct life_limits less = *s->best;
    uint64_t end = s->result->simulated_us;
    for (unsigned part = 4; part <= 10; part++) {
        less.until_us = end / 10 * part / 1000 * 1000;
        if (fails(s, &less)) {
            break;
        }
    }
    tell(s);
}

static void fewer_clients(struct shrinking *s)
{
    for (unsigned clients = 1; clients < s->result->clients; clients++) {
        struct life_limits less = *s->best;
        less.clients = clients;
        if (fails(s, &less)) {
            break;
        }
    }
    tell(s);
}

void shrink_print_command(uint64_t seed, const struct life_limits *limits)
{
    const char *comma = " --only-acts ";
    printf("quorate-sim --seed %" PRIu64, seed);
    if (limits->nodes) {
        printf(" --nodes %u", limits->nodes);
    }
    if (limits->clients) {
        printf(" --clients %u", limits->clients);
    }
    if (limits->until_us) {
        printf(" --until %" PRIu64, limits->until_us / 1000);
    }
    for (unsigned i = 0; i < FAULT_COUNT && !limits->only.some; i++) {
        if (limits->only.without & (UINT32_C(1) << i)) {
            printf(" --without %s", fault_name((enum fault)i));
        }
    }
    for (unsigned i = 0; i < NEMESIS_ACTS_MAX && limits->only.some; i++) {
        if (limits->only.acts[i]) {
            printf("%s%u", comma, i);
            comma = ",";
        }
    }
    if (limits->only.some && comma[0] != ',') {
        printf("%snone", comma);
    }
    putchar('\n');
}

bool shrink(uint64_t seed, struct life_limits *limits)
{
    struct life_result *results = calloc(2, sizeof *results);
    struct shrinking s = {.seed = seed, .best = limits, .result = results, .tried = results + 1};
    struct life_limits first = *limits;
    bool failed;

    if (results == NULL) {
        abort();
    }
    failed = fails(&s, &first);
    if (failed) {
        tell(&s);
        fewer_kinds(&s);
        fewer_acts(&s);
        less_time(&s);
        fewer_clients(&s);
        fewer_acts(&s);
        shrink_print_command(seed, limits);
    }
    free(results);
    return failed;
}
