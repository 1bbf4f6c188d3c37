/* A target whose database looks more like the image than it is. The members that it asks are played by the
 * test; files are on a simulated disk. */
#include "cluster/ship_target.h"

#include "snapshots/delta.h"
#include "storage/page_sum.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { CHUNKS = 6, BYTES = CHUNKS * CHUNK_BYTES, INDEX = 100, CHUNK = 3, QUESTIONS_MAX = 20 };

struct scene {
    struct sim *sim;
    struct env *env;
    uint8_t image[BYTES], own[BYTES];
    struct chunk_name names[CHUNKS];
    struct buf manifest;
    struct ship_target *target;
    struct ship_question question[QUESTIONS_MAX]; /* about chunks; member 2 is asked first */
    uint64_t asked[QUESTIONS_MAX];
    unsigned questions;
    struct ship_question waiting; /* number 0: none */
    uint64_t waits_for;
    unsigned staged, wrong;
    bool spoils; /* member 2 gives what is no delta */
};

static void must(int rc, const struct error *e)
{
    if (rc != 0) {
        fail_msg("%s", e->text);
    }
}

/* It has no chunks of its own. */
struct chunk_store *images_chunks(struct images *images)
{
    (void)images;
    return NULL;
}

static unsigned on_members(void *ctx, uint64_t ret_ids[PEERS_MAX])
{
    (void)ctx;
    ret_ids[0] = 2;
    ret_ids[1] = 3;
    return 2;
}

static bool on_send(void *ctx, uint64_t to, uint8_t type, const void *body, size_t n)
{
    struct scene *s = ctx;
    struct error e;

    (void)type;
    assert_int_equal(s->waiting.number, 0);
    must(ship_get_question(body, n, &s->waiting, &e), &e);
    s->waits_for = to;
    if (s->waiting.kind == SHIP_CHUNK) {
        assert_in_range(s->questions, 0, QUESTIONS_MAX - 1); /* it does not ask for ever */
        s->asked[s->questions] = to;
        s->question[s->questions++] = s->waiting;
    }
    return true;
}

static int on_check(void *ctx, const struct manifest *m, struct error *e)
{
    (void)ctx;
    (void)m;
    (void)e;
    return 0;
}

static void on_staged(void *ctx, const struct manifest *m)
{
    assert_int_equal(m->index, INDEX);
    ((struct scene *)ctx)->staged++;
}

static void on_said(void *ctx, enum ship_event event, uint64_t who, const struct error *why)
{
    (void)why;
    if (event == SHIP_WRONG) {
        assert_int_equal(who, 2);
        ((struct scene *)ctx)->wrong++;
    }
}

static void on_fatal(void *ctx, const struct error *why)
{
    (void)ctx;
    fail_msg("%s", why->text);
}

/* As snapshots/delta.h has it. */
static uint16_t sum_of(const uint8_t *block, const struct chunk_name *name)
{
    uint64_t h = 0, base = (get_le64(name->sha256) & ~UINT64_C(7)) | 5;

    for (size_t i = 0; i < DELTA_BLOCK_BYTES; i++) {
        h = h * base + block[i];
    }
    return (uint16_t)(h * (get_le64(name->sha256 + 8) | 1) >> 48);
}

/* One block of the database is not the image's, and has the sum of the image's. */
static void put_look_alike(struct scene *s, uint32_t chunk)
{
    uint8_t *own = s->own + (size_t)chunk * CHUNK_BYTES;
    uint16_t wanted = sum_of(own, &s->names[chunk]);
    uint32_t i = 0;

    do {
        put_le32(own + 100, ++i);
    } while (sum_of(own, &s->names[chunk]) != wanted);
}

static void make_image(struct scene *s)
{
    struct manifest m = {.index = INDEX,
                         .term = 1,
                         .page_bytes = PAGE_BYTES,
                         .image_bytes = BYTES,
                         .chunks = CHUNKS,
                         .chunk = s->names};
    struct error e;

    for (uint64_t at = 0; at < BYTES; at += PAGE_BYTES) {
        memset(s->image + at, (int)(at / PAGE_BYTES % 251) + 1, PAGE_BYTES);
        page_sum_set(s->image + at, at / PAGE_BYTES + 1);
    }
    for (unsigned i = 0; i < CHUNKS; i++) {
        chunk_name_of(s->image + (size_t)i * CHUNK_BYTES, CHUNK_BYTES, &s->names[i]);
    }
    buf_init(&s->manifest, MANIFEST_BYTES_MAX);
    must(manifest_encode(&m, &s->manifest, &e), &e);
    memcpy(s->own, s->image, BYTES);
    put_look_alike(s, CHUNK);
}

static void put_own(struct scene *s)
{
    struct env_file *file;
    struct error e;

    must(env_make_dir(s->env, "/n", &e), &e);
    must(env_open(s->env, "/n/db.sqlite", ENV_CREATE | ENV_WRITE, &file, &e), &e);
    must(env_write(s->env, file, 0, s->own, BYTES, &e), &e);
    env_close(s->env, file);
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct ship_target_config config = {.dir = "/n",
                                        .own_path = "/n/db.sqlite",
                                        .members = on_members,
                                        .send = on_send,
                                        .check = on_check,
                                        .staged = on_staged,
                                        .said = on_said,
                                        .fatal = on_fatal,
                                        .ctx = s};
    struct error e;

    s->sim = sim_new(3);
    s->env = sim_node_boot(sim_node_new(s->sim, "n"));
    make_image(s);
    put_own(s);
    config.env = s->env;
    must(ship_target_new(&config, &s->target, &e), &e);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;

    ship_target_free(s->target);
    buf_close(&s->manifest);
    sim_free(s->sim);
    free(s);
    return 0;
}

/* As whoever has the image answers. */
static void answer_with(struct scene *s, enum ship_kind kind, const struct buf *bytes)
{
    struct ship_answer answer = {.session = s->waiting.session,
                                 .number = s->waiting.number,
                                 .kind = kind,
                                 .index = INDEX,
                                 .term = 1,
                                 .bytes = bytes->len,
                                 .blob = bytes->data,
                                 .len = bytes->len};
    struct buf body;
    struct error e;

    buf_init(&body, SHIP_FRAME_MAX);
    ship_put_answer(&body, &answer);
    s->waiting.number = 0;
    must(ship_target_received(s->target, s->waits_for, body.data, body.len, &e), &e);
    buf_close(&body);
}

static void answer(struct scene *s)
{
    const struct ship_question *q = &s->waiting;
    const uint8_t *plain = s->image + (size_t)q->chunk * CHUNK_BYTES;
    struct buf bytes;
    struct error e;

    buf_init(&bytes, DELTA_ENCODED_MAX);
    if (q->kind == SHIP_MANIFEST) {
        answer_with(s, SHIP_MANIFEST, &s->manifest);
    } else if (q->has_base && s->spoils && s->waits_for == 2) {
        buf_put_bytes(&bytes, "no delta", 8);
        answer_with(s, SHIP_DELTA, &bytes);
    } else if (q->has_base) {
        must(delta_encode(plain, CHUNK_BYTES, &q->name, q->base, &bytes, &e), &e);
        answer_with(s, SHIP_DELTA, &bytes);
    } else {
        must(chunk_encode(plain, CHUNK_BYTES, &bytes, &e), &e);
        answer_with(s, SHIP_CHUNK, &bytes);
    }
    buf_close(&bytes);
}

static void expect_staged(struct scene *s)
{
    uint8_t chunk[CHUNK_BYTES];
    struct env_file *file;
    struct error e;
    size_t n;

    must(env_open(s->env, "/n/stage/db.sqlite", 0, &file, &e), &e);
    for (size_t at = 0; at < BYTES; at += n) {
        must(env_read(s->env, file, at, chunk, sizeof chunk, &n, &e), &e);
        assert_int_equal(n, sizeof chunk);
        assert_memory_equal(chunk, s->image + at, n);
    }
    env_close(s->env, file);
}

static void run(struct scene *s)
{
    for (unsigned i = 0; s->staged == 0; i++) {
        assert_in_range(i, 0, 1000);
        ship_target_tick(s->target);
        while (s->waiting.number != 0) {
            answer(s);
        }
        sim_run_until(s->sim, sim_now_us(s->sim) + 50000);
    }
    expect_staged(s);
}

static void a_delta_in_vain_is_nobodys_fault_and_the_chunk_comes_whole(void **state)
{
    struct scene *s = *state;

    ship_target_want(s->target, INDEX);
    run(s);
    assert_int_equal(s->questions, 2);
    assert_int_equal(s->question[0].chunk, CHUNK);
    assert_true(s->question[0].has_base);
    assert_int_equal(s->question[1].chunk, CHUNK);
    assert_false(s->question[1].has_base);
    assert_int_equal(s->asked[1], s->asked[0]);
    assert_int_equal(s->wrong, 0);
    assert_true(sim_now_us(s->sim) / 1000 < SHIP_WRONG_MS);
}

static void what_is_no_delta_is_its_senders_fault_and_somebody_else_is_asked(void **state)
{
    struct scene *s = *state;

    s->spoils = true;
    ship_target_want(s->target, INDEX);
    run(s);
    assert_int_equal(s->questions, 2);
    assert_int_equal(s->asked[0], 2);
    assert_int_equal(s->asked[1], 3);
    assert_false(s->question[1].has_base);
    assert_int_equal(s->wrong, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_delta_in_vain_is_nobodys_fault_and_the_chunk_comes_whole, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(what_is_no_delta_is_its_senders_fault_and_somebody_else_is_asked,
                                        set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
