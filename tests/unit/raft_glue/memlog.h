/* memlog: a Raft log in memory, for tests. Misuse aborts. What memlog_get() lends is really gone with the
 * next call on the same log, so that a sanitizer sees who keeps it. */
#ifndef QUORATE_TEST_MEMLOG_H
#define QUORATE_TEST_MEMLOG_H

#include <stdbool.h>

#include "raft_glue/log.h"

struct memlog_entry {
    uint64_t term;
    enum log_entry_type type;
    uint32_t len;
    uint8_t *data;
};

struct memlog {
    uint64_t first, before_term;
    size_t n, cap;
    struct memlog_entry *entry;
    uint8_t *lent;
};

void memlog_init(struct memlog *l);
void memlog_close(struct memlog *l);
uint64_t memlog_last(const struct memlog *l);
uint64_t memlog_term(struct memlog *l, uint64_t index);
const struct memlog_entry *memlog_at(const struct memlog *l, uint64_t index);
bool memlog_get(struct memlog *l, uint64_t index, struct log_entry *ret_entry);
void memlog_append(struct memlog *l, uint64_t term, enum log_entry_type type, const void *p, uint32_t len);
void memlog_truncate(struct memlog *l, uint64_t index);
void memlog_trim(struct memlog *l, uint64_t first);
void memlog_reset(struct memlog *l, uint64_t next, uint64_t before_term);
/* Makes TO equal to FROM from INDEX to LAST, and end there. TO reaches at least to INDEX - 1. */
void memlog_write(struct memlog *to, const struct memlog *from, uint64_t index, uint64_t last);

#endif
