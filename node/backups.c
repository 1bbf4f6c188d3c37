#include "node/backups.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"
#include "snapshots/backup.h"

enum {
    BACKUPS_MAGIC = 0x424b5532,
    TICK_MS = 1000,
    RETRY_MS = 30000,
    STEP_CHUNKS = 8, /* 2 MiB: the worker lane has other work, too */
    IMAGE_KEEP_MS = 10 * 60 * 1000,
};

enum state { IDLE, LOOKING, TAKING, COPYING, PRUNING };

enum counter { C_MADE, C_FAILURES, C_BYTES_NEW, C_CHUNKS_NEW, G_LAST_MS, G_RUNNING, COUNTERS };

static const struct metric counter_table[COUNTERS] = {
    [C_MADE] = {METRIC_COUNTER, "quorate_backup_made_total", NULL, "Backups that this node made."},
    [C_FAILURES] = {METRIC_COUNTER, "quorate_backup_failures_total", NULL,
                    "Attempts at a backup that failed."},
    [C_BYTES_NEW] = {METRIC_COUNTER, "quorate_backup_written_bytes_total", NULL,
                     "Bytes of chunks that backups did not have yet."},
    [C_CHUNKS_NEW] = {METRIC_COUNTER, "quorate_backup_written_chunks_total", NULL,
                      "Chunks that backups did not have yet."},
    [G_LAST_MS] = {METRIC_GAUGE, "quorate_backup_last_success_timestamp_ms", NULL,
                   "Unix time of the newest backup that this node knows of; 0: none."},
    [G_RUNNING] = {METRIC_GAUGE, "quorate_backup_running", NULL, "1 while this node makes a backup."},
};

struct backups {
    OBJECT_MAGIC;
    struct backups_config config;
    struct env_timer *timer;
    enum state state;
    uint64_t next_ms; /* monotonic: not before */
    uint64_t began_ms;
    struct replica_take take;
    struct env_work work; /* on its way to or from the worker lane, if BUSY */
    bool busy, stopping;
    void (*stopped)(void *ctx);
    void *stopped_ctx;
    /* Of the backup under way; the worker lane's while BUSY. */
    struct backup *backup; /* NULL: the directory is not open */
    char source[REPLICA_DIR_MAX];
    struct manifest manifest;
    struct buf encoded;
    uint32_t next_chunk;
    bool begun, complete, exists;
    uint64_t newest_ms; /* made then; 0: there is none */
    struct backup_prune prune;
    int rc;
    struct error failed; /* if RC is not 0 */
    /* What is told. */
    struct metric counters[COUNTERS];
    uint64_t last_index, last_bytes_new;
    char error[ERROR_TEXT_MAX];
};

static void say(struct backups *b, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(struct backups *b, const char *format, ...)
{
    char line[2 * ERROR_TEXT_MAX];
    va_list ap;

    va_start(ap, format);
    vsnprintf(line, sizeof line, format, ap);
    va_end(ap);
    b->config.log(b->config.ctx, line);
}

bool backups_is_turn(const struct replica_status *status, bool leader)
{
    uint64_t chosen = 0;

    if (!status->ready || status->fenced || status->disk_full || status->leader == 0) {
        return false;
    }
    for (unsigned i = 0; !leader && i < status->count; i++) {
        const struct replica_member *m = &status->members[i];
        if (m->voter && m->id != status->leader && (m->reachable || m->id == status->id) && !m->disk_full &&
            (chosen == 0 || m->id < chosen)) {
            chosen = m->id;
        }
    }
    chosen = chosen == 0 ? status->leader : chosen;
    return chosen == status->id;
}

/* ---- on the worker lane ---- */

static int look_on_lane(struct backups *b)
{
    struct catalog *catalog;

    if (backup_open(b->config.env, b->config.dir, &b->backup, &b->failed) != 0) {
        return (int)b->failed.code;
    }
    catalog = backup_catalog(b->backup);
    for (unsigned i = 0; i < catalog_count(catalog); i++) {
        uint64_t made_ms = catalog_at(catalog, i)->made_ms;
        b->newest_ms = made_ms > b->newest_ms ? made_ms : b->newest_ms;
    }
    return 0;
}

/* The manifest, and which backup it becomes. */
static int begin_on_lane(struct backups *b)
{
    int rv = catalog_read(b->config.env, b->source, b->take.index, b->take.term, &b->encoded, &b->failed);

    rv = rv == 0 ? manifest_decode(b->encoded.data, b->encoded.len, &b->manifest, &b->failed) : rv;
    rv = rv == 0 ? backup_begin(b->backup, &b->manifest, &b->failed) : rv;
    b->begun = rv == 0;
    if (rv == Q_CONFLICT) { /* nothing has changed since the last one */
        b->complete = b->exists = true;
        return 0;
    }
    return rv;
}

static int copy_on_lane(struct backups *b)
{
    unsigned left = STEP_CHUNKS;
    int rv = 0;

    while (rv == 0 && left > 0 && backup_missing(b->backup, b->next_chunk, &b->next_chunk)) {
        rv = chunk_store_read(b->config.env, b->source, &b->manifest.chunk[b->next_chunk], &b->encoded,
                              &b->failed);
        rv = rv == 0 ? backup_put(b->backup, b->next_chunk, b->encoded.data, b->encoded.len, &b->failed) : rv;
        if (rv != 0) {
            error_wrap(&b->failed, "chunk %" PRIu32 " of snapshot %" PRIu64 "-%" PRIu64, b->next_chunk,
                       b->take.index, b->take.term);
        }
        left--;
    }
    if (rv == 0 && left > 0) {
        rv = backup_commit(b->backup, &b->failed);
        b->complete = rv == 0;
    }
    return rv;
}

static int prune_on_lane(struct backups *b)
{
    b->prune = (struct backup_prune){.keep = b->config.keep};
    return backup_prune(b->backup, &b->prune, &b->failed);
}

static void on_lane(struct env_work *work)
{
    struct backups *b = CAST(struct backups, CONTAINER_OF(work, struct backups, work), BACKUPS_MAGIC);

    switch (b->state) {
    case IDLE:
    case TAKING: break;
    case LOOKING: b->rc = look_on_lane(b); break;
    case COPYING: b->rc = b->begun ? copy_on_lane(b) : begin_on_lane(b); break;
    case PRUNING: b->rc = prune_on_lane(b); break;
    }
}

/* ---- on the loop ---- */

static void run(struct backups *b, enum state state)
{
    b->state = state;
    b->busy = true;
    env_run(b->config.env, &b->work);
}

static void close_all(struct backups *b)
{
    backup_close(b->backup);
    b->backup = NULL;
    manifest_close(&b->manifest);
    buf_close(&b->encoded);
    b->next_chunk = 0;
    b->begun = b->complete = b->exists = false;
}

static void rest(struct backups *b, uint64_t ms)
{
    close_all(b);
    b->state = IDLE;
    b->next_ms = env_now_ms(b->config.env) + ms;
    metric_set(&b->counters[G_RUNNING], 0);
}

static void fail(struct backups *b)
{
    uint64_t retry_ms = b->config.every_ms < RETRY_MS ? b->config.every_ms : RETRY_MS;

    snprintf(b->error, sizeof b->error, "%s", b->failed.text);
    metric_add(&b->counters[C_FAILURES], 1);
    say(b, "backup_failed error=\"%s\" retry_ms=%" PRIu64, b->failed.text, retry_ms);
    rest(b, retry_ms);
}

static void on_taken(struct replica_take *take, const struct error *failed)
{
    struct backups *b = CAST(struct backups, CONTAINER_OF(take, struct backups, take), BACKUPS_MAGIC);

    if (b->stopping) {
        b->state = IDLE;
    } else if (failed != NULL) {
        b->failed = *failed;
        fail(b);
    } else {
        run(b, COPYING);
    }
}

/* The directory is open: is its newest backup old enough? A clock that was put back must not stop backups. */
static void after_look(struct backups *b)
{
    uint64_t now = env_wall_ms(b->config.env), newest = b->newest_ms;
    uint64_t apart = now > newest ? now - newest : newest - now;

    metric_set(&b->counters[G_LAST_MS], (int64_t)newest);
    if (newest != 0 && apart < b->config.every_ms && !PLANTED("backups_are_always_due")) {
        rest(b, b->config.every_ms - (now > newest ? apart : 0));
        return;
    }
    metric_set(&b->counters[G_RUNNING], 1);
    snprintf(b->source, sizeof b->source, "%s", replica_snapshot_dir(b->config.replica));
    b->take = (struct replica_take){.keep_ms = IMAGE_KEEP_MS, .done = on_taken};
    b->state = TAKING;
    if (replica_take(b->config.replica, &b->take, &b->failed) != 0) {
        fail(b);
    }
}

static void after_copy(struct backups *b)
{
    struct backup_totals totals = {0};

    if (!b->complete) {
        if (!replica_touch_snapshot(b->config.replica, b->take.index, b->take.term)) {
            error_set(&b->failed, Q_NOT_FOUND, "the snapshot was dropped before it was copied");
            fail(b);
            return;
        }
        run(b, COPYING);
        return;
    }
    if (b->begun) {
        backup_totals(b->backup, &totals);
    }
    b->last_index = b->take.index;
    b->last_bytes_new = totals.bytes_new;
    b->error[0] = 0;
    metric_add(&b->counters[C_MADE], b->exists ? 0 : 1);
    metric_add(&b->counters[C_BYTES_NEW], (int64_t)totals.bytes_new);
    metric_add(&b->counters[C_CHUNKS_NEW], totals.chunks_new);
    metric_set(&b->counters[G_LAST_MS], (int64_t)env_wall_ms(b->config.env));
    say(b,
        "%s index=%" PRIu64 " term=%" PRIu64 " bytes=%" PRIu64 " chunks=%" PRIu32 " chunks_new=%" PRIu32
        " bytes_new=%" PRIu64 " ms=%" PRIu64 " dir=\"%s\"",
        b->exists ? "backup_unchanged" : "backup_made", b->take.index, b->take.term, b->manifest.image_bytes,
        b->manifest.chunks, totals.chunks_new, totals.bytes_new, env_now_ms(b->config.env) - b->began_ms,
        b->config.dir);
    run(b, PRUNING);
}

static void after_prune(struct backups *b)
{
    uint64_t spent_ms = env_now_ms(b->config.env) - b->began_ms;

    if (b->prune.backups > 0) {
        say(b, "backups_pruned removed=%u kept=%u chunks=%" PRIu64 " bytes=%" PRIu64, b->prune.backups,
            b->prune.kept, b->prune.chunks, b->prune.bytes);
    }
    rest(b, b->config.every_ms > spent_ms ? b->config.every_ms - spent_ms : 0);
}

static void on_work_done(struct env_work *work)
{
    struct backups *b = CAST(struct backups, CONTAINER_OF(work, struct backups, work), BACKUPS_MAGIC);

    b->busy = false;
    if (b->stopping) {
        close_all(b);
        b->state = IDLE;
        b->stopped(b->stopped_ctx);
        return;
    }
    if (b->rc != 0) {
        fail(b);
        return;
    }
    switch (b->state) {
    case IDLE:
    case TAKING: break;
    case LOOKING: after_look(b); break;
    case COPYING: after_copy(b); break;
    case PRUNING: after_prune(b); break;
    }
}

static void on_tick(void *owner)
{
    struct backups *b = CAST(struct backups, owner, BACKUPS_MAGIC);
    struct replica_status status;
    uint64_t now = env_now_ms(b->config.env);

    env_timer_start(b->config.env, b->timer, env_now_us(b->config.env) + TICK_MS * UINT64_C(1000));
    if (b->state != IDLE || now < b->next_ms) {
        return;
    }
    replica_status(b->config.replica, &status);
    if (backups_is_turn(&status, b->config.leader)) {
        b->newest_ms = 0;
        b->began_ms = now;
        run(b, LOOKING);
    }
}

/* ---- life ---- */

int backups_new(const struct backups_config *config, struct backups **ret_backups, struct error *e)
{
    struct backups *b = calloc(1, sizeof *b);

    if (b != NULL) {
        b->timer = env_timer_new(config->env, on_tick, b);
    }
    if (b == NULL || b->timer == NULL) {
        free(b);
        return error_set(e, Q_NOMEM, "out of memory for backups");
    }
    b->magic = BACKUPS_MAGIC;
    b->config = *config;
    b->work = (struct env_work){.run = on_lane, .done = on_work_done, .lane = ENV_WORKER};
    buf_init(&b->encoded, MANIFEST_BYTES_MAX);
    memcpy(b->counters, counter_table, sizeof counter_table);
    for (unsigned i = 0; i < COUNTERS; i++) {
        list_init(&b->counters[i].link);
    }
    env_timer_start(config->env, b->timer, env_now_us(config->env) + TICK_MS * UINT64_C(1000));
    *ret_backups = b;
    return 0;
}

bool backups_stop(struct backups *b, void (*stopped)(void *ctx), void *ctx)
{
    b->stopping = true;
    b->stopped = stopped;
    b->stopped_ctx = ctx;
    env_timer_stop(b->config.env, b->timer);
    if (b->state == TAKING) {
        replica_forget_take(&b->take);
    }
    if (!b->busy) {
        close_all(b);
        b->state = IDLE;
    }
    return !b->busy;
}

void backups_free(struct backups *b)
{
    if (b != NULL) {
        env_timer_free(b->config.env, b->timer);
        close_all(b);
        b->magic = 0;
        free(b);
    }
}

void backups_status(const struct backups *b, struct backups_status *ret_status)
{
    struct replica_status status;

    replica_status(b->config.replica, &status);
    *ret_status = (struct backups_status){
        .dir = b->config.dir,
        .every_ms = b->config.every_ms,
        .turn = backups_is_turn(&status, b->config.leader),
        .running = metric_get(&b->counters[G_RUNNING]) != 0,
        .made = (uint64_t)metric_get(&b->counters[C_MADE]),
        .failures = (uint64_t)metric_get(&b->counters[C_FAILURES]),
        .last_ms = (uint64_t)metric_get(&b->counters[G_LAST_MS]),
        .last_index = b->last_index,
        .last_bytes_new = b->last_bytes_new,
        .error = b->error,
    };
}

void backups_put_status(const struct backups *b, struct json *j)
{
    struct backups_status status;

    backups_status(b, &status);
    const struct {
        const char *key;
        uint64_t value;
    } numbers[] = {
        {"every_ms", status.every_ms},     {"made", status.made},
        {"failures", status.failures},     {"last_success_ms", status.last_ms},
        {"last_index", status.last_index}, {"last_bytes_new", status.last_bytes_new},
    };
    js_key(j, "backup");
    js_begin_object(j);
    js_key(j, "dir");
    js_string(j, status.dir);
    js_key(j, "turn");
    js_bool(j, status.turn);
    js_key(j, "running");
    js_bool(j, status.running);
    for (unsigned i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
        js_key(j, numbers[i].key);
        js_unsigned(j, numbers[i].value);
    }
    js_key(j, "error");
    js_string(j, status.error);
    js_end_object(j);
}

void backups_metrics(struct backups *b, struct metrics *metrics)
{
    metrics_register(metrics, b->counters, COUNTERS);
}
