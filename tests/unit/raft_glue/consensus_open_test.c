/* A member from its directory to its running core: what it accepts there, and what it refuses. */
#include "raft_glue/envelope.h"
#include "raft_glue/message.h"
#include "tests/unit/raft_glue/members.h"

static int set_up_one(void **state)
{
    static struct members m;
    members_init(&m, 1);
    *state = &m;
    return 0;
}

static int set_up(void **state)
{
    static struct members m;
    members_init(&m, 3);
    *state = &m;
    return 0;
}

static int tear_down(void **state)
{
    members_close(*state);
    return 0;
}

static struct member *first(void **state)
{
    return &((struct members *)*state)->member[1];
}

static void expect_refused(struct member *member, enum error_code code, const char *text)
{
    struct error e;
    struct consensus *before = member->c;

    assert_int_equal(member_open(member, &e), code);
    if (strstr(e.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", e.text, text);
    }
    assert_ptr_equal(member->c, before);
    members_run_ms(member->all, 100); /* the log's worker ends */
}

static void expect_start_refused(struct member *member, uint64_t applied, uint64_t term, const char *text)
{
    struct error e;

    assert_int_equal(member_open(member, &e), 0);
    assert_int_equal(consensus_start(member->c, applied, term, &e), Q_CORRUPT);
    if (strstr(e.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", e.text, text);
    }
    consensus_free(member->c);
    member->c = NULL;
    members_run_ms(member->all, 100);
}

static void drop_file(void *ctx, const char *name)
{
    struct member *member = ctx;
    char path[128];
    struct error e;

    snprintf(path, sizeof path, "data/log/%s", name);
    assert_int_equal(env_unlink(member->env, path, &e), 0);
}

/* After a crash: as if somebody had emptied data/log. */
static void lose_log(struct member *member)
{
    struct error e;
    assert_int_equal(env_list_dir(member->env, "data/log", drop_file, member, &e), 0);
}

/* Bootstrap. */

static void every_member_writes_the_same_first_entry(void **state)
{
    struct members *m = *state;
    struct consensus_server other_way_round[3] = {m->servers[2], m->servers[0], m->servers[1]};
    struct log_entry entry;
    uint8_t bytes[256];
    uint32_t len;
    struct error e;

    m->member[2].config.members = other_way_round;
    members_start(m);
    assert_int_equal(consensus_entry(m->member[1].c, 1, &entry, &e), 0);
    assert_int_equal(entry.type, LOG_CONFIGURATION);
    assert_int_equal(entry.term, 1);
    len = entry.len;
    assert_in_range(len, 1, sizeof bytes);
    memcpy(bytes, entry.data, len);

    for (unsigned i = 2; i <= 3; i++) {
        assert_int_equal(consensus_entry(m->member[i].c, 1, &entry, &e), 0);
        assert_int_equal(entry.term, 1);
        assert_int_equal(entry.len, len);
        assert_memory_equal(entry.data, bytes, len);
    }
}

static void a_member_list_with_an_id_twice_is_refused(void **state)
{
    struct member *member = first(state);

    member->all->servers[2].id = 2;
    expect_refused(member, Q_INVALID, "twice");
}

static void a_member_list_with_an_address_twice_is_refused(void **state)
{
    struct member *member = first(state);

    member->all->servers[2].address = "a:1";
    expect_refused(member, Q_INVALID, "twice");
}

static void a_fresh_directory_gets_an_incarnation_of_its_own(void **state)
{
    struct members *m = *state;
    uint64_t incarnation;

    members_start(m);
    incarnation = consensus_meta(m->member[1].c)->incarnation;
    assert_int_not_equal(incarnation, 0);
    assert_int_not_equal(incarnation, consensus_meta(m->member[2].c)->incarnation);

    member_crash(&m->member[1]);
    member_start(&m->member[1]);
    assert_true(consensus_meta(m->member[1].c)->incarnation == incarnation);
}

static void a_crash_at_any_moment_of_the_first_start_does_no_harm(void **state)
{
    struct members *m = *state;
    struct member *member = &m->member[1];
    struct error e;
    bool crashed = true;

    for (unsigned n = 1; crashed; n++) {
        sim_node_crash_in(member->node, n);
        crashed = member_open(member, &e) != 0;
        crashed = crashed || sim_node_env(member->node) == NULL;
        if (!crashed) {
            sim_node_crash_in(member->node, 0);
            break;
        }
        consensus_free(member->c);
        member->c = NULL;
        sim_node_crash(member->node);
        member->env = member->config.env = sim_node_boot(member->node);
        assert_int_equal(env_make_dir(member->env, "data", &e), 0);
        assert_int_equal(env_sync_dir(member->env, "/", &e), 0);
        assert_in_range(n, 1, 1000);
    }
    assert_int_equal(consensus_start(member->c, 0, 0, &e), 0);
    member_start(&m->member[2]);
    members_leader(m);
}

/* Whose directory it is. */

static void the_directory_of_another_cluster_is_refused(void **state)
{
    struct member *member = first(state);

    member_start(member);
    member_crash(member);
    member->config.cluster_id[3] ^= 1;
    expect_refused(member, Q_MISMATCH, "belongs to another cluster");
}

static void the_directory_of_another_node_is_refused(void **state)
{
    struct member *member = first(state);

    member_start(member);
    member_crash(member);
    member->config.id = 2;
    expect_refused(member, Q_MISMATCH, "belongs to node 1, not to node 2");
}

static void a_directory_that_is_not_there_is_refused(void **state)
{
    struct member *member = first(state);

    member->config.dir = "nowhere";
    expect_refused(member, Q_NOT_FOUND, "nowhere");
}

/* A lost log. */

static void who_has_voted_and_lost_its_log_is_refused(void **state)
{
    struct members *m = *state;
    struct member *leader;

    members_start(m);
    leader = members_leader(m);
    member_crash(leader);
    lose_log(leader);
    expect_refused(leader, Q_CORRUPT, "its log is lost and it must not vote any more");
}

static void who_has_only_followed_and_lost_its_log_is_refused(void **state)
{
    struct members *m = *state;
    struct member *late = &m->member[3];

    member_start(&m->member[1]);
    member_start(&m->member[2]);
    members_leader(m);
    member_start(late);
    MEMBERS_UNTIL(m, consensus_commit(late->c) > 1);
    assert_int_equal(consensus_meta(late->c)->vote, 0);
    member_crash(late);
    lose_log(late);
    expect_refused(late, Q_CORRUPT, "its log is lost");
}

static void who_never_took_part_writes_its_first_entry_again(void **state)
{
    struct members *m = *state;
    struct member *member = first(state);

    member_start(member);
    member_crash(member);
    lose_log(member);
    members_start(m);
    members_leader(m);
}

/* Votes. */

static bool votes_for(struct member *member, uint64_t candidate, uint64_t term)
{
    struct raft_message ask = {.type = RAFT_REQUEST_VOTE, .server_id = member->id}, answer;
    const uint8_t *bytes;
    struct error e;
    struct buf b;
    size_t n;
    bool granted;

    ask.request_vote = (struct raft_request_vote){
        .version = 2, .term = term, .candidate_id = candidate, .last_log_index = 1, .last_log_term = 1};
    buf_init(&b, MESSAGE_BYTES_MAX);
    buf_put_u8(&b, ENVELOPE_CORE);
    message_encode(&ask, &b);
    assert_int_equal(consensus_receive(member->c, candidate, b.data, b.len, &e), 0);
    buf_close(&b);
    bytes = members_letter(member->all, member->id, candidate, ENVELOPE_CORE, &n);
    assert_non_null(bytes);
    assert_int_equal(message_decode(bytes + 1, n - 1, member->id, "x", &answer, &e), 0);
    assert_int_equal(answer.type, RAFT_REQUEST_VOTE_RESULT);
    granted = answer.request_vote_result.vote_granted;
    message_close(&answer, false);
    members_run_ms(member->all, 5); /* it arrives */
    return granted;
}

static void a_vote_is_given_once_in_a_term_whatever_happens(void **state)
{
    struct members *m = *state;
    struct member *member = &m->member[1];

    member_start(member);
    members_run_ms(m, 50);
    assert_true(votes_for(member, 2, 5));
    assert_int_equal(consensus_meta(member->c)->vote, 2);
    member_crash(member);
    member_start(member);
    members_run_ms(m, 50);

    assert_int_equal(consensus_term(member->c), 5);
    assert_false(votes_for(member, 3, 5));
    assert_true(votes_for(member, 3, 6));
}

/* Database and log. */

/* Fifty entries, of which INDEX and those before are compacted away; then a power loss. */
static void live_and_crash(struct member *member, uint64_t compacted)
{
    struct error e;

    member_start(member);
    members_leader(member->all);
    member_submit(member, 50, 100);
    MEMBERS_UNTIL(member->all, consensus_applicable(member->c) == consensus_last(member->c));
    if (compacted != 0) {
        assert_int_equal(consensus_compact(member->c, compacted, compacted + 1, &e), 0);
    }
    member_crash(member);
}

static void a_database_ahead_of_the_log_is_refused(void **state)
{
    struct member *member = first(state);

    live_and_crash(member, 0);
    expect_start_refused(member, 1000, 2, "the database is at index 1000 but the log ends at 5");
}

static void a_database_behind_the_beginning_of_the_log_is_refused(void **state)
{
    struct member *member = first(state);

    live_and_crash(member, 20);
    expect_start_refused(member, 19, 2, "the database is at index 19 but the log begins at 21");
}

static void a_database_of_another_history_is_refused(void **state)
{
    struct member *member = first(state);

    live_and_crash(member, 0);
    expect_start_refused(member, 30, 9, "in term 9 but the log has term");
}

static void a_database_right_at_the_beginning_of_the_log_is_fine(void **state)
{
    struct member *member = first(state);
    struct error e;

    live_and_crash(member, 20);
    assert_int_equal(member_open(member, &e), 0);
    assert_int_equal(consensus_first(member->c), 21);
    assert_int_equal(consensus_compacted_index(member->c), 20);
    if (consensus_start(member->c, 20, consensus_meta(member->c)->snapshot_term, &e) != 0) {
        fail_msg("%s", e.text);
    }
    members_leader(member->all);
    MEMBERS_UNTIL(member->all, consensus_applicable(member->c) == consensus_last(member->c));
}

static void the_largest_entry_fits_into_a_message(void **state)
{
    struct member *member = first(state);

    member->config.segment_bytes = 256 * 1024 * 1024;
    member_start(member);
    assert_in_range(consensus_entry_max(member->c), 16 * 1024 * 1024, 19 * 1024 * 1024);
}

#define ONE(name)   cmocka_unit_test_setup_teardown(name, set_up_one, tear_down)
#define THREE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        THREE(every_member_writes_the_same_first_entry),
        THREE(a_member_list_with_an_id_twice_is_refused),
        THREE(a_member_list_with_an_address_twice_is_refused),
        THREE(a_fresh_directory_gets_an_incarnation_of_its_own),
        THREE(a_crash_at_any_moment_of_the_first_start_does_no_harm),
        THREE(the_directory_of_another_cluster_is_refused),
        THREE(the_directory_of_another_node_is_refused),
        THREE(a_directory_that_is_not_there_is_refused),
        THREE(who_has_voted_and_lost_its_log_is_refused),
        THREE(who_has_only_followed_and_lost_its_log_is_refused),
        THREE(who_never_took_part_writes_its_first_entry_again),
        THREE(a_vote_is_given_once_in_a_term_whatever_happens),
        ONE(a_database_ahead_of_the_log_is_refused),
        ONE(a_database_behind_the_beginning_of_the_log_is_refused),
        ONE(a_database_of_another_history_is_refused),
        ONE(a_database_right_at_the_beginning_of_the_log_is_fine),
        ONE(the_largest_entry_fits_into_a_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
