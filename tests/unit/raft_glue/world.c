#include "tests/unit/raft_glue/world_check.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "raft_glue/configuration.h"

static uint64_t between(struct world *w, uint64_t low, uint64_t high)
{
    return rng_between(&w->rng, low, high);
}

static bool chance(struct world *w, unsigned percent)
{
    return between(w, 1, 100) <= percent;
}

/* Network */

static void post(struct world *w, struct letter *letter)
{
    uint64_t delay = w->calm ? between(w, 1, 3) : chance(w, 3) ? between(w, 10, 1500) : between(w, 1, 15);

    if (w->posts == WORLD_POSTS) {
        free(letter);
        return;
    }
    w->post[w->posts].letter = letter;
    w->post[w->posts++].due_ms = w->now_ms + delay;
}

static void post_all(struct world *w, struct world_node *n)
{
    struct letter *letter;

    while ((letter = server_take_sent(&n->server)) != NULL) {
        if (!w->calm && chance(w, w->duplicate_percent)) {
            struct letter *copy = malloc(sizeof *copy + letter->len);
            memcpy(copy, letter, sizeof *copy + letter->len);
            post(w, copy);
        }
        if (!w->calm && chance(w, w->drop_percent)) {
            free(letter);
        } else {
            post(w, letter);
        }
    }
}

/* The committed configuration as of INDEX, an applied one; index 0: it is not known. */
static struct raft_snapshot_metadata image_at(struct world *w, struct server *s, uint64_t index)
{
    struct raft_snapshot_metadata image = {.index = index, .term = w->entry[index].term};
    struct log_entry entry;

    for (uint64_t i = index; i >= s->log.first && i > s->snapshot.configuration_index; i--) {
        if (memlog_at(&s->log, i)->type == LOG_CONFIGURATION) {
            image.configuration_index = memlog_get(&s->log, i, &entry) ? i : 0;
            int rv = configuration_decode(entry.data, entry.len, &image.configuration, NULL);
            assert(rv == 0);
            return image;
        }
    }
    image.configuration_index = s->snapshot.configuration_index;
    int rv = configuration_copy(&s->snapshot.configuration, &image.configuration, NULL);
    assert(rv == 0);
    return image;
}

/* Whoever has applied enough takes an image of an index that it likes. */
static bool take_image(struct world *w, uint64_t at_least, struct world_node *for_node)
{
    struct world_node *source = &w->node[between(w, 0, WORLD_NODES - 1)];
    uint64_t snapshot = source->server.snapshot.index, low = at_least > snapshot ? at_least : snapshot;

    if (!source->up || source == for_node || source->server.install.index != 0 || low > source->applied) {
        return false;
    }
    raft_configuration_close(&for_node->image.configuration);
    for_node->image = image_at(w, &source->server, between(w, low, source->applied));
    for_node->image_known_in = driver_term(source->server.driver);
    return true;
}

static void stage_image(struct world *w, struct world_node *n)
{
    struct error e;
    uint64_t wanted = driver_snapshot_wanted(n->server.driver);
    int rv = driver_snapshot_staged(n->server.driver, w->now_ms, &n->image, n->image_known_in, &e);

    if (rv != 0 && rv != Q_BUSY && !(rv == Q_INVALID && n->image.index < wanted)) {
        world_breach(w, "staged: %s", e.text);
    }
    w->counters.leaps += rv == 0 && wanted != 0 && n->image.index > wanted;
}

/* Looks at what a server did in the last event, and plans what follows from it. */
static void after_event(struct world *w, struct world_node *n)
{
    struct server *s = &n->server;

    post_all(w, n);
    if (s->written <= memlog_last(&s->log) && n->write_at == 0) {
        n->write_at =
            w->now_ms + (!w->calm && chance(w, 2) ? between(w, 1, 1500) : between(w, 0, w->disk_ms));
    }
    if (s->fetches != n->fetches) {
        n->fetches = s->fetches;
        if (n->staged_at == 0 && take_image(w, s->fetch_index, n)) {
            n->staged_at = w->now_ms + between(w, 1, w->calm ? 100 : w->fetch_ms);
        }
    }
    if (s->install.index > 0 && n->installed_at == 0) {
        if (w->entry[s->install.index].term != s->install.term) {
            world_breach(w, "server %llu installs %llu, which is not committed", LLU(s->config.id),
                         LLU(s->install.index));
        }
        n->installed_at = w->now_ms + between(w, 1, 50);
    }
    world_check_node(w, n);
}

static void deliver(struct world *w, unsigned i)
{
    struct letter *letter = w->post[i].letter;
    struct world_node *to = &w->node[letter->to - 1];
    unsigned from_side = w->cut >> (letter->from - 1) & 1, to_side = w->cut >> (letter->to - 1) & 1;

    w->post[i] = w->post[--w->posts];
    if (to->up && from_side == to_side) {
        to->server.now_ms = w->now_ms;
        server_hear_letter(&to->server, letter);
        after_event(w, to);
    }
    free(letter);
}

/* Servers */

static void start(struct world *w, struct world_node *n)
{
    n->up = true;
    n->wake_at = 0;
    n->server.now_ms = w->now_ms;
    n->server.config.seed = (unsigned)between(w, 1, 1 << 30);
    server_start(&n->server);
    n->applied = server_database(&n->server);
    after_event(w, n);
}

static void count_hits(struct world *w, const struct world_node *n)
{
    const uint64_t *hits = driver_guard_hits(n->server.driver);
    for (unsigned i = 0; i < DRIVER_GUARDS; i++) {
        w->counters.hits[i] += hits[i];
    }
}

/* Part of what was being written may be on the disk. */
static void crash(struct world *w, struct world_node *n, uint64_t restart_ms)
{
    struct server *s = &n->server;

    if (!n->up) {
        return;
    }
    if (s->written <= memlog_last(&s->log) && s->install.index == 0 && chance(w, 50)) {
        memlog_write(&s->disk, &s->log, s->written, between(w, s->written, memlog_last(&s->log)));
    }
    s->database = between(w, s->disk.first - 1, n->applied);
    count_hits(w, n);
    server_stop(s);
    n->up = false;
    n->write_at = n->staged_at = n->installed_at = 0;
    n->wake_at = w->now_ms + restart_ms;
    w->counters.crashes++;
}

static void write_some(struct world *w, struct world_node *n)
{
    struct server *s = &n->server;
    uint64_t last = memlog_last(&s->log);

    n->write_at = 0;
    if (s->written <= last) {
        server_write(s, between(w, s->written, last));
    }
}

static void node_event(struct world *w, struct world_node *n)
{
    struct server *s = &n->server;

    s->now_ms = w->now_ms;
    if (!n->up) {
        start(w, n);
        return;
    }
    if (n->write_at != 0 && n->write_at <= w->now_ms) {
        write_some(w, n);
    } else if (n->staged_at != 0 && n->staged_at <= w->now_ms) {
        n->staged_at = 0;
        stage_image(w, n);
    } else if (n->installed_at != 0 && n->installed_at <= w->now_ms) {
        n->installed_at = n->write_at = 0;
        server_install(s);
        n->applied = s->applicable;
        w->counters.installs++;
    } else {
        server_timeout(s);
    }
    after_event(w, n);
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return b != 0 && b < a ? b : a;
}

static uint64_t node_due(const struct world_node *n)
{
    if (!n->up) {
        return n->exists && n->wake_at != 0 ? n->wake_at : UINT64_MAX;
    }
    uint64_t due = driver_deadline(n->server.driver);
    due = earlier(due, n->write_at);
    due = earlier(due, n->staged_at);
    return earlier(due, n->installed_at);
}

/* Runs what is due next, unless that is after UNTIL_MS. */
static bool step(struct world *w, uint64_t until_ms)
{
    uint64_t due = until_ms + 1;
    struct world_node *node = NULL;
    unsigned letter = WORLD_POSTS;

    for (unsigned i = 0; i < WORLD_NODES; i++) {
        uint64_t at = node_due(&w->node[i]);
        if (at < due) {
            due = at;
            node = &w->node[i];
        }
    }
    for (unsigned i = 0; i < w->posts; i++) {
        if (w->post[i].due_ms < due) {
            due = w->post[i].due_ms;
            letter = i;
        }
    }
    if (due > until_ms) {
        return false;
    }
    w->now_ms = due > w->now_ms ? due : w->now_ms;
    if (letter != WORLD_POSTS) {
        deliver(w, letter);
    } else {
        node_event(w, node);
    }
    if (w->counters.events++ % 64 == 0) {
        world_check_logs(w);
    }
    return true;
}

static void run_until(struct world *w, uint64_t until_ms)
{
    while (step(w, until_ms)) {
    }
    w->now_ms = until_ms;
}

/* Clients, operators and misfortune */

static struct world_node *leader(struct world *w)
{
    struct world_node *best = NULL;
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        struct world_node *n = &w->node[i];
        if (n->up && driver_state(n->server.driver) == RAFT_LEADER &&
            (best == NULL || driver_term(n->server.driver) > driver_term(best->server.driver))) {
            best = n;
        }
    }
    return best;
}

static void submit(struct world *w, struct world_node *n, unsigned commands)
{
    char text[64];
    struct error e;

    for (unsigned i = 0; i < commands; i++) {
        snprintf(text, sizeof text, "%llx", LLU(rng_next(&w->rng)));
        int rv = driver_submit(n->server.driver, w->now_ms, LOG_COMMANDS, text, (uint32_t)strlen(text), &e);
        if (rv != 0 && rv != Q_NOT_LEADER) {
            world_breach(w, "submit: %s", e.text);
        }
    }
    after_event(w, n);
}

static void compact(struct world *w, struct world_node *n)
{
    struct server *s = &n->server;
    uint64_t configuration_index;
    uint64_t commit = driver_commit(s->driver), last = n->applied < commit ? n->applied : commit;

    driver_committed_configuration(s->driver, &configuration_index);
    uint64_t low = s->snapshot.index + 1 > configuration_index ? s->snapshot.index + 1 : configuration_index;
    low = low > 2 ? low : 2;
    if (s->install.index == 0 && low <= last) {
        server_compact(s, between(w, low, last), between(w, 0, w->trailing_max));
        w->counters.compactions++;
        after_event(w, n);
    }
}

/* The current members with one change by chance; false: no sensible one came up. */
static bool propose(struct world *w, const struct raft_configuration *now,
                    struct raft_configuration *ret_next)
{
    uint64_t id = between(w, 1, WORLD_NODES);
    const struct raft_server *server = configuration_find(now, id);
    unsigned voters = configuration_voters(now);
    int role;

    if (server == NULL) {
        role = chance(w, 70) ? RAFT_STANDBY : RAFT_VOTER;
    } else if (server->role == RAFT_VOTER) {
        role = chance(w, 50) ? RAFT_STANDBY : -1;
    } else {
        role = chance(w, 70) ? RAFT_VOTER : -1;
    }
    if (server != NULL && server->role == RAFT_VOTER && voters <= (chance(w, 10) ? 1u : 2u)) {
        return false;
    }
    raft_configuration_init(ret_next);
    for (unsigned i = 0; i < now->n; i++) {
        const struct raft_server *s = &now->servers[i];
        if (s->id != id || role >= 0) {
            raft_configuration_add(ret_next, s->id, s->address, s->id == id ? role : s->role);
        }
    }
    if (server == NULL) {
        raft_configuration_add(ret_next, id, w->node[id - 1].server.name, role);
    }
    return true;
}

static void change_members(struct world *w, struct world_node *n)
{
    struct raft_configuration next;
    struct error e;

    if (!propose(w, driver_configuration(n->server.driver), &next)) {
        return;
    }
    w->counters.changes += driver_change(n->server.driver, w->now_ms, &next, &e) == 0;
    raft_configuration_close(&next);
    after_event(w, n);
}

static void operate(struct world *w)
{
    struct world_node *n = leader(w);
    struct error e;

    if (n == NULL) {
        return;
    }
    switch (between(w, 0, 9)) {
    case 0: w->counters.transfers += driver_transfer(n->server.driver, w->now_ms, 0, &e) == 0; break;
    case 1: driver_catch_up(n->server.driver, w->now_ms, between(w, 1, WORLD_NODES), &e); break;
    default: change_members(w, n); return;
    }
    after_event(w, n);
}

static void misfortune(struct world *w)
{
    struct world_node *n = &w->node[between(w, 0, WORLD_NODES - 1)];

    switch (between(w, 0, 7)) {
    case 0:
    case 1: crash(w, n, between(w, 1, 3000)); break;
    case 2:
        if (leader(w) != NULL) {
            crash(w, leader(w), between(w, 1, 3000));
        }
        break;
    case 3:
        w->cut = (unsigned)between(w, 1, (1u << WORLD_NODES) - 2);
        w->counters.partitions++;
        break;
    case 4:
        if (leader(w) != NULL) {
            w->cut = 1u << (leader(w)->server.config.id - 1);
            w->counters.partitions++;
        }
        break;
    case 5:
        for (unsigned i = 0; chance(w, 20) && i < WORLD_NODES; i++) {
            crash(w, &w->node[i], between(w, 1, 1000));
        }
        break;
    default: w->cut = 0; break;
    }
}

void world_storm(struct world *w, uint64_t until_ms)
{
    uint64_t client = w->now_ms + 100, operation = w->now_ms + 1500, bad_luck = w->now_ms + 2000;

    while (w->now_ms < until_ms) {
        run_until(w, w->now_ms + between(w, 1, 20));
        if (w->now_ms >= client) {
            struct world_node *n = chance(w, 90) ? leader(w) : &w->node[between(w, 0, WORLD_NODES - 1)];
            if (n != NULL && n->up) {
                submit(w, n, chance(w, 80) ? 1 : (unsigned)between(w, 2, 12));
            }
            client = w->now_ms + between(w, 1, 60);
        }
        if (w->now_ms >= operation) {
            operate(w);
            operation = w->now_ms + between(w, 1, 900);
        }
        if (w->now_ms >= bad_luck) {
            misfortune(w);
            bad_luck = w->now_ms + between(w, 1, 1500);
        }
        struct world_node *n = &w->node[between(w, 0, WORLD_NODES - 1)];
        if (n->up && chance(w, 3)) {
            compact(w, n);
        }
    }
}

static bool all_members_applied(struct world *w, const struct raft_configuration *c, uint64_t index)
{
    for (unsigned i = 0; i < c->n; i++) {
        if (w->node[c->servers[i].id - 1].applied < index) {
            return false;
        }
    }
    return true;
}

void world_recover(struct world *w)
{
    uint64_t deadline = w->now_ms + 60000;

    w->calm = true;
    w->cut = 0;
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        if (!w->node[i].up) {
            w->node[i].wake_at = w->now_ms + between(w, 1, 500);
        }
    }
    while (w->now_ms < deadline) {
        run_until(w, w->now_ms + 200);
        struct world_node *n = leader(w);
        if (n == NULL || !driver_own_term_committed(n->server.driver)) {
            continue;
        }
        submit(w, n, 1);
        uint64_t index = memlog_last(&n->server.log);
        run_until(w, w->now_ms + 300);
        if (n->applied >= index && driver_state(n->server.driver) == RAFT_LEADER &&
            all_members_applied(w, driver_configuration(n->server.driver), index)) {
            world_check_logs(w);
            return;
        }
    }
    world_breach(w, "no progress for a minute after everything was healed");
}

struct world *world_new(uint64_t seed)
{
    struct world *w = calloc(1, sizeof *w);

    assert(w != NULL);
    w->seed = seed;
    w->now_ms = 1;
    rng_init(&w->rng, seed);
    w->drop_percent = chance(w, 50) ? 0 : (unsigned)between(w, 1, 25);
    w->duplicate_percent = chance(w, 50) ? 0 : (unsigned)between(w, 1, 25);
    w->trailing_max = (unsigned)between(w, 0, 20);
    w->disk_ms = chance(w, 70) ? 5 : between(w, 5, 120);
    w->fetch_ms = chance(w, 50) ? 200 : between(w, 200, 8000);
    unsigned voters = chance(w, 70) ? 3 : (unsigned)between(w, 1, 3);
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        struct world_node *n = &w->node[i];
        n->exists = true;
        server_init(&n->server, i + 1);
        n->server.config.inflight_max = (unsigned)between(w, 2, 200);
        n->server.config.message_bytes = (uint32_t)between(w, 1, 400);
        if (i < voters) {
            server_bootstrap(&n->server, voters);
        }
        start(w, n);
    }
    return w;
}

void world_free(struct world *w)
{
    for (unsigned i = 0; i < WORLD_NODES; i++) {
        if (w->node[i].up) {
            count_hits(w, &w->node[i]);
        }
        server_close(&w->node[i].server);
        raft_configuration_close(&w->node[i].image.configuration);
    }
    while (w->posts > 0) {
        free(w->post[--w->posts].letter);
    }
    free(w);
}
