#include "tests/chaos/watch.h"

#include <assert.h>
#include <inttypes.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PATIENCE_MS = 500,
    REST_MS = 60,
    TERMS_MAX = 4096, /* more elections than any run has */
    DIGESTS = 8192,   /* newest indexes that are remembered */
    DIGEST_TEXT = 64,
};

struct watcher {
    struct watch *watch;
    unsigned place;
    pthread_t thread;
    struct http_client client;
    uint64_t term;
};

struct seen {
    uint64_t index;
    unsigned place;
    char digest[DIGEST_TEXT];
};

struct watch {
    const struct machines *machines;
    struct record *record;
    atomic_bool stop;
    struct watcher watchers[MACHINES_MAX];
    pthread_mutex_t lock; /* guards all below */
    struct watch_view view;
    unsigned leader_of[TERMS_MAX]; /* place plus 1; 0: none was seen */
    struct seen seen[DIGESTS];
};

static void look_at_leader(struct watch *w, unsigned place, const struct status *s)
{
    unsigned *leader = &w->leader_of[s->term % TERMS_MAX];

    if (*leader != 0 && *leader != place + 1) {
        record_violation(w->record, "term %" PRIu64 " has two leaders: node %u and node %u", s->term, *leader,
                         place + 1);
    }
    w->view.leaders += *leader == 0;
    *leader = place + 1;
    if (s->term >= w->view.term) {
        w->view.term = s->term;
        w->view.has_leader = true;
        w->view.leader = place;
    }
}

static void look_at_digest(struct watch *w, unsigned place, const struct status *s)
{
    struct seen *seen = &w->seen[s->applied % DIGESTS];

    if (seen->digest[0] != 0 && seen->index == s->applied && strcmp(seen->digest, s->digest) != 0) {
        record_violation(w->record, "nodes %u and %u have different content at index %" PRIu64 ": %s and %s",
                         seen->place + 1, place + 1, s->applied, seen->digest, s->digest);
    }
    seen->index = s->applied;
    seen->place = place;
    snprintf(seen->digest, sizeof seen->digest, "%s", s->digest);
    w->view.applied = s->applied > w->view.applied ? s->applied : w->view.applied;
}

static void look(struct watcher *me, const struct status *s)
{
    struct watch *w = me->watch;

    pthread_mutex_lock(&w->lock);
    if (s->leads) {
        look_at_leader(w, me->place, s);
    } else if (w->view.has_leader && w->view.leader == me->place) {
        w->view.has_leader = false;
    }
    look_at_digest(w, me->place, s);
    if (s->term < me->term) {
        record_violation(w->record, "node %u was in term %" PRIu64 " and is in term %" PRIu64, me->place + 1,
                         me->term, s->term);
    }
    me->term = s->term;
    pthread_mutex_unlock(&w->lock);
}

static void *run(void *arg)
{
    struct watcher *me = arg;

    while (!atomic_load(&me->watch->stop)) {
        struct deadline deadline = deadline_in(PATIENCE_MS);
        struct status status;
        if (status_ask(&me->client, &deadline, &status)) {
            look(me, &status);
        }
        poll(NULL, 0, REST_MS);
    }
    http_client_close(&me->client);
    return NULL;
}

struct watch *watch_start(const struct machines *ms, struct record *record)
{
    struct watch *w = calloc(1, sizeof *w);

    assert(w != NULL);
    w->machines = ms;
    w->record = record;
    pthread_mutex_init(&w->lock, NULL);
    for (unsigned i = 0; i < ms->count; i++) {
        struct watcher *me = &w->watchers[i];
        me->watch = w;
        me->place = i;
        http_client_init(&me->client, &ms->machine[i].http);
        if (pthread_create(&me->thread, NULL, run, me) != 0) {
            abort();
        }
    }
    return w;
}

void watch_stop(struct watch *w)
{
    atomic_store(&w->stop, true);
    for (unsigned i = 0; i < w->machines->count; i++) {
        pthread_join(w->watchers[i].thread, NULL);
    }
    pthread_mutex_destroy(&w->lock);
    free(w);
}

struct watch_view watch_view(struct watch *w)
{
    struct watch_view view;

    pthread_mutex_lock(&w->lock);
    view = w->view;
    pthread_mutex_unlock(&w->lock);
    return view;
}
