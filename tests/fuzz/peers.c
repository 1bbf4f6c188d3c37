/* peers: cluster/peers.h as strangers and members reach it: any bytes, in any pieces, before the handshake;
 * any frames behind one. What a member sent whole arrives as it was; nobody else is heard; and whatever came
 * before, a member still gets in. */
#include <string.h>

#include "cluster/frame.h"
#include "cluster/handshake.h"
#include "cluster/join_message.h"
#include "cluster/peers.h"
#include "cluster/session.h"
#include "tests/fuzz/target.h"
#include "tests/lib/sim.h"

enum { CONNECTIONS_MAX = 3, PIECES_MAX = 40, SECOND_US = 1000000, HEARD_MAX = 64 * 1024 };

static const uint8_t secret[] = "correct horse battery staple";
static const uint8_t cluster_id[PEERS_CLUSTER_ID_BYTES] = {0xc1};

struct scene {
    struct sim *sim;
    struct sim_node *node, *other;
    struct peers *peers;
    struct buf sent, heard; /* type, length and body of each frame of a member */
    bool guest_is_in;       /* somebody is about to ask to join, and knows the secret */
};

/* The other end of a connection. */
struct guest {
    struct env *env;
    struct env_conn *conn; /* NULL when it has ended */
    struct handshake_self self;
    struct handshake handshake;
    bool shakes, opened;
    size_t said;
    uint64_t said_us; /* when it last said something */
    struct frame_decoder decoder;
};

/* ---- the node ---- */

static void describe(void *ctx, uint64_t id, struct peers_life *ret_own, struct peers_life *ret_seen)
{
    (void)ctx;
    *ret_own = (struct peers_life){.boots = id};
    *ret_seen = (struct peers_life){.boots = 0};
}

static int check_life(void *ctx, uint64_t id, const struct peers_life *seen, struct error *e)
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

static uint64_t on_removed(void *ctx, uint64_t id)
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

static void on_moved(void *ctx, uint64_t id, const char *address)
{
    (void)ctx;
    FUZZ_CHECK(id == 2 && address[0] != 0, "only the member that proved itself moves");
}

static void on_asked(void *ctx, uint64_t guest, const struct join_ask *ask)
{
    struct scene *s = ctx;
    struct join_answer busy = {.error = {.code = Q_BUSY, .text = "later"}};

    FUZZ_CHECK(s->guest_is_in, "only who proved the secret asks");
    FUZZ_CHECK(ask->address[0] != 0 && hello_address_ok(ask->address, strlen(ask->address)),
               "and says where it is");
    s->guest_is_in = false; /* once */
    if (ask->id % 2 == 0) {
        peers_answer_guest(s->peers, guest, &busy);
    }
}

static int on_admit(void *ctx, uint64_t id, uint64_t incarnation, struct error *e)
{
    (void)ctx;
    (void)incarnation;
    return id == 2 ? 0 : error_set(e, Q_CONFLICT, "another directory has this id");
}

static void on_received(void *ctx, uint64_t from, uint8_t type, const uint8_t *body, size_t n)
{
    struct scene *s = ctx;
    FUZZ_CHECK(from == 2, "only the member that proved itself is heard");
    buf_put_u8(&s->heard, type);
    buf_put_blob(&s->heard, body, n);
}

static void on_up_or_down(void *ctx, uint64_t id)
{
    (void)ctx;
    (void)id;
}

static void on_refused(void *ctx, const char *who, const struct error *why)
{
    (void)ctx;
    FUZZ_CHECK(who[0] != 0 && why->code != Q_OK && why->text[0] != 0, "a refusal says whom and why");
    for (const char *p = why->text; *p != 0; p++) {
        FUZZ_CHECK(*p >= ' ' && *p <= '~', "in words fit for a log");
    }
}

static void scene_init(struct scene *s)
{
    static const struct peers_member members[] = {
        {.id = 1, .address = "one:1"}, {.id = 2, .address = "two:1"}, {.id = 3, .address = "three:1"}};
    struct peers_config config = {.id = 1,
                                  .incarnation = 101,
                                  .listen = "one:1",
                                  .api_address = "http://one:4001",
                                  .members = members,
                                  .count = 3,
                                  .secret = secret,
                                  .secret_len = sizeof secret - 1,
                                  .admit = on_admit,
                                  .describe = describe,
                                  .check = check_life,
                                  .met = met,
                                  .received = on_received,
                                  .moved = on_moved,
                                  .removed = on_removed,
                                  .told_removed = told_removed,
                                  .introduced = introduced,
                                  .asked_to_join = on_asked,
                                  .up = on_up_or_down,
                                  .down = on_up_or_down,
                                  .refused = on_refused,
                                  .ctx = s};
    struct error e;

    *s = (struct scene){.sim = sim_new(1)};
    s->node = sim_node_new(s->sim, "one");
    s->other = sim_node_new(s->sim, "two");
    memcpy(config.cluster_id, cluster_id, sizeof config.cluster_id);
    config.env = sim_node_boot(s->node);
    FUZZ_CHECK(peers_open(&config, &s->peers, &e) == 0, e.text);
    sim_node_boot(s->other);
    buf_init(&s->sent, HEARD_MAX);
    buf_init(&s->heard, HEARD_MAX);
}

static void scene_close(struct scene *s)
{
    sim_node_kill(s->node);
    sim_node_kill(s->other);
    peers_free(s->peers);
    sim_free(s->sim);
    buf_close(&s->sent);
    buf_close(&s->heard);
}

static void wait(struct scene *s, uint64_t us)
{
    sim_run_until(s->sim, sim_now_us(s->sim) + us);
}

/* ---- the guest ---- */

static void say(struct guest *g, const void *p, size_t n)
{
    uint8_t *bytes = malloc(n + 1);

    FUZZ_CHECK(bytes != NULL, "there is memory");
    if (g->conn == NULL || n == 0) {
        free(bytes);
        return;
    }
    memcpy(bytes, p, n);
    g->said += n;
    g->said_us = env_now_us(g->env);
    env_send(g->env, g->conn, bytes, n);
}

static void on_opened(void *owner)
{
    struct guest *g = owner;
    g->opened = true;
    if (g->shakes) {
        struct buf out;
        buf_init(&out, HANDSHAKE_READ_MAX);
        handshake_start(&g->handshake, &out);
        say(g, out.data, out.len);
        buf_close(&out);
    }
}

static void on_bytes(void *owner, const uint8_t *bytes, size_t n)
{
    struct guest *g = owner;
    struct cursor in = cursor_of(bytes, n);

    while (cursor_left(&in) > 0) {
        struct frame f;
        struct error e;
        bool whole;
        FUZZ_CHECK(frame_decode(&g->decoder, &in, &f, &whole, &e) == 0, "the node speaks in frames");
        if (whole && g->shakes && g->handshake.state == HANDSHAKE_GOING) {
            struct buf out;
            buf_init(&out, HANDSHAKE_READ_MAX);
            handshake_receive(&g->handshake, &f, &out, &e);
            say(g, out.data, out.len);
            buf_close(&out);
        }
    }
}

static void on_drained(void *owner)
{
    (void)owner;
}

static void on_closed(void *owner, const struct error *why)
{
    struct guest *g = owner;
    (void)why;
    g->conn = NULL;
}

static bool guest_is_member(void *ctx, uint64_t id)
{
    (void)ctx;
    return id == 1;
}

static int guest_admit(void *ctx, uint64_t id, uint64_t incarnation, struct error *e)
{
    (void)ctx;
    (void)id;
    (void)incarnation;
    (void)e;
    return 0;
}

/* Connects; a member (or whoever calls itself ID; 0: a guest) also shakes hands. */
static void guest_init(struct guest *g, struct scene *s, bool shakes, uint64_t id)
{
    static const struct env_conn_callbacks callbacks = {on_opened, on_bytes, on_drained, on_closed};
    static const uint8_t nonce[HANDSHAKE_NONCE_BYTES] = {1};

    *g = (struct guest){.env = sim_node_env(s->other),
                        .shakes = shakes,
                        .self = {.id = id,
                                 .incarnation = 102,
                                 .api_address = "http://two:4001",
                                 .address = "two:1",
                                 .secret = secret,
                                 .secret_len = sizeof secret - 1,
                                 .member = guest_is_member,
                                 .removed = on_removed,
                                 .told_removed = told_removed,
                                 .introduced = introduced,
                                 .admit = guest_admit,
                                 .describe = describe,
                                 .check = check_life,
                                 .met = met}};
    g->self.guest = id == 0;
    if (id != 0) {
        memcpy(g->self.cluster_id, cluster_id, sizeof g->self.cluster_id);
    }
    frame_decoder_init(&g->decoder, PEERS_FRAME_MAX);
    handshake_init(&g->handshake, &g->self, HANDSHAKE_DIALLER, 1, nonce);
    g->conn = env_connect(g->env, "one:1", &callbacks, g);
    wait(s, SECOND_US / 50);
    FUZZ_CHECK(g->opened, "a connection can be made");
}

static bool guest_is_in(const struct guest *g)
{
    return g->conn != NULL && g->handshake.state == HANDSHAKE_DONE;
}

/* So long that it may have been taken for dead: it sends no pings. */
static bool silent(const struct guest *g)
{
    return env_now_us(g->env) - g->said_us >= (SESSION_ACCEPTOR_IDLE_MS - 1000) * UINT64_C(1000);
}

static void guest_close(struct guest *g, struct scene *s)
{
    if (g->conn != NULL) {
        env_conn_close(g->env, g->conn);
    }
    wait(s, SECOND_US / 50);
    FUZZ_CHECK(g->conn == NULL, "a connection ends");
    frame_decoder_close(&g->decoder);
}

/* A frame, whole or in two pieces, that must arrive if the guest is in and said nothing wrong before. */
static void say_frame(struct guest *g, struct scene *s, struct cursor *input)
{
    uint8_t type = cursor_u8(input);
    struct cursor body = input_bytes(input, 400);
    size_t n = FRAME_HEADER_BYTES + cursor_left(&body), first;
    uint8_t *bytes = malloc(n);

    FUZZ_CHECK(bytes != NULL, "there is memory");
    frame_write(bytes, type, 0, body.p, cursor_left(&body));
    if (guest_is_in(g)) {
        buf_put_u8(&s->sent, type);
        buf_put_blob(&s->sent, body.p, cursor_left(&body));
    }
    first = input_range(input, 0, (uint32_t)n);
    say(g, bytes, first);
    say(g, bytes + first, n - first);
    free(bytes);
}

/* What a guest may say, and a little that it may not. */
static void say_join(struct guest *g, struct cursor *input)
{
    static const struct join_ask ask = {.id = 4, .address = "four:1", .cluster_name = "c"};
    uint8_t frame[FRAME_HEADER_BYTES + JOIN_ASK_BYTES_MAX];
    struct buf body;

    buf_init(&body, JOIN_ASK_BYTES_MAX);
    join_ask_put(&body, &ask);
    for (unsigned edits = input_range(input, 0, 2); edits > 0; edits--) {
        size_t at = input_range(input, 0, (uint32_t)body.len - 1);
        body.data[at] = cursor_u8(input);
    }
    frame_write(frame, SESSION_JOIN, FRAME_CONTROL, body.data, body.len);
    say(g, frame, FRAME_HEADER_BYTES + body.len);
    buf_close(&body);
}

static void visit(struct scene *s, struct cursor *input)
{
    static const uint64_t ids[] = {2, 2, 0, 3};
    struct guest g;
    bool wrong = false;

    guest_init(&g, s, input_range(input, 0, 1) == 1, ids[input_range(input, 0, 3)]);
    s->guest_is_in = g.self.guest && guest_is_in(&g);
    wrong = g.self.guest; /* whatever it says, it is not heard like a member */
    for (unsigned i = 0; i < PIECES_MAX && cursor_left(input) > 0; i++) {
        struct cursor raw;
        uint8_t control[FRAME_HEADER_BYTES];
        switch (input_range(input, 0, 7)) {
        case 0:
            wait(s, input_range(input, 0, 255) * UINT64_C(1000));
            wrong = wrong || silent(&g);
            break;
        case 1:
            raw = input_bytes(input, 400);
            wrong = wrong || cursor_left(&raw) > 0;
            say(&g, raw.p, cursor_left(&raw));
            break;
        case 2:
            frame_write(control, cursor_u8(input), FRAME_CONTROL, NULL, 0);
            wrong = true;
            say(&g, control, sizeof control);
            break;
        case 3: i = PIECES_MAX; break;
        case 4:
            wrong = true; /* for a member */
            say_join(&g, input);
            break;
        default:
            if (!wrong || g.self.guest) {
                say_frame(&g, s, input);
            }
        }
    }
    wait(s, SECOND_US / 10);
    if (!wrong) {
        FUZZ_CHECK(s->heard.len == s->sent.len &&
                       (s->sent.len == 0 || memcmp(s->heard.data, s->sent.data, s->sent.len) == 0),
                   "what a member sent is heard as it was");
    }
    FUZZ_CHECK(g.shakes || g.said <= HANDSHAKE_READ_MAX || g.conn == NULL,
               "a stranger that says much is not listened to");
    s->guest_is_in = false;
    FUZZ_CHECK(wrong || !g.shakes || g.self.id != 2 || guest_is_in(&g), "a member stays in");
    guest_close(&g, s);
    buf_clear(&s->sent);
    buf_clear(&s->heard);
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);
    struct guest member;
    struct scene s;

    scene_init(&s);
    for (unsigned i = input_range(&input, 1, CONNECTIONS_MAX); i > 0; i--) {
        visit(&s, &input);
    }
    guest_init(&member, &s, true, 2);
    FUZZ_CHECK(guest_is_in(&member), "a member gets in, whatever came before");
    guest_close(&member, &s);
    scene_close(&s);
}

static void seeds(struct seeds *s)
{
    struct buf b;
    uint8_t *to;

    buf_init(&b, FUZZ_INPUT_MAX);
    buf_put_u8(&b, 1); /* two connections; a member's with two frames */
    buf_put_u8(&b, 1);
    buf_put_u8(&b, 0);
    for (unsigned i = 0; i < 2; i++) {
        buf_put_u8(&b, 5);
        buf_put_u8(&b, 9);
        buf_put_u16(&b, 0x0500);
        buf_put_bytes(&b, "hello", 5);
        buf_put_u16(&b, 0);
    }
    buf_put_u8(&b, 2);
    buf_put_u8(&b, 6);
    buf_put_u8(&b, 3);
    buf_put_u8(&b, 0); /* and a stranger's with half a frame */
    buf_put_u8(&b, 0);
    buf_put_u8(&b, 1);
    buf_put_u16(&b, 0x1000);
    to = buf_reserve(&b, FRAME_HEADER_BYTES);
    frame_write(to, HANDSHAKE_HELLO, FRAME_CONTROL, "", 0);
    b.len += FRAME_HEADER_BYTES;
    buf_put_u8(&b, 0);
    buf_put_u8(&b, 200);
    seeds_add(s, "visits", b.data, b.len);

    buf_clear(&b); /* a stranger whose frame is too long by its header */
    buf_put_zeros(&b, 3);
    buf_put_u8(&b, 1);
    buf_put_u16(&b, 0x1000);
    to = buf_reserve(&b, FRAME_HEADER_BYTES + HANDSHAKE_READ_MAX);
    memset(to, 0, FRAME_HEADER_BYTES + HANDSHAKE_READ_MAX);
    frame_write(to, HANDSHAKE_HELLO, FRAME_CONTROL, to + FRAME_HEADER_BYTES, HANDSHAKE_READ_MAX);
    b.len += FRAME_HEADER_BYTES;
    for (unsigned i = 0; i < 3; i++) {
        buf_put_u8(&b, 1);
        buf_put_u8(&b, 340 >> 8);
        buf_put_u8(&b, 340 & 255);
        buf_put_zeros(&b, 340);
    }
    seeds_add(s, "long_hello", b.data, b.len);
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds, .cost = 8};
