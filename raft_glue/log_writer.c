#include "raft_glue/log_writer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"

#define GROUP_MAGIC 0x67727570u

void log_writer_init(struct log_writer *w)
{
    list_init(&w->segments);
    if (!PLANTED("all_boots_have_one_number")) {
        env_random(w->env, &w->boot, sizeof w->boot);
    }
    for (unsigned i = 0; i < LOG_WRITES_MAX; i++) {
        w->groups[i] = (struct log_group){.magic = GROUP_MAGIC, .writer = w};
    }
}

void log_writer_close(struct log_writer *w)
{
    for (unsigned i = 0; i < LOG_WRITES_MAX; i++) {
        free(w->groups[i].bytes);
        w->groups[i].magic = 0;
    }
    LIST_EACH_SAFE (&w->segments, item) {
        list_remove(item);
        segment_free(w->env, CONTAINER_OF(item, struct segment, link));
    }
}

static void release(struct log_group *g)
{
    g->busy = g->done = false;
    if (g->capacity > GROUP_BYTES_MAX) {
        free(g->bytes);
        g->bytes = NULL;
        g->capacity = 0;
    }
}

void log_writer_continue(struct log_writer *w, const struct format_mark *at)
{
    w->at = *at;
    w->position = at->end;
    w->number = at->number;
    w->chain = at->chain;
    w->next = w->table->last + 1;
    w->truncated = false;
    w->durable = w->table->last;
    for (unsigned i = 0; i < LOG_WRITES_MAX; i++) {
        if (w->groups[i].done) {
            release(&w->groups[i]); /* it waited for an earlier one, which no longer counts */
        }
    }
}

bool log_writer_idle(const struct log_writer *w)
{
    for (unsigned i = 0; i < LOG_WRITES_MAX; i++) {
        if (w->groups[i].busy && !w->groups[i].done) {
            return false;
        }
    }
    return true;
}

static struct segment *active(struct log_writer *w)
{
    return CONTAINER_OF(w->segments.prev, struct segment, link);
}

static uint64_t whole_blocks(uint64_t bytes)
{
    return (bytes + ENV_BLOCK - 1) / ENV_BLOCK * ENV_BLOCK;
}

static void stop(struct log_writer *w, const struct error *why)
{
    w->stopped = true;
    w->failed(w->ctx, why);
}

/* How many of the waiting entries the next group takes when it may have LIMIT bytes, and how many bytes that
 * is. The first is taken even if it alone passes GROUP_BYTES_MAX. */
static uint32_t choose(const struct log_writer *w, uint64_t limit, uint64_t *ret_bytes)
{
    uint64_t bytes = FORMAT_GROUP_BYTES;
    uint32_t n = 0;
    for (uint64_t i = w->next; i <= w->table->last; i++, n++) {
        uint64_t with = bytes + FORMAT_RECORD_BYTES + log_table_at(w->table, i)->len;
        if (with > limit || (n > 0 && with > GROUP_BYTES_MAX)) {
            break;
        }
        bytes = with;
    }
    *ret_bytes = whole_blocks(bytes);
    return n;
}

static bool make_room(struct log_group *g, size_t bytes)
{
    if (bytes <= g->capacity) {
        return true;
    }
    size_t capacity = bytes > GROUP_BYTES_MAX ? bytes : GROUP_BYTES_MAX;
    free(g->bytes);
    g->bytes = segment_memory(capacity);
    g->capacity = g->bytes != NULL ? capacity : 0;
    return g->bytes != NULL;
}

static void encode(struct log_writer *w, struct log_group *g, uint32_t records, uint64_t bytes)
{
    struct segment *s = active(w);
    struct format_group head = {
        .bytes = (uint32_t)bytes,
        .records = records,
        .number = w->number + 1,
        .boot = w->boot,
        .durable = PLANTED("groups_say_that_they_are_durable") ? w->number + 1 : w->at.number,
        .first = w->next,
        .before_term = log_table_term(w->table, w->next - 1),
        .chain = w->chain,
    };
    w->chain = format_group_put(&head, s->head.salt, g->bytes);
    w->number = head.number;
    size_t at = FORMAT_GROUP_BYTES;
    for (uint32_t i = 0; i < records; i++, w->next++) {
        struct log_slot *slot = log_table_at(w->table, w->next);
        struct log_entry entry = {.index = w->next,
                                  .term = slot->term,
                                  .type = slot->type,
                                  .data = slot->payload,
                                  .len = slot->len};
        slot->segment = s;
        slot->offset = w->position + at;
        w->chain = format_record_put(&entry, w->chain, g->bytes + at);
        at += FORMAT_RECORD_BYTES + slot->len;
    }
    memset(g->bytes + at, 0, bytes - at);
    w->truncated = false;
}

static void finish(struct env_write *write, const struct error *failed);

static void submit(struct log_writer *w, struct log_group *g, uint64_t bytes)
{
    struct segment *s = active(w);
    s->last_number = w->number;
    if (w->next - 1 > s->last_index) {
        s->last_index = w->next - 1;
    }
    s->writes++;
    g->segment = s;
    g->busy = true;
    g->done = false;
    g->last = w->next - 1;
    g->write = (struct env_write){
        .file = s->file, .data = g->bytes, .len = bytes, .offset = w->position, .done = finish};
    w->position += bytes;
    g->at = (struct format_mark){
        .cluster = s->head.cluster,
        .number = w->number,
        .chain = w->chain,
        .index = w->next - 1,
        .term = log_table_term(w->table, w->next - 1),
        .sequence = s->head.sequence,
        .end = w->position,
    };
    w->writes++;
    w->written_bytes += bytes;
    env_submit_write(w->env, &g->write);
}

/* Room for the first of what waits; false: no segment is ready. */
static bool find_room(struct log_writer *w, uint32_t *ret_records, uint64_t *ret_bytes)
{
    for (;;) {
        uint64_t rest = active(w)->head.bytes - w->position;
        *ret_records = choose(w, rest, ret_bytes);
        bool bare = w->truncated && w->next > w->table->last;
        if (*ret_bytes <= rest && (*ret_records > 0 || bare)) {
            return true;
        }
        struct segment *s = segment_pool_take(w->pool);
        if (s == NULL) {
            return false;
        }
        list_push(&w->segments, &s->link);
        w->position = ENV_BLOCK;
    }
}

static struct log_group *free_group(struct log_writer *w)
{
    for (unsigned i = 0; i < LOG_WRITES_MAX; i++) {
        if (!w->groups[i].busy) {
            return &w->groups[i];
        }
    }
    return NULL;
}

void log_writer_flush(struct log_writer *w)
{
    struct log_group *g;
    uint32_t records;
    uint64_t bytes;
    while (!w->stopped && (w->next <= w->table->last || w->truncated) && (g = free_group(w)) != NULL &&
           find_room(w, &records, &bytes)) {
        if (!make_room(g, bytes)) {
            struct error e;
            error_set(&e, Q_NOMEM, "out of memory for a write of %llu bytes to the log",
                      (unsigned long long)bytes);
            stop(w, &e);
            return;
        }
        encode(w, g, records, bytes);
        submit(w, g, bytes);
    }
}

void log_writer_truncate(struct log_writer *w, uint64_t index)
{
    if (index < w->next) {
        w->next = index;
        w->truncated = true;
    }
    for (unsigned i = 0; i < LOG_WRITES_MAX; i++) {
        if (w->groups[i].last >= index && !PLANTED("truncated_entries_in_flight_count")) {
            w->groups[i].last = index - 1;
        }
    }
    if (w->durable >= index) {
        w->durable = index - 1;
    }
}

static struct log_group *group_of_number(struct log_writer *w, uint64_t number)
{
    for (unsigned i = 0; i < LOG_WRITES_MAX; i++) {
        if (w->groups[i].busy && w->groups[i].at.number == number) {
            return &w->groups[i];
        }
    }
    return NULL;
}

/* Counts what is done, in order. */
static void count(struct log_writer *w)
{
    struct log_group *g;
    while ((g = group_of_number(w, w->at.number + 1)) != NULL && g->done) {
        w->at = g->at;
        if (g->last > w->durable) {
            w->durable = g->last;
        }
        release(g);
    }
}

static void finish(struct env_write *write, const struct error *failed)
{
    struct log_group *g = CAST(struct log_group, CONTAINER_OF(write, struct log_group, write), GROUP_MAGIC);
    struct log_writer *w = g->writer;
    g->segment->writes--;
    if (failed != NULL && PLANTED("failed_writes_count")) {
        failed = NULL;
    }
    if (failed != NULL || w->stopped || g->at.number <= w->at.number) {
        /* The last: the log has begun anew since this write was submitted. */
        release(g);
    } else {
        g->done = true;
        count(w);
    }
    if (w->stopped) {
        w->ended(w->ctx);
    } else if (failed != NULL) {
        stop(w, failed);
    } else {
        log_writer_flush(w);
        w->advanced(w->ctx);
    }
}
