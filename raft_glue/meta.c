#include "raft_glue/meta.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/crc32c.h"
#include "base/plant.h"

enum { META_SLOTS = 2, META_SUM_AT = META_SLOT_BYTES - 4, META_PATH_MAX = 4096 };

enum { FORMAT_NOW = 3, FLAG_FOUNDER = 1, FLAG_BEGUN = 2, FLAG_REMOVED = 4, FLAGS = 7 };

static const char magic[8] = "QRTMETA3"; /* the last byte is the format */

static_assert(META_SLOT_BYTES % ENV_BLOCK == 0, "slots are written past the page cache");
static_assert(120 + META_CONFIGURATION_MAX + META_MARKS * 4 + META_PEERS_MAX * 52 + 72 + 4 <= META_SLOT_BYTES,
              "a slot holds all");

struct meta {
    struct env *env;
    struct env_file *file;
    struct meta_state state;
    uint64_t version;
    bool read_only;
    uint8_t *slot, *back; /* aligned */
};

enum slot_kind { SLOT_GOOD, SLOT_DAMAGED, SLOT_UNKNOWN };

static int path_of(const char *dir, const char *name, char *path, struct error *e)
{
    int n = snprintf(path, META_PATH_MAX, "%s/%s", dir, name);
    return n >= 0 && n < META_PATH_MAX ? 0 : error_set(e, Q_TOO_BIG, "the path of %s is too long", name);
}

static int encode(const struct meta_state *s, uint64_t version, uint8_t *slot, struct error *e)
{
    struct buf b;
    int rv;
    buf_init(&b, META_SLOT_BYTES);
    buf_put_bytes(&b, magic, sizeof magic);
    buf_put_u64(&b, version);
    buf_put_bytes(&b, s->cluster_id, CLUSTER_ID_BYTES);
    buf_put_u64(&b, s->node_id);
    buf_put_u64(&b, s->incarnation);
    buf_put_u64(&b, s->term);
    buf_put_u64(&b, s->vote);
    buf_put_u64(&b, s->snapshot_index);
    buf_put_u64(&b, s->snapshot_term);
    buf_put_u64(&b, s->configuration_index);
    buf_put_blob(&b, s->configuration, s->configuration_len);
    buf_put_u32(&b, s->peers);
    for (uint32_t i = 0; i < s->peers; i++) {
        buf_put_u64(&b, s->peer[i].id);
        buf_put_u64(&b, s->peer[i].incarnation);
    }
    buf_put_u64(&b, s->boots);
    for (uint32_t i = 0; i < META_MARKS; i++) {
        buf_put_u32(&b, s->marks[i]);
    }
    buf_put_u32(&b, s->retired);
    buf_put_u32(&b, s->fence);
    buf_put_u64(&b, s->fence_index);
    for (uint32_t i = 0; i < s->peers; i++) {
        buf_put_u64(&b, s->peer[i].boots);
        buf_put_u32(&b, s->peer[i].mark);
        buf_put_u64(&b, s->peer[i].term);
        buf_put_u64(&b, s->peer[i].durable_index);
        buf_put_u64(&b, s->peer[i].durable_term);
    }
    buf_put_u32(&b, (s->founder ? FLAG_FOUNDER : 0u) | (s->begun ? FLAG_BEGUN : 0u) |
                        (s->removed ? FLAG_REMOVED : 0u));
    buf_put_bytes(&b, s->origin, META_ORIGIN_BYTES);
    buf_put_u64(&b, s->log_first);
    buf_put_u64(&b, s->log_before_term);
    buf_put_u32(&b, s->installing);
    buf_put_u64(&b, s->installing_index);
    buf_put_u64(&b, s->installing_term);
    rv = buf_check(&b, "the node's metadata", e);
    if (rv == 0) {
        memset(slot, 0, META_SLOT_BYTES);
        memcpy(slot, b.data, b.len);
        put_le32(slot + META_SUM_AT, crc32c(0, slot, META_SUM_AT));
    }
    buf_close(&b);
    return rv;
}

/* What format 1 did not have. */
static void decode_life(struct cursor *c, struct meta_state *s)
{
    s->boots = cursor_u64(c);
    for (uint32_t i = 0; i < META_MARKS; i++) {
        s->marks[i] = cursor_u32(c);
    }
    s->retired = cursor_u32(c) != 0;
    s->fence = (enum meta_fence)cursor_u32(c);
    s->fence_index = cursor_u64(c);
    for (uint32_t i = 0; i < s->peers; i++) {
        s->peer[i].boots = cursor_u64(c);
        s->peer[i].mark = cursor_u32(c);
        s->peer[i].term = cursor_u64(c);
        s->peer[i].durable_index = cursor_u64(c);
        s->peer[i].durable_term = cursor_u64(c);
    }
}

/* What format 2 did not have. */
static bool decode_images(struct cursor *c, struct meta_state *s)
{
    uint32_t flags = cursor_u32(c);
    const uint8_t *origin = cursor_bytes(c, META_ORIGIN_BYTES);

    if (origin != NULL) {
        memcpy(s->origin, origin, META_ORIGIN_BYTES);
    }
    s->founder = (flags & FLAG_FOUNDER) != 0;
    s->begun = (flags & FLAG_BEGUN) != 0;
    s->removed = (flags & FLAG_REMOVED) != 0;
    s->log_first = cursor_u64(c);
    s->log_before_term = cursor_u64(c);
    s->installing = (enum meta_installing)cursor_u32(c);
    s->installing_index = cursor_u64(c);
    s->installing_term = cursor_u64(c);
    return flags <= FLAGS && s->installing <= META_INSTALLING_DATABASE;
}

static enum slot_kind decode(const uint8_t *slot, struct meta_state *ret_state, uint64_t *ret_version)
{
    struct meta_state s = {0};
    struct cursor c = cursor_of(slot, META_SUM_AT);
    if (get_le32(slot + META_SUM_AT) != crc32c(0, slot, META_SUM_AT) && !PLANTED("meta_sum_is_not_checked")) {
        return SLOT_DAMAGED;
    }
    const uint8_t *begin = cursor_bytes(&c, sizeof magic);
    unsigned format = begin[sizeof magic - 1] - (unsigned)'0';
    if (memcmp(begin, magic, sizeof magic - 1) != 0 || format == 0 || format > FORMAT_NOW) {
        return SLOT_UNKNOWN;
    }
    uint64_t version = cursor_u64(&c);
    memcpy(s.cluster_id, cursor_bytes(&c, CLUSTER_ID_BYTES), CLUSTER_ID_BYTES);
    s.node_id = cursor_u64(&c);
    s.incarnation = cursor_u64(&c);
    s.term = cursor_u64(&c);
    s.vote = cursor_u64(&c);
    s.snapshot_index = cursor_u64(&c);
    s.snapshot_term = cursor_u64(&c);
    s.configuration_index = cursor_u64(&c);
    struct cursor configuration = cursor_blob(&c);
    s.configuration_len = (uint32_t)cursor_left(&configuration);
    s.peers = cursor_u32(&c);
    if (c.bad || s.configuration_len > META_CONFIGURATION_MAX || s.peers > META_PEERS_MAX) {
        return SLOT_DAMAGED;
    }
    if (s.configuration_len > 0) {
        memcpy(s.configuration, configuration.p, s.configuration_len);
    }
    for (uint32_t i = 0; i < s.peers; i++) {
        s.peer[i].id = cursor_u64(&c);
        s.peer[i].incarnation = cursor_u64(&c);
    }
    s.founder = true;
    s.log_first = s.snapshot_index + 1;
    s.log_before_term = s.snapshot_term;
    if (format >= 2) {
        decode_life(&c, &s);
    }
    if (format >= 3 && !decode_images(&c, &s)) {
        return SLOT_DAMAGED;
    }
    if (c.bad || s.fence > META_FENCE_PAGE || s.log_first == 0 || s.log_first > s.snapshot_index + 1) {
        return SLOT_DAMAGED;
    }
    *ret_state = s;
    *ret_version = version;
    return SLOT_GOOD;
}

static int new_meta(struct env *env, struct meta **ret_meta, struct error *e)
{
    struct meta *m = calloc(1, sizeof *m);
    void *memory;
    if (m == NULL || posix_memalign(&memory, ENV_BLOCK, META_SLOTS * META_SLOT_BYTES) != 0) {
        free(m);
        return error_set(e, Q_NOMEM, "out of memory for the node's metadata");
    }
    m->env = env;
    m->slot = memory;
    m->back = m->slot + META_SLOT_BYTES;
    *ret_meta = m;
    return 0;
}

void meta_close(struct meta *m)
{
    if (m != NULL) {
        env_close(m->env, m->file);
        free(m->slot);
        free(m);
    }
}

const struct meta_state *meta_state(const struct meta *m)
{
    return &m->state;
}

/* Both slots, one after the other, FIRST at first: while it is written, the other one must be good. Each is
 * read back, since a disk that lies is better found out now. */
static int write_slots(struct meta *m, const struct meta_state *state, uint64_t version, unsigned first,
                       struct error *e)
{
    unsigned slots = PLANTED("second_slot_of_meta_is_not_written") ? 1 : META_SLOTS;
    int rc = encode(state, version, m->slot, e);
    for (unsigned i = 0; rc == 0 && i < slots; i++) {
        uint64_t at = (first + i) % META_SLOTS * (uint64_t)META_SLOT_BYTES;
        size_t n;
        rc = env_write(m->env, m->file, at, m->slot, META_SLOT_BYTES, e);
        if (rc != 0 || (rc = env_read(m->env, m->file, at, m->back, META_SLOT_BYTES, &n, e)) != 0) {
            return rc;
        }
        bool same = n == META_SLOT_BYTES && memcmp(m->slot, m->back, META_SLOT_BYTES) == 0;
        if (!same && !PLANTED("meta_is_not_read_back")) {
            return error_set(e, Q_IO, "the node's metadata reads back differently than it was written");
        }
    }
    return rc;
}

static int save(struct meta *m, const struct meta_state *state, unsigned first, struct error *e)
{
    int rc = write_slots(m, state, m->version + 1, first, e);
    if (rc != 0) {
        return error_wrap(e, "meta");
    }
    m->version++;
    if (state != &m->state) {
        m->state = *state;
    }
    return 0;
}

int meta_save(struct meta *m, const struct meta_state *state, struct error *e)
{
    assert(state->configuration_len <= META_CONFIGURATION_MAX && state->peers <= META_PEERS_MAX);
    assert(state->log_first > 0 && state->log_first <= state->snapshot_index + 1);
    return save(m, state, 0, e);
}

static int read_slots(struct meta *m, const char *path, struct error *e)
{
    unsigned good = 0, newest = 0;
    uint64_t versions[META_SLOTS] = {0};
    for (unsigned i = 0; i < META_SLOTS; i++) {
        struct meta_state state;
        size_t n;
        int rc = env_read(m->env, m->file, i * (uint64_t)META_SLOT_BYTES, m->slot, META_SLOT_BYTES, &n, e);
        if (rc != 0) {
            return rc;
        }
        switch (n < META_SLOT_BYTES ? SLOT_DAMAGED : decode(m->slot, &state, &versions[i])) {
        case SLOT_GOOD:
            if (good == 0 || versions[i] > m->version) {
                m->state = state;
                m->version = versions[i];
                newest = i;
            }
            good++;
            break;
        case SLOT_UNKNOWN: return error_set(e, Q_MISMATCH, "%s has an unknown format", path);
        case SLOT_DAMAGED: break;
        }
    }
    if (good == 0) {
        return error_set(
            e, Q_CORRUPT,
            "%s: both slots are damaged: term and vote are lost, and this node must not vote any "
            "more: replace it as a new member",
            path);
    }
    bool healed = good == META_SLOTS && versions[0] == versions[1];
    unsigned first = PLANTED("good_slot_of_meta_is_overwritten_first") ? newest : newest + 1;
    bool leave = healed || m->read_only || PLANTED("damaged_slot_of_meta_stays");
    return leave ? 0 : save(m, &m->state, first, e);
}

static int open_file(struct env *env, const char *dir, bool read_only, struct meta **ret_meta,
                     struct error *e)
{
    char path[META_PATH_MAX];
    struct meta *m = NULL;
    int rc = path_of(dir, "meta", path, e);
    if (rc != 0 || (rc = new_meta(env, &m, e)) != 0) {
        return rc;
    }
    m->read_only = read_only;
    rc = env_open(env, path, read_only ? ENV_DIRECT : ENV_WRITE | ENV_DURABLE | ENV_DIRECT, &m->file, e);
    if (rc != 0 || (rc = read_slots(m, path, e)) != 0) {
        meta_close(m);
        return rc;
    }
    *ret_meta = m;
    return 0;
}

int meta_open(struct env *env, const char *dir, struct meta **ret_meta, struct error *e)
{
    return open_file(env, dir, false, ret_meta, e);
}

int meta_read(struct env *env, const char *dir, struct meta_state *ret_state, struct error *e)
{
    struct meta *m;
    int rc = open_file(env, dir, true, &m, e);
    if (rc == 0) {
        *ret_state = m->state;
        meta_close(m);
    }
    return rc;
}

/* Under another name first: a crash leaves the whole file or none. */
static int create_file(struct meta *m, const char *dir, const struct meta_state *state, struct error *e)
{
    char path[META_PATH_MAX], fresh[META_PATH_MAX];
    struct env_file *there;
    int rc;
    if ((rc = path_of(dir, "meta", path, e)) != 0 || (rc = path_of(dir, "meta.new", fresh, e)) != 0) {
        return rc;
    }
    rc = env_open(m->env, path, 0, &there, e);
    if (rc == 0) {
        env_close(m->env, there);
        return error_set(e, Q_CONFLICT, "%s exists", path);
    }
    if (rc != Q_NOT_FOUND) {
        return rc;
    }
    rc = env_unlink(m->env, fresh, e);
    if (rc != 0 && rc != Q_NOT_FOUND) {
        return rc;
    }
    if ((rc = env_open(m->env, fresh, ENV_CREATE | ENV_WRITE | ENV_DURABLE | ENV_DIRECT, &m->file, e)) != 0 ||
        (rc = meta_save(m, state, e)) != 0 || (rc = env_rename(m->env, fresh, path, e)) != 0) {
        return rc;
    }
    return PLANTED("name_of_meta_is_not_synced") ? 0 : env_sync_dir(m->env, dir, e);
}

int meta_create(struct env *env, const char *dir, const struct meta_state *state, struct meta **ret_meta,
                struct error *e)
{
    struct meta *m;
    int rc = new_meta(env, &m, e);
    if (rc != 0) {
        return rc;
    }
    rc = create_file(m, dir, state, e);
    if (rc != 0) {
        meta_close(m);
        return rc;
    }
    *ret_meta = m;
    return 0;
}
