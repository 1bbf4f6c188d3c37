/* Disks fail, fill up and get slow, and clocks jump, by way of the fault shim. */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/chaos/act.h"

enum {
    CALLS_MAX = 15,  /* until the one that fails */
    ENDS_MS = 20000, /* after an error, on a busy machine */
    SLOW_US_MAX = 200000,
    ROOM_MAX = 64 * 1024,
    CLOCK_MAX_S = 3600,
};

static struct machine *machine_of(const struct act_world *w, const struct act *a)
{
    return &w->machines->machine[a->node];
}

/* ---- an error */

static const char *some_files(const struct act_world *w)
{
    static const char *const patterns[] = {"", "", "/log/", "/db.sqlite", "/meta"};
    return patterns[act_draw(w, 0, 4)];
}

/* Often one of the first: some files are hardly ever written. */
static int some_call(const struct act_world *w)
{
    return (int)act_draw(w, 1, act_draw(w, 1, CALLS_MAX));
}

static bool arm(const struct act_world *w, struct act *a)
{
    disk_faults_error(&machine_of(w, a)->disk, act_draw(w, 0, 1) ? FAULT_SYNCS : FAULT_SYNCS | FAULT_WRITES,
                      some_files(w), some_call(w));
    a->limit_ms = 0;
    return true;
}

/* SQLite's -shm file is its database's shared memory in what nodes say. */
static void name_as_said(const char *path, char name[FAULT_PATH_MAX])
{
    static const char shared[] = "-shm";
    size_t n = strlen(path), end = sizeof shared - 1;

    n -= n > end && strcmp(path + n - end, shared) == 0 ? end : 0;
    snprintf(name, FAULT_PATH_MAX, "%.*s", (int)n, path);
}

/* The last line that the node said before it ended, or when it could not start, names the file and what the
 * system said. */
static void judge_last_words(const struct act_world *w, struct act *a, const char *path)
{
    char *line = machines_last_words(w->machines, a->node), name[FAULT_PATH_MAX];
    bool says_so = strstr(line, "fatal error=") != NULL || strncmp(line, "quorated: ", 10) == 0;

    name_as_said(path, name);
    if (a->status != EXIT_FAILURE) {
        record_violation(w->record, "node %u: an error of %s ended it with status %d", a->node + 1, path,
                         a->status);
    } else if (!says_so || strstr(line, name) == NULL || strstr(line, strerror(EIO)) == NULL) {
        record_violation(w->record, "node %u ended after an error of %s and does not say so: %s", a->node + 1,
                         path, line);
    }
    free(line);
}

static bool has_failed(const struct act_world *w, struct act *a)
{
    struct disk_faults *disk = &machine_of(w, a)->disk;
    const char *path;

    if (!disk_faults_has_failed(disk, &path)) {
        return act_time_is_over(a) && disk_faults_disarm(disk);
    }
    a->limit_ms = a->limit_ms != 0 ? a->limit_ms : deadline_now_ms() + ENDS_MS;
    if (a->node_ended) {
        judge_last_words(w, a, path);
        if (disk_faults_synced_after(disk) > 0) {
            record_violation(w->record, "node %u synced %s again after an error", a->node + 1, path);
        }
        return true;
    }
    if (deadline_now_ms() > a->limit_ms) {
        record_violation(w->record, "node %u goes on after an error of %s", a->node + 1, path);
        machines_kill(w->machines, a->node);
        return true;
    }
    return false;
}

static void mend(const struct act_world *w, struct act *a)
{
    disk_faults_forget_error(&machine_of(w, a)->disk);
    if (!machine_of(w, a)->up) {
        machines_start(w->machines, a->node);
    }
}

/* ---- an end at just that call */

static bool arm_end(const struct act_world *w, struct act *a)
{
    disk_faults_kill(&machine_of(w, a)->disk, FAULT_SYNCS | FAULT_WRITES, some_files(w), some_call(w));
    return true;
}

static bool has_been_killed(const struct act_world *w, struct act *a)
{
    if (!a->node_ended) {
        return act_time_is_over(a) && disk_faults_disarm(&machine_of(w, a)->disk);
    }
    if (a->status != -SIGKILL) {
        record_violation(w->record, "node %u has ended by itself with status %d", a->node + 1, a->status);
    }
    return true;
}

/* ---- full, slow */

/* Nodes that are full are killed and started like others: they must start on a full disk. */
static bool fill(const struct act_world *w, struct act *a)
{
    a->node = (unsigned)act_draw(w, 0, w->machines->count - 1);
    disk_faults_full(&machine_of(w, a)->disk, (long)act_draw(w, 0, 1) * (long)act_draw(w, 0, ROOM_MAX));
    return true;
}

static void make_room(const struct act_world *w, struct act *a)
{
    disk_faults_not_full(&machine_of(w, a)->disk);
}

static bool slow_down(const struct act_world *w, struct act *a)
{
    a->node = (unsigned)act_draw(w, 0, w->machines->count - 1);
    disk_faults_slow(&machine_of(w, a)->disk, "", (unsigned)act_draw(w, 1000, SLOW_US_MAX));
    return true;
}

static void speed_up(const struct act_world *w, struct act *a)
{
    disk_faults_slow(&machine_of(w, a)->disk, "", 0);
}

/* All disks are slow, and then all processes end in the middle of their writes: what was promised before it
 * was written is nowhere. */
static bool slow_down_all(const struct act_world *w, struct act *a)
{
    (void)a;
    for (unsigned i = 0; i < w->machines->count; i++) {
        disk_faults_slow(&w->machines->machine[i].disk, "/log/",
                         (unsigned)act_draw(w, SLOW_US_MAX / 4, SLOW_US_MAX));
    }
    return true;
}

static void black_out(const struct act_world *w, struct act *a)
{
    (void)a;
    for (unsigned i = 0; i < w->machines->count; i++) {
        machines_kill(w->machines, i);
    }
    for (unsigned i = 0; i < w->machines->count; i++) {
        disk_faults_slow(&w->machines->machine[i].disk, "", 0);
        machines_start(w->machines, i);
    }
}

/* No fault of a disk, but the shim's all the same. */
static bool turn_clock(const struct act_world *w, struct act *a)
{
    a->node = (unsigned)act_draw(w, 0, w->machines->count - 1);
    disk_faults_clock(&machine_of(w, a)->disk, (int64_t)act_draw(w, 0, 2 * CLOCK_MAX_S) - CLOCK_MAX_S);
    return true;
}

static void turn_back(const struct act_world *w, struct act *a)
{
    disk_faults_clock(&machine_of(w, a)->disk, 0);
}

const struct act_kind acts_on_disks[] = {
    {"disk_error", 4, TAKES_A_NODE, true, 1000, 5000, arm, has_failed, mend},
    {"disk_kill", 4, TAKES_A_NODE, true, 1000, 4000, arm_end, has_been_killed, mend},
    {"disk_full", 3, TAKES_NO_NODE, false, 1000, 8000, fill, NULL, make_room},
    {"slow_disk", 3, TAKES_NO_NODE, false, 1000, 8000, slow_down, NULL, speed_up},
    {"blackout", 1, TAKES_ALL_NODES, false, 500, 2000, slow_down_all, NULL, black_out},
    {"clock_jump", 2, TAKES_NO_NODE, false, 500, 4000, turn_clock, NULL, turn_back},
    {.name = NULL},
};
