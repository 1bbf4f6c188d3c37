#include "tests/unit/raft_glue/world_check.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

_Noreturn void world_breach(const struct world *w, const char *format, ...)
{
    va_list args;
    fprintf(stderr, "seed %llu, %llu ms: ", (unsigned long long)w->seed, (unsigned long long)w->now_ms);
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fprintf(stderr, "\n");
    abort();
}

static uint64_t digest_of(const struct memlog_entry *entry)
{
    uint64_t h = 1469598103934665603u ^ (uint64_t)entry->type;
    for (uint32_t i = 0; i < entry->len; i++) {
        h = (h ^ entry->data[i]) * 1099511628211u;
    }
    return h;
}

static void check_committed(struct world *w, struct world_node *n, uint64_t index,
                            const struct memlog_entry *entry)
{
    struct world_entry *known = &w->entry[index];

    assert(index < WORLD_ENTRIES);
    if (known->known_in == 0) {
        *known = (struct world_entry){
            .term = entry->term, .digest = digest_of(entry), .known_in = driver_term(n->server.driver)};
        w->last_applied = index > w->last_applied ? index : w->last_applied;
    } else if (known->term != entry->term || known->digest != digest_of(entry)) {
        world_breach(w, "state machine safety: server %llu applies %llu of term %llu, others of term %llu",
                     LLU(n->server.config.id), LLU(index), LLU(entry->term), LLU(known->term));
    }
}

static void check_applicable(struct world *w, struct world_node *n)
{
    struct server *s = &n->server;

    while (n->applied < s->applicable) {
        const struct memlog_entry *entry = memlog_at(&s->log, ++n->applied);
        const struct memlog_entry *disk = memlog_at(&s->disk, n->applied);
        if (entry == NULL || disk == NULL || disk->term != entry->term) {
            world_breach(w, "server %llu may apply %llu, which is not durable", LLU(s->config.id),
                         LLU(n->applied));
        }
        check_committed(w, n, n->applied, entry);
        w->counters.applied++;
    }
}

static void check_leader(struct world *w, struct world_node *n)
{
    struct server *s = &n->server;
    uint64_t term = driver_term(s->driver);

    if (driver_state(s->driver) != RAFT_LEADER || w->leader_of[term] == s->config.id) {
        return;
    }
    assert(term < WORLD_TERMS);
    if (w->leader_of[term] != 0) {
        world_breach(w, "election safety: term %llu has leaders %llu and %llu", LLU(term),
                     LLU(w->leader_of[term]), LLU(s->config.id));
    }
    w->leader_of[term] = s->config.id;
    w->counters.elections++;
    for (uint64_t i = s->log.first; i <= w->last_applied; i++) {
        if (w->entry[i].known_in != 0 && w->entry[i].known_in < term &&
            memlog_term(&s->log, i) != w->entry[i].term) {
            world_breach(w, "leader completeness: %llu leads term %llu without entry %llu", LLU(s->config.id),
                         LLU(term), LLU(i));
        }
    }
}

/* Where two logs have the same term, all before is the same. */
static void check_log_matching(struct world *w, const struct memlog *a, const struct memlog *b)
{
    uint64_t first = a->first > b->first ? a->first : b->first;
    uint64_t last = memlog_last(a) < memlog_last(b) ? memlog_last(a) : memlog_last(b);
    bool same = false;

    for (uint64_t i = last; i >= first; i--) {
        const struct memlog_entry *x = memlog_at(a, i), *y = memlog_at(b, i);
        if (x->term == y->term && digest_of(x) != digest_of(y)) {
            world_breach(w, "log matching: two entries %llu of term %llu", LLU(i), LLU(x->term));
        }
        if (same && x->term != y->term) {
            world_breach(w, "log matching: different entries %llu below the same one", LLU(i));
        }
        same = same || x->term == y->term;
    }
}

void world_check_logs(struct world *w)
{
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        for (unsigned k = 0; k < i; k++) {
            if (w->node[i].up && w->node[k].up) {
                check_log_matching(w, &w->node[i].server.log, &w->node[k].server.log);
            }
        }
    }
}

void world_check_node(struct world *w, struct world_node *n)
{
    check_leader(w, n);
    check_applicable(w, n);
}
