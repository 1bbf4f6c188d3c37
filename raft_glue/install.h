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
    struct raft_snapshot_metadata image;   /* STAGED */
    uint64_t image_known_in;               /* STAGED: a term in which the image's entries were committed */
};

/* Frees what is held. A zeroed struct is INSTALL_IDLE. */
void install_close(struct install *i);
/* Holds MESSAGE (InstallSnapshot; its configuration is given) in place of an older one. What is held and
 * newer stays, since whatever is newer is committed too and just as good, and only gets the new sender and
 * term; an image that is staged stays if it reaches as far. Not while RUNNING. */
void install_hold(struct install *i, const struct raft_message *message);
/* An image that reaches as far as what is held is staged, in place of an earlier one. Its configuration is
 * given. KNOWN_IN: a term in which its entries were committed. Only while FETCHING or STAGED. */
void install_staged(struct install *i, const struct raft_snapshot_metadata *image, uint64_t known_in);
/* What is held is staged, of the current TERM, and from a leader that is sure to have the image's entries: a
 * leader has what was committed in earlier terms and its own. To one of an earlier term, who cannot know that
 * it was deposed, the image might be another history than its own. */
bool install_due(const struct install *i, uint64_t term);
/* Takes the held message out for delivery, with the image's index, term and configuration: IDLE. The
 * configuration is given to the caller; the address stays valid until the next install_hold(). */
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
