#include <inttypes.h>

#include "storage/members.h"
#include "tests/unit/storage/kit.h"

static struct member_change change_of(enum member_change_kind kind, uint64_t id, uint64_t incarnation,
                                      enum member_state state, const char *address)
{
    return (struct member_change){kind, id, incarnation, state, kit_cursor(address)};
}

/* An entry of one command with one change. */
static const char *change(struct kit *k, enum member_change_kind kind, uint64_t id, uint64_t incarnation,
                          enum member_state state, const char *address)
{
    struct member_change one = change_of(kind, id, incarnation, state, address);
    struct buf b;

    buf_init(&b, SIZE_MAX);
    command_put_member(&b, &one, 1);
    kit_add_bytes(k, &b);
    buf_close(&b);
    kit_apply(k);
    return kit_result(k, 0);
}

static const char *admit(struct kit *k, uint64_t id, uint64_t incarnation, const char *address)
{
    return change(k, MEMBER_ADMIT, id, incarnation, MEMBER_AUTO, address);
}

static const char *set_state(struct kit *k, uint64_t id, enum member_state state)
{
    return change(k, MEMBER_STATE, id, 0, state, "unused:1");
}

/* The rows: ID/INCARNATION ADDRESS STATE @CHANGED; ... */
static const char *rows(struct kit *k)
{
    static const char *const names[] = {"?", "auto", "voter", "standby", "leaving", "removed"};
    struct store_member members[8];
    struct error e;
    unsigned count;
    size_t n = 0;

    if (store_members(k->s, members, 8, &count, &e)) {
        fail_msg("store_members: %s", e.text);
    }
    k->shown[0] = '\0';
    for (unsigned i = 0; i < count; i++) {
        n += (size_t)snprintf(k->shown + n, sizeof k->shown - n, "%s%" PRIu64 "/%" PRIu64 " %s %s @%" PRIu64,
                              i > 0 ? "; " : "", members[i].id, members[i].incarnation, members[i].address,
                              names[members[i].state], members[i].changed);
    }
    return k->shown;
}

static void a_member_is_admitted_and_asking_again_changes_nothing(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    assert_string_equal(rows(&k), "");
    uint64_t version = store_members_version(k.s);

    assert_string_equal(admit(&k, 4, 77, "d:1"), "member changed");
    assert_true(store_members_version(k.s) > version);
    version = store_members_version(k.s);
    assert_string_equal(admit(&k, 4, 77, "d:1"), "member as it was");

    assert_true(store_members_version(k.s) == version);
    assert_string_equal(rows(&k), "4/77 d:1 auto @1");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void the_node_that_joins_under_an_id_that_waits_for_it_makes_the_id_its_own(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    admit(&k, 4, 0, "d:1");

    assert_string_equal(admit(&k, 4, 77, "d:1"), "member changed");
    assert_string_equal(admit(&k, 4, 77, "d:2"), "member changed"); /* asks again from elsewhere */

    assert_string_equal(
        admit(&k, 4, 78, "d:2"),
        "failed conflict: id 4 belongs to another node, which joined with entry 3: give this one "
        "an id of its own");
    assert_string_equal(admit(&k, 4, 0, "e:1"), "failed conflict: id 4 is that of the member at d:2");
    assert_string_equal(rows(&k), "4/77 d:2 auto @3");
    kit_close(&k);
}

static void an_id_is_used_once(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    admit(&k, 4, 77, "d:1");

    assert_string_equal(set_state(&k, 4, MEMBER_REMOVED), "failed conflict: node 4 is not leaving");
    assert_string_equal(set_state(&k, 4, MEMBER_LEAVING), "member changed");
    assert_string_equal(set_state(&k, 4, MEMBER_LEAVING), "member as it was");
    assert_string_equal(
        admit(&k, 4, 77, "d:1"),
        "failed conflict: node 4 is leaving since entry 3: wait until it is removed, and join with "
        "a new id and an empty directory");
    assert_string_equal(set_state(&k, 4, MEMBER_REMOVED), "member changed");
    assert_string_equal(set_state(&k, 4, MEMBER_REMOVED), "member as it was");

    static const char used_up[] =
        "failed conflict: node 4 was removed with entry 6: an id is not used again, "
        "give the node a new one and an empty directory";
    assert_string_equal(admit(&k, 4, 77, "d:1"), used_up);
    assert_string_equal(admit(&k, 4, 99, "f:1") + 0,
                        "failed conflict: id 4 belongs to another node, which joined "
                        "with entry 6: give this one an id of its own");
    assert_string_equal(set_state(&k, 4, MEMBER_VOTER), used_up);
    assert_string_equal(change(&k, MEMBER_MOVE, 4, 0, MEMBER_AUTO, "g:1"), used_up);
    assert_string_equal(rows(&k), "4/77 d:1 removed @6");
    kit_close(&k);
}

static void an_address_is_one_members_until_that_one_leaves(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    admit(&k, 4, 77, "d:1");
    admit(&k, 5, 88, "e:1");

    assert_string_equal(admit(&k, 6, 99, "d:1"), "failed conflict: address d:1 is that of member 4");
    assert_string_equal(change(&k, MEMBER_MOVE, 5, 0, MEMBER_AUTO, "d:1"),
                        "failed conflict: address d:1 is that of member 4");
    assert_string_equal(change(&k, MEMBER_MOVE, 5, 0, MEMBER_AUTO, "e:2"), "member changed");
    assert_string_equal(change(&k, MEMBER_MOVE, 5, 0, MEMBER_AUTO, "e:2"), "member as it was");
    set_state(&k, 4, MEMBER_LEAVING);
    assert_string_equal(admit(&k, 6, 99, "d:1"), "member changed");

    assert_string_equal(rows(&k), "4/77 d:1 leaving @7; 5/88 e:2 auto @5; 6/99 d:1 auto @8");
    kit_close(&k);
}

static void a_member_of_the_first_list_gets_its_row_with_its_first_change(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);

    assert_string_equal(change(&k, MEMBER_STATE, 2, 0, MEMBER_LEAVING, "b:1"), "member changed");
    assert_string_equal(change(&k, MEMBER_MOVE, 3, 33, MEMBER_AUTO, "c:2"), "member changed");

    assert_string_equal(rows(&k), "2/0 b:1 leaving @1; 3/33 c:2 auto @2");
    kit_close(&k);
}

static void both_changes_of_a_command_are_done_or_none(void **state)
{
    (void)state;
    struct member_change both[] = {change_of(MEMBER_STATE, 1, 0, MEMBER_LEAVING, "a:1"),
                                   change_of(MEMBER_ADMIT, 4, 99, MEMBER_AUTO, "a:1")};
    struct kit k;
    struct buf b;
    kit_open_memory(&k);
    admit(&k, 4, 77, "d:1");
    buf_init(&b, SIZE_MAX);

    command_put_member(&b, both, 2);
    kit_add_bytes(&k, &b);
    kit_apply(&k);
    assert_non_null(strstr(kit_result(&k, 0), "failed conflict: id 4 belongs to another node"));
    assert_string_equal(rows(&k), "4/77 d:1 auto @1");

    both[1].id = 5;
    buf_clear(&b);
    command_put_member(&b, both, 2);
    kit_add_bytes(&k, &b);
    kit_apply(&k);
    assert_string_equal(kit_result(&k, 0), "member changed");
    assert_string_equal(rows(&k), "1/0 a:1 leaving @3; 4/77 d:1 auto @1; 5/99 a:1 auto @3");
    buf_close(&b);
    kit_close(&k);
}

/* Whoever reads the log again, with whatever tables were there at first, has the same content. */
static void the_table_comes_with_the_first_change_and_is_in_the_digest(void **state)
{
    (void)state;
    struct kit k, other;
    struct store_position at, before;
    kit_open_file(&k);
    kit_open_memory(&other);
    kit_put(&k, "ns", "a", "b");
    kit_put(&other, "ns", "a", "b");
    kit_position(&k, &before);

    assert_string_equal(kit_query(&k, "SELECT count(*) FROM sqlite_schema WHERE name = 'quorate_members'"),
                        "rows count(*) | 0");
    admit(&k, 4, 77, "d:1");
    kit_position(&k, &at);
    assert_memory_not_equal(at.digest, before.digest, DIGEST_BYTES);
    kit_reopen(&k);
    assert_string_equal(rows(&k), "4/77 d:1 auto @2");
    set_state(&k, 4, MEMBER_VOTER);
    admit(&other, 4, 77, "d:1");
    set_state(&other, 4, MEMBER_VOTER);

    kit_position(&k, &at);
    kit_position(&other, &before);
    assert_memory_equal(at.digest, before.digest, DIGEST_BYTES);
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
    kit_close(&other);
}

static void clients_read_the_table_and_do_not_write_it(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    admit(&k, 4, 77, "d:1");

    assert_string_equal(kit_query(&k, "SELECT id, address FROM quorate_members"),
                        "rows id:INTEGER,address:TEXT | 4,'d:1'");
    assert_non_null(strstr(kit_execute(&k, "DELETE FROM quorate_members"), "error "));
    assert_non_null(strstr(kit_execute(&k, "DROP TABLE quorate_members"), "error "));
    assert_string_equal(rows(&k), "4/77 d:1 auto @1");
    kit_close(&k);
}

static void a_reader_refuses_a_change(void **state)
{
    (void)state;
    struct member_change one = change_of(MEMBER_ADMIT, 4, 77, MEMBER_AUTO, "d:1");
    struct kit k;
    struct buf b;
    uint64_t index;
    kit_open_memory(&k);
    buf_init(&b, SIZE_MAX);
    command_put_member(&b, &one, 1);

    assert_non_null(strstr(kit_read(&k, &b, 0, &index), "failed invalid"));
    assert_string_equal(rows(&k), "");
    buf_close(&b);
    kit_close(&k);
}

static void more_rows_than_there_is_room_for_are_an_error(void **state)
{
    (void)state;
    struct store_member one[1];
    struct error e;
    unsigned count = 7;
    struct kit k;
    kit_open_memory(&k);
    admit(&k, 4, 77, "d:1");
    admit(&k, 5, 78, "e:1");

    assert_int_equal(store_members(k.s, one, 1, &count, &e), Q_TOO_BIG);
    assert_int_equal(count, 7);
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_member_is_admitted_and_asking_again_changes_nothing),
        cmocka_unit_test(the_node_that_joins_under_an_id_that_waits_for_it_makes_the_id_its_own),
        cmocka_unit_test(an_id_is_used_once),
        cmocka_unit_test(an_address_is_one_members_until_that_one_leaves),
        cmocka_unit_test(a_member_of_the_first_list_gets_its_row_with_its_first_change),
        cmocka_unit_test(both_changes_of_a_command_are_done_or_none),
        cmocka_unit_test(the_table_comes_with_the_first_change_and_is_in_the_digest),
        cmocka_unit_test(clients_read_the_table_and_do_not_write_it),
        cmocka_unit_test(a_reader_refuses_a_change),
        cmocka_unit_test(more_rows_than_there_is_room_for_are_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
