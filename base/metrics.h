/* metrics: counters, gauges and latency histograms, and their Prometheus text form.
 * It does not know who counts what: each module owns a table of its metrics and registers it.
 * Updates are relaxed atomics and may come from any thread; registering and rendering belong to one thread.
 */
#ifndef QUORATE_BASE_METRICS_H
#define QUORATE_BASE_METRICS_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"

enum metric_kind { METRIC_COUNTER, METRIC_GAUGE, METRIC_HISTOGRAM };

/* Log-linear buckets: 4 to each power of two of microseconds, so a quantile is right within 19 %. */
enum { HISTOGRAM_STEPS = 4, HISTOGRAM_BUCKETS = 36 * HISTOGRAM_STEPS };

struct histogram {
    _Atomic uint64_t buckets[HISTOGRAM_BUCKETS];
    _Atomic uint64_t count, sum_us;
};

struct metric {
    enum metric_kind kind;
    const char *
        name; /* full Prometheus name, such as "quorate_raft_elections_total"; histograms end in "_seconds" */
    const char *labels; /* such as `code="200"`, or NULL. Metrics of one name stand together in their table */
    const char *help;
    _Atomic int64_t value; /* counters and gauges */
    struct histogram *histogram;
    struct list link;
};

struct metrics {
    struct list all;
};

void metrics_init(struct metrics *m);
/* The N metrics of TABLE are kept: they must outlive M. */
void metrics_register(struct metrics *m, struct metric *table, unsigned n);
/* Appends the text exposition format, version 0.0.4. */
void metrics_render(const struct metrics *m, struct buf *out);

static inline void metric_add(struct metric *m, int64_t n)
{
    atomic_fetch_add_explicit(&m->value, n, memory_order_relaxed);
}

static inline void metric_set(struct metric *m, int64_t n)
{
    atomic_store_explicit(&m->value, n, memory_order_relaxed);
}

static inline int64_t metric_get(const struct metric *m)
{
    return atomic_load_explicit(&m->value, memory_order_relaxed);
}

void histogram_add(struct histogram *h, uint64_t us);
/* The upper bound, in microseconds, of the bucket that holds quantile Q (0 to 1); 0 when nothing was added.
 */
uint64_t histogram_quantile(const struct histogram *h, double q);

#endif
