#include "tests/sim/invariants.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "cluster/replica_impl.h"

struct at_index {
    bool known;
    uint64_t term;
    uint8_t digest[DIGEST_BYTES];
};

struct seen {
    uint64_t boots, term, commit, applied;
};

struct invariants {
    struct group *group;
    uint64_t *leader_of; /* by term; 0: nobody yet */
    uint64_t terms, elections;
    struct at_index *content; /* by index */
    uint64_t indexes;
    struct seen seen[GROUP_MAX];
};

static void *grown(void *array, uint64_t *count, uint64_t wanted, size_t size)
{
    uint64_t more = *count ? *count : 64;
    while (more <= wanted) {
        more *= 2;
    }
    if (more != *count) {
        array = realloc(array, more * size);
        if (array == NULL) {
            abort();
        }
        memset((char *)array + *count * size, 0, (more - *count) * size);
        *count = more;
    }
    return array;
}

struct invariants *invariants_new(struct group *g)
{
    struct invariants *v = calloc(1, sizeof *v);
    if (v == NULL) {
        abort();
    }
    v->group = g;
    return v;
}

void invariants_free(struct invariants *v)
{
    free(v->leader_of);
    free(v->content);
    free(v);
}

uint64_t invariants_elections(const struct invariants *v)
{
    return v->elections;
}

static void election_safety(struct invariants *v, const struct group_node *node,
                            const struct replica_role *role)
{
    v->leader_of = grown(v->leader_of, &v->terms, role->term, sizeof *v->leader_of);
    if (!role->leads || v->leader_of[role->term] == node->id) {
        return;
    }
    if (v->leader_of[role->term] != 0) {
        group_fail(v->group, "term %" PRIu64 " has two leaders: %" PRIu64 " and %" PRIu64, role->term,
                   v->leader_of[role->term], node->id);
    }
    v->leader_of[role->term] = node->id;
    v->elections++;
}

/* The term and vote of a node never fall, not even over a crash; commit and applied not within one life. */
static void no_regress(struct invariants *v, const struct group_node *node, const struct replica_role *role)
{
    struct seen *seen = &v->seen[node->id - 1];
    if (role->term < seen->term) {
        group_fail(v->group, "the term of node %" PRIu64 " falls from %" PRIu64 " to %" PRIu64, node->id,
                   seen->term, role->term);
    }
    if (seen->boots == node->boots && (role->commit < seen->commit || role->applied < seen->applied)) {
        group_fail(v->group, "commit or applied index of node %" PRIu64 " falls", node->id);
    }
    *seen = (struct seen){node->boots, role->term, role->commit, role->applied};
}

static void state_machine_safety(struct invariants *v, struct group_node *node)
{
    const struct store_position *at = applier_position(node->replica->applier);
    struct at_index *content;

    v->content = grown(v->content, &v->indexes, at->index, sizeof *v->content);
    content = &v->content[at->index];
    if (!content->known) {
        content->known = true;
        content->term = at->term;
        memcpy(content->digest, at->digest, DIGEST_BYTES);
    } else if (content->term != at->term || memcmp(content->digest, at->digest, DIGEST_BYTES) != 0) {
        group_fail(v->group, "node %" PRIu64 " has another content at index %" PRIu64 " than others had",
                   node->id, at->index);
    }
}

void invariants_check(struct invariants *v)
{
    for (unsigned i = 0; i < v->group->count; i++) {
        struct group_node *node = &v->group->nodes[i];
        struct replica_role role;
        if (node->replica == NULL || node->broken) {
            continue;
        }
        replica_role(node->replica, &role);
        election_safety(v, node, &role);
        no_regress(v, node, &role);
        if (role.fenced) {
            group_fail(v->group, "node %" PRIu64 " found that its content differs from the leader's",
                       node->id);
        }
        state_machine_safety(v, node);
    }
}

static bool same_entry(struct consensus *a, struct consensus *b, uint64_t index)
{
    struct log_entry x, y;
    uint32_t sum;
    struct error e;
    if (consensus_entry(a, index, &x, &e) != 0) {
        return false;
    }
    sum = crc32c(0, x.data, x.len);
    return consensus_entry(b, index, &y, &e) == 0 && x.term == y.term && x.type == y.type && x.len == y.len &&
           sum == crc32c(0, y.data, y.len);
}

void invariants_final(struct invariants *v)
{
    struct replica *first = v->group->nodes[0].replica;
    uint64_t applied = applier_position(first->applier)->index;

    for (unsigned i = 1; i < v->group->count; i++) {
        struct replica *other = v->group->nodes[i].replica;
        if (applier_position(other->applier)->index != applied) {
            group_fail(v->group, "node %u applied index %" PRIu64 ", node 1 %" PRIu64, i + 1,
                       applier_position(other->applier)->index, applied);
            return;
        }
        for (uint64_t index = 1; index <= applied; index++) {
            if (!same_entry(first->consensus, other->consensus, index)) {
                group_fail(v->group, "the logs of nodes 1 and %u differ at index %" PRIu64, i + 1, index);
                return;
            }
        }
    }
}
