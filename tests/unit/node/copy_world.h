/* copy_world: the node's API over the fake replica, with real files, for the copies that come and go by HTTP.
 */
#ifndef QUORATE_TEST_COPY_WORLD_H
#define QUORATE_TEST_COPY_WORLD_H

#include <sqlite3.h>
#include <sys/socket.h>

#include "node/env/env_uv.h"
#include "node/http/spool.h"
#include "tests/unit/node/api_world.h"
#include "tests/unit/node/scratch.h"
#include "tests/unit/test.h"

struct copy_world {
    struct api_world *w;
    struct env_uv *env;
    struct scratch scratch;
    char dir[200];
    bool closed;
    /* Of the last answer, as it came. */
    struct buf heard;
    int status;
    const uint8_t *body;
    size_t body_len;
};

static inline int copy_world_open(void **state)
{
    static struct copy_world world;
    struct copy_world *s = &world;
    struct env_uv_config config = {.readers = 2, .no_io_uring = true};
    struct error e;
    void *opened;

    memset(s, 0, sizeof *s);
    scratch_open(&s->scratch);
    snprintf(s->dir, sizeof s->dir, "%s", s->scratch.dir);
    assert_int_equal(api_world_open(&opened), 0);
    s->w = opened;
    config.loop = &s->w->http.loop;
    assert_int_equal(env_uv_new(&config, &s->env, &e), 0);
    s->w->api->config.env = env_uv_env(s->env);
    s->w->replica.status.disk_free = UINT64_MAX;
    s->w->replica.snapshot_dir = s->dir;
    assert_int_equal(spool_open(s->w->api, &e), 0);
    buf_init(&s->heard, SIZE_MAX);
    *state = s;
    return 0;
}

static inline void copy_world_on_closed(void *owner)
{
    ((struct copy_world *)owner)->closed = true;
}

static inline bool copy_world_is_closed(void *arg)
{
    return ((struct copy_world *)arg)->closed;
}

static inline int copy_world_close(void **state)
{
    struct copy_world *s = *state;

    world_stop(&s->w->http);
    fake_replica_end_takes(&s->w->replica);
    api_free(s->w->api);
    env_uv_close(s->env, copy_world_on_closed, s);
    world_until(&s->w->http, copy_world_is_closed, s);
    world_close(&s->w->http);
    fake_replica_close(&s->w->replica);
    free(s->w);
    buf_close(&s->heard);
    scratch_close(&s->scratch);
    return 0;
}

/* Reads what comes until the server closes. */
static inline void copy_world_hear(struct copy_world *s, int fd)
{
    uint8_t bytes[64 * 1024];
    ssize_t n;

    buf_clear(&s->heard);
    while ((n = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) != 0) {
        if (n > 0) {
            buf_put_bytes(&s->heard, bytes, (size_t)n);
        }
        world_turn(&s->w->http);
    }
    close(fd);
    const uint8_t *split = memmem(s->heard.data, s->heard.len, "\r\n\r\n", 4);
    assert_non_null(split);
    s->status = (int)strtol((char *)s->heard.data + 9, NULL, 10);
    s->body = split + 4;
    s->body_len = s->heard.len - (size_t)(s->body - s->heard.data);
}

static inline void copy_world_get(struct copy_world *s, const char *target)
{
    char text[1000];
    int fd = world_dial(&s->w->http);

    snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", target);
    world_say(&s->w->http, fd, text);
    copy_world_hear(s, fd);
}

static inline void copy_world_post(struct copy_world *s, const char *target, const void *p, size_t n)
{
    char text[1000];
    int fd = world_dial(&s->w->http);

    snprintf(text, sizeof text,
             "POST %s HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", target, n);
    world_say(&s->w->http, fd, text);
    world_send(&s->w->http, fd, p, n);
    copy_world_hear(s, fd);
}

static inline void copy_world_expect(struct copy_world *s, int status, const char *body)
{
    if (s->status != status || s->body_len != strlen(body) || memcmp(s->body, body, s->body_len) != 0) {
        fail_msg("%d %.*s instead of %d %s", s->status, (int)s->body_len, (const char *)s->body, status,
                 body);
    }
}

/* Files that nobody needs any more: waits until they are gone. */
static inline bool copy_world_spool_is_empty(void *arg)
{
    struct copy_world *s = arg;
    char path[300];

    for (unsigned i = 0; i < 10; i++) {
        snprintf(path, sizeof path, "%s/spool/%u", s->dir, i);
        if (access(path, F_OK) == 0) {
            return false;
        }
    }
    return true;
}

#endif
