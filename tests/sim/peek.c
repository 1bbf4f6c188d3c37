#include "tests/sim/peek.h"

#include <assert.h>

#include "cluster/replica_impl.h"
#include "raft_glue/consensus_impl.h"
#include "raft_glue/log_internal.h"

/* Of the slots on the disk the one that is behind; 0 if what a slot speaks of has been replaced since. */
static uint64_t marked(const struct log *log)
{
    uint64_t least = UINT64_MAX;
    for (unsigned i = 0; i < 2; i++) {
        const struct format_mark *slot = &log->mark.slots[i];
        uint64_t index = log_term(log, slot->index) == slot->term ? slot->index : 0;
        least = index < least ? index : least;
    }
    return least;
}

static struct log *log_of(struct replica *r)
{
    return r->consensus->log;
}

static unsigned voters(const struct consensus *c, uint64_t id, bool *ret_there)
{
    struct consensus_member members[META_PEERS_MAX];
    unsigned n = consensus_members(c, members, META_PEERS_MAX), found = 0;

    *ret_there = false;
    for (unsigned i = 0; i < n; i++) {
        found += members[i].role == CONSENSUS_VOTER;
        *ret_there = *ret_there || members[i].id == id;
    }
    return found;
}

bool peek_has_member(struct replica *r, uint64_t id)
{
    bool there;
    voters(r->consensus, id, &there);
    return there;
}

unsigned peek_voters(struct replica *r)
{
    bool there;
    return voters(r->consensus, 0, &there);
}

void peek_transfer(struct replica *r)
{
    struct error e;
    consensus_transfer(r->consensus, 0, &e);
}

static bool ships(const struct replica *r)
{
    return r->images != NULL && (images_taking(r->images) || ship_source_progress(r->ship_source).open ||
                                 ship_target_progress(r->ship_target).state != SHIP_IDLE);
}

void peek(struct replica *r, struct peek *ret_peek)
{
    const struct consensus *c = r->consensus;
    const struct meta_state *meta = meta_state(c->meta);
    const struct store_position *at = applier_position(r->applier);
    const struct log *log = c->log;
    struct log_hole hole = {.first = 0};

    if (consensus_recovering(c)) {
        log_hole(log, log_first(log), &hole);
    }
    *ret_peek = (struct peek){
        .removed = consensus_removed(c),
        .runs = c->driver != NULL,
        .recovering = consensus_recovering(c),
        .hole = hole.first,
        .leads = c->driver != NULL && driver_state(c->driver) == RAFT_LEADER,
        .fenced = r->fenced,
        .fence = meta->fence,
        .installs = r->installs,
        .stands = meta->installing == META_INSTALLING_LOG ? meta->installing_index : 0,
        .ships = ships(r),
        .term = meta->term,
        .vote = meta->vote,
        .core_term = c->driver != NULL ? driver_term(c->driver) : 0,
        .core_vote = c->driver != NULL ? driver_vote(c->driver) : 0,
        .commit = consensus_commit(c),
        .applied = at->index,
        .applied_term = at->term,
        .first = log_first(log),
        .last = log_last(log),
        .durable = log_durable(log),
        .reported = log->reported,
        .marked = marked(log),
        .digest = at->digest,
    };
}

uint64_t peek_boots(struct replica *r)
{
    return consensus_meta(r->consensus)->boots;
}

uint64_t peek_remembered_boots(struct replica *r, uint64_t id)
{
    const struct meta_state *meta = consensus_meta(r->consensus);
    for (uint32_t i = 0; i < meta->peers; i++) {
        if (meta->peer[i].id == id) {
            return meta->peer[i].boots;
        }
    }
    return 0;
}

uint64_t peek_term(struct replica *r, uint64_t index)
{
    return log_term(log_of(r), index);
}

bool peek_entry(struct replica *r, uint64_t index, struct log_entry *ret_entry)
{
    const struct log_table *t = &log_of(r)->table;
    const struct log_slot *slot = log_table_at(t, index);

    if (slot == NULL || slot->type == LOG_LOST || (slot->payload == NULL && slot->len > 0)) {
        return false;
    }
    *ret_entry = (struct log_entry){
        .index = index, .term = slot->term, .type = slot->type, .data = slot->payload, .len = slot->len};
    return true;
}

/* Records of a group follow each other without a gap. */
static bool same_group(const struct log *log, uint64_t index)
{
    const struct log_slot *one = log_table_at(&log->table, index),
                          *next = log_table_at(&log->table, index + 1);
    return one != NULL && next != NULL && one->segment != NULL && one->segment == next->segment &&
           one->offset + FORMAT_RECORD_BYTES + one->len == next->offset;
}

void peek_group(struct replica *r, uint64_t index, uint64_t *ret_first, uint64_t *ret_last)
{
    const struct log *log = log_of(r);
    *ret_first = *ret_last = index;
    while (same_group(log, *ret_first - 1)) {
        --*ret_first;
    }
    while (same_group(log, *ret_last)) {
        ++*ret_last;
    }
}

bool peek_record(struct replica *r, uint64_t index, struct peek_record *ret_record)
{
    const struct log *log = log_of(r);
    const struct log_slot *slot = log_table_at(&log->table, index);

    static_assert((int)PEEK_PATH_MAX >= (int)SEGMENT_PATH_MAX, "the path of a segment fits");
    if (slot == NULL || slot->segment == NULL || index > log_durable(log)) {
        return false;
    }
    segment_path(log->dir, slot->segment->head.sequence, ret_record->path);
    ret_record->offset = slot->offset;
    ret_record->len = FORMAT_RECORD_BYTES + slot->len;
    ret_record->header = FORMAT_RECORD_BYTES;
    ret_record->type = slot->type;
    return true;
}
