/* What makes two nodes members of one cluster. */
#include "cluster/cluster_id.h"

#include "tests/unit/test.h"

static const uint8_t none[CLUSTER_ORIGIN_BYTES];
static const struct peers_member members[] = {{1, "a:7001"}, {2, "b:7001"}, {10, "c:7001"}};

static void expect_other(const char *name, const struct peers_member *others, unsigned count,
                         const char *semantics)
{
    uint8_t one[PEERS_CLUSTER_ID_BYTES], other[PEERS_CLUSTER_ID_BYTES];
    assert_int_equal(cluster_id_make("orders", members, 3, "foreign-keys=off", none, one, NULL), 0);
    assert_int_equal(cluster_id_make(name, others, count, semantics, none, other, NULL), 0);
    assert_memory_not_equal(one, other, sizeof one);
}

static void the_order_of_the_list_does_not_matter(void **state)
{
    const struct peers_member shuffled[] = {members[2], members[0], members[1]};
    uint8_t one[PEERS_CLUSTER_ID_BYTES], other[PEERS_CLUSTER_ID_BYTES];
    (void)state;

    assert_int_equal(cluster_id_make("orders", members, 3, "foreign-keys=off", none, one, NULL), 0);
    assert_int_equal(cluster_id_make("orders", shuffled, 3, "foreign-keys=off", none, other, NULL), 0);
    assert_memory_equal(one, other, sizeof one);
}

static void another_name_is_another_cluster(void **state)
{
    (void)state;
    expect_other("order", members, 3, "foreign-keys=off");
    expect_other("", members, 3, "foreign-keys=off");
}

static void another_list_is_another_cluster(void **state)
{
    const struct peers_member moved[] = {{1, "a:7001"}, {2, "b:7002"}, {10, "c:7001"}};
    const struct peers_member renamed[] = {{1, "a:7001"}, {3, "b:7001"}, {10, "c:7001"}};
    (void)state;

    expect_other("orders", members, 2, "foreign-keys=off");
    expect_other("orders", moved, 3, "foreign-keys=off");
    expect_other("orders", renamed, 3, "foreign-keys=off");
}

static void what_decides_results_makes_another_cluster(void **state)
{
    (void)state;
    expect_other("orders", members, 3, "foreign-keys=on");
}

static void what_was_restored_is_another_cluster(void **state)
{
    uint8_t one[PEERS_CLUSTER_ID_BYTES], other[PEERS_CLUSTER_ID_BYTES], third[PEERS_CLUSTER_ID_BYTES];
    uint8_t origin[CLUSTER_ORIGIN_BYTES] = {7};
    (void)state;

    assert_int_equal(cluster_id_make("orders", members, 3, "x", none, one, NULL), 0);
    assert_int_equal(cluster_id_make("orders", members, 3, "x", origin, other, NULL), 0);
    origin[0] = 8;
    assert_int_equal(cluster_id_make("orders", members, 3, "x", origin, third, NULL), 0);

    assert_memory_not_equal(one, other, sizeof one);
    assert_memory_not_equal(other, third, sizeof one);
}

static void a_name_cannot_imitate_the_rest(void **state)
{
    uint8_t one[PEERS_CLUSTER_ID_BYTES], other[PEERS_CLUSTER_ID_BYTES];
    (void)state;

    assert_int_equal(cluster_id_make("orders", members, 3, "x", none, one, NULL), 0);
    assert_int_equal(cluster_id_make("orders\nx\n1=a:7001", members + 1, 2, "", none, other, NULL), 0);
    assert_memory_not_equal(one, other, sizeof one);
    assert_int_equal(cluster_id_make("orders\nx", members, 3, "", none, other, NULL), 0);
    assert_memory_not_equal(one, other, sizeof one);
}

static void the_largest_list_has_an_id(void **state)
{
    static struct peers_member many[PEERS_MAX];
    uint8_t id[PEERS_CLUSTER_ID_BYTES] = {0}, zero[PEERS_CLUSTER_ID_BYTES] = {0};
    (void)state;

    for (unsigned i = 0; i < PEERS_MAX; i++) {
        many[i].id = UINT64_MAX - i;
        memset(many[i].address, 'a', PEERS_ADDRESS_MAX);
    }
    assert_int_equal(cluster_id_make("orders", many, PEERS_MAX, "foreign-keys=on", none, id, NULL), 0);
    assert_memory_not_equal(id, zero, sizeof id);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_order_of_the_list_does_not_matter),
        cmocka_unit_test(another_name_is_another_cluster),
        cmocka_unit_test(another_list_is_another_cluster),
        cmocka_unit_test(what_decides_results_makes_another_cluster),
        cmocka_unit_test(what_was_restored_is_another_cluster),
        cmocka_unit_test(a_name_cannot_imitate_the_rest),
        cmocka_unit_test(the_largest_list_has_an_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
