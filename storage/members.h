/* members: the table quorate_members: what is wanted of each member of the cluster, and where it is reached.
 * It is changed by COMMAND_MEMBER alone, decided when the entry is applied, so the same on every replica. It
 * does not know the members of the first list (they have no row until something is changed about them), nor
 * who is in the consensus group now: cluster/steward.h compares the two.
 *
 * The table is made by the first such command, and not before: so it does not matter by which version a
 * database was begun, and a version that does not know the command stops at it, as at any that is unknown.
 *
 *     quorate_members (id INTEGER PRIMARY KEY, incarnation, address, state, changed)
 *         incarnation  of its directory; 0 as long as it is not known
 *         state        enum member_state
 *         changed      index of the entry that changed the row last
 *
 * Rules, each a Q_CONFLICT that changes nothing:
 * - An id is used once. Whoever has been removed does not come back, and whoever is leaving does not stay.
 * - An id with an incarnation belongs to that directory.
 * - Two members that stay do not have one address. Who takes a leaving member's place may take its address.
 * Asking again for what is so already succeeds and changes nothing. */
#ifndef QUORATE_STORAGE_MEMBERS_H
#define QUORATE_STORAGE_MEMBERS_H

#include "storage/member_change.h"

enum { STORE_MEMBERS_MAX = 960 }; /* rows, those of removed members too */

struct store;

struct store_member {
    uint64_t id, incarnation;
    char address[MEMBER_ADDRESS_MAX + 1];
    enum member_state state;
    uint64_t changed;
};

/* The rows, by id; none if there is no table. Waits for a free reader: lanes as store_read(). Errors:
 * Q_TOO_BIG there are more than MAX; this node's. */
int store_members(struct store *s, struct store_member *ret_members, unsigned max, unsigned *ret_count,
                  struct error *e);
/* Grows with each entry that changed a row, and when the database is replaced; 0: there is none yet. Any
 * lane. */
uint64_t store_members_version(const struct store *s);

#endif
