/* log_table: the entries of the log as memory knows them: term, size and place of each, and the payload of
 * the newest. It does not know files or durability; whoever fills it says which payloads may go.
 *
 * After damage it has slots for entries that the disk has lost: their type is LOG_LOST. */
#ifndef QUORATE_RAFT_GLUE_LOG_TABLE_H
#define QUORATE_RAFT_GLUE_LOG_TABLE_H

#include "raft_glue/log.h"
#include "raft_glue/segment.h"

struct log_slot {
    uint64_t term;
    uint64_t sum;            /* bytes of payload of all entries so far, this one included */
    uint8_t *payload;        /* NULL when not cached, or empty */
    struct segment *segment; /* where it is written, NULL before that; borrowed */
    uint64_t offset;         /* of its record in the segment */
    uint32_t len;
    enum log_entry_type type;
    bool detached; /* LOG_LOST: entries below may have been replaced before this one came */
};

struct log_table {
    struct log_slot *slots; /* a ring: the slot of an index is at index % capacity */
    uint64_t capacity;      /* a power of two, or 0 */
    uint64_t first, last;   /* last = first - 1 when empty */
    uint64_t before_term;   /* of the entry before the first */
    uint64_t before_sum;
    uint64_t cached_from; /* payloads are here from this index on; at most last + 1 */
    uint64_t cached_bytes;
    uint64_t lost; /* slots of LOG_LOST */
};

void log_table_init(struct log_table *t, uint64_t first, uint64_t before_term);
void log_table_close(struct log_table *t);
/* Drops everything; the next entry has index FIRST. */
void log_table_restart(struct log_table *t, uint64_t first, uint64_t before_term);

/* Appends ENTRY, whose index is last + 1. The payload is copied. Errors: Q_NOMEM. */
int log_table_push(struct log_table *t, const struct log_entry *entry, struct error *e);
/* Appends a slot for an entry that the disk has lost; TERM 0: its term is lost, too. Errors: Q_NOMEM. */
int log_table_push_lost(struct log_table *t, uint64_t term, struct error *e);
/* The entry at INDEX, whose payload is not cached, cannot be read back. */
void log_table_lose(struct log_table *t, uint64_t index);
/* Drops the entries from INDEX on; INDEX is at least first. */
void log_table_truncate(struct log_table *t, uint64_t index);
/* Drops the entries below FIRST, which is at most last + 1. */
void log_table_trim(struct log_table *t, uint64_t first);
/* Forgets the oldest payloads up to UP_TO as long as more than LIMIT bytes are cached. */
void log_table_evict(struct log_table *t, uint64_t limit, uint64_t up_to);

/* NULL for an index outside first to last. */
struct log_slot *log_table_at(const struct log_table *t, uint64_t index);
/* From first - 1 to last; 0 for any other index. */
uint64_t log_table_term(const struct log_table *t, uint64_t index);
/* The bytes of payload of the entries from INDEX to the last. */
uint64_t log_table_bytes_from(const struct log_table *t, uint64_t index);

#endif
