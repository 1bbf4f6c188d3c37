#include "base/metrics.h"
#include "tests/unit/test.h"

static void a_quantile_is_within_a_bucket_of_the_truth(void **state)
{
    (void)state;
    static struct histogram h;
    for (uint64_t us = 1; us <= 10000; us++) {
        histogram_add(&h, us);
    }
    uint64_t p50 = histogram_quantile(&h, 0.5), p99 = histogram_quantile(&h, 0.99);
    assert_in_range(p50, 5000, 6200);
    assert_in_range(p99, 9900, 12300);
}

static void rendering_counts_every_observation_once(void **state)
{
    (void)state;
    static struct histogram h;
    struct metric table[] = {
        {.kind = METRIC_COUNTER, .name = "a_total", .labels = "code=\"200\"", .help = "A."},
        {.kind = METRIC_COUNTER, .name = "a_total", .labels = "code=\"500\"", .help = "A."},
        {.kind = METRIC_HISTOGRAM, .name = "b_seconds", .help = "B.", .histogram = &h},
    };
    struct metrics m;
    struct buf out;
    metrics_init(&m);
    metrics_register(&m, table, 3);
    buf_init(&out, 100000);

    metric_add(&table[1], 3);
    histogram_add(&h, 90);
    histogram_add(&h, 400);
    histogram_add(&h, UINT64_C(1) << 40);
    metrics_render(&m, &out);
    buf_put_u8(&out, 0);

    const char *text = (const char *)out.data;
    assert_non_null(
        strstr(text, "# TYPE a_total counter\na_total{code=\"200\"} 0\na_total{code=\"500\"} 3\n"));
    assert_non_null(strstr(text, "b_seconds_bucket{le=\"0.0001\"} 1\n"));
    assert_non_null(strstr(text, "b_seconds_bucket{le=\"0.0005\"} 2\n"));
    assert_non_null(strstr(text, "b_seconds_bucket{le=\"+Inf\"} 3\n"));
    assert_non_null(strstr(text, "b_seconds_count 3\n"));
    buf_close(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_quantile_is_within_a_bucket_of_the_truth),
        cmocka_unit_test(rendering_counts_every_observation_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
