#include "raft_glue/install.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/plant.h"

static bool is_held(const struct install *i)
{
    return i->state == INSTALL_FETCHING || i->state == INSTALL_STAGED;
}

static void drop_image(struct install *i)
{
    if (i->state == INSTALL_STAGED) {
        raft_configuration_close(&i->image.configuration);
        raft_configuration_init(&i->image.configuration);
        i->state = INSTALL_FETCHING;
    }
}

void install_drop(struct install *i)
{
    if (is_held(i)) {
        drop_image(i);
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

void install_hold(struct install *i, const struct raft_message *message)
{
    const struct raft_install_snapshot *new = &message->install_snapshot;
    struct raft_message given = *message;

    assert(i->state != INSTALL_RUNNING);
    if (is_held(i) && i->held.install_snapshot.last_index >= new->last_index) {
        message_close(&given, false);
        take_sender(i, message);
        return;
    }
    if (i->state == INSTALL_STAGED && i->image.index < new->last_index) {
        drop_image(i);
    }
    if (is_held(i)) {
        message_close(&i->held, false);
    } else {
        i->state = INSTALL_FETCHING;
    }
    i->held = given;
    take_sender(i, message);
}

void install_staged(struct install *i, const struct raft_snapshot_metadata *image, uint64_t known_in)
{
    assert(is_held(i) && image->index >= i->held.install_snapshot.last_index);
    drop_image(i);
    i->image = *image;
    i->image_known_in = known_in;
    i->state = INSTALL_STAGED;
}

bool install_due(const struct install *i, uint64_t term)
{
    uint64_t leads_in = i->held.install_snapshot.term;
    return i->state == INSTALL_STAGED && leads_in >= term &&
           (leads_in >= i->image_known_in || PLANTED("images_of_later_terms_are_installed"));
}

struct raft_message install_take(struct install *i)
{
    struct raft_message message = i->held;
    struct raft_install_snapshot *is = &message.install_snapshot;

    assert(i->state == INSTALL_STAGED);
    raft_configuration_close(&is->conf);
    is->last_index = i->image.index;
    is->last_term = i->image.term;
    is->conf = i->image.configuration;
    is->conf_index = i->image.configuration_index;
    i->state = INSTALL_IDLE;
    return message;
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
