#include "cluster/divergence.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/object.h"
#include "base/plant.h"

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
    uint64_t id;
    bool spoke;
    enum known known;
    uint8_t digest[DIGEST_BYTES];
};

struct divergence {
    OBJECT_MAGIC;
    struct divergence_config config;
    bool open, suspect, fenced;
    uint64_t index, since_ms, asked_ms;
    uint64_t settled_index; /* of the last inquiry */
    struct statement
        statements[PEERS_MAX]; /* of those who were members when it was opened, this node first */
    unsigned count;
    struct metric counters[DIVERGENCE_COUNTERS];
};

static struct statement *statement_of(struct divergence *d, uint64_t id)
{
    for (unsigned i = 0; i < d->count; i++) {
        if (d->statements[i].id == id) {
            return &d->statements[i];
        }
    }
    return NULL;
}

/* Whether its word counts. */
static bool votes(const struct divergence *d, const struct statement *s)
{
    return d->config.voter(d->config.ctx, s->id) || PLANTED("standbys_count_in_a_majority_of_digests");
}

static void state_own(struct divergence *d, uint64_t index, struct statement *ret_statement)
{
    *ret_statement = (struct statement){.id = d->config.id, .spoke = true, .known = NOT_KNOWN};
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
    d->asked_ms = env_now_ms(d->config.env);
    for (unsigned i = 1; i < d->count; i++) {
        if (!d->statements[i].spoke) {
            send(d, d->statements[i].id, KIND_ASK, d->index, &d->statements[0]);
        }
    }
}

/* The voters who state the digest of WITH, and those who state another. */
static void count(const struct divergence *d, const struct statement *with, struct divergence_verdict *v)
{
    v->agree = v->differ = 0;
    for (unsigned i = 0; i < d->count; i++) {
        const struct statement *s = &d->statements[i];
        if (!s->spoke || s->known != KNOWN || !votes(d, s)) {
            continue;
        }
        if (memcmp(s->digest, with->digest, DIGEST_BYTES) == 0) {
            v->members[v->agree++] = s->id;
        } else {
            v->others[v->differ++] = s->id;
        }
    }
}

/* A statement that a majority makes, with V filled; NULL: there is none. */
static const struct statement *find_majority(const struct divergence *d, struct divergence_verdict *v)
{
    unsigned voters = d->config.voters(d->config.ctx);

    for (unsigned i = 0; i < d->count; i++) {
        if (d->statements[i].spoke && d->statements[i].known == KNOWN) {
            count(d, &d->statements[i], v);
            if (v->agree > voters / 2) {
                return &d->statements[i];
            }
        }
    }
    return NULL;
}

static bool all_spoke(const struct divergence *d)
{
    for (unsigned i = 0; i < d->count; i++) {
        if (!d->statements[i].spoke && votes(d, &d->statements[i])) {
            return false;
        }
    }
    return true;
}

static void decide(struct divergence *d)
{
    struct divergence_verdict v = {.index = d->index};
    const struct statement *self = &d->statements[0], *most = find_majority(d, &v);
    bool late = env_now_ms(d->config.env) - d->since_ms >= DIVERGENCE_PATIENCE_MS;
    bool odd;

    v.majority = most != NULL;
    if (!v.majority && !all_spoke(d) && !late) {
        return;
    }
    if (!v.majority) {
        count(d, self, &v);
    }
    odd = v.majority ? memcmp(most->digest, self->digest, DIGEST_BYTES) != 0 : d->suspect;
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
    d->statements[0] = own;
    d->count = 1;
    for (unsigned i = 0; i < members_count(d->config.members); i++) {
        uint64_t id = members_at(d->config.members, i)->id;
        if (id != d->config.id && d->count < PEERS_MAX) {
            d->statements[d->count++] = (struct statement){.id = id};
        }
    }
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

static void note(struct divergence *d, const struct statement *said)
{
    struct statement *place = statement_of(d, said->id);

    if (said->known != NOT_YET && place != NULL) {
        *place = *said;
        decide(d);
    }
}

static void on_ask(struct divergence *d, uint64_t index, const struct statement *said)
{
    struct statement own;

    state_own(d, index, &own);
    send(d, said->id, KIND_SAY, index, &own);
    if (d->fenced || own.known != KNOWN || said->known != KNOWN ||
        memcmp(own.digest, said->digest, DIGEST_BYTES) == 0) {
        return;
    }
    if (!d->open && index != d->settled_index && open_inquiry(d, index)) {
        if (statement_of(d, said->id) != NULL) {
            *statement_of(d, said->id) = *said;
        }
        ask(d);
    }
    if (d->open && d->index == index) {
        note(d, said);
    }
}

int divergence_received(struct divergence *d, uint64_t from, const uint8_t *body, size_t n, struct error *e)
{
    struct cursor c = cursor_of(body, n);
    uint8_t version = cursor_u8(&c), kind = cursor_u8(&c), known = cursor_u8(&c);
    uint64_t index = cursor_u64(&c);
    const uint8_t *digest = cursor_bytes(&c, DIGEST_BYTES);
    struct statement said = {.id = from, .spoke = true, .known = (enum known)known};

    if (!c.bad && version != VERSION) {
        return error_set(e, Q_MISMATCH, "a statement about a digest of version %u, this node knows %d",
                         (unsigned)version, VERSION);
    }
    if (c.bad || cursor_left(&c) != 0 || (kind != KIND_ASK && kind != KIND_SAY) || known > NOT_YET ||
        index == 0 || from == d->config.id || members_in(d->config.members, from) == NULL) {
        return error_set(e, Q_CORRUPT, "a statement about a digest of %zu bytes is not understood", n);
    }
    memcpy(said.digest, digest, DIGEST_BYTES);
    if (kind == KIND_ASK) {
        on_ask(d, index, &said);
    } else if (d->open && index == d->index) {
        note(d, &said);
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

void divergence_lifted(struct divergence *d)
{
    d->open = d->suspect = d->fenced = false;
    metric_set(&d->counters[G_FENCED], 0);
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
