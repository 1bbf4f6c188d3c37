/* member_list: the members of the cluster as JSON, and whether what is wanted of one of them is so. It does
 * not know requests. */
#ifndef QUORATE_NODE_HTTP_MEMBER_LIST_H
#define QUORATE_NODE_HTTP_MEMBER_LIST_H

#include "cluster/replica.h"
#include "node/http/json.h"

/* "voter", "standby", "out". Static. */
const char *member_list_role(enum member_role role);
/* "auto", "voter", "standby", "leaving", "removed". Static. */
const char *member_list_wanted(enum member_state wanted);

/* Whether M, one of STATUS's members, is what is wanted of it. One that becomes a voter when there is room is
 * settled as a standby while there is none; one that is to go never is. */
bool member_list_settled(const struct replica_status *status, const struct replica_member *m);

/* Whether STATUS shows that CHANGE, which is decided, is done. */
bool member_list_shows(const struct replica_status *status, const struct replica_change *change);

/* {"cluster":NAME,"leader":ID,"term":N,"applied":N,"voters":N,"members":[...]}, as R knows it, with those
 * that were removed if REMOVED_TOO. "match", "lag" and "caught_up" are null where they are not known, which
 * is everywhere but on the leader. */
void member_list_put(struct json *j, struct replica *r, bool removed_too);

#endif
