#include "cluster/handshake.h"

#include <assert.h>
#include <inttypes.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdio.h>
#include <string.h>

#include "base/plant.h"

enum { HEX_ID_BYTES = 2 * PEERS_CLUSTER_ID_BYTES + 1 };

static const char *const role_labels[] = {
    [HANDSHAKE_DIALLER] = "quorate dialler",
    [HANDSHAKE_ACCEPTOR] = "quorate acceptor",
};

static const char removed_label[] = "quorate removed";

static const char *const type_names[HANDSHAKE_TYPES] = {
    [HANDSHAKE_HELLO] = "HELLO",     [HANDSHAKE_ANSWER] = "ANSWER",   [HANDSHAKE_PROOF] = "PROOF",
    [HANDSHAKE_WELCOME] = "WELCOME", [HANDSHAKE_REFUSED] = "REFUSED", [HANDSHAKE_REMOVED] = "REMOVED",
};

static_assert(FRAME_HEADER_BYTES + 4 + HELLO_MAX + HANDSHAKE_MAC_BYTES + FRAME_HEADER_BYTES + 2 + 4 +
                      ERROR_TEXT_MAX <=
                  HANDSHAKE_READ_MAX,
              "the longest answer and a refusal fit the limit of unauthenticated bytes");

void handshake_init(struct handshake *h, const struct handshake_self *self, enum handshake_role role,
                    uint64_t wanted, const uint8_t nonce[HANDSHAKE_NONCE_BYTES])
{
    *h = (struct handshake){.self = self, .role = role, .state = HANDSHAKE_GOING};
    h->wanted = self->guest ? 0 : wanted;
    h->expected = role == HANDSHAKE_DIALLER ? HANDSHAKE_ANSWER : HANDSHAKE_HELLO;
    h->guest = self->guest;
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

/* Our own hello, into its place in the transcript. A guest, and who answers one, says nothing of itself. */
static void make_hello(struct handshake *h, uint64_t wanted)
{
    const struct handshake_self *self = h->self;
    struct hello hello = {.id = 0};

    if (!h->guest || PLANTED("guests_are_told_of_the_cluster_at_once")) {
        hello.id = self->id;
        hello.wanted = wanted;
        memcpy(hello.cluster_id, self->cluster_id, sizeof hello.cluster_id);
        self->describe(self->ctx, wanted, &hello.life, &hello.seen);
        hello.life.incarnation = self->incarnation;
        snprintf(hello.api_address, sizeof hello.api_address, "%s", self->api_address);
        snprintf(hello.address, sizeof hello.address, "%s", self->address);
    }
    memcpy(hello.nonce, h->nonce, sizeof hello.nonce);
    h->hello_len[h->role] = hello_write(&hello, h->hello[h->role]);
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

static int make_mac(const struct handshake *h, const char *label, uint64_t index,
                    uint8_t mac[HANDSHAKE_MAC_BYTES], struct error *e)
{
    struct buf text;
    unsigned len = 0;
    int rc;

    buf_init(&text, 2 * HANDSHAKE_READ_MAX);
    label = PLANTED("proofs_of_both_sides_look_alike") ? role_labels[HANDSHAKE_DIALLER] : label;
    buf_put_blob(&text, label, strlen(label));
    buf_put_blob(&text, h->hello[HANDSHAKE_DIALLER], h->hello_len[HANDSHAKE_DIALLER]);
    if (!PLANTED("proof_leaves_out_the_other_side")) {
        buf_put_blob(&text, h->hello[HANDSHAKE_ACCEPTOR], h->hello_len[HANDSHAKE_ACCEPTOR]);
    }
    buf_put_u64(&text, index);
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

/* The other side was removed at INDEX: it is told so in a way that it can believe. */
static int refuse_removed(struct handshake *h, uint64_t index, struct buf *out, struct error *e)
{
    uint8_t mac[HANDSHAKE_MAC_BYTES];
    struct buf body;

    if (make_mac(h, removed_label, index, mac, e) != 0) {
        return refuse(h, false, out, e);
    }
    buf_init(&body, HANDSHAKE_READ_MAX);
    buf_put_u64(&body, index);
    buf_put_bytes(&body, mac, sizeof mac);
    put_message(out, HANDSHAKE_REMOVED, &body);
    buf_close(&body);
    error_set(e, Q_DENIED, "node %" PRIu64 " was removed from this cluster at index %" PRIu64, h->id, index);
    return refuse(h, false, out, e);
}

static void hex_id(const uint8_t id[PEERS_CLUSTER_ID_BYTES], char ret_text[HEX_ID_BYTES])
{
    for (size_t i = 0; i < PEERS_CLUSTER_ID_BYTES; i++) {
        snprintf(ret_text + 2 * i, 3, "%02x", id[i]);
    }
}

static int check_listed(const struct handshake *h, uint64_t id, struct error *e)
{
    const struct handshake_self *self = h->self;

    if (!self->member(self->ctx, id) && self->removed(self->ctx, id) == 0) {
        return error_set(e, Q_MISMATCH, "node %" PRIu64 " is not in the member list of node %" PRIu64, id,
                         self->id);
    }
    return 0;
}

/* Version, cluster and ids of a hello: what may be told to anybody. */
static int check_identity(const struct handshake *h, const struct hello *hello, struct error *e)
{
    const struct handshake_self *self = h->self;
    uint64_t id = hello->id, wanted = hello->wanted;

    if (memcmp(hello->cluster_id, self->cluster_id, PEERS_CLUSTER_ID_BYTES) != 0 &&
        !PLANTED("nodes_of_any_cluster_are_met")) {
        char ours[HEX_ID_BYTES], theirs[HEX_ID_BYTES];
        hex_id(self->cluster_id, ours);
        hex_id(hello->cluster_id, theirs);
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
    return h->role == HANDSHAKE_DIALLER ? check_listed(h, id, e) : 0;
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
    struct hello hello;
    int rc = hello_read(in.p, len, &hello, e);

    if (rc == Q_MISMATCH) {
        struct error why = *e;
        if (h->self->guest) {
            error_set(e, Q_MISMATCH, "this node %s", why.text);
        } else {
            error_set(e, Q_MISMATCH, "node %" PRIu64 " %s", h->self->id, why.text);
        }
        return refuse(h, true, out, e);
    }
    if (rc != 0 || (h->role == HANDSHAKE_DIALLER && hello_is_guest(&hello) != h->self->guest)) {
        return malformed(h, type, out, e);
    }
    h->guest = hello_is_guest(&hello);
    h->id = hello.id;
    h->incarnation = hello.life.incarnation;
    h->life = hello.life;
    h->seen = hello.seen;
    memcpy(h->api_address, hello.api_address, sizeof h->api_address);
    memcpy(h->address, hello.address, sizeof h->address);
    memcpy(h->hello[other], in.p, len);
    h->hello_len[other] = len;
    if (!h->guest && check_identity(h, &hello, e) != 0) {
        return refuse(h, true, out, e);
    }
    return 0;
}

/* Who has proved that it knows the secret: is it a member, in the life that we know, and in ours? */
static int admit(struct handshake *h, struct buf *out, struct error *e)
{
    const struct handshake_self *self = h->self;
    uint64_t removed_at = self->removed(self->ctx, h->id);

    if (removed_at != 0 && !PLANTED("removed_members_are_let_in")) {
        return refuse_removed(h, removed_at, out, e);
    }
    if (check_listed(h, h->id, e) != 0) {
        self->introduced(self->ctx, h->id, h->address);
        return refuse(h, true, out, e);
    }
    if (self->admit(self->ctx, h->id, h->incarnation, e) != 0) {
        error_wrap(e, "node %" PRIu64 " does not admit node %" PRIu64 " of incarnation %" PRIu64, self->id,
                   h->id, h->incarnation);
        return refuse(h, true, out, e);
    }
    if (self->check(self->ctx, h->id, &h->seen, e) != 0) {
        return refuse(h, true, out, e);
    }
    return 0;
}

/* The other side's MAC, in ROLE, then who it is. */
static int authenticate(struct handshake *h, enum handshake_role role, const uint8_t *mac, struct buf *out,
                        struct error *e)
{
    uint8_t wanted[HANDSHAKE_MAC_BYTES];

    if (make_mac(h, role_labels[role], 0, wanted, e) != 0) {
        return refuse(h, false, out, e);
    }
    if (CRYPTO_memcmp(wanted, mac, sizeof wanted) != 0 && !PLANTED("proof_is_not_checked")) {
        if (h->guest) {
            error_set(e, Q_DENIED, "the node that wants to join and the member do not have the same secret");
        } else {
            error_set(e, Q_DENIED,
                      "node %" PRIu64 " could not authenticate node %" PRIu64
                      ": they do not have the same secret",
                      h->self->id, h->id);
        }
        return refuse(h, true, out, e);
    }
    return h->guest ? 0 : admit(h, out, e);
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
    if (make_mac(h, role_labels[HANDSHAKE_ACCEPTOR], 0, mac, e) != 0) {
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
    if (make_mac(h, role_labels[HANDSHAKE_DIALLER], 0, proof, e) != 0) {
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
    if (!h->guest) {
        h->self->met(h->self->ctx, h->id, &h->life);
    }
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

static int on_removed(struct handshake *h, struct cursor in, struct buf *out, struct error *e)
{
    uint64_t index = cursor_u64(&in);
    const uint8_t *mac = cursor_bytes(&in, HANDSHAKE_MAC_BYTES);
    uint8_t wanted[HANDSHAKE_MAC_BYTES];

    /* Before both hellos are known nobody can have proved anything. */
    if (in.bad || cursor_left(&in) != 0 || index == 0 || h->guest || h->id == 0) {
        return malformed(h, HANDSHAKE_REMOVED, out, e);
    }
    if (make_mac(h, removed_label, index, wanted, e) != 0) {
        return refuse(h, false, out, e);
    }
    if (CRYPTO_memcmp(wanted, mac, sizeof wanted) != 0 &&
        !PLANTED("anybody_may_say_that_a_node_was_removed")) {
        error_set(e, Q_DENIED,
                  "who calls itself node %" PRIu64 " said that node %" PRIu64
                  " was removed, and could not prove it",
                  h->id, h->self->id);
        return refuse(h, false, out, e);
    }
    h->state = HANDSHAKE_REFUSED_THERE;
    error_set(e, Q_DENIED,
              "node %" PRIu64 " says that node %" PRIu64 " was removed from this cluster at index %" PRIu64,
              h->id, h->self->id, index);
    h->self->told_removed(h->self->ctx, h->id, index);
    return Q_DENIED;
}

int handshake_receive(struct handshake *h, const struct frame *f, struct buf *out, struct error *e)
{
    struct cursor in = cursor_of(f->body, f->len);
    int rc = 0;

    assert(h->state == HANDSHAKE_GOING);
    if ((f->flags & FRAME_CONTROL) == 0 ||
        (f->type != h->expected && f->type != HANDSHAKE_REFUSED && f->type != HANDSHAKE_REMOVED)) {
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
    case HANDSHAKE_REMOVED: return on_removed(h, in, out, e);
    case HANDSHAKE_TYPES: assert(false); return (int)Q_INVALID;
    }
    if (rc == 0 && buf_check(out, "a handshake message", e) != 0) {
        return refuse(h, false, out, e);
    }
    return rc;
}
