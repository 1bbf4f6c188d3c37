#include "tests/lib/sim_handle.h"

#include <errno.h>
#include <stdlib.h>

#include "base/crc32c.h"
#include "tests/lib/sim.h"
#include "tests/lib/sim_env.h"

#define FILE_MAGIC 0x5eed0003u

struct env_file {
    OBJECT_MAGIC;
    struct sim_world *world;
    struct sim_inode *inode; /* NULL when the process is dead */
    char *path;              /* as it was opened, for error texts */
    unsigned flags;
    bool locked;
    unsigned in_flight;
    struct list link; /* in world->files */
};

/* A submitted write: LAND (the disk has it) -> WRITTEN (the process hears of it). */
struct sim_write {
    struct event event;
    struct sim_world *world;
    struct env_write *write;
    struct error *failed;
    bool landed;
    struct list link; /* in world->writes */
};

enum { DISK_MIN_US = 40, DISK_MAX_US = 400, CACHE_MAX_US = 10, HEAR_MAX_US = 40 };

/* How long one operation takes that reaches the disk. */
static uint64_t disk_time_us(struct sim_world *w)
{
    uint64_t slow_us = sim_disk_faults(w->node->disk).slow_us;
    uint64_t us = sched_random(w->sched, DISK_MIN_US, DISK_MAX_US);
    return slow_us == 0 ? us : us + sched_random(w->sched, 0, slow_us);
}

static int gone(struct error *e)
{
    return error_set(e, Q_CLOSED, "the simulated process is gone");
}

/* Before each operation that only looks. */
static int look(struct sim_world *w, struct error *e)
{
    if (w->dead) {
        return gone(e);
    }
    w->spent_us += disk_time_us(w);
    return 0;
}

/* Of these only the page cache hears. */
static bool is_cached(const struct env_file *f)
{
    return (f->flags & (ENV_DURABLE | ENV_DIRECT)) == 0;
}

static int look_at(const struct env_file *f, struct error *e)
{
    struct sim_world *w = f->world;
    if (w->dead || !is_cached(f)) {
        return look(w, e);
    }
    w->spent_us += sched_random(w->sched, 1, CACHE_MAX_US);
    return 0;
}

/* True in the operation in which the node is to lose power. */
static bool strikes_now(struct sim_world *w)
{
    return w->node->crash_in > 0 && --w->node->crash_in == 0;
}

/* Before each operation that changes something. */
static void may_lose_power(struct sim_world *w)
{
    if (!w->dead && strikes_now(w)) {
        sim_node_crash(w->node);
    }
}

static int change(struct sim_world *w, struct error *e)
{
    may_lose_power(w);
    return look(w, e);
}

static int change_in(const struct env_file *f, struct error *e)
{
    may_lose_power(f->world);
    return look_at(f, e);
}

static int with_path(int rc, struct env_file *f, struct error *e)
{
    if (rc != 0 && e != NULL) {
        error_wrap(e, "%s", f->path);
    }
    return rc;
}

void sim_handles_init(struct sim_world *w)
{
    list_init(&w->files);
    list_init(&w->writes);
}

static void write_free(struct sim_write *sw)
{
    sched_cancel(sw->world->sched, &sw->event);
    list_remove(&sw->link);
    free(sw->failed);
    free(sw);
}

static void let_go(struct env_file *f)
{
    if (f->locked) {
        sim_disk_unlock(f->inode);
    }
    sim_disk_close(f->world->node->disk, f->inode);
    f->inode = NULL;
}

void sim_handles_die(struct sim_world *w, bool power_loss)
{
    struct sim_disk *disk = w->node->disk;
    LIST_EACH_SAFE (&w->writes, l) {
        struct sim_write *sw = CONTAINER_OF(l, struct sim_write, link);
        const struct env_write *write = sw->write;
        if (!sw->landed && power_loss) {
            sim_disk_tear(disk, write->file->inode, write->offset, write->data, write->len);
        } else if (!sw->landed && sched_random(w->sched, 0, 1) == 0) {
            /* It reached the page cache; whether also the disk, nobody was told. */
            bool safe = sched_random(w->sched, 0, 1) == 0;
            sim_disk_write(disk, write->file->inode, write->offset, write->data, write->len, safe, NULL);
        }
        write_free(sw);
    }
    LIST_EACH (&w->files, l) {
        let_go(CONTAINER_OF(l, struct env_file, link));
    }
}

static void file_free(struct env_file *f)
{
    list_remove(&f->link);
    f->magic = 0;
    free(f->path);
    free(f);
}

void sim_handles_free(struct sim_world *w)
{
    LIST_EACH_SAFE (&w->files, l) {
        file_free(CONTAINER_OF(l, struct env_file, link));
    }
}

static struct env_file *file_new(struct sim_world *w, const char *path, struct sim_inode *inode,
                                 unsigned flags)
{
    struct env_file *f = sim_alloc(sizeof *f);
    f->magic = FILE_MAGIC;
    f->world = w;
    f->inode = inode;
    f->path = sim_strdup(path);
    f->flags = flags;
    list_push(&w->files, &f->link);
    return f;
}

int sim_handle_open(struct env *env, const char *path, unsigned flags, struct env_file **ret_file,
                    struct error *e)
{
    struct sim_world *w = sim_world_of(env);
    struct sim_inode *inode;
    int rc = flags & ENV_CREATE ? change(w, e) : look(w, e);
    if (rc == 0) {
        rc = sim_disk_open(w->node->disk, path, flags, &inode, e);
    }
    if (rc == 0) {
        *ret_file = file_new(w, path, inode, flags);
    }
    return rc;
}

void sim_handle_close(struct env_file *f)
{
    if (f == NULL) {
        return;
    }
    (void)CAST(struct env_file, f, FILE_MAGIC);
    if (!f->world->dead) {
        assert(f->in_flight == 0);
        let_go(f);
    }
    file_free(f);
}

int sim_handle_size(struct env_file *f, uint64_t *ret_size, struct error *e)
{
    if (f->world->dead) {
        return gone(e);
    }
    *ret_size = sim_disk_size(f->inode);
    return 0;
}

int sim_handle_read(struct env_file *f, uint64_t offset, void *p, size_t n, size_t *ret_n, struct error *e)
{
    int rc = look_at(f, e);
    return rc != 0 ? rc
                   : with_path(sim_disk_read(f->world->node->disk, f->inode, offset, p, n, ret_n, e), f, e);
}

int sim_handle_write(struct env_file *f, uint64_t offset, const void *p, size_t n, struct error *e)
{
    struct sim_world *w = f->world;
    if (!w->dead && !(f->flags & ENV_WRITE)) {
        return error_errno(e, EBADF, "%s", f->path);
    }
    /* The one blocking operation that power loss may cut in the middle with a lasting effect. */
    if (!w->dead && (f->flags & ENV_DURABLE) && w->node->crash_in == 1) {
        sim_disk_tear(w->node->disk, f->inode, offset, p, n);
    }
    int rc = change_in(f, e);
    if (rc == 0) {
        sched_fold(w->sched, crc32c(0, p, n));
        rc = with_path(
            sim_disk_write(w->node->disk, f->inode, offset, p, n, (f->flags & ENV_DURABLE) != 0, e), f, e);
    }
    return rc;
}

int sim_handle_sync(struct env_file *f, struct error *e)
{
    int rc = change(f->world, e);
    return rc != 0 ? rc : with_path(sim_disk_sync(f->world->node->disk, f->inode, e), f, e);
}

int sim_handle_truncate(struct env_file *f, uint64_t size, struct error *e)
{
    int rc = change_in(f, e);
    return rc != 0 ? rc : with_path(sim_disk_truncate(f->world->node->disk, f->inode, size, e), f, e);
}

int sim_handle_stat(struct env *env, const char *path, uint64_t *ret_size, struct error *e)
{
    struct sim_world *w = sim_world_of(env);
    return w->dead ? gone(e) : sim_disk_stat(w->node->disk, path, ret_size, e);
}

int sim_handle_rename(struct env *env, const char *from, const char *to, struct error *e)
{
    struct sim_world *w = sim_world_of(env);
    int rc = change(w, e);
    return rc != 0 ? rc : sim_disk_rename(w->node->disk, from, to, e);
}

int sim_handle_unlink(struct env *env, const char *path, struct error *e)
{
    struct sim_world *w = sim_world_of(env);
    int rc = change(w, e);
    return rc != 0 ? rc : sim_disk_unlink(w->node->disk, path, e);
}

int sim_handle_make_dir(struct env *env, const char *path, struct error *e)
{
    struct sim_world *w = sim_world_of(env);
    int rc = change(w, e);
    return rc != 0 ? rc : sim_disk_make_dir(w->node->disk, path, e);
}

int sim_handle_sync_dir(struct env *env, const char *path, struct error *e)
{
    struct sim_world *w = sim_world_of(env);
    int rc = change(w, e);
    return rc != 0 ? rc : sim_disk_sync_dir(w->node->disk, path, e);
}

int sim_handle_list_dir(struct env *env, const char *path, void (*each)(void *ctx, const char *name),
                        void *ctx, struct error *e)
{
    struct sim_world *w = sim_world_of(env);
    int rc = look(w, e);
    return rc != 0 ? rc : sim_disk_list_dir(w->node->disk, path, each, ctx, e);
}

int sim_handle_lock(struct env *env, const char *path, struct env_file **ret_file, struct error *e)
{
    struct sim_world *w = sim_world_of(env);
    struct sim_inode *inode;
    int rc = look(w, e);
    if (rc == 0) {
        rc = sim_disk_lock(w->node->disk, path, &inode, e);
    }
    if (rc == 0) {
        *ret_file = file_new(w, path, inode, ENV_WRITE);
        (*ret_file)->locked = true;
    }
    return rc;
}

int sim_handle_space(struct env *env, const char *path, uint64_t *ret_free, struct error *e)
{
    struct sim_world *w = sim_world_of(env);
    int rc = look(w, e);
    (void)path;
    if (rc == 0) {
        *ret_free = sim_disk_space(w->node->disk);
    }
    return rc;
}

static void on_written(struct event *ev)
{
    struct sim_write *sw = CONTAINER_OF(ev, struct sim_write, event);
    struct env_write *write = sw->write;
    struct error *failed = sw->failed;
    sw->failed = NULL;
    write->file->in_flight--;
    write_free(sw);
    write->done(write, failed);
    free(failed);
}

static void on_land(struct event *ev)
{
    struct sim_write *sw = CONTAINER_OF(ev, struct sim_write, event);
    struct sim_world *w = sw->world;
    const struct env_write *write = sw->write;
    struct error e;
    sched_fold(w->sched, crc32c(0, write->data, write->len));
    if (with_path(sim_disk_write(w->node->disk, write->file->inode, write->offset, write->data, write->len,
                                 true, &e),
                  write->file, &e) != 0) {
        sw->failed = sim_alloc(sizeof e);
        *sw->failed = e;
    }
    sw->landed = true;
    event_init(&sw->event, EVENT_WRITTEN, w->node->id, &w->node->running, on_written);
    sched_after(w->sched, &sw->event, sched_random(w->sched, 0, HEAR_MAX_US));
}

void sim_handle_submit_write(struct env *env, struct env_write *write)
{
    struct sim_world *w = sim_world_of(env);
    struct env_file *f = CAST(struct env_file, write->file, FILE_MAGIC);
    unsigned wanted = ENV_WRITE | ENV_DURABLE;
    assert((f->flags & wanted) == wanted);
    assert(!(f->flags & ENV_DIRECT) || ((uintptr_t)write->data % ENV_BLOCK == 0 &&
                                        write->offset % ENV_BLOCK == 0 && write->len % ENV_BLOCK == 0));
    if (w->dead) {
        return;
    }
    struct sim_write *sw = sim_alloc(sizeof *sw);
    sw->world = w;
    sw->write = write;
    event_init(&sw->event, EVENT_LAND, w->node->id, &w->node->disk_works, on_land);
    list_push(&w->writes, &sw->link);
    f->in_flight++;
    if (strikes_now(w)) {
        sim_node_crash(w->node);
        return;
    }
    sched_after(w->sched, &sw->event, disk_time_us(w));
}
