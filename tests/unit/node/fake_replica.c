#include "tests/unit/node/fake_replica.h"

#include <unistd.h>

#include "storage/dump.h"
#include "tests/unit/test.h"

/* ---- env ---- */

struct env_timer {
    uv_timer_t timer;
    void (*fire)(void *owner);
    void *owner;
};

static uint64_t now_us(struct env *env)
{
    (void)env;
    return uv_hrtime() / 1000;
}

static uint64_t wall_ms(struct env *env)
{
    (void)env;
    return UINT64_C(1700000000000);
}

static struct env_timer *timer_new(struct env *env, void (*fire)(void *owner), void *owner)
{
    struct replica *r = CONTAINER_OF(env, struct replica, env);
    struct env_timer *t = calloc(1, sizeof *t);
    assert_non_null(t);
    t->fire = fire;
    t->owner = owner;
    uv_timer_init(r->loop, &t->timer);
    return t;
}

static void on_timer(uv_timer_t *timer)
{
    struct env_timer *t = CONTAINER_OF(timer, struct env_timer, timer);
    t->fire(t->owner);
}

static void timer_start(struct env_timer *t, uint64_t at_us)
{
    uint64_t now = uv_hrtime() / 1000;
    uv_timer_start(&t->timer, on_timer, at_us > now ? (at_us - now) / 1000 + 1 : 0, 0);
}

static void on_timer_closed(uv_handle_t *handle)
{
    free(CONTAINER_OF((uv_timer_t *)handle, struct env_timer, timer));
}

static void timer_free(struct env_timer *t)
{
    uv_close((uv_handle_t *)&t->timer, on_timer_closed);
}

static const struct env_ops ops = {.now_us = now_us,
                                   .wall_ms = wall_ms,
                                   .timer_new = timer_new,
                                   .timer_start = timer_start,
                                   .timer_free = timer_free};

/* ---- life ---- */

static uint64_t elapsed_ns(void *ctx)
{
    (void)ctx;
    return uv_hrtime();
}

void fake_replica_open(struct replica *r, uv_loop_t *loop)
{
    struct store_config config = {.readers = 2, .result_max = 8 * 1024 * 1024, .elapsed_ns = elapsed_ns};
    struct error e;

    memset(r, 0, sizeof *r);
    r->env.ops = &ops;
    r->loop = loop;
    if (store_open(&config, &r->store, &e) != 0) {
        fail_msg("%s", e.text);
    }
    uv_mutex_init(&r->writing);
    r->status = (struct replica_status){.id = 1,
                                        .term = 3,
                                        .leader = 1,
                                        .state = "leader",
                                        .cluster_id = {0xab, 0xcd},
                                        .cluster_name = "test",
                                        .incarnation = UINT64_C(0xfedcba9876543210),
                                        .log_first = 1,
                                        .commit = 9,
                                        .ready = true,
                                        .voters = 3,
                                        .count = 3};
    for (unsigned i = 0; i < 3; i++) {
        struct replica_member *m = &r->status.members[i];
        *m = (struct replica_member){.id = i + 1,
                                     .role = ROLE_VOTER,
                                     .wanted = MEMBER_AUTO,
                                     .voter = true,
                                     .leader = i == 0,
                                     .reachable = i != 2};
        snprintf(m->address, sizeof m->address, "10.0.0.%u:4002", i + 1);
        snprintf(m->api_address, sizeof m->api_address, "http://10.0.0.%u:4001", i + 1);
    }
    r->status.members[2].last_heard_ms = 1234;
}

void fake_replica_close(struct replica *r)
{
    store_close(r->store);
    uv_mutex_destroy(&r->writing);
}

/* ---- requests ---- */

struct job {
    uv_work_t work;
    struct replica *replica;
    struct replica_request *request;
    struct replica_wait *wait;
    struct peer_call *call;
    struct replica_take *take;
    struct replica_dump *dump;
    struct replica_change *change;
    struct buf result;
    struct replica_answer answer;
    bool formatted;
};

static void apply(struct job *job)
{
    struct replica *r = job->replica;
    struct store_position at;
    struct batch batch = {.term = 1, .commands = 1, .time_ms = 1700000000000};
    struct buf entry, results;
    struct cursor c;
    struct error e;

    buf_init(&entry, SIZE_MAX);
    buf_init(&results, SIZE_MAX);
    uv_mutex_lock(&r->writing);
    store_position(r->store, &at);
    batch.index = at.index + 1;
    batch_put_header(&entry, &batch);
    buf_put_blob(&entry, job->request->command, job->request->len);
    if (store_apply(r->store, batch.index, 1, entry.data, entry.len, &results, &e) != 0) {
        fail_msg("%s", e.text);
    }
    uv_mutex_unlock(&r->writing);
    c = cursor_of(results.data, results.len);
    c = cursor_blob(&c);
    buf_put_bytes(&job->result, c.p, cursor_left(&c));
    buf_close(&results);
    buf_close(&entry);
    job->answer.index = batch.index;
    job->answer.logged = true;
}

static int put_dump(void *ctx, const void *p, size_t n, struct error *e)
{
    (void)e;
    assert_int_equal(fwrite(p, 1, n, ctx), n);
    return 0;
}

static void dump(struct replica *r, struct replica_dump *d)
{
    FILE *f = fopen(d->path, "wx");
    struct dump_out out = {.put = put_dump, .ctx = f};

    assert_non_null(f);
    store_dump(r->store, d->tables, &out, &d->index, &d->error);
    d->bytes = (uint64_t)ftell(f);
    fclose(f);
    if (d->error.code != Q_OK) {
        unlink(d->path);
    }
}

static void on_lane(uv_work_t *work)
{
    struct job *job = CONTAINER_OF(work, struct job, work);

    if (job->dump != NULL) {
        dump(job->replica, job->dump);
        return;
    }
    struct replica_request *request = job->request;
    struct command command;
    struct error e;
    bool reads;

    if (request == NULL || job->answer.error.code != Q_OK) {
        return;
    }
    assert_int_equal(command_decode(request->command, request->len, &command, &e), 0);
    reads = command_reads(command.op) ||
            (command.op == COMMAND_SQL_REQUEST && store_is_read_only(job->replica->store, &command));
    if (!reads || request->level == READ_STRONG) {
        apply(job);
        return;
    }
    assert_int_equal(store_read(job->replica->store, &command, request->sql_timeout_ms, &job->result,
                                &job->answer.index, &e),
                     0);
    if (request->format != NULL) {
        request->format(request, job->result.data, job->result.len);
        job->formatted = true;
    }
}

static void end_change(struct replica *r, struct replica_change *change)
{
    struct error failed = r->change_fails;

    if (failed.code == Q_OK && r->change_decided != NULL) {
        r->change_decided(r);
    }
    change->done(change, failed.code != Q_OK ? &failed : NULL);
}

static void on_loop(uv_work_t *work, int status)
{
    struct job *job = CONTAINER_OF(work, struct job, work);
    (void)status;
    if (job->take != NULL) {
        job->take->index = job->replica->snapshot_index;
        job->take->term = job->replica->snapshot_term;
        job->take->done(job->take, NULL);
    } else if (job->dump != NULL) {
        job->dump->done(job->dump, job->dump->error.code != Q_OK ? &job->dump->error : NULL);
    } else if (job->change != NULL) {
        end_change(job->replica, job->change);
    } else if (job->call != NULL) {
        job->call->done(job->call, job->call->ended.code != Q_OK ? &job->call->ended : NULL);
    } else if (job->wait != NULL) {
        struct error *failed = &job->replica->wait_failed;
        job->wait->reached(job->wait, failed->code != Q_OK ? failed : NULL);
    } else {
        job->replica->formatted += job->formatted;
        if (!job->formatted && job->answer.error.code == Q_OK) {
            job->answer.result = job->result.data;
            job->answer.len = job->result.len;
        }
        job->request->done(job->request, &job->answer);
    }
    buf_close(&job->result);
    free(job);
}

static struct job *new_job(struct replica *r)
{
    struct job *job = calloc(1, sizeof *job);
    assert_non_null(job);
    job->replica = r;
    buf_init(&job->result, SIZE_MAX);
    return job;
}

void replica_submit(struct replica *r, struct replica_request *request)
{
    struct job *job = new_job(r);
    struct command command;
    struct error e;

    assert_int_equal(command_decode(request->command, request->len, &command, &e), 0);
    r->submitted++;
    r->seen = *request;
    r->seen_op = command.op;
    job->request = request;
    job->answer.error = r->fail;
    job->answer.served_by = r->served_by != 0 ? r->served_by : r->status.id;
    uv_queue_work(r->loop, &job->work, on_lane, on_loop);
}

void replica_status(struct replica *r, struct replica_status *ret_status)
{
    struct store_position at;
    store_position(r->store, &at);
    *ret_status = r->status;
    ret_status->applied = ret_status->log_last = ret_status->log_durable = at.index;
    memcpy(ret_status->digest, at.digest, DIGEST_BYTES);
}

void replica_wait(struct replica *r, struct replica_wait *wait)
{
    struct job *job = new_job(r);
    r->waited_for = wait->index;
    job->wait = wait;
    uv_queue_work(r->loop, &job->work, on_lane, on_loop);
}

static void start_call(struct replica *r, struct peer_call *call)
{
    struct job *job = new_job(r);
    job->call = call;
    uv_queue_work(r->loop, &job->work, on_lane, on_loop);
}

void replica_transfer(struct replica *r, uint64_t to, struct peer_call *call)
{
    call->ended = r->transfer_fails;
    if (call->ended.code == Q_OK) {
        r->transferred_to = to;
        r->status.leader = r->leader_after_transfer != 0 ? r->leader_after_transfer : r->status.leader;
    }
    start_call(r, call);
}

int replica_check(struct replica *r, struct replica_check *check, struct error *e)
{
    if (r->check_fails.code != Q_OK) {
        *e = r->check_fails;
        return (int)e->code;
    }
    check->found = r->checked;
    check->done(check, NULL);
    return 0;
}

void replica_contact(struct replica *r, uint64_t id, struct peer_call *call)
{
    const struct replica_member *m = r->status.members;
    while (m->id != id) {
        m++;
    }
    r->contacted_ms = call->timeout_ms;
    call->elapsed_us = 1500;
    call->ended.code = Q_OK;
    if (!m->reachable) {
        error_set(&call->ended, Q_NO_LEADER, "not connected");
    }
    start_call(r, call);
}

void replica_role(struct replica *r, struct replica_role *ret_role)
{
    *ret_role = (struct replica_role){
        .leads = r->status.leader == r->status.id, .term = r->status.term, .leader = r->status.leader};
}

bool replica_removed(struct replica *r, unsigned i, struct member *ret_member)
{
    bool there = i < sizeof r->removed / sizeof r->removed[0] && r->removed[i].id != 0;

    if (there) {
        *ret_member = r->removed[i];
    }
    return there;
}

void replica_change_member(struct replica *r, struct replica_change *change)
{
    struct job *job = new_job(r);

    r->changes++;
    r->changed = *change;
    change->index = r->change_index;
    job->change = change;
    uv_queue_work(r->loop, &job->work, on_lane, on_loop);
}

int replica_take(struct replica *r, struct replica_take *take, struct error *e)
{
    if (r->take_fails.code != Q_OK) {
        *e = r->take_fails;
        return (int)e->code;
    }
    if (r->take_hangs) {
        r->hanging = take;
    } else {
        struct job *job = new_job(r);
        job->take = take;
        uv_queue_work(r->loop, &job->work, on_lane, on_loop);
    }
    return 0;
}

int replica_dump(struct replica *r, struct replica_dump *d, struct error *e)
{
    struct job *job = new_job(r);

    (void)e;
    d->error.code = Q_OK;
    job->dump = d;
    uv_queue_work(r->loop, &job->work, on_lane, on_loop);
    return 0;
}

void fake_replica_end_takes(struct replica *r)
{
    struct error e;

    if (r->hanging != NULL) {
        error_set(&e, Q_CLOSED, "the node stops");
        r->hanging->done(r->hanging, &e);
        r->hanging = NULL;
    }
}

bool replica_touch_snapshot(struct replica *r, uint64_t index, uint64_t term)
{
    r->touched++;
    return index == r->snapshot_index && term == r->snapshot_term;
}

const char *replica_snapshot_dir(const struct replica *r)
{
    return r->snapshot_dir;
}

void replica_snapshot_damaged(struct replica *r, uint64_t index, uint64_t term,
                              const struct chunk_name *chunk, const struct error *why)
{
    (void)index;
    (void)term;
    (void)why;
    r->damaged++;
    r->damaged_chunk = chunk != NULL;
}
