#include "tests/sim/invariants.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "cluster/replica_impl.h"
#include "tests/sim/mirror.h"

struct invariants {
    struct group *group;
    struct ledger *ledger;
    struct coverage *coverage;
    uint64_t *leader_of; /* by term; 0: nobody yet */
    uint64_t terms, elections;
    struct mirror mirrors[GROUP_MAX];
    char text[256];
    uint8_t bytes[64 * 1024]; /* of an entry */
};

struct invariants *invariants_new(struct group *g, struct ledger *ledger, struct coverage *coverage)
{
    struct invariants *v = calloc(1, sizeof *v);
    if (v == NULL) {
        abort();
    }
    v->group = g;
    v->ledger = ledger;
    v->coverage = coverage;
    return v;
}

void invariants_free(struct invariants *v)
{
    for (unsigned i = 0; i < GROUP_MAX; i++) {
        mirror_close(&v->mirrors[i]);
    }
    free(v->leader_of);
    free(v);
}

uint64_t invariants_elections(const struct invariants *v)
{
    return v->elections;
}

static void fail(struct invariants *v, const struct group_node *node)
{
    group_fail(v->group, "node %" PRIu64 " %s", node->id, v->text);
}

/* A new leader has what was committed before its term. */
static void leader_completeness(struct invariants *v, const struct group_node *node, const struct peek *now)
{
    for (uint64_t i = now->first; i <= v->ledger->commit; i++) {
        const struct ledger_slot *slot = &v->ledger->slots[i];
        if (slot->committed != NULL && slot->committed_in < now->term &&
            peek_term(node->replica, i) != slot->committed->term) {
            group_fail(v->group,
                       "node %" PRIu64 " leads term %" PRIu64 " without entry %" PRIu64
                       ", committed in term %" PRIu64,
                       node->id, now->term, i, slot->committed_in);
            return;
        }
    }
}

static uint64_t *leader_of(struct invariants *v, uint64_t term)
{
    uint64_t more = v->terms ? v->terms : 64;
    while (more <= term) {
        more *= 2;
    }
    if (more != v->terms) {
        v->leader_of = realloc(v->leader_of, more * sizeof *v->leader_of);
        if (v->leader_of == NULL) {
            abort();
        }
        memset(v->leader_of + v->terms, 0, (more - v->terms) * sizeof *v->leader_of);
        v->terms = more;
    }
    return &v->leader_of[term];
}

static void election_safety(struct invariants *v, const struct group_node *node, const struct peek *now)
{
    uint64_t *leader = leader_of(v, now->term);
    if (*leader == node->id) {
        return;
    }
    if (*leader != 0) {
        group_fail(v->group, "term %" PRIu64 " has two leaders: %" PRIu64 " and %" PRIu64, now->term, *leader,
                   node->id);
    }
    *leader = node->id;
    v->elections++;
    leader_completeness(v, node, now);
}

static void promises(struct invariants *v, const struct group_node *node, const struct peek *was,
                     const struct peek *now)
{
    if (now->term < was->term) {
        group_fail(v->group, "the term of node %" PRIu64 " falls from %" PRIu64 " to %" PRIu64, node->id,
                   was->term, now->term);
    }
    if (now->term == was->term && was->vote != 0 && now->vote != was->vote) {
        group_fail(v->group,
                   "node %" PRIu64 " voted for %" PRIu64 " and then for %" PRIu64 " in term %" PRIu64,
                   node->id, was->vote, now->vote, now->term);
    }
}

/* A log that was mended may have lost durable entries, but none that was committed. */
static void mended_durability(struct invariants *v, const struct group_node *node, const struct mirror *m,
                              const struct peek *now)
{
    uint64_t from = now->first > m->seen.first ? now->first : m->seen.first;
    for (uint64_t i = from; i <= m->seen.durable; i++) {
        const struct ledger_entry *entry = ledger_committed(v->ledger, i);
        if (entry != NULL && entry->term == m->terms[i] && peek_term(node->replica, i) != entry->term) {
            group_fail(v->group,
                       "node %" PRIu64 " had entry %" PRIu64
                       " durable, it was committed, and the mended log lacks it",
                       node->id, i);
            return;
        }
    }
}

/* Durable entries that are there no more. LOST is the lowest index that is not as it was; UINT64_MAX: none.
 */
static void durability(struct invariants *v, const struct group_node *node, const struct mirror *m,
                       const struct peek *now, uint64_t lost)
{
    if (m->boots != node->boots && lost <= m->seen.durable) {
        group_fail(v->group,
                   "node %" PRIu64 " had entry %" PRIu64 " durable before its restart, and has it no more",
                   node->id, lost);
    } else if (m->boots == node->boots && now->durable < m->seen.durable && lost > m->seen.durable) {
        group_fail(v->group, "the durable index of node %" PRIu64 " falls from %" PRIu64 " to %" PRIu64,
                   node->id, m->seen.durable, now->durable);
    } else if (m->boots == node->boots && lost <= m->seen.commit) {
        group_fail(v->group, "node %" PRIu64 " truncates entry %" PRIu64 " below its commit index %" PRIu64,
                   node->id, lost, m->seen.commit);
    }
}

/* Nobody may have it in memory: whoever appended it lost power in the same event. Then it is read from the
 * disk, as nothing else in the world notices. */
static bool cold_entry(struct invariants *v, const struct group_node *node, uint64_t index,
                       struct log_entry *ret_entry)
{
    struct sim_disk *disk = sim_node_disk(node->machine);
    struct peek_record record;
    struct sim_inode *inode;
    struct error e;
    size_t n = 0;

    if (ledger_has_content(v->ledger, index, peek_term(node->replica, index)) || node->damaged ||
        sim_disk_faults(disk).read_eio > 0 || !peek_record(node->replica, index, &record) ||
        record.len - record.header > sizeof v->bytes ||
        sim_disk_open(disk, record.path, 0, &inode, &e) != 0) {
        return false;
    }
    *ret_entry = (struct log_entry){.index = index,
                                    .term = peek_term(node->replica, index),
                                    .type = record.type,
                                    .data = v->bytes,
                                    .len = (uint32_t)(record.len - record.header)};
    bool there =
        sim_disk_read(disk, inode, record.offset + record.header, v->bytes, ret_entry->len, &n, &e) == 0 &&
        n == ret_entry->len;
    sim_disk_close(disk, inode);
    return there;
}

static bool note_entries(struct invariants *v, const struct group_node *node, uint64_t from, uint64_t last)
{
    for (uint64_t i = from; i <= last; i++) {
        struct log_entry content;
        bool known = peek_entry(node->replica, i, &content) || cold_entry(v, node, i, &content);
        if (!ledger_note(v->ledger, i, peek_term(node->replica, i), peek_term(node->replica, i - 1),
                         known ? &content : NULL, v->text, sizeof v->text)) {
            fail(v, node);
            return false;
        }
    }
    return true;
}

static void look_at_log(struct invariants *v, const struct group_node *node, struct mirror *m,
                        const struct peek *now)
{
    struct peek was = m->seen;
    struct mirror_change change;

    if (m->boots == node->boots && now->last == was.last && now->first == was.first &&
        now->durable == was.durable && m->terms[now->last] == peek_term(node->replica, now->last)) {
        return;
    }
    if (m->mended) {
        mended_durability(v, node, m, now);
        m->seen.durable = 0;
        was.durable = 0;
    }
    change = mirror_log(m, node->replica, now);
    m->seen.durable = was.durable;
    durability(v, node, m, now, change.removed ? was.last - change.removed + 1 : UINT64_MAX);
    if (change.removed > 0 && m->boots == node->boots) {
        coverage_path(v->coverage, PATH_CONFLICT);
    }
    note_entries(v, node, change.from, now->last);
}

static void commits(struct invariants *v, const struct group_node *node, uint64_t was, const struct peek *now)
{
    uint64_t from = was + 1 > now->first ? was + 1 : now->first;
    from = from > now->stands ? from : now->stands + 1;
    for (uint64_t i = from; i <= now->commit; i++) {
        if (!ledger_commit(v->ledger, i, peek_term(node->replica, i), now->term, v->text, sizeof v->text)) {
            fail(v, node);
            return;
        }
    }
}

static void state_machine_safety(struct invariants *v, const struct group_node *node, uint64_t was,
                                 const struct peek *now)
{
    uint64_t from = was + 1 > now->first ? was + 1 : now->first;
    for (uint64_t i = from; i <= now->applied; i++) {
        const struct ledger_entry *entry = ledger_committed(v->ledger, i);
        if (entry == NULL || entry->term != peek_term(node->replica, i)) {
            group_fail(v->group, "node %" PRIu64 " applied entry %" PRIu64 ", which is not the committed one",
                       node->id, i);
            return;
        }
    }
    if (!ledger_digest(v->ledger, now->applied, now->digest, v->text, sizeof v->text)) {
        fail(v, node);
    }
}

static void check_known(struct invariants *v, const struct group_node *node, struct mirror *m)
{
    bool rebooted = m->boots != node->boots;
    struct peek now, was = m->seen;

    peek(node->replica, &now);
    if (rebooted) {
        was.commit = was.applied = was.installs = 0;
    }
    if (now.term != was.term || now.vote != was.vote) {
        promises(v, node, &was, &now);
    }
    if (now.runs && (now.term != now.core_term || now.vote != now.core_vote)) {
        group_fail(v->group,
                   "node %" PRIu64 " acts on term %" PRIu64 " and vote %" PRIu64 ", but has %" PRIu64
                   " and %" PRIu64 " durable",
                   node->id, now.core_term, now.core_vote, now.term, now.vote);
    }
    if (now.reported > now.durable) {
        group_fail(v->group,
                   "node %" PRIu64 " counts entries up to %" PRIu64 " as durable, which end at %" PRIu64,
                   node->id, now.reported, now.durable);
    }
    if (now.recovering) {
        m->seen.term = now.term;
        m->seen.vote = now.vote;
        m->mended = true;
        return;
    }
    look_at_log(v, node, m, &now);
    if (now.leads) {
        election_safety(v, node, &now);
    }
    if (now.installs != was.installs) {
        was.applied = 0; /* another database, which may be at an earlier index */
    }
    if (now.commit < was.commit || now.applied < was.applied) {
        group_fail(v->group, "commit or applied index of node %" PRIu64 " falls", node->id);
    }
    if (now.commit > was.commit) {
        commits(v, node, was.commit, &now);
    }
    if (now.applied > was.applied) {
        state_machine_safety(v, node, was.applied, &now);
    }
    if (now.fenced && !was.fenced && !(now.fence == META_FENCE_PAGE && node->bad_pages)) {
        group_fail(v->group, "node %" PRIu64 " fences itself, but its disk is healthy", node->id);
    }
    m->seen = now;
    m->boots = node->boots;
    m->mended = false;
}

static void check_node(struct invariants *v, const struct group_node *node)
{
    struct mirror *m = &v->mirrors[group_number(node)];

    if (m->lives != node->lives) {
        mirror_close(m); /* it is another one */
        m->lives = node->lives;
    }
    if (node->stale && m->boots != node->boots) {
        mirror_close(m); /* nothing that it knew since binds it */
    }
    check_known(v, node, m);
}

void invariants_check(struct invariants *v)
{
    for (unsigned i = 0; i < v->group->count; i++) {
        const struct group_node *node = &v->group->nodes[i];
        struct peek *seen = &v->mirrors[i].seen;
        if (node->replica != NULL && !node->broken) {
            check_node(v, node);
        } else if ((node->broken || node->cut_short) && seen->durable > seen->commit) {
            seen->durable = seen->commit; /* the event in which it ended may have truncated the rest */
        }
    }
}

static bool final_entry(struct invariants *v, const struct group_node *node, uint64_t index)
{
    const struct ledger_entry *known = ledger_committed(v->ledger, index);
    struct log_entry entry;
    struct error e;

    if (consensus_entry(node->replica->consensus, index, &entry, &e) != 0) {
        group_fail(v->group, "node %" PRIu64 " cannot read entry %" PRIu64 ": %s", node->id, index, e.text);
    } else if (known == NULL || known->term != entry.term || !known->has_content ||
               known->type != entry.type || known->len != entry.len ||
               known->sum != crc32c(0, entry.data, entry.len)) {
        group_fail(v->group, "node %" PRIu64 " ends with another entry at %" PRIu64 " than was committed",
                   node->id, index);
    } else {
        return true;
    }
    return false;
}

void invariants_final(struct invariants *v)
{
    for (unsigned i = 0; i < v->group->count; i++) {
        struct group_node *node = &v->group->nodes[i];
        struct peek now;
        if (!group_alive(node)) {
            continue;
        }
        peek(node->replica, &now);
        for (uint64_t index = now.runs ? now.first : UINT64_MAX; index <= now.applied; index++) {
            if (!final_entry(v, node, index)) {
                return;
            }
        }
    }
}
