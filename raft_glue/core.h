/* core: libraft's pure consensus core with what it stands on. One event goes in, and everything that the core
 * then asks for is done before the next one: the heart of the driver. It does not know where events come
 * from.
 *
 * Functions that feed the core return its codes (RAFT_...); translate with core_error(). */
#ifndef QUORATE_RAFT_GLUE_CORE_H
#define QUORATE_RAFT_GLUE_CORE_H

#include "raft_glue/feed.h"
#include "raft_glue/guards.h"
#include "raft_glue/install.h"

struct core_role {
    int state;
    uint64_t term, leader;
};

struct core {
    struct raft raft;
    const struct driver_io *io;
    void *ctx;
    unsigned heartbeat_ms;
    uint64_t now_ms;

    uint64_t durable, applicable;
    struct raft_snapshot_metadata snapshot; /* the last compaction or installation; index 0: none */
    struct guards guards;
    struct feeds feeds;
    struct install install;

    struct core_role told; /* what the owner knows */
    bool appended;         /* since the last flush */
    bool failed;           /* the owner could not do what it was asked: nothing more is done or said */
    bool barrier_due;      /* this node just became leader */
    uint64_t result_ms;    /* when the last AppendEntries result left */
};

/* Errors: Q_NOMEM. core_close() takes a core that failed to init, too. */
int core_init(struct core *c, const struct driver_config *config, struct error *e);
void core_close(struct core *c);

/* Runs one event and does what the core asks for, and then what it must hear before the next event. */
int core_run(struct core *c, struct raft_event *event);
/* The two halves of it, for a caller that has to do something in between. */
int core_step(struct core *c, struct raft_event *event);
int core_settle(struct core *c);
/* As core_run(), of one entry of our own as leader. The payload is borrowed. */
int core_submit(struct core *c, enum raft_entry_type type, const void *p, uint32_t len);
/* Tells core and owner that the configuration entry at INDEX is committed. It is left for later if it cannot
 * be read. */
int core_conclude(struct core *c, uint64_t index);
/* Makes METADATA (copied) the snapshot that followers are told of; the second copy goes to the core. */
int core_take_snapshot(struct core *c, const struct raft_snapshot_metadata *metadata,
                       struct raft_snapshot_metadata *ret_for_core);
/* Mere contact (guards.h), to the leader that we follow. */
void core_send_contact(struct core *c, uint64_t to, const char *address);
void core_tell_role(struct core *c);
uint64_t core_leader(const struct core *c);

/* Sets WHAT and the core's own text. RV is not 0. */
int core_error(int rv, const char *what, struct error *e);

#endif
