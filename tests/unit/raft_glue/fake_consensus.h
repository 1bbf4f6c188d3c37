/* fake_consensus: a member of no group, for tests of what stands on consensus.h: the test says who leads,
 * what is committed and what the log holds. Stands in for consensus.c at link time. */
#ifndef QUORATE_TESTS_FAKE_CONSENSUS_H
#define QUORATE_TESTS_FAKE_CONSENSUS_H

#include "raft_glue/consensus.h"

enum { FAKE_ENTRIES = 4096, FAKE_ENTRY_MAX = 3 * 1024 * 1024 };

struct fake_entry {
    uint64_t term;
    enum log_entry_type type;
    uint8_t *data;
    uint32_t len;
};

struct consensus {
    enum consensus_role role;
    bool transferring;
    uint64_t term, commit, applicable, floor;
    uint64_t last; /* entries from 1 */
    struct fake_entry entries[FAKE_ENTRIES];
    struct error refusal; /* code not Q_OK: what consensus_submit() says */
    uint64_t damaged;     /* this entry cannot be read */
};

/* A leader of term 2 with an empty log. */
void fake_init(struct consensus *c);
void fake_close(struct consensus *c);
/* Appends an entry; the bytes are copied. */
void fake_append(struct consensus *c, uint64_t term, enum log_entry_type type, const void *p, uint32_t len);
/* Drops the entries from INDEX to the last. */
void fake_truncate(struct consensus *c, uint64_t index);

#endif
