#include "base/metrics.h"

#include <inttypes.h>
#include <string.h>

/* Bounds of the rendered buckets in microseconds: what Prometheus needs is far coarser than what we keep. */
static const uint64_t rendered_us[] = {100,   250,    500,    1000,   2500,    5000,    10000,  25000,
                                       50000, 100000, 250000, 500000, 1000000, 2500000, 5000000};

void metrics_init(struct metrics *m)
{
    list_init(&m->all);
}

void metrics_register(struct metrics *m, struct metric *table, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        list_push(&m->all, &table[i].link);
    }
}

/* Bucket of a value: below HISTOGRAM_STEPS exact, above that the power of two and its two next bits. */
static unsigned bucket_of(uint64_t us)
{
    unsigned power, bucket;
    if (us < HISTOGRAM_STEPS) {
        return (unsigned)us;
    }
    power = 63 - (unsigned)__builtin_clzll(us);
    bucket = (power - 1) * HISTOGRAM_STEPS + (unsigned)((us >> (power - 2)) & (HISTOGRAM_STEPS - 1));
    return bucket < HISTOGRAM_BUCKETS ? bucket : HISTOGRAM_BUCKETS - 1;
}

/* The largest value that bucket_of() puts into BUCKET. */
static uint64_t bucket_bound(unsigned bucket)
{
    unsigned power = bucket / HISTOGRAM_STEPS + 1;
    if (bucket < HISTOGRAM_STEPS) {
        return bucket;
    }
    return (((uint64_t)HISTOGRAM_STEPS + bucket % HISTOGRAM_STEPS + 1) << (power - 2)) - 1;
}

void histogram_add(struct histogram *h, uint64_t us)
{
    atomic_fetch_add_explicit(&h->buckets[bucket_of(us)], 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->count, 1, memory_order_relaxed);
    atomic_fetch_add_explicit(&h->sum_us, us, memory_order_relaxed);
}

uint64_t histogram_quantile(const struct histogram *h, double q)
{
    uint64_t total = atomic_load_explicit(&h->count, memory_order_relaxed);
    uint64_t seen = 0;
    uint64_t wanted = (uint64_t)(q * (double)total);

    if (total == 0) {
        return 0;
    }
    wanted = wanted >= total ? total - 1 : wanted;
    for (unsigned i = 0; i < HISTOGRAM_BUCKETS; i++) {
        seen += atomic_load_explicit(&h->buckets[i], memory_order_relaxed);
        if (seen > wanted) {
            return bucket_bound(i);
        }
    }
    return bucket_bound(HISTOGRAM_BUCKETS - 1);
}

static const char *const kind_names[] = {
    [METRIC_COUNTER] = "counter",
    [METRIC_GAUGE] = "gauge",
    [METRIC_HISTOGRAM] = "histogram",
};

static void render_histogram(const struct metric *m, struct buf *out)
{
    const struct histogram *h = m->histogram;
    const char *labels = m->labels ? m->labels : "";
    const char *comma = m->labels ? "," : "";
    uint64_t seen = 0;
    unsigned next = 0;

    for (unsigned i = 0; i < sizeof rendered_us / sizeof rendered_us[0]; i++) {
        while (next < HISTOGRAM_BUCKETS && bucket_bound(next) <= rendered_us[i]) {
            seen += atomic_load_explicit(&h->buckets[next++], memory_order_relaxed);
        }
        buf_printf(out, "%s_bucket{%s%sle=\"%g\"} %" PRIu64 "\n", m->name, labels, comma,
                   (double)rendered_us[i] / 1e6, seen);
    }
    while (next < HISTOGRAM_BUCKETS) {
        seen += atomic_load_explicit(&h->buckets[next++], memory_order_relaxed);
    }
    buf_printf(out, "%s_bucket{%s%sle=\"+Inf\"} %" PRIu64 "\n", m->name, labels, comma, seen);
    buf_printf(out, "%s_sum%s%s%s %.6f\n", m->name, m->labels ? "{" : "", labels, m->labels ? "}" : "",
               (double)atomic_load_explicit(&h->sum_us, memory_order_relaxed) / 1e6);
    buf_printf(out, "%s_count%s%s%s %" PRIu64 "\n", m->name, m->labels ? "{" : "", labels,
               m->labels ? "}" : "", seen);
}

void metrics_render(const struct metrics *m, struct buf *out)
{
    const char *last = "";
    LIST_EACH (&m->all, item) {
        const struct metric *metric = CONTAINER_OF(item, struct metric, link);
        if (strcmp(last, metric->name) != 0) {
            buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", metric->name, metric->help, metric->name,
                       kind_names[metric->kind]);
            last = metric->name;
        }
        if (metric->kind == METRIC_HISTOGRAM) {
            render_histogram(metric, out);
        } else if (metric->labels != NULL) {
            buf_printf(out, "%s{%s} %" PRId64 "\n", metric->name, metric->labels, metric_get(metric));
        } else {
            buf_printf(out, "%s %" PRId64 "\n", metric->name, metric_get(metric));
        }
    }
}
