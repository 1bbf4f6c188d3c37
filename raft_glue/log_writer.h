/* log_writer: takes the entries that wait in the table to disk, in groups, and says how far they are durable.
 * It does not know how segments are prepared, nor the mark.
 *
 * A group is everything that waited when a slot for a write was free (GROUP_BYTES_MAX at most, or one larger
 * entry, and what is left of the segment). Up to LOG_WRITES_MAX writes are in flight; they may end in any
 * order, and count in the order of their numbers. A group that does not fit goes to the next segment; when
 * none is ready, writing waits for log_writer_flush() to be called again.
 *
 * Threads: loop only. */
#ifndef QUORATE_RAFT_GLUE_LOG_WRITER_H
#define QUORATE_RAFT_GLUE_LOG_WRITER_H

#include "raft_glue/log_table.h"
#include "raft_glue/segment_pool.h"

enum { GROUP_BYTES_MAX = 1 << 20 };

struct log_writer;

/* One write. Its buffer is used again for the next. */
struct log_group {
    OBJECT_MAGIC;
    struct log_writer *writer;
    struct env_write write;
    uint8_t *bytes;
    size_t capacity;
    struct segment *segment;
    bool busy;             /* its entries are not counted yet */
    bool done;             /* written, but an earlier one is not */
    uint64_t last;         /* highest index that it makes durable, lowered by truncations */
    struct format_mark at; /* what the mark says once it is durable */
};

struct log_writer {
    struct env *env;
    struct log_table *table;
    struct segment_pool *pool;
    struct list segments; /* in use, oldest first; groups are appended to the last */
    struct log_group groups[LOG_WRITES_MAX];

    uint64_t position;      /* in the last segment */
    uint64_t number, chain; /* of the last group made */
    uint64_t boot;
    uint64_t next;         /* index of the first entry that waits */
    bool truncated;        /* a group must say that the entries from NEXT on are dropped */
    uint64_t durable;      /* index */
    struct format_mark at; /* behind the last durable group */
    uint64_t writes, written_bytes;
    bool stopped;

    /* Last in their caller. ADVANCED: at, and perhaps durable, have moved. */
    void (*advanced)(void *ctx);
    void (*failed)(void *ctx, const struct error *why);
    void (*ended)(void *ctx); /* instead of ADVANCED when stopped: a write has ended */
    void *ctx;
};

/* ENV, TABLE, POOL and the callbacks are filled by the caller. */
void log_writer_init(struct log_writer *w);
/* No write is in flight, or the env is gone. */
void log_writer_close(struct log_writer *w);
/* Continues behind AT, whose segment is the last in use: everything in the table is durable. */
void log_writer_continue(struct log_writer *w, const struct format_mark *at);

void log_writer_flush(struct log_writer *w);
/* The entries from INDEX on are dropped; call before they leave the table. */
void log_writer_truncate(struct log_writer *w, uint64_t index);
/* No write is in flight. */
bool log_writer_idle(const struct log_writer *w);

#endif
