#include "tests/unit/storage/kit.h"

static const char *put_if(struct kit *k, const char *key, const char *value, enum kv_condition condition,
                          uint64_t version)
{
    kit_add_put(k, "ns", key, value, condition, version);
    kit_apply(k);
    return kit_result(k, 0);
}

static const char *delete_if(struct kit *k, const char *key, enum kv_condition condition, uint64_t version)
{
    kit_add_delete(k, "ns", key, condition, version);
    kit_apply(k);
    return kit_result(k, 0);
}

static const char *get(struct kit *k, const char *ns, const char *key)
{
    struct buf b;
    uint64_t index;

    buf_init(&b, SIZE_MAX);
    command_put_kv_get(&b, kit_cursor(ns), kit_cursor(key));
    const char *shown = kit_read(k, &b, 0, &index);
    buf_close(&b);
    return shown;
}

static const char *list(struct kit *k, const char *prefix, const char *after, uint32_t limit, bool values)
{
    struct cursor cursor = kit_cursor(after ? after : "");
    struct buf b;
    uint64_t index;

    buf_init(&b, SIZE_MAX);
    command_put_kv_list(&b, kit_cursor("ns"), kit_cursor(prefix), after ? &cursor : NULL, limit, values);
    const char *shown = kit_read(k, &b, 0, &index);
    buf_close(&b);
    return shown;
}

static void a_value_is_put_and_got_and_its_version_counts(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);

    assert_string_equal(get(&k, "ns", "a"), "get none");
    assert_string_equal(kit_put(&k, "ns", "a", "one"), "put done v1");
    assert_string_equal(kit_put(&k, "ns", "a", "two"), "put done v2");
    assert_string_equal(kit_put(&k, "ns", "a", "two"), "put done v3");
    assert_string_equal(kit_put(&k, "ns", "b", ""), "put done v1");

    assert_string_equal(get(&k, "ns", "a"), "get v3 'two'");
    assert_string_equal(get(&k, "ns", "b"), "get v1 ''");
    assert_string_equal(get(&k, "other", "a"), "get none");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void cas_with_a_stale_version_changes_nothing(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    kit_put(&k, "ns", "a", "one");
    kit_put(&k, "ns", "a", "two");

    assert_string_equal(put_if(&k, "a", "three", KV_IF_VERSION, 1), "put refused v2");
    assert_string_equal(get(&k, "ns", "a"), "get v2 'two'");
    assert_string_equal(put_if(&k, "a", "three", KV_IF_VERSION, 2), "put done v3");
    assert_string_equal(delete_if(&k, "a", KV_IF_VERSION, 2), "delete refused v3");
    assert_string_equal(delete_if(&k, "a", KV_IF_VERSION, 3), "delete done v0");
    assert_string_equal(put_if(&k, "a", "four", KV_IF_VERSION, 3), "put refused v0");
    assert_string_equal(put_if(&k, "a", "four", KV_IF_VERSION, 0), "put refused v0");
    assert_string_equal(get(&k, "ns", "a"), "get none");
    kit_close(&k);
}

static void conditions_on_presence_hold_only_when_they_should(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);

    assert_string_equal(put_if(&k, "a", "x", KV_IF_PRESENT, 0), "put refused v0");
    assert_string_equal(put_if(&k, "a", "x", KV_IF_ABSENT, 0), "put done v1");
    assert_string_equal(put_if(&k, "a", "y", KV_IF_ABSENT, 0), "put refused v1");
    assert_string_equal(put_if(&k, "a", "y", KV_IF_PRESENT, 0), "put done v2");
    assert_string_equal(delete_if(&k, "a", KV_IF_ABSENT, 0), "delete refused v2");
    assert_string_equal(delete_if(&k, "b", KV_IF_ABSENT, 0), "delete done v0");
    assert_string_equal(delete_if(&k, "a", KV_IF_PRESENT, 0), "delete done v0");
    assert_string_equal(delete_if(&k, "a", KV_IF_PRESENT, 0), "delete refused v0");
    assert_string_equal(delete_if(&k, "a", KV_ALWAYS, 0), "delete done v0");
    kit_close(&k);
}

static void a_version_never_names_two_values_of_a_key(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);
    kit_put(&k, "ns", "a", "1");
    kit_put(&k, "ns", "a", "2");
    kit_put(&k, "ns", "a", "3");
    kit_put(&k, "ns", "b", "1");

    assert_string_equal(delete_if(&k, "a", KV_ALWAYS, 0), "delete done v0");
    assert_string_equal(kit_put(&k, "ns", "a", "again"), "put done v4");
    assert_string_equal(delete_if(&k, "b", KV_ALWAYS, 0), "delete done v0");
    assert_string_equal(kit_put(&k, "ns", "b", "again"), "put done v4");
    assert_string_equal(kit_put(&k, "ns", "c", "new"), "put done v4");
    assert_string_equal(kit_put(&k, "other", "a", "new"), "put done v1");
    assert_int_equal(store_verify(k.s, NULL), 0);
    kit_close(&k);
}

static void versions_go_on_after_a_restart(void **state)
{
    (void)state;
    struct kit k;
    kit_open_file(&k);
    kit_put(&k, "ns", "a", "1");
    delete_if(&k, "a", KV_ALWAYS, 0);

    kit_reopen(&k);

    assert_string_equal(kit_put(&k, "ns", "a", "2"), "put done v2");
    kit_close(&k);
}

static void open_with_keys(struct kit *k)
{
    const char *const keys[] = {"b/2", "a", "b/1", "b", "b/", "b0", "c", "b/\xff", "b/\xff\xff"};

    kit_open_memory(k);
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        kit_put(k, "ns", keys[i], keys[i]);
    }
    kit_put(k, "nr", "z", "other");
    kit_put(k, "nt", "a", "other");
}

static void a_list_is_in_byte_order_and_within_its_prefix_and_namespace(void **state)
{
    (void)state;
    struct kit k;
    open_with_keys(&k);

    assert_string_equal(list(&k, "", NULL, 100, false),
                        "list a v1, b v1, b/ v1, b/1 v1, b/2 v1, b/\xff v1, b/\xff\xff v1, b0 v1, c v1");
    assert_string_equal(list(&k, "b/", NULL, 100, false),
                        "list b/ v1, b/1 v1, b/2 v1, b/\xff v1, b/\xff\xff v1");
    assert_string_equal(list(&k, "b/\xff", NULL, 100, false), "list b/\xff v1, b/\xff\xff v1");
    assert_string_equal(list(&k, "\xff\xff", NULL, 100, false), "list");
    assert_string_equal(list(&k, "b0", NULL, 100, true), "list b0 v1 'b0'");
    kit_close(&k);
}

static void a_list_goes_on_after_its_cursor_and_says_whether_there_is_more(void **state)
{
    (void)state;
    struct kit k;
    open_with_keys(&k);

    assert_string_equal(list(&k, "b/", NULL, 2, false), "list b/ v1, b/1 v1, more");
    assert_string_equal(list(&k, "b/", "b/1", 2, false), "list b/2 v1, b/\xff v1, more");
    assert_string_equal(list(&k, "b/", "b/\xff", 2, false), "list b/\xff\xff v1");
    assert_string_equal(list(&k, "b/", "b/\xff\xff", 2, false), "list");
    assert_string_equal(list(&k, "b/", "a", 1, false), "list b/ v1, more");
    assert_string_equal(list(&k, "b/", "b", 1, false), "list b/ v1, more");
    assert_string_equal(list(&k, "b/", "b/", 1, false), "list b/1 v1, more");
    assert_string_equal(list(&k, "b/", "c", 1, false), "list");
    assert_string_equal(list(&k, "", "b0", 10, false), "list c v1");
    assert_string_equal(list(&k, "", "", 1, false), "list a v1, more");
    assert_string_equal(list(&k, "b/", NULL, 5, false),
                        "list b/ v1, b/1 v1, b/2 v1, b/\xff v1, b/\xff\xff v1");
    kit_close(&k);
}

static void the_longest_keys_are_listed_and_paged(void **state)
{
    (void)state;
    static uint8_t longest[KV_KEY_MAX];
    struct cursor key = cursor_of(longest, sizeof longest);
    struct kit k;
    struct buf b;
    uint64_t index;
    kit_open_memory(&k);
    buf_init(&b, SIZE_MAX);
    memset(longest, 0xff, sizeof longest);
    command_put_kv_put(&b, kit_cursor("ns"), key, kit_cursor("v"), KV_ALWAYS, 0);
    kit_add_bytes(&k, &b);
    kit_apply(&k);

    buf_clear(&b);
    command_put_kv_list(&b, kit_cursor("ns"), key, NULL, 10, false);
    assert_int_equal(strlen(kit_read(&k, &b, 0, &index)), strlen("list  v1") + KV_KEY_MAX);
    buf_clear(&b);
    command_put_kv_list(&b, kit_cursor("ns"), key, &key, 10, false);
    assert_string_equal(kit_read(&k, &b, 0, &index), "list");
    buf_close(&b);
    kit_close(&k);
}

static void a_list_reads_no_more_than_its_range(void **state)
{
    (void)state;
    struct kit k;
    kit_open_memory(&k);

    assert_string_equal(
        kit_query(&k, "EXPLAIN QUERY PLAN SELECT key, version, CASE WHEN 1 THEN value END FROM quorate_kv"
                      " WHERE ns = 'n' AND key >= x'00' AND key < x'01' ORDER BY key LIMIT 10"),
        "rows id,parent,notused,detail | 4,0,0,'SEARCH quorate_kv USING PRIMARY KEY (ns=? AND key>? AND "
        "key<?)'");
    kit_close(&k);
}

static void reads_through_the_log_see_the_writes_before_them_in_the_entry(void **state)
{
    (void)state;
    struct kit k;
    struct buf b;
    kit_open_memory(&k);
    buf_init(&b, SIZE_MAX);

    kit_add_put(&k, "ns", "a", "one", KV_ALWAYS, 0);
    command_put_kv_get(&b, kit_cursor("ns"), kit_cursor("a"));
    kit_add_bytes(&k, &b);
    kit_add_put(&k, "ns", "a", "two", KV_IF_VERSION, 1);
    buf_clear(&b);
    command_put_kv_list(&b, kit_cursor("ns"), kit_cursor(""), NULL, 5, true);
    kit_add_bytes(&k, &b);
    kit_apply(&k);

    assert_string_equal(kit_result(&k, 0), "put done v1");
    assert_string_equal(kit_result(&k, 1), "get v1 'one'");
    assert_string_equal(kit_result(&k, 2), "put done v2");
    assert_string_equal(kit_result(&k, 3), "list a v2 'two'");
    buf_close(&b);
    kit_close(&k);
}

static void a_write_on_a_reader_is_refused(void **state)
{
    (void)state;
    struct kit k;
    struct buf b;
    uint64_t index;
    kit_open_memory(&k);
    buf_init(&b, SIZE_MAX);
    command_put_kv_put(&b, kit_cursor("ns"), kit_cursor("a"), kit_cursor("v"), KV_ALWAYS, 0);

    assert_string_equal(kit_read(&k, &b, 0, &index),
                        "failed invalid: attempt to change database via query operation");
    assert_string_equal(get(&k, "ns", "a"), "get none");
    buf_close(&b);
    kit_close(&k);
}

static void a_list_over_the_limit_of_a_result_is_an_error(void **state)
{
    (void)state;
    static char value[40000];
    struct kit k;
    kit_open_memory(&k);
    k.config.result_max = STORE_RESULT_MIN;
    kit_reopen(&k);
    memset(value, 'v', sizeof value - 1);
    kit_put(&k, "ns", "a", value);
    kit_put(&k, "ns", "b", value);

    assert_string_equal(list(&k, "", NULL, 10, true),
                        "failed too_big: the result is larger than the limit of 65536 bytes");
    assert_string_equal(list(&k, "", NULL, 10, false), "list a v1, b v1");
    kit_close(&k);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_is_put_and_got_and_its_version_counts),
        cmocka_unit_test(cas_with_a_stale_version_changes_nothing),
        cmocka_unit_test(conditions_on_presence_hold_only_when_they_should),
        cmocka_unit_test(a_version_never_names_two_values_of_a_key),
        cmocka_unit_test(versions_go_on_after_a_restart),
        cmocka_unit_test(a_list_is_in_byte_order_and_within_its_prefix_and_namespace),
        cmocka_unit_test(a_list_goes_on_after_its_cursor_and_says_whether_there_is_more),
        cmocka_unit_test(the_longest_keys_are_listed_and_paged),
        cmocka_unit_test(a_list_reads_no_more_than_its_range),
        cmocka_unit_test(reads_through_the_log_see_the_writes_before_them_in_the_entry),
        cmocka_unit_test(a_write_on_a_reader_is_refused),
        cmocka_unit_test(a_list_over_the_limit_of_a_result_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
