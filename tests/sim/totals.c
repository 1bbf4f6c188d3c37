#include "tests/sim/totals.h"

#include <inttypes.h>
#include <stdio.h>
#include <unistd.h>

void totals_add(struct totals *t, const struct life_result *r)
{
    t->seeds++;
    t->simulated_us += r->simulated_us;
    t->events += r->events;
    t->entries += r->entries;
    t->violations += r->failure[0] != 0;
    t->boots += r->boots;
    t->crashes += r->crashes;
    t->kills += r->kills;
    t->stops += r->stops;
    t->elections += r->elections;
    t->done += r->done;
    t->refused += r->refused;
    t->unknown += r->unknown;
    coverage_add(&t->coverage, &r->coverage);
}

double totals_hours(const struct totals *t)
{
    return (double)t->simulated_us / 3.6e9;
}

static double speed(const struct totals *t, double seconds)
{
    return (double)t->simulated_us / 1e6 / (seconds > 0.001 ? seconds : 0.001);
}

void totals_progress(const struct totals *t, double seconds)
{
    bool terminal = isatty(STDOUT_FILENO);
    printf("%s%" PRIu64 " seeds, %.2f h simulated, x%.0f, %" PRIu64 " faults, %" PRIu64 " violations%s",
           terminal ? "\r" : "", t->seeds, totals_hours(t), speed(t, seconds), coverage_faults(&t->coverage),
           t->violations, terminal ? "   " : "\n");
    fflush(stdout);
}

void totals_report(const struct totals *t, double seconds)
{
    printf("%sstarts %" PRIu64 ", power losses %" PRIu64 ", kills %" PRIu64 ", stops by itself %" PRIu64
           ", elections %" PRIu64 ", faults %" PRIu64 " (%.0f a minute), log entries %" PRIu64
           ", operations done %" PRIu64 ", refused %" PRIu64 ", unknown %" PRIu64 ", events %" PRIu64 "\n",
           isatty(STDOUT_FILENO) ? "\n" : "", t->boots, t->crashes, t->kills, t->stops, t->elections,
           coverage_faults(&t->coverage),
           (double)coverage_faults(&t->coverage) / (totals_hours(t) > 0 ? totals_hours(t) * 60 : 1),
           t->entries, t->done, t->refused, t->unknown, t->events);
    printf("seeds %" PRIu64 ", simulated %.2f h, speed x%.0f, violations %" PRIu64 "\n", t->seeds,
           totals_hours(t), speed(t, seconds), t->violations);
}
