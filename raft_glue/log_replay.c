#include "raft_glue/log_replay.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/plant.h"
#include "raft_glue/log_resync.h"

void log_replay_damaged(struct log_replay *r, const struct segment *s, uint64_t offset, const char *what)
{
    char path[SEGMENT_PATH_MAX];
    struct error e;
    r->damaged = true;
    segment_path(r->dir, s->head.sequence, path);
    error_set(&e, Q_CORRUPT, "%s: offset %" PRIu64 ": %s", path, offset, what);
    r->damage(r->ctx, &e);
}

struct segment *log_replay_after(const struct log_replay *r, const struct segment *s)
{
    return s->link.next == r->segments ? NULL : CONTAINER_OF(s->link.next, struct segment, link);
}

/* Whether FOUND continues what was read so far. */
static bool is_next(const struct log_replay *r, const struct log_found *found)
{
    return found->head.number == r->at.number + 1 &&
           (found->head.chain == r->at.chain || PLANTED("chain_of_groups_is_not_checked"));
}

/* Whether the term of an entry may be TERM: it is, or it is lost. */
static bool may_have_term(const struct log_table *t, uint64_t index, uint64_t term)
{
    const struct log_slot *slot = log_table_at(t, index);
    return log_table_term(t, index) == term || (slot != NULL && slot->type == LOG_LOST && slot->term == 0);
}

/* What a later group says of the term of an entry that is lost. */
static void learn_term(struct log_table *t, uint64_t index, uint64_t term)
{
    struct log_slot *slot = log_table_at(t, index);
    if (slot != NULL && slot->type == LOG_LOST && slot->term == 0) {
        slot->term = term;
    }
}

bool log_replay_goes_on(const struct log_replay *r)
{
    const struct log_table *t = r->table;
    bool known = r->known_index < t->first || may_have_term(t, r->known_index, r->known_term);
    return r->durable > r->at.number || (!known && !PLANTED("applied_entries_are_no_witness"));
}

/* A group that fits into the log as the table has it. What is not even that was never written. */
static bool fits(const struct log_replay *r, const struct format_group *head)
{
    const struct log_table *t = r->table;
    return head->first > 0 && head->first <= t->last + 1 &&
           (head->first < t->first || may_have_term(t, head->first - 1, head->before_term));
}

int log_replay_join(struct log_replay *r, uint64_t index, uint64_t term, struct error *e)
{
    struct log_table *t = r->table;
    uint64_t from = t->last + 1;
    int rc = 0;
    if (index + 1 < t->first || (index + 1 == t->first && t->before_term != term)) {
        log_table_restart(t, index + 1, term);
        return 0;
    }
    if (index <= t->last) {
        const struct log_slot *slot = log_table_at(t, index);
        bool same = log_table_term(t, index) == term && (slot == NULL || slot->type != LOG_LOST);
        log_table_truncate(t, index + 1);
        if (same) {
            return 0; /* what was lost had been replaced since, or ended here */
        }
        log_table_truncate(t, index);
        from = index;
    }
    while (rc == 0 && t->last < index) {
        rc = log_table_push_lost(t, t->last + 1 == index ? term : 0, e);
    }
    if (rc == 0) {
        log_table_at(t, from)->detached =
            from > t->first && !PLANTED("hole_hides_a_truncation"); /* what is before the log is committed */
    }
    return rc;
}

static int push_lost_below(struct log_table *t, uint64_t index, struct error *e)
{
    int rc = 0;
    while (rc == 0 && t->last + 1 < index) {
        rc = log_table_push_lost(t, 0, e);
    }
    return rc;
}

/* What stands in a group that is next: entries, or the holes that they have left. */
static int take_records(struct log_replay *r, const struct log_found *found, const uint64_t *end_chain,
                        struct error *e)
{
    struct log_table *t = r->table;
    struct log_records records = log_records_of(found), before = records;
    struct log_entry entry;
    uint64_t offset;
    enum log_record_state state;
    int rc = 0;
    for (; rc == 0 && (state = log_records_next(&records, &entry, &offset)) != LOG_RECORD_END;
         before = records) {
        if (state == LOG_RECORD_GOOD) {
            rc = log_table_push(t, &entry, e);
            struct log_slot *slot = rc == 0 ? log_table_at(t, entry.index) : NULL;
            if (slot != NULL) {
                slot->segment = found->segment;
                slot->offset = offset;
            }
            continue;
        }
        char what[64];
        snprintf(what, sizeof what, "the record of index %" PRIu64 " is damaged", t->last + 1);
        log_replay_damaged(r, found->segment, offset, what);
        if (state == LOG_RECORD_BAD && end_chain != NULL && log_records_lead_to(records, *end_chain)) {
            rc = log_table_push_lost(t, entry.term, e);
            continue;
        }
        records = before;
        if (end_chain == NULL || !log_records_find(&records, *end_chain)) {
            break;
        }
        rc = push_lost_below(t, found->head.first + records.at, e);
    }
    return rc != 0 ? rc : push_lost_below(t, found->head.first + found->head.records, e);
}

/* Takes a group that is next into the table. CHAIN is the one behind its last record, if that is KNOWN. */
static int take(struct log_replay *r, const struct log_found *found, bool known, uint64_t chain,
                struct error *e)
{
    const struct format_group *head = &found->head;
    struct log_table *t = r->table;
    struct segment *s = found->segment;
    if (head->first < t->first) {
        log_table_restart(t, head->first, head->before_term);
    } else {
        log_table_truncate(t, head->first);
        learn_term(t, head->first - 1, head->before_term);
    }
    int rc = take_records(r, found, known ? &chain : NULL, e);
    if (rc != 0) {
        return rc;
    }
    log_table_evict(t, r->cache_bytes, t->last);
    s->last_number = head->number;
    s->last_index = t->last > s->last_index ? t->last : s->last_index;
    r->end = s;
    if (head->number == r->mark->number && r->mark->index == t->last) {
        learn_term(t, t->last, r->mark->term);
    }
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

/* The chain behind a group that has lost records, from who knows it: the next group or the mark. */
static int chain_behind(struct log_replay *r, const struct log_found *found, uint64_t *ret_chain,
                        bool *ret_known, struct error *e)
{
    uint64_t end = found->offset + found->head.bytes, number = found->head.number;
    struct segment *s = found->segment, *after = log_replay_after(r, s);
    struct log_found next;
    int rc = 0;
    bool known = log_image_group(&r->image, end, &next) && next.head.number == number + 1;
    if (!known && after != NULL && after->head.sequence == s->head.sequence + 1) {
        rc = log_image_load(&r->image, after, e);
        known = rc == 0 && log_image_group(&r->image, ENV_BLOCK, &next) && next.head.number == number + 1;
        rc = rc != 0 ? rc : log_image_load(&r->image, s, e);
        /* It may be left over from a write that did not count, unless it says or shows that it follows. */
        known =
            rc == 0 && known && (next.head.durable == number || log_found_leads_to(found, next.head.chain));
    }
    if (known) {
        *ret_chain = next.head.chain;
    } else if (number == r->mark->number) {
        *ret_chain = r->mark->chain;
        known = true;
    }
    *ret_known = known;
    return rc;
}

/* A group that is next and was durable, but is not whole. */
static int take_damaged(struct log_replay *r, const struct log_found *found, struct error *e)
{
    uint64_t chain = 0;
    bool known;
    int rc = chain_behind(r, found, &chain, &known, e);
    if (rc != 0) {
        return rc;
    }
    return take(r, found, known, chain, e);
}

/* A group in a segment without salt: there are records, and all of them lead on from the header. */
static bool vouches_for_itself(const struct log_found *found)
{
    return found->head.records > 0 && log_found_whole(found);
}

/* Where the log starts: r->at, r->end and the table. Only a segment in which it does not begin anew needs its
 * first group for that. */
static int start(struct log_replay *r, struct error *e)
{
    struct segment *s = CONTAINER_OF(r->segments->next, struct segment, link);
    const struct format_segment *head = &s->head;
    struct log_found found;
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
        int rc = log_image_load(&r->image, s, e);
        if (rc != 0) {
            return rc;
        }
        if (!log_image_group(&r->image, ENV_BLOCK, &found) || found.head.first == 0 ||
            (!found.proved && !vouches_for_itself(&found))) {
            /* Where it starts is lost with it; the snapshot says what is needed. */
            r->at.index = r->table->first - 1;
            r->at.term = r->table->before_term;
            return 0;
        }
        r->at.number = found.head.number - 1;
        r->at.chain = found.head.chain;
        r->at.index = found.head.first - 1;
        r->at.term = found.head.before_term;
    }
    if (r->at.index >= r->table->first) {
        char what[128];
        snprintf(what, sizeof what, "the entries %" PRIu64 " to %" PRIu64 " before this segment are missing",
                 r->table->first, r->at.index);
        log_replay_damaged(r, s, 0, what);
        return log_replay_join(r, r->at.index, r->at.term, e);
    }
    log_table_restart(r->table, r->at.index + 1, r->at.term);
    return 0;
}

/* Looks for the next group at OFFSET of S. What is not whole is a tear if it was not known to be durable. */
static int look(struct log_replay *r, struct segment *s, uint64_t offset, bool *ret_taken, struct error *e)
{
    struct log_found found;
    uint64_t chain;
    int rc = log_image_load(&r->image, s, e);
    *ret_taken = false;
    if (rc != 0 || !log_image_group(&r->image, offset, &found) || !is_next(r, &found) ||
        (!found.proved && !vouches_for_itself(&found))) {
        return rc;
    }
    if (fits(r, &found.head) && log_found_whole(&found)) {
        *ret_taken = true;
        log_found_chain(&found, &chain);
        return take(r, &found, true, chain, e);
    }
    if (fits(r, &found.head) && log_replay_goes_on(r)) {
        *ret_taken = true;
        return take_damaged(r, &found, e);
    }
    r->torn[r->n_torn++] = (struct log_torn){.segment = s, .offset = offset};
    return 0;
}

/* Reads groups until neither place holds the next one. */
static int read_groups(struct log_replay *r, struct error *e)
{
    bool taken;
    int rc;
    do {
        struct segment *s = r->end, *next = log_replay_after(r, s);
        r->n_torn = 0;
        rc = look(r, s, r->at.end, &taken, e);
        if (rc == 0 && !taken && next != NULL) {
            rc = look(r, next, ENV_BLOCK, &taken, e);
        }
    } while (rc == 0 && taken);
    return rc;
}

/* What whole group headers behind the end know: how far the log was durable. */
static int look_behind(struct log_replay *r, struct error *e)
{
    uint64_t offset = r->at.end;
    for (struct segment *s = r->end; s != NULL; s = log_replay_after(r, s), offset = ENV_BLOCK) {
        int rc = log_image_load(&r->image, s, e);
        if (rc != 0) {
            return rc;
        }
        for (; offset < s->head.bytes; offset += ENV_BLOCK) {
            struct log_found found;
            if (log_image_group(&r->image, offset, &found) && found.proved) {
                if (found.head.durable > r->durable && !PLANTED("only_the_mark_tells_what_was_durable")) {
                    r->durable = found.head.durable;
                    r->claim = found.head;
                }
                r->torn_bytes += found.head.number > r->at.number ? found.head.bytes : 0;
            }
        }
    }
    return 0;
}

/* Says where the next group should be, which was durable. */
static void name_lost_group(struct log_replay *r)
{
    struct segment *s = r->end, *next = log_replay_after(r, s);
    uint64_t offset = r->at.end;
    char what[128];
    if (offset == s->head.bytes && next != NULL) {
        s = next;
        offset = ENV_BLOCK;
    }
    snprintf(what, sizeof what,
             "the record of index %" PRIu64 " is damaged, and it was durable (group %" PRIu64 ")",
             r->table->last + 1, r->at.number + 1);
    log_replay_damaged(r, s, offset, what);
}

/* If the entries of a term stand on both sides of a hole, the leader of that term had them all: so they are
 * of that term, and what is below belongs to what is above. */
static void learn_from_neighbours(struct log_table *t)
{
    for (uint64_t from = t->first, to; t->lost > 0 && from <= t->last; from = to + 1) {
        to = from;
        if (log_table_at(t, from)->type != LOG_LOST) {
            continue;
        }
        while (to < t->last && log_table_at(t, to)->term == 0 && log_table_at(t, to + 1)->type == LOG_LOST) {
            to++;
        }
        uint64_t term = from == 1 ? 1 : log_table_term(t, from - 1); /* the first term is 1 */
        uint64_t above = log_table_term(t, to) != 0 ? log_table_term(t, to) : log_table_term(t, to + 1);
        if (term == 0 || term != above) {
            continue;
        }
        for (uint64_t i = from; i <= to; i++) {
            log_table_at(t, i)->term = term;
            log_table_at(t, i)->detached = false;
        }
    }
}

int log_replay(struct log_replay *r, struct error *e)
{
    bool looked = false;
    int rc;
    r->image = (struct log_image){.env = r->env, .dir = r->dir};
    LIST_EACH (r->segments, item) {
        uint64_t bytes = CONTAINER_OF(item, struct segment, link)->head.bytes;
        r->image.largest = bytes > r->image.largest ? bytes : r->image.largest;
    }
    r->durable = r->mark->number;
    rc = start(r, e);
    while (rc == 0 && (rc = read_groups(r, e)) == 0) {
        if (!looked) {
            looked = true;
            rc = look_behind(r, e);
        } else if (log_replay_goes_on(r) && !PLANTED("damage_is_taken_for_a_torn_tail")) {
            name_lost_group(r);
            rc = log_resync(r, e);
        } else {
            break;
        }
    }
    learn_term(r->table, r->known_index, r->known_term);
    if (r->damaged) {
        r->torn_bytes = 0; /* what was behind the damage is not told from it */
        learn_from_neighbours(r->table);
    }
    log_image_close(&r->image);
    return rc;
}
