/* log_swap: how a log that was made anew takes the place of a damaged one. It does not know what logs hold.
 *
 * Three names in the node's directory, and what a start makes of them:
 *     log          log.new      log.damaged
 *     there        -            any           an ordinary start
 *     there        there        any           the new one was not finished: it is emptied
 *     -            there        there         it was, and the swap was under way: it becomes `log`
 *     -            -            there         refused: this never comes about by itself
 *     -            -            -             a new node
 * The rule is right because `log` loses its name only when `log.new` is complete and durable, and each of the
 * two renames is durable before the next step. Directories are emptied, not removed: a rename may replace an
 * empty one.
 *
 * Threads: loop only; all calls block. */
#ifndef QUORATE_RAFT_GLUE_LOG_SWAP_H
#define QUORATE_RAFT_GLUE_LOG_SWAP_H

#include "base/env.h"

#define LOG_SWAP_NEW "log.new"

/* Before a log in DIR is opened: finishes a swap that was under way, or clears what is unfinished. Errors:
 * Q_CORRUPT there is nothing but a damaged log; Q_IO, Q_NOMEM. */
int log_swap_recover(struct env *env, const char *dir, struct error *e);
/* Whether the log is in DIR/log.new, complete, since a swap was under way. Changes nothing. */
int log_swap_under_way(struct env *env, const char *dir, bool *ret_swapping, struct error *e);
/* An empty directory for the new log. */
int log_swap_prepare(struct env *env, const char *dir, struct error *e);
/* Both logs are closed, the new one is complete and durable: it becomes `log`, the other one `log.damaged`.
 */
int log_swap_finish(struct env *env, const char *dir, struct error *e);
/* The log is whole and open: what was damaged is not needed any more. */
int log_swap_forget(struct env *env, const char *dir, struct error *e);

#endif
