#include "tests/sim/ledger.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"

static void *take_memory(void *p)
{
    if (p == NULL) {
        abort();
    }
    return p;
}

void ledger_close(struct ledger *l)
{
    for (uint64_t i = 0; i < l->capacity; i++) {
        for (struct ledger_entry *e = l->slots[i].entries, *next; e != NULL; e = next) {
            next = e->other;
            free(e->data);
            free(e);
        }
    }
    free(l->slots);
    *l = (struct ledger){.slots = NULL};
}

static struct ledger_slot *slot_of(struct ledger *l, uint64_t index)
{
    uint64_t more = l->capacity ? l->capacity : 256;
    while (more <= index) {
        more *= 2;
    }
    if (more != l->capacity) {
        l->slots = take_memory(realloc(l->slots, more * sizeof *l->slots));
        memset(l->slots + l->capacity, 0, (more - l->capacity) * sizeof *l->slots);
        l->capacity = more;
    }
    return &l->slots[index];
}

static struct ledger_entry *find(const struct ledger_slot *slot, uint64_t term)
{
    struct ledger_entry *e = slot->entries;
    while (e != NULL && e->term != term) {
        e = e->other;
    }
    return e;
}

static bool note_content(struct ledger_entry *e, const struct log_entry *content)
{
    uint32_t sum = crc32c(0, content->data, content->len);
    if (e->has_content) {
        return e->type == content->type && e->len == content->len && e->sum == sum;
    }
    e->has_content = true;
    e->type = content->type;
    e->len = content->len;
    e->sum = sum;
    e->data = take_memory(malloc(content->len + 1));
    if (content->len > 0) {
        memcpy(e->data, content->data, content->len);
    }
    return true;
}

bool ledger_note(struct ledger *l, uint64_t index, uint64_t term, uint64_t before_term,
                 const struct log_entry *content, char *text, size_t n)
{
    struct ledger_slot *slot = slot_of(l, index);
    struct ledger_entry *e = find(slot, term);

    if (e == NULL) {
        e = take_memory(calloc(1, sizeof *e));
        e->term = term;
        e->before_term = before_term;
        e->other = slot->entries;
        slot->entries = e;
    }
    if (e->before_term != before_term) {
        snprintf(text, n,
                 "has entry %" PRIu64 " of term %" PRIu64 " behind one of term %" PRIu64
                 ", others behind one of term %" PRIu64,
                 index, term, before_term, e->before_term);
        return false;
    }
    if (content != NULL && !note_content(e, content)) {
        snprintf(text, n, "has entry %" PRIu64 " of term %" PRIu64 " with another content than others", index,
                 term);
        return false;
    }
    return true;
}

bool ledger_commit(struct ledger *l, uint64_t index, uint64_t term, uint64_t in_term, char *text, size_t n)
{
    struct ledger_slot *slot = slot_of(l, index);
    struct ledger_entry *e = find(slot, term);

    if (e == NULL || (slot->committed != NULL && slot->committed != e)) {
        snprintf(text, n,
                 "has entry %" PRIu64 " of term %" PRIu64 " committed, but that of term %" PRIu64 " was",
                 index, term, slot->committed ? slot->committed->term : 0);
        return false;
    }
    if (slot->committed == NULL || in_term < slot->committed_in) {
        slot->committed_in = in_term;
    }
    slot->committed = e;
    l->commit = index > l->commit ? index : l->commit;
    return true;
}

bool ledger_digest(struct ledger *l, uint64_t index, const uint8_t digest[DIGEST_BYTES], char *text, size_t n)
{
    struct ledger_slot *slot = slot_of(l, index);
    if (!slot->has_digest) {
        slot->has_digest = true;
        memcpy(slot->digest, digest, DIGEST_BYTES);
    } else if (memcmp(slot->digest, digest, DIGEST_BYTES) != 0) {
        snprintf(text, n, "has another content at index %" PRIu64 " than others had", index);
        return false;
    }
    return true;
}

bool ledger_has_content(struct ledger *l, uint64_t index, uint64_t term)
{
    const struct ledger_entry *e = find(slot_of(l, index), term);
    return e != NULL && e->has_content;
}

const struct ledger_entry *ledger_committed(const struct ledger *l, uint64_t index)
{
    return index < l->capacity ? l->slots[index].committed : NULL;
}

unsigned ledger_holds(const struct ledger *l, uint64_t index, const void *command, size_t n)
{
    const struct ledger_entry *entry = ledger_committed(l, index);
    struct batch batch;
    struct error e;
    unsigned found = 0;

    if (entry == NULL || !entry->has_content || entry->type != LOG_COMMANDS ||
        batch_decode(entry->data, entry->len, &batch, &e) != 0) {
        return 0;
    }
    for (uint32_t i = 0; i < batch.commands; i++) {
        struct cursor one = cursor_blob(&batch.command);
        found += cursor_left(&one) == n && memcmp(one.p, command, n) == 0;
    }
    return found;
}
