/* Members set up for a test, alone or three together. */
#ifndef QUORATE_TESTS_CONSENSUS_SCENE_H
#define QUORATE_TESTS_CONSENSUS_SCENE_H

#include "raft_glue/envelope.h"
#include "tests/unit/raft_glue/members.h"

int set_up(void **state);
int set_up_one(void **state);
int tear_down(void **state);
struct member *other_than(struct members *m, const struct member *not_this);
bool all_have_applicable(struct members *m, uint64_t index);
void cut_off(struct member *member, bool cut);

#endif
