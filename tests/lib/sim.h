/* sim: a whole cluster in one process and one thread, in virtual time, from one seed. Each node is a machine
 * with a disk that outlives its process, a network card and clocks; the process on it is an env (base/env.h).
 * It does not know what runs on the nodes.
 *
 * The same program with the same seed does the same in the same order: sim_hash() folds in every event (and
 * the bytes of every network unit and durable write), so two runs with equal hashes were equal.
 *
 * A life, in order:
 *   sim_new, sim_node_new, env = sim_node_boot, product objects made on env, sim_run_while;
 *   sim_node_crash or sim_node_kill (the env is dead now), product objects freed by their ordinary functions,
 *   sim_node_boot again (a fresh env over the surviving disk) and so on; at the end every node is killed, its
 *   objects are freed, sim_free.
 *
 * A dead env and its handles stay valid memory until sim_free(). Nothing calls back any more: no timer, no
 * DONE, no closed(). Calls on them do nothing: frees free, stops and closes return, starts and submits are
 * ignored, sends free their bytes, new timers and connections are never heard of, blocking calls return
 * Q_CLOSED, clocks and random go on. So whatever frees a product object of a living node frees it after a
 * crash.
 *
 * Faults of disk and network: sim_disk.h and sim_net.h. */
#ifndef QUORATE_TESTS_LIB_SIM_H
#define QUORATE_TESTS_LIB_SIM_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "base/env.h"
#include "tests/lib/sim_disk.h"
#include "tests/lib/sim_net.h"

struct sim;
struct sim_node;

enum { SIM_NODES_MAX = 64 };

struct sim *sim_new(uint64_t seed);
/* Everything on the nodes was freed before. NULL is fine. */
void sim_free(struct sim *sim);

/* Virtual time, from 0. The nodes' own clocks (env_now_us) start elsewhere, each boot anew. */
uint64_t sim_now_us(const struct sim *sim);
uint64_t sim_hash(const struct sim *sim);
/* How many events have fired. */
uint64_t sim_events(const struct sim *sim);
/* Folds something that the test saw into the hash. */
void sim_note(struct sim *sim, uint64_t value);
/* For the test's own choices. Uniform in [low, high]. */
uint64_t sim_random(struct sim *sim, uint64_t low, uint64_t high);
/* One line per event from now on; NULL stops it. Kept. */
void sim_trace(struct sim *sim, FILE *to);

/* The network between the nodes, for cuts and faults: sim_net.h. */
struct sim_net *sim_network(struct sim *sim);

/* Fires one event; false when there is none. */
bool sim_step(struct sim *sim);
/* Fires everything due until AT_US, which is then the time. */
void sim_run_until(struct sim *sim, uint64_t at_us);
/* Runs as long as COND holds, until DEADLINE_US at most. True when COND has ceased to hold. */
bool sim_run_while(struct sim *sim, bool (*cond)(void *ctx), void *ctx, uint64_t deadline_us);
/* Calls FN once at that time, from no node. CTX is kept. */
void sim_call(struct sim *sim, uint64_t at_us, void (*fn)(void *ctx), void *ctx);

/* A machine that is switched off. NAME is copied. At most SIM_NODES_MAX. Freed by sim_free(). */
struct sim_node *sim_node_new(struct sim *sim, const char *name);
const char *sim_node_name(const struct sim_node *node);
/* Starts a process on a node that has none. The env is borrowed: see above. */
struct env *sim_node_boot(struct sim_node *node);
/* The env of the running process, NULL when there is none. */
struct env *sim_node_env(const struct sim_node *node);

/* Power loss: the process vanishes at once, the disk keeps a legal part of what was not synced, and of each
 * connection the other side learns soon, late or never. May be called from anywhere, also from a callback or
 * a piece of work of the node itself. After a kill, and then only for the disk, it may be called on a node
 * without a process. */
void sim_node_crash(struct sim_node *node);
/* kill -9, or an orderly exit: the process vanishes, the page cache stays, submitted writes either happened
 * or did not, and the other sides of all connections learn it soon. */
void sim_node_kill(struct sim_node *node);
/* The node loses power in its OPERATIONS-th disk operation from now that changes something (1 is the next
 * one): write, submit_write, sync, create, rename, unlink, make_dir, sync_dir. 0 calls it off. So does a
 * crash. */
void sim_node_crash_in(struct sim_node *node, unsigned operations);

/* SIGSTOP: whatever the process would have noticed waits, in order, for the resume. Network and disk go on.
 */
void sim_node_pause(struct sim_node *node);
void sim_node_resume(struct sim_node *node);
bool sim_node_paused(const struct sim_node *node);

/* Moves the wall clock; stays over crashes. */
void sim_node_wall_jump(struct sim_node *node, int64_t ms);

/* The rate of the monotonic clock, and so of timers: 1000 is right, 500 half as fast. 100 to 10000. Stays
 * over crashes. The wall clock, which others set right, does not follow. */
void sim_node_clock_rate(struct sim_node *node, unsigned permille);

/* The disk outlives the process; of sim_disk.h call what stands under "For tests". */
struct sim_disk *sim_node_disk(struct sim_node *node);
/* The name of an SQLite VFS whose files are on the node's disk, in the process that runs when they are
 * opened; see sim_vfs.h. Valid until sim_free(), before which every connection is closed. */
const char *sim_node_vfs(struct sim_node *node);
/* How often, in a million, a connection that wants a reader's lock of a WAL for itself, as a checkpoint does,
 * finds a reader of another thread in its way (SQLITE_BUSY): pieces of work on a node run one after another,
 * so that it would never meet a real one. */
void sim_node_wal_readers(struct sim_node *node, unsigned ppm);
/* Replaces the faults of the node's disk. */
void sim_node_disk_faults(struct sim_node *node, const struct sim_disk_faults *faults);
/* Changes only the capacity; 0: no limit. */
void sim_disk_capacity(struct sim_node *node, uint64_t bytes);
/* The whole disk as a process sees it now, un-synced bytes and names too. sim_disk_copy_free() it. */
struct sim_disk_copy *sim_disk_copy(struct sim_node *node);
/* Puts the copy in place of what the disk holds, as a restored backup does; only while the node has no
 * process. The copy may be of another node and may be used again. */
void sim_disk_restore(struct sim_node *node, const struct sim_disk_copy *copy);

#endif
