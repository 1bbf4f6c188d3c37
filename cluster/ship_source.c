#include "cluster/ship_source.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"

enum { SHIP_SOURCE_MAGIC = 0x51c0de12, RATE_MS = 2000 };

enum counter { C_SENT_BYTES, C_CHUNKS, C_DELTAS, C_REFUSED, SOURCE_COUNTERS };

static const struct metric counter_table[SOURCE_COUNTERS] = {
    [C_SENT_BYTES] = {METRIC_COUNTER, "quorate_ship_sent_bytes_total", NULL,
                      "Bytes of manifests, chunks and deltas given to other members."},
    [C_CHUNKS] = {METRIC_COUNTER, "quorate_ship_chunks_sent_total", NULL, "Chunks sent whole."},
    [C_DELTAS] = {METRIC_COUNTER, "quorate_ship_deltas_sent_total", NULL,
                  "Chunks of which only what is new was sent."},
    [C_REFUSED] = {METRIC_COUNTER, "quorate_ship_questions_refused_total", NULL,
                   "Questions about images that got no bytes."},
};

struct waiting {
    uint64_t from;
    struct ship_question question;
};

struct ship_source {
    OBJECT_MAGIC;
    struct ship_source_config config;
    struct waiting queue[SHIP_SOURCE_WAITING];
    unsigned first, count;
    bool stopped;
    double tokens; /* bytes that may leave now; below 0 after a large answer */
    uint64_t filled_us;

    /* What is on the lane. */
    bool busy;
    struct env_work work;
    struct waiting now;
    struct ship_answer answer;
    struct buf manifest; /* the last one that was asked for, verified */
    uint64_t manifest_index, manifest_term;
    struct buf encoded, delta;
    uint8_t plain[CHUNK_BYTES];

    struct buf body;
    struct ship_source_progress progress;
    uint64_t asked_ms, rate_since_ms, rate_bytes;
    struct metric counters[SOURCE_COUNTERS];
};

int ship_source_new(const struct ship_source_config *config, struct ship_source **ret_source, struct error *e)
{
    struct ship_source *s = calloc(1, sizeof *s);
    if (s == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for shipping");
    }
    s->magic = SHIP_SOURCE_MAGIC;
    s->config = *config;
    s->filled_us = env_now_us(config->env);
    buf_init(&s->manifest, MANIFEST_BYTES_MAX);
    buf_init(&s->encoded, CHUNK_ENCODED_MAX);
    buf_init(&s->delta, DELTA_ENCODED_MAX);
    buf_init(&s->body, SHIP_FRAME_MAX);
    memcpy(s->counters, counter_table, sizeof counter_table);
    *ret_source = s;
    return 0;
}

void ship_source_free(struct ship_source *s)
{
    if (s != NULL) {
        buf_close(&s->manifest);
        buf_close(&s->encoded);
        buf_close(&s->delta);
        buf_close(&s->body);
        s->magic = 0;
        free(s);
    }
}

/* Answering. */

static void send(struct ship_source *s, uint64_t to, const struct ship_answer *answer)
{
    buf_clear(&s->body);
    ship_put_answer(&s->body, answer);
    if (s->body.failed != Q_OK ||
        !s->config.send(s->config.ctx, to, s->config.answer_type, s->body.data, s->body.len)) {
        return; /* the asker's deadline deals with it */
    }
    s->tokens -= (double)s->body.len;
    s->progress.bytes_wire += s->body.len;
    s->rate_bytes += s->body.len;
    metric_add(&s->counters[C_SENT_BYTES], (int64_t)s->body.len);
    s->progress.chunks += answer->error.code == Q_OK && answer->kind != SHIP_MANIFEST;
}

static void refuse(struct ship_source *s, uint64_t to, const struct ship_question *q, const struct error *why)
{
    struct ship_answer answer = {.session = q->session, .number = q->number, .kind = q->kind, .error = *why};

    metric_add(&s->counters[C_REFUSED], 1);
    send(s, to, &answer);
}

/* On the reader lane. */

static int load_manifest(struct ship_source *s, const struct ship_question *q, struct error *e)
{
    struct manifest m;
    int rv;

    if (s->manifest.len > 0 && s->manifest_index == q->index && s->manifest_term == q->term) {
        return 0;
    }
    rv = catalog_read(s->config.env, s->config.dir, q->index, q->term, &s->manifest, e);
    if (rv == 0) {
        rv = manifest_decode(s->manifest.data, s->manifest.len, &m, e);
    }
    if (rv != 0) {
        buf_clear(&s->manifest);
        return rv;
    }
    s->manifest_index = m.index;
    s->manifest_term = m.term;
    manifest_close(&m);
    return s->manifest_index == q->index && s->manifest_term == q->term
               ? 0
               : error_set(e, Q_CORRUPT, "the manifest of index %" PRIu64 " is one of index %" PRIu64,
                           q->index, s->manifest_index);
}

static int read_manifest(struct ship_source *s, const struct ship_question *q, struct error *e)
{
    int rv = load_manifest(s, q, e);
    uint64_t left;

    if (rv != 0) {
        return rv;
    }
    if (q->offset > s->manifest.len) {
        return error_set(e, Q_INVALID, "the manifest of index %" PRIu64 " ends before byte %" PRIu64,
                         q->index, q->offset);
    }
    left = s->manifest.len - q->offset;
    s->answer.kind = SHIP_MANIFEST;
    s->answer.index = q->index;
    s->answer.term = q->term;
    s->answer.bytes = s->manifest.len;
    s->answer.offset = q->offset;
    s->answer.blob = s->manifest.data + q->offset;
    s->answer.len = left < SHIP_PART_BYTES ? left : SHIP_PART_BYTES;
    return 0;
}

static int read_chunk(struct ship_source *s, const struct ship_question *q, struct error *e)
{
    size_t n;
    int rv = chunk_store_read(s->config.env, s->config.dir, &q->name, &s->encoded, e);

    if (rv == 0 && !PLANTED("source_sends_chunks_unseen")) {
        rv = chunk_decode(s->encoded.data, s->encoded.len, &q->name, s->plain, &n, e);
    }
    buf_clear(&s->delta);
    if (rv == 0 && q->has_base) {
        rv = delta_encode(s->plain, n, &q->name, q->base, &s->delta, e);
    }
    if (rv == 0) {
        bool shorter = q->has_base && s->delta.len < s->encoded.len;
        s->answer.kind = shorter ? SHIP_DELTA : SHIP_CHUNK;
        s->answer.blob = shorter ? s->delta.data : s->encoded.data;
        s->answer.len = shorter ? s->delta.len : s->encoded.len;
    }
    return rv;
}

static void read_on_lane(struct env_work *work)
{
    struct ship_source *s = CONTAINER_OF(work, struct ship_source, work);
    const struct ship_question *q = &s->now.question;
    struct error *e = &s->answer.error;
    int rv = q->kind == SHIP_MANIFEST ? read_manifest(s, q, e) : read_chunk(s, q, e);

    e->code = (enum error_code)rv;
}

/* On the loop again. */

static void next(struct ship_source *s);

static void read_done(struct env_work *work)
{
    struct ship_source *s =
        CAST(struct ship_source, CONTAINER_OF(work, struct ship_source, work), SHIP_SOURCE_MAGIC);
    const struct ship_question *q = &s->now.question;
    struct error why = s->answer.error;

    s->busy = false;
    if (s->stopped) {
        return;
    }
    if (why.code == Q_OK) {
        metric_add(&s->counters[s->answer.kind == SHIP_DELTA ? C_DELTAS : C_CHUNKS], q->kind == SHIP_CHUNK);
        send(s, s->now.from, &s->answer);
    } else if (why.code == Q_IO) {
        s->config.fatal(s->config.ctx, &why);
        return;
    } else {
        if (why.code == Q_CORRUPT ||
            (why.code == Q_NOT_FOUND && images_find_exact(s->config.images, q->index, q->term))) {
            images_damaged(s->config.images, q->index, q->term, q->kind == SHIP_CHUNK ? &q->name : NULL,
                           &why);
        }
        refuse(s, s->now.from, q, &why);
    }
    next(s);
}

static void fill(struct ship_source *s)
{
    uint64_t now = env_now_us(s->config.env);
    double most = (double)(s->config.rate > SHIP_FRAME_MAX ? s->config.rate : SHIP_FRAME_MAX) / 10;

    s->tokens += (double)(now - s->filled_us) * (double)s->config.rate / 1e6;
    s->tokens = s->tokens > most ? most : s->tokens;
    s->filled_us = now;
}

static void next(struct ship_source *s)
{
    fill(s);
    if (s->busy || s->stopped || s->count == 0 || (s->config.rate > 0 && s->tokens < 0)) {
        return;
    }
    s->now = s->queue[s->first];
    s->first = (s->first + 1) % SHIP_SOURCE_WAITING;
    s->count--;
    s->busy = true;
    s->answer = (struct ship_answer){
        .session = s->now.question.session, .number = s->now.question.number, .error = {.code = Q_OK}};
    s->work = (struct env_work){.run = read_on_lane, .done = read_done, .lane = ENV_READER};
    env_run(s->config.env, &s->work);
}

/* Asked. */

static void wait_in_line(struct ship_source *s, uint64_t from, const struct ship_question *q)
{
    unsigned same = 0;
    struct error busy;

    for (unsigned i = 0; i < s->count; i++) {
        same += s->queue[(s->first + i) % SHIP_SOURCE_WAITING].from == from;
    }
    if (s->count == SHIP_SOURCE_WAITING || same >= SHIP_SOURCE_OF_ONE) {
        error_set(&busy, Q_BUSY, "too many questions about images wait here");
        refuse(s, from, q, &busy);
        return;
    }
    s->queue[(s->first + s->count++) % SHIP_SOURCE_WAITING] = (struct waiting){from, *q};
    next(s);
}

static void note_asked(struct ship_source *s, uint64_t from, const struct ship_question *q)
{
    struct ship_source_progress *p = &s->progress;

    s->asked_ms = env_now_ms(s->config.env);
    if (p->to != from || p->index != q->index || p->term != q->term) {
        *p = (struct ship_source_progress){.to = from, .index = q->index, .term = q->term};
    }
    p->open = true;
}

static void asked_for_image(struct ship_source *s, uint64_t from, struct ship_question *q)
{
    const struct image *image = images_find(s->config.images, q->at_least);
    struct error why;

    if (image == NULL) {
        if (images_taking(s->config.images) || s->config.may_take(s->config.ctx, q->at_least, &why) == 0) {
            images_want(s->config.images);
            error_set(&why, Q_BUSY, "an image is being taken");
        }
        refuse(s, from, q, &why);
        return;
    }
    q->index = image->index;
    q->term = image->term;
    images_ship(s->config.images, q->index, q->term);
    note_asked(s, from, q);
    wait_in_line(s, from, q);
}

int ship_source_received(struct ship_source *s, uint64_t from, const uint8_t *body, size_t n, struct error *e)
{
    struct ship_question q;
    int rv = ship_get_question(body, n, &q, e);
    bool kept;

    if (rv != 0 || s->stopped) {
        return rv;
    }
    if (q.kind == SHIP_MANIFEST && q.index == 0) {
        asked_for_image(s, from, &q);
        return 0;
    }
    kept = images_ship(s->config.images, q.index, q.term);
    if (!kept && q.kind == SHIP_MANIFEST) {
        struct error gone;
        error_set(&gone, Q_NOT_FOUND, "the image of index %" PRIu64 " is not kept any more", q.index);
        refuse(s, from, &q, &gone);
        return 0;
    }
    note_asked(s, from, &q);
    wait_in_line(s, from, &q);
    return 0;
}

void ship_source_tick(struct ship_source *s)
{
    uint64_t now = env_now_ms(s->config.env);

    if (now - s->rate_since_ms >= RATE_MS) {
        s->progress.bytes_per_s = s->rate_bytes * 1000 / (now - s->rate_since_ms);
        s->rate_since_ms = now;
        s->rate_bytes = 0;
    }
    s->progress.open = s->progress.open && now - s->asked_ms < SHIP_SOURCE_OPEN_MS;
    next(s);
}

void ship_source_stop(struct ship_source *s)
{
    s->stopped = true;
}

bool ship_source_idle(const struct ship_source *s)
{
    return !s->busy;
}

struct ship_source_progress ship_source_progress(const struct ship_source *s)
{
    return s->progress;
}

void ship_source_metrics(struct ship_source *s, struct metrics *metrics)
{
    metrics_register(metrics, s->counters, SOURCE_COUNTERS);
}
