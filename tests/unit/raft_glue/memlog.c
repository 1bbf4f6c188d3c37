#include "tests/unit/raft_glue/memlog.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

void memlog_init(struct memlog *l)
{
    *l = (struct memlog){.first = 1};
}

static void end_loan(struct memlog *l)
{
    free(l->lent);
    l->lent = NULL;
}

static void drop_last(struct memlog *l)
{
    free(l->entry[--l->n].data);
}

void memlog_close(struct memlog *l)
{
    end_loan(l);
    while (l->n > 0) {
        drop_last(l);
    }
    free(l->entry);
    memlog_init(l);
}

uint64_t memlog_last(const struct memlog *l)
{
    return l->first + l->n - 1;
}

const struct memlog_entry *memlog_at(const struct memlog *l, uint64_t index)
{
    return index >= l->first && index <= memlog_last(l) ? &l->entry[index - l->first] : NULL;
}

uint64_t memlog_term(struct memlog *l, uint64_t index)
{
    const struct memlog_entry *entry = memlog_at(l, index);

    end_loan(l);
    return entry != NULL ? entry->term : index == l->first - 1 ? l->before_term : 0;
}

bool memlog_get(struct memlog *l, uint64_t index, struct log_entry *ret_entry)
{
    const struct memlog_entry *entry = memlog_at(l, index);

    end_loan(l);
    if (entry == NULL) {
        return false;
    }
    l->lent = malloc(entry->len + 1);
    memcpy(l->lent, entry->data, entry->len);
    *ret_entry = (struct log_entry){
        .index = index, .term = entry->term, .type = entry->type, .data = l->lent, .len = entry->len};
    return true;
}

void memlog_append(struct memlog *l, uint64_t term, enum log_entry_type type, const void *p, uint32_t len)
{
    end_loan(l);
    if (l->n == l->cap) {
        l->cap = l->cap > 0 ? 2 * l->cap : 16;
        l->entry = realloc(l->entry, l->cap * sizeof *l->entry);
        assert(l->entry != NULL);
    }
    struct memlog_entry *entry = &l->entry[l->n++];
    *entry = (struct memlog_entry){.term = term, .type = type, .len = len, .data = malloc(len + 1)};
    if (len > 0) {
        memcpy(entry->data, p, len);
    }
}

void memlog_truncate(struct memlog *l, uint64_t index)
{
    end_loan(l);
    assert(index >= l->first);
    while (memlog_last(l) >= index) {
        drop_last(l);
    }
}

void memlog_trim(struct memlog *l, uint64_t first)
{
    end_loan(l);
    assert(first <= memlog_last(l) + 1);
    if (first <= l->first) {
        return;
    }
    size_t n = (size_t)(first - l->first);
    l->before_term = l->entry[n - 1].term;
    for (size_t i = 0; i < n; i++) {
        free(l->entry[i].data);
    }
    l->n -= n;
    memmove(l->entry, l->entry + n, l->n * sizeof *l->entry);
    l->first = first;
}

void memlog_reset(struct memlog *l, uint64_t next, uint64_t before_term)
{
    memlog_truncate(l, l->first);
    l->first = next;
    l->before_term = before_term;
}

void memlog_write(struct memlog *to, const struct memlog *from, uint64_t index, uint64_t last)
{
    assert(index <= memlog_last(to) + 1);
    memlog_truncate(to, index);
    for (; index <= last; index++) {
        const struct memlog_entry *entry = memlog_at(from, index);
        memlog_append(to, entry->term, entry->type, entry->data, entry->len);
    }
}
