/* Members with all that they have, under all faults at once: power loss at any disk operation, cuts, damaged
 * logs, wrong databases, compaction past who is away, images of any index, and members that come and go.
 * Whatever happens, two databases at one index are the same (gallery.h), what a leader has committed stays,
 * and once all is healed the cluster goes on. A seed that fails is played alone with
 * `raft_glue_consensus_world_test SEED 1`. */
#include "base/rng.h"
#include "tests/unit/raft_glue/gallery.h"

enum { FOUNDERS = 3, ALL = 5, SEEDS = 16, STORM_STEPS = 500, STEP_MS = 40, CALM_STEPS = 1500 };

static uint64_t first_seed = 1, seeds = SEEDS;

static struct {
    unsigned crashes, compactions, changes, damages, replaced, rebuilds, installs, finished;
    uint64_t entries;
} total;

struct storm {
    struct gallery *g;
    struct rng rng;
    uint64_t seed, count;
    bool calm;
    unsigned installs[ALL + 1];         /* that were seen to */
    uint64_t floor[ALL + 1];            /* the database is durable up to here */
    uint64_t committed, committed_term; /* the newest that a leader was seen to have committed */
};

static uint64_t between(struct storm *s, uint64_t low, uint64_t high)
{
    return rng_between(&s->rng, low, high);
}

static bool chance(struct storm *s, unsigned percent)
{
    return between(s, 1, 100) <= percent;
}

static struct member *member_of(struct storm *s, uint64_t id)
{
    return &s->g->members.member[id];
}

static struct member *pick(struct storm *s)
{
    return member_of(s, between(s, 1, ALL));
}

static struct member *leader_of(struct storm *s)
{
    struct member *leader = NULL;
    for (unsigned i = 1; i <= ALL; i++) {
        struct member *m = member_of(s, i);
        if (!gallery_is_down(m) && !m->cut && consensus_leads(m->c) &&
            (leader == NULL || consensus_term(m->c) > consensus_term(leader->c))) {
            leader = m;
        }
    }
    return leader;
}

static bool runs(const struct member *m)
{
    return !gallery_is_down(m) && !consensus_recovering(m->c);
}

/* Misfortune */

/* A database comes back as it was at some moment since it was last known to be durable. */
static void start_again(struct storm *s, struct member *m)
{
    struct database *db = gallery_database(m);
    unsigned swaps = db->swaps;

    gallery_crash(m);
    if (db->index > s->floor[m->id] && chance(s, 50)) {
        gallery_put_at(m, between(s, s->floor[m->id], db->index));
    }
    gallery_start(m);
    s->installs[m->id] = db->installs;
    s->floor[m->id] = db->swaps != swaps ? db->index : s->floor[m->id];
    total.finished += db->swaps != swaps;
    total.crashes++;
}

static void lose_power(struct storm *s, struct member *m)
{
    if (gallery_is_down(m)) {
        return;
    }
    if (chance(s, 70)) {
        sim_node_crash_in(m->node, (unsigned)between(s, 1, 12));
    } else {
        start_again(s, m);
    }
}

static void keep_lowest(void *ctx, const char *name)
{
    char *lowest = ctx;
    if (strncmp(name, "segment-", 8) == 0 && (lowest[0] == 0 || strcmp(name, lowest) < 0)) {
        snprintf(lowest, 64, "%s", name);
    }
}

/* In an old segment, so that the mark has passed it; and in one log at a time: what all have lost is lost. */
static void damage(struct storm *s, struct member *m)
{
    char lowest[64] = "", path[128];
    struct sim_disk_place place = {.path = path, .offset = ENV_BLOCK, .len = 48 * 1024};
    uint64_t offset;
    struct error e;

    for (unsigned i = 1; i <= ALL; i++) {
        if (!runs(member_of(s, i))) {
            return;
        }
    }
    if (consensus_log_bytes(m->c) < 2 * m->config.segment_bytes) {
        return;
    }
    gallery_crash(m);
    assert_int_equal(env_list_dir(m->env, "data/log", keep_lowest, lowest, &e), 0);
    snprintf(path, sizeof path, "data/log/%s", lowest);
    assert_int_equal(sim_disk_flip_in(sim_node_disk(m->node), &place, &offset, &e), 0);
    gallery_start(m);
    s->installs[m->id] = gallery_database(m)->installs;
    total.damages += consensus_recovering(m->c);
}

static void cut(struct storm *s)
{
    for (unsigned i = 1; i <= ALL; i++) {
        member_of(s, i)->cut = false;
    }
    if (chance(s, 60)) {
        pick(s)->cut = true;
    }
}

/* Operators */

static void write_some(struct storm *s, struct member *leader)
{
    struct error e;
    for (uint64_t n = between(s, 1, 8); n > 0; n--) {
        uint8_t bytes[600] = {0};
        memcpy(bytes, &s->count, sizeof s->count);
        int rv = consensus_submit(leader->c, LOG_COMMANDS, bytes, (uint32_t)between(s, 8, sizeof bytes), &e);
        assert_true(rv == 0 || rv == Q_NOT_LEADER);
        s->count++;
    }
}

static void compact(struct storm *s, struct member *m)
{
    uint64_t low, index, high;
    struct error e;

    if (!runs(m) || consensus_installing(m->c)) {
        return;
    }
    low = consensus_compacted_index(m->c);
    high = gallery_database(m)->index;
    high = high < consensus_applicable(m->c) ? high : consensus_applicable(m->c);
    if (high <= low) {
        return;
    }
    index = between(s, low + 1, high);
    s->floor[m->id] = index > s->floor[m->id] ? index : s->floor[m->id];
    uint64_t keep_from = chance(s, 50) ? index + 1 : between(s, index > 60 ? index - 60 : 1, index + 1);
    int rv = consensus_compact(m->c, index, keep_from, &e);
    assert_true(rv == 0 || rv == Q_BUSY);
    total.compactions += rv == 0;
}

static unsigned voters_of(const struct consensus_member *found, unsigned n)
{
    unsigned voters = 0;
    for (unsigned i = 0; i < n; i++) {
        voters += found[i].role == CONSENSUS_VOTER;
    }
    return voters;
}

/* Never fewer than two voters, so that a damaged log is not the only one. */
static void change(struct storm *s, struct member *leader)
{
    struct consensus_member found[ALL];
    unsigned n = consensus_members(leader->c, found, ALL), voters = voters_of(found, n);
    uint64_t id = between(s, 1, ALL);
    int role = -1;
    struct error e;

    for (unsigned i = 0; i < n; i++) {
        role = found[i].id == id ? (int)found[i].role : role;
    }
    if (role == CONSENSUS_VOTER && (voters <= 2 || id == leader->id)) {
        return;
    }
    enum consensus_change what = role == -1                ? CONSENSUS_ADD
                                 : role == CONSENSUS_VOTER ? CONSENSUS_DEMOTE
                                 : chance(s, 75)           ? CONSENSUS_PROMOTE
                                                           : CONSENSUS_REMOVE;
    int rv = consensus_change(leader->c, what, id, &e);
    assert_true(rv == 0 || rv == Q_BUSY || rv == Q_NOT_LEADER);
    total.changes += rv == 0;
}

static void operate(struct storm *s, struct member *leader)
{
    struct error e;
    switch (between(s, 0, 5)) {
    case 0: consensus_transfer(leader->c, 0, &e); break;
    case 1: consensus_catch_up(leader->c, between(s, 1, ALL), &e); break;
    default: change(s, leader);
    }
}

/* Images */

static void fetch_one(struct storm *s, struct member *m)
{
    struct member *source = pick(s);
    uint64_t wanted = gallery_is_down(m) ? 0 : consensus_image_wanted(m->c), high;
    struct error e;

    if (wanted == 0 || source == m || !runs(source) || consensus_installing(source->c)) {
        return;
    }
    high = gallery_database(source)->index;
    uint64_t low =
        wanted > consensus_compacted_index(source->c) ? wanted : consensus_compacted_index(source->c);
    if (low > high) {
        return;
    }
    int rv = gallery_stage(m, source, between(s, low, high), &e);
    if (rv != 0 && rv != Q_BUSY) {
        fail_msg("staged: %s", e.text);
    }
}

static void install_one(struct storm *s, struct member *m)
{
    struct database *db = gallery_database(m);

    if (gallery_is_down(m) || s->installs[m->id] == db->installs) {
        return;
    }
    s->installs[m->id] = db->installs;
    total.replaced += consensus_recovering(m->c);
    total.installs++;
    gallery_install(m);
    s->floor[m->id] = db->index;
}

static void rebuild_one(struct storm *s, struct member *m)
{
    struct member *source = pick(s);
    struct error e;

    if (!runs(m) || consensus_role(m->c) == CONSENSUS_LEADER || consensus_installing(m->c) || source == m ||
        !runs(source) || consensus_image_wanted(m->c) != 0) {
        return;
    }
    uint64_t low = consensus_compacted_index(source->c), high = gallery_database(source)->index;
    if (low == 0 || low > high || gallery_copy(m, source, between(s, low, high), &e) != 0) {
        return;
    }
    int rv = consensus_rebuild(m->c, &gallery_database(m)->staged, &e);
    assert_true(rv == 0 || rv == Q_BUSY || rv == Q_CONFLICT || gallery_is_down(m));
    if (rv == 0) {
        consensus_fence(m->c, META_FENCE_SCAN, 5); /* it was wrong: the rest is as after an install */
        total.rebuilds++;
    }
}

static void end_rebuild(struct storm *s, struct member *m)
{
    struct error e;
    if (runs(m) && consensus_meta(m->c)->installing == META_INSTALLING_DATABASE) {
        gallery_put(m);
        s->floor[m->id] = gallery_database(m)->index;
        if (consensus_rebuilt(m->c, &e) == 0) {
            assert_int_equal(consensus_meta(m->c)->fence, META_NO_FENCE);
        }
    }
}

/* One step of virtual time, and what happens in it. */

static void check(struct storm *s)
{
    struct member *leader = leader_of(s);
    for (unsigned i = 1; i <= ALL; i++) {
        struct member *m = member_of(s, i);
        if (m->fatals > 0 && !gallery_is_down(m)) {
            fail_msg("member %u stops: %s", i, m->fatal.text);
        }
    }
    if (leader != NULL && consensus_commit(leader->c) > s->committed &&
        consensus_term_at(leader->c, consensus_commit(leader->c)) == consensus_term(leader->c)) {
        s->committed = consensus_commit(leader->c);
        s->committed_term = consensus_term(leader->c);
    }
}

static void attend(struct storm *s, unsigned percent)
{
    for (unsigned i = 1; i <= ALL; i++) {
        struct member *m = member_of(s, i);
        if (gallery_is_down(m) && chance(s, percent)) {
            start_again(s, m);
        }
        if (chance(s, percent)) {
            install_one(s, m);
        }
        if (chance(s, percent)) {
            end_rebuild(s, m);
        }
        if (chance(s, percent)) {
            fetch_one(s, m);
        }
    }
}

static void step(struct storm *s)
{
    members_run_ms(&s->g->members, between(s, 1, STEP_MS));
    check(s);
    attend(s, s->calm ? 90 : 25);
    if (leader_of(s) != NULL && chance(s, 60)) {
        write_some(s, leader_of(s));
    }
    if (chance(s, s->calm ? 0 : 12)) {
        compact(s, pick(s));
    }
    if (chance(s, s->calm ? 0 : 6) && leader_of(s) != NULL) {
        operate(s, leader_of(s));
    }
    if (chance(s, s->calm ? 0 : 6)) {
        lose_power(s, pick(s));
    }
    if (chance(s, s->calm ? 0 : 5)) {
        cut(s);
    }
    if (chance(s, s->calm ? 0 : 2)) {
        damage(s, pick(s));
    }
    if (chance(s, s->calm ? 0 : 4)) {
        rebuild_one(s, pick(s));
    }
}

static bool all_at(struct storm *s, struct member *leader)
{
    struct consensus_member found[ALL];
    unsigned n = consensus_members(leader->c, found, ALL);
    bool all = gallery_database(leader)->index >= s->committed && consensus_settled(leader->c);
    for (unsigned i = 0; i < n; i++) {
        struct member *m = member_of(s, found[i].id);
        all = all && runs(m) && !consensus_installing(m->c) &&
              gallery_database(m)->index == gallery_database(leader)->index;
    }
    return all;
}

static void calm_down(struct storm *s)
{
    s->calm = true;
    for (unsigned i = 1; i <= ALL; i++) {
        member_of(s, i)->cut = false;
        sim_node_crash_in(member_of(s, i)->node, 0);
    }
    for (unsigned i = 0; i < CALM_STEPS; i++) {
        struct member *leader = leader_of(s);
        if (leader != NULL && all_at(s, leader)) {
            assert_int_equal(s->g->term_at[s->committed], s->committed_term);
            total.entries += gallery_database(leader)->index;
            return;
        }
        step(s);
    }
    fail_msg("no progress after all was healed");
}

static void play(uint64_t seed)
{
    static struct gallery g;
    struct storm s = {.g = &g, .seed = seed};

    gallery_init(&g, ALL);
    g.by_hand = true;
    rng_init(&s.rng, seed);
    for (uint64_t i = seed % 50; i > 0; i--) {
        sim_random(g.members.sim, 0, 1);
    }
    for (unsigned i = 1; i <= ALL; i++) {
        g.members.member[i].config.count = FOUNDERS;
        g.members.member[i].config.founder = i <= FOUNDERS;
        gallery_start(&g.members.member[i]);
    }
    for (unsigned i = 0; i < STORM_STEPS; i++) {
        step(&s);
    }
    calm_down(&s);
    members_close(&g.members);
}

static void whatever_happens_databases_agree_and_nothing_committed_is_lost(void **state)
{
    (void)state;
    for (uint64_t seed = first_seed; seed < first_seed + seeds; seed++) {
        if (seeds != SEEDS) {
            printf("seed %d\n", (int)seed);
        }
        play(seed);
    }
    printf(
        "crashes %u, compactions %u, changes %u, logs damaged %u, replaced %u, databases rebuilt %u, images "
        "installed %u, finished by a start %u, entries %d\n",
        total.crashes, total.compactions, total.changes, total.damages, total.replaced, total.rebuilds,
        total.installs, total.finished, (int)total.entries);
    assert_true(seeds < SEEDS || (total.installs > SEEDS && total.replaced > 0 && total.rebuilds > 0 &&
                                  total.finished > 0 && total.changes > SEEDS));
}

int main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whatever_happens_databases_agree_and_nothing_committed_is_lost),
    };
    if (argc == 3) {
        first_seed = strtoull(argv[1], NULL, 10);
        seeds = strtoull(argv[2], NULL, 10);
    }
    return cmocka_run_group_tests(tests, NULL, NULL);
}
