/* How a log comes up: find the files, read them, and make what was found the start of what comes. */
#include <assert.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "raft_glue/log_internal.h"
#include "raft_glue/log_replay.h"

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

static void damaged(struct log *l, struct log_report *report, const struct error *damage)
{
    if (!l->damaged) {
        l->damaged = true;
        report->damage = *damage;
    }
}

/* Segments that are not there, between those that are. */
static void find_missing(struct log *l, struct log_report *report)
{
    uint64_t before = 0;
    LIST_EACH (&l->writer.segments, item) {
        uint64_t sequence = CONTAINER_OF(item, struct segment, link)->head.sequence;
        if (before != 0 && sequence != before + 1) {
            char path[SEGMENT_PATH_MAX];
            struct error e;
            segment_path(l->dir, before + 1, path);
            error_set(&e, Q_CORRUPT, "%s is missing: there are older and newer segments", path);
            damaged(l, report, &e);
        }
        before = sequence;
    }
    l->pool.next_sequence = before + 1;
}

/* Opens all segments; those from the one in which the log starts go to the writer, older ones are done with.
 */
static int open_segments(struct log *l, const struct numbers *sequences, struct log_report *report,
                         struct error *e)
{
    struct list *in_use = &l->writer.segments;
    for (size_t i = 0; i < sequences->len; i++) {
        struct segment *s;
        struct error damage;
        int rc = segment_open(l->env, l->dir, sequences->at[i], l->cluster, &s, &damage, e);
        if (rc != 0) {
            return rc;
        }
        struct list *item;
        while (s->head.begins && (item = list_pop(in_use)) != NULL) {
            segment_pool_retire(&l->pool, CONTAINER_OF(item, struct segment, link));
            l->damaged = false; /* whatever there was, it is over */
        }
        list_push(in_use, &s->link);
        if (s->damaged) {
            damaged(l, report, &damage);
        }
    }
    find_missing(l, report);
    return 0;
}

/* What a killed process wrote may be read back before it is on the disk: nothing that was read counts before
 * a sync. What the mark had reached was durable already. */
static int sync_read(struct log *l, const struct log_replay *r, struct error *e)
{
    LIST_EACH (&l->writer.segments, item) {
        struct segment *s = CONTAINER_OF(item, struct segment, link);
        if (s->head.sequence > r->at.sequence) {
            break;
        }
        int rc = s->head.sequence < r->mark->sequence ? 0 : env_sync(l->env, s->file, e);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
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
    for (unsigned i = 0; rc == 0 && i < r->n_torn; i++) {
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
    if ((rc = sync_read(l, r, e)) != 0 || (rc = cut_torn(l, r, e)) != 0 ||
        (rc = keep_ready(l, r->end, e)) != 0) {
        return rc;
    }
    log_writer_continue(&l->writer, &r->at);
    /* Also puts a damaged slot right. */
    return log_mark_covered(&l->mark) < r->at.number ? log_mark_save_blocking(&l->mark, &r->at, e) : 0;
}

static int read_log(struct log *l, const struct log_config *config, struct log_report *report,
                    struct error *e)
{
    struct format_mark mark = *log_mark_newest(&l->mark);
    struct log_replay r = {
        .env = l->env,
        .dir = l->dir,
        .segments = &l->writer.segments,
        .mark = &mark,
        .table = &l->table,
        .cache_bytes = l->cache_bytes,
    };
    int rc = log_replay(&r, e);
    if (rc != 0) {
        return rc;
    }
    if (r.damaged) {
        damaged(l, report, &r.damage);
    }
    report->torn_bytes = r.torn_bytes;
    if (l->damaged) {
        log_writer_continue(&l->writer, &r.at);
    } else if ((rc = go_on(l, &r, e)) != 0) {
        return rc;
    }
    return fit_to_snapshot(l, config, e);
}

static int load(struct log *l, const struct log_config *config, struct log_report *report, struct error *e)
{
    struct listing listing = {0};
    bool marked;
    int rc;
    if ((rc = env_make_dir(l->env, l->dir, e)) != 0 || (rc = env_sync_dir(l->env, config->dir, e)) != 0 ||
        (rc = list_files(l, &listing, e)) != 0 ||
        (rc = log_mark_open(&l->mark, l->env, l->dir, l->cluster, log_mark_saved, l, &marked, e)) != 0) {
        goto out;
    }
    if ((rc = open_segments(l, &listing.segments, report, e)) != 0) {
        goto out;
    }
    for (size_t i = 0; rc == 0 && !l->damaged && i < listing.spares.len; i++) {
        rc = segment_pool_found_spare(&l->pool, listing.spares.at[i], e);
    }
    if (rc != 0) {
        goto out;
    }
    if (listing.segments.len > 0) {
        rc = marked ? read_log(l, config, report, e)
                    : error_set(e, Q_CORRUPT,
                                "%s/durable is missing or damaged: nothing tells how far the log was durable",
                                l->dir);
    } else if (marked && log_mark_newest(&l->mark)->number > 0) {
        rc = error_set(e, Q_CORRUPT, "%s: all segments are missing: the log was durable up to index %" PRIu64,
                       l->dir, log_mark_newest(&l->mark)->index);
    } else {
        struct format_mark nothing = {.cluster = l->cluster};
        rc = marked ? 0 : log_mark_create(&l->mark, l->dir, &nothing, e);
        rc = rc != 0 ? rc : log_begin(l, config->first_index, config->before_term, e);
    }
out:
    free(listing.segments.at);
    free(listing.spares.at);
    return rc;
}

int log_open(const struct log_config *config, struct log **ret_log, struct log_report *ret_report,
             struct error *e)
{
    struct log_report report = {0};
    struct log *l;
    int rc = log_new(config, &l, e);
    if (rc != 0) {
        return rc;
    }
    rc = load(l, config, &report, e);
    if (rc != 0) {
        log_free(l);
        return rc;
    }
    l->reported = l->writer.durable;
    report.first = l->table.first;
    report.last = l->table.last;
    LIST_EACH (&l->writer.segments, item) {
        report.segments++;
    }
    report.damaged = l->damaged;
    report.lost = l->table.lost;
    struct log_hole hole = {0};
    for (uint64_t i = 0; log_hole(l, i, &hole); i = hole.last + 1) {
        report.lost_first = report.lost_first != 0 ? report.lost_first : hole.first;
        report.lost_last = hole.last;
    }
    if (!l->damaged) {
        segment_pool_covered(&l->pool, log_mark_covered(&l->mark));
        log_retire(l);
    }
    *ret_log = l;
    *ret_report = report;
    return 0;
}
