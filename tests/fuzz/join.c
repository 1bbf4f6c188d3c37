/* join: cluster/join_message.h: what a node that wants to join says and is answered, as written by our own
 * encoders from the input's choices, and as any bytes. */
#include <string.h>

#include "cluster/join_message.h"
#include "tests/fuzz/target.h"

static void copy_string(struct cursor *input, char *to, size_t max)
{
    char *text = input_string(input, max);

    for (size_t i = 0; text[i] != 0; i++) {
        text[i] = text[i] < ' ' || text[i] == 127 ? '?' : text[i];
    }
    memcpy(to, text, strlen(text) + 1);
    free(text);
}

static void copy_address(struct cursor *input, char *to, const char *otherwise)
{
    copy_string(input, to, PEERS_ADDRESS_MAX);
    for (size_t i = 0; to[i] != 0; i++) {
        to[i] = to[i] <= ' ' || to[i] > '~' ? 'x' : to[i];
    }
    if (to[0] == 0) {
        memcpy(to, otherwise, strlen(otherwise) + 1);
    }
}

static void write_and_read_a_question(struct cursor *input)
{
    struct join_ask ask = {.id = cursor_u64(input)}, again;
    struct buf b;
    struct error e;

    ask.incarnation = cursor_u64(input);
    ask.replaces = cursor_u64(input);
    copy_address(input, ask.address, "a:1");
    copy_address(input, ask.api_address, "");
    copy_string(input, ask.cluster_name, JOIN_NAME_MAX);
    copy_string(input, ask.semantics, JOIN_SEMANTICS_MAX);
    buf_init(&b, JOIN_ASK_BYTES_MAX);
    join_ask_put(&b, &ask);
    FUZZ_CHECK(b.failed == Q_OK, "every question fits its limit");
    memset(&again, 0, sizeof again);
    FUZZ_CHECK(join_ask_get(b.data, b.len, &again, &e) == 0, "what was written is understood");
    FUZZ_CHECK(
        again.id == ask.id && again.incarnation == ask.incarnation && again.replaces == ask.replaces &&
            strcmp(again.address, ask.address) == 0 && strcmp(again.api_address, ask.api_address) == 0 &&
            strcmp(again.cluster_name, ask.cluster_name) == 0 && strcmp(again.semantics, ask.semantics) == 0,
        "as it was");
    buf_close(&b);
}

static void take_members(struct cursor *input, struct join_answer *a)
{
    a->count = input_range(input, 1, PEERS_MAX);
    for (unsigned i = 0; i < a->count; i++) {
        struct member *m = &a->members[i];
        m->id = cursor_u8(input) + 1U;
        m->incarnation = cursor_u8(input);
        m->changed = cursor_u8(input);
        m->state = (enum member_state)input_range(input, MEMBER_AUTO, MEMBER_REMOVED);
        copy_address(input, m->address, "a:1");
    }
}

static void write_and_read_an_answer(struct cursor *input)
{
    static struct join_answer a, again; /* large, and written anew each time */
    struct buf b;
    struct error e;

    memset(&a, 0, sizeof a);
    a.error.code = (enum error_code)input_range(input, 0, 3 * Q_CODES);
    a.error.code = a.error.code < Q_CODES ? a.error.code : Q_OK;
    a.id = cursor_u64(input) | 1;
    copy_string(input, a.cluster_name, JOIN_NAME_MAX);
    if (a.error.code == Q_OK) {
        take_members(input, &a);
    } else {
        copy_string(input, a.error.text, ERROR_TEXT_MAX - 1);
    }
    buf_init(&b, JOIN_ANSWER_BYTES_MAX);
    join_answer_put(&b, &a);
    FUZZ_CHECK(b.failed == Q_OK, "every answer fits its limit");
    FUZZ_CHECK(join_answer_get(b.data, b.len, &again, &e) == 0, "what was written is understood");
    FUZZ_CHECK(again.error.code == a.error.code && strcmp(again.error.text, a.error.text) == 0 &&
                   again.id == a.id && again.count == a.count &&
                   strcmp(again.cluster_name, a.cluster_name) == 0,
               "as it was");
    for (unsigned i = 0; i < a.count; i++) {
        const struct member *x = &a.members[i], *y = &again.members[i];
        FUZZ_CHECK(x->id == y->id && x->incarnation == y->incarnation && x->changed == y->changed &&
                       x->state == y->state && strcmp(x->address, y->address) == 0,
                   "with all its members");
    }
    buf_close(&b);
}

static void read_anything(const uint8_t *p, size_t n)
{
    static struct join_answer a;
    struct join_ask ask;
    struct buf b;
    struct error e;

    buf_init(&b, JOIN_ANSWER_BYTES_MAX);
    if (join_ask_get(p, n, &ask, &e) == 0) {
        join_ask_put(&b, &ask);
        FUZZ_CHECK(b.len == n && memcmp(b.data, p, n) == 0, "a question is written in one way");
    }
    buf_clear(&b);
    if (join_answer_get(p, n, &a, &e) == 0) {
        join_answer_put(&b, &a);
        FUZZ_CHECK(b.failed == Q_OK && a.count <= PEERS_MAX, "an answer is within its limits");
        FUZZ_CHECK(a.error.code != Q_OK || (b.len == n && memcmp(b.data, p, n) == 0),
                   "an answer is written in one way");
    }
    buf_close(&b);
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);

    switch (input_range(&input, 0, 2)) {
    case 0: write_and_read_a_question(&input); break;
    case 1: write_and_read_an_answer(&input); break;
    default: read_anything(input.p, cursor_left(&input));
    }
}

static void seeds(struct seeds *s)
{
    static const struct join_ask ask = {
        .id = 4, .incarnation = 9, .address = "d:1", .cluster_name = "c", .semantics = "s"};
    static const struct join_answer answer = {.id = 4,
                                              .cluster_name = "c",
                                              .count = 1,
                                              .members = {{.id = 1, .address = "a:1", .state = MEMBER_AUTO}}};
    struct buf b;

    buf_init(&b, FUZZ_INPUT_MAX);
    buf_put_u8(&b, 2);
    join_ask_put(&b, &ask);
    seeds_add(s, "question", b.data, b.len);
    buf_clear(&b);
    buf_put_u8(&b, 2);
    join_answer_put(&b, &answer);
    seeds_add(s, "answer", b.data, b.len);
    for (unsigned i = 0; i < 2; i++) {
        buf_clear(&b);
        buf_put_u8(&b, (uint8_t)i);
        buf_put_zeros(&b, 40);
        seeds_add(s, i == 0 ? "written_question" : "written_answer", b.data, b.len);
    }
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
