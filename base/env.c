#include "base/env.h"

uint64_t env_now_us(struct env *env)
{
    return env->ops->now_us(env);
}

uint64_t env_now_ms(struct env *env)
{
    return env->ops->now_us(env) / 1000;
}

uint64_t env_wall_ms(struct env *env)
{
    return env->ops->wall_ms(env);
}

void env_random(struct env *env, void *p, size_t n)
{
    env->ops->random(env, p, n);
}

struct env_timer *env_timer_new(struct env *env, void (*fire)(void *owner), void *owner)
{
    return env->ops->timer_new(env, fire, owner);
}

void env_timer_start(struct env *env, struct env_timer *t, uint64_t at_us)
{
    env->ops->timer_start(t, at_us);
}

void env_timer_stop(struct env *env, struct env_timer *t)
{
    env->ops->timer_stop(t);
}

void env_timer_free(struct env *env, struct env_timer *t)
{
    env->ops->timer_free(t);
}

void env_run(struct env *env, struct env_work *work)
{
    env->ops->run(env, work);
}

int env_open(struct env *env, const char *path, unsigned flags, struct env_file **ret_file, struct error *e)
{
    return env->ops->open(env, path, flags, ret_file, e);
}

void env_close(struct env *env, struct env_file *f)
{
    env->ops->close(f);
}

int env_size(struct env *env, struct env_file *f, uint64_t *ret_size, struct error *e)
{
    return env->ops->size(f, ret_size, e);
}

int env_read(struct env *env, struct env_file *f, uint64_t offset, void *p, size_t n, size_t *ret_n,
             struct error *e)
{
    return env->ops->read(f, offset, p, n, ret_n, e);
}

int env_write(struct env *env, struct env_file *f, uint64_t offset, const void *p, size_t n, struct error *e)
{
    return env->ops->write(f, offset, p, n, e);
}

int env_sync(struct env *env, struct env_file *f, struct error *e)
{
    return env->ops->sync(f, e);
}

int env_rename(struct env *env, const char *from, const char *to, struct error *e)
{
    return env->ops->rename(env, from, to, e);
}

int env_unlink(struct env *env, const char *path, struct error *e)
{
    return env->ops->unlink(env, path, e);
}

int env_make_dir(struct env *env, const char *path, struct error *e)
{
    return env->ops->make_dir(env, path, e);
}

int env_sync_dir(struct env *env, const char *path, struct error *e)
{
    return env->ops->sync_dir(env, path, e);
}

int env_list_dir(struct env *env, const char *path, void (*each)(void *ctx, const char *name), void *ctx,
                 struct error *e)
{
    return env->ops->list_dir(env, path, each, ctx, e);
}

int env_lock(struct env *env, const char *path, struct env_file **ret_file, struct error *e)
{
    return env->ops->lock(env, path, ret_file, e);
}

int env_space(struct env *env, const char *path, uint64_t *ret_free, struct error *e)
{
    return env->ops->space(env, path, ret_free, e);
}

void env_submit_write(struct env *env, struct env_write *w)
{
    env->ops->submit_write(env, w);
}

int env_listen(struct env *env, const char *address, void (*accepted)(void *owner, struct env_conn *),
               void *owner, struct env_listener **ret_listener, struct error *e)
{
    return env->ops->listen(env, address, accepted, owner, ret_listener, e);
}

void env_listener_close(struct env *env, struct env_listener *l)
{
    env->ops->listener_close(l);
}

struct env_conn *env_connect(struct env *env, const char *address, const struct env_conn_callbacks *callbacks,
                             void *owner)
{
    return env->ops->connect(env, address, callbacks, owner);
}

void env_conn_accept(struct env *env, struct env_conn *c, const struct env_conn_callbacks *callbacks,
                     void *owner)
{
    env->ops->conn_accept(c, callbacks, owner);
}

void env_send(struct env *env, struct env_conn *c, uint8_t *bytes, size_t n)
{
    env->ops->send(c, bytes, n);
}

size_t env_unsent(struct env *env, struct env_conn *c)
{
    return env->ops->unsent(c);
}

void env_conn_close(struct env *env, struct env_conn *c)
{
    env->ops->conn_close(c);
}

void env_conn_peer(struct env *env, struct env_conn *c, char *p, size_t n)
{
    env->ops->conn_peer(c, p, n);
}
