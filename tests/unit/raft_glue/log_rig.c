#include "tests/unit/raft_glue/log_rig.h"

#include "base/rng.h"

enum { PATIENCE_US = 60 * 1000 * 1000, SETTLE_US = 2 * 1000 * 1000, PAYLOAD_MAX = 1 << 21 };

static void on_durable(void *ctx, uint64_t index)
{
    struct rig *r = ctx;
    if (r->reports < RIG_REPORTS_MAX) {
        r->durable[r->reports++] = index;
    }
    if (r->on_durable != NULL) {
        r->on_durable(r, index);
    }
}

static void on_failed(void *ctx, const struct error *why)
{
    struct rig *r = ctx;
    r->failures++;
    r->failed = *why;
}

void rig_init(struct rig *r, uint64_t seed)
{
    *r = (struct rig){.sim = sim_new(seed)};
    r->node = sim_node_new(r->sim, "n");
    r->env = sim_node_boot(r->node);
    assert_int_equal(env_make_dir(r->env, "data", &r->error), 0);
    assert_int_equal(env_sync_dir(r->env, "/", &r->error), 0);
    r->config = (struct log_config){
        .env = r->env,
        .dir = "data",
        .cluster = RIG_CLUSTER,
        .segment_bytes = 64 * 1024,
        .cache_bytes = 16 * 1024,
        .first_index = 1,
        .durable = on_durable,
        .failed = on_failed,
        .ctx = r,
    };
}

void rig_close(struct rig *r)
{
    if (r->env != NULL) {
        sim_node_kill(r->node);
    }
    log_close(r->log);
    sim_free(r->sim);
}

int rig_open(struct rig *r)
{
    return log_open(&r->config, &r->log, &r->report, &r->error);
}

void rig_open_ok(struct rig *r)
{
    int rc = rig_open(r);
    if (rc != 0) {
        fail_msg("log_open: %s: %s", error_name(r->error.code), r->error.text);
    }
}

void rig_crash(struct rig *r)
{
    sim_node_crash(r->node);
    log_close(r->log);
    r->log = NULL;
    r->config.env = r->env = sim_node_boot(r->node);
}

void rig_reopen_ok(struct rig *r)
{
    log_close(r->log);
    r->log = NULL;
    rig_settle(r);
    rig_open_ok(r);
}

void rig_payload(uint64_t index, uint64_t term, uint8_t *p, uint32_t len)
{
    struct rng rng;
    rng_init(&rng, index * 1000003 + term);
    rng_fill(&rng, p, len);
}

void rig_append(struct rig *r, uint64_t term, uint32_t len)
{
    static uint8_t payload[PAYLOAD_MAX];
    rig_payload(log_last(r->log) + 1, term, payload, len);
    assert_int_equal(log_append(r->log, term, LOG_COMMANDS, payload, len, &r->error), 0);
}

static bool not_durable(void *ctx)
{
    struct rig *r = ctx;
    return log_durable(r->log) < log_last(r->log) && r->failures == 0;
}

void rig_wait_durable(struct rig *r)
{
    assert_true(sim_run_while(r->sim, not_durable, r, sim_now_us(r->sim) + PATIENCE_US));
}

void rig_append_durable(struct rig *r, uint64_t term, unsigned n, uint32_t len)
{
    for (unsigned i = 0; i < n; i++) {
        rig_append(r, term, len);
    }
    log_flush(r->log);
    rig_wait_durable(r);
}

void rig_settle(struct rig *r)
{
    sim_run_until(r->sim, sim_now_us(r->sim) + SETTLE_US);
}

void rig_expect_entry(struct rig *r, uint64_t index, uint64_t term, uint32_t len)
{
    static uint8_t payload[PAYLOAD_MAX];
    struct log_entry entry;
    if (log_get(r->log, index, &entry, &r->error) != 0) {
        fail_msg("entry %llu: %s", (unsigned long long)index, r->error.text);
    }
    assert_int_equal(entry.index, index);
    assert_int_equal(entry.term, term);
    assert_int_equal(entry.type, LOG_COMMANDS);
    assert_int_equal(entry.len, len);
    rig_payload(index, term, payload, len);
    assert_memory_equal(entry.data, payload, len);
}

struct tally {
    const char *prefix;
    unsigned n;
};

static void tally_name(void *ctx, const char *name)
{
    struct tally *tally = ctx;
    tally->n += strncmp(name, tally->prefix, strlen(tally->prefix)) == 0;
}

unsigned rig_count_files(struct rig *r, const char *prefix)
{
    struct tally tally = {.prefix = prefix};
    assert_int_equal(env_list_dir(r->env, "data/log", tally_name, &tally, &r->error), 0);
    return tally.n;
}

void rig_flip(struct rig *r, const char *name, uint64_t offset, unsigned bit)
{
    char path[256];
    snprintf(path, sizeof path, "data/log/%s", name);
    assert_int_equal(sim_disk_flip(sim_node_disk(r->node), path, offset, bit, &r->error), 0);
}
