/* log_swap: how a log that was made anew takes the place of a damaged one. It does not know what logs hold.
 *
 * The names in the node's directory:
 *     log            the log
 *     log.new        one that is being made; unfinished, whatever it looks like
 *     log.mended     complete and durable, and about to become `log`
 *     log.damaged    what it replaced
 * Three renames, each durable before the next: log.new to log.mended, log to log.damaged, log.mended to log.
 * So a start finds one of these:
 *     `log` is there                nothing else counts: what another name holds is cleared
 *     it is not, `log.mended` is    the swap was under way: the last rename is done
 *     neither is, another one is    refused: this does not come about by itself
 *     none is                       a new node
 * Directories are emptied, not removed: a rename may replace an empty one.
 *
 * Threads: loop only; all calls block. */
#ifndef QUORATE_RAFT_GLUE_LOG_SWAP_H
#define QUORATE_RAFT_GLUE_LOG_SWAP_H

#include "base/env.h"

#define LOG_SWAP_NEW    "log.new"
#define LOG_SWAP_MENDED "log.mended"

/* Before a log in DIR is opened: finishes a swap that was under way, or clears what is unfinished. Errors:
 * Q_CORRUPT there is no log, but what is left of one; Q_IO, Q_NOMEM. */
int log_swap_recover(struct env *env, const char *dir, struct error *e);
/* Whether the log stands under LOG_SWAP_MENDED, since a swap was under way. Changes nothing. */
int log_swap_under_way(struct env *env, const char *dir, bool *ret_under_way, struct error *e);
/* An empty directory for the new log. */
int log_swap_prepare(struct env *env, const char *dir, struct error *e);
/* The new log is closed, complete and durable: it becomes `log`, and what was there `log.damaged`. */
int log_swap_finish(struct env *env, const char *dir, struct error *e);
/* Nothing in `log` counts any more: it is emptied, durably. */
int log_swap_clear(struct env *env, const char *dir, struct error *e);
/* The log is whole and open: what was damaged is not needed any more. */
int log_swap_forget(struct env *env, const char *dir, struct error *e);

#endif
