#include "raft_glue/log_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_FIRST = 64 };

static struct log_slot *slot_of(const struct log_table *t, uint64_t index)
{
    return &t->slots[index & (t->capacity - 1)];
}

void log_table_init(struct log_table *t, uint64_t first, uint64_t before_term)
{
    *t = (struct log_table){
        .first = first, .last = first - 1, .before_term = before_term, .cached_from = first};
}

static void forget_payload(struct log_table *t, struct log_slot *slot)
{
    t->cached_bytes -= slot->len;
    free(slot->payload);
    slot->payload = NULL;
}

void log_table_truncate(struct log_table *t, uint64_t index)
{
    assert(index >= t->first);
    for (uint64_t i = index > t->cached_from ? index : t->cached_from; i <= t->last; i++) {
        forget_payload(t, slot_of(t, i));
    }
    for (uint64_t i = index; t->lost > 0 && i <= t->last; i++) {
        t->lost -= slot_of(t, i)->type == LOG_LOST;
    }
    if (index <= t->last) {
        t->last = index - 1;
    }
    if (t->cached_from > t->last + 1) {
        t->cached_from = t->last + 1;
    }
}

void log_table_restart(struct log_table *t, uint64_t first, uint64_t before_term)
{
    log_table_truncate(t, t->first);
    t->first = t->cached_from = first;
    t->last = first - 1;
    t->before_term = before_term;
    t->before_sum = 0;
}

void log_table_close(struct log_table *t)
{
    log_table_truncate(t, t->first);
    free(t->slots);
    log_table_init(t, t->first, t->before_term);
}

static int grow(struct log_table *t, struct error *e)
{
    struct log_table wider = *t;
    wider.capacity = t->capacity ? t->capacity * 2 : TABLE_FIRST;
    wider.slots = calloc(wider.capacity, sizeof *wider.slots);
    if (wider.slots == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the table of log entries");
    }
    for (uint64_t i = t->first; i <= t->last; i++) {
        *slot_of(&wider, i) = *slot_of(t, i);
    }
    free(t->slots);
    *t = wider;
    return 0;
}

int log_table_push(struct log_table *t, const struct log_entry *entry, struct error *e)
{
    uint8_t *payload = NULL;
    assert(entry->index == t->last + 1);
    if (t->last + 1 - t->first == t->capacity && grow(t, e) != 0) {
        return Q_NOMEM;
    }
    if (entry->len > 0) {
        payload = malloc(entry->len);
        if (payload == NULL) {
            return error_set(e, Q_NOMEM, "out of memory for a log entry of %u bytes", entry->len);
        }
        memcpy(payload, entry->data, entry->len);
    }
    *slot_of(t, entry->index) = (struct log_slot){
        .term = entry->term,
        .sum = (t->last < t->first ? t->before_sum : slot_of(t, t->last)->sum) + entry->len,
        .payload = payload,
        .len = entry->len,
        .type = entry->type,
    };
    t->last++;
    t->cached_bytes += entry->len;
    return 0;
}

int log_table_push_lost(struct log_table *t, uint64_t term, struct error *e)
{
    struct log_entry entry = {.index = t->last + 1, .term = term, .type = LOG_LOST};
    if (log_table_push(t, &entry, e) != 0) {
        return Q_NOMEM;
    }
    t->lost++;
    return 0;
}

void log_table_lose(struct log_table *t, uint64_t index)
{
    struct log_slot *slot = log_table_at(t, index);
    assert(slot != NULL && slot->type != LOG_LOST && index < t->cached_from);
    slot->type = LOG_LOST;
    t->lost++;
}

void log_table_trim(struct log_table *t, uint64_t first)
{
    assert(first <= t->last + 1);
    if (first <= t->first) {
        return;
    }
    for (; t->cached_from < first; t->cached_from++) {
        forget_payload(t, slot_of(t, t->cached_from));
    }
    for (uint64_t i = t->first; t->lost > 0 && i < first; i++) {
        t->lost -= slot_of(t, i)->type == LOG_LOST;
    }
    t->before_term = slot_of(t, first - 1)->term;
    t->before_sum = slot_of(t, first - 1)->sum;
    t->first = first;
}

void log_table_evict(struct log_table *t, uint64_t limit, uint64_t up_to)
{
    while (t->cached_bytes > limit && t->cached_from <= up_to && t->cached_from <= t->last) {
        forget_payload(t, slot_of(t, t->cached_from));
        t->cached_from++;
    }
}

struct log_slot *log_table_at(const struct log_table *t, uint64_t index)
{
    return index < t->first || index > t->last ? NULL : slot_of(t, index);
}

uint64_t log_table_term(const struct log_table *t, uint64_t index)
{
    const struct log_slot *slot = log_table_at(t, index);
    return slot != NULL ? slot->term : index == t->first - 1 ? t->before_term : 0;
}

uint64_t log_table_bytes_from(const struct log_table *t, uint64_t index)
{
    if (index > t->last || t->last < t->first) {
        return 0;
    }
    uint64_t before = index <= t->first ? t->before_sum : slot_of(t, index - 1)->sum;
    return slot_of(t, t->last)->sum - before;
}
