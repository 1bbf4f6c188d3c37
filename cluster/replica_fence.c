/* What a replica does when its database is known to be wrong: it takes no part in answering any more, but
 * goes on voting and keeping the log, which are as good as ever. */
#include <inttypes.h>
#include <stdio.h>

#include "base/plant.h"
#include "cluster/replica_impl.h"

static const char *const reasons[] = {
    [META_NO_FENCE] = "",
    [META_FENCE_MAJORITY] = "a majority of the members has another content",
    [META_FENCE_LEADER] = "the leader has another content, and no majority could say who is right",
    [META_FENCE_SCAN] = "a scan found content that its own digest does not name",
    [META_FENCE_PAGE] = "it cannot be read",
};

const char *replica_fence_reason(const struct replica *r)
{
    return reasons[consensus_meta(r->consensus)->fence];
}

static void list_ids(char *text, size_t size, const uint64_t *ids, unsigned count)
{
    size_t at = 0;

    text[0] = '\0';
    for (unsigned i = 0; i < count && at < size; i++) {
        at += (size_t)snprintf(text + at, size - at, "%s%" PRIu64, i == 0 ? "" : ",", ids[i]);
    }
}

/* Those who say that the leader's digest is theirs, too, may lead; of them the one that has most. */
static uint64_t successor(const struct replica *r, const uint64_t *ids, unsigned count)
{
    uint64_t best = 0, match = 0;

    for (unsigned i = 0; i < count; i++) {
        uint64_t has = consensus_match(r->consensus, ids[i]);
        if (ids[i] != r->config.id && has >= match) {
            best = ids[i];
            match = has;
        }
    }
    return best;
}

static void leave_leadership(struct replica *r)
{
    struct error e;

    r->handing_over_ms = env_now_ms(r->config.env);
    if (consensus_transfer(r->consensus, r->successor, &e) != 0 &&
        consensus_transfer(r->consensus, 0, &e) != 0) {
        replica_say(r, "transfer_failed error=\"%s\"", e.text);
    }
}

/* What becomes of it. */
static const char *rebuild_of(const struct replica *r)
{
    return r->config.in_memory || members_count(r->members) == 1 ? "needed" : "from_others";
}

/* IDS: members that are not known to be wrong; none: any. */
static void fence(struct replica *r, enum meta_fence why, uint64_t index, const uint64_t *ids, unsigned count)
{
    if (r->fenced || r->dead) {
        return;
    }
    r->fenced = true;
    r->successor = successor(r, ids, count);
    divergence_fenced(r->divergence);
    if (!PLANTED("fence_is_not_durable")) {
        consensus_fence(r->consensus, why, index);
    }
    replica_say(r, "%s index=%" PRIu64 " action=fenced reason=\"%s\" rebuild=%s",
                why == META_FENCE_PAGE ? "page_bad" : "diverged", index, reasons[why], rebuild_of(r));
    batcher_abandon(r->batcher);
    if (r->images != NULL) {
        images_cancel(r->images, true);
    }
    if (consensus_role(r->consensus) == CONSENSUS_LEADER) {
        leave_leadership(r);
    }
}

void replica_on_odd(void *ctx, const struct divergence_verdict *verdict)
{
    fence(replica_of(ctx), verdict->majority ? META_FENCE_MAJORITY : META_FENCE_LEADER, verdict->index,
          verdict->members, verdict->majority ? verdict->agree : 0);
}

void replica_on_settled(void *ctx, const struct divergence_verdict *verdict)
{
    char others[200];

    list_ids(others, sizeof others, verdict->others, verdict->differ);
    replica_say(replica_of(ctx), "digests_differ index=%" PRIu64 " majority=%s others=%s", verdict->index,
                verdict->majority ? "here" : "none", others);
}

void replica_on_differs(void *ctx, uint64_t index)
{
    struct replica *r = replica_of(ctx);

    if (!r->fenced) {
        divergence_differs(r->divergence, index);
    }
}

static void check_on_lane(struct env_work *work)
{
    struct replica_check *check = CONTAINER_OF(work, struct replica_check, work);

    store_check(check->owner->store, &check->found, &check->error);
}

static void check_done(struct env_work *work)
{
    struct replica_check *check = CONTAINER_OF(work, struct replica_check, work);
    struct replica *r = replica_of(check->owner);
    bool failed = check->error.code != Q_OK;

    r->checking = false;
    replica_say(r, "checked index=%" PRIu64 " ok=%d differing=\"%s\"%s%s", check->found.index,
                check->found.ok, check->found.differing, failed ? " error=" : "",
                failed ? check->error.text : "");
    if (failed && check->error.code == Q_CORRUPT) {
        replica_page_bad(r, &check->error);
    } else if (!failed && !check->found.ok) {
        replica_scanned_wrong(r, check->found.index);
    }
    check->done(check, failed ? &check->error : NULL);
}

int replica_check(struct replica *r, struct replica_check *check, struct error *e)
{
    if (r->stopped != NULL || r->dead) {
        return error_set(e, Q_CLOSED, "this node is stopping");
    }
    if (r->checking) {
        return error_set(e, Q_BUSY, "the database is being checked already");
    }
    r->checking = true;
    check->owner = r;
    check->error = (struct error){.code = Q_OK};
    check->found = (struct store_check){.ok = false};
    check->work = (struct env_work){.run = check_on_lane, .done = check_done, .lane = ENV_READER};
    env_run(r->config.env, &check->work);
    return 0;
}

void replica_scanned_wrong(struct replica *r, uint64_t index)
{
    fence(r, META_FENCE_SCAN, index, NULL, 0);
}

void replica_page_bad(struct replica *r, const struct error *why)
{
    r->bad_pages = store_bad_pages(r->store);
    if (r->config.in_memory || members_count(r->members) == 1) {
        replica_on_fatal(r, why); /* there is nobody who could help */
    } else if (!r->fenced) {
        replica_say(r, "page_bad error=\"%s\"", why->text);
        fence(r, META_FENCE_PAGE, applier_position(r->applier)->index, NULL, 0);
    }
}

void replica_on_apply_failed(void *ctx, const struct error *why)
{
    struct replica *r = replica_of(ctx);

    if (r->fenced) {
        replica_say(r, "apply_stopped error=\"%s\"", why->text); /* it is not needed to vote */
    } else if (why->code == Q_CORRUPT) {
        replica_page_bad(r, why);
    } else {
        replica_on_fatal(r, why);
    }
}

/* A fenced leader hands over, and leaves anyway when nobody took it. */
void replica_fence_tick(struct replica *r)
{
    uint64_t now = env_now_ms(r->config.env);

    if (store_bad_pages(r->store) > r->bad_pages && r->install.step == INSTALL_NOT &&
        !PLANTED("bad_page_that_a_reader_met_is_forgotten")) {
        struct error bad; /* a reader met it, and has served nothing of it */
        error_set(&bad, Q_CORRUPT, "a page of %s fails its checksum", r->database);
        replica_page_bad(r, &bad);
    }
    if (!r->fenced || consensus_role(r->consensus) != CONSENSUS_LEADER) {
        r->handing_over_ms = 0;
    } else if (r->handing_over_ms == 0) {
        leave_leadership(r); /* an election that was under way was won */
    } else if (now - r->handing_over_ms >= 2 * (uint64_t)r->config.election_ms) {
        r->handing_over_ms = 0;
        consensus_step_down(r->consensus);
    }
}

bool replica_is_unfit(struct replica *r)
{
    uint64_t applied = applier_position(r->applier)->index, first = consensus_first(r->consensus);

    if (!r->unfit && !r->config.in_memory && applied + 1 < first && members_count(r->members) > 1) {
        r->unfit = true;
        error_set(&r->unfit_why, Q_CORRUPT,
                  "the database is at index %" PRIu64 " but the log begins at %" PRIu64, applied, first);
    }
    if (r->unfit && !r->fenced) {
        r->fenced = true;
        divergence_fenced(r->divergence);
        consensus_fence(r->consensus, META_FENCE_PAGE, 0);
        replica_say(r, "page_bad error=\"%s\" rebuild=%s", r->unfit_why.text, rebuild_of(r));
    }
    return r->unfit;
}

/* A database that was made anew from the whole log is not the one that was fenced. */
void replica_fence_at_start(struct replica *r)
{
    const struct meta_state *meta = consensus_meta(r->consensus);

    if (replica_is_unfit(r)) {
        return;
    }
    if (meta->fence != META_NO_FENCE && applier_position(r->applier)->index == 0) {
        replica_say(r, "fence_lifted index=%" PRIu64 " reason=\"the database is made anew from the log\"",
                    meta->fence_index);
        consensus_fence(r->consensus, META_NO_FENCE, 0);
    } else if (meta->fence != META_NO_FENCE) {
        r->fenced = true;
        divergence_fenced(r->divergence);
        replica_say(r, "fenced index=%" PRIu64 " reason=\"%s\" rebuild=%s", meta->fence_index,
                    reasons[meta->fence], rebuild_of(r));
    }
}

bool replica_may_answer(void *ctx, struct error *why)
{
    struct replica *r = replica_of(ctx);

    if (r->install.step != INSTALL_NOT) {
        error_set(why, Q_BUSY, "node %" PRIu64 " installs an image of the database: try again", r->config.id);
    } else if (r->fenced) {
        error_set(why, Q_CORRUPT,
                  "the database of node %" PRIu64 " is fenced since index %" PRIu64
                  " (%s): it answers nothing until it is rebuilt",
                  r->config.id, consensus_meta(r->consensus)->fence_index, replica_fence_reason(r));
    } else if (divergence_suspects(r->divergence)) {
        error_set(why, Q_BUSY,
                  "the content of node %" PRIu64
                  " differs from the leader's, and it is being found out who is wrong: try again",
                  r->config.id);
    } else {
        return true;
    }
    return false;
}
