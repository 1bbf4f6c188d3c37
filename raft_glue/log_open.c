/* How a log comes up: find the files, read them, and make what was found the start of what comes. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "raft_glue/log_internal.h"
#include "raft_glue/log_replay.h"

enum { PIECE_BYTES = 1024 * 1024 };

struct numbers {
    uint64_t *at;
    size_t len, capacity;
};

/* What the directory holds. */
struct listing {
    struct numbers segments, spares;
    bool failed; /* no memory */
};

static bool numbers_add(struct numbers *n, uint64_t number)
{
    if (n->len == n->capacity) {
        size_t capacity = n->capacity ? n->capacity * 2 : 16;
        uint64_t *at = realloc(n->at, capacity * sizeof *at);
        if (at == NULL) {
            return false;
        }
        n->at = at;
        n->capacity = capacity;
    }
    n->at[n->len++] = number;
    return true;
}

static void list_name(void *ctx, const char *name)
{
    struct listing *listing = ctx;
    uint64_t number;
    if ((segment_name_parse(name, &number) && !numbers_add(&listing->segments, number)) ||
        (segment_spare_name_parse(name, &number) && !numbers_add(&listing->spares, number))) {
        listing->failed = true;
    }
}

static int compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static int list_files(struct log *l, struct listing *listing, struct error *e)
{
    int rc = env_list_dir(l->env, l->dir, list_name, listing, e);
    if (rc == 0 && listing->failed) {
        rc = error_set(e, Q_NOMEM, "out of memory to list %s", l->dir);
    }
    if (listing->segments.len > 0) {
        qsort(listing->segments.at, listing->segments.len, sizeof *listing->segments.at, compare);
    }
    return rc;
}

/* A log that comes up, and what is told of it. */
struct opening {
    struct log *log;
    const struct log_config *config;
    struct log_report report;
};

static void on_damage(void *ctx, const struct error *what)
{
    struct opening *o = ctx;
    if (!o->log->damaged) {
        o->log->damaged = o->log->frozen = true;
        o->report.damage = *what;
    }
    if (o->config->damage != NULL) {
        o->config->damage(o->config->ctx, what);
    }
}

/* Tells of segments that cannot be read, and of those that are not there, between those that are. */
static void check_segments(struct opening *o)
{
    struct log *l = o->log;
    uint64_t before = 0;
    LIST_EACH (&l->writer.segments, item) {
        const struct segment *s = CONTAINER_OF(item, struct segment, link);
        char path[SEGMENT_PATH_MAX];
        struct error e;
        if (before != 0 && s->head.sequence != before + 1) {
            segment_path(l->dir, before + 1, path);
            error_set(&e, Q_CORRUPT, "%s is missing: there are older and newer segments", path);
            on_damage(o, &e);
        }
        if (s->damaged) {
            segment_path(l->dir, s->head.sequence, path);
            error_set(&e, Q_CORRUPT,
                      "%s: offset 0: the segment's header is damaged or does not fit to the file", path);
            on_damage(o, &e);
        }
        before = s->head.sequence;
    }
    l->pool.next_sequence = before + 1;
}

/* Opens all segments; those from the one in which the log starts go to the writer, older ones are done with.
 */
static int open_segments(struct opening *o, const struct numbers *sequences, struct error *e)
{
    struct log *l = o->log;
    struct list *in_use = &l->writer.segments;
    for (size_t i = 0; i < sequences->len; i++) {
        struct segment *s;
        int rc = segment_open(l->env, l->dir, sequences->at[i], l->cluster, o->config->read_only, &s, e);
        if (rc != 0) {
            return rc;
        }
        struct list *item;
        while (s->head.begins && (item = list_pop(in_use)) != NULL) {
            segment_pool_retire(&l->pool, CONTAINER_OF(item, struct segment, link));
        }
        list_push(in_use, &s->link);
    }
    check_segments(o);
    return 0;
}

/* Writes what is there once more, durably. */
static int write_again(struct log *l, struct segment *s, uint64_t from, uint64_t to, uint8_t *piece,
                       struct error *e)
{
    int rc = 0;
    for (uint64_t at = from; rc == 0 && at < to; at += PIECE_BYTES) {
        size_t n, bytes = to - at < PIECE_BYTES ? (size_t)(to - at) : PIECE_BYTES;
        rc = env_read(l->env, s->file, at, piece, bytes, &n, e);
        if (rc == 0) {
            rc = env_write(l->env, s->file, at, piece, n, e);
        }
    }
    return rc;
}

/* What a killed process wrote may be read back although it is not on the disk, and a sync would not tell: if
 * an earlier one has failed, the pages count as clean (Rebello et al., "Can Applications Recover from fsync
 * Failures?", ATC'20). So nothing that was read counts before it is written again. What the mark had reached
 * was durable already. */
static int make_durable(struct log *l, const struct log_replay *r, struct error *e)
{
    uint8_t *piece = segment_memory(PIECE_BYTES);
    int rc = piece != NULL ? 0 : error_set(e, Q_NOMEM, "out of memory to write the log's end again");
    LIST_EACH (&l->writer.segments, item) {
        struct segment *s = CONTAINER_OF(item, struct segment, link);
        uint64_t from = s->head.sequence == r->mark->sequence ? r->mark->end : ENV_BLOCK;
        uint64_t to = s->head.sequence == r->at.sequence ? r->at.end : s->head.bytes;
        if (rc != 0 || s->head.sequence > r->at.sequence || PLANTED("what_was_read_is_not_synced")) {
            break;
        }
        if (s->head.sequence >= r->mark->sequence) {
            rc = write_again(l, s, from, to, piece, e);
        }
    }
    free(piece);
    return rc;
}

/* A torn group at the end must not become whole later, when an equal write to the same place tears in turn:
 * its header goes for good. */
static int cut_torn(struct log *l, const struct log_replay *r, struct error *e)
{
    uint8_t *zeros = segment_memory(ENV_BLOCK);
    int rc = zeros != NULL ? 0 : error_set(e, Q_NOMEM, "out of memory to cut the log's tail");
    if (rc == 0) {
        memset(zeros, 0, ENV_BLOCK);
    }
    for (unsigned i = 0; rc == 0 && i < r->n_torn && !PLANTED("torn_groups_are_not_cut"); i++) {
        rc = env_write(l->env, r->torn[i].segment->file, r->torn[i].offset, zeros, ENV_BLOCK, e);
    }
    free(zeros);
    return rc;
}

/* The segments behind the end are ready for use, unless the size of segments has been changed. */
static int keep_ready(struct log *l, const struct segment *end, struct error *e)
{
    struct segment_pool *p = &l->pool;
    unsigned fit = 0;
    bool all_fit = true;
    while (l->writer.segments.prev != &end->link) {
        struct list *item = l->writer.segments.prev;
        list_remove(item);
        list_push(p->ready.next, item);
        p->ready_count++;
    }
    LIST_EACH (&p->ready, item) {
        all_fit = all_fit && CONTAINER_OF(item, struct segment, link)->head.bytes == p->bytes;
        fit += all_fit;
    }
    while (p->ready_count > fit) {
        struct segment *s = CONTAINER_OF(p->ready.prev, struct segment, link);
        uint64_t sequence = s->head.sequence;
        int rc = segment_pool_back_to_spare(p, s, e);
        if (rc != 0) {
            return rc;
        }
        p->next_sequence = sequence;
    }
    return 0;
}

/* Cuts what was read to what the snapshot leaves of it. */
static int fit_to_snapshot(struct log *l, const struct log_config *config, struct error *e)
{
    struct log_table *t = &l->table;
    uint64_t first = config->first_index;
    if (t->last + 1 < first || log_table_term(t, first - 1) != config->before_term) {
        struct log_slot *slot = log_table_at(t, first - 1);
        if (slot == NULL || slot->type != LOG_LOST || slot->term != 0) {
            return l->damaged
                       ? error_set(
                             e, Q_CORRUPT,
                             "%s: the log is damaged and does not fit to the snapshot at index %" PRIu64,
                             l->dir, first - 1)
                   : config->read_only ? (log_table_restart(t, first, config->before_term), 0)
                                       : log_begin(l, first, config->before_term, e);
        }
        slot->term = config->before_term; /* it is what the snapshot was made of */
    }
    log_table_trim(t, first);
    return 0;
}

/* Makes what was read the start of what comes. */
static int go_on(struct log *l, const struct log_replay *r, struct error *e)
{
    int rc;
    if ((rc = make_durable(l, r, e)) != 0 || (rc = cut_torn(l, r, e)) != 0 ||
        (rc = keep_ready(l, r->end, e)) != 0) {
        return rc;
    }
    log_writer_continue(&l->writer, &r->at);
    /* Also puts a damaged slot right. */
    return log_mark_covered(&l->mark) < r->at.number ? log_mark_save_blocking(&l->mark, &r->at, e) : 0;
}

static int read_log(struct opening *o, struct error *e)
{
    struct log *l = o->log;
    struct format_mark mark = *log_mark_newest(&l->mark);
    struct log_replay r = {
        .env = l->env,
        .dir = l->dir,
        .segments = &l->writer.segments,
        .mark = &mark,
        .table = &l->table,
        .cache_bytes = l->cache_bytes,
        .known_index = o->config->known_index,
        .known_term = o->config->known_term,
        .damage = on_damage,
        .ctx = o,
    };
    int rc = log_replay(&r, e);
    if (rc != 0) {
        return rc;
    }
    o->report.torn_bytes = r.torn_bytes;
    if (l->frozen) {
        log_writer_continue(&l->writer, &r.at);
    } else if ((rc = go_on(l, &r, e)) != 0) {
        return rc;
    }
    return fit_to_snapshot(l, o->config, e);
}

/* The directory holds no segments: a new log, unless there was one. */
static int begin(struct opening *o, bool marked, struct error *e)
{
    struct log *l = o->log;
    struct format_mark nothing = {.cluster = l->cluster};
    if (marked && log_mark_newest(&l->mark)->number > 0) {
        return error_set(e, Q_CORRUPT,
                         "%s: all segments are missing: the log was durable up to index %" PRIu64, l->dir,
                         log_mark_newest(&l->mark)->index);
    }
    if (l->frozen) {
        return 0;
    }
    int rc = marked ? 0 : log_mark_create(&l->mark, l->dir, &nothing, e);
    return rc != 0 ? rc : log_begin(l, o->config->first_index, o->config->before_term, e);
}

static int make_dir(struct log *l, const char *parent, struct error *e)
{
    int rc = env_make_dir(l->env, l->dir, e);
    return rc != 0 ? rc : env_sync_dir(l->env, parent, e);
}

static int load(struct opening *o, struct error *e)
{
    struct log *l = o->log;
    struct listing listing = {0};
    bool marked;
    int rc = l->frozen ? 0 : make_dir(l, o->config->dir, e);
    if (rc != 0 || (rc = list_files(l, &listing, e)) != 0 ||
        (rc = log_mark_open(&l->mark, l->env, l->dir, l->cluster, l->frozen, log_mark_saved, l, &marked,
                            e)) != 0 ||
        (rc = open_segments(o, &listing.segments, e)) != 0) {
        goto out;
    }
    for (size_t i = 0; rc == 0 && !l->frozen && i < listing.spares.len; i++) {
        rc = segment_pool_found_spare(&l->pool, listing.spares.at[i], e);
    }
    if (rc != 0) {
        goto out;
    }
    if (listing.segments.len == 0) {
        rc = begin(o, marked, e);
    } else if (marked) {
        rc = read_log(o, e);
    } else {
        rc = error_set(e, Q_CORRUPT,
                       "%s/durable is missing or damaged: nothing tells how far the log was durable", l->dir);
    }
out:
    free(listing.segments.at);
    free(listing.spares.at);
    return rc;
}

/* How it came up. */
static void report(struct opening *o)
{
    struct log *l = o->log;
    struct log_report *report = &o->report;
    struct log_hole hole = {0};
    report->first = l->table.first;
    report->last = l->table.last;
    LIST_EACH (&l->writer.segments, item) {
        report->segments++;
    }
    report->damaged = l->damaged;
    report->lost = l->table.lost;
    for (uint64_t i = 0; log_hole(l, i, &hole); i = hole.last + 1) {
        report->lost_first = report->lost_first != 0 ? report->lost_first : hole.first;
        report->lost_last = hole.last;
    }
}

int log_open(const struct log_config *config, struct log **ret_log, struct log_report *ret_report,
             struct error *e)
{
    struct opening o = {.config = config};
    int rc = log_new(config, &o.log, e);
    if (rc != 0) {
        return rc;
    }
    o.log->frozen = config->read_only;
    rc = load(&o, e);
    if (rc != 0) {
        log_free(o.log);
        return rc;
    }
    o.log->reported = o.log->writer.durable;
    report(&o);
    if (!o.log->frozen) {
        segment_pool_covered(&o.log->pool, log_mark_covered(&o.log->mark));
        log_retire(o.log);
    }
    *ret_log = o.log;
    *ret_report = o.report;
    return 0;
}
