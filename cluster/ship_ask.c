/* How a target gets a manifest: one member after the other. */
#include <inttypes.h>

#include "base/plant.h"
#include "cluster/ship_target_impl.h"

static void ask(struct ship_target *t, uint64_t to)
{
    struct ship_question q = {.kind = SHIP_MANIFEST,
                              .at_least = t->at_least,
                              .index = t->part_index,
                              .term = t->part_term,
                              .offset = t->manifest_bytes.len};
    bool sent = ship_target_ask(t, to, &q);

    t->asked = sent ? to : 0;
    t->asked_number = q.number;
    t->ask_deadline_ms = sent ? env_now_ms(t->config.env) + SHIP_ASK_MS : 0;
}

static void forget_parts(struct ship_target *t)
{
    buf_clear(&t->manifest_bytes);
    t->part_index = t->part_term = t->part_bytes = 0;
}

void ship_ask_begin(struct ship_target *t)
{
    t->state = SHIP_ASKING;
    t->restart = false;
    t->asked = 0;
    t->declined = 0;
    t->ask_deadline_ms = 0;
    forget_parts(t);
}

/* The next one may be asked at once. */
static void decline(struct ship_target *t)
{
    forget_parts(t);
    t->asked = 0;
    t->ask_deadline_ms = 0;
    t->declined++;
    t->next++;
}

static void end_round(struct ship_target *t, unsigned n)
{
    if (n == 0) {
        error_set(&t->trouble, Q_NO_LEADER, "no other member is reached");
    }
    t->declined = 0;
    t->ask_deadline_ms = env_now_ms(t->config.env) + SHIP_AGAIN_MS;
    ship_target_say(t, SHIP_WAITS, 0, &t->trouble);
}

void ship_ask_poll(struct ship_target *t)
{
    uint64_t ids[PEERS_MAX], now = env_now_ms(t->config.env);
    unsigned n;

    if (t->busy || now < t->ask_deadline_ms) {
        return;
    }
    if (t->asked != 0 && t->part_index == 0 && t->asked_number == 0) {
        ask(t, t->asked); /* it was busy */
        return;
    }
    if (t->asked != 0) {
        error_set(&t->trouble, Q_TIMEOUT, "member %" PRIu64 " did not answer", t->asked);
        decline(t);
    }
    n = t->config.members(t->config.ctx, ids);
    for (; t->asked == 0 && t->declined < n; t->declined += t->asked == 0, t->next += t->asked == 0) {
        uint64_t id = ids[t->next % n];
        const struct ship_giver *giver = ship_givers_find(&t->givers, id);
        if (giver != NULL && giver->avoid_until_ms > now) {
            error_set(&t->trouble, Q_CONFLICT,
                      "the last image of member %" PRIu64 " was wrong: it is asked for another one later",
                      id);
        } else if (giver != NULL && giver->wait_until_ms <= now) {
            ask(t, id);
        }
    }
    if (t->asked == 0) {
        end_round(t, n);
    }
}

static void use(struct ship_target *t, struct manifest *m)
{
    manifest_close(&t->manifest);
    t->manifest = *m;
    t->giver = t->asked;
    t->asked = 0;
    t->staged = (struct stage_progress){.chunks_all = t->manifest.chunks};
    forget_parts(t);
    ship_target_run(t, SHIP_OPENING);
    ship_target_say(t, t->manifests ? SHIP_RESUMED : SHIP_STARTED, t->giver, NULL);
    t->manifests = true;
}

static void take_manifest_bytes(struct ship_target *t)
{
    struct manifest m;
    struct error e;
    int rv = manifest_decode(t->manifest_bytes.data, t->manifest_bytes.len, &m, &e);

    if (rv != 0 || m.index != t->part_index || m.term != t->part_term) {
        if (rv == 0) {
            error_set(&e, Q_CORRUPT, "the manifest is not of the index that it was given for");
            manifest_close(&m);
        }
        ship_target_wrong(t, t->asked, &e);
        t->trouble = e;
        decline(t);
    } else if (t->config.check(t->config.ctx, &m, &t->trouble) != 0 || m.index < t->at_least) {
        manifest_close(&m);
        decline(t);
    } else {
        use(t, &m);
    }
}

void ship_ask_answered(struct ship_target *t, uint64_t from, const struct ship_answer *answer)
{
    if (t->state != SHIP_ASKING || t->asked != from || t->asked_number != answer->number) {
        return; /* too late */
    }
    if (answer->error.code == Q_BUSY) {
        forget_parts(t);
        t->asked_number = 0;
        t->ask_deadline_ms = env_now_ms(t->config.env) + SHIP_BUSY_MS;
        return;
    }
    t->trouble = answer->error;
    if (answer->error.code != Q_OK) {
        decline(t);
    } else if (answer->kind != SHIP_MANIFEST || answer->offset != t->manifest_bytes.len || answer->len == 0 ||
               answer->bytes > SHIP_MANIFEST_MAX || answer->len > answer->bytes - answer->offset ||
               (t->part_index != 0 && (answer->index != t->part_index || answer->term != t->part_term ||
                                       answer->bytes != t->part_bytes))) {
        error_set(&t->trouble, Q_CORRUPT, "a part of a manifest that contradicts the others");
        ship_target_wrong(t, from, &t->trouble);
        decline(t);
    } else {
        t->part_index = answer->index;
        t->part_term = answer->term;
        t->part_bytes = answer->bytes;
        buf_put_bytes(&t->manifest_bytes, answer->blob, answer->len);
        if (buf_check(&t->manifest_bytes, "a manifest", &t->trouble) != 0) {
            decline(t);
        } else if (t->manifest_bytes.len == t->part_bytes) {
            take_manifest_bytes(t);
            return;
        } else {
            ask(t, from);
            return;
        }
    }
    ship_ask_poll(t);
}

void ship_ask_down(struct ship_target *t, uint64_t id)
{
    if (t->state == SHIP_ASKING && t->asked == id) {
        error_set(&t->trouble, Q_NO_LEADER, "the connection to member %" PRIu64 " broke", id);
        decline(t);
        ship_ask_poll(t);
    }
}
