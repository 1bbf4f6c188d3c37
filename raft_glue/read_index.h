/* read_index: linearizable reads without the log (Ongaro's thesis, section 6.4): the leader notes its commit
 * index, asks all voters for their term, and when a majority, itself included, is still in its term, what was
 * committed at the start of the round is all that could have been acknowledged before. No clock is trusted.
 * One round serves all reads that were waiting when it began; a read that comes during a round waits for the
 * next one. It does not know the core or the network.
 *
 * Messages: u8 kind (READ_INDEX_ASK, READ_INDEX_ANSWER), u64 term (the sender's), u64 round; little-endian.
 */
#ifndef QUORATE_RAFT_GLUE_READ_INDEX_H
#define QUORATE_RAFT_GLUE_READ_INDEX_H

#include "raft_glue/consensus.h"

enum { READ_INDEX_BYTES = 17, READ_INDEX_VOTERS_MAX = 64 };

/* What a round needs to know about its owner, as it is now. */
struct read_index_view {
    bool leads;    /* and an entry of its own term is committed */
    bool may_lead; /* leads, committed or not: reads wait instead of failing */
    uint64_t term, commit, self;
    uint64_t voters[READ_INDEX_VOTERS_MAX];
    unsigned count;
};

struct read_index {
    struct list waiting, running; /* struct consensus_read */
    uint64_t round, term, index;  /* of the round that runs */
    uint64_t asked_ms;
    uint64_t voters[READ_INDEX_VOTERS_MAX];
    bool answered[READ_INDEX_VOTERS_MAX];
    unsigned count;
    struct metric *rounds, *reads;
};

void read_index_init(struct read_index *r, struct metric *rounds, struct metric *reads);
void read_index_add(struct read_index *r, struct consensus_read *read);

/* Starts, repeats, finishes or fails what the view and the clock call for. SEND is called for each voter to
 * be asked. Returns when it wants to be called again (monotonic ms; UINT64_MAX: only when something changes).
 */
uint64_t read_index_poll(struct read_index *r, const struct read_index_view *view, uint64_t now_ms,
                         uint64_t repeat_ms,
                         void (*send)(void *ctx, uint64_t to, const uint8_t *bytes, size_t n), void *ctx);
/* An answer to the round that runs; true if it counts: then poll. */
bool read_index_answer(struct read_index *r, uint64_t from, uint64_t term, uint64_t round);
void read_index_put(uint8_t bytes[READ_INDEX_BYTES], uint8_t kind, uint64_t term, uint64_t round);

#endif
