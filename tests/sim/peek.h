/* peek: what a replica is in this moment, read from inside, without a question, a disk access or any other
 * effect on it. The only file of the simulator that knows the insides of raft_glue. */
#ifndef QUORATE_TESTS_SIM_PEEK_H
#define QUORATE_TESTS_SIM_PEEK_H

#include "cluster/replica.h"

struct peek {
    bool removed;    /* it knows that it is no member any more */
    bool runs;       /* its core has been started */
    bool recovering; /* its log has holes that others must fill; what is said of the log means nothing */
    uint64_t hole;   /* the first entry that it has lost; 0: none */
    bool leads, fenced;
    enum meta_fence fence; /* why */
    uint64_t installs;     /* images that became its database since its start */
    uint64_t stands;       /* an install is past its commit point: the image of it stands up to here */
    bool ships;            /* it takes an image, or one is on its way to it or from it */
    uint64_t term, vote;   /* as they are durable */
    uint64_t core_term, core_vote; /* as the core has them; 0 before it runs */
    uint64_t commit, applied, applied_term;
    uint64_t first, last, durable; /* of the log */
    uint64_t reported;             /* what the core was told is durable */
    uint64_t marked;               /* both slots of the durable mark have passed this entry */
    const uint8_t *digest;         /* of the database at APPLIED; borrowed until the next event */
};

void peek(struct replica *r, struct peek *ret_peek);
/* How many vote in its newest configuration, and whether ID is in it; 0 and false before it runs. */
unsigned peek_voters(struct replica *r);
bool peek_has_member(struct replica *r, uint64_t id);
/* Has it hand leadership over. */
void peek_transfer(struct replica *r);
/* How often its node was started, this time included, and how often member ID was, as this one remembers it
 * durably (0: not at all). */
uint64_t peek_boots(struct replica *r);
uint64_t peek_remembered_boots(struct replica *r, uint64_t id);
/* The term of a log entry, 0 for one that is not there. */
uint64_t peek_term(struct replica *r, uint64_t index);
/* An entry whose payload is in memory; false otherwise. Borrowed until the next event. */
bool peek_entry(struct replica *r, uint64_t index, struct log_entry *ret_entry);
/* Where the record of a durable entry stands on the disk. False: it is not written yet. PATH has
 * PEEK_PATH_MAX bytes. */
enum { PEEK_PATH_MAX = 4200 };
struct peek_record {
    char path[PEEK_PATH_MAX];
    uint64_t offset, len, header; /* bytes; the payload follows its header */
    enum log_entry_type type;
};
/* First and last entry of the group that INDEX was written in: what a damaged header of the group takes with
 * it; and LAST, what a damaged header of a record does, since nobody knows where the next one begins. */
void peek_group(struct replica *r, uint64_t index, uint64_t *ret_first, uint64_t *ret_last);
bool peek_record(struct replica *r, uint64_t index, struct peek_record *ret_record);

#endif
