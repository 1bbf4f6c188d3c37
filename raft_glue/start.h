/* start: what the core is told when it starts, gathered from the log and the configuration of the driver. It
 * does not start it. */
#ifndef QUORATE_RAFT_GLUE_START_H
#define QUORATE_RAFT_GLUE_START_H

#include "base/buf.h"
#include "raft_glue/driver.h"

struct start {
    struct raft_snapshot_metadata snapshot; /* a copy for the core */
    uint64_t first;
    struct raft_entry *entries; /* payloads only of configuration entries */
    unsigned n;
    struct buf payloads;
    struct raft_configuration configuration; /* the newest, of log or snapshot; empty for a blank node */
};

/* Checks that log, snapshot and database fit together, and reads what the core needs. Errors: as
 * driver_new(). */
int start_load(struct start *s, const struct driver_config *config, struct error *e);
/* The RAFT_START event; borrows from S. The core keeps the snapshot's configuration, and if it fails it frees
 * the entries: then call start_close() with true. */
struct raft_event start_event(struct start *s, uint64_t term, uint64_t vote);
void start_close(struct start *s, bool entries_freed);

#endif
