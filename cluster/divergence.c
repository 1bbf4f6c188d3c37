#include "cluster/divergence.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/object.h"

enum { DIVERGENCE_MAGIC = 0x51c0de0c, VERSION = 1 };
enum kind { KIND_ASK = 1, KIND_SAY = 2 };
enum known { NOT_KNOWN, KNOWN, NOT_YET };
enum counter { G_FENCED, C_INQUIRIES, DIVERGENCE_COUNTERS };

static const struct metric counter_table[DIVERGENCE_COUNTERS] = {
    [G_FENCED] = {METRIC_GAUGE, "quorate_fenced", NULL,
                  "1 if this node's database was found wrong: it is not served."},
    [C_INQUIRIES] = {METRIC_COUNTER, "quorate_digest_inquiries_total", NULL,
                     "Times that members asked each other whose content differs."},
};

/* What one member has at the index in question. */
struct statement {
    bool spoke;
    enum known known;
    uint8_t digest[DIGEST_BYTES];
};

struct divergence {
    OBJECT_MAGIC;
    struct divergence_config config;
    bool open, suspect, fenced;
    uint64_t index, since_ms, asked_ms;
    uint64_t settled_index;                 /* of the last inquiry */
    struct statement statements[PEERS_MAX]; /* in the order of the members */
    struct metric counters[DIVERGENCE_COUNTERS];
};

static int place_of(const struct divergence *d, uint64_t id)
{
    for (unsigned i = 0; i < d->config.count; i++) {
        if (d->config.members[i].id == id) {
            return (int)i;
        }
    }
    return -1;
}

static void state_own(struct divergence *d, uint64_t index, struct statement *ret_statement)
{
    *ret_statement = (struct statement){.spoke = true, .known = NOT_KNOWN};
    if (d->config.digest(d->config.ctx, index, ret_statement->digest)) {
        ret_statement->known = KNOWN;
    } else if (index > d->config.applied(d->config.ctx)) {
        ret_statement->known = NOT_YET;
    }
}

static void send(struct divergence *d, uint64_t to, enum kind kind, uint64_t index,
                 const struct statement *own)
{
    struct buf b;

    buf_init(&b, DIVERGENCE_FRAME_BYTES);
    buf_put_u8(&b, VERSION);
    buf_put_u8(&b, (uint8_t)kind);
    buf_put_u8(&b, (uint8_t)own->known);
    buf_put_u64(&b, index);
    buf_put_bytes(&b, own->digest, DIGEST_BYTES);
    if (b.failed == Q_OK) {
        d->config.send(d->config.ctx, to, b.data, b.len);
    }
    buf_close(&b);
}

static void ask(struct divergence *d)
{
    int self = place_of(d, d->config.id);

    d->asked_ms = env_now_ms(d->config.env);
    for (unsigned i = 0; i < d->config.count; i++) {
        if (!d->statements[i].spoke) {
            send(d, d->config.members[i].id, KIND_ASK, d->index, &d->statements[self]);
        }
    }
}

/* Those who state the digest of member AT. */
static void count(const struct divergence *d, unsigned at, struct divergence_verdict *v)
{
    const struct statement *with = &d->statements[at];

    v->agree = v->differ = 0;
    for (unsigned i = 0; i < d->config.count; i++) {
        const struct statement *s = &d->statements[i];
        if (!s->spoke || s->known != KNOWN) {
            continue;
        }
        if (memcmp(s->digest, with->digest, DIGEST_BYTES) == 0) {
            v->members[v->agree++] = d->config.members[i].id;
        } else {
            v->others[v->differ++] = d->config.members[i].id;
        }
    }
}

static bool find_majority(const struct divergence *d, struct divergence_verdict *v, unsigned *ret_at)
{
    for (unsigned i = 0; i < d->config.count; i++) {
        if (d->statements[i].spoke && d->statements[i].known == KNOWN) {
            count(d, i, v);
            if (v->agree > d->config.count / 2) {
                *ret_at = i;
                return true;
            }
        }
    }
    return false;
}

static bool all_spoke(const struct divergence *d)
{
    for (unsigned i = 0; i < d->config.count; i++) {
        if (!d->statements[i].spoke) {
            return false;
        }
    }
    return true;
}

static void decide(struct divergence *d)
{
    struct divergence_verdict v = {.index = d->index};
    unsigned self = (unsigned)place_of(d, d->config.id), at = self;
    bool late = env_now_ms(d->config.env) - d->since_ms >= DIVERGENCE_PATIENCE_MS;
    bool odd;

    v.majority = find_majority(d, &v, &at);
    if (!v.majority && !all_spoke(d) && !late) {
        return;
    }
    if (!v.majority) {
        count(d, self, &v);
    }
    odd = v.majority ? memcmp(d->statements[at].digest, d->statements[self].digest, DIGEST_BYTES) != 0
                     : d->suspect;
    d->open = d->suspect = false;
    d->settled_index = d->index;
    if (odd) {
        divergence_fenced(d);
        d->config.odd(d->config.ctx, &v);
    } else {
        d->config.settled(d->config.ctx, &v);
    }
}

static bool open_inquiry(struct divergence *d, uint64_t index)
{
    struct statement own;

    state_own(d, index, &own);
    if (d->fenced || own.known != KNOWN) {
        return false;
    }
    memset(d->statements, 0, sizeof d->statements);
    d->statements[place_of(d, d->config.id)] = own;
    d->open = true;
    d->suspect = false;
    d->index = index;
    d->since_ms = env_now_ms(d->config.env);
    metric_add(&d->counters[C_INQUIRIES], 1);
    return true;
}

void divergence_differs(struct divergence *d, uint64_t index)
{
    if (d->open && d->index == index) {
        d->suspect = true; /* who was asked about it sees it in a header, too */
        return;
    }
    if (d->open || !open_inquiry(d, index)) {
        return; /* one after the other: what differs now will differ then */
    }
    d->suspect = true;
    ask(d);
    decide(d);
}

static void note(struct divergence *d, int from, const struct statement *said)
{
    if (said->known != NOT_YET) {
        d->statements[from] = *said;
        decide(d);
    }
}

static void on_ask(struct divergence *d, int from, uint64_t index, const struct statement *said)
{
    struct statement own;

    state_own(d, index, &own);
    send(d, d->config.members[from].id, KIND_SAY, index, &own);
    if (d->fenced || own.known != KNOWN || said->known != KNOWN ||
        memcmp(own.digest, said->digest, DIGEST_BYTES) == 0) {
        return;
    }
    if (!d->open && index != d->settled_index && open_inquiry(d, index)) {
        d->statements[from] = *said;
        ask(d);
    }
    if (d->open && d->index == index) {
        note(d, from, said);
    }
}

int divergence_received(struct divergence *d, uint64_t from, const uint8_t *body, size_t n, struct error *e)
{
    struct cursor c = cursor_of(body, n);
    uint8_t version = cursor_u8(&c), kind = cursor_u8(&c), known = cursor_u8(&c);
    uint64_t index = cursor_u64(&c);
    const uint8_t *digest = cursor_bytes(&c, DIGEST_BYTES);
    struct statement said = {.spoke = true, .known = (enum known)known};
    int place = place_of(d, from);

    if (!c.bad && version != VERSION) {
        return error_set(e, Q_MISMATCH, "a statement about a digest of version %u, this node knows %d",
                         (unsigned)version, VERSION);
    }
    if (c.bad || cursor_left(&c) != 0 || (kind != KIND_ASK && kind != KIND_SAY) || known > NOT_YET ||
        index == 0 || place < 0 || from == d->config.id) {
        return error_set(e, Q_CORRUPT, "a statement about a digest of %zu bytes is not understood", n);
    }
    memcpy(said.digest, digest, DIGEST_BYTES);
    if (kind == KIND_ASK) {
        on_ask(d, place, index, &said);
    } else if (d->open && index == d->index) {
        note(d, place, &said);
    }
    return 0;
}

void divergence_tick(struct divergence *d)
{
    if (d->open && env_now_ms(d->config.env) - d->asked_ms >= DIVERGENCE_REPEAT_MS) {
        ask(d);
        decide(d);
    }
}

void divergence_fenced(struct divergence *d)
{
    d->open = d->suspect = false;
    d->fenced = true;
    metric_set(&d->counters[G_FENCED], 1);
}

bool divergence_suspects(const struct divergence *d)
{
    return d->suspect;
}

int divergence_new(const struct divergence_config *config, struct divergence **ret_divergence,
                   struct error *e)
{
    struct divergence *d = calloc(1, sizeof *d);

    if (d == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for digests of other members");
    }
    d->magic = DIVERGENCE_MAGIC;
    d->config = *config;
    memcpy(d->counters, counter_table, sizeof counter_table);
    *ret_divergence = d;
    return 0;
}

void divergence_free(struct divergence *d)
{
    if (d != NULL) {
        d->magic = 0;
        free(d);
    }
}

void divergence_metrics(struct divergence *d, struct metrics *metrics)
{
    metrics_register(metrics, d->counters, DIVERGENCE_COUNTERS);
}
