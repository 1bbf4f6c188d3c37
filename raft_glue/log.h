/* log: the durable Raft log of one node: entries in recycled, zero-filled segment files, written in groups.
 * It does not know what entries mean, who leads, or the consensus core.
 *
 * Everything that was appended while the last writes were under way goes out in the next write. An entry is
 * durable when its write and all earlier ones are; the first write or sync error is final (the owner stops
 * the process, since after a failed fsync nobody knows what is on the disk).
 *
 * Files, in the directory DIR/log:
 *   segment-<sequence, 16 hex digits>   in use; read in the order of their sequence numbers
 *   spare-<number>                      zero-filled or recycled, to become a next segment
 *   durable                             how far the log was durable: kept apart from the records, so that
 *                                       damage can be told from a torn tail (PAR: Alagappan et al., FAST'18)
 * The formats, and how the end of the log is found, are told in log_format.h.
 *
 * Truncation is part of the next group: its first index is not above the last one's, and it replaces
 * everything from there on. It is as durable as that group. Before that a crash may bring dropped entries
 * back.
 *
 * Threads: loop only. Blocking calls are marked; segments are prepared on the worker lane. log_close() must
 * not be called from a callback of the log; everything else may. */
#ifndef QUORATE_RAFT_GLUE_LOG_H
#define QUORATE_RAFT_GLUE_LOG_H

#include "base/env.h"

struct log;

enum log_entry_type {
    LOG_LOST = 0,          /* never on disk: the entry is damaged (log_hole()) */
    LOG_COMMANDS = 1,      /* a batch (storage/batch.h) */
    LOG_BARRIER = 2,       /* no payload: an entry of a new leader's own term */
    LOG_CONFIGURATION = 3, /* the members, as the consensus core encodes them */
};

struct log_entry {
    uint64_t index, term;
    enum log_entry_type type;
    const uint8_t *data; /* borrowed until the next call on this log */
    uint32_t len;
};

struct log_config {
    struct env *env;
    const char *dir;        /* the node's directory; copied */
    const char *name;       /* of the log's own directory in it; NULL: "log" */
    uint64_t cluster;       /* of every segment header: another cluster's segment is Q_MISMATCH */
    uint64_t segment_bytes; /* a multiple of ENV_BLOCK; an entry's record must fit into one segment */
    uint64_t cache_bytes;   /* payload kept in memory; older entries are read back from their segment */
    uint64_t first_index;   /* from the snapshot metadata: entries below it are not wanted; 1 without */
    uint64_t before_term;   /* term of the entry at first_index - 1; 0 without */
    /* An entry that is known to have been durable here, for instance since it was applied; 0, 0 without. One
     * more witness besides the durable mark, which lags. */
    uint64_t known_index, known_term;
    /* Everything up to INDEX is durable. Never called for an index that was truncated since. */
    void (*durable)(void *ctx, uint64_t index);
    /* Once; nothing is written after it. A full disk fails only what is in place already: see
     * log_lacks_room(). */
    void (*failed)(void *ctx, const struct error *why);
    /* Within log_open(), once for each damaged place: file, offset, what is wrong. May be NULL. */
    void (*damage)(void *ctx, const struct error *what);
    void *ctx;
    bool read_only; /* to look at it: no file is changed, and it takes no entries; DURABLE and FAILED are not
                       used */
};

/* What log_open() found; for the start-up line of the operator. Entries below config.first_index are not
 * counted. */
struct log_report {
    uint64_t first, last; /* indexes; last = first - 1 when empty */
    uint64_t segments;
    uint64_t torn_bytes; /* of unfinished writes behind the end, as far as their headers arrived: cut off */
    bool damaged;        /* see below; then: */
    uint64_t lost, lost_first, lost_last; /* how many entries are lost, and between which indexes; 0: none */
    struct error damage;                  /* the first place: file, offset, what */
};

/* DAMAGE. What was durable and cannot be read is a hole in the log: its indexes are known, its bytes are not,
 * and LAST counts it. Such a log takes no entries and changes no file; log_mend.h makes a whole one of it.
 * Damage that costs no entry (a segment header, a group that was replaced since) makes a log without holes
 * that has to be made anew, too. So a damaged record is told from a torn tail, which may be cut, and is never
 * dropped (Alagappan et al., "Protocol-Aware Recovery for Consensus-Based Storage", FAST'18).
 *
 * The entry before a hole is certain to be of this log unless the hole is DETACHED: then a group is lost that
 * may have replaced entries before it, too. */
struct log_hole {
    uint64_t first, last;
    uint64_t term; /* of the entry at LAST; 0: unknown */
    bool detached;
};
/* The first hole at or above INDEX. */
bool log_hole(const struct log *l, uint64_t index, struct log_hole *ret_hole);
bool log_damaged(const struct log *l);
/* How many entries are in holes. */
uint64_t log_lost(const struct log *l);
/* An entry that log_get() found damaged is a hole from now on; the log is a damaged one. */
void log_lose(struct log *l, uint64_t index);
/* A damaged log: entries up to INDEX, which is of TERM, are not needed any more, lost or not. */
void log_skip(struct log *l, uint64_t index, uint64_t term);
/* No entry from FIRST + 1 to LAST is or was behind a detached hole: if the one at LAST belongs to a log, so
 * do they. */
bool log_linked(const struct log *l, uint64_t first, uint64_t last);

/* Blocking: opens or creates the directory, reads all records, verifies checksums and chain, cuts a torn
 * tail. A log that does not reach the snapshot (first_index - 1), or has another term there, is begun anew
 * behind it, as by log_reset(). A damaged log opens, and says so. Errors: Q_CORRUPT (both slots of the
 * durable mark are damaged, all segments are missing, or a damaged log does not fit to the snapshot: nothing
 * tells what was durable), Q_MISMATCH (another cluster's files, unknown version), Q_INVALID, Q_TOO_BIG
 * (configuration), Q_IO, Q_NO_SPACE, Q_NOMEM. */
int log_open(const struct log_config *config, struct log **ret_log, struct log_report *ret_report,
             struct error *e);
/* No write is waited for: what was not durable may be lost. No callback comes any more. The memory lives on
 * until what is under way has ended, unless the env itself has ended (its blocking calls say Q_CLOSED). NULL
 * is fine. */
void log_close(struct log *l);

/* The largest payload that a segment takes. */
uint32_t log_entry_max(const struct log *l);
uint64_t log_first(const struct log *l); /* index of the first entry that is kept; may be last + 1 */
uint64_t log_last(const struct log *l);
uint64_t log_durable(const struct log *l);
/* Term of an entry from first - 1 to last; 0 for any other index. No I/O. */
uint64_t log_term(const struct log *l, uint64_t index);
/* Type of an entry from first to last. No I/O. */
enum log_entry_type log_type(const struct log *l, uint64_t index);
/* Reads an entry from first to last: from memory, or blocking from its segment, then verified again.
 * Errors: Q_NOT_FOUND, Q_CORRUPT (names file, offset and index; or a hole), Q_IO. */
int log_get(struct log *l, uint64_t index, struct log_entry *ret_entry, struct error *e);
/* The bytes of payload of the entries from INDEX to the last. */
uint64_t log_bytes_from(const struct log *l, uint64_t index);

/* The lowest index from which the log takes at most BYTES of segments, if all before it is trimmed. The
 * newest segment stays. At most durable + 1. */
uint64_t log_index_within(const struct log *l, uint64_t bytes);

/* Appends an entry with the index last + 1 to what waits to be written. The bytes are copied. LEN at most
 * log_entry_max(). Errors: Q_NOMEM. */
int log_append(struct log *l, uint64_t term, enum log_entry_type type, const void *p, uint32_t len,
               struct error *e);
/* Drops the entries from INDEX to the last; they may be in flight. INDEX is above first - 1. */
void log_truncate(struct log *l, uint64_t index);
/* Starts writing what waits, unless enough writes are in flight: then their completion does. Call after a
 * round of appends. */
void log_flush(struct log *l);

/* Entries below FIRST are not needed any more; FIRST is at most durable + 1. Whole segments become spares. */
void log_trim(struct log *l, uint64_t first);
/* Forgets everything: the log is then empty and its next entry has index NEXT, behind one of BEFORE_TERM.
 * Blocking and durable on return. For the installation of a snapshot, whose metadata must be durable before:
 * otherwise the entries below NEXT are missing after a crash. An error is final. */
int log_reset(struct log *l, uint64_t next, uint64_t before_term, struct error *e);

/* Whether the disk had no room for a next segment. Entries that need it wait, not durable, for log_retry() or
 * for a trimmed segment; so the owner bounds what it appends. */
bool log_lacks_room(const struct log *l);
/* Tries again to make a segment: call now and then while the log lacks room. */
void log_retry(struct log *l);
/* Nothing is under way, and everything is durable. */
bool log_idle(const struct log *l);
/* Blocking, on an idle log: both slots of the mark say how far it goes. */
int log_seal(struct log *l, struct error *e);

struct log_stats {
    uint64_t writes, written_bytes, segments, cached_bytes;
    uint64_t cold_reads; /* entries read back from disk */
};
void log_stats(const struct log *l, struct log_stats *ret_stats);

#endif
