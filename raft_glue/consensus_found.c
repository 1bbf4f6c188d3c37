#include "raft_glue/consensus_found.h"

#include <inttypes.h>
#include <string.h>

#include "raft_glue/consensus_impl.h"

static int check(const struct consensus_found *found, struct error *e)
{
    bool listed = false;

    for (unsigned i = 0; i < found->count; i++) {
        listed = listed || found->members[i].id == found->id;
    }
    if (!listed) {
        return error_set(e, Q_INVALID, "node id %" PRIu64 " is not in the list of members", found->id);
    }
    if (found->index < 2 || found->term < 1) {
        return error_set(e, Q_INVALID, "a cluster cannot begin at index %" PRIu64 " of term %" PRIu64,
                         found->index, found->term);
    }
    return 0;
}

/* The list stands for the configuration as of the database's own index, as after a compaction there. */
static int put_members(const struct consensus_found *found, struct meta_state *state, struct error *e)
{
    struct consensus_config config = {.members = found->members, .count = found->count};
    struct raft_buffer bytes;
    int rv = consensus_encode_members(&config, &bytes, e);

    if (rv != 0) {
        return rv;
    }
    if (bytes.len > sizeof state->configuration) {
        rv = error_set(e, Q_TOO_BIG, "the member list takes %zu bytes, and meta holds %zu", bytes.len,
                       sizeof state->configuration);
    } else {
        memcpy(state->configuration, bytes.base, bytes.len);
        state->configuration_len = (uint32_t)bytes.len;
        state->configuration_index = found->index;
    }
    raft_free(bytes.base);
    return rv;
}

int consensus_found(const struct consensus_found *found, struct error *e)
{
    struct meta_state state = {
        .node_id = found->id,
        .term = found->term,
        .snapshot_index = found->index,
        .snapshot_term = found->term,
        .boots = 1,
        .founder = true,
        .log_first = found->index + 1,
        .log_before_term = found->term,
    };
    struct meta *meta;
    int rv = check(found, e);

    if (rv == 0) {
        rv = put_members(found, &state, e);
    }
    if (rv != 0) {
        return rv;
    }
    memcpy(state.cluster_id, found->cluster_id, CLUSTER_ID_BYTES);
    memcpy(state.origin, found->origin, META_ORIGIN_BYTES);
    env_random(found->env, &state.incarnation, sizeof state.incarnation);
    env_random(found->env, &state.marks[state.boots % META_MARKS], sizeof state.marks[0]);
    rv = meta_create(found->env, found->dir, &state, &meta, e);
    if (rv == 0) {
        meta_close(meta);
    }
    return rv;
}
