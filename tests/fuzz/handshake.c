/* handshake: cluster/handshake.h between a dialler and an acceptor, whose messages the input changes on their
 * way, and against anything else. Nobody gets in who does not know the secret, and nobody by changed
 * messages. */
#include <string.h>

#include "cluster/handshake.h"
#include "tests/fuzz/target.h"

enum { SECRET_BYTES = 20, EDITS_MAX = 3, MESSAGES_MAX = 8 };

struct side {
    struct handshake_self self;
    struct handshake h;
    uint8_t secret[SECRET_BYTES];
    char *api_address, *address;
    uint64_t removed_below; /* ids of former members */
    bool told_removed;
    uint64_t admits;              /* incarnations below it */
    struct peers_life own, seen;  /* what it says and remembers */
    struct peers_life heard, met; /* what it was told */
    bool stale;                   /* it finds itself stale */
    unsigned admitted;
};

static bool is_member(void *ctx, uint64_t id)
{
    const struct side *s = ctx;
    return id >= 1 && id <= 3 && id != s->self.id && id >= s->removed_below;
}

static uint64_t removed(void *ctx, uint64_t id)
{
    const struct side *s = ctx;
    return id < s->removed_below ? 70 + id : 0;
}

static void introduced(void *ctx, uint64_t id, const char *address)
{
    struct side *s = ctx;

    (void)address;
    FUZZ_CHECK(!is_member(s, id) && id >= s->removed_below, "who is known needs no introduction");
}

static void told_removed(void *ctx, uint64_t by, uint64_t index)
{
    struct side *s = ctx;

    FUZZ_CHECK(by == s->h.id && index != 0, "who says so is known");
    s->told_removed = true;
}

static int admit(void *ctx, uint64_t id, uint64_t incarnation, struct error *e)
{
    struct side *s = ctx;

    FUZZ_CHECK(is_member(s, id), "only a member is admitted");
    if (incarnation >= s->admits) {
        return error_set(e, Q_CONFLICT, "another incarnation has the id");
    }
    s->admitted++;
    return 0;
}

static void describe(void *ctx, uint64_t id, struct peers_life *ret_own, struct peers_life *ret_seen)
{
    const struct side *s = ctx;
    (void)id;
    *ret_own = s->own;
    *ret_seen = s->seen;
}

static int check_life(void *ctx, uint64_t id, const struct peers_life *seen, struct error *e)
{
    struct side *s = ctx;

    FUZZ_CHECK(s->admitted > 0 && is_member(s, id), "nobody else's word counts");
    s->heard = *seen;
    return s->stale ? error_set(e, Q_CONFLICT, "this node was further") : 0;
}

static void met(void *ctx, uint64_t id, const struct peers_life *life)
{
    struct side *s = ctx;

    FUZZ_CHECK(s->h.state == HANDSHAKE_DONE && id == s->h.id, "who is remembered is done");
    s->met = *life;
}

static struct peers_life input_life(struct cursor *input)
{
    struct peers_life life = {.incarnation = cursor_u64(input)};

    life.boots = cursor_u64(input);
    life.mark = cursor_u32(input);
    life.term = cursor_u64(input);
    life.index = cursor_u64(input);
    life.index_term = cursor_u64(input);
    return life;
}

static char *input_address(struct cursor *input)
{
    char *address = input_string(input, PEERS_ADDRESS_MAX);

    if (!hello_address_ok(address, strlen(address))) {
        address[0] = 0;
    }
    return address;
}

static void side_init(struct side *s, struct cursor *input, enum handshake_role role)
{
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];

    *s = (struct side){.self = {.id = input_range(input, 0, 3) + 1,
                                .incarnation = input_range(input, 0, 255),
                                .secret = s->secret,
                                .secret_len = SECRET_BYTES,
                                .member = is_member,
                                .removed = removed,
                                .told_removed = told_removed,
                                .introduced = introduced,
                                .admit = admit,
                                .describe = describe,
                                .check = check_life,
                                .met = met,
                                .ctx = s},
                       .admits = 200};
    s->api_address = input_address(input);
    s->address = input_address(input);
    s->self.api_address = s->api_address;
    s->self.address = s->address;
    s->self.guest = role == HANDSHAKE_DIALLER && input_range(input, 0, 7) == 7;
    s->removed_below = input_range(input, 0, 15) == 15 ? 3 : 0;
    memset(s->self.cluster_id, input_range(input, 0, 15) == 15, sizeof s->self.cluster_id);
    memset(s->secret, input_range(input, 0, 15) == 15, sizeof s->secret);
    s->own = input_life(input);
    s->seen = input_life(input);
    s->stale = input_range(input, 0, 15) == 15;
    memset(nonce, (int)role, sizeof nonce);
    handshake_init(&s->h, &s->self, role, input_range(input, 0, 3) + 1, nonce);
}

/* What the state says is what was returned, and what is told is within its limit. */
static void check_side(const struct side *s, int rv, const struct buf *out)
{
    enum handshake_state state = s->h.state;

    FUZZ_CHECK((rv == 0) == (state == HANDSHAKE_GOING || state == HANDSHAKE_DONE),
               "state and return value agree");
    FUZZ_CHECK(out->failed == Q_OK && out->len <= HANDSHAKE_READ_MAX, "an answer is short");
    FUZZ_CHECK(strlen(s->h.api_address) <= PEERS_ADDRESS_MAX &&
                   hello_address_ok(s->h.api_address, strlen(s->h.api_address)),
               "what the other side says of itself may be passed on");
    FUZZ_CHECK(strlen(s->h.address) <= PEERS_ADDRESS_MAX &&
                   hello_address_ok(s->h.address, strlen(s->h.address)),
               "and dialled");
    FUZZ_CHECK(state != HANDSHAKE_DONE || (s->h.id != 0) == !s->h.guest, "who is done knows whom it met");
    FUZZ_CHECK(!s->h.guest || s->admitted == 0, "a guest is no member");
}

/* The frame of OUT, its body changed as the input says; into a block of its own that the caller frees. True:
 * nothing was changed. */
static bool carry(const struct buf *out, struct cursor *input, struct frame *ret_frame, uint8_t **ret_body)
{
    struct frame_decoder d;
    struct cursor in = cursor_of(out->data, out->len);
    struct error e;
    bool whole = false, same;
    size_t len;

    frame_decoder_init(&d, HANDSHAKE_READ_MAX);
    FUZZ_CHECK(frame_decode(&d, &in, ret_frame, &whole, &e) == 0 && whole && cursor_left(&in) == 0,
               "what is told is one frame");
    *ret_body = malloc(ret_frame->len + 1);
    FUZZ_CHECK(*ret_body != NULL, "there is memory");
    memcpy(*ret_body, ret_frame->body, ret_frame->len);
    for (unsigned edits = input_range(input, 0, EDITS_MAX); edits > 0 && ret_frame->len > 0; edits--) {
        size_t at = input_range(input, 0, (uint32_t)ret_frame->len - 1);
        (*ret_body)[at] = cursor_u8(input);
    }
    len = input_range(input, 0, 31) < 31 ? ret_frame->len : input_range(input, 0, (uint32_t)ret_frame->len);
    same = len == ret_frame->len && memcmp(*ret_body, ret_frame->body, len) == 0;
    frame_decoder_close(&d);
    *ret_body = realloc(*ret_body, len + (len == 0)); /* its end is the end of a block */
    ret_frame->body = *ret_body;
    ret_frame->len = len;
    return same;
}

static void meet(struct cursor *input)
{
    struct side sides[2], *to = &sides[HANDSHAKE_ACCEPTOR];
    bool same = true;
    struct buf out, answer;

    side_init(&sides[HANDSHAKE_DIALLER], input, HANDSHAKE_DIALLER);
    side_init(&sides[HANDSHAKE_ACCEPTOR], input, HANDSHAKE_ACCEPTOR);
    buf_init(&out, HANDSHAKE_READ_MAX);
    buf_init(&answer, HANDSHAKE_READ_MAX);
    handshake_start(&sides[HANDSHAKE_DIALLER].h, &out);
    for (unsigned i = 0; i < MESSAGES_MAX && out.len > 0 && to->h.state == HANDSHAKE_GOING; i++) {
        struct frame f;
        struct error e;
        uint8_t *body;
        bool unchanged = carry(&out, input, &f, &body);
        int rv;

        same = same && unchanged;
        buf_clear(&answer);
        rv = handshake_receive(&to->h, &f, &answer, &e);
        check_side(to, rv, &answer);
        free(body);
        buf_clear(&out);
        buf_put_bytes(&out, answer.data, answer.len);
        to = to == &sides[0] ? &sides[1] : &sides[0];
    }
    for (unsigned i = 0; i < 2; i++) {
        bool one_secret = memcmp(sides[0].secret, sides[1].secret, SECRET_BYTES) == 0;
        FUZZ_CHECK(sides[i].h.state != HANDSHAKE_DONE || one_secret,
                   "who does not know the secret is not in");
        FUZZ_CHECK(sides[i].admitted == 0 || one_secret, "nor is it asked whether it may");
        FUZZ_CHECK(!sides[i].told_removed || one_secret, "nor believed when it says that one was removed");
        FUZZ_CHECK(sides[i].h.state != HANDSHAKE_DONE || sides[!i].h.state != HANDSHAKE_DONE || same,
                   "changed messages do not lead to a connection");
    }
    buf_close(&out);
    buf_close(&answer);
    for (unsigned i = 0; i < 2; i++) {
        free(sides[i].api_address);
        free(sides[i].address);
    }
}

/* Any frames. */
static void hear(struct cursor *input, enum handshake_role role)
{
    struct side s;
    struct buf out;

    side_init(&s, input, role);
    buf_init(&out, HANDSHAKE_READ_MAX);
    if (role == HANDSHAKE_DIALLER) {
        handshake_start(&s.h, &out);
    }
    while (cursor_left(input) > 0 && s.h.state == HANDSHAKE_GOING) {
        struct frame f = {.type = (uint8_t)input_range(input, 0, HANDSHAKE_TYPES),
                          .flags = (uint8_t)input_range(input, 0, FRAME_CONTROL)};
        struct cursor body = input_bytes(input, 600);
        struct error e;
        int rv;

        f.body = body.p;
        f.len = cursor_left(&body);
        buf_clear(&out);
        rv = handshake_receive(&s.h, &f, &out, &e);
        check_side(&s, rv, &out);
    }
    FUZZ_CHECK(s.admitted == 0 && !s.told_removed && s.h.state != HANDSHAKE_DONE, "nobody guesses a MAC");
    buf_close(&out);
    free(s.api_address);
    free(s.address);
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);

    switch (input_range(&input, 0, 2)) {
    case 0: hear(&input, HANDSHAKE_DIALLER); break;
    case 1: hear(&input, HANDSHAKE_ACCEPTOR); break;
    default: meet(&input);
    }
}

static void put_side(struct buf *b, uint8_t id, uint8_t wanted, int guest, int removes)
{
    buf_put_u8(b, (uint8_t)(id - 1));
    buf_put_u8(b, 7);
    for (unsigned i = 0; i < 2; i++) {
        buf_put_u8(b, 5);
        buf_put_bytes(b, "a:401", 5);
    }
    if (guest >= 0) { /* a dialler is asked whether it is one */
        buf_put_u8(b, (uint8_t)(guest * 7));
    }
    buf_put_u8(b, (uint8_t)(removes * 15));
    buf_put_u8(b, 0);
    buf_put_u8(b, 0);
    buf_put_zeros(b, 2 * (8 + HELLO_LIFE_BYTES) + 1);
    buf_put_u8(b, (uint8_t)(wanted - 1));
}

static void put_meeting(struct buf *b, int guest, int removes)
{
    buf_clear(b);
    buf_put_u8(b, 2);
    put_side(b, 1, 2, guest, 0);
    put_side(b, 2, 1, -1, removes);
    buf_put_zeros(b, 12);
}

static void seeds(struct seeds *s)
{
    struct buf b;

    buf_init(&b, FUZZ_INPUT_MAX);
    put_meeting(&b, 0, 0);
    seeds_add(s, "meet", b.data, b.len);
    put_meeting(&b, 1, 0);
    seeds_add(s, "guest", b.data, b.len);
    put_meeting(&b, 0, 1);
    seeds_add(s, "removed", b.data, b.len);
    for (unsigned i = 0; i < 2; i++) {
        buf_clear(&b);
        buf_put_u8(&b, (uint8_t)i);
        put_side(&b, 1, 2, i == 0 ? 0 : -1, 0);
        buf_put_u8(&b, HANDSHAKE_REFUSED);
        buf_put_u8(&b, FRAME_CONTROL);
        buf_put_u8(&b, 0); /* two bytes of length */
        buf_put_u8(&b, 10);
        buf_put_u16(&b, Q_DENIED);
        buf_put_blob(&b, "no\x01!", 4);
        seeds_add(s, i == 0 ? "refused_dialler" : "refused_acceptor", b.data, b.len);
    }
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
