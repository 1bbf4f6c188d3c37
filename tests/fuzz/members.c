/* members: cluster/members.h from a file of any content: one that was saved is read back, also when it was
 * damaged in one of its halves; anything else gives a list within its limits, or a refusal. */
#include <string.h>

#include "base/crc32c.h"
#include "cluster/members.h"
#include "tests/fuzz/machine.h"

enum { ROWS_MAX = 20, EDITS_MAX = 4, BLOCK = 4096 };

static void check_list(const struct members *m)
{
    FUZZ_CHECK(members_known(m) <= MEMBERS_KNOWN_MAX && members_count(m) <= PEERS_MAX &&
                   members_count(m) <= members_known(m),
               "a list is within its limits");
    for (unsigned i = 0; i < members_known(m); i++) {
        const struct member *one = members_known_at(m, i);
        FUZZ_CHECK(one->id != 0 && one->address[0] != 0 && one->state >= MEMBER_AUTO &&
                       one->state <= MEMBER_REMOVED && (i == 0 || members_known_at(m, i - 1)->id < one->id),
                   "and its members are sane, and in order");
    }
}

static bool same(const struct members *a, const struct members *b)
{
    bool equal = members_known(a) == members_known(b);

    for (unsigned i = 0; equal && i < members_known(a); i++) {
        const struct member *x = members_known_at(a, i), *y = members_known_at(b, i);
        equal = x->id == y->id && x->incarnation == y->incarnation && x->state == y->state &&
                x->changed == y->changed && strcmp(x->address, y->address) == 0;
    }
    return equal;
}

/* WAS: what is to come out; NULL: nothing is known of the file. */
static void open_again(struct machine *m, const struct members *was)
{
    struct members *now;
    struct error e;
    int rv = members_open(m->env, "data", NULL, 0, &now, &e);

    if (rv != 0) {
        FUZZ_CHECK(was == NULL, "one good half is enough");
        FUZZ_CHECK(rv == Q_CORRUPT, "a refusal has the promised code");
        return;
    }
    check_list(now);
    FUZZ_CHECK(was == NULL || same(was, now), "what was saved is read");
    FUZZ_CHECK(members_save(now, &e) == 0, "what was read can be saved");
    members_free(now);
}

static void damage_one_half(struct machine *m, struct cursor *input, const struct members *was)
{
    size_t n, half;
    uint8_t *bytes = machine_get(m, "data/members", &n);

    half = input_range(input, 0, 1) * (n / 2);
    for (unsigned i = input_range(input, 0, EDITS_MAX); i > 0; i--) {
        bytes[half + input_range(input, 0, (uint32_t)(n / 2) - 1)] = cursor_u8(input);
    }
    machine_put(m, "data/members", bytes, n);
    free(bytes);
    open_again(m, was);
}

static void save_rows(struct machine *m, struct cursor *input)
{
    static const struct peers_member first[] = {{1, "a:1"}, {2, "b:1"}};
    struct members *list;
    struct error e;

    FUZZ_CHECK(members_open(m->env, "data", first, 2, &list, &e) == 0, "a first list is taken");
    for (unsigned i = input_range(input, 1, ROWS_MAX); i > 0; i--) {
        struct member row = {.id = input_range(input, 0, 7),
                             .incarnation = cursor_u8(input),
                             .state = (enum member_state)input_range(input, 0, 6),
                             .changed = cursor_u8(input)};
        char *address = input_string(input, PEERS_ADDRESS_MAX);
        memcpy(row.address, address, strlen(address) + 1);
        free(address);
        int rv = members_set(list, &row, 1, &e);
        FUZZ_CHECK(rv == 0 || rv == Q_INVALID, "a row is taken or makes no sense");
        check_list(list);
    }
    FUZZ_CHECK(members_save(list, &e) == 0, "there is room");
    open_again(m, list);
    damage_one_half(m, input, list);
    members_free(list);
}

/* The rest of the input as the records of a file whose checksums are right, or as it is. */
static void open_anything(struct machine *m, struct cursor *input, bool summed)
{
    size_t n = cursor_left(input);
    uint8_t *bytes = calloc(1, 2 * BLOCK);

    FUZZ_CHECK(bytes != NULL, "there is memory");
    if (summed && n >= 20 && n <= BLOCK) {
        memcpy(bytes, input->p, n);
        memcpy(bytes, "QURBOOK1", 8);
        put_le32(bytes + 8, (uint32_t)n);
        put_le32(bytes + n - 4, crc32c(0, bytes, n - 4));
        memcpy(bytes + BLOCK, bytes, BLOCK);
        machine_put(m, "data/members", bytes, 2 * BLOCK);
    } else {
        machine_put(m, "data/members", input->p, n);
    }
    free(bytes);
    open_again(m, NULL);
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);
    struct machine m;

    machine_init(&m);
    switch (input_range(&input, 0, 2)) {
    case 0: save_rows(&m, &input); break;
    case 1: open_anything(&m, &input, true); break;
    default: open_anything(&m, &input, false);
    }
    machine_close(&m);
}

static void seeds(struct seeds *s)
{
    struct buf b;

    buf_init(&b, FUZZ_INPUT_MAX);
    buf_put_u8(&b, 0);
    buf_put_u8(&b, 1); /* two rows */
    for (uint8_t i = 0; i < 2; i++) {
        buf_put_u8(&b, (uint8_t)(i + 2));
        buf_put_u8(&b, 9);
        buf_put_u8(&b, (uint8_t)(i + 4));
        buf_put_u8(&b, 5);
        buf_put_u8(&b, 3);
        buf_put_bytes(&b, "c:1", 3);
    }
    buf_put_u8(&b, 1); /* the second half, two bytes of it */
    buf_put_u8(&b, 2);
    buf_put_u16(&b, 7);
    buf_put_u8(&b, 1);
    buf_put_u16(&b, 77);
    buf_put_u8(&b, 1);
    seeds_add(s, "rows", b.data, b.len);

    buf_clear(&b);
    buf_put_u8(&b, 1);
    buf_put_zeros(&b, 12);
    buf_put_u32(&b, 1);
    buf_put_u64(&b, 1);
    buf_put_u64(&b, 2);
    buf_put_u64(&b, 3);
    buf_put_u8(&b, MEMBER_AUTO);
    buf_put_blob(&b, "a:1", 3);
    buf_put_u32(&b, 0);
    seeds_add(s, "record", b.data, b.len);
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds, .cost = 8};
