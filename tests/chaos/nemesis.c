#include "tests/chaos/nemesis.h"

#include <inttypes.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    GAP_LEAST_MS = 100, /* between two beginnings */
    GAP_MOST_MS = 600,
    PEACE_MS = 3000, /* without a new one, one time in PEACE_OF */
    PEACE_OF = 15,
    MINORITY_OF = 100, /* draws for a node that leaves only a minority */
    STEP_MS = 10,
};

static bool wanted(const char *only, const char *name)
{
    size_t n = strlen(name);

    for (const char *at = only; at != NULL; at = strchr(at, ',') != NULL ? strchr(at, ',') + 1 : NULL) {
        if (strncmp(at, name, n) == 0 && (at[n] == ',' || at[n] == 0)) {
            return true;
        }
    }
    return only == NULL;
}

static void add_kinds(struct nemesis *n, const struct act_kind *table, const char *only)
{
    for (; table->name != NULL; table++) {
        if (wanted(only, table->name)) {
            n->kinds[n->kind_count++] = table;
        }
    }
}

int nemesis_init(struct nemesis *n, struct machines *ms, struct watch *watch, struct record *record,
                 uint64_t seed, const char *only, struct error *e)
{
    memset(n, 0, sizeof *n);
    rng_init(&n->rng, seed);
    n->world = (struct act_world){.machines = ms, .watch = watch, .record = record, .rng = &n->rng};
    add_kinds(n, acts_on_processes, only);
    add_kinds(n, acts_on_the_network, only);
    add_kinds(n, acts_on_disks, only);
    return n->kind_count > 0 ? 0 : error_set(e, Q_INVALID, "there is no kind of fault named \"%s\"", only);
}

static bool node_is_taken(const struct nemesis *n, unsigned node)
{
    for (unsigned i = 0; i < NEMESIS_ACTS; i++) {
        const struct act *a = &n->acts[i];
        if (a->kind != NULL &&
            (a->kind->takes == TAKES_ALL_NODES || (a->kind->takes == TAKES_A_NODE && a->node == node))) {
            return true;
        }
    }
    return !n->world.machines->machine[node].up;
}

static unsigned count_taken(const struct nemesis *n)
{
    unsigned taken = 0;

    for (unsigned i = 0; i < n->world.machines->count; i++) {
        taken += node_is_taken(n, i);
    }
    return taken;
}

/* Mostly the others are a majority, which goes on without the one that is taken: that is when it has
 * something to be wrong about. */
static bool may_take(struct nemesis *n, const struct act_kind *kind, unsigned node)
{
    unsigned taken = count_taken(n);

    switch (kind->takes) {
    case TAKES_NO_NODE: return true;
    case TAKES_ALL_NODES: return taken == 0;
    case TAKES_A_NODE: break;
    }
    return !node_is_taken(n, node) &&
           ((taken + 1) * 2 < n->world.machines->count || rng_between(&n->rng, 1, MINORITY_OF) == 1);
}

static bool take_node(struct nemesis *n, const struct act_kind *kind, unsigned *ret_node)
{
    struct watch_view view = watch_view(n->world.watch);
    unsigned node = (unsigned)rng_between(&n->rng, 0, n->world.machines->count - 1);

    if (view.has_leader && rng_between(&n->rng, 0, 1)) {
        node = view.leader;
    }
    *ret_node = node;
    return may_take(n, kind, node);
}

static unsigned draw_kind(struct nemesis *n)
{
    uint64_t all = 0, at;
    unsigned i = 0;

    for (unsigned k = 0; k < n->kind_count; k++) {
        all += n->kinds[k]->weight;
    }
    at = rng_between(&n->rng, 0, all - 1);
    while (at >= n->kinds[i]->weight) {
        at -= n->kinds[i++]->weight;
    }
    return i;
}

/* Short ones are as frequent as long ones: a factor, not a sum. */
static uint64_t draw_duration(struct nemesis *n, const struct act_kind *kind)
{
    uint64_t least = kind->least_ms > 50 ? kind->least_ms : 50, most = least;
    unsigned doublings = 0;

    while (least << (doublings + 1) < kind->most_ms) {
        doublings++;
    }
    most = least << rng_between(&n->rng, 0, doublings);
    return rng_between(&n->rng, kind->least_ms < most ? kind->least_ms : most,
                       most * 2 < kind->most_ms ? most * 2 : kind->most_ms);
}

static void say(const struct nemesis *n, const struct act *a, const char *what)
{
    if (n->story && a->kind->takes == TAKES_A_NODE) {
        printf("%12.3f %s %s node %u\n", (double)deadline_now_ms() / 1000, what, a->kind->name, a->node + 1);
    } else if (n->story) {
        printf("%12.3f %s %s\n", (double)deadline_now_ms() / 1000, what, a->kind->name);
    }
}

static bool begin_one(struct nemesis *n, struct act *a)
{
    unsigned k = draw_kind(n);
    const struct act_kind *kind = n->kinds[k];
    struct act act = {.kind = kind, .until_ms = deadline_now_ms() + draw_duration(n, kind)};

    if (!take_node(n, kind, &act.node) || !kind->begin(&n->world, &act)) {
        return false;
    }
    *a = act;
    n->counts[k]++;
    say(n, a, "begin");
    return true;
}

static struct act *free_place(struct nemesis *n)
{
    struct act *place = NULL;
    unsigned under_way = 0;

    for (unsigned i = 0; i < NEMESIS_ACTS; i++) {
        under_way += n->acts[i].kind != NULL;
        place = n->acts[i].kind == NULL ? &n->acts[i] : place;
    }
    return under_way < n->at_once ? place : NULL;
}

static void begin_some(struct nemesis *n)
{
    uint64_t now = deadline_now_ms();
    struct act *place;

    if (now < n->next_ms) {
        return;
    }
    n->at_once = (unsigned)rng_between(&n->rng, 1, NEMESIS_ACTS);
    place = free_place(n);
    if (place != NULL && !begin_one(n, place)) {
        return; /* another kind, at once */
    }
    n->next_ms = now + rng_between(&n->rng, GAP_LEAST_MS, GAP_MOST_MS);
    if (rng_between(&n->rng, 1, PEACE_OF) == 1) {
        n->next_ms += PEACE_MS;
    }
}

static void step_one(struct nemesis *n, struct act *a)
{
    bool over = a->kind->step != NULL ? a->kind->step(&n->world, a) : act_time_is_over(a);

    if (over) {
        say(n, a, "end  ");
        if (a->kind->end != NULL) {
            a->kind->end(&n->world, a);
        }
        a->kind = NULL;
    }
}

static void step_all(struct nemesis *n)
{
    for (unsigned i = 0; i < NEMESIS_ACTS; i++) {
        if (n->acts[i].kind != NULL) {
            step_one(n, &n->acts[i]);
        }
    }
}

static void set_wires(struct nemesis *n)
{
    struct wires now;

    memset(&now, 0, sizeof now);
    for (unsigned i = 0; i < NEMESIS_ACTS; i++) {
        for (unsigned at = 0; n->acts[i].kind != NULL && at < ACT_WAYS; at++) {
            unsigned from = at / TUNSWITCH_PORTS, to = at % TUNSWITCH_PORTS;
            now.from_to[from][to] = wire_join(&now.from_to[from][to], &n->acts[i].wires.from_to[from][to]);
        }
    }
    if (memcmp(&now, &n->wires, sizeof now) != 0) {
        n->wires = now;
        tunswitch_set(n->world.machines->network, &now);
    }
}

static struct act *owner_of(struct nemesis *n, unsigned node)
{
    for (unsigned i = 0; i < NEMESIS_ACTS; i++) {
        struct act *a = &n->acts[i];
        if (a->kind != NULL && a->kind->takes == TAKES_A_NODE && a->node == node) {
            return a;
        }
    }
    return NULL;
}

/* Nodes end when somebody ends them, or where an act allows it; never otherwise. */
static void look_who_ended(struct nemesis *n)
{
    for (unsigned i = 0; i < n->world.machines->count; i++) {
        struct act *owner = owner_of(n, i);
        int status;

        if (!machines_has_ended(n->world.machines, i, &status)) {
            continue;
        }
        if (owner != NULL && owner->kind->may_end) {
            owner->node_ended = true;
            owner->status = status;
            continue;
        }
        char *words = machines_last_words(n->world.machines, i);
        record_violation(n->world.record, "node %u has ended by itself with status %d: %s", i + 1, status,
                         words);
        free(words);
        machines_start(n->world.machines, i);
    }
}

void nemesis_step(struct nemesis *n)
{
    look_who_ended(n);
    step_all(n);
    begin_some(n);
    set_wires(n);
}

static bool is_over(const struct nemesis *n)
{
    for (unsigned i = 0; i < NEMESIS_ACTS; i++) {
        if (n->acts[i].kind != NULL) {
            return false;
        }
    }
    return true;
}

void nemesis_end(struct nemesis *n)
{
    for (unsigned i = 0; i < NEMESIS_ACTS; i++) {
        n->acts[i].until_ms = 0;
        n->acts[i].step_ms = 0;
    }
    while (!is_over(n)) {
        look_who_ended(n);
        step_all(n);
        set_wires(n);
        poll(NULL, 0, STEP_MS);
    }
    set_wires(n);
}

void nemesis_put_now(const struct nemesis *n, struct buf *out)
{
    const char *between = "";

    for (unsigned i = 0; i < NEMESIS_ACTS; i++) {
        if (n->acts[i].kind != NULL) {
            buf_printf(out, "%s%s", between, n->acts[i].kind->name);
            between = " ";
        }
    }
    if (is_over(n)) {
        buf_printf(out, "nothing");
    }
}

void nemesis_put_counts(const struct nemesis *n, struct buf *out)
{
    for (unsigned k = 0; k < n->kind_count; k++) {
        buf_printf(out, "%s%s %" PRIu64, k ? " " : "", n->kinds[k]->name, n->counts[k]);
    }
}
