/* What the options mean together, and what does not fit together. */
#include "node/settings.h"

#include "tests/unit/node/scratch.h"

#define SECRET "correct horse battery staple"

struct scene {
    struct scratch scratch;
    struct options o;
    struct settings settings;
    struct error e;
};

static void set(struct scene *s, const char *name, const char *value)
{
    if (options_set(&s->o, name, value, FROM_FLAG, &s->e) != 0) {
        fail_msg("%s", s->e.text);
    }
}

static int set_up(void **state)
{
    static struct scene s;
    memset(&s, 0, sizeof s);
    scratch_open(&s.scratch);
    options_init(&s.o);
    set(&s, "id", "2");
    set(&s, "dir", "/data");
    set(&s, "members", "1=a.example:7001,2=10.0.0.2:7001,3=[::1]:7001");
    set(&s, "secret", SECRET);
    *state = &s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    options_close(&s->o);
    scratch_close(&s->scratch);
    return 0;
}

static void make(struct scene *s)
{
    if (settings_make(&s->o, &s->settings, &s->e) != 0) {
        fail_msg("%s", s->e.text);
    }
}

/* Refused in these words, and nothing is returned. */
static void expect_refused(struct scene *s, enum error_code code, const char *text)
{
    static struct settings untouched;

    memset(&s->settings, 0xaa, sizeof s->settings);
    memset(&untouched, 0xaa, sizeof untouched);
    assert_int_equal(settings_make(&s->o, &s->settings, &s->e), code);
    if (strstr(s->e.text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", s->e.text, text);
    }
    assert_memory_equal(&s->settings, &untouched, sizeof untouched);
}

static void the_options_become_a_replicas_configuration(void **state)
{
    struct scene *s = *state;
    const struct replica_config *r = &s->settings.replica;

    set(s, "storage", "memory");
    set(s, "foreign-keys", "on");
    set(s, "sql-instructions", "5000000");
    set(s, "listen", "0.0.0.0:7001");
    set(s, "queue-bytes", "1M");
    make(s);

    assert_int_equal(r->id, 2);
    assert_string_equal(r->dir, "/data");
    assert_string_equal(r->cluster_name, "quorate");
    assert_string_equal(r->listen, "0.0.0.0:7001");
    assert_true(r->in_memory && r->foreign_keys);
    assert_int_equal(r->instructions_max, 5000000);
    assert_int_equal(r->election_ms, 300);
    assert_int_equal(r->heartbeat_ms, 75);
    assert_int_equal(r->readers, 2);
    assert_int_equal(r->batches_inflight, 2);
    assert_int_equal(r->queue_bytes, 1024 * 1024);
    assert_int_equal(r->queue_commands, 100000);
    assert_int_equal(r->result_max, SETTINGS_RESULT_MAX);
    assert_int_equal(r->segment_bytes, 16 * 1024 * 1024);
    assert_int_equal(r->cache_bytes, 32 * 1024 * 1024);
    assert_int_equal(r->compact_bytes, 32 * 1024 * 1024);
    assert_int_equal(r->ballast_bytes, 64 * 1024 * 1024);
    assert_int_equal(r->space_min_bytes, 0);
    assert_int_equal(r->secret_len, strlen(SECRET));
    assert_memory_equal(r->secret, SECRET, strlen(SECRET));
}

static void without_listen_the_member_list_says_where(void **state)
{
    struct scene *s = *state;

    make(s);
    assert_null(s->settings.replica.listen);
    assert_false(s->settings.replica.in_memory);
}

/* Members. */

static void members_are_taken_apart(void **state)
{
    struct scene *s = *state;

    make(s);
    assert_int_equal(s->settings.replica.count, 3);
    assert_ptr_equal(s->settings.replica.members, s->settings.members);
    assert_int_equal(s->settings.members[0].id, 1);
    assert_string_equal(s->settings.members[0].address, "a.example:7001");
    assert_int_equal(s->settings.members[2].id, 3);
    assert_string_equal(s->settings.members[2].address, "[::1]:7001");
}

static void blanks_between_members_mean_nothing(void **state)
{
    struct scene *s = *state;

    set(s, "members", " 1=a:1 , 2=b:2,\t10=c:3 ");
    make(s);
    assert_int_equal(s->settings.replica.count, 3);
    assert_string_equal(s->settings.members[0].address, "a:1");
    assert_string_equal(s->settings.members[1].address, "b:2");
    assert_int_equal(s->settings.members[2].id, 10);
    assert_string_equal(s->settings.members[2].address, "c:3");
}

static void as_many_members_as_peers_can_have(void **state)
{
    struct scene *s = *state;
    char list[2048] = "";
    size_t n = 0;

    for (unsigned i = 1; i <= PEERS_MAX; i++) {
        n += (size_t)snprintf(list + n, sizeof list - n, "%s%u=n%u:7001", i > 1 ? "," : "", i, i);
    }
    set(s, "members", list);
    make(s);
    assert_int_equal(s->settings.replica.count, PEERS_MAX);

    snprintf(list + n, sizeof list - n, ",1000=z:1");
    set(s, "members", list);
    expect_refused(s, Q_INVALID, "more than 64 members");
}

static void malformed_members_are_named(void **state)
{
    static const struct {
        const char *list, *text;
    } bad[] = {
        {"a:7001", "\"a:7001\" does not begin with an id from 1 and ="},
        {"2=b:1,x=c:1", "\"x=c:1\" does not begin with an id"},
        {"2=b:1,0=c:1", "\"0=c:1\" does not begin"},
        {"2=b:1,-3=c:1", "\"-3=c:1\" does not begin"},
        {"2=b:1,+3=c:1", "\"+3=c:1\" does not begin"},
        {"2=b:1, -18446744073709551613=c:1", "\"-18446744073709551613=c:1\" does not begin"},
        {"2=b:1,99999999999999999999=c:1", "does not begin"},
        {"2=b:1,3", "\"3\" does not begin"},
        {"2=b:1,,3=c:1", "\"\" does not begin"},
        {"2=b:1,3=", "option members: address \"\""},
        {"2=b:1,3=c", "option members: address \"c\""},
        {"2=b:1,3=c:", "option members: address \"c:\""},
        {"2=b:1,3=:7001", "option members: address \":7001\""},
        {"2=b:1,3=c:70000", "option members: address \"c:70000\""},
        {"2=b:1,3=c:0", "option members: \"c:0\" has no port from 1 to 65535"},
        {"2=b:1,3=c:7x", "option members: address \"c:7x\""},
        {"2=b:1,3=::1:7001", "option members: address \"::1:7001\""},
        {"2=b:1 4=d:1", "option members: address \"b:1 4=d:1\""},
    };
    struct scene *s = *state;

    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        set(s, "members", bad[i].list);
        expect_refused(s, Q_INVALID, bad[i].text);
    }
}

static void a_member_with_too_long_a_name_is_refused(void **state)
{
    struct scene *s = *state;
    char list[400];

    memset(list, 'x', sizeof list);
    memcpy(list, "2=", 2);
    memcpy(list + 300, ":7001", 6);
    set(s, "members", list);
    expect_refused(s, Q_INVALID, "option members");
}

/* What is missing or does not fit. */

static void what_is_missing_is_named(void **state)
{
    struct scene *s = *state;
    static const char *const needed[][2] = {{"dir", "/data"}, {"id", "1"}, {"members", "1=a:1"}};

    options_close(&s->o);
    options_init(&s->o);
    for (unsigned i = 0; i < 3; i++) {
        char text[64];
        snprintf(text, sizeof text, "option %s is missing", needed[i][0]);
        expect_refused(s, Q_INVALID, text);
        set(s, needed[i][0], needed[i][1]);
    }
    expect_refused(s, Q_INVALID, "no secret is given");
}

/* Joining, and directories that know what they are. */

static void forget(struct scene *s, const char *name)
{
    set(s, name, "");
}

/* What a new machine of an existing cluster says. */
static void join(struct scene *s, const char *list)
{
    options_close(&s->o);
    options_init(&s->o);
    set(s, "dir", s->scratch.dir);
    set(s, "secret", SECRET);
    set(s, "join", list);
}

static void a_new_machine_joins_without_members_and_without_an_id(void **state)
{
    struct scene *s = *state;

    join(s, "a.example:7001, [::1]:7002");
    set(s, "listen", "10.0.0.4:7001");
    set(s, "replace", "3");
    make(s);

    assert_false(s->settings.settled);
    assert_int_equal(s->settings.joins, 2);
    assert_string_equal(s->settings.join[0], "a.example:7001");
    assert_string_equal(s->settings.join[1], "[::1]:7002");
    assert_int_equal(s->settings.replaces, 3);
    assert_int_equal(s->settings.replica.id, 0);
    assert_int_equal(s->settings.replica.count, 0);
    assert_string_equal(s->settings.replica.listen, "10.0.0.4:7001");
    assert_string_equal(s->settings.replica.advertise, "10.0.0.4:7001");
}

static void a_new_machine_says_where_it_is_reached(void **state)
{
    struct scene *s = *state;

    join(s, "a.example:7001");
    expect_refused(s, Q_INVALID, "option listen is missing: a machine that joins");
    set(s, "advertise", "db4.example:7001");
    make(s);
    assert_string_equal(s->settings.replica.listen, "db4.example:7001");
    assert_string_equal(s->settings.replica.advertise, "db4.example:7001");

    set(s, "listen", "0.0.0.0:7001");
    make(s);
    assert_string_equal(s->settings.replica.listen, "0.0.0.0:7001");
    assert_string_equal(s->settings.replica.advertise, "db4.example:7001");
}

static void an_address_that_nobody_can_dial_is_not_advertised(void **state)
{
    struct scene *s = *state;

    join(s, "a.example:7001");
    set(s, "listen", "0.0.0.0:7001");
    expect_refused(s, Q_INVALID, "if not there): address \"0.0.0.0:7001\" is one to listen on");
    set(s, "listen", "[::]:7001");
    expect_refused(s, Q_INVALID, "if not there): address \"[::]:7001\" is one to listen on");
    set(s, "advertise", "0.0.0.0:7001");
    expect_refused(s, Q_INVALID, "option advertise: address \"0.0.0.0:7001\" is one to listen on");
    set(s, "advertise", "db4.example:0");
    expect_refused(s, Q_INVALID, "option advertise: address \"db4.example:0\" has no port");
    set(s, "advertise", "db4.example");
    expect_refused(s, Q_INVALID, "option advertise: address");
}

static void addresses_to_ask_are_checked(void **state)
{
    struct scene *s = *state;
    char list[1024] = "";
    size_t n = 0;

    join(s, "a.example:7001,b.example");
    set(s, "listen", "10.0.0.4:7001");
    expect_refused(s, Q_INVALID, "option join: address \"b.example\"");
    set(s, "join", "a.example:0");
    expect_refused(s, Q_INVALID, "option join: address \"a.example:0\" has no port");
    for (unsigned i = 0; i <= SETTINGS_JOIN_MAX; i++) {
        n += (size_t)snprintf(list + n, sizeof list - n, "%sn%u:7001", i > 0 ? "," : "", i);
    }
    set(s, "join", list);
    expect_refused(s, Q_INVALID, "option join: more than 16 members");
}

static void what_makes_no_sense_together_is_refused(void **state)
{
    struct scene *s = *state;

    set(s, "join", "a.example:7001");
    expect_refused(s, Q_INVALID, "options members and join do not go together");
    forget(s, "join");
    set(s, "replace", "3");
    expect_refused(s, Q_INVALID, "option replace goes with join only");

    join(s, "a.example:7001");
    set(s, "listen", "10.0.0.4:7001");
    set(s, "replace", "3");
    set(s, "id", "3");
    expect_refused(s, Q_INVALID, "options replace and id are the same");
    set(s, "id", "4");
    make(s);
    assert_int_equal(s->settings.replica.id, 4);

    set(s, "backup-every", "1h");
    expect_refused(s, Q_INVALID, "option backup-every needs backup-dir");
}

static void a_directory_that_is_a_nodes_already_needs_no_members(void **state)
{
    struct scene *s = *state;

    join(s, "");
    scratch_text(&s->scratch, "meta", "");
    make(s);

    assert_true(s->settings.settled);
    assert_int_equal(s->settings.replica.id, 0);
    assert_int_equal(s->settings.replica.count, 0);
    assert_null(s->settings.replica.cluster_name);
    assert_null(s->settings.replica.listen);
    assert_null(s->settings.replica.advertise);
    set(s, "cluster-name", "orders");
    make(s);
    assert_string_equal(s->settings.replica.cluster_name, "orders");
}

static void a_machine_that_has_joined_is_started_with_the_same_words(void **state)
{
    struct scene *s = *state;

    join(s, "a.example:7001");
    set(s, "replace", "3");
    set(s, "listen", "10.0.0.9:7001");
    scratch_text(&s->scratch, "meta", "");
    make(s);

    assert_true(s->settings.settled);
    assert_int_equal(s->settings.joins, 0); /* it asks nobody */
    assert_string_equal(s->settings.replica.advertise, "10.0.0.9:7001");
}

static void a_node_that_listens_everywhere_stays_where_it_is_known_to_be(void **state)
{
    struct scene *s = *state;

    join(s, "");
    scratch_text(&s->scratch, "meta", "");
    set(s, "listen", "0.0.0.0:7001");
    make(s);
    assert_string_equal(s->settings.replica.listen, "0.0.0.0:7001");
    assert_null(s->settings.replica.advertise);
}

static void a_first_member_is_where_the_list_says_unless_it_advertises(void **state)
{
    struct scene *s = *state;

    set(s, "listen", "127.0.0.1:9001"); /* behind something that forwards */
    make(s);
    assert_null(s->settings.replica.advertise);
    set(s, "advertise", "10.0.0.22:7001");
    make(s);
    assert_string_equal(s->settings.replica.advertise, "10.0.0.22:7001");
    assert_int_equal(s->settings.replica.voters, 3);
}

static void a_heartbeat_that_is_not_well_below_the_election_timeout_is_refused(void **state)
{
    struct scene *s = *state;

    set(s, "heartbeat-interval", "151ms");
    expect_refused(s, Q_INVALID,
                   "heartbeat-interval (151 ms) must be at most half of election-timeout (300 ms)");
    set(s, "heartbeat-interval", "150ms");
    make(s);
}

static void a_request_that_fits_into_no_segment_is_refused(void **state)
{
    struct scene *s = *state;

    set(s, "segment-bytes", "8M");
    expect_refused(s, Q_INVALID, "request-max (8388608 bytes) does not fit into segment-bytes");
    set(s, "request-max", "1M");
    make(s);
}

static void an_address_to_listen_on_is_checked(void **state)
{
    struct scene *s = *state;

    set(s, "listen", "7001");
    expect_refused(s, Q_INVALID, "option listen: address \"7001\"");
    set(s, "listen", "");
    set(s, "http", "127.0.0.1");
    expect_refused(s, Q_INVALID, "option http: address \"127.0.0.1\"");
    set(s, "http", "");
    make(s);
}

static void a_segment_that_is_not_whole_blocks_is_refused(void **state)
{
    struct scene *s = *state;

    set(s, "segment-bytes", "16777217");
    expect_refused(s, Q_INVALID, "segment-bytes (16777217) is not a multiple of 4096");
}

/* The secret. */

static void the_secret_may_be_in_a_file(void **state)
{
    struct scene *s = *state;

    set(s, "secret-file", scratch_text(&s->scratch, "secret", "  binary-ish \x01 secret of a file \r\n\n"));
    make(s);
    assert_int_equal(s->settings.replica.secret_len, strlen("  binary-ish \x01 secret of a file"));
    assert_memory_equal(s->settings.replica.secret, "  binary-ish \x01 secret of a file",
                        s->settings.replica.secret_len);
}

static void a_secret_of_the_largest_size_is_taken_and_a_larger_one_refused(void **state)
{
    struct scene *s = *state;
    char bytes[PEERS_SECRET_MAX + 1];

    memset(bytes, 'x', sizeof bytes);
    bytes[PEERS_SECRET_MAX] = '\n';
    set(s, "secret-file", scratch_file(&s->scratch, "fits", bytes, sizeof bytes, 0600));
    make(s);
    assert_int_equal(s->settings.replica.secret_len, PEERS_SECRET_MAX);

    bytes[PEERS_SECRET_MAX] = 'x';
    set(s, "secret-file", scratch_file(&s->scratch, "large", bytes, sizeof bytes, 0600));
    expect_refused(s, Q_INVALID, "more than 1024 bytes"); /* not the first 1024 of them */
}

static void a_short_secret_in_a_file_is_refused(void **state)
{
    struct scene *s = *state;

    set(s, "secret-file", scratch_text(&s->scratch, "short", "hunter2\n"));
    expect_refused(s, Q_INVALID, "the secret has 7 bytes, fewer than 16");
    set(s, "secret-file", scratch_text(&s->scratch, "empty", ""));
    expect_refused(s, Q_INVALID, "the secret has 0 bytes");
}

static void a_secret_file_that_others_may_touch_is_refused(void **state)
{
    static const mode_t modes[] = {0640, 0604, 0620, 0601, 0666};
    struct scene *s = *state;

    for (unsigned i = 0; i < sizeof modes / sizeof modes[0]; i++) {
        char text[32];
        snprintf(text, sizeof text, "(mode %03o)", (unsigned)modes[i]);
        set(s, "secret-file", scratch_file(&s->scratch, "secret", SECRET, strlen(SECRET), modes[i]));
        expect_refused(s, Q_DENIED, text);
    }
    set(s, "secret-file", scratch_file(&s->scratch, "secret", SECRET, strlen(SECRET), 0400));
    make(s);
}

static void a_secret_file_that_is_no_file_is_refused(void **state)
{
    struct scene *s = *state;
    char path[128];

    set(s, "secret-file", "/nowhere/secret");
    expect_refused(s, Q_INVALID, "/nowhere/secret");
    set(s, "secret-file", s->scratch.dir);
    expect_refused(s, Q_INVALID, "is not a regular file");
    snprintf(path, sizeof path, "%s/pipe", s->scratch.dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    set(s, "secret-file", path);
    expect_refused(s, Q_INVALID, "is not a regular file"); /* and does not wait for a writer */
}

static void no_secret_is_ever_in_an_errors_text(void **state)
{
    struct scene *s = *state;

    set(s, "secret-file", scratch_text(&s->scratch, "short", "hunter2\n"));
    expect_refused(s, Q_INVALID, "the secret");
    assert_null(strstr(s->e.text, "hunter2"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_options_become_a_replicas_configuration),
        TEST(without_listen_the_member_list_says_where),
        TEST(members_are_taken_apart),
        TEST(blanks_between_members_mean_nothing),
        TEST(as_many_members_as_peers_can_have),
        TEST(malformed_members_are_named),
        TEST(a_member_with_too_long_a_name_is_refused),
        TEST(what_is_missing_is_named),
        TEST(a_new_machine_joins_without_members_and_without_an_id),
        TEST(a_new_machine_says_where_it_is_reached),
        TEST(an_address_that_nobody_can_dial_is_not_advertised),
        TEST(addresses_to_ask_are_checked),
        TEST(what_makes_no_sense_together_is_refused),
        TEST(a_directory_that_is_a_nodes_already_needs_no_members),
        TEST(a_machine_that_has_joined_is_started_with_the_same_words),
        TEST(a_node_that_listens_everywhere_stays_where_it_is_known_to_be),
        TEST(a_first_member_is_where_the_list_says_unless_it_advertises),
        TEST(a_heartbeat_that_is_not_well_below_the_election_timeout_is_refused),
        TEST(a_request_that_fits_into_no_segment_is_refused),
        TEST(an_address_to_listen_on_is_checked),
        TEST(a_segment_that_is_not_whole_blocks_is_refused),
        TEST(the_secret_may_be_in_a_file),
        TEST(a_secret_of_the_largest_size_is_taken_and_a_larger_one_refused),
        TEST(a_short_secret_in_a_file_is_refused),
        TEST(a_secret_file_that_others_may_touch_is_refused),
        TEST(a_secret_file_that_is_no_file_is_refused),
        TEST(no_secret_is_ever_in_an_errors_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
