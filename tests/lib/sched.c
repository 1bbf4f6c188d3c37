#include "tests/lib/sched.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define EVENT_TEXT(name, text) [EVENT_##name] = text,
static const char *const kind_names[EVENT_KIND_COUNT] = {EVENT_KINDS(EVENT_TEXT)};
#undef EVENT_TEXT

void *sim_alloc(size_t n)
{
    void *p = calloc(1, n == 0 ? 1 : n);
    assert(p != NULL);
    return p;
}

char *sim_strdup(const char *text)
{
    size_t n = strlen(text) + 1;
    return memcpy(sim_alloc(n), text, n);
}

void sched_init(struct sched *s, uint64_t seed)
{
    memset(s, 0, sizeof *s);
    rng_init(&s->rng, seed);
}

void sched_close(struct sched *s)
{
    for (size_t i = 0; i < s->len; i++) {
        s->heap[i].event->slot = 0;
    }
    free(s->heap);
    s->heap = NULL;
    s->len = s->cap = 0;
}

void event_init(struct event *ev, enum event_kind kind, unsigned node, struct gate *gate,
                void (*fire)(struct event *))
{
    ev->fire = fire;
    ev->gate = gate;
    ev->slot = 0;
    list_init(&ev->held);
    ev->kind = kind;
    ev->node = node;
}

bool event_pending(const struct event *ev)
{
    return ev->slot != 0 || !list_empty(&ev->held);
}

static bool comes_before(const struct sched_slot *a, const struct sched_slot *b)
{
    return a->at_us != b->at_us ? a->at_us < b->at_us : a->sequence < b->sequence;
}

static void put(struct sched *s, size_t i, struct sched_slot slot)
{
    s->heap[i] = slot;
    slot.event->slot = i + 1;
}

static void sift_up(struct sched *s, size_t i, struct sched_slot slot)
{
    while (i > 0 && comes_before(&slot, &s->heap[(i - 1) / 2])) {
        put(s, i, s->heap[(i - 1) / 2]);
        i = (i - 1) / 2;
    }
    put(s, i, slot);
}

static void sift_down(struct sched *s, size_t i, struct sched_slot slot)
{
    for (;;) {
        size_t child = 2 * i + 1;
        if (child + 1 < s->len && comes_before(&s->heap[child + 1], &s->heap[child])) {
            child++;
        }
        if (child >= s->len || !comes_before(&s->heap[child], &slot)) {
            break;
        }
        put(s, i, s->heap[child]);
        i = child;
    }
    put(s, i, slot);
}

static void take_out(struct sched *s, size_t i)
{
    s->heap[i].event->slot = 0;
    struct sched_slot last = s->heap[--s->len];
    if (i == s->len) {
        return;
    }
    if (i > 0 && comes_before(&last, &s->heap[(i - 1) / 2])) {
        sift_up(s, i, last);
    } else {
        sift_down(s, i, last);
    }
}

void sched_at(struct sched *s, struct event *ev, uint64_t at_us)
{
    sched_cancel(s, ev);
    if (s->len == s->cap) {
        s->cap = s->cap == 0 ? 256 : s->cap * 2;
        s->heap = realloc(s->heap, s->cap * sizeof *s->heap);
        assert(s->heap != NULL);
    }
    struct sched_slot slot = {at_us < s->now_us ? s->now_us : at_us, s->sequence++, ev};
    sift_up(s, s->len++, slot);
}

void sched_after(struct sched *s, struct event *ev, uint64_t delay_us)
{
    sched_at(s, ev, s->now_us + delay_us);
}

void sched_cancel(struct sched *s, struct event *ev)
{
    if (ev->slot != 0) {
        take_out(s, ev->slot - 1);
    }
    list_remove(&ev->held);
}

uint64_t sched_next_us(const struct sched *s)
{
    return s->len == 0 ? UINT64_MAX : s->heap[0].at_us;
}

bool sched_step(struct sched *s)
{
    if (s->len == 0) {
        return false;
    }
    struct sched_slot slot = s->heap[0];
    struct event *ev = slot.event;
    take_out(s, 0);
    s->now_us = slot.at_us;
    if (ev->gate != NULL && ev->gate->closed) {
        list_push(&ev->gate->held, &ev->held);
        return true;
    }
    s->fired++;
    sched_fold(s, slot.at_us);
    sched_fold(s, slot.sequence << 16 | (uint64_t)ev->kind << 8 | ev->node);
    if (s->trace != NULL) {
        fprintf(s->trace, "%6" PRIu64 ".%06" PRIu64 " node=%u %s hash=%016" PRIx64 "\n", s->now_us / 1000000,
                s->now_us % 1000000, ev->node, kind_names[ev->kind], s->hash);
    }
    ev->fire(ev);
    return true;
}

void gate_init(struct gate *g)
{
    g->closed = false;
    list_init(&g->held);
}

void gate_close(struct gate *g)
{
    g->closed = true;
}

void gate_open(struct sched *s, struct gate *g)
{
    g->closed = false;
    for (struct list *l = list_pop(&g->held); l != NULL; l = list_pop(&g->held)) {
        sched_after(s, CONTAINER_OF(l, struct event, held), 0);
    }
}

void sched_fold(struct sched *s, uint64_t value)
{
    uint64_t h = (s->hash ^ value) * 0x9fb21c651e98df25u;
    s->hash = h ^ (h >> 29);
}

uint64_t sched_random(struct sched *s, uint64_t low, uint64_t high)
{
    return rng_between(&s->rng, low, high);
}

bool sched_chance(struct sched *s, unsigned ppm)
{
    return ppm != 0 && rng_between(&s->rng, 0, 999999) < ppm;
}
