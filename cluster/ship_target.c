#include "cluster/ship_target.h"

#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "cluster/ship_target_impl.h"

enum {
    STEP_CHUNKS = 8, /* scanned or verified in one piece of work: others wait for the worker lane, too */
    ROOM_MS = 1000,  /* until a full disk is tried again */
    RATE_MS = 2000,
};

static const struct metric counter_table[SHIP_TARGET_COUNTERS] = {
    [C_RECEIVED_BYTES] = {METRIC_COUNTER, "quorate_ship_received_bytes_total", NULL,
                          "Bytes of manifests, chunks and deltas that came from other members."},
    [C_REUSED] = {METRIC_COUNTER, "quorate_ship_chunks_reused_total", NULL,
                  "Chunks of images that were on this node already."},
    [C_FETCHED] = {METRIC_COUNTER, "quorate_ship_chunks_fetched_total", NULL,
                   "Chunks of images that came from other members, whole or as deltas."},
    [C_WRONG] = {METRIC_COUNTER, "quorate_ship_wrong_total", NULL,
                 "Manifests, chunks and deltas that were not what they should be."},
    [C_STAGED] = {METRIC_COUNTER, "quorate_ship_images_staged_total", NULL,
                  "Images that were put together completely."},
};

void ship_target_say(struct ship_target *t, enum ship_event event, uint64_t who, const struct error *why)
{
    t->said_ms = env_now_ms(t->config.env);
    t->config.said(t->config.ctx, event, who, why);
}

void ship_target_wrong(struct ship_target *t, uint64_t id, const struct error *why)
{
    struct ship_giver *giver = ship_givers_find(&t->givers, id);

    metric_add(&t->counters[C_WRONG], 1);
    if (giver != NULL) {
        giver->wait_until_ms = env_now_ms(t->config.env) + SHIP_WRONG_MS;
    }
    ship_target_say(t, SHIP_WRONG, id, why);
}

bool ship_target_ask(struct ship_target *t, uint64_t to, struct ship_question *question)
{
    question->session = t->session;
    question->number = ++t->number;
    buf_clear(&t->question);
    ship_put_question(&t->question, question);
    return t->question.failed == Q_OK &&
           t->config.send(t->config.ctx, to, t->config.question_type, t->question.data, t->question.len);
}

/* On the worker lane. */

static void open_on_lane(struct ship_target *t)
{
    struct stage_config config = {.env = t->config.env,
                                  .dir = t->config.dir,
                                  .own_path = t->config.own_path,
                                  .store = images_chunks(t->config.images)};
    stage_close(t->stage);
    t->stage = NULL;
    t->rc = stage_open(&config, &t->manifest, &t->stage, &t->error);
}

static void finish_on_lane(struct ship_target *t)
{
    t->rc = stage_finish(t->stage, &t->error);
    if (t->rc == 0) {
        stage_progress(t->stage, &t->staged);
        stage_close(t->stage);
        t->stage = NULL;
    }
}

static void clear_on_lane(struct ship_target *t)
{
    stage_close(t->stage);
    t->stage = NULL;
    t->rc = stage_clear(t->config.env, t->config.dir, &t->error);
}

static void on_lane(struct env_work *work)
{
    struct ship_target *t = CONTAINER_OF(work, struct ship_target, work);

    switch (t->state) {
    case SHIP_IDLE: clear_on_lane(t); break;
    case SHIP_OPENING: open_on_lane(t); break;
    case SHIP_SCANNING: t->rc = stage_step(t->stage, STEP_CHUNKS, &t->flag, &t->error); break;
    case SHIP_FETCHING: ship_fetch_on_lane(t); break;
    case SHIP_VERIFYING: t->rc = stage_verify(t->stage, STEP_CHUNKS, &t->flag, &t->error); break;
    case SHIP_FINISHING: finish_on_lane(t); break;
    case SHIP_ASKING:
    case SHIP_STAGED: break;
    }
    if (t->stage != NULL) {
        stage_progress(t->stage, &t->staged);
    }
}

/* On the loop. */

void ship_target_run(struct ship_target *t, enum ship_state state)
{
    if (state != t->state && state != SHIP_FETCHING) {
        t->flag = false;
    }
    t->state = state;
    t->busy = true;
    t->error = (struct error){.code = Q_OK};
    env_run(t->config.env, &t->work);
}

static void die(struct ship_target *t)
{
    t->dead = true;
    t->config.fatal(t->config.ctx, &t->error);
}

static void wait_for_room(struct ship_target *t)
{
    t->again_ms = env_now_ms(t->config.env) + ROOM_MS;
    ship_target_say(t, SHIP_WAITS, 0, &t->error);
}

/* This image is of no use. */
static void give_up_image(struct ship_target *t)
{
    ship_target_wrong(t, t->giver, &t->error);
    ship_ask_begin(t);
}

static void staged(struct ship_target *t)
{
    t->state = SHIP_STAGED;
    t->tell = true;
    metric_add(&t->counters[C_STAGED], 1);
    metric_add(&t->counters[C_REUSED], t->staged.chunks_reused);
    metric_add(&t->counters[C_FETCHED], t->staged.chunks_fetched);
}

static void advance(struct ship_target *t)
{
    switch (t->state) {
    case SHIP_OPENING: ship_target_run(t, SHIP_SCANNING); break;
    case SHIP_SCANNING:
        if (t->flag) {
            ship_fetch_begin(t);
            ship_fetch_poll(t);
        } else {
            ship_target_run(t, SHIP_SCANNING);
        }
        break;
    case SHIP_FETCHING: ship_fetch_poll(t); break;
    case SHIP_VERIFYING: ship_target_run(t, t->flag ? SHIP_FINISHING : SHIP_VERIFYING); break;
    case SHIP_FINISHING: staged(t); break;
    case SHIP_IDLE:
    case SHIP_ASKING:
    case SHIP_STAGED: break;
    }
}

static void failed(struct ship_target *t)
{
    if (t->rc == Q_NO_SPACE || t->rc == Q_NOMEM) {
        wait_for_room(t);
    } else if (t->state == SHIP_SCANNING && t->rc == Q_CORRUPT) {
        give_up_image(t);
    } else if ((t->state == SHIP_VERIFYING || t->state == SHIP_FINISHING) &&
               (t->rc == Q_CORRUPT || t->rc == Q_CONFLICT)) {
        ship_target_say(t, SHIP_WAITS, 0, &t->error); /* the disk gave back something else: once more */
        ship_fetch_begin(t);
        ship_fetch_poll(t);
    } else {
        die(t);
    }
}

static void begin(struct ship_target *t)
{
    ship_fetch_end(t);
    ship_ask_begin(t);
    ship_ask_poll(t);
}

static void lane_done(struct env_work *work)
{
    struct ship_target *t =
        CAST(struct ship_target, CONTAINER_OF(work, struct ship_target, work), SHIP_TARGET_MAGIC);

    t->busy = false;
    if (t->state == SHIP_FETCHING) {
        ship_fetch_done(t);
    }
    if (t->stopped || t->dead) {
        return;
    }
    if (t->rc == Q_IO) {
        die(t);
    } else if (!t->needed) {
        ship_target_end(t, t->clear);
    } else if (t->restart || t->state == SHIP_IDLE) {
        begin(t);
    } else if (t->rc != 0) {
        failed(t);
    } else {
        advance(t);
    }
}

void ship_target_want(struct ship_target *t, uint64_t index)
{
    bool more = index > t->at_least;

    t->needed = true;
    t->at_least = more ? index : t->at_least;
    if (t->stopped || t->dead) {
        return;
    }
    if (t->state == SHIP_IDLE) {
        t->clear = false;
        t->manifests = false;
        t->bytes_wire = t->bytes_per_s = 0;
        if (!t->busy) {
            begin(t);
        }
    } else if (t->state == SHIP_STAGED && t->manifest.index >= t->at_least) {
        t->tell = true;
    } else if (t->state != SHIP_ASKING && t->manifest.index < t->at_least) {
        t->restart = true;
        if (!t->busy) {
            begin(t);
        }
    }
}

void ship_target_end(struct ship_target *t, bool clear)
{
    t->needed = false;
    t->at_least = 0;
    t->tell = false;
    t->clear = clear;
    if (t->busy || t->stopped || t->dead) {
        return;
    }
    ship_fetch_end(t);
    stage_close(t->stage);
    t->stage = NULL;
    t->state = SHIP_IDLE;
    if (clear) {
        t->clear = false;
        ship_target_run(t, SHIP_IDLE);
    }
}

uint64_t ship_target_judge(struct ship_target *t, bool right)
{
    struct ship_giver *giver = ship_givers_find(&t->givers, t->giver);
    uint64_t ms = SHIP_AVOID_MS;

    if (giver == NULL) {
        return 0;
    }
    giver->wrong_images = right ? 0 : giver->wrong_images + 1;
    if (right || PLANTED("wrong_images_are_taken_again_at_once")) {
        return 0;
    }
    for (unsigned i = 1; i < giver->wrong_images && ms < (uint64_t)SHIP_AVOID_MS * SHIP_AVOID_TIMES; i++) {
        ms *= 2;
    }
    giver->avoid_until_ms = env_now_ms(t->config.env) + ms;
    return ms;
}

void ship_target_up(struct ship_target *t)
{
    if (t->state == SHIP_ASKING && t->asked == 0) {
        t->ask_deadline_ms = 0;
    }
}

void ship_target_down(struct ship_target *t, uint64_t id)
{
    ship_ask_down(t, id);
    ship_fetch_down(t, id);
}

int ship_target_received(struct ship_target *t, uint64_t from, const uint8_t *body, size_t n, struct error *e)
{
    struct ship_answer answer;
    int rv = ship_get_answer(body, n, &answer, e);

    if (rv != 0 || t->stopped || t->dead || answer.session != t->session) {
        return rv;
    }
    metric_add(&t->counters[C_RECEIVED_BYTES], (int64_t)n);
    t->bytes_wire += n;
    t->rate_bytes += n;
    if (t->state == SHIP_ASKING) {
        ship_ask_answered(t, from, &answer);
    } else {
        ship_fetch_answered(t, from, &answer);
    }
    return 0;
}

void ship_target_tick(struct ship_target *t)
{
    uint64_t now = env_now_ms(t->config.env);

    if (now - t->rate_since_ms >= RATE_MS) {
        t->bytes_per_s = t->rate_bytes * 1000 / (now - t->rate_since_ms);
        t->rate_since_ms = now;
        t->rate_bytes = 0;
    }
    if (t->stopped || t->dead || t->busy || !t->needed || now < t->again_ms) {
        return;
    }
    if (t->state > SHIP_ASKING && t->state < SHIP_STAGED && now - t->said_ms >= SHIP_SAY_MS) {
        ship_target_say(t, SHIP_MOVES, t->giver, NULL);
    }
    if (t->state == SHIP_ASKING) {
        ship_ask_poll(t);
    } else if (t->state == SHIP_FETCHING) {
        ship_fetch_poll(t);
    } else if (t->state == SHIP_STAGED && t->tell) {
        t->tell = false;
        t->config.staged(t->config.ctx, &t->manifest);
    } else if (t->state != SHIP_STAGED) {
        ship_target_run(t, t->state); /* there was no room */
    }
}

void ship_target_stop(struct ship_target *t)
{
    t->stopped = true;
}

bool ship_target_idle(const struct ship_target *t)
{
    return !t->busy;
}

struct ship_target_progress ship_target_progress(const struct ship_target *t)
{
    bool known = t->state > SHIP_ASKING;
    struct ship_target_progress p = {
        .state = t->state,
        .from = t->giver,
        .bytes_wire = t->bytes_wire,
        .bytes_per_s = t->bytes_per_s,
        .eta_ms = UINT64_MAX,
    };
    uint32_t left;

    if (!known) {
        return p;
    }
    p.index = t->manifest.index;
    p.term = t->manifest.term;
    p.bytes_all = t->manifest.image_bytes;
    p.chunks_all = t->manifest.chunks;
    p.chunks_reused = t->staged.chunks_reused;
    p.chunks_fetched = t->staged.chunks_fetched;
    left = p.chunks_all - p.chunks_reused - p.chunks_fetched;
    if (t->state > SHIP_FETCHING || left == 0) {
        p.eta_ms = 0;
    } else if (t->state == SHIP_FETCHING && p.bytes_per_s > 0 && p.chunks_fetched > 0) {
        p.eta_ms = t->staged.bytes_fetched / p.chunks_fetched * left * 1000 / p.bytes_per_s;
    }
    return p;
}

int ship_target_new(const struct ship_target_config *config, struct ship_target **ret_target, struct error *e)
{
    struct ship_target *t = calloc(1, sizeof *t);

    if (t == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for shipping");
    }
    t->magic = SHIP_TARGET_MAGIC;
    t->config = *config;
    t->work = (struct env_work){.run = on_lane, .done = lane_done, .lane = ENV_WORKER};
    buf_init(&t->question, SHIP_FRAME_MAX);
    buf_init(&t->manifest_bytes, SHIP_MANIFEST_MAX);
    for (unsigned i = 0; i < SHIP_FLIGHTS; i++) {
        buf_init(&t->flights[i].bytes, SHIP_BLOB_MAX);
    }
    env_random(config->env, &t->session, sizeof t->session);
    memcpy(t->counters, counter_table, sizeof counter_table);
    *ret_target = t;
    return 0;
}

void ship_target_free(struct ship_target *t)
{
    if (t == NULL) {
        return;
    }
    stage_close(t->stage);
    manifest_close(&t->manifest);
    buf_close(&t->question);
    buf_close(&t->manifest_bytes);
    for (unsigned i = 0; i < SHIP_FLIGHTS; i++) {
        buf_close(&t->flights[i].bytes);
    }
    t->magic = 0;
    free(t);
}

void ship_target_metrics(struct ship_target *t, struct metrics *metrics)
{
    metrics_register(metrics, t->counters, SHIP_TARGET_COUNTERS);
}
