#include "cluster/images.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"
#include "snapshots/sweep.h"

enum {
    IMAGES_MAGIC = 0x51c0de11,
    STEP_CHUNKS = 4, /* in one piece of work: others wait for the worker lane, too */
    AGAIN_MS = 100,
    LEFT_MS = 60000, /* what a start finds is kept for so long */
    DAMAGED_MAX = 16,
};

enum phase { IDLE, REMOVING, HOLDING, COPYING, FINISHING, SWEEPING };

enum counter { C_TAKEN, C_FAILED, C_CHUNKS_NEW, C_SWEPT, C_DAMAGED, IMAGES_COUNTERS };

static const struct metric counter_table[IMAGES_COUNTERS] = {
    [C_TAKEN] = {METRIC_COUNTER, "quorate_ship_images_taken_total", NULL,
                 "Images of the database that were taken."},
    [C_FAILED] = {METRIC_COUNTER, "quorate_ship_images_failed_total", NULL,
                  "Takes that did not come to an end."},
    [C_CHUNKS_NEW] = {METRIC_COUNTER, "quorate_ship_chunks_written_total", NULL,
                      "Chunks that were new to the chunk store when an image was taken."},
    [C_SWEPT] = {METRIC_COUNTER, "quorate_ship_chunks_swept_total", NULL,
                 "Chunks that no kept image needed any more."},
    [C_DAMAGED] = {METRIC_COUNTER, "quorate_ship_images_damaged_total", NULL,
                   "Kept images of which a chunk or the manifest was found damaged."},
};

struct images {
    OBJECT_MAGIC;
    struct images_config config;
    struct chunk_store *chunks; /* the worker lane's */
    struct catalog *catalog;    /* the worker lane's */
    struct shelf shelf;

    enum phase phase;
    bool wanted, called_off, stopped, dead;
    bool unswept; /* something may be there that is not kept */
    uint64_t again_ms, since_ms;

    /* What is on the lane. */
    struct env_work work;
    struct take *take;
    struct take_config take_config;
    struct store_image held;
    bool holds, copied;
    struct take_progress progress;         /* as of its last step */
    struct shelf keep;                     /* what the sweep keeps */
    struct chunk_name remove[DAMAGED_MAX]; /* before anything is taken again */
    unsigned remove_count;
    bool lost[SHELF_MAX]; /* of KEEP: its manifest cannot be read */
    uint64_t swept_chunks, swept_bytes;
    int rc;
    struct error error;

    struct chunk_name damaged[DAMAGED_MAX]; /* to be removed */
    unsigned damaged_count;
    struct metric counters[IMAGES_COUNTERS];
};

/* What is kept. */

const struct image *images_find(const struct images *s, uint64_t index)
{
    return shelf_find(&s->shelf, index, consensus_first(s->config.consensus));
}

const struct image *images_find_exact(const struct images *s, uint64_t index, uint64_t term)
{
    return shelf_find_exact(&s->shelf, index, term);
}

bool images_ship(struct images *s, uint64_t index, uint64_t term)
{
    return shelf_ship(&s->shelf, index, term, env_now_ms(s->config.env) + IMAGES_SHIP_MS);
}

bool images_keep(struct images *s, uint64_t index, uint64_t term, uint64_t keep_ms)
{
    return shelf_keep(&s->shelf, index, term, env_now_ms(s->config.env), keep_ms);
}

static void drop(struct images *s, uint64_t index, uint64_t term)
{
    s->unswept = shelf_drop(&s->shelf, index, term) || s->unswept;
}

void images_damaged(struct images *s, uint64_t index, uint64_t term, const struct chunk_name *name,
                    const struct error *why)
{
    metric_add(&s->counters[C_DAMAGED], 1);
    drop(s, index, term);
    if (name != NULL && s->damaged_count < DAMAGED_MAX) {
        s->damaged[s->damaged_count++] = *name;
    }
    s->config.damaged(s->config.ctx, why);
}

uint64_t images_log_limit(const struct images *s)
{
    return PLANTED("log_is_trimmed_under_an_open_shipment")
               ? UINT64_MAX
               : shelf_log_limit(&s->shelf, env_now_ms(s->config.env));
}

/* On the worker lane. */

static void remove_on_lane(struct images *s)
{
    s->rc = 0;
    for (unsigned i = 0; i < s->remove_count && s->rc == 0; i++) {
        s->rc = chunk_store_remove(s->chunks, &s->remove[i], &s->error);
    }
}

static void hold_on_lane(struct images *s)
{
    s->rc = store_hold(s->config.store, &s->held, &s->error);
    s->holds = s->rc == 0;
}

static void copy_on_lane(struct images *s)
{
    s->rc = s->take == NULL ? take_new(&s->take_config, &s->take, &s->error) : 0;
    if (s->rc == 0) {
        s->rc = take_step(s->take, STEP_CHUNKS, &s->copied, &s->error);
    }
}

static void sweep_on_lane(struct images *s)
{
    struct manifest *manifests = calloc(SHELF_MAX, sizeof *manifests);
    const struct manifest *kept[SHELF_MAX];
    unsigned count = 0;

    if (manifests == NULL) {
        s->rc = error_set(&s->error, Q_NOMEM, "out of memory for manifests");
        return;
    }
    s->rc = 0;
    for (unsigned i = 0; i < s->keep.count && s->rc == 0; i++) {
        const struct image *image = &s->keep.images[i];
        int rv = catalog_load(s->catalog, image->index, image->term, &manifests[count], &s->error);
        s->lost[i] = rv == Q_CORRUPT || rv == Q_NOT_FOUND;
        s->rc = s->lost[i] ? 0 : rv;
        if (rv == 0) {
            kept[count] = &manifests[count];
            count++;
        }
    }
    for (unsigned i = catalog_count(s->catalog); i > 0 && s->rc == 0; i--) {
        struct catalog_entry entry = *catalog_at(s->catalog, i - 1);
        bool keep = false;
        for (unsigned k = 0; k < s->keep.count; k++) {
            keep = keep || (s->keep.images[k].index == entry.index && s->keep.images[k].term == entry.term &&
                            !s->lost[k]);
        }
        s->rc = keep ? 0 : catalog_remove(s->catalog, entry.index, entry.term, &s->error);
    }
    if (s->rc == 0) {
        s->rc = sweep_run(s->chunks, kept, count, &s->swept_chunks, &s->swept_bytes, &s->error);
    }
    for (unsigned i = 0; i < count; i++) {
        manifest_close(&manifests[i]);
    }
    free(manifests);
}

static void on_lane(struct env_work *work)
{
    struct images *s = CONTAINER_OF(work, struct images, work);
    switch (s->phase) {
    case IDLE: break;
    case REMOVING: remove_on_lane(s); break;
    case HOLDING: hold_on_lane(s); break;
    case COPYING: copy_on_lane(s); break;
    case FINISHING: s->rc = take_finish(s->take, s->catalog, &s->error); break;
    case SWEEPING: sweep_on_lane(s); break;
    }
}

/* On the loop. */

static void go(struct images *s, enum phase phase)
{
    s->phase = phase;
    s->error = (struct error){.code = Q_OK};
    env_run(s->config.env, &s->work);
}

static void release(struct images *s)
{
    if (s->holds && !PLANTED("hold_is_never_released")) {
        s->holds = false;
        store_release(s->config.store);
        s->config.held(s->config.ctx, false);
    }
}

static void end(struct images *s, const struct images_taken *taken, const struct error *failed)
{
    release(s);
    take_free(s->take);
    s->take = NULL;
    s->phase = IDLE;
    s->called_off = false;
    s->unswept = s->unswept || failed != NULL;
    metric_add(&s->counters[failed == NULL ? C_TAKEN : C_FAILED], 1);
    s->config.done(s->config.ctx, taken, failed);
}

static void fail(struct images *s)
{
    struct error why = s->error;

    end(s, NULL, &why);
    if (why.code == Q_CORRUPT) {
        s->config.corrupt(s->config.ctx, &why);
    } else if (why.code == Q_IO) {
        s->dead = true;
        s->config.fatal(s->config.ctx, &why);
    }
}

static void try_again(struct images *s)
{
    release(s);
    s->phase = IDLE;
    s->wanted = true;
    s->again_ms = env_now_ms(s->config.env) + AGAIN_MS;
}

/* The file is what it is at HELD.POSITION, and stays so. */
static void begin_copying(struct images *s)
{
    const struct store_position *at = &s->held.position;
    struct take_config *config = &s->take_config;
    struct manifest *m = &config->manifest;
    struct consensus_image image;

    s->config.held(s->config.ctx, true);
    s->rc = consensus_image_at(s->config.consensus, at->index, &image, &s->error);
    if (s->rc == Q_BUSY) {
        try_again(s);
        return;
    }
    if (s->rc == 0 && image.configuration_len > MANIFEST_CONFIGURATION_MAX) {
        s->rc = error_set(&s->error, Q_TOO_BIG, "the configuration of %" PRIu32 " bytes fits no manifest",
                          image.configuration_len);
    }
    if (s->rc != 0) {
        fail(s);
        return;
    }
    *config = (struct take_config){
        .env = s->config.env, .path = s->held.path, .bytes = s->held.bytes, .store = s->chunks};
    memcpy(m->cluster_id, s->config.cluster_id, sizeof m->cluster_id);
    m->index = at->index;
    m->term = at->term;
    m->time_ms = at->time_ms;
    m->configuration_index = image.configuration_index;
    m->configuration_len = image.configuration_len;
    memcpy(m->configuration, image.configuration, image.configuration_len);
    memcpy(m->digest, at->digest, sizeof m->digest);
    m->node = s->config.node;
    m->made_ms = env_wall_ms(s->config.env);
    _Static_assert(sizeof s->held.sqlite <= sizeof m->sqlite, "a manifest has room for it");
    snprintf(m->sqlite, sizeof m->sqlite, "%s", s->held.sqlite);
    snprintf(m->cluster_name, sizeof m->cluster_name, "%s", s->config.cluster_name);
    snprintf(m->semantics, sizeof m->semantics, "%s", s->config.semantics);
    s->copied = false;
    if (PLANTED("hold_is_released_before_the_bytes_are_copied")) {
        release(s);
    }
    go(s, COPYING);
}

static void finished(struct images *s)
{
    const struct manifest *m = take_manifest(s->take);
    struct take_progress progress;
    uint64_t now = env_now_ms(s->config.env);
    struct images_taken taken = {
        .image = {.index = m->index,
                  .term = m->term,
                  .bytes = m->image_bytes,
                  .chunks = m->chunks,
                  .kept_until_ms = now + IMAGES_SHIP_MS},
        .ms = now - s->since_ms,
    };
    take_progress(s->take, &progress);
    taken.chunks_new = progress.chunks_new;
    taken.bytes_new = progress.bytes_new;
    metric_add(&s->counters[C_CHUNKS_NEW], (int64_t)progress.chunks_new);
    s->unswept = shelf_add(&s->shelf, &taken.image) || s->unswept;
    end(s, &taken, NULL);
}

static bool failed_for_good(struct images *s)
{
    struct error why = s->error;

    s->phase = IDLE;
    if (s->rc == Q_IO) {
        s->dead = true;
        s->config.fatal(s->config.ctx, &why);
    }
    return s->rc == Q_IO;
}

static void swept(struct images *s)
{
    struct error why = s->error;

    if (failed_for_good(s)) {
        return;
    }
    s->unswept = s->rc != 0;
    s->again_ms = env_now_ms(s->config.env) + AGAIN_MS;
    for (unsigned i = 0; i < s->keep.count; i++) {
        if (s->lost[i]) {
            images_damaged(s, s->keep.images[i].index, s->keep.images[i].term, NULL, &why);
        }
    }
    if (s->swept_chunks > 0) {
        metric_add(&s->counters[C_SWEPT], (int64_t)s->swept_chunks);
        s->config.swept(s->config.ctx, s->swept_chunks, s->swept_bytes);
    }
}

static void lane_done(struct env_work *work)
{
    struct images *s = CAST(struct images, CONTAINER_OF(work, struct images, work), IMAGES_MAGIC);

    if (s->phase == SWEEPING) {
        swept(s);
    } else if (s->phase == REMOVING) {
        failed_for_good(s);
        images_tick(s);
    } else if (s->called_off) {
        error_set(&s->error, Q_CLOSED, "the take was called off");
        fail(s);
    } else if (s->phase == HOLDING && s->rc == Q_BUSY) {
        try_again(s);
    } else if (s->rc != 0) {
        fail(s);
    } else if (s->phase == HOLDING) {
        begin_copying(s);
    } else if (s->phase == COPYING && !s->copied) {
        take_progress(s->take, &s->progress);
        go(s, COPYING);
    } else if (s->phase == COPYING) {
        release(s);
        go(s, FINISHING);
    } else {
        finished(s);
    }
}

static void start_sweep(struct images *s)
{
    s->unswept = false;
    s->keep = s->shelf;
    memset(s->lost, 0, sizeof s->lost);
    s->swept_chunks = s->swept_bytes = 0;
    go(s, SWEEPING);
}

void images_tick(struct images *s)
{
    uint64_t now = env_now_ms(s->config.env);

    s->unswept = shelf_expire(&s->shelf, now) || s->unswept;
    if (s->phase != IDLE || s->stopped || s->dead || now < s->again_ms) {
        return;
    }
    if (s->damaged_count > 0) {
        memcpy(s->remove, s->damaged, sizeof s->damaged);
        s->remove_count = s->damaged_count;
        s->damaged_count = 0;
        go(s, REMOVING);
    } else if (s->wanted) {
        s->wanted = false;
        s->progress = (struct take_progress){.bytes_all = 0};
        go(s, HOLDING);
    } else if (s->unswept) {
        start_sweep(s);
    }
}

void images_want(struct images *s)
{
    if (!images_taking(s) && !s->stopped) {
        s->wanted = true;
        s->since_ms = env_now_ms(s->config.env);
        images_tick(s);
    }
}

bool images_taking(const struct images *s)
{
    return s->wanted || s->phase == HOLDING || s->phase == COPYING || s->phase == FINISHING;
}

struct take_progress images_progress(const struct images *s)
{
    return s->progress;
}

void images_cancel(struct images *s, bool everything)
{
    s->called_off = s->phase == HOLDING || s->phase == COPYING || s->phase == FINISHING;
    if (s->wanted) {
        struct error off;
        s->wanted = false;
        error_set(&off, Q_CLOSED, "the take was called off");
        s->config.done(s->config.ctx, NULL, &off);
    }
    if (everything && s->shelf.count > 0) {
        s->shelf.count = 0;
        s->unswept = true;
    }
}

void images_stop(struct images *s)
{
    images_cancel(s, false);
    s->stopped = true;
}

bool images_idle(const struct images *s)
{
    return s->phase == IDLE && !s->wanted;
}

struct chunk_store *images_chunks(struct images *s)
{
    return s->chunks;
}

/* A shipment may go on that was under way when this node stopped. */
static void keep_what_is_left(struct images *s)
{
    uint64_t until = env_now_ms(s->config.env) + LEFT_MS;

    for (unsigned i = catalog_count(s->catalog); i > 0; i--) {
        const struct catalog_entry *entry = catalog_at(s->catalog, i - 1);
        if (s->shelf.count < SHELF_MAX) {
            shelf_add(&s->shelf, &(struct image){.index = entry->index,
                                                 .term = entry->term,
                                                 .bytes = entry->image_bytes,
                                                 .kept_until_ms = until});
        }
    }
    s->unswept = true;
}

int images_open(const struct images_config *config, struct images **ret_images, struct error *e)
{
    struct images *s = calloc(1, sizeof *s);
    int rv;

    if (s == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for images");
    }
    s->magic = IMAGES_MAGIC;
    s->config = *config;
    s->work = (struct env_work){.run = on_lane, .done = lane_done, .lane = ENV_WORKER};
    memcpy(s->counters, counter_table, sizeof counter_table);
    rv = chunk_store_open(config->env, config->dir, &s->chunks, e);
    if (rv == 0) {
        rv = catalog_open(config->env, config->dir, &s->catalog, e);
    }
    if (rv != 0) {
        images_free(s);
        return rv;
    }
    keep_what_is_left(s);
    *ret_images = s;
    return 0;
}

void images_free(struct images *s)
{
    if (s != NULL) {
        take_free(s->take);
        catalog_close(s->catalog);
        chunk_store_close(s->chunks);
        s->magic = 0;
        free(s);
    }
}

void images_metrics(struct images *s, struct metrics *metrics)
{
    metrics_register(metrics, s->counters, IMAGES_COUNTERS);
}
