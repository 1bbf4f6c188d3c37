#include "storage/command.h"
#include "tests/unit/test.h"

static struct cursor text(const char *s)
{
    return cursor_of(s, strlen(s));
}

static int decode(const struct buf *b, struct command *command, struct error *e)
{
    /* In memory of its exact size, so that the sanitizer sees a read past the end. */
    void *copy = malloc(b->len ? b->len : 1);
    if (b->len) {
        memcpy(copy, b->data, b->len);
    }
    int rc = command_decode(copy, b->len, command, e);
    free(copy);
    return rc;
}

static void put_every_kind_of_parameter(struct buf *b)
{
    const struct value values[] = {
        {.type = VALUE_NULL},
        {.type = VALUE_INTEGER, .integer = INT64_MIN},
        {.type = VALUE_REAL, .real = -0.5},
        {.type = VALUE_TEXT, .bytes = text("grün")},
        {.type = VALUE_BLOB, .bytes = cursor_of("\0\xff", 2)},
    };

    command_put_sql(b, COMMAND_SQL_EXECUTE, COMMAND_TRANSACTION, 2);
    command_put_statement(b, "SELECT 1", 8, 5);
    for (size_t i = 0; i < 5; i++) {
        command_put_parameter(b, i == 1 ? "name" : "", i == 1 ? 4 : 0, &values[i]);
    }
    command_put_statement(b, "", 0, 0);
}

static void an_sql_command_is_read_back_as_it_was_put(void **state)
{
    (void)state;
    struct buf b;
    struct command command;
    struct cursor name;
    buf_init(&b, SIZE_MAX);
    put_every_kind_of_parameter(&b);

    assert_int_equal(command_decode(b.data, b.len, &command, NULL), 0);

    assert_int_equal(command.op, COMMAND_SQL_EXECUTE);
    assert_int_equal(command.flags, COMMAND_TRANSACTION);
    assert_int_equal(command.statements, 2);
    struct command_sql first = command_statement(&command.statement);
    assert_int_equal(cursor_left(&first.sql), 8);
    assert_memory_equal(first.sql.p, "SELECT 1", 8);
    assert_int_equal(first.parameters, 5);
    assert_int_equal(command_parameter(&first.parameter, &name).type, VALUE_NULL);
    assert_int_equal(cursor_left(&name), 0);
    assert_true(command_parameter(&first.parameter, &name).integer == INT64_MIN);
    assert_int_equal(cursor_left(&name), 4);
    assert_memory_equal(name.p, "name", 4);
    assert_true(command_parameter(&first.parameter, &name).real == -0.5);
    struct value v = command_parameter(&first.parameter, &name);
    assert_int_equal(v.type, VALUE_TEXT);
    assert_memory_equal(v.bytes.p, "grün", 5);
    v = command_parameter(&first.parameter, &name);
    assert_int_equal(v.type, VALUE_BLOB);
    assert_int_equal(cursor_left(&v.bytes), 2);
    struct command_sql second = command_statement(&command.statement);
    assert_int_equal(cursor_left(&second.sql), 0);
    assert_int_equal(cursor_left(&command.statement), 0);
    buf_close(&b);
}

static void kv_commands_are_read_back_as_they_were_put(void **state)
{
    (void)state;
    struct buf b;
    struct command c;
    struct cursor after = text("k5");
    buf_init(&b, SIZE_MAX);

    command_put_kv_put(&b, text("ns"), text("key"), text("value"), KV_IF_VERSION, 7);
    assert_int_equal(command_decode(b.data, b.len, &c, NULL), 0);
    assert_int_equal(c.op, COMMAND_KV_PUT);
    assert_memory_equal(c.kv.ns.p, "ns", 2);
    assert_memory_equal(c.kv.key.p, "key", 3);
    assert_int_equal(c.kv.condition, KV_IF_VERSION);
    assert_int_equal(c.kv.version, 7);
    assert_int_equal(cursor_left(&c.kv.value), 5);

    buf_clear(&b);
    command_put_kv_delete(&b, text("ns"), text("key"), KV_IF_PRESENT, 0);
    assert_int_equal(command_decode(b.data, b.len, &c, NULL), 0);
    assert_int_equal(c.op, COMMAND_KV_DELETE);
    assert_int_equal(c.kv.condition, KV_IF_PRESENT);

    buf_clear(&b);
    command_put_kv_get(&b, text("ns"), text("key"));
    assert_int_equal(command_decode(b.data, b.len, &c, NULL), 0);
    assert_int_equal(c.op, COMMAND_KV_GET);

    buf_clear(&b);
    command_put_kv_list(&b, text("ns"), text(""), &after, 10, true);
    assert_int_equal(command_decode(b.data, b.len, &c, NULL), 0);
    assert_int_equal(c.op, COMMAND_KV_LIST);
    assert_true(c.kv.has_after && c.kv.with_values);
    assert_memory_equal(c.kv.after.p, "k5", 2);
    assert_int_equal(c.kv.limit, 10);
    buf_close(&b);
}

static void put_example(struct buf *b, int which)
{
    const struct member_change member = {MEMBER_ADMIT, 4, 7, MEMBER_AUTO, text("d:1")};
    struct cursor after = text("k5");

    buf_clear(b);
    switch (which) {
    case 0: put_every_kind_of_parameter(b); break;
    case 1: command_put_kv_put(b, text("ns"), text("key"), text("value"), KV_IF_VERSION, 7); break;
    case 2: command_put_kv_delete(b, text("ns"), text("key"), KV_ALWAYS, 0); break;
    case 3: command_put_kv_get(b, text("ns"), text("key")); break;
    case 4: command_put_kv_list(b, text("ns"), text("p"), &after, 10, true); break;
    case 5: command_put_member(b, &member, 1); break;
    }
}

static void a_command_that_ends_early_or_late_is_corrupt(void **state)
{
    (void)state;
    struct buf b;
    struct command command;
    struct error e;
    buf_init(&b, SIZE_MAX);

    for (int which = 0; which < 6; which++) {
        put_example(&b, which);
        assert_int_equal(decode(&b, &command, &e), 0);
        size_t whole = b.len;
        for (b.len = 0; b.len < whole; b.len++) {
            assert_int_equal(decode(&b, &command, &e), Q_CORRUPT);
        }
        buf_put_u8(&b, 0);
        assert_int_equal(decode(&b, &command, &e), Q_CORRUPT);
    }
    buf_close(&b);
}

static void every_unknown_version_op_and_flag_is_a_mismatch(void **state)
{
    (void)state;
    struct buf b;
    struct command command;
    struct error e;
    buf_init(&b, SIZE_MAX);

    for (int which = 0; which < 6; which++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            put_example(&b, which);
            b.data[0] = (uint8_t)byte;
            assert_int_equal(decode(&b, &command, &e), byte == COMMAND_VERSION ? 0 : Q_MISMATCH);

            put_example(&b, which);
            b.data[1] = (uint8_t)byte;
            bool known = (byte >= 1 && byte <= 3) || (byte >= 10 && byte <= 13) || byte == 20 || byte == 21;
            if (!known) {
                assert_int_equal(decode(&b, &command, &e), Q_MISMATCH);
            }
        }
        for (unsigned bit = 0; bit < 16; bit++) {
            put_example(&b, which);
            put_le16(b.data + 2, (uint16_t)(1u << bit));
            assert_int_equal(decode(&b, &command, &e), which == 0 && bit == 0 ? 0 : Q_MISMATCH);
        }
    }
    buf_close(&b);
}

static void an_unknown_condition_is_a_mismatch(void **state)
{
    (void)state;
    struct buf b;
    struct command command;
    struct error e;
    buf_init(&b, SIZE_MAX);

    command_put_kv_delete(&b, text("ns"), text("key"), (enum kv_condition)4, 0);

    assert_int_equal(decode(&b, &command, &e), Q_MISMATCH);
    buf_close(&b);
}

static void a_version_without_its_condition_is_corrupt(void **state)
{
    (void)state;
    struct buf b;
    struct command command;
    struct error e;
    buf_init(&b, SIZE_MAX);

    command_put_kv_delete(&b, text("ns"), text("key"), KV_IF_ABSENT, 1);

    assert_int_equal(decode(&b, &command, &e), Q_CORRUPT);
    buf_close(&b);
}

static int decode_put(const char *ns, size_t ns_len, size_t key_len, struct error *e)
{
    static char key[KV_KEY_MAX + 1];
    struct buf b;
    struct command command;

    memset(key, 'k', sizeof key);
    buf_init(&b, SIZE_MAX);
    command_put_kv_put(&b, cursor_of(ns, ns_len), cursor_of(key, key_len), text("v"), KV_ALWAYS, 0);
    int rc = decode(&b, &command, e);
    buf_close(&b);
    return rc;
}

static void namespaces_and_keys_have_bounds_that_the_error_names(void **state)
{
    (void)state;
    char ns[KV_NAMESPACE_MAX + 1];
    struct error e;
    memset(ns, 'n', sizeof ns);

    assert_int_equal(decode_put(ns, KV_NAMESPACE_MAX, KV_KEY_MAX, &e), 0);
    assert_int_equal(decode_put(ns, 1, 1, &e), 0);
    assert_int_equal(decode_put("Az09_.-", 7, 1, &e), 0);

    assert_int_equal(decode_put(ns, KV_NAMESPACE_MAX + 1, 1, &e), Q_INVALID);
    assert_string_equal(e.text, "a namespace has 1 to 128 bytes, this one has 129");
    assert_int_equal(decode_put(ns, 0, 1, &e), Q_INVALID);
    assert_int_equal(decode_put("a/b", 3, 1, &e), Q_INVALID);
    assert_int_equal(decode_put("a\0b", 3, 1, &e), Q_INVALID);
    assert_int_equal(decode_put(ns, 1, 0, &e), Q_INVALID);
    assert_int_equal(decode_put(ns, 1, KV_KEY_MAX + 1, &e), Q_INVALID);
    assert_string_equal(e.text, "a key has 1 to 4096 bytes, this one has 4097");
}

static void a_list_has_a_limit_within_bounds(void **state)
{
    (void)state;
    const struct {
        uint32_t limit;
        int rc;
    } cases[] = {
        {0, Q_INVALID}, {1, 0}, {KV_LIST_MAX, 0}, {KV_LIST_MAX + 1, Q_INVALID}, {UINT32_MAX, Q_INVALID}};
    struct buf b;
    struct command command;
    struct error e;
    buf_init(&b, SIZE_MAX);

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        buf_clear(&b);
        command_put_kv_list(&b, text("ns"), text(""), NULL, cases[i].limit, false);
        assert_int_equal(decode(&b, &command, &e), cases[i].rc);
    }
    buf_close(&b);
}

static void counts_beyond_their_bounds_are_corrupt_and_take_no_memory(void **state)
{
    (void)state;
    struct buf b;
    struct command command;
    struct error e;
    buf_init(&b, SIZE_MAX);

    command_put_sql(&b, COMMAND_SQL_QUERY, 0, 0);
    assert_int_equal(decode(&b, &command, &e), Q_CORRUPT);
    buf_clear(&b);
    command_put_sql(&b, COMMAND_SQL_QUERY, 0, UINT32_MAX);
    command_put_statement(&b, "x", 1, 0);
    assert_int_equal(decode(&b, &command, &e), Q_CORRUPT);
    buf_clear(&b);
    command_put_sql(&b, COMMAND_SQL_QUERY, 0, 1);
    command_put_statement(&b, "x", 1, UINT32_MAX);
    assert_int_equal(decode(&b, &command, &e), Q_CORRUPT);
    buf_close(&b);
}

static int decode_text(const char *sql, size_t n, struct error *e)
{
    struct buf b;
    struct command command;

    buf_init(&b, SIZE_MAX);
    command_put_sql(&b, COMMAND_SQL_QUERY, 0, 1);
    command_put_statement(&b, sql, n, 0);
    int rc = decode(&b, &command, e);
    buf_close(&b);
    return rc;
}

static void sql_that_is_not_text_is_refused_by_name(void **state)
{
    (void)state;
    struct error e;

    assert_int_equal(decode_text("\xf0\x9f\x90\xa2 \xe2\x82\xac \xc3\xa9", 11, &e), 0);

    assert_int_equal(decode_text("a\0b", 3, &e), Q_INVALID);
    assert_string_equal(e.text, "the SQL text holds a NUL byte");
    const char *const bad[] = {"\x80",     "\xc3",         "\xc0\x80",         "\xe0\x80\x80", "\xed\xa0\x80",
                               "\xf5\x80", "\xf4\x90\x80", "\xf0\x80\x80\x80", "\xe2\x82",     "\xe2\x82x"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(decode_text(bad[i], strlen(bad[i]), &e), Q_INVALID);
        assert_string_equal(e.text, "the SQL text is not UTF-8");
    }
}

static void what_fails_leaves_the_output_alone(void **state)
{
    (void)state;
    struct command command = {.statements = 4711};
    struct error e;

    assert_int_equal(command_decode("\1\1", 2, &command, &e), Q_CORRUPT);
    assert_int_equal(command_decode(NULL, 0, &command, &e), Q_CORRUPT);

    assert_int_equal(command.statements, 4711);
}

static void only_queries_gets_and_lists_are_known_to_read(void **state)
{
    (void)state;
    assert_true(command_reads(COMMAND_SQL_QUERY));
    assert_true(command_reads(COMMAND_KV_GET));
    assert_true(command_reads(COMMAND_KV_LIST));
    assert_false(command_reads(COMMAND_SQL_EXECUTE));
    assert_false(command_reads(COMMAND_SQL_REQUEST));
    assert_false(command_reads(COMMAND_KV_PUT));
    assert_false(command_reads(COMMAND_KV_DELETE));
}

static void changes_of_members_are_read_back_as_they_were_put(void **state)
{
    (void)state;
    const struct member_change both[] = {{MEMBER_STATE, 3, 0, MEMBER_LEAVING, text("c:1")},
                                         {MEMBER_ADMIT, INT64_MAX, UINT64_MAX, MEMBER_AUTO, text("d:1")}};
    struct command c;
    struct buf b;
    buf_init(&b, SIZE_MAX);
    command_put_member(&b, both, 2);

    assert_int_equal(command_decode(b.data, b.len, &c, NULL), 0);

    assert_int_equal(c.op, COMMAND_MEMBER);
    assert_false(command_reads(c.op));
    assert_int_equal(c.changes, 2);
    assert_int_equal(c.change[0].kind, MEMBER_STATE);
    assert_int_equal(c.change[0].state, MEMBER_LEAVING);
    assert_int_equal(c.change[1].kind, MEMBER_ADMIT);
    assert_true(c.change[1].id == INT64_MAX);
    assert_true(c.change[1].incarnation == UINT64_MAX);
    assert_int_equal(cursor_left(&c.change[1].address), 3);
    assert_memory_equal(c.change[1].address.p, "d:1", 3);
    buf_close(&b);
}

static int decode_load(struct load_command load, struct command *ret_command)
{
    struct buf b;

    buf_init(&b, SIZE_MAX);
    command_put_load(&b, &load);
    int rc = command_decode(b.data, b.len, ret_command, NULL);
    buf_close(&b);
    return rc;
}

static void a_step_of_a_load_comes_back_as_it_was(void **state)
{
    static uint8_t bytes[LOAD_PIECE_MAX + 1];
    struct cursor piece = cursor_of(bytes, LOAD_PIECE_MAX);
    struct command c;
    (void)state;

    assert_int_equal(decode_load((struct load_command){LOAD_BEGIN, UINT64_MAX, 0, {NULL, NULL, false}}, &c),
                     0);
    assert_int_equal(c.op, COMMAND_LOAD);
    assert_false(command_reads(c.op));
    assert_int_equal(c.load.step, LOAD_BEGIN);
    assert_true(c.load.load == UINT64_MAX);
    assert_int_equal(decode_load((struct load_command){LOAD_PIECE, 5, 7, piece}, &c), 0);
    assert_int_equal(c.load.number, 7);
    assert_int_equal(decode_load((struct load_command){LOAD_FINISH, 5, 9, {NULL, NULL, false}}, &c), 0);
    assert_int_equal(c.load.number, 9);
}

static void a_step_of_a_load_out_of_bounds_is_refused(void **state)
{
    static uint8_t bytes[LOAD_PIECE_MAX + 1];
    struct cursor piece = cursor_of(bytes, 1), nothing = cursor_of(bytes, 0),
                  large = cursor_of(bytes, LOAD_PIECE_MAX + 1);
    struct command c;
    (void)state;

    assert_int_equal(decode_load((struct load_command){LOAD_ABORT + 1, 5, 0, nothing}, &c), Q_MISMATCH);
    assert_int_equal(decode_load((struct load_command){0, 5, 0, nothing}, &c), Q_MISMATCH);
    assert_int_equal(decode_load((struct load_command){LOAD_BEGIN, 0, 0, nothing}, &c), Q_CORRUPT);
    assert_int_equal(decode_load((struct load_command){LOAD_PIECE, 5, 0, piece}, &c), Q_CORRUPT);
    assert_int_equal(decode_load((struct load_command){LOAD_PIECE, 5, UINT64_MAX, piece}, &c), Q_CORRUPT);
    assert_int_equal(decode_load((struct load_command){LOAD_PIECE, 5, 1, nothing}, &c), Q_CORRUPT);
    assert_int_equal(decode_load((struct load_command){LOAD_PIECE, 5, 1, large}, &c), Q_CORRUPT);
}

static int decode_member(struct member_change change, unsigned count, struct error *e)
{
    const struct member_change changes[] = {change, change};
    struct command c;
    struct buf b;

    buf_init(&b, SIZE_MAX);
    command_put_member(&b, changes, count);
    int rc = decode(&b, &c, e);
    buf_close(&b);
    return rc;
}

static void a_change_of_a_member_that_makes_no_sense_is_refused(void **state)
{
    (void)state;
    const struct member_change good = {MEMBER_ADMIT, 4, 7, MEMBER_AUTO, text("d:1")};
    struct member_change bad = good;
    char long_one[MEMBER_ADDRESS_MAX + 2];
    struct error e;
    assert_int_equal(decode_member(good, 1, &e), 0);

    assert_int_equal(decode_member(good, 0, &e), Q_CORRUPT);
    bad.id = 0;
    assert_int_equal(decode_member(bad, 1, &e), Q_INVALID);
    bad.id = (uint64_t)INT64_MAX + 1;
    assert_int_equal(decode_member(bad, 1, &e), Q_INVALID);
    bad = good;
    bad.kind = (enum member_change_kind)4;
    assert_int_equal(decode_member(bad, 1, &e), Q_MISMATCH);
    bad = good;
    bad.state = (enum member_state)6;
    assert_int_equal(decode_member(bad, 1, &e), Q_MISMATCH);
    bad = good;
    bad.address = text("d: 1");
    assert_int_equal(decode_member(bad, 1, &e), Q_INVALID);
    bad.address = text("");
    assert_int_equal(decode_member(bad, 1, &e), Q_INVALID);
    memset(long_one, 'a', sizeof long_one);
    bad.address = cursor_of(long_one, MEMBER_ADDRESS_MAX + 1);
    assert_int_equal(decode_member(bad, 1, &e), Q_INVALID);
    bad.address = cursor_of(long_one, MEMBER_ADDRESS_MAX);
    assert_int_equal(decode_member(bad, 1, &e), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_sql_command_is_read_back_as_it_was_put),
        cmocka_unit_test(kv_commands_are_read_back_as_they_were_put),
        cmocka_unit_test(changes_of_members_are_read_back_as_they_were_put),
        cmocka_unit_test(a_change_of_a_member_that_makes_no_sense_is_refused),
        cmocka_unit_test(a_command_that_ends_early_or_late_is_corrupt),
        cmocka_unit_test(every_unknown_version_op_and_flag_is_a_mismatch),
        cmocka_unit_test(an_unknown_condition_is_a_mismatch),
        cmocka_unit_test(a_version_without_its_condition_is_corrupt),
        cmocka_unit_test(namespaces_and_keys_have_bounds_that_the_error_names),
        cmocka_unit_test(a_list_has_a_limit_within_bounds),
        cmocka_unit_test(counts_beyond_their_bounds_are_corrupt_and_take_no_memory),
        cmocka_unit_test(sql_that_is_not_text_is_refused_by_name),
        cmocka_unit_test(what_fails_leaves_the_output_alone),
        cmocka_unit_test(only_queries_gets_and_lists_are_known_to_read),
        cmocka_unit_test(a_step_of_a_load_comes_back_as_it_was),
        cmocka_unit_test(a_step_of_a_load_out_of_bounds_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
