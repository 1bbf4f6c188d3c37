#include "tests/unit/cluster/side.h"

static const char SECRET[] = "correct horse battery staple";

static bool is_member(void *ctx, uint64_t id)
{
    const struct side *s = ctx;
    for (size_t i = 0; i < 4; i++) {
        if (s->members[i] == id && id != s->self.id && id != s->gone) {
            return true;
        }
    }
    return false;
}

static uint64_t removed(void *ctx, uint64_t id)
{
    const struct side *s = ctx;
    return id == s->gone ? s->gone_at : 0;
}

static void introduced(void *ctx, uint64_t id, const char *address)
{
    struct side *s = ctx;
    s->introduced = id;
    snprintf(s->introduced_at, sizeof s->introduced_at, "%s", address);
}

static void told_removed(void *ctx, uint64_t by, uint64_t index)
{
    struct side *s = ctx;
    s->told_by = by;
    s->told_at = index;
}

static int admit(void *ctx, uint64_t id, uint64_t incarnation, struct error *e)
{
    struct side *s = ctx;
    if (s->full) {
        return error_set(e, Q_CONFLICT, "incarnation 77 has the id");
    }
    s->admitted_id = id;
    s->admitted_incarnation = incarnation;
    return 0;
}

static void describe(void *ctx, uint64_t id, struct peers_life *ret_own, struct peers_life *ret_seen)
{
    struct side *s = ctx;
    (void)id;
    *ret_own = s->own;
    *ret_seen = s->seen;
}

static int check(void *ctx, uint64_t id, const struct peers_life *seen, struct error *e)
{
    struct side *s = ctx;
    s->heard = *seen;
    return s->stale ? error_set(e, Q_CONFLICT, "the other side, %d, has seen more of us", (int)id) : 0;
}

static void met(void *ctx, uint64_t id, const struct peers_life *life)
{
    struct side *s = ctx;
    (void)id;
    s->met = *life;
}

void side_init(struct side *s, uint64_t id)
{
    *s = (struct side){
        .self = {.id = id,
                 .incarnation = 100 + id,
                 .api_address = id == 1 ? "http://one:4001" : "http://two:4001",
                 .address = id == 1 ? "one:7001" : "two:7001",
                 .secret = (const uint8_t *)SECRET,
                 .secret_len = sizeof SECRET - 1,
                 .member = is_member,
                 .removed = removed,
                 .told_removed = told_removed,
                 .introduced = introduced,
                 .admit = admit,
                 .describe = describe,
                 .check = check,
                 .met = met},
        .members = {1, 2, 3},
    };
    memset(s->self.cluster_id, 0xc1, sizeof s->self.cluster_id);
    s->self.ctx = s;
}

void side_begin(struct side *s, struct rng *rng, enum handshake_role role, uint64_t wanted)
{
    uint8_t nonce[HANDSHAKE_NONCE_BYTES];
    rng_fill(rng, nonce, sizeof nonce);
    handshake_init(&s->h, &s->self, role, wanted, nonce);
}

static struct frame frame_of(const struct buf *b, struct frame_decoder *d)
{
    struct cursor in = cursor_of(b->data, b->len);
    struct frame f = {0};
    struct error e;
    bool whole = false;
    frame_decoder_init(d, HANDSHAKE_READ_MAX);
    assert_int_equal(frame_decode(d, &in, &f, &whole, &e), 0);
    assert_true(whole);
    assert_int_equal(cursor_left(&in), 0);
    return f;
}

int side_deliver(struct side *s, const struct buf *in, struct buf *out)
{
    struct frame_decoder d;
    struct frame f = frame_of(in, &d);
    buf_clear(out);
    int rc = handshake_receive(&s->h, &f, out, &s->why);
    assert_int_equal(out->failed, Q_OK);
    return rc;
}
