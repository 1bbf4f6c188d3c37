/* log_mend: makes a whole log of a damaged one and of entries that other members have. It does not know who
 * they are or how they are asked.
 *
 * Nothing is repaired in place. A new log is written beside the damaged one, entry by entry: copied where the
 * old one is good, asked for where it has a hole. It needs the memory of a few entries. When it is complete
 * and durable it takes the place of the old one (log_swap.h); a crash before that starts over.
 *
 * WHY THIS IS SAFE. Of a hole we know the index and term of its last entry. Two logs that have an entry of
 * the same index and term in common are the same up to there (the Log Matching Property: Ongaro and
 * Ousterhout, "In Search of an Understandable Consensus Algorithm", 5.3), whoever leads now, and whether it
 * is committed or not. So entries of any member whose log has, or once had, that last entry are ours. What is
 * below a hole may have been replaced by a group that is lost with it: so the entry before it has to match as
 * well; if it does not, the hole grows downwards until one does. A member that runs and has committed entries
 * at the place of the hole may give those: if the last one differs from ours, ours was never committed, and
 * neither was anything after it, which goes. Nothing else ever goes: an entry that nobody has is waited for
 * (PAR, FAST'18, decides the same way for a leader; here it needs none).
 *
 * Threads: loop only. */
#ifndef QUORATE_RAFT_GLUE_LOG_MEND_H
#define QUORATE_RAFT_GLUE_LOG_MEND_H

#include "raft_glue/log.h"

struct log_mend;

struct log_mend_config {
    /* As for log_open(); the callbacks and NAME are not used. */
    struct log_config log;
    struct log *old; /* damaged; kept */
    /* What is wanted, or whether it is done, may have changed. Never called inside a function of this header.
     */
    void (*changed)(void *ctx);
    /* The disk failed: the process must stop. Once. */
    void (*failed)(void *ctx, const struct error *why);
    void *ctx;
};

/* Blocking: makes DIR/log.new. Errors: those of log_open(). */
int log_mend_new(const struct log_mend_config *config, struct log_mend **ret_mend, struct error *e);
/* Gives up; DIR/log.new stays as it is. NULL is fine. */
/* Blocking: the damaged log begins later than it did (log_skip()): starts over from there. */
int log_mend_restart(struct log_mend *m, struct error *e);
void log_mend_free(struct log_mend *m);

/* Entries that another member has to give: FROM to TO, of which the last has TERM (0: unknown, then only
 * committed ones will do). NULL: nothing just now. */
struct log_want {
    uint64_t from, to, term;
};
const struct log_want *log_mend_want(const struct log_mend *m);

enum log_proof {
    LOG_PROOF_MATCH =
        1, /* the giver's log has (or had) an entry TO of the wanted term, and these before it */
    LOG_PROOF_COMMITTED = 2, /* the giver knows them to be committed */
};
/* N entries from the wanted FROM on, at most to TO; copied. BEFORE_TERM: of the giver's entry before them, 0:
 * unknown. Returns how many were taken: 0 also if the want has grown downwards since the terms before them
 * differ. Errors, nothing is taken: Q_CORRUPT they contradict each other or what is wanted; Q_TOO_BIG an
 * entry does not fit into a segment. Q_NOMEM: the owner gives up. */
int log_mend_give(struct log_mend *m, enum log_proof proof, uint64_t before_term,
                  const struct log_entry *entries, uint32_t n, uint32_t *ret_taken, struct error *e);

/* The new log is complete and durable. */
bool log_mend_done(const struct log_mend *m);
/* As log_lacks_room() and log_retry(), of the new log. */
bool log_mend_lacks_room(const struct log_mend *m);
void log_mend_retry(struct log_mend *m);
/* How many entries were given, so far. */
uint64_t log_mend_given(const struct log_mend *m);

#endif
