#include "raft_glue/applier.h"

#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"

enum {
    APPLIER_MAGIC = 0x51c0de03,
    RUNS = 2,
    RUN_ENTRIES_MAX = 64,
    RUN_BYTES_MAX = 1024 * 1024, /* of payload, or one larger entry */
    DIGESTS = 1024,              /* how far back the leader's digest may lie */
};

enum counter { C_ENTRIES, C_RUNS, C_DIGESTS_CHECKED, G_APPLIED, H_APPLY, APPLIER_COUNTERS };

static const struct metric counter_table[APPLIER_COUNTERS] = {
    [C_ENTRIES] = {METRIC_COUNTER, "quorate_apply_entries_total", NULL, "Log entries applied."},
    [C_RUNS] = {METRIC_COUNTER, "quorate_apply_runs_total", NULL,
                "Pieces of work given to the apply thread."},
    [C_DIGESTS_CHECKED] = {METRIC_COUNTER, "quorate_apply_digests_checked_total", NULL,
                           "Digests of the leader compared with this node's."},
    [G_APPLIED] = {METRIC_GAUGE, "quorate_applied_index", NULL, "Highest index applied to the database."},
    [H_APPLY] = {METRIC_HISTOGRAM, "quorate_apply_seconds", NULL, "Time of one entry's transaction."},
};

struct run_entry {
    uint64_t index, term, digest_index, floor;
    enum log_entry_type type;
    size_t payload, len; /* in the run's payload buffer */
    size_t results, results_len;
    uint8_t digest[DIGEST_BYTES]; /* the leader's, at digest_index */
    struct store_position after;
};

struct run {
    struct env_work work;
    struct applier *applier;
    bool busy;      /* from its start until all of it is applied, or the end */
    bool on_lane;   /* not while it waits for room */
    unsigned count; /* entries: */
    unsigned next;  /* ... the first that the lane has not applied; its own while ON_LANE */
    unsigned told;  /* ... the first that was not told */
    int rc;         /* of the entry before which the lane stopped */
    struct run_entry entries[RUN_ENTRIES_MAX];
    struct buf payload, results;
    struct error error;
};

struct own_digest {
    uint64_t index;
    uint8_t digest[DIGEST_BYTES];
};

struct applier {
    OBJECT_MAGIC;
    struct applier_config config;
    struct run runs[RUNS];
    uint64_t handed; /* last index given to the lane */
    struct store_position position;
    uint64_t floor;
    bool stopped, dead;
    int broken; /* the lane's while a run is on it: an entry failed so, and none may follow */
    struct own_digest own[DIGESTS]; /* by index modulo DIGESTS */
    struct histogram apply;
    struct metric counters[APPLIER_COUNTERS];
};

static void run_on_lane(struct env_work *work)
{
    struct run *run = CONTAINER_OF(work, struct run, work);
    struct applier *a = run->applier;

    for (; run->next < run->count && (a->broken == 0 || PLANTED("entries_behind_a_failed_one_are_applied"));
         run->next++) {
        struct run_entry *entry = &run->entries[run->next];
        const uint8_t *p = entry->type == LOG_COMMANDS ? run->payload.data + entry->payload : NULL;
        uint64_t from = env_now_us(a->config.env);
        entry->results = run->results.len;
        a->broken = store_apply(a->config.store, entry->index, entry->term, p, p ? entry->len : 0,
                                &run->results, &run->error);
        if (a->broken != 0) {
            break;
        }
        entry->results_len = run->results.len - entry->results;
        store_position(a->config.store, &entry->after);
        histogram_add(&a->apply, env_now_us(a->config.env) - from);
    }
    run->rc = a->broken;
}

static void note_digest(struct applier *a, const struct store_position *at)
{
    struct own_digest *own = &a->own[at->index % DIGESTS];
    own->index = at->index;
    memcpy(own->digest, at->digest, DIGEST_BYTES);
}

static void compare_digest(struct applier *a, const struct run_entry *entry)
{
    const struct own_digest *own = &a->own[entry->digest_index % DIGESTS];
    if (PLANTED("digests_are_not_compared") || entry->digest_index == 0 ||
        own->index != entry->digest_index) {
        return; /* none given, or from before this node's start */
    }
    metric_add(&a->counters[C_DIGESTS_CHECKED], 1);
    if (memcmp(own->digest, entry->digest, DIGEST_BYTES) != 0) {
        a->config.differs(a->config.ctx, entry->digest_index);
    }
}

static void finish_entry(struct applier *a, struct run *run, const struct run_entry *entry)
{
    compare_digest(a, entry);
    note_digest(a, &entry->after);
    a->position = entry->after;
    a->floor = entry->floor > a->floor ? entry->floor : a->floor;
    a->config.applied(
        a->config.ctx, entry->index, entry->term,
        cursor_of(run->results.data + (run->results.data ? entry->results : 0), entry->results_len));
}

/* The process must stop, and what it does not know to be right is not told any more. */
static void die(struct applier *a, const struct error *why)
{
    if (!a->dead) {
        a->dead = true;
        a->config.fatal(a->config.ctx, why);
    }
}

/* What the lane has applied and nobody was told of. */
static void finish_entries(struct applier *a, struct run *run)
{
    metric_add(&a->counters[C_ENTRIES], run->next - run->told);
    while (run->told < run->next) {
        finish_entry(a, run, &run->entries[run->told++]);
    }
    metric_set(&a->counters[G_APPLIED], (int64_t)a->position.index);
}

static void run_done(struct env_work *work)
{
    struct run *run = CONTAINER_OF(work, struct run, work);
    struct applier *a = CAST(struct applier, run->applier, APPLIER_MAGIC);

    run->on_lane = false;
    if (a->dead || (run->rc != 0 && run->rc != Q_NO_SPACE)) {
        run->busy = false;
        die(a, &run->error);
        return;
    }
    finish_entries(a, run);
    run->busy = run->next < run->count && !PLANTED("waiting_entries_are_dropped");
    applier_poll(a);
    a->config.advanced(a->config.ctx);
}

int applier_new(const struct applier_config *config, struct applier **ret_applier, struct error *e)
{
    struct applier *a = calloc(1, sizeof *a);
    if (a == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the applier");
    }
    a->magic = APPLIER_MAGIC;
    a->config = *config;
    store_position(config->store, &a->position);
    a->handed = a->position.index;
    note_digest(a, &a->position);
    memcpy(a->counters, counter_table, sizeof counter_table);
    a->counters[H_APPLY].histogram = &a->apply;
    metric_set(&a->counters[G_APPLIED], (int64_t)a->position.index);
    for (unsigned i = 0; i < RUNS; i++) {
        struct run *run = &a->runs[i];
        run->applier = a;
        run->work = (struct env_work){.run = run_on_lane, .done = run_done, .lane = ENV_APPLY};
        buf_init(&run->payload, RUN_BYTES_MAX + (size_t)consensus_entry_max(config->consensus));
        buf_init(&run->results, SIZE_MAX / 2); /* each result has its own limit */
    }
    *ret_applier = a;
    return 0;
}

void applier_free(struct applier *a)
{
    if (a == NULL) {
        return;
    }
    for (unsigned i = 0; i < RUNS; i++) {
        buf_close(&a->runs[i].payload);
        buf_close(&a->runs[i].results);
    }
    a->magic = 0;
    free(a);
}

/* Copies one entry into the run; false when it does not fit any more, or (after telling) cannot be had. */
static bool add_entry(struct applier *a, struct run *run, uint64_t index)
{
    struct run_entry *to = &run->entries[run->count];
    struct log_entry entry;
    struct batch batch;
    struct error e;

    if (consensus_entry(a->config.consensus, index, &entry, &e) != 0) {
        error_wrap(&e, "entry %" PRIu64 " to be applied", index);
        die(a, &e);
        return false;
    }
    if (run->count > 0 && run->payload.len + entry.len > RUN_BYTES_MAX) {
        return false;
    }
    *to = (struct run_entry){.index = index,
                             .term = entry.term,
                             .type = entry.type,
                             .len = entry.len,
                             .payload = run->payload.len};
    if (entry.type == LOG_COMMANDS) {
        if (batch_decode(entry.data, entry.len, &batch, &e) == 0) { /* if not, the store says so */
            to->digest_index = batch.digest_index;
            to->floor = batch.durable_index;
            memcpy(to->digest, batch.digest, DIGEST_BYTES);
        }
        buf_put_bytes(&run->payload, entry.data, entry.len);
    }
    if (buf_check(&run->payload, "entries to be applied", &e) != 0) {
        die(a, &e);
        return false;
    }
    run->count++;
    return true;
}

static void give_to_lane(struct applier *a, struct run *run)
{
    run->on_lane = true;
    env_run(a->config.env, &run->work);
}

void applier_poll(struct applier *a)
{
    for (unsigned i = 0; i < RUNS && !a->stopped && !a->dead; i++) {
        struct run *run = &a->runs[i];
        if (run->busy) {
            continue;
        }
        run->count = 0;
        buf_clear(&run->payload);
        buf_clear(&run->results);
        while (a->handed < consensus_applicable(a->config.consensus) && run->count < RUN_ENTRIES_MAX &&
               add_entry(a, run, a->handed + 1)) {
            a->handed++;
        }
        if (run->count > 0 && !a->dead) {
            run->busy = true;
            run->next = run->told = 0;
            metric_add(&a->counters[C_RUNS], 1);
            give_to_lane(a, run);
        }
    }
}

bool applier_lacks_room(const struct applier *a)
{
    for (unsigned i = 0; i < RUNS; i++) {
        if (a->runs[i].busy && !a->runs[i].on_lane) {
            return true;
        }
    }
    return false;
}

void applier_retry(struct applier *a)
{
    struct run *first = &a->runs[0];

    if (a->stopped || a->dead || !applier_lacks_room(a) || !applier_idle(a)) {
        return;
    }
    a->broken = 0;
    for (unsigned i = 1; i < RUNS; i++) {
        if (a->runs[i].busy && (!first->busy || a->runs[i].entries[0].index < first->entries[0].index)) {
            first = &a->runs[i];
        }
    }
    give_to_lane(a, first);
    for (unsigned i = 0; i < RUNS; i++) {
        if (a->runs[i].busy && !a->runs[i].on_lane) {
            give_to_lane(a, &a->runs[i]);
        }
    }
}

void applier_stop(struct applier *a)
{
    a->stopped = true;
}

void applier_moved(struct applier *a)
{
    assert(applier_idle(a));
    for (unsigned i = 0; i < RUNS; i++) {
        a->runs[i].busy = false;
    }
    store_position(a->config.store, &a->position);
    a->handed = a->position.index;
    a->broken = 0;
    a->stopped = a->dead = false;
    memset(a->own, 0, sizeof a->own);
    note_digest(a, &a->position);
    metric_set(&a->counters[G_APPLIED], (int64_t)a->position.index);
}

bool applier_idle(const struct applier *a)
{
    for (unsigned i = 0; i < RUNS; i++) {
        if (a->runs[i].on_lane) {
            return false;
        }
    }
    return true;
}

const struct store_position *applier_position(const struct applier *a)
{
    return &a->position;
}

bool applier_digest(const struct applier *a, uint64_t index, uint8_t ret_digest[DIGEST_BYTES])
{
    const struct own_digest *own = &a->own[index % DIGESTS];

    if (index == 0 || own->index != index) {
        return false;
    }
    memcpy(ret_digest, own->digest, DIGEST_BYTES);
    return true;
}

uint64_t applier_floor(const struct applier *a)
{
    return a->floor;
}

void applier_metrics(struct applier *a, struct metrics *metrics)
{
    metrics_register(metrics, a->counters, APPLIER_COUNTERS);
}
