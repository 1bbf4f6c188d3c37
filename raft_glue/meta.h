/* meta: the small facts that a node must never forget: who it is, its term and vote, up to where its database
 * replaces the log, whether that database is fenced, and whom it has met. Durable before any message that
 * depends on it leaves. It does not know the consensus core.
 *
 * File DIR/meta, two slots of META_SLOT_BYTES at offsets 0 and META_SLOT_BYTES. A save overwrites both, one
 * after the other, each durably, and reads them back: so one slot that goes bad later never takes the last
 * vote with it. The valid slot with the higher version counts; the other one is healed first, so that one is
 * good at any time.
 *
 * Slot, little-endian:
 *    8 bytes  "QRTMETA3"
 *    u64      version: grows by one with each save
 *   16 bytes  cluster id
 *    u64      node id
 *    u64      incarnation: random, made with the directory: one that was lost and made anew is another one
 *    u64 u64  term, vote; vote 0: none in this term
 *    u64 u64  snapshot index, snapshot term
 *    u64      configuration index; 0 before the first compaction
 *    u32      configuration length (at most META_CONFIGURATION_MAX), bytes, as the consensus core encodes it
 *    u32      peers (at most META_PEERS_MAX), each u64 node id, u64 incarnation
 *    u64      boots: how often this incarnation was started, this time included
 *    META_MARKS u32: a random number for each of the last boots, that of boot B at B modulo META_MARKS
 *    u32      retired: 1 if this disk was found to be an old copy of its node's: it is not started any more
 *    u32      fence (enum meta_fence), u64 fence index: the database is not served
 *    for each peer, in the same order: u64 boots, u32 mark of that boot, u64 term, u64 index, u64 its term:
 *             the most that was seen of it. The entry is a committed one that it had durable, so its log
 *             holds it for ever, or has compacted it
 *    u32      flags. 1: founder, 2: begun, 4: removed
 *   32 bytes  origin
 *    u64 u64  first index that the log keeps, term of the entry before it
 *    u32      installing (enum meta_installing), u64 u64 index and term of the image
 *             zeros up to META_SLOT_BYTES - 4
 *    u32      CRC32C of all before it
 * "QRTMETA2" is the same without what stands behind what was seen of the peers, "QRTMETA1" without what
 * stands behind the peers. Both are read: what they lack is 0, but that their nodes are founders, and that
 * their logs keep nothing up to the snapshot's index. The next save writes the newest. A slot with a good
 * checksum that starts otherwise is of an unknown format, and is refused: so does a program that knows only
 * QRTMETA1, and does not lose a fence that it cannot see.
 *
 * Threads: loop only; meta_save() blocks for two small durable writes (terms change rarely). */
#ifndef QUORATE_RAFT_GLUE_META_H
#define QUORATE_RAFT_GLUE_META_H

#include "base/env.h"

enum { META_SLOT_BYTES = 8192, META_CONFIGURATION_MAX = 4096, META_PEERS_MAX = 64, META_MARKS = 32 };
enum { CLUSTER_ID_BYTES = 16, META_ORIGIN_BYTES = 32 };

/* Why the database of this node is not served any more, at the index where it was found wrong. The numbers
 * are on disk. */
enum meta_fence {
    META_NO_FENCE = 0,
    META_FENCE_MAJORITY = 1, /* a majority of the members has another digest there */
    META_FENCE_LEADER = 2,   /* the leader has another digest, and nobody could say who is right */
    META_FENCE_SCAN = 3,     /* a scan found content that its own digest does not name */
    META_FENCE_PAGE = 4,     /* it cannot be read: a page fails its checksum, or worse */
};

/* An image that is taking the database's place. The numbers are on disk. */
enum meta_installing {
    META_NOT_INSTALLING = 0,
    META_INSTALLING_LOG = 1,      /* and the log begins anew behind it: it is the snapshot named above */
    META_INSTALLING_DATABASE = 2, /* and the log stays, from the first index that it keeps on */
};

/* The most that was seen of a node's life. */
struct meta_peer {
    uint64_t id, incarnation;
    uint64_t boots;
    uint32_t mark; /* of that boot */
    uint64_t term, durable_index, durable_term;
};

struct meta_state {
    uint8_t cluster_id[CLUSTER_ID_BYTES];
    uint64_t node_id, incarnation;
    uint64_t term, vote;
    uint64_t snapshot_index, snapshot_term, configuration_index;
    uint32_t configuration_len;
    uint8_t configuration[META_CONFIGURATION_MAX];
    uint32_t peers;
    struct meta_peer peer[META_PEERS_MAX];
    uint64_t boots;
    uint32_t marks[META_MARKS];
    bool retired;
    enum meta_fence fence;
    uint64_t fence_index;
    bool founder; /* began with the first configuration; else it came to a cluster that existed */
    bool begun;   /* no founder: its log has held an entry durably, so an empty one is a lost one */
    bool removed; /* from its cluster: it takes part in nothing any more */
    uint8_t origin[META_ORIGIN_BYTES]; /* what its cluster was restored from; zeros */
    uint64_t log_first, log_before_term;
    enum meta_installing installing;
    uint64_t installing_index, installing_term;
};

struct meta;

/* Blocking. Opens the file and reads the state. A slot that is damaged, or behind, is healed from the other.
 * Errors: Q_NOT_FOUND there is no file; Q_CORRUPT both slots are damaged (the node must not vote any more: it
 * has to be replaced as a new member); Q_MISMATCH unknown format; Q_IO. */
int meta_open(struct env *env, const char *dir, struct meta **ret_meta, struct error *e);
/* The same, but nothing is healed and the file is left alone. */
int meta_read(struct env *env, const char *dir, struct meta_state *ret_state, struct error *e);
/* Blocking. Makes the file, both slots and its directory entry durable. Errors: Q_CONFLICT it exists; Q_IO,
 * Q_NO_SPACE. */
int meta_create(struct env *env, const char *dir, const struct meta_state *state, struct meta **ret_meta,
                struct error *e);
void meta_close(struct meta *m); /* NULL is fine */

/* The current state; change it through meta_save() only. */
const struct meta_state *meta_state(const struct meta *m);
/* Makes STATE durable; on return it is the current one. An error is final: the caller stops the process. */
int meta_save(struct meta *m, const struct meta_state *state, struct error *e);

#endif
