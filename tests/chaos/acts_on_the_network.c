/* The network is cut, slow, lossy and wrong; the clients' way to the nodes too, but for wrong bytes: nothing
 * above TCP guards what HTTP carries. */
#include "tests/chaos/act.h"

enum { PERCENT = 10000, FLAP_MS = 100 };

static unsigned nodes(const struct act_world *w)
{
    return w->machines->count;
}

/* The nodes and the clients. */
static unsigned ports(const struct act_world *w)
{
    return machines_clients(w->machines) + 1;
}

/* Some node: often the one that leads, as there it hurts. */
static unsigned some_node(const struct act_world *w)
{
    struct watch_view view = watch_view(w->watch);
    return view.has_leader && act_draw(w, 0, 1) ? view.leader : (unsigned)act_draw(w, 0, nodes(w) - 1);
}

static void between(struct act *a, unsigned x, unsigned y, const struct wire *wire)
{
    a->wires.from_to[x][y] = a->wires.from_to[y][x] = *wire;
}

/* Two sides, the clients on either. */
static bool cut(const struct act_world *w, struct act *a)
{
    const struct wire broken = {.cut = true};
    unsigned side = (unsigned)act_draw(w, 1, (1U << ports(w)) - 2);

    for (unsigned i = 0; i < ports(w); i++) {
        for (unsigned j = i + 1; j < ports(w); j++) {
            if ((side >> i & 1) != (side >> j & 1)) {
                between(a, i, j, &broken);
            }
        }
    }
    return true;
}

/* One node is not heard, or hears nothing, by and from some others. */
static bool cut_one_way(const struct act_world *w, struct act *a)
{
    unsigned node = some_node(w), who = (unsigned)act_draw(w, 1, (1U << nodes(w)) - 1);
    bool deaf = act_draw(w, 0, 1);

    if (act_draw(w, 0, 1)) {
        who = (1U << nodes(w)) - 1;
    }
    for (unsigned i = 0; i < nodes(w); i++) {
        if (i != node && (who >> i & 1)) {
            a->wires.from_to[deaf ? i : node][deaf ? node : i].cut = true;
        }
    }
    return true;
}

/* In a ring of five, or beside a bridge of three, everybody hears somebody, and nobody all. */
static bool cut_a_pair(const struct act_world *w, struct act *a)
{
    const struct wire broken = {.cut = true};
    unsigned x = some_node(w), y = (x + (unsigned)act_draw(w, 1, nodes(w) - 1)) % nodes(w);

    between(a, x, y, &broken);
    return true;
}

static bool storm(const struct act_world *w, struct act *a)
{
    for (unsigned i = 0; i < ports(w); i++) {
        for (unsigned j = 0; j < ports(w); j++) {
            a->wires.from_to[i][j] = (struct wire){
                .delay_us = (unsigned)act_draw(w, 0, 20000),
                .jitter_us = (unsigned)act_draw(w, 0, 40000),
                .loss = (unsigned)act_draw(w, 0, 20 * PERCENT),
                .twice = (unsigned)act_draw(w, 0, 30 * PERCENT),
            };
        }
    }
    return true;
}

static bool corrupt(const struct act_world *w, struct act *a)
{
    unsigned of_a_million = (unsigned)act_draw(w, 1, 200) * PERCENT / 100;

    for (unsigned i = 0; i < nodes(w); i++) {
        for (unsigned j = 0; j < nodes(w); j++) {
            a->wires.from_to[i][j].corrupt = of_a_million;
        }
    }
    return true;
}

static bool slow(const struct act_world *w, struct act *a)
{
    const struct wire thin = {.bytes_per_s = (unsigned)act_draw(w, 4000, 100000), .delay_us = 5000};
    unsigned node = some_node(w);

    for (unsigned i = 0; i < nodes(w); i++) {
        between(a, node, i, &thin);
    }
    return true;
}

static bool flap(const struct act_world *w, struct act *a)
{
    a->next_ms = 0;
    return cut(w, a);
}

static bool flaps(const struct act_world *w, struct act *a)
{
    uint64_t now = deadline_now_ms();

    (void)w;
    if (now >= a->next_ms) {
        struct wires kept = a->wires;
        a->wires = a->others;
        a->others = kept;
        a->next_ms = now + FLAP_MS;
    }
    return act_time_is_over(a);
}

static void shuffle(const struct act_world *w, struct act *a)
{
    for (unsigned i = a->way_count; i > 1; i--) {
        unsigned j = (unsigned)act_draw(w, 0, i - 1), kept = a->ways[i - 1];
        a->ways[i - 1] = a->ways[j];
        a->ways[j] = kept;
    }
}

/* The ways between nodes are held one after the other in a random order, and let go in another; what was held
 * then arrives at once, and late. */
static bool swizzle(const struct act_world *w, struct act *a)
{
    a->way_count = a->way_done = 0;
    for (unsigned i = 0; i < nodes(w); i++) {
        for (unsigned j = 0; j < nodes(w); j++) {
            if (i != j && act_draw(w, 0, 3) > 0) {
                a->ways[a->way_count++] = i * TUNSWITCH_PORTS + j;
            }
        }
    }
    shuffle(w, a);
    a->step_ms = (a->until_ms - deadline_now_ms()) / (2U * a->way_count + 1) + 1;
    a->next_ms = 0;
    return a->way_count > 0;
}

static bool swizzles(const struct act_world *w, struct act *a)
{
    uint64_t now = deadline_now_ms();
    unsigned way;

    if (a->way_done == 2 * a->way_count) {
        return true;
    }
    if (now < a->next_ms) {
        return false;
    }
    a->next_ms = now + a->step_ms;
    if (a->way_done == a->way_count) {
        shuffle(w, a);
    }
    way = a->ways[a->way_done % a->way_count];
    a->wires.from_to[way / TUNSWITCH_PORTS][way % TUNSWITCH_PORTS].held = a->way_done < a->way_count;
    a->way_done++;
    return false;
}

const struct act_kind acts_on_the_network[] = {
    {"cut", 5, TAKES_NO_NODE, false, 300, 8000, cut, NULL, NULL},
    {"one_way_cut", 5, TAKES_NO_NODE, false, 300, 8000, cut_one_way, NULL, NULL},
    {"cut_pair", 2, TAKES_NO_NODE, false, 300, 5000, cut_a_pair, NULL, NULL},
    {"storm", 4, TAKES_NO_NODE, false, 500, 6000, storm, NULL, NULL},
    {"corrupt", 3, TAKES_NO_NODE, false, 500, 6000, corrupt, NULL, NULL},
    {"slow_link", 2, TAKES_NO_NODE, false, 500, 6000, slow, NULL, NULL},
    {"flap", 2, TAKES_NO_NODE, false, 500, 4000, flap, flaps, NULL},
    {"swizzle", 4, TAKES_NO_NODE, false, 500, 6000, swizzle, swizzles, NULL},
    {.name = NULL},
};
