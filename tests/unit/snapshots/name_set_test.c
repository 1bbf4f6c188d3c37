/* A set of names behaves as a set, also where names have the same beginning. */
#include "snapshots/name_set.h"
#include "tests/unit/test.h"

enum { NAMES = 512, LARGE = 512 * 1024 };

static struct chunk_name name_of(uint64_t i)
{
    struct chunk_name name;
    chunk_name_of(&i, sizeof i, &name);
    return name;
}

/* Many with one home, so that they stand in a row, over the end of the table too. */
static struct chunk_name crowded(uint64_t i)
{
    struct chunk_name name = name_of(i);
    put_le64(name.sha256, i % 3 == 0 ? UINT64_MAX : UINT64_MAX - 5);
    return name;
}

static void count_one(void *ctx, const struct chunk_name *name)
{
    size_t *count = ctx;
    (void)name;
    (*count)++;
}

static void names_come_and_go_and_the_others_stay(void **state)
{
    struct name_set s = {0};
    bool in[NAMES] = {false};
    size_t count = 0;
    struct error e;
    uint64_t x = 1;
    (void)state;
    for (unsigned step = 0; step < 20000; step++) {
        x = x * 6364136223846793005u + 1442695040888963407u;
        unsigned i = (unsigned)(x >> 33) % NAMES;
        struct chunk_name name = i % 2 == 0 ? crowded(i) : name_of(i);
        assert_int_equal(name_set_has(&s, &name), in[i]);
        if ((x >> 60) % 2 == 0) {
            assert_int_equal(name_set_add(&s, &name, &e), 0);
            count += !in[i];
            in[i] = true;
        } else {
            name_set_remove(&s, &name);
            count -= in[i];
            in[i] = false;
        }
        assert_int_equal(s.count, count);
    }
    size_t walked = 0;
    name_set_each(&s, count_one, &walked);
    assert_int_equal(walked, count);
    for (unsigned i = 0; i < NAMES; i++) {
        struct chunk_name name = i % 2 == 0 ? crowded(i) : name_of(i);
        assert_int_equal(name_set_has(&s, &name), in[i]);
    }
    name_set_close(&s);
}

static void the_names_of_the_largest_image_fit(void **state)
{
    struct name_set s = {0};
    struct error e;
    (void)state;
    for (uint64_t i = 0; i < LARGE; i++) {
        struct chunk_name name = {{0}};
        put_le64(name.sha256, i * 0x9e3779b97f4a7c15u + 1);
        assert_int_equal(name_set_add(&s, &name, &e), 0);
    }
    assert_int_equal(s.count, LARGE);
    assert_true(s.slots <= 2 * LARGE);
    name_set_close(&s);
}

static void nothing_has_the_name_of_zeros(void **state)
{
    struct name_set s = {0};
    struct chunk_name zeros = {{0}}, other = name_of(1);
    struct error e;
    (void)state;
    assert_false(name_set_has(&s, &zeros));
    assert_int_equal(name_set_add(&s, &zeros, &e), Q_INVALID);
    assert_int_equal(name_set_add(&s, &other, &e), 0);
    assert_false(name_set_has(&s, &zeros));
    name_set_remove(&s, &zeros);
    assert_true(name_set_has(&s, &other));
    name_set_close(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_come_and_go_and_the_others_stay),
        cmocka_unit_test(the_names_of_the_largest_image_fit),
        cmocka_unit_test(nothing_has_the_name_of_zeros),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
