#include "raft_glue/message.h"

#include "raft_glue/configuration.h"
#include "tests/unit/raft_glue/server.h"
#include "tests/unit/test.h"

enum { HEADER = 2, APPEND_FIELDS = 5 * 8 };

static struct buf encode(const struct raft_message *m)
{
    struct buf b;
    buf_init(&b, MESSAGE_BYTES_MAX);
    message_encode(m, &b);
    assert_int_equal(b.failed, Q_OK);
    return b;
}

/* One of each type, with different values in all fields. */
static struct raft_message *examples(size_t *ret_n)
{
    static struct script script;
    static struct raft_message m[6];

    script_append(&script, 1, 7, 41, 6, 40);
    script_command(&script, 6, "first");
    script_entry(&script, 7, RAFT_BARRIER, NULL, 0);
    script_configuration(&script, 7, 3, 1);
    script_command(&script, 7, "last");
    m[0] = script.message;
    m[1] = append_result(1, 7, 41, 40);
    m[1].append_entries_result.features = 1;
    m[1].append_entries_result.capacity = 65535;
    m[2] = vote_request(1, 8, 44, 7, true, false);
    m[3] = vote_result(1, 8, true, false);
    m[4] = install_request(1, 9, 1000, 8);
    m[4].install_snapshot.conf_index = 77;
    memset(&m[5], 0, sizeof m[5]);
    m[5].type = RAFT_TIMEOUT_NOW;
    m[5].timeout_now.term = 9;
    m[5].timeout_now.last_log_index = 44;
    m[5].timeout_now.last_log_term = 7;
    *ret_n = sizeof m / sizeof m[0];
    return m;
}

static void free_examples(struct raft_message *m)
{
    raft_free(m[0].append_entries.entries[2].buf.base);
    raft_configuration_close(&m[4].install_snapshot.conf);
}

static void every_type_is_read_back_as_it_was_written(void **state)
{
    (void)state;
    size_t n;
    struct raft_message *m = examples(&n);

    for (size_t i = 0; i < n; i++) {
        struct raft_message back;
        struct error e;
        struct buf bytes = encode(&m[i]);
        assert_int_equal(message_decode(bytes.data, bytes.len, 1, "server-1", &back, &e), 0);
        assert_int_equal(back.type, m[i].type);
        assert_int_equal(back.server_id, 1);
        assert_string_equal(back.server_address, "server-1");
        struct buf again = encode(&back);
        assert_int_equal(again.len, bytes.len);
        assert_memory_equal(again.data, bytes.data, bytes.len);
        message_close(&back, false);
        buf_close(&again);
        buf_close(&bytes);
    }
    free_examples(m);
}

static void the_fields_are_those_of_the_sender(void **state)
{
    (void)state;
    size_t n;
    struct raft_message *m = examples(&n), back;
    struct error e;

    struct buf bytes = encode(&m[0]);
    assert_int_equal(message_decode(bytes.data, bytes.len, 1, "server-1", &back, &e), 0);
    const struct raft_append_entries *ae = &back.append_entries;
    assert_int_equal(ae->term, 7);
    assert_int_equal(ae->prev_log_index, 41);
    assert_int_equal(ae->prev_log_term, 6);
    assert_int_equal(ae->leader_commit, 40);
    assert_int_equal(ae->n_entries, 4);
    assert_int_equal(ae->entries[0].type, RAFT_COMMAND);
    assert_int_equal(ae->entries[0].buf.len, 5);
    assert_memory_equal(ae->entries[0].buf.base, "first", 5);
    assert_int_equal(ae->entries[1].buf.len, 0);
    message_close(&back, false);
    buf_close(&bytes);

    bytes = encode(&m[4]);
    assert_int_equal(message_decode(bytes.data, bytes.len, 1, "server-1", &back, &e), 0);
    assert_int_equal(back.install_snapshot.last_index, 1000);
    assert_int_equal(back.install_snapshot.conf_index, 77);
    assert_int_equal(back.install_snapshot.conf.n, 3);
    assert_string_equal(back.install_snapshot.conf.servers[2].address, "server-3");
    assert_null(back.install_snapshot.data.base);
    message_close(&back, false);
    buf_close(&bytes);
    free_examples(m);
}

static void a_message_cut_anywhere_is_refused(void **state)
{
    (void)state;
    size_t n;
    struct raft_message *m = examples(&n);

    for (size_t i = 0; i < n; i++) {
        struct buf bytes = encode(&m[i]);
        for (size_t len = 0; len < bytes.len; len++) {
            struct raft_message back;
            struct error e;
            uint8_t *exact = malloc(len + 1); /* so that a read past the end is seen */
            memcpy(exact, bytes.data, len);
            exact = realloc(exact, len > 0 ? len : 1);
            assert_int_equal(message_decode(exact, len, 1, "server-1", &back, &e), Q_CORRUPT);
            free(exact);
        }
        buf_close(&bytes);
    }
    free_examples(m);
}

static void any_flipped_byte_is_refused_or_read_but_never_harms(void **state)
{
    (void)state;
    size_t n;
    struct raft_message *m = examples(&n);

    for (size_t i = 0; i < n; i++) {
        struct buf bytes = encode(&m[i]);
        for (size_t at = 0; at < bytes.len; at++) {
            for (int value = 0; value < 256; value += 15) {
                struct raft_message back;
                uint8_t kept = bytes.data[at];
                bytes.data[at] = (uint8_t)value;
                if (message_decode(bytes.data, bytes.len, 1, "server-1", &back, NULL) == 0) {
                    message_close(&back, false);
                }
                bytes.data[at] = kept;
            }
        }
        buf_close(&bytes);
    }
    free_examples(m);
}

static int decode_changed(const struct raft_message *m, size_t at, const void *p, size_t len, struct error *e)
{
    struct raft_message back;
    struct buf bytes = encode(m);

    assert_true(at + len <= bytes.len);
    memcpy(bytes.data + at, p, len);
    int rv = message_decode(bytes.data, bytes.len, 1, "server-1", &back, e);
    if (rv == 0) {
        message_close(&back, false);
    }
    buf_close(&bytes);
    return rv;
}

static int decode_with_byte(const struct raft_message *m, size_t at, uint8_t value, struct error *e)
{
    return decode_changed(m, at, &value, 1, e);
}

static int decode_with_u32(const struct raft_message *m, size_t at, uint32_t value, struct error *e)
{
    uint8_t bytes[4];
    put_le32(bytes, value);
    return decode_changed(m, at, bytes, sizeof bytes, e);
}

static int decode_with_u64(const struct raft_message *m, size_t at, uint64_t value, struct error *e)
{
    uint8_t bytes[8];
    put_le64(bytes, value);
    return decode_changed(m, at, bytes, sizeof bytes, e);
}

static void unknown_versions_and_types_are_refused_by_name(void **state)
{
    (void)state;
    struct error e;
    struct raft_message m = vote_result(1, 8, true, false);

    assert_int_equal(decode_with_byte(&m, 0, 2, &e), Q_MISMATCH);
    assert_string_equal(e.text, "message: unknown version 2");
    assert_int_equal(decode_with_byte(&m, 1, 0, &e), Q_CORRUPT);
    assert_int_equal(decode_with_byte(&m, 1, 7, &e), Q_CORRUPT);
    assert_string_equal(e.text, "message: unknown type 7");
    assert_int_equal(decode_with_byte(&m, 1, 255, &e), Q_CORRUPT);
}

static void values_that_do_not_fit_are_refused(void **state)
{
    (void)state;
    struct error e;
    struct raft_message m = vote_result(1, 8, true, false);

    assert_int_equal(decode_with_u64(&m, HEADER, 256, &e), Q_CORRUPT);        /* version */
    assert_int_equal(decode_with_byte(&m, HEADER + 16, 2, &e), Q_CORRUPT);    /* vote_granted */
    assert_int_equal(decode_with_u64(&m, HEADER + 18, 65536, &e), Q_CORRUPT); /* features */
}

static void counts_over_the_limit_are_refused_before_memory_is_taken(void **state)
{
    (void)state;
    struct error e;
    size_t n;
    struct raft_message *m = examples(&n);

    assert_int_equal(decode_with_u32(&m[0], HEADER + APPEND_FIELDS, MESSAGE_ENTRIES_MAX + 1, &e), Q_TOO_BIG);
    assert_int_equal(decode_with_u32(&m[0], HEADER + APPEND_FIELDS, UINT32_MAX, &e), Q_TOO_BIG);
    assert_int_equal(decode_with_u32(&m[0], HEADER + APPEND_FIELDS, MESSAGE_ENTRIES_MAX, &e), Q_CORRUPT);
    assert_int_equal(decode_with_u32(&m[0], HEADER + APPEND_FIELDS + 4 + 9, UINT32_MAX, &e), Q_CORRUPT);
    assert_int_equal(decode_with_u32(&m[4], HEADER + 5 * 8, MESSAGE_SERVERS_MAX + 1, &e), Q_TOO_BIG);
    assert_int_equal(decode_with_u32(&m[4], HEADER + 5 * 8, MESSAGE_SERVERS_MAX, &e), Q_CORRUPT);
    assert_int_equal(decode_with_u32(&m[4], HEADER + 5 * 8, 0, &e), Q_CORRUPT);
    free_examples(m);

    uint8_t *large = calloc(1, (size_t)MESSAGE_BYTES_MAX + 1);
    struct raft_message back;
    assert_int_equal(message_decode(large, (size_t)MESSAGE_BYTES_MAX + 1, 1, "server-1", &back, &e),
                     Q_TOO_BIG);
    free(large);
}

static void more_entries_than_a_reader_takes_are_not_written(void **state)
{
    (void)state;
    struct buf b;
    struct raft_entry *entries = calloc(MESSAGE_ENTRIES_MAX + 1, sizeof *entries);
    struct script script;
    script_append(&script, 1, 7, 41, 6, 40);
    script.message.append_entries.entries = entries;
    script.message.append_entries.n_entries = MESSAGE_ENTRIES_MAX + 1;

    buf_init(&b, MESSAGE_BYTES_MAX);
    message_encode(&script.message, &b);

    assert_int_equal(b.failed, Q_TOO_BIG);
    buf_close(&b);
    free(entries);
}

static void bytes_after_the_message_are_refused(void **state)
{
    (void)state;
    struct error e;
    struct raft_message back, m = vote_result(1, 8, true, false);
    struct buf bytes = encode(&m);
    buf_put_u8(&bytes, 0);

    assert_int_equal(message_decode(bytes.data, bytes.len, 1, "server-1", &back, &e), Q_CORRUPT);
    assert_string_equal(e.text, "message: 1 bytes too many");
    buf_close(&bytes);
}

static int decode_script(struct script *script, struct error *e)
{
    struct raft_message back;
    struct buf bytes = encode(&script->message);
    int rv = message_decode(bytes.data, bytes.len, 1, "server-1", &back, e);
    if (rv == 0) {
        message_close(&back, false);
    }
    buf_close(&bytes);
    return rv;
}

static void what_the_core_takes_for_granted_is_checked(void **state)
{
    (void)state;
    struct error e;
    struct script s;

    script_append(&s, 1, 7, 41, 0, 40); /* an index without a term */
    assert_int_equal(decode_script(&s, &e), Q_CORRUPT);
    script_append(&s, 1, 7, 0, 6, 0); /* a term without an index */
    assert_int_equal(decode_script(&s, &e), Q_CORRUPT);
    script_append(&s, 1, 7, 41, 8, 0); /* of a later term than the leader's */
    assert_int_equal(decode_script(&s, &e), Q_CORRUPT);
    script_append(&s, 1, 7, 41, 6, 0);
    script_command(&s, 5, "a term that falls");
    assert_int_equal(decode_script(&s, &e), Q_CORRUPT);
    script_append(&s, 1, 7, 41, 6, 0);
    script_command(&s, 8, "a term from the future");
    assert_int_equal(decode_script(&s, &e), Q_CORRUPT);
    script_append(&s, 1, 7, UINT64_MAX, 6, 0);
    script_command(&s, 6, "past the last index");
    assert_int_equal(decode_script(&s, &e), Q_CORRUPT);
    script_append(&s, 1, 7, 41, 6, 0);
    script_entry(&s, 6, RAFT_CHANGE, "not a configuration", 19);
    assert_int_equal(decode_script(&s, &e), Q_CORRUPT);
    script_append(&s, 1, 7, 0, 0, 0); /* the empty message from the beginning is fine */
    assert_int_equal(decode_script(&s, &e), 0);
}

static void a_configuration_cut_anywhere_is_refused(void **state)
{
    (void)state;
    struct raft_configuration c = members(2, 1), back;
    struct raft_buffer encoded;
    assert_int_equal(raft_configuration_encode(&c, &encoded), 0);
    size_t used = 1 + 8 + 3 * (8 + sizeof "server-1" + 1);

    for (size_t len = 0; len < used; len++) {
        uint8_t *exact = malloc(len > 0 ? len : 1);
        memcpy(exact, encoded.base, len);
        assert_int_equal(configuration_decode(exact, len, &back, NULL), Q_CORRUPT);
        free(exact);
    }
    assert_int_equal(configuration_decode(encoded.base, used, &back, NULL), 0);
    assert_int_equal(back.n, 3);
    assert_int_equal(back.servers[2].role, RAFT_STANDBY);
    raft_configuration_close(&back);

    put_le64((uint8_t *)encoded.base + 1, UINT64_MAX);
    assert_int_equal(configuration_decode(encoded.base, encoded.len, &back, NULL), Q_CORRUPT);
    raft_free(encoded.base);
    raft_configuration_close(&c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_type_is_read_back_as_it_was_written),
        cmocka_unit_test(the_fields_are_those_of_the_sender),
        cmocka_unit_test(a_message_cut_anywhere_is_refused),
        cmocka_unit_test(any_flipped_byte_is_refused_or_read_but_never_harms),
        cmocka_unit_test(unknown_versions_and_types_are_refused_by_name),
        cmocka_unit_test(values_that_do_not_fit_are_refused),
        cmocka_unit_test(counts_over_the_limit_are_refused_before_memory_is_taken),
        cmocka_unit_test(more_entries_than_a_reader_takes_are_not_written),
        cmocka_unit_test(bytes_after_the_message_are_refused),
        cmocka_unit_test(what_the_core_takes_for_granted_is_checked),
        cmocka_unit_test(a_configuration_cut_anywhere_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
