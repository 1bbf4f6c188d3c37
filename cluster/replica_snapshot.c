/* The images of this replica's database: for whoever takes them, and for other members. */
#include <inttypes.h>

#include "base/plant.h"
#include "cluster/replica_impl.h"

int replica_may_take(void *ctx, uint64_t index, struct error *e)
{
    struct replica *r = replica_of(ctx);
    uint64_t applied = applier_position(r->applier)->index;

    if (r->fenced || r->unfit) {
        return error_set(e, Q_CONFLICT, "node %" PRIu64 " has no database that it could answer for",
                         r->config.id);
    }
    if (r->install.step != INSTALL_NOT) {
        return error_set(e, Q_CONFLICT, "node %" PRIu64 " is installing an image itself", r->config.id);
    }
    if (applied < index || applied == 0) {
        return error_set(e, Q_NOT_FOUND,
                         "node %" PRIu64 " has applied index %" PRIu64 " and not yet %" PRIu64, r->config.id,
                         applied, index);
    }
    return 0;
}

static void fail_takes(struct replica *r, const struct error *why)
{
    struct list mine, *link;

    list_take(&mine, &r->takes); /* callbacks may ask again */
    while ((link = list_pop(&mine)) != NULL) {
        struct replica_take *take = CONTAINER_OF(link, struct replica_take, link);
        take->done(take, why);
    }
}

void replica_on_taken(void *ctx, const struct images_taken *taken, const struct error *failed)
{
    struct replica *r = replica_of(ctx);

    if (failed != NULL) {
        replica_say(r, "take_failed error=\"%s\"", failed->text);
        fail_takes(r, failed);
        return;
    }
    replica_say(r,
                "image_taken index=%" PRIu64 " term=%" PRIu64 " bytes=%" PRIu64 " chunks=%" PRIu32
                " chunks_new=%" PRIu64 " bytes_new=%" PRIu64 " ms=%" PRIu64,
                taken->image.index, taken->image.term, taken->image.bytes, taken->image.chunks,
                taken->chunks_new, taken->bytes_new, taken->ms);
}

void replica_on_held(void *ctx, bool held)
{
    compactor_hold(replica_of(ctx)->compactor, held);
}

void replica_on_page_bad(void *ctx, const struct error *why)
{
    replica_page_bad(replica_of(ctx), why);
}

void replica_on_swept(void *ctx, uint64_t chunks, uint64_t bytes)
{
    replica_say(replica_of(ctx), "swept chunks=%" PRIu64 " bytes=%" PRIu64, chunks, bytes);
}

void replica_on_image_damaged(void *ctx, const struct error *why)
{
    replica_say(replica_of(ctx), "image_damaged error=\"%s\" action=dropped", why->text);
}

/* What was asked for is there, or has to be taken yet. */
static void serve_takes(struct replica *r)
{
    struct list mine, *link;

    if (images_taking(r->images)) {
        return;
    }
    list_take(&mine, &r->takes);
    while ((link = list_pop(&mine)) != NULL) {
        struct replica_take *take = CONTAINER_OF(link, struct replica_take, link);
        const struct image *image = images_find(r->images, take->at_least);
        if (image == NULL) {
            list_push(&r->takes, link);
            continue;
        }
        take->index = image->index;
        take->term = image->term;
        images_keep(r->images, image->index, image->term, take->keep_ms);
        take->done(take, NULL);
    }
    if (!list_empty(&r->takes)) {
        images_want(r->images);
    }
}

void replica_snapshot_tick(struct replica *r)
{
    if (r->images != NULL) {
        serve_takes(r);
        images_tick(r->images);
        ship_source_tick(r->ship_source);
    }
}

int replica_take(struct replica *r, struct replica_take *take, struct error *e)
{
    if (r->stopped != NULL || r->dead) {
        return error_set(e, Q_CLOSED, "this node is stopping");
    }
    if (r->images == NULL) {
        return error_set(e, Q_INVALID, "a database in memory has no images");
    }
    int rv = replica_may_take(r, 1, e);
    if (rv == 0) {
        take->at_least = applier_position(r->applier)->index;
        list_push(&r->takes, &take->link);
    }
    return rv;
}

void replica_forget_take(struct replica_take *take)
{
    list_remove(&take->link);
}

bool replica_touch_snapshot(struct replica *r, uint64_t index, uint64_t term)
{
    return r->images != NULL && images_keep(r->images, index, term, 0);
}

void replica_snapshot_damaged(struct replica *r, uint64_t index, uint64_t term,
                              const struct chunk_name *chunk, const struct error *why)
{
    if (r->images != NULL) {
        images_damaged(r->images, index, term, chunk, why);
    }
}

const char *replica_snapshot_dir(const struct replica *r)
{
    return r->dir;
}

uint64_t replica_log_limit(void *ctx)
{
    struct replica *r = replica_of(ctx);
    return r->images != NULL ? images_log_limit(r->images) : UINT64_MAX;
}

/* A database that is to be replaced: the log has to go on where the image ends that is on its way. */
uint64_t replica_log_last(void *ctx)
{
    struct replica *r = replica_of(ctx);
    uint64_t coming = r->ship_target != NULL ? ship_target_progress(r->ship_target).index : 0;

    if ((!r->fenced && !r->unfit) || r->ship_target == NULL || PLANTED("log_is_trimmed_under_a_rebuild")) {
        return UINT64_MAX;
    }
    return coming != 0 ? coming : consensus_first(r->consensus) - 1;
}

void replica_snapshot_stop(struct replica *r)
{
    struct error closed;

    error_set(&closed, Q_CLOSED, "this node is stopping");
    if (r->images != NULL) {
        fail_takes(r, &closed);
        ship_target_stop(r->ship_target);
        ship_source_stop(r->ship_source);
        images_stop(r->images);
    }
}

bool replica_snapshot_idle(const struct replica *r)
{
    return r->images == NULL || (ship_target_idle(r->ship_target) && ship_source_idle(r->ship_source) &&
                                 images_idle(r->images) && r->install.step != INSTALL_SWAPPING);
}
