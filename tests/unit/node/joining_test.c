/* A new machine asks until it is answered: what it asks, what becomes of the answer, and that it can be told
 * to give up. The other side is played by a join.h of this file. */
#include "node/joining.h"

#include <unistd.h>

#include "node/birth.h"
#include "node/env/env_uv.h"
#include "tests/unit/node/scratch.h"

#define SECRET "correct horse battery staple"

/* ---- the other side ---- */

struct join {
    struct join_config config;
    struct env_timer *timer;
    void (*closed)(void *ctx);
};

static struct {
    struct join_ask asked;
    char first[PEERS_ADDRESS_MAX + 1];
    unsigned count, times;
    uint64_t deadline_ms, asked_ms;
    struct join_answer answer;
    struct error failed; /* instead of the answer, if its code is not Q_OK */
    uint64_t after_ms;   /* UINT64_MAX: never */
    bool closed;
} other;

static void on_timer(void *owner)
{
    struct join *j = owner;

    if (j->closed != NULL) {
        void (*closed)(void *) = j->closed;
        void *ctx = j->config.ctx;
        join_free(j);
        closed(ctx);
        return;
    }
    j->config.done(j->config.ctx, &other.answer, other.failed.code != Q_OK ? &other.failed : NULL);
}

int join_new(const struct join_config *config, struct join **ret_join, struct error *e)
{
    struct join *j = calloc(1, sizeof *j);
    (void)e;

    assert_non_null(j);
    j->config = *config;
    j->timer = env_timer_new(config->env, on_timer, j);
    other.asked = *config->ask;
    other.count = config->count;
    other.times++;
    other.deadline_ms = config->deadline_ms;
    other.asked_ms = env_now_ms(config->env);
    snprintf(other.first, sizeof other.first, "%s", config->addresses[0]);
    assert_int_equal(config->secret_len, strlen(SECRET));
    assert_memory_equal(config->secret, SECRET, config->secret_len);
    if (other.after_ms != UINT64_MAX) {
        env_timer_start(config->env, j->timer, env_now_us(config->env) + other.after_ms * 1000);
    }
    *ret_join = j;
    return 0;
}

const char *join_trouble(const struct join *j)
{
    (void)j;
    return "nobody is there";
}

void join_close(struct join *j, void (*closed)(void *ctx))
{
    other.closed = true;
    j->closed = closed;
    env_timer_start(j->config.env, j->timer, env_now_us(j->config.env));
}

void join_free(struct join *j)
{
    env_timer_free(j->config.env, j->timer);
    free(j);
}

/* ---- this side ---- */

struct scene {
    struct scratch scratch;
    uv_loop_t loop;
    struct env_uv *env;
    struct options o;
    struct settings settings;
    struct joining_config config;
    struct join_answer answer;
    uint64_t incarnation;
    struct error e;
    char said[4096];
};

static void on_log(void *ctx, const char *line)
{
    struct scene *s = ctx;
    size_t n = strlen(s->said);
    snprintf(s->said + n, sizeof s->said - n, "%s\n", line);
}

static void set(struct scene *s, const char *name, const char *value)
{
    if (options_set(&s->o, name, value, FROM_FLAG, &s->e) != 0) {
        fail_msg("%s", s->e.text);
    }
}

static int set_up(void **state)
{
    static struct scene s;
    struct env_uv_config config = {.loop = &s.loop, .readers = 1, .no_io_uring = true};

    memset(&s, 0, sizeof s);
    memset(&other, 0, sizeof other);
    scratch_open(&s.scratch);
    options_init(&s.o);
    set(&s, "dir", s.scratch.dir);
    set(&s, "secret", SECRET);
    set(&s, "join", "a.example:7001,b.example:7001");
    set(&s, "listen", "10.0.0.4:7001");
    assert_int_equal(uv_loop_init(&s.loop), 0);
    assert_int_equal(env_uv_new(&config, &s.env, &s.e), 0);
    s.config = (struct joining_config){.loop = &s.loop,
                                       .env = env_uv_env(s.env),
                                       .settings = &s.settings,
                                       .api_address = "http://10.0.0.4:4001",
                                       .say_ms = 60000,
                                       .cancel_fd = -1,
                                       .log = on_log,
                                       .ctx = &s};
    *state = &s;
    return 0;
}

static void on_env_closed(void *owner)
{
    (void)owner;
}

static int tear_down(void **state)
{
    struct scene *s = *state;

    env_uv_close(s->env, on_env_closed, s);
    uv_run(&s->loop, UV_RUN_DEFAULT);
    assert_int_equal(uv_loop_close(&s->loop), 0); /* nothing is left in it */
    options_close(&s->o);
    scratch_close(&s->scratch);
    return 0;
}

static int run(struct scene *s)
{
    if (settings_make(&s->o, &s->settings, &s->e) != 0) {
        fail_msg("%s", s->e.text);
    }
    return joining_run(&s->config, &s->answer, &s->incarnation, &s->e);
}

static void a_machine_says_who_and_where_it_is_and_gets_the_answer(void **state)
{
    struct scene *s = *state;

    other.answer.id = 4;
    other.answer.count = 4;
    set(s, "replace", "3");
    set(s, "cluster-name", "orders");
    set(s, "foreign-keys", "on");
    assert_int_equal(run(s), 0);

    assert_int_equal(s->answer.id, 4);
    assert_int_equal(other.count, 2);
    assert_string_equal(other.first, "a.example:7001");
    assert_int_equal(other.asked.id, 0);
    assert_int_equal(other.asked.replaces, 3);
    assert_string_equal(other.asked.address, "10.0.0.4:7001");
    assert_string_equal(other.asked.api_address, "http://10.0.0.4:4001");
    assert_string_equal(other.asked.cluster_name, "orders");
    assert_string_equal(other.asked.semantics, "foreign-keys=on");
    assert_int_not_equal(s->incarnation, 0);
    assert_int_equal(other.asked.incarnation, s->incarnation);
    assert_int_equal(other.deadline_ms, UINT64_MAX);
    assert_non_null(strstr(s->said, "join_asking members=2 first=a.example:7001 address=10.0.0.4:7001"));
    assert_non_null(strstr(s->said, "joined id=4"));
}

static void a_machine_that_asks_again_is_the_same_one(void **state)
{
    struct scene *s = *state;
    uint64_t first;

    other.answer.id = 4;
    assert_int_equal(run(s), 0);
    first = s->incarnation; /* and it dies before its directory is a node's */
    assert_int_equal(run(s), 0);

    assert_int_equal(other.times, 2);
    assert_int_equal(s->incarnation, first);
    assert_int_equal(birth_forget(s->config.env, s->scratch.dir, &s->e), 0);
    assert_int_equal(run(s), 0);
    assert_int_not_equal(s->incarnation, first);
}

static void a_refusal_is_the_leaders_sentence(void **state)
{
    struct scene *s = *state;

    error_set(&other.failed, Q_CONFLICT, "id 4 was removed and is not used again");
    s->incarnation = 7;
    assert_int_equal(run(s), Q_CONFLICT);

    assert_string_equal(s->e.text, "id 4 was removed and is not used again");
    assert_int_equal(s->incarnation, 7); /* nothing is returned */
}

static void it_waits_as_long_as_it_is_told_to(void **state)
{
    struct scene *s = *state;

    s->config.timeout_ms = 5000;
    assert_int_equal(run(s), 0);
    assert_true(other.deadline_ms >= other.asked_ms && other.deadline_ms <= other.asked_ms + 5000);
}

static void while_it_waits_it_says_so_and_why(void **state)
{
    struct scene *s = *state;

    s->config.say_ms = 1;
    other.after_ms = 50;
    assert_int_equal(run(s), 0);

    assert_non_null(strstr(s->said, "join_waiting ms="));
    assert_non_null(strstr(s->said, "why=\"nobody is there\""));
}

static void it_gives_up_when_it_is_told_to(void **state)
{
    struct scene *s = *state;
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(write(pipes[1], "x", 1), 1);
    s->config.cancel_fd = pipes[0];
    other.after_ms = UINT64_MAX;
    assert_int_equal(run(s), Q_CLOSED);

    assert_true(other.closed);
    uv_run(&s->loop, UV_RUN_NOWAIT); /* lets go of the pipe */
    close(pipes[0]);
    close(pipes[1]);
}

static void a_wish_to_give_up_that_does_not_come_changes_nothing(void **state)
{
    struct scene *s = *state;
    int pipes[2];

    assert_int_equal(pipe(pipes), 0);
    s->config.cancel_fd = pipes[0];
    other.answer.id = 5;
    assert_int_equal(run(s), 0);

    assert_int_equal(s->answer.id, 5);
    assert_false(other.closed);
    uv_run(&s->loop, UV_RUN_NOWAIT);
    close(pipes[0]);
    close(pipes[1]);
}

static void a_damaged_record_of_who_it_is_asks_nobody(void **state)
{
    struct scene *s = *state;

    scratch_text(&s->scratch, "joining", "nonsense");
    assert_int_equal(run(s), Q_CORRUPT);
    assert_int_equal(other.times, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_machine_says_who_and_where_it_is_and_gets_the_answer),
        TEST(a_machine_that_asks_again_is_the_same_one),
        TEST(a_refusal_is_the_leaders_sentence),
        TEST(it_waits_as_long_as_it_is_told_to),
        TEST(while_it_waits_it_says_so_and_why),
        TEST(it_gives_up_when_it_is_told_to),
        TEST(a_wish_to_give_up_that_does_not_come_changes_nothing),
        TEST(a_damaged_record_of_who_it_is_asks_nobody),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
