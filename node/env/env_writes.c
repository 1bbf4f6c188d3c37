#include "node/env/env_writes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/plant.h"
#include "node/env/env_disk.h"

enum {
    WRITES_MAGIC = 0x3817e001,
    CHUNK_MAX = 1 << 30, /* bytes of one system call; the kernel's own limit is just under 2 GiB */
    MERGE_MAX = 16,      /* neighbours in one system call of the thread */
    RETRY_MS = 1,
};

/* What env_write.impl holds. */
enum { PUT, ERRNO };

static size_t left(const struct env_write *write)
{
    return write->len - write->impl[PUT];
}

/* Takes in the result of one system call; true when the write is over, well or not. */
static bool advance(struct env_write *write, long result)
{
    if (result == -EINTR || result == -EAGAIN) {
        return false;
    }
    if (result < 0) {
        write->impl[ERRNO] = (uint64_t)-result;
        return true;
    }
    if (result == 0 && left(write) > 0) {
        write->impl[ERRNO] = EIO;
        return true;
    }
    write->impl[PUT] += (uint64_t)result;
    return left(write) == 0 || PLANTED("short_writes_are_not_continued");
}

static void complete(struct env_write *write)
{
    struct error failed;

    write->file->writes_in_flight--;
    if (write->impl[ERRNO] == 0) {
        write->done(write, NULL);
        return;
    }
    env_disk_write_error(write->file, write->offset + write->impl[PUT], left(write), (int)write->impl[ERRNO],
                         &failed);
    write->done(write, &failed);
}

/* ---- the thread */

static void write_alone(struct env_write *write)
{
    long result;

    do {
        const char *p = (const char *)write->data + write->impl[PUT];
        uint64_t at = write->offset + write->impl[PUT];
        size_t n = left(write) < CHUNK_MAX ? left(write) : CHUNK_MAX;

        result = pwrite(env_disk_write_fd(write->file, p, n, at), p, n, (off_t)at);
    } while (!advance(write, result < 0 ? -errno : result));
}

/* How many writes of TAKEN, from its start, are neighbours and fit into one system call. */
static size_t neighbours(const struct list *taken, struct iovec *iov)
{
    const struct env_write *last = NULL;
    uint64_t total = 0;
    size_t n = 0;

    LIST_EACH (taken, item) {
        const struct env_write *write = CONTAINER_OF(item, struct env_write, link);

        if (n == MERGE_MAX || total + write->len > CHUNK_MAX ||
            (last != NULL && (write->file != last->file || write->offset != last->offset + last->len))) {
            break;
        }
        iov[n++] = (struct iovec){(void *)(uintptr_t)write->data, write->len};
        total += write->len;
        last = write;
    }
    return n;
}

static void fail_all(const struct list *taken, size_t n, int errno_value)
{
    LIST_EACH (taken, item) {
        if (n-- == 0) {
            return;
        }
        CONTAINER_OF(item, struct env_write, link)->impl[ERRNO] = (uint64_t)errno_value;
    }
}

/* True when the first N writes are over by one call, well or not. After an error none is tried again: a
 * second attempt that succeeds would hide that nobody knows what the first has left behind. A short one was
 * no error: then each is done alone, from its beginning. */
static bool write_together(const struct list *taken, const struct iovec *iov, size_t n)
{
    const struct env_write *first = CONTAINER_OF(taken->next, struct env_write, link);
    int fd = env_disk_write_fd(first->file, first->data, first->len, first->offset);
    size_t total = 0;
    ssize_t result;

    for (size_t i = 0; i < n; i++) {
        total += iov[i].iov_len;
        if (env_disk_write_fd(first->file, iov[i].iov_base, iov[i].iov_len, first->offset) != fd) {
            return false; /* some of them not aligned */
        }
    }
    result = pwritev(fd, iov, (int)n, (off_t)first->offset);
    if (result >= 0 || errno == EINTR || errno == EAGAIN || PLANTED("failed_writes_are_tried_again")) {
        return result >= 0 && (size_t)result == total;
    }
    fail_all(taken, n, errno);
    return true;
}

static void serve(struct lane *lane, struct list *taken)
{
    struct iovec iov[MERGE_MAX];

    while (!list_empty(taken)) {
        size_t n = neighbours(taken, iov);
        bool together = n > 1 && write_together(taken, iov, n);

        for (; n > 0; n--) {
            struct list *item = list_pop(taken);

            if (!together) {
                write_alone(CONTAINER_OF(item, struct env_write, link));
            }
            lane_finish(lane, item);
        }
    }
}

static void on_thread_done(struct lane *lane, struct list *item)
{
    (void)lane;
    complete(CONTAINER_OF(item, struct env_write, link));
}

static int start_thread(struct env_writes *w, uv_loop_t *loop, struct error *e)
{
    const struct lane_config config = {
        .loop = loop,
        .name = "quorate-writer",
        .threads = 1,
        .serve = serve,
        .done = on_thread_done,
        .settled = w->settled,
        .owner = w->owner,
    };

    w->by_thread = true;
    return lane_init(&w->thread, &config, e);
}

/* ---- io_uring */

static void on_retry(uv_timer_t *retry);

/* Gives the kernel what is in the submission queue. */
static void flush(struct env_writes *w)
{
    int rc;

    do {
        rc = io_uring_submit(&w->ring);
    } while (rc == -EINTR || (rc > 0 && io_uring_sq_ready(&w->ring) > 0));
    if (rc < 0) {
        uv_timer_start(&w->retry, on_retry, RETRY_MS, 0);
    }
}

/* Moves waiting writes to the kernel while there is room. */
static void feed(struct env_writes *w)
{
    while (w->in_kernel < WRITES_DEPTH && !list_empty(&w->waiting)) {
        struct env_write *write = CONTAINER_OF(list_pop(&w->waiting), struct env_write, link);
        struct io_uring_sqe *sqe = io_uring_get_sqe(&w->ring);
        const char *p = (const char *)write->data + write->impl[PUT];
        uint64_t at = write->offset + write->impl[PUT];
        size_t n = left(write) < CHUNK_MAX ? left(write) : CHUNK_MAX;

        assert(sqe != NULL); /* the queue holds WRITES_DEPTH */
        io_uring_prep_write(sqe, env_disk_write_fd(write->file, p, n, at), p, (unsigned)n, at);
        io_uring_sqe_set_data(sqe, write);
        w->in_kernel++;
    }
    if (io_uring_sq_ready(&w->ring) > 0) {
        flush(w);
    }
}

static void on_retry(uv_timer_t *retry)
{
    flush(CAST(struct env_writes, retry->data, WRITES_MAGIC));
}

/* Takes every completion out of the ring; what is over goes to FINISHED, the rest back to waiting. */
static void reap(struct env_writes *w, struct list *finished)
{
    struct io_uring_cqe *cqe;

    while (io_uring_peek_cqe(&w->ring, &cqe) == 0) {
        struct env_write *write = io_uring_cqe_get_data(cqe);
        bool over = advance(write, cqe->res);

        io_uring_cqe_seen(&w->ring, cqe);
        w->in_kernel--;
        list_push(over ? finished : &w->waiting, &write->link);
    }
}

static void on_readable(uv_poll_t *readable, int status, int events)
{
    struct env_writes *w = CAST(struct env_writes, readable->data, WRITES_MAGIC);
    struct list finished, *item;

    (void)events;
    assert(status == 0);
    list_init(&finished);
    reap(w, &finished);
    while ((item = list_pop(&finished)) != NULL) {
        w->in_flight--;
        complete(CONTAINER_OF(item, struct env_write, link));
    }
    feed(w);
    if (w->in_flight == 0) {
        w->settled(w->owner);
    }
}

static int start_ring(struct env_writes *w, uv_loop_t *loop)
{
    struct io_uring_probe *probe;
    bool able;
    int rc = io_uring_queue_init(WRITES_DEPTH, &w->ring, 0);

    if (rc < 0) {
        return rc;
    }
    probe = io_uring_get_probe_ring(&w->ring);
    able = probe != NULL && io_uring_opcode_supported(probe, IORING_OP_WRITE);
    io_uring_free_probe(probe);
    rc = able ? uv_poll_init(loop, &w->readable, w->ring.ring_fd) : -EOPNOTSUPP;
    if (rc < 0) {
        io_uring_queue_exit(&w->ring);
        return rc;
    }
    uv_timer_init(loop, &w->retry);
    uv_poll_start(&w->readable, UV_READABLE, on_readable);
    w->readable.data = w->retry.data = w;
    return 0;
}

/* ---- both */

int env_writes_init(struct env_writes *w, uv_loop_t *loop, bool force_thread, void (*settled)(void *owner),
                    void *owner, struct error *e)
{
    int rc;

    *w = (struct env_writes){.magic = WRITES_MAGIC, .settled = settled, .owner = owner};
    list_init(&w->waiting);
    rc = force_thread ? -ECANCELED : start_ring(w, loop);
    if (rc < 0) {
        snprintf(w->why_thread, sizeof w->why_thread, "thread (io_uring: %s)",
                 force_thread ? "switched off" : strerror(-rc));
        rc = start_thread(w, loop, e);
    }
    w->started = rc == 0;
    return rc;
}

void env_writes_submit(struct env_writes *w, struct env_write *write)
{
    assert(write->file->durable);
    write->impl[PUT] = write->impl[ERRNO] = 0;
    write->file->writes_in_flight++;
    if (w->by_thread) {
        lane_submit(&w->thread, &write->link);
        return;
    }
    w->in_flight++;
    list_push(&w->waiting, &write->link);
    feed(w);
}

bool env_writes_are_quiet(const struct env_writes *w)
{
    return w->by_thread ? !w->started || lane_is_quiet(&w->thread) : w->in_flight == 0;
}

static void on_lane_closed(void *owner)
{
    struct env_writes *w = CAST(struct env_writes, owner, WRITES_MAGIC);

    w->magic = 0;
    w->closed(w->closed_owner);
}

static void on_handle_closed(uv_handle_t *handle)
{
    struct env_writes *w = CAST(struct env_writes, handle->data, WRITES_MAGIC);

    if (--w->closing > 0) {
        return;
    }
    io_uring_queue_exit(&w->ring);
    w->magic = 0;
    w->closed(w->closed_owner);
}

void env_writes_close(struct env_writes *w, void (*closed)(void *owner), void *owner)
{
    w->closed = closed;
    w->closed_owner = owner;
    if (!w->started) {
        closed(owner);
        return;
    }
    assert(env_writes_are_quiet(w));
    if (w->by_thread) {
        lane_close(&w->thread, on_lane_closed, w);
        return;
    }
    w->closing = 2;
    uv_close((uv_handle_t *)&w->readable, on_handle_closed);
    uv_close((uv_handle_t *)&w->retry, on_handle_closed);
}
