#include "cluster/repair.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/object.h"

enum {
    REPAIR_MAGIC = 0x51c0de08,
    ENTRY_HEADER_BYTES = 13,
    QUESTION_BYTES = 40,
    ANSWER_HEADER_BYTES = 37,
};

enum repair_counter { G_DAMAGED, C_REPAIRED, C_LENT, REPAIR_COUNTERS };

static const struct metric counter_table[REPAIR_COUNTERS] = {
    [G_DAMAGED] = {.kind = METRIC_GAUGE,
                   .name = "quorate_log_damaged_records",
                   .help = "Entries of the log that are lost and not repaired yet."},
    [C_REPAIRED] = {.kind = METRIC_COUNTER,
                    .name = "quorate_log_repaired_records_total",
                    .help = "Lost entries of the log that came from other members."},
    [C_LENT] = {.kind = METRIC_COUNTER,
                .name = "quorate_log_lent_records_total",
                .help = "Entries given to members that had lost them."},
};

enum { REPAIR_CONFIGURATION_MAX = META_CONFIGURATION_MAX + 64 };

struct repair {
    OBJECT_MAGIC;
    struct repair_config config;
    uint64_t session, number;         /* of the last question */
    uint64_t asked;                   /* the member that was asked, 0: none */
    uint64_t deadline_ms;             /* for its answer, or when to begin the next round */
    unsigned next;                    /* place in the list of members */
    unsigned declined;                /* members that were asked in this round and could not help */
    struct consensus_image compacted; /* as a member said in this round; index 0: none has compacted it */
    uint8_t configuration[REPAIR_CONFIGURATION_MAX]; /* of COMPACTED */
    unsigned rounds;                                 /* in a row in which nobody could */
    bool narrow;                                     /* ask for the beginning of the hole alone */
    struct log_want question;                        /* as it was asked */
    struct buf body;
    struct metric counters[REPAIR_COUNTERS];
    struct log_entry entries[REPAIR_ANSWER_ENTRIES];
};

int repair_new(const struct repair_config *config, struct repair **ret_repair, struct error *e)
{
    struct repair *r = calloc(1, sizeof *r);
    if (r == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the repair of the log");
    }
    r->magic = REPAIR_MAGIC;
    r->config = *config;
    buf_init(&r->body, PEERS_FRAME_MAX);
    memcpy(r->counters, counter_table, sizeof counter_table);
    env_random(config->env, &r->session, sizeof r->session);
    *ret_repair = r;
    return 0;
}

void repair_free(struct repair *r)
{
    if (r != NULL) {
        buf_close(&r->body);
        r->magic = 0;
        free(r);
    }
}

/* Asking. */

/* The beginning of what is wanted, up to the first entry whose term is known. */
static struct log_want narrowed(const struct repair *r, const struct log_want *want)
{
    struct log_want narrow = *want;
    for (uint64_t i = want->from; i < want->to; i++) {
        uint64_t term = consensus_term_at(r->config.consensus, i);
        if (term != 0 && consensus_linked(r->config.consensus, i, want->to)) {
            narrow.to = i;
            narrow.term = term;
            break;
        }
    }
    return narrow;
}

static bool ask(struct repair *r, uint64_t to)
{
    const struct log_want *q = &r->question;
    buf_clear(&r->body);
    buf_put_u64(&r->body, r->session);
    buf_put_u64(&r->body, ++r->number);
    buf_put_u64(&r->body, q->from);
    buf_put_u64(&r->body, q->to);
    buf_put_u64(&r->body, q->term);
    return r->body.failed == Q_OK &&
           r->config.send(r->config.ctx, to, r->config.question_type, r->body.data, r->body.len);
}

/* Nobody could help: all over again a little later. */
static void end_round(struct repair *r, const struct log_want *want, uint64_t now)
{
    r->declined = 0;
    r->narrow = !r->narrow;
    r->asked = 0;
    r->deadline_ms = now + REPAIR_AGAIN_MS;
    if (r->compacted.index != 0) {
        r->config.compacted(r->config.ctx, want, &r->compacted);
        r->compacted.index = 0;
    } else if (++r->rounds > 1) {
        r->config.stuck(r->config.ctx, want);
    }
}

void repair_up(struct repair *r)
{
    if (r->asked == 0) {
        r->deadline_ms = 0;
        r->declined = 0;
        repair_poll(r);
    }
}

void repair_poll(struct repair *r)
{
    const struct log_want *want = consensus_wanted(r->config.consensus);
    unsigned count = members_count(r->config.members);
    uint64_t now = env_now_ms(r->config.env);
    metric_set(&r->counters[G_DAMAGED], (int64_t)consensus_lost(r->config.consensus));
    if (want == NULL || now < r->deadline_ms) {
        return;
    }
    r->declined += r->asked != 0; /* it has not answered in time */
    r->question = r->narrow ? narrowed(r, want) : *want;
    for (r->asked = 0; r->asked == 0 && r->declined < count; r->declined += r->asked == 0) {
        uint64_t id = members_at(r->config.members, r->next++ % count)->id;
        if (id != r->config.id && ask(r, id)) {
            r->asked = id;
        }
    }
    if (r->asked != 0) {
        r->deadline_ms = now + REPAIR_ANSWER_MS;
    } else {
        end_round(r, want, now);
    }
}

static int take_entries(struct repair *r, enum log_proof proof, uint64_t before_term, uint32_t n,
                        struct cursor *c, struct error *e)
{
    const struct log_want *want = consensus_wanted(r->config.consensus);
    uint64_t from = r->question.from;
    uint32_t taken;
    if (n > REPAIR_ANSWER_ENTRIES) {
        return error_set(e, Q_CORRUPT, "an answer of %u entries", n);
    }
    for (uint32_t i = 0; i < n; i++) {
        struct log_entry *entry = &r->entries[i];
        entry->index = from + i;
        entry->term = cursor_u64(c);
        entry->type = (enum log_entry_type)cursor_u8(c);
        struct cursor payload = cursor_blob(c);
        entry->data = payload.p;
        entry->len = (uint32_t)cursor_left(&payload);
    }
    if (c->bad || cursor_left(c) != 0) {
        return error_set(e, Q_CORRUPT, "an answer that does not decode");
    }
    if (want == NULL || want->from != from) {
        return 0;
    }
    if (proof == LOG_PROOF_MATCH && n > 0 && from + n - 1 == r->question.to &&
        r->entries[n - 1].term != r->question.term) {
        return error_set(e, Q_CORRUPT, "entry %" PRIu64 " is not of the term that was asked for",
                         r->question.to);
    }
    int rv = consensus_give(r->config.consensus, proof, before_term, r->entries, n, &taken, e);
    metric_add(&r->counters[C_REPAIRED], rv == 0 ? taken : 0);
    r->declined = rv == 0 ? 0 : r->declined + 1;
    r->rounds = rv == 0 ? 0 : r->rounds;
    return rv;
}

/* Of several the lowest: the database holds that at the soonest. */
static int take_compaction(struct repair *r, struct cursor *c, struct error *e)
{
    struct consensus_image image = {.index = cursor_u64(c), .term = cursor_u64(c)};
    image.configuration_index = cursor_u64(c);
    struct cursor configuration = cursor_blob(c);
    image.configuration_len = (uint32_t)cursor_left(&configuration);
    image.configuration = r->configuration;
    if (c->bad || cursor_left(c) != 0 || image.configuration_len > sizeof r->configuration ||
        image.index < r->question.from) {
        return error_set(e, Q_CORRUPT, "a compaction that does not decode");
    }
    if (r->compacted.index == 0 || image.index < r->compacted.index) {
        if (image.configuration_len > 0) {
            memcpy(r->configuration, configuration.p, image.configuration_len);
        }
        r->compacted = image;
    }
    return 0;
}

static int take_answer(struct repair *r, uint64_t from, const uint8_t *body, size_t n, struct error *e)
{
    struct cursor c = cursor_of(body, n);
    uint64_t session = cursor_u64(&c), number = cursor_u64(&c);
    uint8_t verdict = cursor_u8(&c);
    uint64_t before_term;
    uint32_t entries;
    int rv = 0;
    cursor_u64(&c); /* where its log begins */
    before_term = cursor_u64(&c);
    entries = cursor_u32(&c);
    if (c.bad) {
        return error_set(e, Q_CORRUPT, "an answer of %zu bytes", n);
    }
    if (session != r->session || number != r->number || from != r->asked) {
        return 0; /* too late */
    }
    r->asked = 0;
    r->deadline_ms = 0;
    if (verdict == REPAIR_ENTRIES || verdict == REPAIR_COMMITTED) {
        rv = take_entries(r, verdict == REPAIR_ENTRIES ? LOG_PROOF_MATCH : LOG_PROOF_COMMITTED, before_term,
                          entries, &c, e);
        r->next--; /* it is a good one to ask */
    } else if (verdict == REPAIR_COMPACTED) {
        rv = take_compaction(r, &c, e);
        r->declined++;
    } else {
        r->declined++;
    }
    repair_poll(r);
    return rv;
}

/* Answering. */

static enum repair_verdict judge(const struct repair *r, const struct log_want *want)
{
    struct consensus *consensus = r->config.consensus;
    struct log_entry entry;
    if (want->from < consensus_first(consensus)) {
        return REPAIR_COMPACTED;
    }
    if (want->to > consensus_last(consensus) || consensus_entry(consensus, want->from, &entry, NULL) != 0) {
        return REPAIR_NOT_HERE;
    }
    if (want->term != 0 && consensus_term_at(consensus, want->to) == want->term &&
        consensus_linked(consensus, want->from, want->to)) {
        return REPAIR_ENTRIES;
    }
    return consensus_commit(consensus) >= want->to ? REPAIR_COMMITTED : REPAIR_NOT_HERE;
}

/* Puts in what there is without a gap. */
static uint32_t put_entries(struct repair *r, const struct log_want *want)
{
    size_t from = r->body.len;
    uint32_t n = 0;
    for (uint64_t i = want->from; i <= want->to && n < REPAIR_ANSWER_ENTRIES; i++, n++) {
        struct log_entry entry;
        if (consensus_entry(r->config.consensus, i, &entry, NULL) != 0 ||
            (n > 0 && r->body.len - from + entry.len > REPAIR_ANSWER_BYTES)) {
            break;
        }
        buf_put_u64(&r->body, entry.term);
        buf_put_u8(&r->body, (uint8_t)entry.type);
        buf_put_blob(&r->body, entry.data, entry.len);
    }
    return n;
}

static void put_compaction(struct repair *r, const struct consensus_image *image)
{
    buf_put_u64(&r->body, image->index);
    buf_put_u64(&r->body, image->term);
    buf_put_u64(&r->body, image->configuration_index);
    buf_put_blob(&r->body, image->configuration, image->configuration_len);
}

static int give_answer(struct repair *r, uint64_t from, const uint8_t *body, size_t n, struct error *e)
{
    struct cursor c = cursor_of(body, n);
    uint64_t session = cursor_u64(&c), number = cursor_u64(&c);
    struct log_want want;
    want.from = cursor_u64(&c);
    want.to = cursor_u64(&c);
    want.term = cursor_u64(&c);
    if (c.bad || cursor_left(&c) != 0 || want.from == 0 || want.from > want.to) {
        return error_set(e, Q_CORRUPT, "a question of %zu bytes for entries is not understood", n);
    }
    enum repair_verdict verdict = judge(r, &want);
    struct consensus_image image;
    struct error why;
    if (verdict == REPAIR_COMPACTED && consensus_compaction(r->config.consensus, &image, &why) != 0) {
        verdict = REPAIR_NOT_HERE;
    }
    buf_clear(&r->body);
    buf_put_u64(&r->body, session);
    buf_put_u64(&r->body, number);
    buf_put_u8(&r->body, (uint8_t)verdict);
    uint64_t first = consensus_first(r->config.consensus);
    buf_put_u64(&r->body, first);
    buf_put_u64(&r->body, consensus_term_at(r->config.consensus,
                                            (verdict == REPAIR_COMPACTED ? first : want.from) - 1));
    size_t place = r->body.len;
    buf_put_u32(&r->body, 0);
    if (verdict == REPAIR_ENTRIES || verdict == REPAIR_COMMITTED) {
        uint32_t entries = put_entries(r, &want);
        if (r->body.failed == Q_OK) {
            buf_set_u32(&r->body, place, entries);
            metric_add(&r->counters[C_LENT], entries);
        }
    }
    if (verdict == REPAIR_COMPACTED) {
        put_compaction(r, &image);
    }
    if (r->body.failed == Q_OK) {
        r->config.send(r->config.ctx, from, r->config.answer_type, r->body.data, r->body.len);
    }
    return 0;
}

int repair_received(struct repair *r, uint64_t from, uint8_t type, const uint8_t *body, size_t n,
                    struct error *e)
{
    return type == r->config.question_type ? give_answer(r, from, body, n, e)
                                           : take_answer(r, from, body, n, e);
}

void repair_metrics(struct repair *r, struct metrics *metrics)
{
    metrics_register(metrics, r->counters, REPAIR_COUNTERS);
}
