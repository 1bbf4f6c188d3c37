#include "cluster/compactor.h"

#include <stdlib.h>

#include "base/object.h"
#include "base/plant.h"

enum { COMPACTOR_MAGIC = 0x51c0de07 };

struct compactor {
    OBJECT_MAGIC;
    struct compactor_config config;
    struct env_work work;
    bool busy, failed, held;
    bool no_room;        /* the last checkpoint failed for want of it */
    uint64_t durable;    /* what the database is known to hold durably */
    uint64_t floor;      /* when the checkpoint was started */
    uint64_t last_bytes; /* of log at the last attempt, or less if there was less since: a floor that does not
                            move costs no checkpoints */
    bool last;           /* the checkpoint that is under way was started to be the last one */
    struct error error;
    void (*finished)(void *ctx);
    void *finished_ctx;
};

static void checkpoint_on_lane(struct env_work *work)
{
    struct compactor *c = CONTAINER_OF(work, struct compactor, work);
    c->failed = store_checkpoint(c->config.store, &c->durable, &c->error) != 0;
}

/* The entries behind it take at most BYTES. */
static uint64_t before_last(struct compactor *c, uint64_t bytes)
{
    return consensus_index_within(c->config.consensus, bytes) - 1;
}

/* What nobody needs any more, or costs too much to keep. */
static uint64_t spare_index(struct compactor *c)
{
    uint64_t limit = c->config.limit(c->config.ctx), last = c->config.last(c->config.ctx);
    uint64_t spare = c->floor < limit ? c->floor : limit;

    if (consensus_log_bytes(c->config.consensus) > c->config.keep_bytes) {
        uint64_t within = before_last(c, c->config.keep_bytes);
        if (limit < within) {
            uint64_t most = before_last(c, 2 * c->config.keep_bytes);
            within = most > limit ? most : limit;
        }
        spare = within > spare ? within : spare;
    }
    return spare < last ? spare : last;
}

static void compact(struct compactor *c)
{
    uint64_t spare = spare_index(c);
    uint64_t index = c->durable < spare || PLANTED("compaction_waits_for_nobody") ? c->durable : spare;
    uint64_t applicable = consensus_applicable(c->config.consensus);
    struct error e;

    if (PLANTED("compaction_goes_one_too_far")) {
        index++;
    }
    index = index < applicable ? index : applicable;
    if (index > consensus_compacted_index(c->config.consensus) &&
        consensus_compact(c->config.consensus, index, index + 1, &e) == 0) {
        c->config.done(c->config.ctx, index, NULL);
    }
    c->last_bytes = consensus_log_bytes(c->config.consensus);
}

static void start(struct compactor *c)
{
    c->busy = true;
    c->last = c->finished != NULL;
    c->work = (struct env_work){.run = checkpoint_on_lane, .done = c->work.done, .lane = ENV_WORKER};
    env_run(c->config.env, &c->work);
}

static void checkpoint_done(struct env_work *work)
{
    struct compactor *c = CAST(struct compactor, CONTAINER_OF(work, struct compactor, work), COMPACTOR_MAGIC);

    c->busy = false;
    c->no_room = c->failed && c->error.code == Q_NO_SPACE;
    if (c->failed && !c->no_room) {
        c->config.done(c->config.ctx, 0, &c->error);
    } else if (!c->failed && c->finished == NULL) {
        compact(c);
    }
    if (c->finished != NULL && !c->last && !c->failed && !PLANTED("last_checkpoint_is_the_one_under_way")) {
        start(c); /* what was applied meanwhile is not in this one */
    } else if (c->finished != NULL) {
        c->finished(c->finished_ctx);
    }
}

int compactor_new(const struct compactor_config *config, struct compactor **ret_compactor, struct error *e)
{
    struct compactor *c = calloc(1, sizeof *c);
    if (c == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for the compactor");
    }
    c->magic = COMPACTOR_MAGIC;
    c->config = *config;
    c->work.done = checkpoint_done;
    *ret_compactor = c;
    return 0;
}

void compactor_free(struct compactor *c)
{
    if (c != NULL) {
        c->magic = 0;
        free(c);
    }
}

void compactor_poll(struct compactor *c, uint64_t applied, uint64_t floor)
{
    uint64_t bytes = consensus_log_bytes(c->config.consensus);
    bool due;

    c->last_bytes = bytes < c->last_bytes ? bytes : c->last_bytes;
    due = bytes - c->last_bytes >= c->config.log_bytes ||
          store_wal_bytes(c->config.store) >= c->config.wal_bytes;

    if (!c->busy && !c->held && !c->no_room && c->finished == NULL && due && applied > 0) {
        c->floor = floor;
        start(c);
    }
}

void compactor_hold(struct compactor *c, bool held)
{
    c->held = held;
}

bool compactor_lacks_room(const struct compactor *c)
{
    return c->no_room;
}

void compactor_make_room(struct compactor *c, uint64_t floor)
{
    if (!c->busy && !c->held && c->finished == NULL && c->config.log_bytes != UINT64_MAX) {
        c->floor = floor;
        start(c);
    }
}

void compactor_finish(struct compactor *c, void (*finished)(void *ctx), void *ctx)
{
    c->finished = finished;
    c->finished_ctx = ctx;
    if (!c->busy) {
        start(c);
    }
}
