/* guards: what stands between the consensus core of libraft 0.22.1 and its own bugs. Each guard is one
 * function that closes one bug from outside, and has one bit in enum driver_guard; README.md tells the bugs
 * at length. Guards decide and rewrite messages. They do not send, store, or call the core.
 *
 * A guard that is switched off (only tests do that) answers as if it were not there. A guard counts a hit
 * each time it makes a difference. They read public fields of struct raft, and guard_vote_*() write some,
 * which is fine as long as driver.h insists on this one version. */
#ifndef QUORATE_RAFT_GLUE_GUARDS_H
#define QUORATE_RAFT_GLUE_GUARDS_H

#include "raft_glue/driver.h"

struct guards {
    unsigned on; /* enum driver_guard */
    uint64_t hits[DRIVER_GUARDS];
};

/* ON: enum driver_guard. */
void guards_init(struct guards *g, unsigned on);

/* How many entries behind FROM may be fed to the core at once. The core notes a configuration under the index
 * of the first new entry of its message (replication.c: membershipUncommittedChange(r, index, ...)), so each
 * one is fed alone; and when a message begins with one (FIRST: nothing of it was fed yet), an empty part goes
 * ahead (returns 0), because its commit index may conclude the configuration before it. */
unsigned guard_split(struct guards *g, const struct raft_append_entries *ae, unsigned from, bool first);

/* True: drop AppendEntries or InstallSnapshot of TERM. The core has only an assert against a second leader of
 * its own term and would write follower state over its leader state (one union). */
bool guard_sameterm(struct guards *g, const struct raft *r, uint64_t term);

/* True: drop a vote result. The core reads the candidate's part of the union before it looks whether it is a
 * candidate (recv_request_vote_result.c), and may take a term from a late pre-vote. */
bool guard_voteres(struct guards *g, const struct raft *r);

/* True: start in a new term. The core makes a sole voter leader of its old term without a vote (raft.c:
 * maybeSelfElect), so after a restart it would give (index, term) pairs out a second time. */
bool guard_bump(struct guards *g, const struct raft_configuration *configuration, uint64_t id);

/* True: append an entry of the new leader's own term. The core does so only if it sees uncommitted entries,
 * and never as sole voter; without one it can neither commit its log nor know that it did. */
bool guard_barrier(struct guards *g, bool became_leader, bool appended);

/* True: no configuration change yet. The core lets a leader change the configuration before it has committed
 * in its term: the known bug of single-server changes (Ongaro, raft-dev, July 2015). */
bool guard_chgterm(struct guards *g, bool own_term_committed);

/* True: keep an InstallSnapshot until its snapshot is staged. While the core installs it grants no votes and
 * does not answer; a fetch takes minutes, a switch to what is staged a moment. */
bool guard_hold(struct guards *g);

/* What of COMMIT may be applied. The core's commit index may pass what is durable here. */
uint64_t guard_applydur(struct guards *g, uint64_t commit, uint64_t durable);

/* True: drop InstallSnapshot. The core leaks one that arrives while it installs. */
bool guard_dupsnap(struct guards *g, bool installing);

/* True: the configuration entry at INDEX is to be concluded: as soon as it is committed, not only when it is
 * durable here, too. A second one that arrives before the first is concluded would hide it for ever. */
bool guard_cfgearly(struct guards *g, uint64_t index, uint64_t commit, uint64_t durable);
/* True: the configuration entry at INDEX is committed, because one of a higher index follows it behind PREV.
 */
bool guard_cfgearly_followed(struct guards *g, uint64_t index, uint64_t prev);

/* True: refuse a configuration that leaves a single voter that is not this leader: it would lead the leader's
 * own term at once (no election among one), two leaders in one term. */
bool guard_sole(struct guards *g, const struct raft_configuration *configuration, uint64_t id);

/* Around RECEIVE(RequestVote): the core sees itself as voter. Its own configuration may be older than the
 * candidate's; who may vote is the candidate's to say (Ongaro's dissertation, 4.1). Without this a promoted
 * server that does not know yet, and a leader that died, is a cluster without a leader for ever. */
struct guard_ballot {
    struct raft_configuration kept;
    struct raft_server self;
    int role;
    bool borrowed, replaced;
};
void guard_vote_begin(struct guards *g, struct raft *r, struct guard_ballot *ballot);
void guard_vote_end(struct raft *r, struct guard_ballot *ballot);
/* After an election timeout that left it follower: the leader is gone. The core keeps it in mind for ever
 * where it may not campaign (no voter, slow disk, installing) and denies its vote to everybody else. */
void guard_vote_expired(struct guards *g, struct raft *r);

/* Turns a rejection at or below what the follower has acknowledged into mere contact. In probe state the core
 * believes it and counts down past the match index, then sends that follower no entries any more. */
void guard_stalerej(struct guards *g, const struct raft *r, uint64_t from,
                    struct raft_append_entries_result *result);

/* Puts our term into a denied pre-vote. The core echoes the candidate's, so one with the longest log and a
 * low term never learns why nobody follows it: a cluster without a leader for ever. */
void guard_pvterm(struct guards *g, const struct raft *r, struct raft_request_vote_result *result);

/* True: answer AppendEntries or InstallSnapshot of TERM with mere contact instead of feeding it. The core's
 * answer carries an uninitialised last_log_index (recv_append_entries.c, recv_install_snapshot.c), which the
 * sender takes for an acknowledgement if it leads the new term: committed entries were lost that way. */
bool guard_staleterm(struct guards *g, const struct raft *r, uint64_t term);

/* Strips entries that are committed here; COMMIT_TERM is the term of the entry at COMMIT. Of a late copy with
 * entries that are compacted here, the core thinks they are missing and appends them at the end. */
void guard_oldae(struct guards *g, uint64_t commit, uint64_t commit_term, struct raft_append_entries *ae);

/* True: the entry at INDEX must not be sent yet. A configuration that is on the leader's followers but not on
 * its disk can leave behind, after a crash, a follower that waits for voters who never heard of it. */
bool guard_chgdur(struct guards *g, enum log_entry_type type, uint64_t index, uint64_t durable);

/* True: feed RET_HEARTBEAT, an empty AppendEntries of the same leader, in place of the InstallSnapshot that
 * is held or dropped. A leader that waits for a snapshot sends nothing else, and without answers steps down.
 */
bool guard_ishb(struct guards *g, const struct raft_message *install_snapshot,
                struct raft_message *ret_heartbeat);

/* True: answer this AppendEntries with mere contact. The core answers one that brings new entries only when
 * they are durable, so a disk that stalls (WAITING: earlier entries are not durable yet) looks like a dead
 * follower. QUIET: no result was sent for a while. */
bool guard_contact(struct guards *g, const struct raft *r, const struct raft_message *m, bool waiting,
                   bool quiet);

/* "I live and follow you in my term", which acknowledges nothing: the core notes the contact and, since index
 * 0 is below every match and next index, leaves the rest of its progress alone. */
struct raft_message contact_result(const struct raft *r, uint64_t to, const char *address);

#endif
