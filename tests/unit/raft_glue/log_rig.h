/* log_rig: a durable log on a simulated node, and what its callbacks said. */
#ifndef QUORATE_TESTS_LOG_RIG_H
#define QUORATE_TESTS_LOG_RIG_H

#include "raft_glue/log.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { RIG_REPORTS_MAX = 4096, RIG_CLUSTER = 77 };

struct rig {
    struct sim *sim;
    struct sim_node *node;
    struct env *env;
    struct log *log;
    struct log_config config; /* for the next rig_open(); reasonable from the start */
    struct log_report report;
    struct error error;

    uint64_t durable[RIG_REPORTS_MAX]; /* as it was reported, in this order */
    unsigned reports;
    void (*on_durable)(struct rig *r, uint64_t index);
    void *on_durable_ctx;
    unsigned failures;
    struct error failed;
};

/* A booted node with the directory "data", no log yet. */
void rig_init(struct rig *r, uint64_t seed);
void rig_close(struct rig *r);

int rig_open(struct rig *r);
void rig_open_ok(struct rig *r);
/* Power loss, then a fresh process without a log. */
void rig_crash(struct rig *r);
/* Orderly close and open in the same process. */
void rig_reopen_ok(struct rig *r);

/* Appends LEN bytes that depend on INDEX and TERM. */
void rig_append(struct rig *r, uint64_t term, uint32_t len);
/* N entries of the term, flushed at once and waited for. */
void rig_append_durable(struct rig *r, uint64_t term, unsigned n, uint32_t len);
/* Until everything in the log is durable. */
void rig_wait_durable(struct rig *r);
/* Lets everything that is under way end, but for what repeats. */
void rig_settle(struct rig *r);
/* The entry is there, of this term, with its bytes. */
void rig_expect_entry(struct rig *r, uint64_t index, uint64_t term, uint32_t len);
void rig_payload(uint64_t index, uint64_t term, uint8_t *p, uint32_t len);

unsigned rig_count_files(struct rig *r, const char *prefix);
/* Flips a bit of a file in data/log. */
void rig_flip(struct rig *r, const char *name, uint64_t offset, unsigned bit);

#endif
