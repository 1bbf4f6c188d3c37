/* A replica whose log is damaged, until it is whole and the replica runs like any other. */
#include <inttypes.h>
#include <string.h>

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
    uint64_t from = consensus_compacted_index(r->consensus);

    if (consensus_recovering(r->consensus)) {
        return consensus_recover(r->consensus, e);
    }
    if (replica_is_unfit(
            r)) { /* the core goes on without a database, and nothing is applied until there is one */
        applier_stop(r->applier);
        return consensus_start(r->consensus, from, consensus_term_at(r->consensus, from), e);
    }
    return consensus_start(r->consensus, at->index, at->term, e);
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
    if (r->dead || r->stopped != NULL || consensus_installing(r->consensus)) {
        return; /* an image was faster: what it leaves to be mended is begun anew behind it */
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

/* What is lost is compacted elsewhere, so every member had it; it is not needed if the database holds it
 * durably. */

static void checkpoint_on_lane(struct env_work *work)
{
    struct replica *r = CAST(struct replica, CONTAINER_OF(work, struct replica, skip.work), REPLICA_MAGIC);
    r->skip.rc = store_checkpoint(r->store, &r->skip.durable, &r->skip.error);
}

static void checkpoint_done(struct env_work *work)
{
    struct replica *r = CAST(struct replica, CONTAINER_OF(work, struct replica, skip.work), REPLICA_MAGIC);
    int rv = r->skip.rc;
    r->skip.busy = false;
    if (r->dead || r->stopped != NULL) {
        return;
    }
    if (rv == 0 && r->skip.durable >= r->skip.image.index && consensus_wanted(r->consensus) != NULL &&
        !consensus_installing(r->consensus)) {
        rv = consensus_skip(r->consensus, &r->skip.image, &r->skip.error);
        if (rv == 0) {
            replica_say(
                r, "log_skipped last=%" PRIu64 " reason=\"compacted elsewhere, and the database holds it\"",
                r->skip.image.index);
            rv = consensus_recover(r->consensus, &r->skip.error);
        }
    }
    if (rv != 0) {
        replica_on_fatal(r, &r->skip.error);
    }
}

void replica_on_lost_compacted(void *ctx, const struct log_want *want, const struct consensus_image *image)
{
    struct replica *r = replica_of(ctx);
    uint64_t applied = r->config.in_memory ? 0 : applier_position(r->applier)->index;
    if (r->skip.busy || r->stopped != NULL) {
        return;
    }
    if (applied < image->index || image->index > consensus_last(r->consensus) ||
        image->configuration_len > sizeof r->skip.configuration) {
        if (!r->stuck) {
            replica_say(r,
                        "log_repair_waits first=%" PRIu64 " last=%" PRIu64 " applied=%" PRIu64
                        " reason=\"the others have compacted it: this node needs a snapshot\"",
                        want->from, want->to, applied);
        }
        r->stuck = true;
        r->lost_for_good = true;
        return;
    }
    memcpy(r->skip.configuration, image->configuration, image->configuration_len);
    r->skip.image = *image;
    r->skip.image.configuration = r->skip.configuration;
    r->skip.busy = true;
    r->skip.work = (struct env_work){.run = checkpoint_on_lane, .done = checkpoint_done, .lane = ENV_WORKER};
    env_run(r->config.env, &r->skip.work);
}
