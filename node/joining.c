#include "node/joining.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"
#include "cluster/cluster_id.h"
#include "node/birth.h"

enum { JOINING_MAGIC = 0x4a4f494e };

struct joining {
    OBJECT_MAGIC;
    const struct joining_config *config;
    struct join *join; /* NULL before and after */
    struct env_timer *timer;
    uv_poll_t cancel;
    bool watched; /* cancel is a handle of the loop */
    bool over;
    uint64_t began_ms;
    struct join_answer answer;
    struct error failed; /* Q_OK: answered */
};

static void say(const struct joining *j, const char *format, ...) __attribute__((format(printf, 2, 3)));

static void say(const struct joining *j, const char *format, ...)
{
    char line[ERROR_TEXT_MAX + 256];
    va_list args;

    va_start(args, format);
    vsnprintf(line, sizeof line, format, args);
    va_end(args);
    j->config->log(j->config->ctx, line);
}

/* ---- what happens while it waits ---- */

static void on_say(void *owner)
{
    struct joining *j = CAST(struct joining, owner, JOINING_MAGIC);
    struct env *env = j->config->env;

    if (j->join != NULL) {
        say(j, "join_waiting ms=%" PRIu64 " why=\"%s\"", env_now_ms(env) - j->began_ms,
            join_trouble(j->join));
        env_timer_start(env, j->timer, env_now_us(env) + j->config->say_ms * 1000);
    }
}

static void on_done(void *ctx, const struct join_answer *answer, const struct error *failed)
{
    struct joining *j = CAST(struct joining, ctx, JOINING_MAGIC);

    if (failed != NULL) {
        j->failed = *failed;
    } else {
        j->answer = *answer;
    }
    join_free(j->join);
    j->join = NULL;
    j->over = true;
}

static void on_join_closed(void *ctx)
{
    struct joining *j = CAST(struct joining, ctx, JOINING_MAGIC);
    j->over = true;
}

static void on_cancel(uv_poll_t *poll, int status, int events)
{
    struct joining *j = CAST(struct joining, poll->data, JOINING_MAGIC);
    (void)status;
    (void)events;

    uv_poll_stop(poll);
    if (j->join != NULL) {
        error_set(&j->failed, Q_CLOSED, "given up before a member of the cluster has let this machine in");
        join_close(j->join, on_join_closed);
        j->join = NULL;
    }
}

/* ---- from question to answer ---- */

static void put_ask(const struct joining_config *config, uint64_t incarnation, struct join_ask *ask)
{
    const struct replica_config *r = &config->settings->replica;
    char semantics[CLUSTER_SEMANTICS_MAX];

    memset(ask, 0, sizeof *ask);
    cluster_semantics(r->foreign_keys, r->instructions_max, semantics);
    ask->id = r->id;
    ask->incarnation = PLANTED("who_asks_is_nobody") ? 1 : incarnation;
    ask->replaces = config->settings->replaces;
    snprintf(ask->address, sizeof ask->address, "%s", r->advertise);
    snprintf(ask->api_address, sizeof ask->api_address, "%s", config->api_address);
    snprintf(ask->cluster_name, sizeof ask->cluster_name, "%s", r->cluster_name);
    snprintf(ask->semantics, sizeof ask->semantics, "%s", semantics);
}

static int start(struct joining *j, uint64_t incarnation, struct error *e)
{
    const struct joining_config *config = j->config;
    const struct settings *settings = config->settings;
    const char *addresses[SETTINGS_JOIN_MAX];
    struct join_ask ask;
    struct join_config join = {
        .env = config->env,
        .addresses = addresses,
        .count = settings->joins,
        .secret = settings->secret,
        .secret_len = settings->replica.secret_len,
        .ask = &ask,
        .deadline_ms = config->timeout_ms != 0 ? j->began_ms + config->timeout_ms : UINT64_MAX,
        .done = on_done,
        .ctx = j,
    };
    int rv;

    put_ask(config, incarnation, &ask);
    for (unsigned i = 0; i < settings->joins; i++) {
        addresses[i] = settings->join[i];
    }
    say(j, "join_asking members=%u first=%s address=%s id=%" PRIu64 " replaces=%" PRIu64, settings->joins,
        settings->join[0], ask.address, ask.id, ask.replaces);
    rv = join_new(&join, &j->join, e);
    if (rv == 0) {
        env_timer_start(config->env, j->timer, env_now_us(config->env) + config->say_ms * 1000);
    }
    return rv;
}

static int watch(struct joining *j, struct error *e)
{
    j->timer = env_timer_new(j->config->env, on_say, j);
    if (j->timer == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for joining");
    }
    if (j->config->cancel_fd >= 0) {
        if (uv_poll_init(j->config->loop, &j->cancel, j->config->cancel_fd) != 0) {
            return error_set(e, Q_IO, "the wish to give up cannot be watched");
        }
        j->cancel.data = j;
        j->watched = true;
        uv_poll_start(&j->cancel, UV_READABLE, on_cancel);
    }
    return 0;
}

static void on_cancel_closed(uv_handle_t *handle)
{
    free(CAST(struct joining, handle->data, JOINING_MAGIC));
}

/* The loop runs on after this, and closes what it holds. */
static void joining_free(struct joining *j)
{
    env_timer_free(j->config->env, j->timer);
    if (j->watched) {
        uv_close((uv_handle_t *)&j->cancel, on_cancel_closed);
    } else {
        free(j);
    }
}

int joining_run(const struct joining_config *config, struct join_answer *ret_answer,
                uint64_t *ret_incarnation, struct error *e)
{
    struct joining *j = calloc(1, sizeof *j);
    uint64_t incarnation;
    int rv;

    if (j == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for joining");
    }
    j->magic = JOINING_MAGIC;
    j->config = config;
    j->began_ms = env_now_ms(config->env);
    rv = birth_take(config->env, config->settings->replica.dir, &incarnation, e);
    if (rv == 0) {
        rv = watch(j, e);
    }
    if (rv == 0) {
        rv = start(j, incarnation, e);
    }
    while (rv == 0 && !j->over) {
        uv_run(config->loop, UV_RUN_ONCE);
    }
    if (rv == 0 && j->failed.code != Q_OK) {
        rv = error_set(e, j->failed.code, "%s", j->failed.text);
    }
    if (rv == 0) {
        say(j, "joined id=%" PRIu64 " cluster=%s members=%u ms=%" PRIu64, j->answer.id,
            j->answer.cluster_name, j->answer.count, env_now_ms(config->env) - j->began_ms);
        *ret_answer = j->answer;
        *ret_incarnation = incarnation;
    }
    joining_free(j);
    return rv;
}
