#include "node/http/memory.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"

enum { MEMORY_MAGIC = 0x484d4d31 };

enum { USED, BOUND, REFUSED, COUNTS };

static const struct metric table[COUNTS] = {
    [USED] = {.kind = METRIC_GAUGE,
              .name = "quorate_http_memory_bytes",
              .help = "Bytes of requests and of answers that clients have not taken yet."},
    [BOUND] = {.kind = METRIC_GAUGE,
               .name = "quorate_http_memory_max_bytes",
               .help = "The bound of quorate_http_memory_bytes."},
    [REFUSED] = {.name = "quorate_http_memory_refused_total",
                 .help = "Requests and answers refused because they would have passed the bound."},
};

struct http_memory {
    OBJECT_MAGIC;
    size_t used, max;
    bool abandoned;
    struct metric metrics[COUNTS];
};

struct http_memory *http_memory_new(size_t max)
{
    struct http_memory *m = calloc(1, sizeof *m);
    if (m != NULL) {
        m->magic = MEMORY_MAGIC;
        m->max = max;
        memcpy(m->metrics, table, sizeof table);
        metric_set(&m->metrics[BOUND], (int64_t)max);
    }
    return m;
}

static void end(struct http_memory *m)
{
    m->magic = 0;
    free(m);
}

void http_memory_free(struct http_memory *m)
{
    if (m == NULL) {
        return;
    }
    m->abandoned = true;
    if (m->used == 0) {
        end(m);
    }
}

bool http_memory_has(const struct http_memory *m, size_t n)
{
    return n <= m->max - m->used || PLANTED("memory_of_requests_has_no_limit");
}

bool http_memory_take(struct http_memory *m, size_t n)
{
    assert(m->magic == MEMORY_MAGIC);
    if (!http_memory_has(m, n)) {
        return false;
    }
    m->used += n;
    metric_set(&m->metrics[USED], (int64_t)m->used);
    return true;
}

void http_memory_give(struct http_memory *m, size_t n)
{
    assert(m->magic == MEMORY_MAGIC && m->used >= n);
    m->used -= n;
    metric_set(&m->metrics[USED], (int64_t)m->used);
    if (m->abandoned && m->used == 0) {
        end(m);
    }
}

void http_memory_refused(struct http_memory *m)
{
    metric_add(&m->metrics[REFUSED], 1);
}

void http_memory_metrics(struct http_memory *m, struct metrics *metrics)
{
    metrics_register(metrics, m->metrics, COUNTS);
}
