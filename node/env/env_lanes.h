/* env_lanes: the three lanes of base/env.h as threads: apply and worker with one each, readers with a pool.
 * It does not know what the work does. */
#ifndef QUORATE_NODE_ENV_LANES_H
#define QUORATE_NODE_ENV_LANES_H

#include "base/env.h"
#include "node/env/env_lane.h"

struct env_lanes {
    struct lane lane[ENV_LANES];
    unsigned started; /* lanes that run */
    unsigned closing; /* lanes whose close has not come yet */
    void (*closed)(void *owner);
    void *owner;
};

/* SETTLED(owner) comes on the loop whenever one lane has nothing in flight any more. After a failure
 * env_lanes_close() must still be called. Errors: those of lane_init(). */
int env_lanes_init(struct env_lanes *l, uv_loop_t *loop, unsigned readers, void (*settled)(void *owner),
                   void *owner, struct error *e);
void env_lanes_run(struct env_lanes *l, struct env_work *work);
bool env_lanes_are_quiet(const struct env_lanes *l);
/* All lanes must be quiet. CLOSED comes on the loop, or at once when no lane was ever started. */
void env_lanes_close(struct env_lanes *l, void (*closed)(void *owner), void *owner);

#endif
