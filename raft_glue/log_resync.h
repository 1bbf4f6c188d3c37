/* log_resync: where the log goes on behind a group that is lost. It does not know what the groups hold. */
#ifndef QUORATE_RAFT_GLUE_LOG_RESYNC_H
#define QUORATE_RAFT_GLUE_LOG_RESYNC_H

#include "raft_glue/log_replay.h"

/* The next group of R is lost, and it was durable. Sets `at` and `end` to the place before the next group
 * that is known to be of this log, or to the mark, whichever comes first. Errors: Q_IO, Q_NOMEM.
 *
 * Behind the place where a log was cut once there may stand a group that never counted: it was written at the
 * same time as one that tore. It has a good header and a number that was given again. Such a group
 *   - was made while the one before it was not durable (it says so itself),
 *   - has no neighbour that its chain leads to: the one before was overwritten with zeros, and there are at
 * most LOG_WRITES_MAX in flight,
 *   - is the last in its segment: the log went on before it, and would have overwritten it otherwise.
 * A group of which one of the three is not true counts. */
int log_resync(struct log_replay *r, struct error *e);

#endif
