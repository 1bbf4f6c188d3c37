#include "cluster/handshake.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <string.h>

#include "base/plant.h"

enum { HEX_ID_BYTES = 2 * PEERS_CLUSTER_ID_BYTES + 1 };

static const char *const role_labels[] = {
    [HANDSHAKE_DIALLER] = "quorate dialler",
    [HANDSHAKE_ACCEPTOR] = "quorate acceptor",
};

static const char *const type_names[HANDSHAKE_TYPES] = {
    [HANDSHAKE_HELLO] = "HELLO",     [HANDSHAKE_ANSWER] = "ANSWER",   [HANDSHAKE_PROOF] = "PROOF",
    [HANDSHAKE_WELCOME] = "WELCOME", [HANDSHAKE_REFUSED] = "REFUSED",
};

static_assert(FRAME_HEADER_BYTES + 4 + HANDSHAKE_HELLO_MAX + HANDSHAKE_MAC_BYTES + FRAME_HEADER_BYTES + 2 +
                      4 + ERROR_TEXT_MAX <=
                  HANDSHAKE_READ_MAX,
              "the longest answer and a refusal fit the limit of unauthenticated bytes");

bool handshake_address_ok(const char *address, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (address[i] <= ' ' || address[i] > '~') {
            return false;
        }
    }
    return n <= PEERS_ADDRESS_MAX;
}

void handshake_init(struct handshake *h, const struct handshake_self *self, enum handshake_role role,
                    uint64_t wanted, const uint8_t nonce[HANDSHAKE_NONCE_BYTES])
{
    *h = (struct handshake){.self = self, .role = role, .state = HANDSHAKE_GOING, .wanted = wanted};
    h->expected = role == HANDSHAKE_DIALLER ? HANDSHAKE_ANSWER : HANDSHAKE_HELLO;
    memcpy(h->nonce, nonce, sizeof h->nonce);
}

static void put_message(struct buf *out, enum handshake_type type, const struct buf *body)
{
    uint8_t *to = NULL;

    if (body->failed == Q_OK) {
        to = buf_reserve(out, FRAME_HEADER_BYTES + body->len);
    } else {
        out->failed = body->failed;
    }
    if (to != NULL) {
        frame_write(to, (uint8_t)type, FRAME_CONTROL, body->data, body->len);
        out->len += FRAME_HEADER_BYTES + body->len;
    }
}

static uint8_t *put_life(uint8_t *p, const struct peers_life *life)
{
    put_le64(p, life->boots);
    put_le32(p + 8, life->mark);
    put_le64(p + 12, life->term);
    put_le64(p + 20, life->index);
    put_le64(p + 28, life->index_term);
    return p + HANDSHAKE_LIFE_BYTES;
}

static struct peers_life get_life(struct cursor *in, uint64_t incarnation)
{
    struct peers_life life = {.incarnation = incarnation};

    life.boots = cursor_u64(in);
    life.mark = cursor_u32(in);
    life.term = cursor_u64(in);
    life.index = cursor_u64(in);
    life.index_term = cursor_u64(in);
    return life;
}

/* Our own hello, into its place in the transcript. */
static void make_hello(struct handshake *h, uint64_t wanted)
{
    uint8_t *p = h->hello[h->role];
    const struct handshake_self *self = h->self;
    size_t address_len = strlen(self->api_address);
    struct peers_life own = {0}, seen = {0};

    self->describe(self->ctx, wanted, &own, &seen);

    assert(handshake_address_ok(self->api_address, address_len));
    put_le32(p, HANDSHAKE_MAGIC);
    put_le16(p + 4, HANDSHAKE_VERSION);
    p += 6;
    memcpy(p, self->cluster_id, PEERS_CLUSTER_ID_BYTES);
    p += PEERS_CLUSTER_ID_BYTES;
    put_le64(p, self->id);
    put_le64(p + 8, wanted);
    put_le64(p + 16, self->incarnation);
    p = put_life(p + 24, &own);
    put_le64(p, seen.incarnation);
    p = put_life(p + 8, &seen);
    memcpy(p, h->nonce, HANDSHAKE_NONCE_BYTES);
    p += HANDSHAKE_NONCE_BYTES;
    put_le32(p, (uint32_t)address_len);
    memcpy(p + 4, self->api_address, address_len);
    p += 4 + address_len;
    h->hello_len[h->role] = (size_t)(p - h->hello[h->role]);
}

void handshake_start(struct handshake *h, struct buf *out)
{
    struct buf body;

    assert(h->role == HANDSHAKE_DIALLER);
    make_hello(h, h->wanted);
    buf_init(&body, HANDSHAKE_READ_MAX);
    buf_put_bytes(&body, h->hello[h->role], h->hello_len[h->role]);
    put_message(out, HANDSHAKE_HELLO, &body);
    buf_close(&body);
}

static int make_mac(const struct handshake *h, enum handshake_role role, uint8_t mac[HANDSHAKE_MAC_BYTES],
                    struct error *e)
{
    struct buf text;
    unsigned len = 0;
    int rc;

    buf_init(&text, 2 * HANDSHAKE_READ_MAX);
    role = PLANTED("proofs_of_both_sides_look_alike") ? HANDSHAKE_DIALLER : role;
    buf_put_blob(&text, role_labels[role], strlen(role_labels[role]));
    buf_put_blob(&text, h->hello[HANDSHAKE_DIALLER], h->hello_len[HANDSHAKE_DIALLER]);
    if (!PLANTED("proof_leaves_out_the_other_side")) {
        buf_put_blob(&text, h->hello[HANDSHAKE_ACCEPTOR], h->hello_len[HANDSHAKE_ACCEPTOR]);
    }
    rc = buf_check(&text, "a handshake", e);
    if (rc == 0 && (HMAC(EVP_sha256(), h->self->secret, (int)h->self->secret_len, text.data, text.len, mac,
                         &len) == NULL ||
                    len != HANDSHAKE_MAC_BYTES)) {
        rc = error_set(e, Q_NOMEM, "the crypto library could not make an HMAC-SHA256");
    }
    buf_close(&text);
    return rc;
}

/* Refuses with what E says. TELL: the other side gets code and text, too. */
static int refuse(struct handshake *h, bool tell, struct buf *out, const struct error *e)
{
    h->state = HANDSHAKE_REFUSED_HERE;
    if (tell) {
        struct buf body;
        buf_init(&body, HANDSHAKE_READ_MAX);
        buf_put_u16(&body, (uint16_t)e->code);
        buf_put_blob(&body, e->text, strlen(e->text));
        put_message(out, HANDSHAKE_REFUSED, &body);
        buf_close(&body);
    }
    return (int)e->code;
}

static void hex_id(const uint8_t id[PEERS_CLUSTER_ID_BYTES], char ret_text[HEX_ID_BYTES])
{
    for (size_t i = 0; i < PEERS_CLUSTER_ID_BYTES; i++) {
        snprintf(ret_text + 2 * i, 3, "%02x", id[i]);
    }
}

/* Version, cluster and ids of a hello: what may be told to anybody. */
static int check_identity(const struct handshake *h, const uint8_t *cluster_id, uint64_t id, uint64_t wanted,
                          struct error *e)
{
    const struct handshake_self *self = h->self;

    if (memcmp(cluster_id, self->cluster_id, PEERS_CLUSTER_ID_BYTES) != 0 &&
        !PLANTED("nodes_of_any_cluster_are_met")) {
        char ours[HEX_ID_BYTES], theirs[HEX_ID_BYTES];
        hex_id(self->cluster_id, ours);
        hex_id(cluster_id, theirs);
        return error_set(e, Q_MISMATCH,
                         "node %" PRIu64 " belongs to cluster %s, but node %" PRIu64
                         " to cluster %s: their name, members, foreign-keys or sql-instructions differ",
                         self->id, ours, id, theirs);
    }
    if (id == self->id) {
        return error_set(e, Q_MISMATCH,
                         "node %" PRIu64 " met a node of its own id: an address in the member list leads to "
                         "the wrong node, or two nodes have one id",
                         id);
    }
    if (h->role == HANDSHAKE_DIALLER && id != h->wanted) {
        return error_set(e, Q_MISMATCH,
                         "node %" PRIu64 " wants node %" PRIu64 ", but its address leads to node %" PRIu64,
                         self->id, h->wanted, id);
    }
    if (wanted != self->id) {
        return error_set(e, Q_MISMATCH,
                         "node %" PRIu64 " wants node %" PRIu64 ", but its address leads to node %" PRIu64,
                         id, wanted, self->id);
    }
    if (!self->member(self->ctx, id)) {
        return error_set(e, Q_MISMATCH, "node %" PRIu64 " is not in the member list of node %" PRIu64, id,
                         self->id);
    }
    return 0;
}

static int malformed(struct handshake *h, enum handshake_type type, struct buf *out, struct error *e)
{
    error_set(e, Q_CORRUPT, "a malformed %s came", type_names[type]);
    return refuse(h, false, out, e);
}

/* Reads and checks the other side's hello, which came in a message of TYPE, and keeps it for the
 * transcript. */
static int take_hello(struct handshake *h, enum handshake_type type, struct cursor in, struct buf *out,
                      struct error *e)
{
    enum handshake_role other = h->role == HANDSHAKE_DIALLER ? HANDSHAKE_ACCEPTOR : HANDSHAKE_DIALLER;
    size_t len = cursor_left(&in);
    const uint8_t *bytes = in.p;

    uint32_t magic = cursor_u32(&in);
    uint16_t version = cursor_u16(&in);
    if (in.bad || magic != HANDSHAKE_MAGIC) {
        return malformed(h, type, out, e);
    }
    if (version != HANDSHAKE_VERSION) {
        error_set(e, Q_MISMATCH,
                  "node %" PRIu64 " speaks version %d of the peer protocol, but the other side version %u",
                  h->self->id, HANDSHAKE_VERSION, (unsigned)version);
        return refuse(h, true, out, e);
    }

    const uint8_t *cluster_id = cursor_bytes(&in, PEERS_CLUSTER_ID_BYTES);
    uint64_t id = cursor_u64(&in), wanted = cursor_u64(&in), incarnation = cursor_u64(&in);
    struct peers_life life = get_life(&in, incarnation);
    uint64_t seen_incarnation = cursor_u64(&in);
    struct peers_life seen = get_life(&in, seen_incarnation);
    cursor_bytes(&in, HANDSHAKE_NONCE_BYTES);
    struct cursor address = cursor_blob(&in);
    size_t address_len = cursor_left(&address);
    if (in.bad || cursor_left(&in) != 0 || id == 0 || len > HANDSHAKE_HELLO_MAX ||
        !handshake_address_ok((const char *)address.p, address_len)) {
        return malformed(h, type, out, e);
    }
    h->id = id;
    h->incarnation = incarnation;
    h->life = life;
    h->seen = seen;
    memcpy(h->api_address, address.p, address_len);
    h->api_address[address_len] = '\0';
    memcpy(h->hello[other], bytes, len);
    h->hello_len[other] = len;
    if (check_identity(h, cluster_id, id, wanted, e) != 0) {
        return refuse(h, true, out, e);
    }
    return 0;
}

/* The other side's MAC, in ROLE, then its incarnation. */
static int authenticate(struct handshake *h, enum handshake_role role, const uint8_t *mac, struct buf *out,
                        struct error *e)
{
    uint8_t wanted[HANDSHAKE_MAC_BYTES];

    if (make_mac(h, role, wanted, e) != 0) {
        return refuse(h, false, out, e);
    }
    if (CRYPTO_memcmp(wanted, mac, sizeof wanted) != 0 && !PLANTED("proof_is_not_checked")) {
        error_set(e, Q_DENIED,
                  "node %" PRIu64 " could not authenticate node %" PRIu64
                  ": they do not have the same secret",
                  h->self->id, h->id);
        return refuse(h, true, out, e);
    }
    if (h->self->admit(h->self->ctx, h->id, h->incarnation, e) != 0) {
        error_wrap(e, "node %" PRIu64 " does not admit node %" PRIu64 " of incarnation %" PRIu64, h->self->id,
                   h->id, h->incarnation);
        return refuse(h, true, out, e);
    }
    if (h->self->check(h->self->ctx, h->id, &h->seen, e) != 0) {
        return refuse(h, true, out, e);
    }
    return 0;
}

static int on_hello(struct handshake *h, struct cursor in, struct buf *out, struct error *e)
{
    uint8_t mac[HANDSHAKE_MAC_BYTES];
    struct buf body;
    int rc = take_hello(h, HANDSHAKE_HELLO, in, out, e);

    if (rc != 0) {
        return rc;
    }
    make_hello(h, h->id);
    if (make_mac(h, HANDSHAKE_ACCEPTOR, mac, e) != 0) {
        return refuse(h, false, out, e);
    }
    buf_init(&body, HANDSHAKE_READ_MAX);
    buf_put_blob(&body, h->hello[h->role], h->hello_len[h->role]);
    buf_put_bytes(&body, mac, sizeof mac);
    put_message(out, HANDSHAKE_ANSWER, &body);
    buf_close(&body);
    h->expected = HANDSHAKE_PROOF;
    return 0;
}

static int on_answer(struct handshake *h, struct cursor in, struct buf *out, struct error *e)
{
    uint8_t proof[HANDSHAKE_MAC_BYTES];
    struct buf body;
    struct cursor hello = cursor_blob(&in);
    const uint8_t *mac = cursor_bytes(&in, HANDSHAKE_MAC_BYTES);
    int rc;

    if (in.bad || cursor_left(&in) != 0) {
        return malformed(h, HANDSHAKE_ANSWER, out, e);
    }
    if ((rc = take_hello(h, HANDSHAKE_ANSWER, hello, out, e)) != 0 ||
        (rc = authenticate(h, HANDSHAKE_ACCEPTOR, mac, out, e)) != 0) {
        return rc;
    }
    if (make_mac(h, HANDSHAKE_DIALLER, proof, e) != 0) {
        return refuse(h, false, out, e);
    }
    buf_init(&body, HANDSHAKE_READ_MAX);
    buf_put_bytes(&body, proof, sizeof proof);
    put_message(out, HANDSHAKE_PROOF, &body);
    buf_close(&body);
    h->expected = HANDSHAKE_WELCOME;
    return 0;
}

static void finish(struct handshake *h)
{
    h->state = HANDSHAKE_DONE;
    h->self->met(h->self->ctx, h->id, &h->life);
}

static int on_proof(struct handshake *h, struct cursor in, struct buf *out, struct error *e)
{
    static const struct buf nothing;
    const uint8_t *mac = cursor_bytes(&in, HANDSHAKE_MAC_BYTES);
    int rc;

    if (in.bad || cursor_left(&in) != 0) {
        return malformed(h, HANDSHAKE_PROOF, out, e);
    }
    if ((rc = authenticate(h, HANDSHAKE_DIALLER, mac, out, e)) != 0) {
        return rc;
    }
    put_message(out, HANDSHAKE_WELCOME, &nothing);
    finish(h);
    return 0;
}

/* The text comes from somebody who need not have proved anything: it is cleaned before it reaches a log. */
static int on_refused(struct handshake *h, struct cursor in, struct buf *out, struct error *e)
{
    uint16_t code = cursor_u16(&in);
    struct cursor text = cursor_blob(&in);
    size_t n = cursor_left(&text);
    char clean[ERROR_TEXT_MAX];

    if (in.bad || cursor_left(&in) != 0 || n >= sizeof clean || code == Q_OK || code >= Q_CODES) {
        return malformed(h, HANDSHAKE_REFUSED, out, e);
    }
    for (size_t i = 0; i < n; i++) {
        clean[i] = text.p[i] >= ' ' && text.p[i] <= '~' ? (char)text.p[i] : '?';
    }
    clean[n] = '\0';
    h->state = HANDSHAKE_REFUSED_THERE;
    return error_set(e, (enum error_code)code, "refused by the other side: %s", clean);
}

int handshake_receive(struct handshake *h, const struct frame *f, struct buf *out, struct error *e)
{
    struct cursor in = cursor_of(f->body, f->len);
    int rc = 0;

    assert(h->state == HANDSHAKE_GOING);
    if ((f->flags & FRAME_CONTROL) == 0 || (f->type != h->expected && f->type != HANDSHAKE_REFUSED)) {
        error_set(e, Q_CORRUPT, "%s was expected, but a %s frame of type %u came", type_names[h->expected],
                  (f->flags & FRAME_CONTROL) != 0 ? "control" : "data", (unsigned)f->type);
        return refuse(h, false, out, e);
    }
    switch ((enum handshake_type)f->type) {
    case HANDSHAKE_HELLO: rc = on_hello(h, in, out, e); break;
    case HANDSHAKE_ANSWER: rc = on_answer(h, in, out, e); break;
    case HANDSHAKE_PROOF: rc = on_proof(h, in, out, e); break;
    case HANDSHAKE_WELCOME:
        if (f->len != 0) {
            return malformed(h, HANDSHAKE_WELCOME, out, e);
        }
        finish(h);
        break;
    case HANDSHAKE_REFUSED: return on_refused(h, in, out, e);
    case HANDSHAKE_TYPES: assert(false); return (int)Q_INVALID;
    }
    if (rc == 0 && buf_check(out, "a handshake message", e) != 0) {
        return refuse(h, false, out, e);
    }
    return rc;
}
