#include "storage/digest_tables.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"

enum change_kind { CHANGE_SUM, CHANGE_ADDED, CHANGE_REMOVED };

struct digest_change {
    enum change_kind kind;
    struct digest_table *table; /* CHANGE_REMOVED owns it */
    digest_sum sum;             /* CHANGE_SUM: what it was */
    bool stale;
};

struct digest_mark {
    size_t changes; /* in the journal when it was opened */
    uint64_t serial;
    digest_sum schema;
    int64_t version;
};

void digest_tables_init(struct digest_tables *s)
{
    *s = (struct digest_tables){.version = -1};
}

void digest_tables_close(struct digest_tables *s)
{
    for (size_t i = 0; i < s->changes; i++) {
        if (s->change[i].kind == CHANGE_REMOVED) {
            digest_table_free(s->change[i].table);
        }
    }
    for (size_t i = 0; i < s->count; i++) {
        digest_table_free(s->table[i]);
    }
    free(s->table);
    free(s->change);
    free(s->mark);
    digest_tables_init(s);
}

/* The place of NAME, or where it would be. */
static size_t place_of(const struct digest_tables *s, const char *name, bool *ret_found)
{
    size_t low = 0, high = s->count;

    *ret_found = false;
    while (low < high && !*ret_found) {
        size_t middle = low + (high - low) / 2;
        int order = strcmp(s->table[middle]->name, name);

        if (order == 0) {
            *ret_found = true;
            low = middle;
        } else if (order < 0) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

struct digest_table *digest_tables_find(const struct digest_tables *s, const char *name)
{
    bool found;
    size_t place = place_of(s, name, &found);

    return found ? s->table[place] : NULL;
}

/* Makes room for one more item of SIZE bytes in ARRAY. */
static int grow(void **array, size_t count, size_t *cap, size_t size, struct error *e)
{
    if (count == *cap) {
        size_t wanted = *cap == 0 ? 16 : *cap * 2;
        void *grown = realloc(*array, wanted * size);

        if (grown == NULL) {
            return error_set(e, Q_NOMEM, "out of memory");
        }
        *array = grown;
        *cap = wanted;
    }
    return Q_OK;
}

static int grow_journal(struct digest_tables *s, struct error *e)
{
    return grow((void **)&s->change, s->changes, &s->change_cap, sizeof *s->change, e);
}

int digest_tables_touch(struct digest_tables *s, struct digest_table *t, struct error *e)
{
    if (t->touched == s->serial) { /* remembered, or no savepoint is open and never was one for T */
        return Q_OK;
    }
    if (s->marks > 0) {
        int rc = grow_journal(s, e);
        if (rc != Q_OK) {
            return rc;
        }
        s->change[s->changes++] =
            (struct digest_change){.kind = CHANGE_SUM, .table = t, .sum = t->sum, .stale = t->stale};
    }
    t->touched = s->serial;
    return Q_OK;
}

/* Room in the array is never given back, so putting in again what was taken out cannot fail. */
static void put_in(struct digest_tables *s, struct digest_table *t)
{
    bool found;
    size_t place = place_of(s, t->name, &found);

    assert(!found && s->count < s->cap);
    memmove(s->table + place + 1, s->table + place, (s->count - place) * sizeof(struct digest_table *));
    s->table[place] = t;
    s->count++;
}

static void take_out(struct digest_tables *s, struct digest_table *t)
{
    bool found;
    size_t place = place_of(s, t->name, &found);

    assert(found && s->table[place] == t);
    s->count--;
    memmove(s->table + place, s->table + place + 1, (s->count - place) * sizeof(struct digest_table *));
}

int digest_tables_add(struct digest_tables *s, struct digest_table *t, struct error *e)
{
    int rc = grow((void **)&s->table, s->count, &s->cap, sizeof(struct digest_table *), e);

    if (rc == Q_OK && s->marks > 0) {
        rc = grow_journal(s, e);
        if (rc == Q_OK) {
            s->change[s->changes++] = (struct digest_change){.kind = CHANGE_ADDED, .table = t};
        }
    }
    if (rc == Q_OK) {
        put_in(s, t);
    }
    return rc;
}

int digest_tables_remove(struct digest_tables *s, struct digest_table *t, struct error *e)
{
    if (s->marks > 0) {
        int rc = grow_journal(s, e);
        if (rc != Q_OK) {
            return rc;
        }
        s->change[s->changes++] = (struct digest_change){.kind = CHANGE_REMOVED, .table = t};
    }
    take_out(s, t);
    if (s->marks == 0) {
        digest_table_free(t);
    }
    return Q_OK;
}

int digest_tables_savepoint(struct digest_tables *s, struct error *e)
{
    int rc = grow((void **)&s->mark, s->marks, &s->mark_cap, sizeof *s->mark, e);

    if (rc == Q_OK) {
        s->serial = ++s->last_serial;
        s->mark[s->marks++] = (struct digest_mark){
            .changes = s->changes, .serial = s->serial, .schema = s->schema, .version = s->version};
    }
    return rc;
}

void digest_tables_release(struct digest_tables *s)
{
    assert(s->marks > 0);
    s->marks--;
    if (s->marks > 0) {
        s->serial = s->mark[s->marks - 1].serial;
        return;
    }
    s->serial = 0;
    for (size_t i = 0; i < s->changes; i++) {
        if (s->change[i].kind == CHANGE_REMOVED) {
            digest_table_free(s->change[i].table);
        }
    }
    s->changes = 0;
}

void digest_tables_rollback(struct digest_tables *s)
{
    const struct digest_mark *mark;

    assert(s->marks > 0);
    mark = &s->mark[s->marks - 1];
    while (s->changes > mark->changes) {
        const struct digest_change *c = &s->change[--s->changes];

        switch (c->kind) {
        case CHANGE_SUM:
            c->table->sum = PLANTED("digest_savepoint_not_rolled_back") ? c->table->sum : c->sum;
            c->table->stale = c->stale;
            c->table->touched = 0;
            break;
        case CHANGE_ADDED:
            take_out(s, c->table);
            digest_table_free(c->table);
            break;
        case CHANGE_REMOVED: put_in(s, c->table); break;
        }
    }
    s->schema = mark->schema;
    s->version = mark->version;
}
