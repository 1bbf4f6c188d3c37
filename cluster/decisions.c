#include "cluster/decisions.h"

#include <stdlib.h>

#include "base/object.h"
#include "storage/command.h"
#include "storage/result.h"

enum { DECISIONS_MAGIC = 0x51c0de21, COMMAND_MAX = 4096 };

struct decisions {
    OBJECT_MAGIC;
    struct decisions_config config;
    struct list waiting; /* struct decision; the first one may be running */
    struct env_timer *soon;
};

static void on_soon(void *owner)
{
    decisions_poll(CAST(struct decisions, owner, DECISIONS_MAGIC));
}

static void soon(struct decisions *ds)
{
    env_timer_start(ds->config.env, ds->soon, 0);
}

/* Takes D out; its memory may be gone afterwards. */
static void end(struct decision *d, const struct error *failed)
{
    struct decisions *ds = d->owner;

    list_remove(&d->link);
    buf_close(&d->bytes);
    soon(ds);
    d->done(d, failed);
}

static void on_written(struct batcher_command *writing, const struct batcher_answer *answer)
{
    struct decision *d = CONTAINER_OF(writing, struct decision, writing);
    struct cursor c = cursor_of(answer->result, answer->len);
    enum result_kind kind;
    struct error failed = answer->error, e;

    if (failed.code == Q_OK && result_decode(&c, &kind, &failed, &e) != 0) {
        failed = e;
    }
    d->index = answer->index;
    end(d, failed.code != Q_OK ? &failed : NULL);
}

static int write(struct decision *d, const struct member_change *changes, unsigned count, struct error *e)
{
    buf_init(&d->bytes, COMMAND_MAX);
    command_put_member(&d->bytes, changes, count);
    if (buf_check(&d->bytes, "a change of the members", e)) {
        return (int)e->code;
    }
    d->writing = (struct batcher_command){.bytes = d->bytes.data, .len = d->bytes.len, .done = on_written};
    return batcher_push(d->owner->config.batcher, &d->writing, e);
}

/* RET_RUNNING: it is on its way into the log, and is heard of again. */
static int decide(struct decision *d, const struct steward_view *view, bool *ret_running, struct error *e)
{
    struct wish_plan plan = {.count = 1, .changes = {d->change}, .id = d->change.id};

    if (d->count == 0 && wish_grant(view, &d->wish, &plan, e) != 0) {
        return (int)e->code;
    }
    d->member = plan.id;
    d->index = plan.changed;
    if (plan.count == 0) {
        return 0;
    }
    *ret_running = true;
    return write(d, plan.changes, plan.count, e);
}

void decisions_poll(struct decisions *ds)
{
    const struct steward_view *view;
    bool running = false;
    struct error e;

    while (!list_empty(&ds->waiting) && !running) {
        struct decision *d = CONTAINER_OF(ds->waiting.next, struct decision, link);

        if (d->running) {
            return;
        }
        int rv = ds->config.look(ds->config.ctx, &d->wish, &view, &e);
        if (rv == Q_BUSY && env_now_ms(ds->config.env) < d->deadline_ms) {
            return;
        }
        rv = rv == 0 ? decide(d, view, &running, &e) : rv;
        running = running && rv == 0;
        d->running = running;
        if (!running) {
            end(d, rv != 0 ? &e : NULL);
        }
    }
    if (running) {
        ds->config.pushed(ds->config.ctx);
    }
}

void decisions_push(struct decisions *ds, struct decision *d)
{
    d->owner = ds;
    d->running = false;
    buf_init(&d->bytes, COMMAND_MAX);
    list_push(&ds->waiting, &d->link);
    soon(ds);
}

void decisions_forget(struct decision *d)
{
    if (d->running) {
        batcher_forget(d->owner->config.batcher, &d->writing);
    }
    list_remove(&d->link);
    buf_close(&d->bytes);
}

int decisions_new(const struct decisions_config *config, struct decisions **ret_decisions, struct error *e)
{
    struct decisions *ds = calloc(1, sizeof *ds);

    if (ds != NULL) {
        ds->soon = env_timer_new(config->env, on_soon, ds);
    }
    if (ds == NULL || ds->soon == NULL) {
        free(ds);
        return error_set(e, Q_NOMEM, "out of memory for decisions");
    }
    ds->magic = DECISIONS_MAGIC;
    ds->config = *config;
    list_init(&ds->waiting);
    *ret_decisions = ds;
    return 0;
}

void decisions_free(struct decisions *ds)
{
    if (ds == NULL) {
        return;
    }
    LIST_EACH_SAFE (&ds->waiting, item) {
        decisions_forget(CONTAINER_OF(item, struct decision, link));
    }
    env_timer_free(ds->config.env, ds->soon);
    ds->magic = 0;
    free(ds);
}
