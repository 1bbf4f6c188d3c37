#include "raft_glue/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "raft_glue/log_internal.h"

enum { MARK_DELAY_US = 50 * 1000 };

void log_free(struct log *l)
{
    env_timer_free(l->env, l->mark_timer);
    segment_pool_close(&l->pool);
    log_writer_close(&l->writer);
    log_table_close(&l->table);
    log_mark_close(&l->mark);
    free(l->cold);
    free(l);
}

static bool under_way(const struct log *l)
{
    return !log_writer_idle(&l->writer) || l->mark.writing || l->pool.job != POOL_IDLE;
}

/* Whether the process that the log belonged to is gone, and with it all callbacks. */
static bool env_is_gone(struct log *l)
{
    uint64_t size;
    return env_size(l->env, l->mark.file, &size, NULL) == Q_CLOSED;
}

void log_close(struct log *l)
{
    if (l == NULL) {
        return;
    }
    (void)CAST(struct log, l, LOG_MAGIC);
    assert(!l->closing);
    l->closing = true;
    if (!l->failed && !l->frozen && !l->mark.writing &&
        l->writer.at.number > log_mark_newest(&l->mark)->number) {
        log_mark_save_blocking(&l->mark, &l->writer.at, NULL);
    }
    l->writer.stopped = l->pool.stopped = true;
    env_timer_stop(l->env, l->mark_timer);
    if (!under_way(l) || env_is_gone(l)) {
        log_free(l);
    }
}

static void close_if_last(struct log *l)
{
    if (l->closing && !under_way(l)) {
        log_free(l);
    }
}

static void fail(struct log *l, const struct error *why)
{
    if (!l->failed && !l->closing) {
        l->failed = true;
        l->writer.stopped = l->pool.stopped = true;
        l->failed_call(l->ctx, why);
    }
}

static void save_mark(struct log *l)
{
    if (!l->failed && !l->closing && !l->mark.writing && !PLANTED("mark_is_not_written")) {
        log_mark_save(&l->mark, &l->writer.at);
    }
}

static void mark_timer_fired(void *owner)
{
    struct log *l = CAST(struct log, owner, LOG_MAGIC);
    l->mark_due = false;
    save_mark(l);
}

static void mark_follow(struct log *l)
{
    if (!l->mark_due && log_mark_newest(&l->mark)->number < l->writer.at.number) {
        l->mark_due = true;
        env_timer_start(l->env, l->mark_timer, env_now_us(l->env) + MARK_DELAY_US);
    }
}

/* Old segments wait for the mark to pass them, in both slots. */
static void mark_for_trim(struct log *l)
{
    if (segment_pool_wants_covered(&l->pool) > 0 && log_mark_covered(&l->mark) < l->writer.at.number) {
        save_mark(l);
    }
}

void log_mark_saved(void *ctx, const struct error *failed)
{
    struct log *l = CAST(struct log, ctx, LOG_MAGIC);
    if (failed != NULL) {
        fail(l, failed);
    } else {
        segment_pool_covered(&l->pool, log_mark_covered(&l->mark));
        segment_pool_work(&l->pool);
        mark_for_trim(l);
        mark_follow(l);
    }
    close_if_last(l);
}

static void writer_advanced(void *ctx)
{
    struct log *l = CAST(struct log, ctx, LOG_MAGIC);
    log_table_evict(&l->table, l->cache_bytes, l->writer.durable);
    segment_pool_work(&l->pool);
    mark_follow(l);
    if (l->writer.durable > l->reported) {
        l->reported = PLANTED("appended_counts_as_durable") ? l->table.last : l->writer.durable;
        l->durable_call(l->ctx, l->reported);
    }
}

static void writer_failed(void *ctx, const struct error *why)
{
    fail(CAST(struct log, ctx, LOG_MAGIC), why);
}

static void writer_ended(void *ctx)
{
    close_if_last(CAST(struct log, ctx, LOG_MAGIC));
}

static void pool_prepared(void *ctx)
{
    log_writer_flush(&CAST(struct log, ctx, LOG_MAGIC)->writer);
}

static void pool_failed(void *ctx, const struct error *why)
{
    fail(CAST(struct log, ctx, LOG_MAGIC), why);
}

static void pool_idle(void *ctx)
{
    close_if_last(CAST(struct log, ctx, LOG_MAGIC));
}

int log_new(const struct log_config *config, struct log **ret_log, struct error *e)
{
    struct log *l;
    if (config->segment_bytes < SEGMENT_BYTES_MIN || config->segment_bytes > SEGMENT_BYTES_MAX ||
        config->segment_bytes % ENV_BLOCK != 0) {
        return error_set(e, Q_INVALID, "log segments of %" PRIu64 " bytes: from %d to %d, in steps of %d",
                         config->segment_bytes, SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX, ENV_BLOCK);
    }
    const char *name = config->name != NULL ? config->name : "log";
    if (strlen(config->dir) + strlen(name) + sizeof "/" > SEGMENT_DIR_MAX) {
        return error_set(e, Q_TOO_BIG, "the path of the data directory is longer than %d bytes",
                         SEGMENT_DIR_MAX);
    }
    assert(config->first_index > 0);
    l = calloc(1, sizeof *l);
    if (l == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the log");
    }
    l->magic = LOG_MAGIC;
    l->env = config->env;
    l->cluster = config->cluster;
    l->cache_bytes = config->cache_bytes;
    l->durable_call = config->durable;
    l->failed_call = config->failed;
    l->ctx = config->ctx;
    snprintf(l->dir, sizeof l->dir, "%s/%s", config->dir, name);
    log_table_init(&l->table, config->first_index, config->before_term);
    l->pool = (struct segment_pool){
        .env = l->env,
        .dir = l->dir,
        .bytes = config->segment_bytes,
        .cluster = l->cluster,
        .prepared = pool_prepared,
        .idle = pool_idle,
        .failed = pool_failed,
        .ctx = l,
    };
    segment_pool_init(&l->pool);
    l->writer = (struct log_writer){
        .env = l->env,
        .table = &l->table,
        .pool = &l->pool,
        .advanced = writer_advanced,
        .failed = writer_failed,
        .ended = writer_ended,
        .ctx = l,
    };
    log_writer_init(&l->writer);
    l->mark_timer = env_timer_new(l->env, mark_timer_fired, l);
    *ret_log = l;
    return 0;
}

uint32_t log_entry_max(const struct log *l)
{
    return (uint32_t)(l->pool.bytes - ENV_BLOCK - FORMAT_GROUP_BYTES - FORMAT_RECORD_BYTES);
}

uint64_t log_first(const struct log *l)
{
    return l->table.first;
}

uint64_t log_last(const struct log *l)
{
    return l->table.last;
}

uint64_t log_durable(const struct log *l)
{
    return l->writer.durable;
}

uint64_t log_term(const struct log *l, uint64_t index)
{
    return log_table_term(&l->table, index);
}

enum log_entry_type log_type(const struct log *l, uint64_t index)
{
    const struct log_slot *slot = log_table_at(&l->table, index);
    assert(slot != NULL);
    return slot->type;
}

uint64_t log_bytes_from(const struct log *l, uint64_t index)
{
    return log_table_bytes_from(&l->table, index);
}

uint64_t log_index_within(const struct log *l, uint64_t bytes)
{
    const struct list *segments = &l->writer.segments;
    uint64_t kept = 0, index = l->table.first;
    for (const struct list *item = segments->prev; item != segments; item = item->prev) {
        const struct segment *s = CONTAINER_OF(item, struct segment, link);
        kept += s->head.bytes;
        if (kept > bytes && item != segments->prev) {
            index = s->last_index + 1 > index ? s->last_index + 1 : index;
            break;
        }
    }
    return index <= l->writer.durable + 1 ? index : l->writer.durable + 1;
}

static int cold_room(struct log *l, size_t bytes, struct error *e)
{
    if (bytes > l->cold_bytes) {
        free(l->cold);
        l->cold = segment_memory(bytes);
        l->cold_bytes = l->cold != NULL ? bytes : 0;
    }
    return l->cold != NULL ? 0 : error_set(e, Q_NOMEM, "out of memory to read a log entry back");
}

/* The record of a slot, from its segment. */
static int read_back(struct log *l, uint64_t index, const struct log_slot *slot, struct log_entry *ret_entry,
                     struct error *e)
{
    uint64_t from = slot->offset / ENV_BLOCK * ENV_BLOCK,
             end = slot->offset + FORMAT_RECORD_BYTES + slot->len;
    size_t bytes = (size_t)((end - from + ENV_BLOCK - 1) / ENV_BLOCK * ENV_BLOCK), n, skip;
    struct log_entry entry;
    uint64_t chain;
    int rc = cold_room(l, bytes, e);
    if (rc != 0 || (rc = env_read(l->env, slot->segment->file, from, l->cold, bytes, &n, e)) != 0) {
        return rc;
    }
    l->cold_reads++;
    skip = (size_t)(slot->offset - from);
    if (n < bytes || format_record_get(l->cold + skip, n - skip, &entry, &chain) != FORMAT_RECORD_GOOD ||
        entry.index != index || entry.term != slot->term || entry.type != slot->type ||
        entry.len != slot->len) {
        char path[SEGMENT_PATH_MAX];
        segment_path(l->dir, slot->segment->head.sequence, path);
        return error_set(e, Q_CORRUPT, "%s: offset %" PRIu64 ": the record of index %" PRIu64 " is damaged",
                         path, slot->offset, index);
    }
    *ret_entry = entry;
    return 0;
}

int log_get(struct log *l, uint64_t index, struct log_entry *ret_entry, struct error *e)
{
    static const uint8_t nothing[1];
    const struct log_slot *slot = log_table_at(&l->table, index);
    if (slot == NULL) {
        return error_set(e, Q_NOT_FOUND, "no log entry %" PRIu64 ": there are %" PRIu64 " to %" PRIu64, index,
                         l->table.first, l->table.last);
    }
    if (slot->type == LOG_LOST) {
        return error_set(e, Q_CORRUPT, "the log entry %" PRIu64 " is lost", index);
    }
    if (index < l->table.cached_from) {
        return read_back(l, index, slot, ret_entry, e);
    }
    *ret_entry = (struct log_entry){
        .index = index,
        .term = slot->term,
        .type = slot->type,
        .data = slot->payload != NULL ? slot->payload : nothing,
        .len = slot->len,
    };
    return 0;
}

int log_append(struct log *l, uint64_t term, enum log_entry_type type, const void *p, uint32_t len,
               struct error *e)
{
    assert(!l->frozen && len <= log_entry_max(l) && type >= LOG_COMMANDS && type <= LOG_CONFIGURATION);
    struct log_entry entry = {.index = l->table.last + 1, .term = term, .type = type, .data = p, .len = len};
    return log_table_push(&l->table, &entry, e);
}

void log_truncate(struct log *l, uint64_t index)
{
    assert(!l->frozen && index >= l->table.first);
    if (index > l->table.last) {
        return;
    }
    log_writer_truncate(&l->writer, index);
    log_table_truncate(&l->table, index);
    if (l->reported >= index && !PLANTED("truncated_entries_stay_reported")) {
        l->reported = index - 1;
    }
}

void log_flush(struct log *l)
{
    log_writer_flush(&l->writer);
}

void log_retire(struct log *l)
{
    struct list *segments = &l->writer.segments;
    while (segments->next != segments->prev) {
        struct segment *s = CONTAINER_OF(segments->next, struct segment, link);
        if (s->last_index >= l->table.first) {
            break;
        }
        list_remove(&s->link);
        segment_pool_retire(&l->pool, s);
    }
    segment_pool_work(&l->pool);
    mark_for_trim(l);
    mark_follow(l);
}

void log_trim(struct log *l, uint64_t first)
{
    assert(first <= l->writer.durable + 1);
    log_table_trim(&l->table, first);
    if (!l->failed && !l->frozen) {
        log_retire(l);
    }
}

/* Damage. */

bool log_damaged(const struct log *l)
{
    return l->damaged;
}

uint64_t log_lost(const struct log *l)
{
    return l->table.lost;
}

static bool is_lost(const struct log *l, uint64_t index)
{
    const struct log_slot *slot = log_table_at(&l->table, index);
    return slot != NULL && slot->type == LOG_LOST;
}

bool log_hole(const struct log *l, uint64_t index, struct log_hole *ret_hole)
{
    uint64_t first = index > l->table.first ? index : l->table.first, last;
    if (l->table.lost == 0) {
        return false;
    }
    while (first <= l->table.last && !is_lost(l, first)) {
        first++;
    }
    if (first > l->table.last) {
        return false;
    }
    for (last = first; is_lost(l, last + 1); last++) {
    }
    *ret_hole = (struct log_hole){
        .first = first,
        .last = last,
        .term = log_table_term(&l->table, last),
        .detached = log_table_at(&l->table, first)->detached,
    };
    return true;
}

void log_lose(struct log *l, uint64_t index)
{
    log_table_lose(&l->table, index);
    l->damaged = l->frozen = true;
}

void log_skip(struct log *l, uint64_t index, uint64_t term)
{
    struct log_slot *slot = log_table_at(&l->table, index);
    assert(l->damaged && slot != NULL);
    slot->term = term;
    log_table_trim(&l->table, index + 1);
}

bool log_linked(const struct log *l, uint64_t first, uint64_t last)
{
    for (uint64_t i = first + 1; i <= last; i++) {
        const struct log_slot *slot = log_table_at(&l->table, i);
        if (slot == NULL || (slot->type == LOG_LOST && slot->detached)) {
            return false;
        }
    }
    return true;
}

int log_begin(struct log *l, uint64_t next, uint64_t before_term, struct error *e)
{
    /* One number is left out: no mark that was made before speaks of the place where the log begins now. */
    struct format_segment head = {.number = l->writer.number + 2, .first = next, .before_term = before_term};
    struct segment *s;
    if (PLANTED("log_begins_anew_under_an_old_mark")) {
        head.number--;
    }
    env_random(l->env, &head.chain, sizeof head.chain);
    int rc = segment_pool_begin(&l->pool, &head, &s, e);
    if (rc != 0) {
        return rc;
    }
    struct list *segments = &l->writer.segments, *item;
    while ((item = list_pop(segments)) != NULL) {
        struct segment *before = CONTAINER_OF(item, struct segment, link);
        before->last_number = 0; /* nothing asks for it any more */
        segment_pool_retire(&l->pool, before);
    }
    list_push(segments, &s->link);
    log_table_restart(&l->table, next, before_term);
    log_writer_continue(&l->writer, &(struct format_mark){
                                        .cluster = l->cluster,
                                        .number = head.number - 1,
                                        .chain = head.chain,
                                        .index = next - 1,
                                        .term = before_term,
                                        .sequence = s->head.sequence,
                                        .end = ENV_BLOCK,
                                    });
    l->reported = l->writer.durable;
    return 0;
}

int log_reset(struct log *l, uint64_t next, uint64_t before_term, struct error *e)
{
    if (l->failed) {
        return error_set(e, Q_CLOSED, "the log has failed");
    }
    int rc = log_begin(l, next, before_term, e);
    if (rc == 0) {
        log_retire(l);
    }
    return rc;
}

bool log_lacks_room(const struct log *l)
{
    return l->pool.no_room;
}

void log_retry(struct log *l)
{
    segment_pool_retry(&l->pool);
}

bool log_idle(const struct log *l)
{
    return !under_way(l) && l->writer.durable == l->table.last;
}

int log_seal(struct log *l, struct error *e)
{
    int rc = 0;
    assert(log_idle(l) && !l->frozen && !l->failed);
    while (rc == 0 && log_mark_covered(&l->mark) < l->writer.at.number) {
        rc = log_mark_save_blocking(&l->mark, &l->writer.at, e);
    }
    return rc;
}

static uint64_t count_list(const struct list *list)
{
    uint64_t n = 0;
    LIST_EACH (list, item) {
        n++;
    }
    return n;
}

void log_stats(const struct log *l, struct log_stats *ret_stats)
{
    *ret_stats = (struct log_stats){
        .writes = l->writer.writes,
        .written_bytes = l->writer.written_bytes,
        .segments = count_list(&l->writer.segments),
        .cached_bytes = l->table.cached_bytes,
        .cold_reads = l->cold_reads,
    };
}
