#include "cluster/session.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "cluster/join_message.h"

enum { SESSION_MAGIC = 0x5e551000 };

static void start_timer(struct session *s, uint64_t ms)
{
    env_timer_start(s->hub->env, s->timer, env_now_us(s->hub->env) + ms * 1000);
}

/* How long a READY session may be silent. The acceptor waits longer, so that normally the dialler notices
 * first and dials again at once. */
static uint64_t idle_ms(const struct session *s)
{
    if (s->handshake.guest) {
        return SESSION_GUEST_MS;
    }
    return s->handshake.role == HANDSHAKE_DIALLER ? SESSION_DIALLER_IDLE_MS : SESSION_ACCEPTOR_IDLE_MS;
}

static void give(struct session *s, uint8_t *bytes, size_t n)
{
    hub_count(s->hub, HUB_BYTES_SENT, n);
    env_send(s->hub->env, s->conn, bytes, n);
}

static void who(const struct session *s, char *text, size_t n)
{
    char from[PEERS_ADDRESS_MAX + 1];

    if (s->meant != NULL) {
        snprintf(text, n, "node %" PRIu64 " at %s", s->meant->id, s->address);
        return;
    }
    if (s->handshake.role == HANDSHAKE_DIALLER) {
        snprintf(text, n, "%s", s->address);
        return;
    }
    env_conn_peer(s->hub->env, s->conn, from, sizeof from);
    if (s->handshake.id != 0) {
        snprintf(text, n, "%s that calls itself node %" PRIu64, from, s->handshake.id);
    } else {
        snprintf(text, n, "%s", from);
    }
}

void session_close(struct session *s)
{
    if (s->state != SESSION_NONE && s->state != SESSION_CLOSING) {
        s->state = SESSION_CLOSING;
        env_timer_stop(s->hub->env, s->timer);
        env_conn_close(s->hub->env, s->conn);
    }
}

void session_drop(struct session *s)
{
    if (s->state != SESSION_NONE) {
        s->state = SESSION_NONE;
        s->conn = NULL;
        env_timer_free(s->hub->env, s->timer);
        s->timer = NULL;
        frame_decoder_close(&s->decoder);
        s->magic = 0;
    }
}

void session_bad_frame(struct session *s)
{
    hub_count(s->hub, HUB_BAD_FRAMES, 1);
    session_close(s);
}

/* The last words: they are to be read before the connection ends. */
static void linger(struct session *s, uint8_t *bytes, size_t n)
{
    give(s, bytes, n);
    s->state = SESSION_LINGERING;
    start_timer(s, SESSION_LINGER_MS);
}

/* Leaves the handshake. TELL are whole frames for the other side (given), NULL for none. */
static void refuse(struct session *s, enum hub_metric by, uint8_t *tell, size_t n, const struct error *why)
{
    char name[SESSION_WHO_MAX];

    who(s, name, sizeof name);
    if (tell != NULL) {
        linger(s, tell, n);
    } else {
        session_close(s);
    }
    s->callbacks->refused(s->owner, by, name, why);
}

void session_refuse(struct session *s, const struct error *why)
{
    if (s->state == SESSION_CONNECTING || s->state == SESSION_SHAKING) {
        refuse(s, HUB_REFUSED_HERE, NULL, 0, why);
    }
}

/* An acceptor gets a member's frames; a dialler nothing but small control frames. A guest asks one question
 * and gets one answer. */
static size_t frame_max(const struct session *s)
{
    bool acceptor = s->handshake.role == HANDSHAKE_ACCEPTOR;

    if (s->handshake.guest) {
        return acceptor ? JOIN_ASK_BYTES_MAX : JOIN_ANSWER_BYTES_MAX;
    }
    return acceptor ? PEERS_FRAME_MAX : HANDSHAKE_READ_MAX;
}

static void shake(struct session *s, const struct frame *f)
{
    struct error e;
    struct buf out;
    uint8_t *bytes;
    size_t n;
    int rc;

    buf_init(&out, HANDSHAKE_READ_MAX);
    rc = handshake_receive(&s->handshake, f, &out, &e);
    if (out.failed != Q_OK) {
        buf_close(&out);
    }
    bytes = buf_detach(&out, &n);
    if (s->state == SESSION_CLOSING) { /* the owner closed it when it was asked to admit */
        free(bytes);
    } else if (rc != 0) {
        refuse(s, s->handshake.state == HANDSHAKE_REFUSED_THERE ? HUB_REFUSED_THERE : HUB_REFUSED_HERE, bytes,
               n, &e);
    } else {
        if (bytes != NULL) {
            give(s, bytes, n);
        }
        if (s->handshake.state == HANDSHAKE_DONE) {
            s->state = SESSION_READY;
            s->was_ready = true;
            s->last_byte_us = env_now_us(s->hub->env);
            s->decoder.max = frame_max(s);
            start_timer(s, idle_ms(s));
            s->callbacks->ready(s->owner);
        }
    }
}

static void on_opened(void *owner)
{
    struct session *s = CAST(struct session, owner, SESSION_MAGIC);
    struct buf out;
    struct error e;
    uint8_t *bytes;
    size_t n;

    if (s->state != SESSION_CONNECTING) {
        return;
    }
    s->state = SESSION_SHAKING;
    buf_init(&out, HANDSHAKE_READ_MAX);
    handshake_start(&s->handshake, &out);
    if (buf_check(&out, "a handshake", &e) != 0) {
        buf_close(&out);
        session_refuse(s, &e);
        return;
    }
    bytes = buf_detach(&out, &n);
    give(s, bytes, n);
}

/* True if the bytes may be looked at. */
static bool within_limit(struct session *s, size_t n)
{
    struct error e;

    s->unauthenticated += n;
    if (s->unauthenticated <= HANDSHAKE_READ_MAX || PLANTED("strangers_may_send_without_limit")) {
        return true;
    }
    if (s->state == SESSION_SHAKING) {
        error_set(&e, Q_DENIED, "more than %d bytes came before the handshake was done", HANDSHAKE_READ_MAX);
        session_refuse(s, &e);
    } else {
        session_close(s);
    }
    return false;
}

static void on_received(void *owner, const uint8_t *bytes, size_t n)
{
    struct session *s = CAST(struct session, owner, SESSION_MAGIC);
    struct cursor in = cursor_of(bytes, n);
    struct frame f;
    struct error e;
    bool whole;

    if (s->state == SESSION_CLOSING) {
        return;
    }
    hub_count(s->hub, HUB_BYTES_RECEIVED, n);
    if (!s->handshake.guest || PLANTED("guests_stay_while_they_say_something")) {
        s->last_byte_us = env_now_us(s->hub->env);
    }
    if (s->state != SESSION_READY && !within_limit(s, n)) {
        return;
    }
    while (cursor_left(&in) > 0 && (s->state == SESSION_SHAKING || s->state == SESSION_READY)) {
        if (frame_decode(&s->decoder, &in, &f, &whole, &e) != 0) {
            session_refuse(s, &e);
            session_bad_frame(s);
            return;
        }
        if (!whole) {
            break;
        }
        if (s->state == SESSION_SHAKING) {
            shake(s, &f);
        } else {
            s->callbacks->frame(s->owner, &f);
        }
    }
    if (s->state == SESSION_READY) {
        s->callbacks->progress(s->owner);
    }
}

static void on_drained(void *owner)
{
    struct session *s = CAST(struct session, owner, SESSION_MAGIC);
    if (s->state == SESSION_READY) {
        s->callbacks->drained(s->owner);
    }
}

static void on_closed(void *owner, const struct error *why)
{
    struct session *s = CAST(struct session, owner, SESSION_MAGIC);
    struct hub *hub = s->hub;

    if (s->state == SESSION_SHAKING && (s->handshake.role == HANDSHAKE_DIALLER || s->unauthenticated > 0)) {
        struct error e;
        char name[SESSION_WHO_MAX];
        s->state = SESSION_CLOSING; /* the callback may want to close it */
        error_set(&e, Q_CLOSED, "the connection ended before the handshake did: %s",
                  why != NULL ? why->text : "closed");
        who(s, name, sizeof name);
        s->callbacks->refused(s->owner, HUB_REFUSED_THERE, name, &e);
    }
    session_drop(s);
    s->callbacks->ended(s->owner, s->was_ready); /* may free S */
    hub_session_ended(hub);
}

static void on_time(void *owner)
{
    struct session *s = CAST(struct session, owner, SESSION_MAGIC);
    struct error e;
    uint64_t until;

    switch (s->state) {
    case SESSION_CONNECTING:
    case SESSION_LINGERING: session_close(s); break;
    case SESSION_SHAKING:
        error_set(&e, Q_TIMEOUT, "the handshake was not done within %d ms", SESSION_SHAKE_MS);
        session_refuse(s, &e);
        break;
    case SESSION_READY:
        until = s->last_byte_us + idle_ms(s) * 1000;
        if (env_now_us(s->hub->env) >= until && !PLANTED("silent_connections_stay")) {
            session_close(s);
        } else {
            env_timer_start(s->hub->env, s->timer, until);
        }
        break;
    case SESSION_NONE:
    case SESSION_CLOSING: break;
    }
}

static int start(struct session *s, struct hub *hub, enum handshake_role role, struct hub_member *to,
                 const struct session_callbacks *callbacks, void *owner, struct error *e)
{
    uint8_t nonce[HANDSHAKE_NONCE_BYTES] = {0};

    assert(s->state == SESSION_NONE);
    *s = (struct session){
        .magic = SESSION_MAGIC, .hub = hub, .meant = to, .callbacks = callbacks, .owner = owner};
    s->timer = env_timer_new(hub->env, on_time, s);
    if (s->timer == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a timer");
    }
    if (!PLANTED("nonces_are_all_the_same")) {
        env_random(hub->env, nonce, sizeof nonce);
    }
    handshake_init(&s->handshake, &hub->self, role, to != NULL ? to->id : 0, nonce);
    frame_decoder_init(&s->decoder, HANDSHAKE_READ_MAX);
    return 0;
}

static const struct env_conn_callbacks conn_callbacks = {
    .opened = on_opened, .received = on_received, .drained = on_drained, .closed = on_closed};

int session_dial(struct session *s, struct hub *hub, struct hub_member *to, const char *address,
                 const struct session_callbacks *callbacks, void *owner, struct error *e)
{
    int rc = start(s, hub, HANDSHAKE_DIALLER, to, callbacks, owner, e);

    if (rc != 0) {
        return rc;
    }
    snprintf(s->address, sizeof s->address, "%s", address);
    s->conn = env_connect(hub->env, s->address, &conn_callbacks, s);
    if (s->conn == NULL) {
        env_timer_free(hub->env, s->timer);
        return error_set(e, Q_NOMEM, "out of memory for a connection");
    }
    s->state = SESSION_CONNECTING;
    start_timer(s, SESSION_SHAKE_MS);
    hub_session_starts(hub);
    return 0;
}

int session_accept(struct session *s, struct hub *hub, struct env_conn *conn,
                   const struct session_callbacks *callbacks, void *owner, struct error *e)
{
    int rc = start(s, hub, HANDSHAKE_ACCEPTOR, NULL, callbacks, owner, e);

    if (rc != 0) {
        env_conn_close(hub->env, conn);
        return rc;
    }
    s->conn = conn;
    s->state = SESSION_SHAKING;
    env_conn_accept(hub->env, conn, &conn_callbacks, s);
    start_timer(s, SESSION_SHAKE_MS);
    hub_session_starts(hub);
    return 0;
}

void session_send(struct session *s, uint8_t *bytes, size_t n)
{
    if (s->state == SESSION_READY) {
        give(s, bytes, n);
    } else {
        free(bytes);
    }
}

void session_say(struct session *s, enum session_control type, struct buf *body, bool last)
{
    size_t n = FRAME_HEADER_BYTES + body->len;
    uint8_t *bytes = body->failed == Q_OK ? malloc(n) : NULL;

    if (bytes != NULL) {
        frame_write(bytes, (uint8_t)type, FRAME_CONTROL, body->data, body->len);
    }
    buf_close(body);
    if (bytes == NULL || s->state != SESSION_READY) {
        free(bytes);
        session_close(s);
    } else if (last) {
        linger(s, bytes, n);
    } else {
        give(s, bytes, n);
    }
}

size_t session_unsent(const struct session *s)
{
    assert(s->state == SESSION_READY);
    return env_unsent(s->hub->env, s->conn);
}

void session_send_control(struct session *s, enum session_control type)
{
    uint8_t *bytes = malloc(FRAME_HEADER_BYTES);
    if (bytes != NULL) {
        frame_write(bytes, (uint8_t)type, FRAME_CONTROL, NULL, 0);
        session_send(s, bytes, FRAME_HEADER_BYTES);
    }
}
