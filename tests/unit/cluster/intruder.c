#include "tests/unit/cluster/intruder.h"

static bool member(void *ctx, uint64_t id)
{
    (void)ctx;
    (void)id;
    return true;
}

static void describe(void *ctx, uint64_t id, struct peers_life *ret_own, struct peers_life *ret_seen)
{
    (void)ctx;
    *ret_own = (struct peers_life){.boots = id};
    *ret_seen = (struct peers_life){.boots = 0};
}

static int check(void *ctx, uint64_t id, const struct peers_life *seen, struct error *e)
{
    (void)ctx;
    (void)id;
    (void)seen;
    (void)e;
    return 0;
}

static void met(void *ctx, uint64_t id, const struct peers_life *life)
{
    (void)ctx;
    (void)id;
    (void)life;
}

static uint64_t removed(void *ctx, uint64_t id)
{
    (void)ctx;
    (void)id;
    return 0;
}

static void introduced(void *ctx, uint64_t id, const char *address)
{
    (void)ctx;
    (void)id;
    (void)address;
}

static void told_removed(void *ctx, uint64_t by, uint64_t index)
{
    (void)ctx;
    (void)by;
    (void)index;
}

static int admit(void *ctx, uint64_t id, uint64_t incarnation, struct error *e)
{
    (void)ctx;
    (void)id;
    (void)incarnation;
    (void)e;
    return 0;
}

void intruder_init(struct intruder *i, struct sim *sim, struct env *env, uint64_t id)
{
    static const char secret[] = "correct horse battery staple";
    *i = (struct intruder){.sim = sim, .env = env, .closes_refused = true};
    i->self = (struct handshake_self){.id = id,
                                      .incarnation = 900,
                                      .cluster_id = {0xc1},
                                      .api_address = "",
                                      .address = "n2:9000",
                                      .secret = (const uint8_t *)secret,
                                      .secret_len = sizeof secret - 1,
                                      .member = member,
                                      .removed = removed,
                                      .told_removed = told_removed,
                                      .introduced = introduced,
                                      .admit = admit,
                                      .describe = describe,
                                      .check = check,
                                      .met = met};
    frame_decoder_init(&i->decoder, PEERS_FRAME_MAX);
}

void intruder_free(struct intruder *i)
{
    frame_decoder_close(&i->decoder);
}

static void say(struct intruder *i, struct buf *out)
{
    size_t n;
    uint8_t *bytes = buf_detach(out, &n);
    if (bytes != NULL) {
        env_send(i->env, i->conn, bytes, n);
    }
}

static void begin(struct intruder *i, enum handshake_role role)
{
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];
    env_random(i->env, nonce, sizeof nonce);
    handshake_init(&i->handshake, &i->self, role, 1, nonce);
}

static void on_opened(void *owner)
{
    struct intruder *i = owner;
    i->opened++;
    if (i->shakes) {
        struct buf out;
        buf_init(&out, 2000);
        handshake_start(&i->handshake, &out);
        say(i, &out);
    }
}

static void on_frame(struct intruder *i, const struct frame *f)
{
    if (i->shakes && i->handshake.state == HANDSHAKE_GOING) {
        struct buf out;
        struct error e;
        buf_init(&out, 2000);
        i->refused = handshake_receive(&i->handshake, f, &out, &e) != 0;
        say(i, &out);
    } else {
        assert_in_range(i->n_frames, 0, INTRUDER_FRAMES_MAX - 1);
        i->frames[i->n_frames].type = f->type;
        i->frames[i->n_frames].flags = f->flags;
        i->frames[i->n_frames++].len = f->len;
        i->refused = i->refused || ((f->flags & FRAME_CONTROL) != 0 && f->type == HANDSHAKE_REFUSED);
    }
    if (i->refused && i->closes_refused) {
        intruder_close(i);
    }
}

static void on_received(void *owner, const uint8_t *bytes, size_t n)
{
    struct intruder *i = owner;
    struct cursor in = cursor_of(bytes, n);
    while (cursor_left(&in) > 0) {
        struct frame f;
        struct error e;
        bool whole;
        assert_int_equal(frame_decode(&i->decoder, &in, &f, &whole, &e), 0);
        if (whole) {
            on_frame(i, &f);
        }
    }
}

static void on_drained(void *owner)
{
    (void)owner;
}

static void on_closed(void *owner, const struct error *why)
{
    struct intruder *i = owner;
    (void)why;
    i->closed++;
    i->closed_us = sim_now_us(i->sim);
    i->conn = NULL;
}

static const struct env_conn_callbacks callbacks = {on_opened, on_received, on_drained, on_closed};

void intruder_dial(struct intruder *i, const char *address)
{
    begin(i, HANDSHAKE_DIALLER);
    i->conn = env_connect(i->env, address, &callbacks, i);
}

void intruder_accept(struct intruder *i, struct env_conn *conn)
{
    begin(i, HANDSHAKE_ACCEPTOR);
    i->conn = conn;
    i->opened++;
    env_conn_accept(i->env, conn, &callbacks, i);
}

void intruder_send(struct intruder *i, const void *bytes, size_t n)
{
    if (i->conn != NULL) {
        env_send(i->env, i->conn, memcpy(malloc(n), bytes, n), n);
    }
}

void intruder_send_frame(struct intruder *i, uint8_t type, uint8_t flags, const void *body, size_t n)
{
    uint8_t *bytes = malloc(FRAME_HEADER_BYTES + n);
    frame_write(bytes, type, flags, body, n);
    intruder_send(i, bytes, FRAME_HEADER_BYTES + n);
    free(bytes);
}

void intruder_close(struct intruder *i)
{
    if (i->conn != NULL) {
        env_conn_close(i->env, i->conn);
    }
}

bool intruder_is_in(const struct intruder *i)
{
    return i->conn != NULL && i->handshake.state == HANDSHAKE_DONE;
}
