/* inbox: what a message from another server does here: which guards it passes, in how many parts the core
 * sees it, and what is answered for the core. It does not know timers, disks or the owner's requests. */
#ifndef QUORATE_RAFT_GLUE_INBOX_H
#define QUORATE_RAFT_GLUE_INBOX_H

#include "raft_glue/core.h"

/* As driver_receive(). A code of the core. */
int inbox_receive(struct core *c, struct raft_message *message);
/* The lowest index of a snapshot that would be installed now; 0: none. */
uint64_t inbox_snapshot_wanted(const struct core *c);
/* Feeds the held InstallSnapshot to the core if it is staged and its time has come. A code of the core. */
int inbox_deliver_snapshot(struct core *c);

#endif
