#include "tests/fuzz/door.h"

#include <string.h>

#include "cluster/replica.h"
#include "storage/result.h"
#include "tests/fuzz/fake_uv.h"
#include "tests/fuzz/target.h"

enum { PENDING_MAX = 64, RESULT_MAX = 4096, GRACE_MS = 1000 };

/* Something that waits for its answer: one of the four. */
struct pending {
    struct replica_request *request;
    struct replica_wait *wait;
    struct peer_call *call;
    struct replica_change *change;
    unsigned number;
};

struct replica {
    struct env env;
    struct cursor choices;
    struct pending pending[PENDING_MAX];
    unsigned count, submitted;
};

static struct replica fake;

/* ---- env ---- */

struct env_timer {
    uv_timer_t timer;
    void (*fire)(void *owner);
    void *owner;
};

static uint64_t now_us(struct env *env)
{
    (void)env;
    return fake_uv_now_ms() * 1000;
}

static uint64_t wall_ms(struct env *env)
{
    (void)env;
    return UINT64_C(1700000000000) + fake_uv_now_ms();
}

static struct env_timer *timer_new(struct env *env, void (*fire)(void *owner), void *owner)
{
    struct env_timer *t = calloc(1, sizeof *t);

    (void)env;
    FUZZ_CHECK(t != NULL, "there is memory");
    t->fire = fire;
    t->owner = owner;
    uv_timer_init(fake_uv_loop(), &t->timer);
    return t;
}

static void on_timer(uv_timer_t *timer)
{
    struct env_timer *t = CONTAINER_OF(timer, struct env_timer, timer);
    t->fire(t->owner);
}

static void timer_start(struct env_timer *t, uint64_t at_us)
{
    uint64_t now = now_us(NULL);
    uv_timer_start(&t->timer, on_timer, at_us > now ? (at_us - now) / 1000 + 1 : 0, 0);
}

static void timer_stop(struct env_timer *t)
{
    uv_timer_stop(&t->timer);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_timer_t *)handle, struct env_timer, timer));
}

static void timer_free(struct env_timer *t)
{
    if (t != NULL) {
        uv_close((uv_handle_t *)&t->timer, on_timer_closed);
    }
}

static const struct env_ops ops = {.now_us = now_us,
                                   .wall_ms = wall_ms,
                                   .timer_new = timer_new,
                                   .timer_start = timer_start,
                                   .timer_stop = timer_stop,
                                   .timer_free = timer_free};

/* ---- the replica ---- */

static struct pending *add_pending(void)
{
    struct pending *p = &fake.pending[fake.count++];

    FUZZ_CHECK(fake.count < PENDING_MAX, "the door lets in only so many");
    *p = (struct pending){.number = fake.submitted++};
    return p;
}

void replica_submit(struct replica *r, struct replica_request *request)
{
    struct command command;

    (void)r;
    FUZZ_CHECK(command_decode(request->command, request->len, &command, NULL) == 0, "a command is checked");
    add_pending()->request = request;
}

void replica_wait(struct replica *r, struct replica_wait *wait)
{
    (void)r;
    add_pending()->wait = wait;
}

void replica_transfer(struct replica *r, uint64_t to, struct peer_call *call)
{
    (void)r;
    (void)to;
    add_pending()->call = call;
}

void replica_contact(struct replica *r, uint64_t id, struct peer_call *call)
{
    (void)r;
    FUZZ_CHECK(id >= 1 && id <= 3, "only a member is asked");
    add_pending()->call = call;
}

void replica_change_member(struct replica *r, struct replica_change *change)
{
    (void)r;
    FUZZ_CHECK(change->id >= 1 && change->id <= INT64_MAX, "a member's id is one");
    FUZZ_CHECK(change->with != change->id, "nobody takes its own place");
    FUZZ_CHECK(memchr(change->address, 0, sizeof change->address) != NULL, "an address ends");
    add_pending()->change = change;
}

/* Images of the database are files, of which there are none here. */
int replica_take(struct replica *r, struct replica_take *take, struct error *e)
{
    (void)r;
    (void)take;
    return error_set(e, Q_INVALID, "the database is in memory");
}

int replica_dump(struct replica *r, struct replica_dump *dump, struct error *e)
{
    (void)r;
    (void)dump;
    return error_set(e, Q_CLOSED, "there is no disk");
}

bool replica_touch_snapshot(struct replica *r, uint64_t index, uint64_t term)
{
    (void)r;
    (void)index;
    (void)term;
    return false;
}

void replica_snapshot_damaged(struct replica *r, uint64_t index, uint64_t term,
                              const struct chunk_name *chunk, const struct error *why)
{
    (void)r;
    (void)index;
    (void)term;
    (void)chunk;
    (void)why;
}

const char *replica_snapshot_dir(const struct replica *r)
{
    (void)r;
    return NULL;
}

void replica_role(struct replica *r, struct replica_role *ret_role)
{
    (void)r;
    *ret_role = (struct replica_role){.leads = true, .term = 3, .leader = 1};
}

bool replica_removed(struct replica *r, unsigned i, struct member *ret_member)
{
    (void)r;
    if (i == 0) {
        *ret_member = (struct member){.id = 9, .address = "10.0.0.9:4002", .state = MEMBER_REMOVED};
    }
    return i == 0;
}

int replica_check(struct replica *r, struct replica_check *check, struct error *e)
{
    (void)r;
    (void)check;
    return error_set(e, Q_BUSY, "the database is being checked already");
}

void replica_status(struct replica *r, struct replica_status *ret_status)
{
    (void)r;
    *ret_status = (struct replica_status){.id = 1,
                                          .term = 3,
                                          .leader = 1,
                                          .state = "leader",
                                          .cluster_name = "fuzz",
                                          .incarnation = 7,
                                          .log_first = 1,
                                          .commit = 9,
                                          .ready = true,
                                          .fence_reason = "",
                                          .shipment = {.role = "", .state = ""},
                                          .voters = 3,
                                          .count = 3};
    for (unsigned i = 0; i < 3; i++) {
        struct replica_member *m = &ret_status->members[i];
        m->id = i + 1;
        m->role = ROLE_VOTER;
        m->wanted = i == 2 ? MEMBER_LEAVING : MEMBER_AUTO;
        m->voter = m->reachable = true;
        m->role = ROLE_VOTER;
        m->wanted = MEMBER_AUTO;
        m->leader = i == 0;
        snprintf(m->address, sizeof m->address, "10.0.0.%u:4002", i + 1);
        snprintf(m->api_address, sizeof m->api_address, "http://10.0.0.%u:4001", i + 1);
    }
}

static void put_rows(struct buf *b)
{
    struct value value = {.type = VALUE_TEXT, .bytes = cursor_of("v\xc3\xa9\n", 4)};
    size_t at = result_put_rows(b, 1);

    buf_put_blob(b, "c\"", 2);
    buf_put_blob(b, "text", 4);
    buf_put_u8(b, 1);
    value_put(b, &value);
    buf_put_u8(b, 0);
    result_set_elapsed(b, at, 1000);
}

/* One that fits the command. */
static void put_result(struct buf *b, const struct command *command)
{
    switch (command->op) {
    case COMMAND_SQL_EXECUTE:
    case COMMAND_SQL_QUERY:
    case COMMAND_SQL_REQUEST:
        result_put_header(b, RESULT_SQL);
        put_rows(b);
        result_put_write(b, 5, 1, 1);
        result_put_statement_error(b, 5, "no such table: t");
        break;
    case COMMAND_KV_PUT:
    case COMMAND_KV_DELETE:
        result_put_header(b, command->op == COMMAND_KV_PUT ? RESULT_KV_PUT : RESULT_KV_DELETE);
        buf_put_u8(b, command->kv.condition != KV_IF_ABSENT);
        buf_put_u64(b, 4);
        break;
    case COMMAND_KV_GET:
        result_put_header(b, RESULT_KV_GET);
        buf_put_u8(b, 1);
        buf_put_u64(b, 4);
        buf_put_blob(b, "value", 5);
        break;
    case COMMAND_KV_LIST:
        result_put_header(b, RESULT_KV_LIST);
        for (unsigned i = 0; i < 2; i++) {
            buf_put_u8(b, 1);
            buf_put_blob(b, i == 0 ? "key" : "\xff", i == 0 ? 3 : 1);
            buf_put_u64(b, 4);
            buf_put_u8(b, command->kv.with_values);
            buf_put_blob(b, "value", command->kv.with_values ? 5 : 0);
        }
        buf_put_u8(b, 0);
        buf_put_u8(b, 1);
        break;
    case COMMAND_LOAD:
    case COMMAND_MEMBER: break; /* no door lets it in */
    }
}

static void choose_error(unsigned number, struct error *ret_error)
{
    size_t n = cursor_left(&fake.choices);
    uint8_t choice = n > 0 ? fake.choices.p[number % n] : 0;

    if (choice > Q_OK && choice < Q_CODES) {
        error_set(ret_error, (enum error_code)choice, "it \"failed\"");
    }
}

static void answer_request(struct replica_request *request, const struct error *error, uint64_t index)
{
    struct replica_answer answer = {.error = *error, .index = index, .served_by = 1};
    struct command command;
    struct buf result;

    buf_init(&result, RESULT_MAX);
    if (error->code == Q_OK) {
        command_decode(request->command, request->len, &command, NULL);
        put_result(&result, &command);
        answer.logged = !command_reads(command.op);
        if (request->format != NULL && !answer.logged) {
            request->format(request, result.data, result.len);
        } else {
            answer.result = result.data;
            answer.len = result.len;
        }
    }
    request->done(request, &answer);
    buf_close(&result);
}

unsigned door_pending(void)
{
    return fake.count;
}

void door_answer(unsigned which)
{
    struct pending p = fake.pending[which];
    struct error error = {.code = Q_OK};

    memmove(&fake.pending[which], &fake.pending[which + 1], (--fake.count - which) * sizeof fake.pending[0]);
    choose_error(p.number, &error);
    if (p.request != NULL) {
        answer_request(p.request, &error, p.number + 10);
    } else if (p.wait != NULL) {
        p.wait->reached(p.wait, error.code != Q_OK ? &error : NULL);
    } else if (p.change != NULL) {
        p.change->done(p.change, error.code != Q_OK ? &error : NULL);
    } else {
        p.call->done(p.call, error.code != Q_OK ? &error : NULL);
    }
    fake_uv_settle();
}

/* ---- life ---- */

void door_open(struct door *d, struct cursor choices, size_t memory)
{
    struct api_config config = {
        .replica = &fake, .metrics = &d->metrics, .env = &fake.env, .command_max = 65536};
    struct http_server_config server = {.loop = fake_uv_loop(),
                                        .address = "127.0.0.1:0",
                                        .gate = api_gate,
                                        .prepare = api_prepare,
                                        .connections_max = 4,
                                        .pipeline_max = 4,
                                        .head_max = 2048,
                                        .body_max = 8192,
                                        .output_max = 65536,
                                        .memory_max = memory,
                                        .head_ms = 5000,
                                        .body_ms = 5000,
                                        .idle_ms = 5000,
                                        .write_ms = 5000};
    struct error e;

    fake_uv_begin();
    fake = (struct replica){.env.ops = &ops, .choices = choices};
    metrics_init(&d->metrics);
    FUZZ_CHECK(api_new(&config, &d->api, &e) == 0, e.text);
    server.ctx = d->api;
    server.routes = api_routes(&server.route_count);
    FUZZ_CHECK(http_server_open(&server, &d->server, &e) == 0, e.text);
}

void door_close(struct door *d)
{
    http_server_close(d->server, GRACE_MS, NULL);
    while (fake.count > 0) {
        door_answer(0);
    }
    fake_uv_settle();
    /* Handlers that wait for time, then the connection's grace. */
    for (unsigned i = 0; i < 100 && !fake_uv_is_idle(); i++) {
        fake_uv_advance(GRACE_MS);
        while (fake.count > 0) {
            door_answer(0);
        }
    }
    FUZZ_CHECK(fake_uv_is_idle(), "the server ends");
    api_free(d->api);
}
