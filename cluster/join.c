#include "cluster/join.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"
#include "cluster/hub.h"
#include "cluster/session.h"

enum { JOIN_MAGIC = 0x51c0de21 };

struct join {
    OBJECT_MAGIC;
    struct join_config config;
    char addresses[JOIN_ADDRESSES_MAX][PEERS_ADDRESS_MAX + 1];
    struct join_ask ask;
    struct hub hub; /* a guest's */
    struct session session;
    struct env_timer *timer; /* no session: to dial, or to end; else the deadline */
    unsigned next;           /* address */
    bool over;               /* done() is all that is left to come */
    struct join_answer answer;
    struct error attempt;      /* why this one does not succeed, if it ends now */
    struct error trouble;      /* the last one; Q_OK: nothing went wrong yet, or it is a member */
    void (*closed)(void *ctx); /* is all that is left to come; NULL: done() is */
};

static bool is_final(enum error_code code)
{
    return code == Q_CONFLICT || code == Q_MISMATCH || code == Q_INVALID || code == Q_DENIED ||
           code == Q_TOO_BIG;
}

static void start_timer(struct join *j, uint64_t at_ms)
{
    at_ms = at_ms < j->config.deadline_ms ? at_ms : j->config.deadline_ms;
    if (at_ms != UINT64_MAX) {
        env_timer_start(j->hub.env, j->timer, at_ms * 1000);
    }
}

static void on_ready(void *owner)
{
    struct join *j = CAST(struct join, owner, JOIN_MAGIC);
    struct buf body;

    error_set(&j->attempt, Q_CLOSED, "%s: the connection ended before an answer came", j->session.address);
    buf_init(&body, JOIN_ASK_BYTES_MAX);
    join_ask_put(&body, &j->ask);
    session_say(&j->session, SESSION_JOIN, &body, false);
}

static void on_frame(void *owner, const struct frame *f)
{
    struct join *j = CAST(struct join, owner, JOIN_MAGIC);

    if (f->flags != FRAME_CONTROL || f->type != SESSION_JOINED) {
        session_bad_frame(&j->session);
        return;
    }
    if (join_answer_get(f->body, f->len, &j->answer, &j->attempt) == 0) {
        j->attempt = j->answer.error;
    }
    session_close(&j->session);
}

static void on_nothing(void *owner)
{
    (void)owner;
}

static void on_refused(void *owner, enum hub_metric by, const char *who, const struct error *why)
{
    struct join *j = CAST(struct join, owner, JOIN_MAGIC);

    (void)by;
    j->attempt = *why;
    error_wrap(&j->attempt, "%s", who);
}

/* What comes next comes in a round of its own: the session that ends is a part of J. */
static void on_ended(void *owner, bool was_ready)
{
    struct join *j = CAST(struct join, owner, JOIN_MAGIC);

    (void)was_ready;
    j->trouble = j->attempt;
    j->over =
        j->trouble.code == Q_OK || (is_final(j->trouble.code) && !PLANTED("refused_nodes_ask_for_ever"));
    start_timer(j, j->over || j->closed != NULL ? 0 : env_now_ms(j->hub.env) + JOIN_AGAIN_MS);
}

static const struct session_callbacks session_callbacks = {
    .ready = on_ready,
    .frame = on_frame,
    .progress = on_nothing,
    .drained = on_nothing,
    .refused = on_refused,
    .ended = on_ended,
};

static void dial(struct join *j)
{
    const char *address = j->addresses[j->next++ % j->config.count];

    error_set(&j->attempt, Q_CLOSED, "%s cannot be reached", address);
    if (session_dial(&j->session, &j->hub, NULL, address, &session_callbacks, j, &j->attempt) == 0) {
        start_timer(j, UINT64_MAX);
    } else {
        j->trouble = j->attempt;
        start_timer(j, env_now_ms(j->hub.env) + JOIN_AGAIN_MS);
    }
}

/* Everything has ended: the last callback, in which J may be freed. */
static void finish(struct join *j)
{
    void (*closed)(void *) = j->closed;
    void *ctx = j->config.ctx;

    if (closed != NULL) {
        join_free(j);
        closed(ctx);
        return;
    }
    if (!j->over) {
        error_wrap(&j->trouble, "no answer in time");
        j->trouble.code = Q_TIMEOUT;
    }
    j->config.done(ctx, &j->answer, j->trouble.code != Q_OK ? &j->trouble : NULL);
}

static void on_time(void *owner)
{
    struct join *j = CAST(struct join, owner, JOIN_MAGIC);
    bool late = env_now_ms(j->hub.env) >= j->config.deadline_ms;

    if (j->session.state != SESSION_NONE) {
        session_close(&j->session); /* too late: ended() comes */
    } else if (j->over || j->closed != NULL || late) {
        finish(j);
    } else {
        dial(j);
    }
}

static int check(const struct join_config *c, struct error *e)
{
    size_t n = strlen(c->ask->address);

    if (c->count == 0 || c->count > JOIN_ADDRESSES_MAX) {
        return error_set(e, Q_INVALID, "1 to %d addresses of members can be given, not %u",
                         JOIN_ADDRESSES_MAX, c->count);
    }
    for (unsigned i = 0; i < c->count; i++) {
        size_t len = strlen(c->addresses[i]);
        if (len == 0 || !hello_address_ok(c->addresses[i], len)) {
            return error_set(e, Q_INVALID, "\"%s\" is not the host:port of a member", c->addresses[i]);
        }
    }
    if (n == 0 || !hello_address_ok(c->ask->address, n) ||
        !hello_address_ok(c->ask->api_address, strlen(c->ask->api_address))) {
        return error_set(e, Q_INVALID, "a node that joins needs a host:port of its own that others can dial");
    }
    return 0;
}

int join_new(const struct join_config *config, struct join **ret_join, struct error *e)
{
    struct join *j;
    int rv = check(config, e);

    if (rv != 0) {
        return rv;
    }
    j = calloc(1, sizeof *j);
    if (j == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a node that joins");
    }
    j->magic = JOIN_MAGIC;
    j->config = *config;
    j->ask = *config->ask;
    j->config.ask = &j->ask;
    for (unsigned i = 0; i < config->count; i++) {
        snprintf(j->addresses[i], sizeof j->addresses[i], "%s", config->addresses[i]);
    }
    rv = hub_init_guest(&j->hub, config->env, config->secret, config->secret_len, e);
    if (rv == 0 && (j->timer = env_timer_new(config->env, on_time, j)) == NULL) {
        rv = error_set(e, Q_NOMEM, "out of memory for a timer");
    }
    if (rv != 0) {
        join_free(j);
        return rv;
    }
    start_timer(j, 0);
    *ret_join = j;
    return 0;
}

const char *join_trouble(const struct join *j)
{
    return j->trouble.text;
}

void join_close(struct join *j, void (*closed)(void *ctx))
{
    j->closed = closed;
    if (j->session.state != SESSION_NONE) {
        session_close(&j->session);
    } else {
        start_timer(j, 0);
    }
}

void join_free(struct join *j)
{
    if (j == NULL) {
        return;
    }
    session_drop(&j->session);
    env_timer_free(j->config.env, j->timer);
    hub_close(&j->hub);
    j->magic = 0;
    free(j);
}
