/* ledger: every log entry that any node of a cluster ever had, by index and term, and which of them were
 * committed: the history of the log as nobody in the cluster can know it, kept while the run goes on, since
 * the nodes forget what they have compacted. It does not know nodes.
 *
 * Each entry is noted with the term of the entry before it. That two logs with an entry of equal index and
 * term are equal up to there (Log Matching; Ongaro and Ousterhout, ATC'14, section 5.3) then follows by
 * induction, as long as no entry is ever noted with another content or another predecessor. */
#ifndef QUORATE_TESTS_SIM_LEDGER_H
#define QUORATE_TESTS_SIM_LEDGER_H

#include "raft_glue/log.h"
#include "storage/batch.h"

struct ledger_entry {
    uint64_t term, before_term;
    bool has_content;
    enum log_entry_type type;
    uint32_t len, sum; /* CRC32C of the payload */
    uint8_t *data;
    struct ledger_entry *other; /* of the same index and another term */
};

struct ledger_slot {
    struct ledger_entry *entries;
    const struct ledger_entry *committed; /* NULL: not yet */
    uint64_t committed_in;                /* the lowest term in which a node knew it to be committed */
    bool has_digest;                      /* of the database that has applied up to here */
    uint8_t digest[DIGEST_BYTES];
};

struct ledger {
    struct ledger_slot *slots; /* by index */
    uint64_t capacity, commit; /* the highest index known to be committed */
};

void ledger_close(struct ledger *l);

/* A node has an entry of TERM at INDEX behind one of BEFORE_TERM; CONTENT may be NULL. False with a sentence
 * in TEXT if it contradicts what was noted. */
bool ledger_note(struct ledger *l, uint64_t index, uint64_t term, uint64_t before_term,
                 const struct log_entry *content, char *text, size_t n);
/* A node whose term is IN_TERM knows that the noted entry of TERM at INDEX is committed. */
bool ledger_commit(struct ledger *l, uint64_t index, uint64_t term, uint64_t in_term, char *text, size_t n);
/* A node that has applied up to INDEX has this digest. */
bool ledger_digest(struct ledger *l, uint64_t index, const uint8_t digest[DIGEST_BYTES], char *text,
                   size_t n);

/* Whether the content of the noted entry of TERM is known. */
bool ledger_has_content(struct ledger *l, uint64_t index, uint64_t term);

/* NULL: no entry is known to be committed there. */
const struct ledger_entry *ledger_committed(const struct ledger *l, uint64_t index);
/* Whether a command with these very bytes is in the committed entry at INDEX; how often. */
unsigned ledger_holds(const struct ledger *l, uint64_t index, const void *command, size_t n);

#endif
