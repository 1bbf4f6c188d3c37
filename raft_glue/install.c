#include "raft_glue/install.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

static bool is_held(const struct install *i)
{
    return i->state == INSTALL_FETCHING || i->state == INSTALL_STAGED;
}

void install_drop(struct install *i)
{
    if (is_held(i)) {
        message_close(&i->held, false);
        i->state = INSTALL_IDLE;
    }
}

void install_close(struct install *i)
{
    install_drop(i);
    i->state = INSTALL_IDLE;
}

static void take_sender(struct install *i, const struct raft_message *message)
{
    i->held.server_id = message->server_id;
    i->held.server_address = i->address;
    i->held.install_snapshot.term = message->install_snapshot.term;
    snprintf(i->address, sizeof i->address, "%s", message->server_address);
}

bool install_hold(struct install *i, const struct raft_message *message)
{
    const struct raft_install_snapshot *old = &i->held.install_snapshot;
    const struct raft_install_snapshot *new = &message->install_snapshot;
    struct raft_message given = *message;

    assert(i->state != INSTALL_RUNNING);
    if (is_held(i) && (old->last_index > new->last_index ||
                       (old->last_index == new->last_index && old->last_term == new->last_term))) {
        message_close(&given, false);
        take_sender(i, message);
        return false;
    }
    install_drop(i);
    i->held = given;
    take_sender(i, message);
    i->state = INSTALL_FETCHING;
    return true;
}

void install_staged(struct install *i)
{
    if (i->state == INSTALL_FETCHING) {
        i->state = INSTALL_STAGED;
    }
}

bool install_due(const struct install *i, uint64_t term)
{
    return i->state == INSTALL_STAGED && i->held.install_snapshot.term >= term;
}

struct raft_message install_take(struct install *i)
{
    assert(i->state == INSTALL_STAGED);
    i->state = INSTALL_IDLE;
    return i->held;
}

void install_begin(struct install *i)
{
    assert(i->state == INSTALL_IDLE);
    i->state = INSTALL_RUNNING;
}

void install_finish(struct install *i)
{
    assert(i->state == INSTALL_RUNNING);
    i->state = INSTALL_IDLE;
}
