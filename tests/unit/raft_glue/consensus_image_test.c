/* Members that are brought forward, or healed, by images of each other's databases. */
#include "tests/unit/raft_glue/gallery.h"

static int set_up(void **state)
{
    static struct gallery g;
    gallery_init(&g, 3);
    *state = &g;
    return 0;
}

static int tear_down(void **state)
{
    struct gallery *g = *state;
    members_close(&g->members);
    return 0;
}

static struct member *other_than(struct member *member)
{
    return &member->all->member[member->id % member->all->count + 1];
}

/* A follower is cut off, and the others write 60 entries and compact them away. Returns the follower. */
static struct member *leave_behind(struct gallery *g, struct member *leader)
{
    struct member *away = other_than(leader);

    gallery_write(leader, 10);
    away->cut = true;
    gallery_write(leader, 60);
    gallery_compact(g);
    assert_int_equal(consensus_first(leader->c), consensus_last(leader->c) + 1);
    return away;
}

static bool caught_up(struct member *member, const struct member *leader)
{
    return gallery_database(member)->index >= consensus_last(leader->c) &&
           consensus_match(leader->c, member->id) >= consensus_last(leader->c);
}

static void expect_members(const struct member *member, unsigned count)
{
    struct consensus_member found[8];
    assert_int_equal(consensus_members(member->c, found, 8), count);
    for (unsigned i = 0; i < count; i++) {
        assert_int_equal(found[i].id, i + 1);
        assert_int_equal(found[i].role, CONSENSUS_VOTER);
    }
}

static void a_member_that_was_away_past_the_compaction_is_brought_forward(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g), *away = leave_behind(g, leader);
    struct database *db = gallery_database(away);
    uint64_t image = gallery_database(leader)->index;
    struct error e;

    away->cut = false;
    MEMBERS_UNTIL(&g->members, caught_up(away, members_leader(&g->members)));

    assert_int_equal(db->installs, 1);
    assert_true(db->fetch_index <= image);
    assert_true(consensus_first(away->c) > 60);
    assert_false(consensus_installing(away->c));
    assert_int_equal(consensus_image_wanted(away->c), 0);
    expect_members(away, 3);
    leader = members_leader(&g->members);
    gallery_write(leader, 10);

    uint64_t first = consensus_first(away->c);
    gallery_crash(away);
    gallery_start(away);
    assert_int_equal(consensus_first(away->c), first);
    assert_int_equal(db->swaps, 0);
    MEMBERS_UNTIL(&g->members, caught_up(away, members_leader(&g->members)));
    assert_int_equal(db->installs, 1);
    expect_members(away, 3);
    assert_int_equal(consensus_staged(away->c, &db->staged, &e), 0); /* too late, and no harm */
    members_run_ms(&g->members, 1000);
    assert_int_equal(db->installs, 1);
}

static void an_image_may_be_newer_than_what_the_leader_asks_for(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g), *away = leave_behind(g, leader);
    struct database *db = gallery_database(away);
    struct error e;

    g->by_hand = true;
    away->cut = false;
    MEMBERS_UNTIL(&g->members, db->fetches >= 3);
    leader = members_leader(&g->members);
    uint64_t asked = db->fetch_index;
    assert_int_equal(consensus_image_wanted(away->c), asked);
    member_submit(leader, 20, 100);
    uint64_t last = consensus_last(leader->c);
    MEMBERS_UNTIL(&g->members, gallery_database(leader)->index >= last);

    assert_int_equal(gallery_stage(away, leader, last, &e), 0);
    MEMBERS_UNTIL(&g->members, db->installs == 1);
    gallery_install(away);
    assert_int_equal(consensus_first(away->c), last + 1);
    MEMBERS_UNTIL(&g->members, caught_up(away, members_leader(&g->members)));
}

static void an_image_that_is_too_old_is_refused(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g), *away = leave_behind(g, leader);
    struct database *db = gallery_database(away);
    struct consensus_image old;
    struct error e;

    g->by_hand = true;
    assert_int_equal(consensus_image_at(leader->c, gallery_database(leader)->index, &old, &e), 0);
    uint8_t members[META_CONFIGURATION_MAX];
    memcpy(members, old.configuration, old.configuration_len);
    old.configuration = members;
    gallery_write(leader, 20);
    gallery_compact(g);
    away->cut = false;
    MEMBERS_UNTIL(&g->members, db->fetches > 0 && db->fetch_index > old.index);

    assert_int_equal(consensus_staged(away->c, &old, &e), Q_INVALID);
    old.configuration_len = 3;
    assert_int_equal(consensus_staged(away->c, &old, &e), Q_CORRUPT);
    members_run_ms(&g->members, 500);
    assert_int_equal(db->installs, 0);
}

/* The leader does not ask for an image of a member that its log can still bring forward. */
static void entries_that_a_log_keeps_make_do_without_an_image(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g), *away = other_than(leader);
    struct error e;

    gallery_write(leader, 10);
    uint64_t keep_from = gallery_database(away)->index + 1;
    away->cut = true;
    gallery_write(leader, 60);
    for (unsigned i = 1; i <= 3; i++) {
        struct member *member = &g->members.member[i];
        if (member != away) {
            uint64_t index = gallery_database(member)->index - 5;
            assert_int_equal(consensus_compact(member->c, index, keep_from - 1, &e), 0);
            assert_int_equal(consensus_first(member->c), keep_from - 1);
            assert_int_equal(consensus_compacted_index(member->c), index);
            gallery_crash(member);
            gallery_start(member);
            assert_int_equal(consensus_first(member->c), keep_from - 1);
            assert_int_equal(consensus_compacted_index(member->c), index);
        }
    }
    away->cut = false;
    MEMBERS_UNTIL(&g->members, caught_up(away, members_leader(&g->members)));
    assert_int_equal(gallery_database(away)->fetches, 0);
}

/* A database may even be older than the snapshot, as long as the log goes on behind it. */
static void a_database_is_made_good_from_entries_below_the_snapshot(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g), *member = other_than(leader);
    struct database *db = gallery_database(member);
    struct error e;

    gallery_write(leader, 10);
    uint64_t old = db->index;
    gallery_write(leader, 60);
    assert_int_equal(consensus_compact(member->c, db->index, old, &e), 0);
    gallery_crash(member);
    gallery_put_at(member, old);

    gallery_start(member);
    MEMBERS_UNTIL(&g->members, caught_up(member, members_leader(&g->members)));
}

/* A life in which power is lost in step STEP of an install. False: the install has fewer steps. */
static bool interrupt(unsigned step, unsigned chance, unsigned *old, unsigned *finished)
{
    static struct gallery g;
    gallery_init(&g, 3);
    struct member *leader = gallery_start_all(&g), *away = leave_behind(&g, leader);
    struct database *db = gallery_database(away);
    uint64_t was = db->index;

    while (chance-- > 0) {
        sim_random(g.members.sim, 0, 1);
    }
    g.by_hand = true;
    away->cut = false;
    MEMBERS_UNTIL(&g.members, db->fetches > 0);
    sim_node_crash_in(away->node, step);
    g.by_hand = false;
    MEMBERS_UNTIL(&g.members, gallery_is_down(away) || caught_up(away, members_leader(&g.members)));
    sim_node_crash_in(away->node, 0);
    bool interrupted = gallery_is_down(away);
    if (interrupted) {
        gallery_crash(away);
        gallery_start(away);
        *old += db->index == was;
        *finished += db->swaps > 0;
        assert_true(db->index == was || db->index >= 60);
        assert_false(consensus_installing(away->c));
    }
    MEMBERS_UNTIL(&g.members, caught_up(away, members_leader(&g.members)));
    expect_members(away, 3);
    members_close(&g.members);
    return interrupted;
}

/* Whatever step of an install is the last one, the next start makes it good. */
static void a_crash_at_any_step_of_an_install_leaves_the_old_or_the_new_database(void **state)
{
    unsigned old = 0, finished = 0, step = 1;
    (void)state;

    for (bool interrupted = true; interrupted; step++) {
        for (unsigned chance = 0; chance < 4; chance++) {
            interrupted = interrupt(step, chance, &old, &finished);
        }
        assert_true(step < 60);
    }
    assert_true(old > 0);             /* before the commit point */
    assert_in_range(finished, 3, 60); /* behind it */
}

/* A start that finishes an install may be interrupted as well. */
static void a_crash_while_an_install_is_finished_does_no_harm(void **state)
{
    bool interrupted = true;
    (void)state;

    for (unsigned step = 1; interrupted; step++) {
        static struct gallery g;
        struct error e;
        gallery_init(&g, 3);
        struct member *leader = gallery_start_all(&g), *away = leave_behind(&g, leader);
        struct database *db = gallery_database(away);

        g.by_hand = true;
        away->cut = false;
        MEMBERS_UNTIL(&g.members, db->fetches > 0);
        leader = members_leader(&g.members);
        assert_int_equal(gallery_stage(away, leader, gallery_database(leader)->index, &e), 0);
        MEMBERS_UNTIL(&g.members, db->installs == 1);
        gallery_crash(away);
        sim_node_crash_in(away->node, step);
        int rv = member_open(away, &e);
        sim_node_crash_in(away->node, 0);
        interrupted = sim_node_env(away->node) == NULL;
        assert_true(interrupted || rv == 0);
        if (interrupted) {
            gallery_crash(away);
            gallery_start(away);
        } else {
            assert_int_equal(consensus_start(away->c, db->index, db->term, &e), 0);
        }
        g.by_hand = false;
        MEMBERS_UNTIL(&g.members, caught_up(away, members_leader(&g.members)));
        assert_true(db->swaps >= 1);
        members_close(&g.members);
        assert_true(step < 100);
    }
}

/* Recovery */

static void damage_log(struct member *member)
{
    struct error e;
    int rv = sim_disk_flip(sim_node_disk(member->node), "data/log/segment-0000000000000001",
                           3 * ENV_BLOCK + 72 + 60, 0, &e);
    assert_int_equal(rv, 0);
}

/* Its log is damaged, and all others have compacted what is lost, but not all that is not. */
static struct member *damage_and_compact(struct gallery *g)
{
    struct member *leader = gallery_start_all(g), *hurt = other_than(leader);

    gallery_write(leader, 20);
    hurt->cut = true;
    gallery_compact(g);
    hurt->cut = false;
    gallery_write(leader, 20);
    members_run_ms(&g->members, 300);
    gallery_crash(hurt);
    damage_log(hurt);
    g->by_hand = true;
    gallery_start(hurt);
    assert_true(consensus_recovering(hurt->c));
    members_run_ms(&g->members, 300); /* the making of the new log has begun */
    return hurt;
}

static bool is_whole(struct member *member, struct gallery *g)
{
    return !consensus_recovering(member->c) && caught_up(member, members_leader(&g->members));
}

/* What is there behind the image stays: it may have been acknowledged. */
static void a_damaged_log_goes_on_behind_an_image_that_covers_its_losses(void **state)
{
    struct gallery *g = *state;
    struct member *hurt = damage_and_compact(g), *leader = members_leader(&g->members);
    struct database *db = gallery_database(hurt);
    uint64_t wanted = consensus_image_wanted(hurt->c), last = consensus_last(hurt->c);
    struct error e;

    assert_in_range(wanted, 2, 20);
    assert_int_equal(gallery_stage(hurt, leader, last - 8, &e), 0);
    assert_int_equal(db->installs, 0); /* not inside the call */
    assert_true(consensus_installing(hurt->c));
    MEMBERS_UNTIL(&g->members, db->installs == 1);
    gallery_install(hurt);

    assert_int_equal(consensus_first(hurt->c), db->staged.index + 1);
    MEMBERS_UNTIL(&g->members, is_whole(hurt, g));
    assert_true(consensus_last(hurt->c) >= last);
    gallery_crash(hurt);
    gallery_start(hurt);
    assert_false(consensus_recovering(hurt->c));
    MEMBERS_UNTIL(&g->members, is_whole(hurt, g));
}

static void a_damaged_log_is_replaced_by_an_image_that_reaches_further(void **state)
{
    struct gallery *g = *state;
    struct member *hurt = damage_and_compact(g), *leader = members_leader(&g->members);
    struct database *db = gallery_database(hurt);
    struct error e;

    member_submit(leader, 20, 10);
    uint64_t last = consensus_last(leader->c);
    MEMBERS_UNTIL(&g->members, gallery_database(leader)->index >= last);
    assert_int_equal(gallery_stage(hurt, leader, last, &e), 0);
    MEMBERS_UNTIL(&g->members, db->installs == 1);
    gallery_install(hurt);

    assert_false(consensus_recovering(hurt->c));
    assert_int_equal(consensus_first(hurt->c), last + 1);
    MEMBERS_UNTIL(&g->members, is_whole(hurt, g));
}

/* Power is lost between the commit point and the end: the next start has it all to do again. */
static void a_crash_while_a_damaged_log_is_replaced_does_no_harm(void **state)
{
    (void)state;
    for (unsigned further = 0; further < 2; further++) {
        static struct gallery g;
        struct error e;
        gallery_init(&g, 3);
        struct member *hurt = damage_and_compact(&g), *leader = members_leader(&g.members);
        uint64_t last = consensus_last(hurt->c) - 8;
        if (further) {
            member_submit(leader, 20, 10);
            last = consensus_last(leader->c);
            MEMBERS_UNTIL(&g.members, gallery_database(leader)->index >= last);
        }
        assert_int_equal(gallery_stage(hurt, leader, last, &e), 0);
        gallery_crash(hurt);
        gallery_start(hurt);
        assert_int_equal(gallery_database(hurt)->swaps, 1);
        assert_int_equal(gallery_database(hurt)->index, last);
        assert_int_equal(consensus_recovering(hurt->c), !further);
        MEMBERS_UNTIL(&g.members, is_whole(hurt, &g));
        members_close(&g.members);
    }
}

/* It may have acknowledged what it has lost: with less than that, a leader could be elected without it. */
static void a_damaged_log_is_not_replaced_by_an_image_that_ends_sooner(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g), *hurt = other_than(leader);
    struct consensus_image image;
    uint8_t members[META_CONFIGURATION_MAX];
    struct error e;

    gallery_write(leader, 20);
    assert_int_equal(consensus_image_at(leader->c, 2, &image, &e), 0);
    memcpy(members, image.configuration, image.configuration_len);
    image.configuration = members;
    gallery_write(leader, 10);
    members_run_ms(&g->members, 300);
    gallery_crash(hurt);
    damage_log(hurt);
    gallery_start(hurt);
    assert_true(consensus_recovering(hurt->c));

    assert_int_equal(consensus_staged(hurt->c, &image, &e), Q_INVALID);
    members_run_ms(&g->members, 500);
    assert_int_equal(gallery_database(hurt)->installs, 0);
    assert_true(consensus_recovering(hurt->c));
}

/* Rebuilding */

static void a_fenced_database_is_rebuilt_beside_its_log(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g), *odd = other_than(leader);
    struct database *db = gallery_database(odd);
    struct consensus_image image;
    struct error e;

    gallery_write(leader, 30);
    consensus_fence(odd->c, META_FENCE_MAJORITY, 12);
    gallery_compact(g);
    assert_int_equal(gallery_copy(odd, leader, gallery_database(leader)->index, &e), 0);
    image = db->staged;
    image.term++;
    assert_int_equal(consensus_rebuild(odd->c, &image, &e), Q_CONFLICT);
    image = db->staged;
    image.index--; /* its log begins behind that */
    assert_int_equal(consensus_rebuild(odd->c, &image, &e), Q_CONFLICT);
    image.index = consensus_durable(odd->c) + 1;
    assert_int_equal(consensus_rebuild(odd->c, &image, &e), Q_BUSY);
    assert_false(consensus_installing(odd->c));

    assert_int_equal(consensus_rebuild(odd->c, &db->staged, &e), 0);
    assert_true(consensus_installing(odd->c));
    assert_int_equal(consensus_rebuild(odd->c, &db->staged, &e), Q_BUSY);
    assert_int_equal(consensus_compact(odd->c, db->index + 1, db->index + 2, &e), Q_BUSY);
    member_submit(leader, 5, 100); /* it goes on following meanwhile */
    MEMBERS_UNTIL(&g->members, consensus_match(leader->c, odd->id) == consensus_last(leader->c));
    gallery_put(odd);
    assert_int_equal(consensus_rebuilt(odd->c, &e), 0);

    assert_false(consensus_installing(odd->c));
    assert_int_equal(consensus_meta(odd->c)->fence, META_NO_FENCE);
    MEMBERS_UNTIL(&g->members, caught_up(odd, members_leader(&g->members)));
}

static void a_crash_in_a_rebuild_is_made_good_by_the_next_start(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g), *odd = other_than(leader);
    struct database *db = gallery_database(odd);
    struct error e;

    gallery_write(leader, 30);
    consensus_fence(odd->c, META_FENCE_SCAN, 12);
    assert_int_equal(gallery_copy(odd, leader, gallery_database(leader)->index, &e), 0);
    uint64_t last = consensus_last(odd->c);
    assert_int_equal(consensus_rebuild(odd->c, &db->staged, &e), 0);
    gallery_crash(odd);
    db->index = 3; /* whatever it was */

    gallery_start(odd);
    assert_int_equal(db->swaps, 1);
    assert_true(consensus_last(odd->c) >= last); /* its log is the old one */
    assert_int_equal(consensus_first(odd->c), 1);
    assert_int_equal(consensus_meta(odd->c)->fence, META_NO_FENCE);
    MEMBERS_UNTIL(&g->members, caught_up(odd, members_leader(&g->members)));
}

static void a_member_without_a_fetch_says_what_it_lacks_and_ends(void **state)
{
    struct gallery *g = *state;
    for (unsigned i = 1; i <= 3; i++) {
        g->members.member[i].config.fetch = NULL;
    }
    struct member *leader = gallery_start_all(g), *away = leave_behind(g, leader);

    away->cut = false;
    MEMBERS_UNTIL(&g->members, away->fatals > 0);
    assert_int_equal(away->fatal.code, Q_MISMATCH);
}

static void a_log_can_be_kept_within_a_number_of_bytes(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g);
    struct error e;

    for (unsigned i = 0; i < 20; i++) {
        gallery_write(leader, 200);
    }
    uint64_t all = consensus_log_bytes(leader->c);
    assert_true(all >= 5 * leader->config.segment_bytes);
    assert_int_equal(consensus_index_within(leader->c, all), 1);
    uint64_t bytes = 3 * leader->config.segment_bytes, from = consensus_index_within(leader->c, bytes);
    assert_in_range(from, 2, consensus_last(leader->c));

    assert_int_equal(consensus_compact(leader->c, from, from, &e), 0);
    assert_true(consensus_log_bytes(leader->c) <= bytes);
    assert_int_equal(consensus_index_within(leader->c, bytes), from);
    uint64_t least = consensus_index_within(leader->c, 0);
    assert_in_range(least, from + 1, consensus_durable(leader->c) + 1);
}

#define THREE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        THREE(a_member_that_was_away_past_the_compaction_is_brought_forward),
        THREE(an_image_may_be_newer_than_what_the_leader_asks_for),
        THREE(an_image_that_is_too_old_is_refused),
        THREE(entries_that_a_log_keeps_make_do_without_an_image),
        THREE(a_database_is_made_good_from_entries_below_the_snapshot),
        cmocka_unit_test(a_crash_at_any_step_of_an_install_leaves_the_old_or_the_new_database),
        cmocka_unit_test(a_crash_while_an_install_is_finished_does_no_harm),
        THREE(a_damaged_log_goes_on_behind_an_image_that_covers_its_losses),
        THREE(a_damaged_log_is_replaced_by_an_image_that_reaches_further),
        cmocka_unit_test(a_crash_while_a_damaged_log_is_replaced_does_no_harm),
        THREE(a_damaged_log_is_not_replaced_by_an_image_that_ends_sooner),
        THREE(a_fenced_database_is_rebuilt_beside_its_log),
        THREE(a_crash_in_a_rebuild_is_made_good_by_the_next_start),
        THREE(a_member_without_a_fetch_says_what_it_lacks_and_ends),
        THREE(a_log_can_be_kept_within_a_number_of_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
