/* council: members as a leader sees them, written down as text, for the tests of steward and wish.
 *
 * "1Va 2Va! 3Sv+ 4Oa~ 9Or": id; role Voter, Standby or Out; wanted: auto, voter, standby, leaving, removed;
 * then ! does not answer, ~ is not close behind, + has caught up, * of the first list (the others came with
 * entry 100 + id). Member ID is at "hID:1", its incarnation is 1000 + ID, its match 10 * ID. */
#ifndef QUORATE_TESTS_COUNCIL_H
#define QUORATE_TESTS_COUNCIL_H

#include "cluster/wish.h"
#include "tests/unit/test.h"

struct council {
    struct steward_view view; /* led by 1, with a target of 3; TEST may change these */
    struct steward_member members[STEWARD_MEMBERS_MAX];
    char addresses[STEWARD_MEMBERS_MAX][16];
    char shown[640];
};

void council_init(struct council *c, const char *text);
/* The next step: "promote 4"; "rest: why", "rest" if nothing waits. */
const char *council_next(struct council *c);
/* What WISH comes to: "admit 4/77 auto d:1", "leaving 3 h3:1", "move 2 x:1", with " and " between two; "as it
 * is @107"; "conflict: why". */
const char *council_grant(struct council *c, struct wish wish);

#endif
