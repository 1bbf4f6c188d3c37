#include "raft_glue/log_replay.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"

/* A segment, whole in memory. */
struct image {
    struct segment *segment;
    uint8_t *bytes;
    size_t capacity;
};

static int image_load(struct log_replay *r, struct image *image, struct segment *s, struct error *e)
{
    char path[SEGMENT_PATH_MAX];
    size_t n;
    if (image->segment == s) {
        return 0;
    }
    image->segment = NULL;
    if (image->capacity < s->head.bytes) {
        free(image->bytes);
        image->bytes = segment_memory(s->head.bytes);
        image->capacity = image->bytes != NULL ? s->head.bytes : 0;
    }
    if (image->bytes == NULL) {
        return error_set(e, Q_NOMEM, "out of memory to read a segment of %" PRIu64 " bytes", s->head.bytes);
    }
    int rc = env_read(r->env, s->file, 0, image->bytes, s->head.bytes, &n, e);
    if (rc == 0 && n < s->head.bytes) {
        segment_path(r->dir, s->head.sequence, path);
        rc = error_set(e, Q_CORRUPT, "%s: cut off at offset %zu", path, n);
    }
    if (rc == 0) {
        image->segment = s;
    }
    return rc;
}

/* A group whose header is whole, found at OFFSET of an image. */
struct found {
    struct format_group head;
    uint64_t chain; /* behind the header */
    const uint8_t *bytes;
    struct segment *segment;
    uint64_t offset;
};

static bool group_at(const struct image *image, uint64_t offset, struct found *ret_found)
{
    const struct segment *s = image->segment;
    struct found found = {.bytes = image->bytes + offset, .segment = image->segment, .offset = offset};
    if (offset >= s->head.bytes ||
        !format_group_get(found.bytes, s->head.bytes - offset, s->head.salt, &found.head, &found.chain)) {
        return false;
    }
    *ret_found = found;
    return true;
}

static bool is_next(const struct log_replay *r, const struct found *found)
{
    return found->head.number == r->at.number + 1 &&
           (found->head.chain == r->at.chain || PLANTED("chain_of_groups_is_not_checked"));
}

/* Walks the records of a group. True when all are good; else *ret_index and *ret_offset name the bad one. */
static bool records_good(const struct found *found, uint64_t *ret_index, uint64_t *ret_offset)
{
    const struct format_group *head = &found->head;
    uint64_t chain = found->chain, said;
    size_t at = FORMAT_GROUP_BYTES;
    for (uint32_t i = 0; i < head->records; i++) {
        struct log_entry entry;
        if (!format_record_get(found->bytes + at, head->bytes - at, &entry, &said) ||
            entry.index != head->first + i || format_record_chain(&entry, chain) != said) {
            *ret_index = head->first + i;
            *ret_offset = found->offset + at;
            return false;
        }
        chain = said;
        at += FORMAT_RECORD_BYTES + entry.len;
    }
    return true;
}

/* Takes the entries of a good group into the table. */
static int take(struct log_replay *r, const struct found *found, struct error *e)
{
    const struct format_group *head = &found->head;
    struct log_table *t = r->table;
    struct segment *s = found->segment;
    uint64_t chain = found->chain;
    size_t at = FORMAT_GROUP_BYTES;
    if (head->first < t->first) {
        log_table_restart(t, head->first, head->before_term);
    } else {
        log_table_truncate(t, head->first);
    }
    for (uint32_t i = 0; i < head->records; i++) {
        struct log_entry entry;
        format_record_get(found->bytes + at, head->bytes - at, &entry, &chain);
        if (log_table_push(t, &entry, e) != 0) {
            return Q_NOMEM;
        }
        struct log_slot *slot = log_table_at(t, entry.index);
        slot->segment = s;
        slot->offset = found->offset + at;
        at += FORMAT_RECORD_BYTES + entry.len;
    }
    log_table_evict(t, r->cache_bytes, t->last);
    s->last_number = head->number;
    s->last_index = t->last > s->last_index ? t->last : s->last_index;
    r->end = s;
    r->at = (struct format_mark){
        .cluster = s->head.cluster,
        .number = head->number,
        .chain = chain,
        .index = t->last,
        .term = log_table_term(t, t->last),
        .sequence = s->head.sequence,
        .end = found->offset + head->bytes,
    };
    return 0;
}

/* A group that fits into the log as the table has it. What is not even that was never written. */
static bool fits(const struct log_replay *r, const struct format_group *head)
{
    const struct log_table *t = r->table;
    return head->first > 0 && head->first <= t->last + 1 &&
           (head->first < t->first || head->before_term == log_table_term(t, head->first - 1));
}

static struct segment *segment_after(const struct log_replay *r, const struct segment *s)
{
    return s->link.next == r->segments ? NULL : CONTAINER_OF(s->link.next, struct segment, link);
}

/* Where the log starts: r->at, r->end and the table. Only a segment in which it does not begin anew needs its
 * first group for that. */
static int start(struct log_replay *r, struct image *image, struct error *e)
{
    struct segment *s = CONTAINER_OF(r->segments->next, struct segment, link);
    const struct format_segment *head = &s->head;
    struct found found;
    char path[SEGMENT_PATH_MAX];
    segment_path(r->dir, head->sequence, path);
    r->at = (struct format_mark){.cluster = head->cluster, .sequence = head->sequence, .end = ENV_BLOCK};
    r->end = s;
    if (head->begins) {
        r->at.number = s->last_number = head->number - 1;
        r->at.chain = head->chain;
        r->at.index = head->first - 1;
        r->at.term = head->before_term;
    } else if (r->mark->sequence < head->sequence ||
               (r->mark->sequence == head->sequence && r->mark->end == ENV_BLOCK)) {
        r->at.number = r->mark->number;
        r->at.chain = r->mark->chain;
        r->at.index = r->mark->index;
        r->at.term = r->mark->term;
    } else {
        int rc = image_load(r, image, s, e);
        if (rc != 0) {
            return rc;
        }
        if (!group_at(image, ENV_BLOCK, &found) || found.head.first == 0) {
            return error_set(e, Q_CORRUPT,
                             "%s: offset %d: the first group is damaged, but group %" PRIu64
                             " behind it was durable",
                             path, ENV_BLOCK, r->mark->number);
        }
        r->at.number = found.head.number - 1;
        r->at.chain = found.head.chain;
        r->at.index = found.head.first - 1;
        r->at.term = found.head.before_term;
    }
    log_table_restart(r->table, r->at.index + 1, r->at.term);
    return 0;
}

/* Looks for the next group at OFFSET of S. */
static int look(struct log_replay *r, struct image *image, struct segment *s, uint64_t offset,
                struct found *ret_found, bool *ret_good, struct error *e)
{
    uint64_t bad_index, bad_offset;
    int rc = image_load(r, image, s, e);
    bool next = rc == 0 && group_at(image, offset, ret_found) && is_next(r, ret_found);
    *ret_good = next && fits(r, &ret_found->head) && records_good(ret_found, &bad_index, &bad_offset);
    if (next && !*ret_good) {
        r->torn[r->n_torn++] = (struct log_torn){.segment = s, .offset = offset};
    }
    return rc;
}

/* Reads groups until neither place holds the next one. */
static int read_groups(struct log_replay *r, struct image *image, struct error *e)
{
    for (;;) {
        struct found found;
        struct segment *next = segment_after(r, r->end);
        bool good;
        r->n_torn = 0;
        int rc = look(r, image, r->end, r->at.end, &found, &good, e);
        if (rc == 0 && !good && next != NULL) {
            rc = look(r, image, next, ENV_BLOCK, &found, &good, e);
        }
        if (rc != 0 || !good) {
            return rc;
        }
        if ((rc = take(r, &found, e)) != 0) {
            return rc;
        }
    }
}

/* Names the damage: the next group was durable, and is not there. */
static int corrupt(struct log_replay *r, struct image *image, uint64_t durable, struct error *e)
{
    char path[SEGMENT_PATH_MAX];
    struct found found;
    struct segment *s = r->end;
    uint64_t index = r->table->last + 1, offset = r->at.end;
    struct segment *next = segment_after(r, s);
    int rc = image_load(r, image, s, e);
    if (rc != 0) {
        return rc;
    }
    bool known = group_at(image, offset, &found) && is_next(r, &found);
    if (!known && next != NULL) {
        if ((rc = image_load(r, image, next, e)) != 0) {
            return rc;
        }
        known = group_at(image, ENV_BLOCK, &found) && is_next(r, &found);
        if (known || offset == s->head.bytes) {
            s = next;
            offset = ENV_BLOCK;
        }
    }
    if (known && fits(r, &found.head)) {
        records_good(&found, &index, &offset);
    }
    segment_path(r->dir, s->head.sequence, path);
    if (!known && next == NULL && r->mark->sequence > s->head.sequence) {
        segment_path(r->dir, s->head.sequence + 1, path);
        return error_set(e, Q_CORRUPT,
                         "%s is missing: the entries from index %" PRIu64 " on were durable (group %" PRIu64
                         " of %" PRIu64 ")",
                         path, index, r->at.number + 1, durable);
    }
    return error_set(e, Q_CORRUPT,
                     "%s: offset %" PRIu64 ": the record of index %" PRIu64
                     " is damaged, and it was durable (group %" PRIu64 " of %" PRIu64 ")",
                     path, offset, index, r->at.number + 1, durable);
}

/* What whole group headers behind the end know: how far the log was durable. */
static int look_behind(struct log_replay *r, struct image *image, uint64_t *durable, struct error *e)
{
    uint64_t offset = r->at.end;
    for (struct segment *s = r->end; s != NULL; s = segment_after(r, s), offset = ENV_BLOCK) {
        int rc = image_load(r, image, s, e);
        if (rc != 0) {
            return rc;
        }
        for (; offset < s->head.bytes; offset += ENV_BLOCK) {
            struct found found;
            if (group_at(image, offset, &found)) {
                bool more = found.head.durable > *durable && !PLANTED("only_the_mark_tells_what_was_durable");
                *durable = more ? found.head.durable : *durable;
                r->torn_bytes += found.head.number > r->at.number ? found.head.bytes : 0;
            }
        }
    }
    return 0;
}

int log_replay(struct log_replay *r, struct error *e)
{
    struct image image = {0};
    uint64_t durable = r->mark->number;
    int rc;
    r->torn_bytes = 0;
    if ((rc = start(r, &image, e)) == 0 && (rc = read_groups(r, &image, e)) == 0 &&
        (rc = look_behind(r, &image, &durable, e)) == 0 && durable > r->at.number) {
        rc = corrupt(r, &image, durable, e);
    }
    free(image.bytes);
    return rc;
}
