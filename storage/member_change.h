/* member_change: what a log entry can do to the list of the cluster's members, and its bytes. It does not
 * know which changes are wise (cluster/steward.h), nor the table that it changes (storage/members.h).
 *
 * Format, the body of COMMAND_MEMBER (storage/command.h), little-endian:
 *     u8  count           1 to MEMBER_CHANGES_MAX; all of them are done or none; for each:
 *       u8  kind          enum member_change_kind; a reader refuses an unknown one with Q_MISMATCH
 *       u64 id            1 to 2^63 - 1
 *       u64 incarnation   of the node's directory; 0: not known
 *       u8  state         enum member_state; a reader refuses an unknown one with Q_MISMATCH
 *       blob address      host:port of the node's peers' port: 1 to MEMBER_ADDRESS_MAX bytes from '!' to '~'
 */
#ifndef QUORATE_STORAGE_MEMBER_CHANGE_H
#define QUORATE_STORAGE_MEMBER_CHANGE_H

#include "base/buf.h"

enum {
    MEMBER_CHANGES_MAX = 2,
    MEMBER_ADDRESS_MAX = 255,
};

/* What is wanted of a member. */
enum member_state {
    MEMBER_AUTO = 1,    /* a standby that becomes a voter when there is room for one */
    MEMBER_VOTER = 2,   /* a voter, whatever the target */
    MEMBER_STANDBY = 3, /* keeps a copy and does not vote */
    MEMBER_LEAVING = 4, /* to be taken out of the configuration */
    MEMBER_REMOVED = 5, /* it has been taken out, and never comes back: its id is used up */
};

enum member_change_kind {
    MEMBER_ADMIT = 1, /* a new member */
    MEMBER_STATE = 2, /* one that may have no row yet (of the first list) is to be in STATE from now on */
    MEMBER_MOVE = 3,  /* the same for ADDRESS */
};

struct member_change {
    enum member_change_kind kind;
    uint64_t id, incarnation;
    enum member_state state; /* of MOVE, as the address of STATE: for the row of one that has none yet */
    struct cursor address;   /* borrowed */
};

/* Reads a body to its end. Errors: Q_MISMATCH, Q_CORRUPT; Q_INVALID an id or an address that is none. */
int member_changes_get(struct cursor *c, struct member_change ret_changes[MEMBER_CHANGES_MAX],
                       unsigned *ret_count, struct error *e);
void member_changes_put(struct buf *b, const struct member_change *changes, unsigned count);

/* Whether the bytes may be an address: their length and letters, not what they say. */
bool member_address_ok(const struct cursor *address);

#endif
