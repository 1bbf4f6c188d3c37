/* Members that come and go: blank ones, changes by the leader, removed ones. */
#include "tests/unit/raft_glue/gallery.h"

enum { FOUNDERS = 3, ALL = 5 };

/* Three founders; the others are blank and know nobody. */
static int set_up(void **state)
{
    static struct gallery g;
    gallery_init(&g, ALL);
    for (unsigned i = 1; i <= ALL; i++) {
        g.members.member[i].config.count = FOUNDERS;
        g.members.member[i].config.founder = i <= FOUNDERS;
    }
    *state = &g;
    return 0;
}

static int tear_down(void **state)
{
    struct gallery *g = *state;
    members_close(&g->members);
    return 0;
}

static struct member *lead(struct gallery *g)
{
    return members_leader(&g->members);
}

static int role_of(const struct member *member, uint64_t id)
{
    struct consensus_member found[8];
    unsigned n = consensus_members(member->c, found, 8);
    for (unsigned i = 0; i < n; i++) {
        if (found[i].id == id) {
            return (int)found[i].role;
        }
    }
    return -1;
}

/* The leader of the moment makes the change, as often as it takes. */
static void change(struct gallery *g, enum consensus_change what, uint64_t id, int role)
{
    struct error e;

    for (unsigned i = 0; i < 100 && (role_of(lead(g), id) != role || !consensus_settled(lead(g)->c)); i++) {
        if (role_of(lead(g), id) != role) {
            int rv = consensus_change(lead(g)->c, what, id, &e);
            assert_true(rv == 0 || rv == Q_BUSY || rv == Q_NOT_LEADER);
        }
        members_run_ms(&g->members, 100);
    }
    assert_int_equal(role_of(lead(g), id), role);
}

static bool caught_up(struct gallery *g, unsigned id)
{
    struct member *leader = lead(g);
    return gallery_database(&g->members.member[id])->index >= consensus_last(leader->c) &&
           consensus_match(leader->c, id) >= consensus_last(leader->c);
}

static void wait_for(struct gallery *g, unsigned id)
{
    MEMBERS_UNTIL(&g->members, caught_up(g, id));
}

static void a_blank_member_waits_is_added_and_votes(void **state)
{
    struct gallery *g = *state;
    struct member *joiner = &g->members.member[4];
    struct error e;

    gallery_write(gallery_start_all(g), 10);
    assert_int_equal(consensus_last(joiner->c), 0);
    assert_false(consensus_meta(joiner->c)->founder);
    gallery_crash(joiner);
    gallery_start(joiner); /* still blank */
    assert_int_equal(consensus_last(joiner->c), 0);

    change(g, CONSENSUS_ADD, 4, CONSENSUS_STANDBY);
    wait_for(g, 4);
    assert_int_equal(consensus_first(joiner->c), 1);
    assert_int_equal(gallery_database(joiner)->fetches, 0);
    assert_int_equal(consensus_catch_up(lead(g)->c, 4, &e), 0);
    assert_false(consensus_settled(lead(g)->c));
    MEMBERS_UNTIL(&g->members, consensus_catch_up_state(lead(g)->c, 4) == CONSENSUS_CATCH_UP_FINISHED);
    assert_true(consensus_settled(lead(g)->c));
    change(g, CONSENSUS_PROMOTE, 4, CONSENSUS_VOTER);
    wait_for(g, 4);
    assert_true(consensus_is_voter(joiner->c, 4));

    gallery_crash(joiner);
    gallery_start(joiner);
    wait_for(g, 4);
    gallery_write(lead(g), 10);
}

static void a_blank_member_comes_by_an_image_if_the_log_is_compacted(void **state)
{
    struct gallery *g = *state;
    struct member *joiner = &g->members.member[4];

    gallery_start_all(g);
    joiner->cut = g->members.member[5].cut = true;
    gallery_write(lead(g), 50);
    gallery_compact(g);
    joiner->cut = false;
    change(g, CONSENSUS_ADD, 4, CONSENSUS_STANDBY);
    wait_for(g, 4);

    assert_int_equal(gallery_database(joiner)->installs, 1);
    assert_true(consensus_first(joiner->c) > 50);
    assert_int_equal(role_of(joiner, 4), CONSENSUS_STANDBY);
    assert_int_equal(role_of(joiner, 1), CONSENSUS_VOTER);
    gallery_crash(joiner);
    gallery_start(joiner);
    assert_true(consensus_first(joiner->c) > 50);
    wait_for(g, 4);
    assert_int_equal(role_of(joiner, 4), CONSENSUS_STANDBY);
}

/* The members as of the image are those of its index, not those that the joiner began with. */
static void an_image_brings_the_members_of_its_index(void **state)
{
    struct gallery *g = *state;
    struct member *joiner = &g->members.member[5];

    gallery_start_all(g);
    joiner->cut = true;
    change(g, CONSENSUS_ADD, 4, CONSENSUS_STANDBY);
    wait_for(g, 4);
    gallery_write(lead(g), 20);
    gallery_compact(g);
    change(g, CONSENSUS_ADD, 5, CONSENSUS_STANDBY);
    gallery_write(lead(g), 20);
    gallery_compact(g);
    joiner->cut = false;
    wait_for(g, 5);

    assert_int_equal(gallery_database(joiner)->installs, 1);
    for (unsigned id = 1; id <= ALL; id++) {
        assert_int_equal(role_of(joiner, id), id <= FOUNDERS ? CONSENSUS_VOTER : CONSENSUS_STANDBY);
    }
    gallery_crash(joiner);
    gallery_start(joiner);
    wait_for(g, 5);
    assert_int_equal(role_of(joiner, 4), CONSENSUS_STANDBY);
}

/* A member whose log has lost who was added: what it can do without is told by another's compaction. */
static void members_that_are_lost_with_the_log_come_with_a_compaction(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g);
    struct member *hurt = &g->members.member[leader->id % FOUNDERS + 1];
    struct consensus_image image;
    struct log_entry entry;
    struct error e;

    gallery_write(leader, 10);
    assert_int_equal(consensus_compaction(leader->c, &image, &e), Q_NOT_FOUND);
    change(g, CONSENSUS_ADD, 4, CONSENSUS_STANDBY);
    wait_for(g, 4);
    gallery_write(lead(g), 10);
    assert_int_equal(consensus_image_at(lead(g)->c, gallery_database(lead(g))->index, &image, &e), 0);
    uint64_t added_at = image.configuration_index;
    members_run_ms(&g->members, 300);
    hurt->cut = true;
    gallery_compact(g);
    gallery_crash(hurt);
    for (uint64_t block = 1; block < 12; block++) {
        sim_disk_flip(sim_node_disk(hurt->node), "data/log/segment-0000000000000001", block * ENV_BLOCK + 140,
                      0, &e);
    }
    gallery_start(hurt);
    assert_true(consensus_recovering(hurt->c));
    assert_int_equal(consensus_entry(hurt->c, added_at, &entry, &e), Q_CORRUPT);

    assert_int_equal(consensus_compaction(lead(g)->c, &image, &e), 0);
    assert_true(image.index <= gallery_database(hurt)->index);
    image.index += 1000;
    assert_int_equal(consensus_skip(hurt->c, &image, &e), Q_INVALID);
    image.index -= 1000;
    assert_int_equal(consensus_skip(hurt->c, &image, &e), 0);
    assert_int_equal(consensus_recover(hurt->c, &e), 0);
    hurt->cut = false;
    MEMBERS_UNTIL(&g->members, !consensus_recovering(hurt->c) && caught_up(g, (unsigned)hurt->id));
    assert_int_equal(role_of(hurt, 4), CONSENSUS_STANDBY);
    gallery_crash(hurt);
    gallery_start(hurt);
    assert_int_equal(role_of(hurt, 4), CONSENSUS_STANDBY);
}

static void drop_file(void *ctx, const char *name)
{
    struct member *member = ctx;
    char path[128];
    struct error e;
    snprintf(path, sizeof path, "data/log/%s", name);
    assert_int_equal(env_unlink(member->env, path, &e), 0);
}

static void a_member_that_came_later_and_lost_its_log_is_refused(void **state)
{
    struct gallery *g = *state;
    struct member *joiner = &g->members.member[4];
    struct consensus *was;
    struct error e;

    gallery_write(gallery_start_all(g), 10);
    change(g, CONSENSUS_ADD, 4, CONSENSUS_STANDBY);
    wait_for(g, 4);
    gallery_crash(joiner);
    assert_int_equal(env_list_dir(joiner->env, "data/log", drop_file, joiner, &e), 0);
    *gallery_database(joiner) = (struct database){0};

    was = joiner->c;
    assert_int_equal(member_open(joiner, &e), Q_CORRUPT);
    assert_non_null(strstr(e.text, "its log is lost"));
    assert_ptr_equal(joiner->c, was);
    members_run_ms(&g->members, 100);
}

static void changes_that_make_no_sense_are_refused(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g);
    struct member *follower = &g->members.member[leader->id % FOUNDERS + 1];
    struct error e;

    assert_true(consensus_settled(leader->c));
    assert_false(consensus_settled(follower->c));
    assert_int_equal(consensus_change(follower->c, CONSENSUS_ADD, 4, &e), Q_NOT_LEADER);
    assert_int_equal(consensus_catch_up(follower->c, 4, &e), Q_NOT_LEADER);
    assert_int_equal(consensus_change(leader->c, CONSENSUS_ADD, follower->id, &e), Q_CONFLICT);
    assert_int_equal(consensus_change(leader->c, CONSENSUS_PROMOTE, follower->id, &e), Q_CONFLICT);
    assert_int_equal(consensus_change(leader->c, CONSENSUS_PROMOTE, 4, &e), Q_NOT_FOUND);
    assert_int_equal(consensus_change(leader->c, CONSENSUS_REMOVE, 4, &e), Q_NOT_FOUND);
    assert_int_equal(consensus_catch_up(leader->c, 4, &e), Q_NOT_FOUND);
    assert_int_equal(consensus_catch_up(leader->c, follower->id, &e), Q_INVALID);
    assert_int_equal(consensus_change(leader->c, CONSENSUS_ADD, 4, &e), 0);
    assert_false(consensus_settled(leader->c));
    assert_int_equal(consensus_change(leader->c, CONSENSUS_ADD, 5, &e), Q_BUSY);
    MEMBERS_UNTIL(&g->members, consensus_settled(leader->c));
    assert_int_equal(consensus_change(leader->c, CONSENSUS_DEMOTE, 4, &e), Q_CONFLICT);
    assert_int_equal(consensus_catch_up_state(leader->c, 99), CONSENSUS_CATCH_UP_NONE);
}

/* Down to one voter, and up again. */
static void a_cluster_shrinks_to_its_leader_and_grows_again(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g);
    uint64_t a = leader->id % FOUNDERS + 1, b = a % FOUNDERS + 1;
    struct error e;

    change(g, CONSENSUS_DEMOTE, a, CONSENSUS_STANDBY);
    assert_int_equal(consensus_change(lead(g)->c, CONSENSUS_DEMOTE, lead(g)->id, &e), Q_INVALID);
    change(g, CONSENSUS_REMOVE, b, -1);
    change(g, CONSENSUS_REMOVE, a, -1);
    g->members.member[a].cut = g->members.member[b].cut = true;
    g->members.member[5].cut = true;
    gallery_write(lead(g), 5);
    change(g, CONSENSUS_ADD, 4, CONSENSUS_STANDBY);
    wait_for(g, 4);
    change(g, CONSENSUS_PROMOTE, 4, CONSENSUS_VOTER);
    gallery_write(lead(g), 5);
    assert_true(consensus_is_voter(g->members.member[4].c, 4));
}

/* Removed */

static void a_removed_node_takes_part_in_nothing_any_more(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g);
    struct member *gone = &g->members.member[leader->id % FOUNDERS + 1];
    struct error e;

    gallery_write(leader, 5);
    change(g, CONSENSUS_REMOVE, gone->id, -1);
    assert_false(consensus_removed(gone->c));
    consensus_retire_removed(gone->c);
    assert_true(consensus_removed(gone->c));
    members_run_ms(&g->members, 1000);
    uint64_t term = consensus_term(lead(g)->c), sent = gone->sent;
    for (unsigned life = 0; life < 2; life++) {
        members_run_ms(&g->members, 5000);
        assert_int_equal(gone->sent, sent);
        assert_int_equal(consensus_role(gone->c), CONSENSUS_FOLLOWER);
        assert_int_equal(consensus_leader(gone->c), 0);
        assert_int_equal(consensus_submit(gone->c, LOG_COMMANDS, "a", 1, &e), Q_NOT_LEADER);
        gallery_crash(gone);
        gallery_start(gone);
        assert_true(consensus_removed(gone->c));
    }
    assert_int_equal(consensus_term(lead(g)->c), term);
}

static void a_leader_that_is_removed_says_so_to_who_waits(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g);
    struct member_read read;

    for (unsigned i = 1; i <= ALL; i++) {
        g->members.member[i].deaf = true; /* so that the read stays open */
    }
    leader->cut = true;
    member_read(leader, &read);
    consensus_retire_removed(leader->c);
    MEMBERS_UNTIL(&g->members, read.done == 1);
    assert_int_equal(read.code, Q_NOT_LEADER);
    assert_false(consensus_leads(leader->c));
    assert_int_equal(consensus_floor(leader->c), 0);
    assert_false(consensus_settled(leader->c));
}

static void a_removed_voter_alone_does_not_lead_itself(void **state)
{
    struct gallery *g = *state;
    struct member *leader = gallery_start_all(g);
    uint64_t last;

    consensus_retire_removed(leader->c);
    leader->cut = true;
    gallery_crash(leader);
    leader->sent = 0;
    gallery_start(leader);
    last = consensus_last(leader->c);
    members_run_ms(&g->members, 5000);
    assert_int_equal(consensus_last(leader->c), last);
    assert_int_equal(leader->sent, 0);
}

/* Identity */

static void an_existing_directory_says_who_its_node_is(void **state)
{
    struct gallery *g = *state;
    struct member *member = &g->members.member[4];
    struct error e;

    member->config.incarnation = 0xabc;
    member->config.origin[3] = 7;
    gallery_start(member);
    assert_int_equal(consensus_meta(member->c)->incarnation, 0xabc);
    gallery_crash(member);
    member->config.id = 0;
    member->config.incarnation = 5;
    member->config.origin[3] = 8;
    member->config.cluster_id[0] = 0x77;
    assert_int_equal(member_open(member, &e), Q_MISMATCH);
    members_run_ms(&g->members, 100);
    member->config.any_cluster = true;
    gallery_start(member);

    assert_int_equal(consensus_meta(member->c)->node_id, 4);
    assert_int_equal(consensus_meta(member->c)->incarnation, 0xabc);
    assert_int_equal(consensus_meta(member->c)->cluster_id[0], 0xc1);
    assert_int_equal(consensus_meta(member->c)->origin[3], 7);
}

static void a_new_directory_needs_an_id(void **state)
{
    struct gallery *g = *state;
    struct member *member = &g->members.member[4];
    struct error e;

    member->config.id = 0;
    assert_int_equal(member_open(member, &e), Q_INVALID);
}

#define WITH(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH(a_blank_member_waits_is_added_and_votes),
        WITH(a_blank_member_comes_by_an_image_if_the_log_is_compacted),
        WITH(an_image_brings_the_members_of_its_index),
        WITH(members_that_are_lost_with_the_log_come_with_a_compaction),
        WITH(a_member_that_came_later_and_lost_its_log_is_refused),
        WITH(changes_that_make_no_sense_are_refused),
        WITH(a_cluster_shrinks_to_its_leader_and_grows_again),
        WITH(a_removed_node_takes_part_in_nothing_any_more),
        WITH(a_leader_that_is_removed_says_so_to_who_waits),
        WITH(a_removed_voter_alone_does_not_lead_itself),
        WITH(an_existing_directory_says_who_its_node_is),
        WITH(a_new_directory_needs_an_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
