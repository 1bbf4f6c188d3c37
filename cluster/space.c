#include "cluster/space.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"

enum {
    SPACE_MAGIC = 0x51c0de0b,
    LOOK_MS = 1000,
    PIECE_MS = 50, /* between two pieces of the ballast: a log that is written to must not feel it */
    PIECE_BYTES = 1024 * 1024,
    PATH_BYTES = 4096,
};

enum gauge { G_FREE, G_FULL, G_BALLAST, SPACE_GAUGES };

static const struct metric gauge_table[SPACE_GAUGES] = {
    [G_FREE] = {METRIC_GAUGE, "quorate_disk_free_bytes", NULL,
                "Bytes that the file system of the data still takes."},
    [G_FULL] = {METRIC_GAUGE, "quorate_disk_full", NULL, "1 while writes are refused for want of them."},
    [G_BALLAST] = {METRIC_GAUGE, "quorate_disk_ballast_bytes", NULL, "Bytes held back for a full disk."},
};

enum job { JOB_LOOK, JOB_GROW, JOB_GIVE_UP };

struct space {
    OBJECT_MAGIC;
    struct space_config config;
    char path[PATH_BYTES]; /* of the ballast */
    bool full, stopped;
    uint64_t free, ballast; /* bytes, as of the last look */
    uint64_t next_ms;       /* when the next look is due */

    bool busy; /* with JOB, on the worker lane; what follows is the job's */
    enum job job;
    struct env_work work;
    uint64_t seen_free, seen_ballast;
    int rc;
    struct error error;

    struct metric gauges[SPACE_GAUGES];
};

/* What follows runs on the worker lane, or while opening. */

static int find_ballast(struct space *s, struct error *e)
{
    struct env_file *file;
    int rc = env_open(s->config.env, s->path, 0, &file, e);

    if (rc == Q_NOT_FOUND) {
        s->seen_ballast = 0;
        return 0;
    }
    if (rc == 0) {
        rc = env_size(s->config.env, file, &s->seen_ballast, e);
        env_close(s->config.env, file);
    }
    return rc;
}

/* The blocks are free for all only when the removal is on the disk. */
static int give_up(struct space *s, struct error *e)
{
    int rc = PLANTED("ballast_is_kept") ? 0 : env_unlink(s->config.env, s->path, e);

    if (rc != 0 && rc != Q_NOT_FOUND) {
        return rc;
    }
    s->seen_ballast = 0;
    return env_sync_dir(s->config.env, s->config.dir, e);
}

static int write_piece(struct space *s, struct env_file *file, struct error *e)
{
    uint64_t left = s->config.ballast_bytes - s->seen_ballast;
    size_t n = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;
    uint8_t *zeros = calloc(1, n);
    int rc = zeros != NULL ? 0 : error_set(e, Q_NOMEM, "out of memory for a piece of %s", s->path);

    if (rc == 0) {
        rc = env_write(s->config.env, file, s->seen_ballast, zeros, n, e);
    }
    free(zeros);
    if (rc == 0) {
        rc = env_sync(s->config.env, file, e); /* many file systems find their blocks only now */
    }
    s->seen_ballast += rc == 0 ? n : 0;
    return rc;
}

static int grow(struct space *s, struct error *e)
{
    struct env_file *file;
    int rc = env_open(s->config.env, s->path, ENV_WRITE, &file, e);

    if (rc == Q_NOT_FOUND) {
        rc = env_open(s->config.env, s->path, ENV_WRITE | ENV_CREATE, &file, e);
    }
    if (rc == 0) {
        rc = write_piece(s, file, e);
        env_close(s->config.env, file);
    }
    return rc;
}

static int look(struct space *s, struct error *e)
{
    return env_space(s->config.env, s->config.dir, &s->seen_free, e);
}

static void run(struct env_work *work)
{
    struct space *s = CAST(struct space, CONTAINER_OF(work, struct space, work), SPACE_MAGIC);

    s->rc = 0;
    switch (s->job) {
    case JOB_LOOK: break;
    case JOB_GROW: s->rc = grow(s, &s->error); break;
    case JOB_GIVE_UP: s->rc = give_up(s, &s->error); break;
    }
    s->rc = s->rc == 0 ? look(s, &s->error) : s->rc;
}

/* From here on the loop. */

static void take(struct space *s)
{
    s->free = s->seen_free;
    s->ballast = s->seen_ballast;
    metric_set(&s->gauges[G_FREE], s->free < INT64_MAX ? (int64_t)s->free : INT64_MAX);
    metric_set(&s->gauges[G_BALLAST], (int64_t)s->ballast);
}

static void set_full(struct space *s, bool full)
{
    if (full != s->full) {
        s->full = full;
        s->next_ms = 0; /* the ballast has to go, or may come back */
        metric_set(&s->gauges[G_FULL], full);
        s->config.changed(s->config.ctx);
    }
}

/* Room for the rest of the ballast and, with it in place, as much as must be free. */
static bool has_room_for_ballast(const struct space *s)
{
    uint64_t missing = s->config.ballast_bytes - s->ballast;
    return s->ballast >= s->config.ballast_bytes ? s->free >= s->config.low_bytes
                                                 : s->free >= s->config.low_bytes + missing;
}

static void start(struct space *s, enum job job)
{
    s->busy = true;
    s->job = job;
    env_run(s->config.env, &s->work);
}

static void start_next(struct space *s)
{
    uint64_t now = env_now_ms(s->config.env);

    s->next_ms = now + LOOK_MS;
    if (s->full && s->ballast > 0) {
        start(s, JOB_GIVE_UP);
    } else if (!s->full && s->ballast > s->config.ballast_bytes) {
        start(s, JOB_GIVE_UP); /* it is to be smaller, or there is to be none */
    } else if (!s->full && s->ballast < s->config.ballast_bytes && has_room_for_ballast(s)) {
        s->next_ms = now + PIECE_MS;
        start(s, JOB_GROW);
    } else {
        start(s, JOB_LOOK);
    }
}

static void done(struct env_work *work)
{
    struct space *s = CAST(struct space, CONTAINER_OF(work, struct space, work), SPACE_MAGIC);
    bool lacking;

    s->busy = false;
    if (s->rc != 0 && s->rc != Q_NO_SPACE) {
        s->stopped = true;
        s->config.failed(s->config.ctx, &s->error);
        return;
    }
    if (s->stopped) {
        return;
    }
    take(s);
    lacking = s->config.lacks_room(s->config.ctx);
    if (lacking) {
        s->config.retry(s->config.ctx);
    }
    if (s->rc == Q_NO_SPACE || lacking || s->free < s->config.low_bytes) {
        set_full(s, true);
    } else if (s->full && s->job == JOB_LOOK && has_room_for_ballast(s) &&
               !PLANTED("disk_is_full_for_ever")) {
        set_full(s, false); /* not at once after giving up: others may give up theirs on the same disk */
    }
}

void space_tick(struct space *s)
{
    if (s->stopped || s->busy) {
        return;
    }
    if (!s->full && s->config.lacks_room(s->config.ctx)) {
        set_full(s, true);
        start_next(s);
    } else if (env_now_ms(s->config.env) >= s->next_ms) {
        start_next(s);
    }
}

int space_open(const struct space_config *config, struct space **ret_space, struct error *e)
{
    struct space *s = calloc(1, sizeof *s);
    int rc;

    if (s == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the room on the disk");
    }
    s->magic = SPACE_MAGIC;
    s->config = *config;
    s->work = (struct env_work){.run = run, .done = done, .lane = ENV_WORKER};
    memcpy(s->gauges, gauge_table, sizeof gauge_table);
    snprintf(s->path, sizeof s->path, "%.*s/ballast", (int)sizeof s->path - 16, config->dir);
    rc = find_ballast(s, e);
    rc = rc == 0 ? look(s, e) : rc;
    if (rc == 0 && s->seen_free < config->low_bytes) {
        s->full = true;
        rc = give_up(s, e);
        rc = rc == 0 ? look(s, e) : rc;
    }
    if (rc != 0) {
        space_free(s);
        return rc;
    }
    metric_set(&s->gauges[G_FULL], s->full);
    take(s);
    *ret_space = s;
    return 0;
}

void space_free(struct space *s)
{
    if (s != NULL) {
        s->magic = 0;
        free(s);
    }
}

void space_stop(struct space *s)
{
    s->stopped = true;
}

bool space_is_idle(const struct space *s)
{
    return !s->busy;
}

bool space_is_full(const struct space *s)
{
    return s->full;
}

uint64_t space_free_bytes(const struct space *s)
{
    return s->free;
}

uint64_t space_ballast_bytes(const struct space *s)
{
    return s->ballast;
}

uint64_t space_needed_bytes(const struct space *s)
{
    return s->config.low_bytes + s->config.ballast_bytes;
}

void space_metrics(struct space *s, struct metrics *metrics)
{
    metrics_register(metrics, s->gauges, SPACE_GAUGES);
}
