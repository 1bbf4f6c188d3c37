/* install: where a follower stands on the way from a leader's InstallSnapshot to a database that replaces its
 * own. It does not know how snapshots are fetched or stored, nor the core.
 *
 *                 hold: not wanted yet
 *                 .------------------------------.
 *      IDLE -----> FETCHING -----> STAGED -----> RUNNING -----> IDLE
 *            hold     |    staged     |   begin          finish
 *                     '------<--------'
 *                  hold: a newer snapshot
 *
 * FETCHING and STAGED hold the message; the core has not seen it, and the node votes and follows as ever. It
 * is delivered when its snapshot is staged and its sender leads the current term (else the leader's next copy
 * is waited for). RUNNING: the core has forgotten its log and waits for the switch. */
#ifndef QUORATE_RAFT_GLUE_INSTALL_H
#define QUORATE_RAFT_GLUE_INSTALL_H

#include "raft_glue/message.h"

enum install_state { INSTALL_IDLE, INSTALL_FETCHING, INSTALL_STAGED, INSTALL_RUNNING };

struct install {
    enum install_state state;
    struct raft_message held;              /* FETCHING, STAGED */
    char address[MESSAGE_ADDRESS_MAX + 1]; /* held.server_address points here */
};

/* Frees what is held. A zeroed struct is INSTALL_IDLE. */
void install_close(struct install *i);
/* Holds MESSAGE (InstallSnapshot; its configuration is given) in place of an older one. What is held and
 * newer stays, since whatever is newer is committed too and just as good, and only gets the new sender and
 * term. True: another snapshot than before, so that it must be fetched. Not while RUNNING. */
bool install_hold(struct install *i, const struct raft_message *message);
/* The fetch is complete. Nothing happens unless FETCHING. */
void install_staged(struct install *i);
/* What is held is staged and of the current TERM. */
bool install_due(const struct install *i, uint64_t term);
/* Takes the held message out for delivery: IDLE. Its configuration is given to the caller; its address stays
 * valid until the next install_hold(). */
struct raft_message install_take(struct install *i);
/* Drops what is held: IDLE. */
void install_drop(struct install *i);
/* The core begins, or has finished, to install. */
void install_begin(struct install *i);
void install_finish(struct install *i);
static inline bool install_running(const struct install *i)
{
    return i->state == INSTALL_RUNNING;
}

#endif
