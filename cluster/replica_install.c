/* A replica that gets its database from the others: because its log cannot bring it forward any more (the
 * log is begun anew behind the image), or because the database is wrong and the log is not. */
#include <inttypes.h>
#include <string.h>

#include "base/plant.h"
#include "cluster/replica_impl.h"

enum { TROUBLE_MS = 30000 }; /* the same one is said again after so long */

static bool lacks_database(const struct replica *r)
{
    return r->fenced || r->unfit;
}

/* The image's index must reach. */
static uint64_t index_for_rebuild(const struct replica *r)
{
    uint64_t first = consensus_first(r->consensus);
    return first > 1 ? first - 1 : 1;
}

/* What would help now; 0: nothing is needed. */
static uint64_t needed(const struct replica *r)
{
    uint64_t wanted = consensus_image_wanted(r->consensus);

    if (members_count(r->members) == 1 || r->stopped != NULL || r->install.step != INSTALL_NOT) {
        return 0;
    }
    if (consensus_recovering(r->consensus)) {
        return r->lost_for_good ? wanted : 0;
    }
    return wanted > 0 ? wanted : lacks_database(r) ? index_for_rebuild(r) : 0;
}

/* What is in the WAL cannot be used again, so it goes into the file first. */
static void want(struct replica *r, uint64_t index)
{
    if (ship_target_progress(r->ship_target).state == SHIP_IDLE && !lacks_database(r) &&
        applier_position(r->applier)->index > 0) {
        compactor_make_room(r->compactor, applier_floor(r->applier));
    }
    ship_target_want(r->ship_target, index);
}

void replica_on_fetch(void *ctx, uint64_t from, uint64_t index, uint64_t term)
{
    struct replica *r = replica_of(ctx);

    (void)term;
    r->install.from = from;
    if (!r->dead && r->stopped == NULL && r->install.step == INSTALL_NOT) {
        want(r, index);
    }
}

unsigned replica_ship_members(void *ctx, uint64_t ret_ids[PEERS_MAX])
{
    struct replica *r = replica_of(ctx);
    uint64_t first = r->install.from != 0 ? r->install.from : consensus_leader(r->consensus);
    unsigned n = 0;

    for (unsigned pass = 0; pass < 2; pass++) {
        for (unsigned i = 0; i < members_count(r->members); i++) {
            uint64_t id = members_at(r->members, i)->id;
            if (id != r->config.id && (id == first) == (pass == 0) && r->peers != NULL &&
                peers_connected(r->peers, id)) {
                ret_ids[n++] = id;
            }
        }
    }
    return n;
}

int replica_check_manifest(void *ctx, const struct manifest *m, struct error *e)
{
    struct replica *r = replica_of(ctx);

    if (memcmp(m->cluster_id, r->cluster_id, sizeof r->cluster_id) != 0 &&
        !PLANTED("image_of_another_cluster_is_taken")) {
        return error_set(e, Q_MISMATCH,
                         "the image of index %" PRIu64 " is one of cluster \"%s\", and not of this one",
                         m->index, m->cluster_name);
    }
    if (!PLANTED("image_of_another_sqlite_is_taken") && build_check(m->sqlite, e) != 0) {
        return error_wrap(e, "the image of index %" PRIu64 " of member %" PRIu64 " is of no use here",
                          m->index, m->node);
    }
    return 0;
}

static bool can_install(const struct replica *r)
{
    return !r->dead && r->stopped == NULL && r->install.step == INSTALL_NOT;
}

static void begin(struct replica *r, bool log, uint64_t index, uint64_t term)
{
    r->install.step = INSTALL_WAITING;
    r->install.log = log;
    r->install.index = index;
    r->install.term = term;
    replica_say(r, "rebuild_started index=%" PRIu64 " term=%" PRIu64 " log=%s", index, term,
                log ? "anew" : "kept");
    applier_stop(r->applier);
    images_cancel(r->images, false);
    batcher_abandon(r->batcher);
}

void replica_on_staged(void *ctx, const struct manifest *m)
{
    struct replica *r = replica_of(ctx);
    struct consensus_image image = {.index = m->index,
                                    .term = m->term,
                                    .configuration_index = m->configuration_index,
                                    .configuration = m->configuration,
                                    .configuration_len = m->configuration_len};
    struct error e;
    int rv;

    if (!can_install(r)) {
        return;
    }
    r->install.index = m->index;
    r->install.term = m->term;
    if (consensus_image_wanted(r->consensus) > 0 || consensus_recovering(r->consensus)) {
        rv = consensus_staged(r->consensus, &image, &e);
        if (rv == Q_INVALID) {
            uint64_t wanted = consensus_image_wanted(r->consensus);
            ship_target_want(r->ship_target, wanted > m->index ? wanted : m->index + 1);
        }
    } else if (!lacks_database(r) || consensus_role(r->consensus) == CONSENSUS_LEADER) {
        return; /* not needed any more; or the leadership is about to be handed over */
    } else {
        rv = consensus_rebuild(r->consensus, &image, &e);
        if (rv == 0) {
            begin(r, false, m->index, m->term);
        } else if (rv == Q_CONFLICT) {
            ship_target_want(r->ship_target, m->index + 1);
        }
    }
    if (rv != 0 && rv != Q_BUSY) {
        replica_say(r, "image_refused index=%" PRIu64 " error=\"%s\"", m->index, e.text);
    }
}

void replica_on_install(void *ctx)
{
    struct replica *r = replica_of(ctx);
    begin(r, true, consensus_meta(r->consensus)->installing_index,
          consensus_meta(r->consensus)->installing_term);
}

/* The switch. */

static int swap_files(void *ctx, struct error *e)
{
    struct replica *r = replica_of(ctx);
    return stage_swap(r->config.env, r->dir, r->install.index, r->install.term, e);
}

int replica_on_swap(void *ctx, const struct consensus_image *image, struct error *e)
{
    struct replica *r = replica_of(ctx);
    int rv = stage_swap(r->config.env, r->dir, image->index, image->term, e);

    return rv == 0 ? 0 : error_wrap(e, "the install that was under way, of index %" PRIu64, image->index);
}

static void swap_on_lane(struct env_work *work)
{
    struct replica *r = CAST(struct replica, CONTAINER_OF(work, struct replica, install.work), REPLICA_MAGIC);
    r->install.rc = PLANTED("rebuild_keeps_the_old_database")
                        ? 0
                        : store_swap(r->store, swap_files, r, &r->install.error);
    r->install.verified =
        r->install.rc == 0 && r->config.verify_installs ? store_verify(r->store, &r->install.error) : 0;
}

static void lift_fence(struct replica *r)
{
    r->fenced = r->unfit = r->lost_for_good = r->stuck = false;
    r->bad_pages = store_bad_pages(r->store);
    r->handing_over_ms = 0;
    divergence_lifted(r->divergence);
}

static void swap_done(struct env_work *work)
{
    struct replica *r = CAST(struct replica, CONTAINER_OF(work, struct replica, install.work), REPLICA_MAGIC);
    struct ship_target_progress p = ship_target_progress(r->ship_target);
    bool recovering = consensus_recovering(r->consensus);
    struct error *e = &r->install.error;
    int rv = r->install.rc;

    r->install.step = INSTALL_NOT;
    if (r->dead) {
        return;
    }
    if (rv == 0) {
        applier_moved(r->applier);
        rv = r->install.log ? consensus_installed(r->consensus, e) : consensus_rebuilt(r->consensus, e);
    }
    if (rv != 0) {
        replica_on_fatal(r, e);
        return;
    }
    lift_fence(r);
    r->installs++;
    replica_say(r,
                "%s index=%" PRIu64 " term=%" PRIu64 " bytes=%" PRIu64 " chunks=%" PRIu32 " reused=%" PRIu32
                " fetched=%" PRIu32 " wire=%" PRIu64,
                r->install.log ? "installed" : "rebuilt", r->install.index, r->install.term, p.bytes_all,
                p.chunks_all, p.chunks_reused, p.chunks_fetched, p.bytes_wire);
    if (r->install.verified != 0) { /* whoever gave it does not know that it is wrong */
        replica_say(
            r, "install_unverified index=%" PRIu64 " from=%" PRIu64 " error=\"%s\" not_asked_ms=%" PRIu64,
            r->install.index, p.from, e->text, ship_target_judge(r->ship_target, false));
        replica_scanned_wrong(r, r->install.index);
    } else if (r->config.verify_installs) {
        ship_target_judge(r->ship_target, true);
    }
    ship_target_end(r->ship_target, false);
    if (r->stopped != NULL) {
        applier_stop(r->applier);
    } else if (recovering && replica_run(r, e) != 0) {
        replica_on_fatal(r, e);
    } else {
        replica_on_advanced(r);
    }
}

static void try_swap(struct replica *r)
{
    if (!applier_idle(r->applier) || images_taking(r->images)) {
        return;
    }
    r->install.step = INSTALL_SWAPPING;
    r->install.work = (struct env_work){.run = swap_on_lane, .done = swap_done, .lane = ENV_WORKER};
    env_run(r->config.env, &r->install.work);
}

void replica_install_tick(struct replica *r)
{
    uint64_t index;

    if (r->ship_target == NULL) {
        return;
    }
    if (r->install.step == INSTALL_WAITING && r->stopped == NULL) {
        try_swap(r);
    }
    index = needed(r);
    if (index > 0) {
        want(r, index);
    } else if (r->install.step == INSTALL_NOT && ship_target_progress(r->ship_target).state != SHIP_IDLE) {
        ship_target_end(r->ship_target, true);
    }
    ship_target_tick(r->ship_target);
}

/* The operator's lines. */

static void say_trouble(struct replica *r, const struct error *why)
{
    uint64_t now = env_now_ms(r->config.env);

    if (strcmp(r->ship_trouble.text, why->text) != 0 || now - r->ship_trouble_ms >= TROUBLE_MS) {
        r->ship_trouble = *why;
        r->ship_trouble_ms = now;
        replica_say(r, "ship_waits error=\"%s\"", why->text);
    }
}

void replica_on_ship_said(void *ctx, enum ship_event event, uint64_t who, const struct error *why)
{
    struct replica *r = replica_of(ctx);
    struct ship_target_progress p = ship_target_progress(r->ship_target);

    switch (event) {
    case SHIP_STARTED:
    case SHIP_RESUMED:
        replica_say(
            r, "%s from=%" PRIu64 " index=%" PRIu64 " term=%" PRIu64 " bytes=%" PRIu64 " chunks=%" PRIu32,
            event == SHIP_STARTED ? "ship_started" : "ship_resumed", who, p.index, p.term, p.bytes_all,
            p.chunks_all);
        break;
    case SHIP_MOVES:
        replica_say(r,
                    "ship_progress index=%" PRIu64 " chunks=%" PRIu32 " reused=%" PRIu32 " fetched=%" PRIu32
                    " wire=%" PRIu64 " bytes_per_s=%" PRIu64 " eta_ms=%" PRId64,
                    p.index, p.chunks_all, p.chunks_reused, p.chunks_fetched, p.bytes_wire, p.bytes_per_s,
                    p.eta_ms == UINT64_MAX ? -1 : (int64_t)p.eta_ms);
        break;
    case SHIP_WRONG: replica_say(r, "ship_wrong from=%" PRIu64 " error=\"%s\"", who, why->text); break;
    case SHIP_WAITS: say_trouble(r, why); break;
    }
}
