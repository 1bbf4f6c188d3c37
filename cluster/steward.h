/* steward: what is to be done next so that the consensus group becomes what is wanted of each member
 * (storage/members.h). Only decisions: it calls nobody. The leader asks it (replica_membership.c), again and
 * again, one step at a time, so a change of leaders in the middle costs nothing.
 *
 * Order: who left is recorded, the leaving are removed (dead ones too: that is what makes room for the
 * living), the new become standbys, standbys become voters, voters become standbys. A leader that has to go
 * hands over first; its successor removes it.
 *
 * A step is taken only if it cannot cost the majority:
 * - None becomes a voter beside a voter that does not answer.
 * - Of one voter none makes two, which would both have to live, unless a third is ready to follow at once.
 * - No voter goes whom the rest needs for a majority that answers.
 * - A voter that answers and leaves stays until a newcomer, if there is one that follows, has what it has:
 * two replacements at once do not leave the content on one machine alone. */
#ifndef QUORATE_CLUSTER_STEWARD_H
#define QUORATE_CLUSTER_STEWARD_H

#include "storage/member_change.h"

enum { STEWARD_MEMBERS_MAX = 128 }; /* that a view may show */

enum member_role {
    ROLE_OUT,     /* not in the newest configuration */
    ROLE_STANDBY, /* gets the log, has no vote */
    ROLE_VOTER,
};

/* A member, as the leader sees it. */
struct steward_member {
    uint64_t id, incarnation;
    const char *address; /* borrowed */
    enum member_role role;
    enum member_state wanted;
    uint64_t changed; /* index of the entry that made it so; 0: the first list */
    bool answers;     /* the leader itself, or it was heard a moment ago */
    bool close;       /* its log is the leader's but for the last moments */
    bool caught_up;   /* a round of catching up ended well */
    uint64_t match;
};

struct steward_view {
    uint64_t id;         /* of the leader */
    unsigned target;     /* voters */
    uint64_t highest;    /* id that was ever used */
    unsigned count, max; /* members that are not removed, and how many there may be */
    const struct steward_member
        *members; /* borrowed. Removed ones only where their ids or incarnations matter */
    unsigned members_count;
};

enum steward_step_kind {
    STEWARD_REST,      /* nothing to do, or nothing can be done now: WHY */
    STEWARD_RECORD,    /* write down that ID is out */
    STEWARD_REMOVE,    /* take ID out of the configuration */
    STEWARD_HAND_OVER, /* leadership to ID */
    STEWARD_ADD,       /* take ID in as a standby */
    STEWARD_CATCH_UP,  /* see whether ID follows */
    STEWARD_PROMOTE,
    STEWARD_DEMOTE,
};

struct steward_step {
    enum steward_step_kind kind;
    uint64_t id;
    char why[256]; /* STEWARD_REST: what waits for what; "" if nothing waits */
};

/* Whether the voters but for ID would have a majority that answers. RET_VOTERS, RET_ANSWER: the rest, and how
 * many of it do. */
bool steward_rest_is_sound(const struct steward_view *view, uint64_t id, unsigned *ret_voters,
                           unsigned *ret_answer);
unsigned steward_voters(const struct steward_view *view);

/* The next step of a leader that has committed an entry of its term and has no change under way. */
void steward_next(const struct steward_view *view, struct steward_step *ret_step);

#endif
