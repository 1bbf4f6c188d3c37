#include "tests/unit/raft_glue/consensus_scene.h"

int set_up(void **state)
{
    static struct members m;
    members_init(&m, 3);
    *state = &m;
    return 0;
}

int set_up_one(void **state)
{
    static struct members m;
    members_init(&m, 1);
    *state = &m;
    return 0;
}

int tear_down(void **state)
{
    members_close(*state);
    return 0;
}

struct member *other_than(struct members *m, const struct member *not_this)
{
    return &m->member[not_this->id % m->count + 1];
}

bool all_have_applicable(struct members *m, uint64_t index)
{
    bool all = true;
    for (unsigned i = 1; i <= m->count; i++) {
        all = all && (m->member[i].cut || consensus_applicable(m->member[i].c) >= index);
    }
    return all;
}

void cut_off(struct member *member, bool cut)
{
    member->cut = cut;
}
