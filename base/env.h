/* env: the outside world as one table of functions: clock, random, disk, network and "run this elsewhere".
 * Everything below node/ touches the world only through it, so that a whole cluster can run in one thread in
 * virtual time. The daemon's table is node/env_uv; the simulator's is tests/lib/sim_env.
 *
 * Threads: unless a line says "any lane", a function is called on the loop thread only, and every callback
 * comes on the loop thread, exactly once, and never inside the call that started it. Paths and addresses are
 * borrowed until the call returns. Addresses are "host:port". */
#ifndef QUORATE_BASE_ENV_H
#define QUORATE_BASE_ENV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/list.h"

struct env;
struct env_timer;
struct env_file;
struct env_listener;
struct env_conn;

/* Where work runs besides the loop. */
enum env_lane {
    ENV_APPLY,  /* one thread, first in first out: the SQLite writer */
    ENV_READER, /* a pool, no order: read-only SQLite connections */
    ENV_WORKER, /* one thread, first in first out: checkpoints, segments, hashing; may take seconds */
    ENV_LANES
};

/* A piece of work for another lane. The caller embeds it, fills RUN and DONE, and leaves it alone until DONE.
 */
struct env_work {
    void (*run)(struct env_work *);  /* on the lane */
    void (*done)(struct env_work *); /* on the loop, in submission order for the lanes of one thread */
    enum env_lane lane;
    struct list link; /* private to the env */
    void *impl;       /* private to the env */
};

/* An asynchronous write to a file opened with ENV_DURABLE: DONE means that it survives a power loss.
 * Several may be in flight, in any order of completion. DATA is kept until DONE. With ENV_DIRECT, data,
 * offset and length are multiples of ENV_BLOCK. */
struct env_write {
    struct env_file *file;
    const void *data;
    size_t len;
    uint64_t offset;
    void (*done)(struct env_write *, const struct error *failed); /* FAILED is NULL on success; borrowed */
    struct list link;                                             /* private to the env */
    uint64_t impl[2];                                             /* private to the env */
};

enum { ENV_BLOCK = 4096 };

enum env_open_flags {
    ENV_CREATE = 1,  /* make the file; it must not exist */
    ENV_WRITE = 2,   /* read and write; without it read only */
    ENV_DURABLE = 4, /* a write is durable when it completes (O_DSYNC) */
    ENV_DIRECT = 8,  /* past the page cache where the file system can; a hint that may be ignored */
};

struct env_conn_callbacks {
    /* Once for a connection made by env_connect(), before any data; not called if it fails (closed is). */
    void (*opened)(void *owner);
    /* Bytes arrived. Borrowed. */
    void (*received)(void *owner, const uint8_t *bytes, size_t n);
    /* Everything given to env_send() has been handed to the network. */
    void (*drained)(void *owner);
    /* The last callback, once, also after env_conn_close(). WHY is NULL when this side closed it. The
     * connection is freed when it returns. */
    void (*closed)(void *owner, const struct error *why);
};

struct env_ops {
    uint64_t (*now_us)(struct env *);  /* any lane. Monotonic microseconds, from an arbitrary start */
    uint64_t (*wall_ms)(struct env *); /* any lane. Unix time in milliseconds; may jump */
    void (*random)(struct env *, void *p, size_t n); /* any lane. Fit for secrets */

    /* NULL when out of memory. */
    struct env_timer *(*timer_new)(struct env *, void (*fire)(void *owner), void *owner);
    void (*timer_start)(struct env_timer *,
                        uint64_t at_us); /* once; replaces an earlier start; past times fire soon */
    void (*timer_stop)(struct env_timer *);
    void (*timer_free)(struct env_timer *); /* NULL is fine */

    void (*run)(struct env *, struct env_work *);

    /* Blocking file operations: any lane; on the loop only while starting, or where a caller's contract says
     * so. Errors: Q_NOT_FOUND, Q_NO_SPACE, Q_NOMEM, else Q_IO; and Q_CONFLICT where the name is taken: by
     * anything for open() with ENV_CREATE, by a file for make_dir(). */
    int (*open)(struct env *, const char *path, unsigned flags, struct env_file **ret_file, struct error *);
    void (*close)(struct env_file *); /* no write in flight; NULL is fine */
    int (*size)(struct env_file *, uint64_t *ret_size, struct error *);
    /* Reads exactly N bytes, or fewer only at the end of the file; *ret_n says how many. */
    int (*read)(struct env_file *, uint64_t offset, void *p, size_t n, size_t *ret_n, struct error *);
    int (*write)(struct env_file *, uint64_t offset, const void *p, size_t n, struct error *);
    int (*sync)(struct env_file *, struct error *);
    int (*rename)(struct env *, const char *from, const char *to, struct error *); /* replaces TO */
    int (*unlink)(struct env *, const char *path, struct error *);
    int (*make_dir)(struct env *, const char *path,
                    struct error *); /* mode 0700; an existing directory is fine */
    int (*sync_dir)(struct env *, const char *path, struct error *);
    /* Calls EACH for every entry but . and .., in no order. */
    int (*list_dir)(struct env *, const char *path, void (*each)(void *ctx, const char *name), void *ctx,
                    struct error *);
    /* Takes an exclusive lock that dies with the process, kept until env_close(); Q_CONFLICT if another holds
     * it. The file is made if need be. */
    int (*lock)(struct env *, const char *path, struct env_file **ret_file, struct error *);
    /* How many bytes the file system that holds PATH still takes from this process; UINT64_MAX if nothing
     * limits it. Others may take them before the next write does. */
    int (*space)(struct env *, const char *path, uint64_t *ret_free, struct error *);

    void (*submit_write)(struct env *, struct env_write *);

    /* ACCEPTED gets a new connection and must call env_conn_accept() or env_conn_close() before it returns.
     */
    int (*listen)(struct env *, const char *address, void (*accepted)(void *owner, struct env_conn *),
                  void *owner, struct env_listener **ret_listener, struct error *);
    void (*listener_close)(struct env_listener *); /* no callback after it; NULL is fine */
    /* Any failure, also a malformed address, comes as closed(). NULL when out of memory, and no closed(). */
    struct env_conn *(*connect)(struct env *, const char *address, const struct env_conn_callbacks *,
                                void *owner);
    void (*conn_accept)(struct env_conn *, const struct env_conn_callbacks *, void *owner);
    /* The bytes are given: freed with free() when sent or dropped. One call carries whole frames. */
    void (*send)(struct env_conn *, uint8_t *bytes, size_t n);
    size_t (*unsent)(struct env_conn *); /* bytes given to send() that the network has not taken yet */
    void (*conn_close)(struct env_conn *);
    /* The other end's address for log lines; copied into P, always terminated. */
    void (*conn_peer)(struct env_conn *, char *p, size_t n);
};

/* Implementations embed this as their first member. */
struct env {
    const struct env_ops *ops;
};

/* Thin calls, so that callers read as sentences. Contracts are in the table above. */
uint64_t env_now_us(struct env *env);
uint64_t env_now_ms(struct env *env);
uint64_t env_wall_ms(struct env *env);
void env_random(struct env *env, void *p, size_t n);
struct env_timer *env_timer_new(struct env *env, void (*fire)(void *owner), void *owner);
void env_timer_start(struct env *env, struct env_timer *t, uint64_t at_us);
void env_timer_stop(struct env *env, struct env_timer *t);
void env_timer_free(struct env *env, struct env_timer *t);
void env_run(struct env *env, struct env_work *work);
int env_open(struct env *env, const char *path, unsigned flags, struct env_file **ret_file, struct error *e);
void env_close(struct env *env, struct env_file *f);
int env_size(struct env *env, struct env_file *f, uint64_t *ret_size, struct error *e);
int env_read(struct env *env, struct env_file *f, uint64_t offset, void *p, size_t n, size_t *ret_n,
             struct error *e);
int env_write(struct env *env, struct env_file *f, uint64_t offset, const void *p, size_t n, struct error *e);
int env_sync(struct env *env, struct env_file *f, struct error *e);
int env_rename(struct env *env, const char *from, const char *to, struct error *e);
int env_unlink(struct env *env, const char *path, struct error *e);
int env_make_dir(struct env *env, const char *path, struct error *e);
int env_sync_dir(struct env *env, const char *path, struct error *e);
int env_list_dir(struct env *env, const char *path, void (*each)(void *ctx, const char *name), void *ctx,
                 struct error *e);
int env_lock(struct env *env, const char *path, struct env_file **ret_file, struct error *e);
int env_space(struct env *env, const char *path, uint64_t *ret_free, struct error *e);
void env_submit_write(struct env *env, struct env_write *w);
int env_listen(struct env *env, const char *address, void (*accepted)(void *owner, struct env_conn *),
               void *owner, struct env_listener **ret_listener, struct error *e);
void env_listener_close(struct env *env, struct env_listener *l);
struct env_conn *env_connect(struct env *env, const char *address, const struct env_conn_callbacks *callbacks,
                             void *owner);
void env_conn_accept(struct env *env, struct env_conn *c, const struct env_conn_callbacks *callbacks,
                     void *owner);
void env_send(struct env *env, struct env_conn *c, uint8_t *bytes, size_t n);
size_t env_unsent(struct env *env, struct env_conn *c);
void env_conn_close(struct env *env, struct env_conn *c);
void env_conn_peer(struct env *env, struct env_conn *c, char *p, size_t n);

#endif
