#include "raft_glue/read_index.h"

#include <assert.h>
#include <string.h>

#include "base/buf.h"
#include "base/plant.h"
#include "raft_glue/envelope.h"

void read_index_init(struct read_index *r, struct metric *rounds, struct metric *reads)
{
    *r = (struct read_index){.rounds = rounds, .reads = reads};
    list_init(&r->waiting);
    list_init(&r->running);
}

void read_index_add(struct read_index *r, struct consensus_read *read)
{
    bool join = PLANTED("reads_join_the_round_under_way") && !list_empty(&r->running);
    list_push(join ? &r->running : &r->waiting, &read->link);
    metric_add(r->reads, 1);
}

void read_index_put(uint8_t bytes[READ_INDEX_BYTES], uint8_t kind, uint64_t term, uint64_t round)
{
    bytes[0] = kind;
    put_le64(bytes + 1, term);
    put_le64(bytes + 9, round);
}

static void finish(struct list *reads, uint64_t index, const struct error *failed)
{
    struct list mine, *link;
    list_take(&mine, reads); /* reads that the callbacks add wait for a round of their own */
    while ((link = list_pop(&mine)) != NULL) {
        struct consensus_read *read = CONTAINER_OF(link, struct consensus_read, link);
        read->done(read, index, failed);
    }
}

static void fail_all(struct read_index *r)
{
    struct error why;
    error_set(&why, Q_NOT_LEADER, "this node does not lead");
    finish(&r->running, 0, &why);
    finish(&r->waiting, 0, &why);
}

static bool majority(const struct read_index *r)
{
    unsigned yes = 0;
    for (unsigned i = 0; i < r->count; i++) {
        yes += r->answered[i] ? 1 : 0;
    }
    return yes * 2 > r->count || PLANTED("reads_need_no_majority");
}

static void ask(struct read_index *r, uint64_t now_ms,
                void (*send)(void *ctx, uint64_t to, const uint8_t *bytes, size_t n), void *ctx)
{
    uint8_t bytes[READ_INDEX_BYTES];
    read_index_put(bytes, ENVELOPE_READ_ASK, r->term, r->round);
    r->asked_ms = now_ms;
    for (unsigned i = 0; i < r->count; i++) {
        if (!r->answered[i]) {
            send(ctx, r->voters[i], bytes, sizeof bytes);
        }
    }
}

static void start_round(struct read_index *r, const struct read_index_view *view)
{
    list_take(&r->running, &r->waiting);
    r->round++;
    r->term = view->term;
    r->index = view->commit;
    r->count = view->count;
    memcpy(r->voters, view->voters, sizeof r->voters);
    for (unsigned i = 0; i < view->count; i++) {
        r->answered[i] = view->voters[i] == view->self;
    }
    metric_add(r->rounds, 1);
}

uint64_t read_index_poll(struct read_index *r, const struct read_index_view *view, uint64_t now_ms,
                         uint64_t repeat_ms,
                         void (*send)(void *ctx, uint64_t to, const uint8_t *bytes, size_t n), void *ctx)
{
    if (!view->may_lead ||
        (!list_empty(&r->running) && view->term != r->term && !PLANTED("read_round_goes_on_in_a_new_term"))) {
        fail_all(r);
        return list_empty(&r->waiting) ? UINT64_MAX : now_ms; /* callbacks may have asked again */
    }
    for (;;) {
        if (list_empty(&r->running)) {
            if (list_empty(&r->waiting) || !view->leads) {
                return UINT64_MAX;
            }
            start_round(r, view);
            ask(r, now_ms, send, ctx);
        }
        if (!majority(r)) {
            if (now_ms >= r->asked_ms + repeat_ms) {
                ask(r, now_ms, send, ctx);
            }
            return r->asked_ms + repeat_ms;
        }
        finish(&r->running, r->index, NULL);
    }
}

bool read_index_answer(struct read_index *r, uint64_t from, uint64_t term, uint64_t round)
{
    if (list_empty(&r->running) || (round != r->round && !PLANTED("read_round_is_not_checked")) ||
        (term != r->term && !PLANTED("read_term_is_not_checked"))) {
        return false;
    }
    for (unsigned i = 0; i < r->count; i++) {
        if (r->voters[i] == from) {
            r->answered[i] = true;
            return true;
        }
    }
    return false;
}
