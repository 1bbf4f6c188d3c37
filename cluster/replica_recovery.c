/* A replica whose log is damaged, until it is whole and the replica runs like any other. */
#include <inttypes.h>

#include "cluster/replica_impl.h"

void replica_say_opened(struct replica *r, const struct log_report *report)
{
    replica_say(r, "log_opened first=%" PRIu64 " last=%" PRIu64 " segments=%" PRIu64 " torn_bytes=%" PRIu64,
                report->first, report->last, report->segments, report->torn_bytes);
    if (report->damaged) {
        replica_say(r, "log_damaged lost=%" PRIu64 " first=%" PRIu64 " last=%" PRIu64 " error=\"%s\"",
                    report->lost, report->lost_first, report->lost_last, report->damage.text);
    }
    r->damage = *report;
}

int replica_run(struct replica *r, struct error *e)
{
    const struct store_position *at = applier_position(r->applier);
    return consensus_recovering(r->consensus) ? consensus_recover(r->consensus, e)
                                              : consensus_start(r->consensus, at->index, at->term, e);
}

/* The new log is complete. */
static void adopt(struct replica *r)
{
    struct log_report report;
    struct error e;
    uint64_t given;
    int rv = consensus_adopt(r->consensus, &report, &given, &e);
    if (rv == 0) {
        replica_say(r, "log_repaired entries=%" PRIu64 " first=%" PRIu64 " last=%" PRIu64, given,
                    r->damage.lost_first, r->damage.lost_last);
        replica_say_opened(r, &report);
        rv = replica_run(r, &e);
    }
    if (rv != 0) {
        replica_on_fatal(r, &e);
    }
}

void replica_on_recovering(void *ctx)
{
    struct replica *r = replica_of(ctx);
    if (r->dead || r->stopped != NULL) {
        return;
    }
    if (consensus_mended(r->consensus)) {
        adopt(r);
    } else {
        repair_poll(r->repair);
    }
}

void replica_on_stuck(void *ctx, const struct log_want *want)
{
    struct replica *r = replica_of(ctx);
    if (!r->stuck) {
        replica_say(r,
                    "log_repair_waits first=%" PRIu64 " last=%" PRIu64 " term=%" PRIu64
                    " reason=\"no member that is reached has them\"",
                    want->from, want->to, want->term);
    }
    r->stuck = true;
}
