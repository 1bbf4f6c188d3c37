/* How images are taken, kept and swept. Store and log are played by the test; files are on a simulated disk.
 */
#include "cluster/images.h"

#include "storage/page_sum.h"
#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { PAGES = 64 * 21 }; /* 21 chunks: several pieces of work */

struct consensus {
    uint64_t first;
    unsigned busy; /* answers of Q_BUSY to come */
};

struct store {
    struct scene *scene;
    struct store_image image;
    unsigned busy, holds, releases;
    bool held;
};

struct scene {
    struct sim *sim;
    struct sim_node *node;
    struct consensus consensus;
    struct store store;
    struct images *images;
    struct images_taken taken;
    unsigned done, failures, corrupt, damaged;
    enum error_code code;
    uint64_t swept, held_bytes; /* copied when the hold ended */
    bool held;
};

uint64_t consensus_first(const struct consensus *c)
{
    return c->first;
}

int consensus_image_at(struct consensus *c, uint64_t index, struct consensus_image *ret_image,
                       struct error *e)
{
    if (c->busy > 0) {
        c->busy--;
        return error_set(e, Q_BUSY, "not yet");
    }
    *ret_image = (struct consensus_image){.index = index,
                                          .term = 3,
                                          .configuration_index = 1,
                                          .configuration = "members",
                                          .configuration_len = 7};
    return 0;
}

int store_hold(struct store *s, struct store_image *ret_image, struct error *e)
{
    assert_false(s->held);
    if (s->busy > 0) {
        s->busy--;
        return error_set(e, Q_BUSY, "a reader is in the way");
    }
    s->held = true;
    s->holds++;
    *ret_image = s->image;
    return 0;
}

void store_release(struct store *s)
{
    s->held = false;
    s->releases++;
    s->scene->held_bytes = images_progress(s->scene->images).bytes_done;
}

static void on_done(void *ctx, const struct images_taken *taken, const struct error *failed)
{
    struct scene *s = ctx;

    assert_false(s->store.held);
    s->code = failed != NULL ? failed->code : Q_OK;
    s->failures += failed != NULL;
    s->done += failed == NULL;
    if (taken != NULL) {
        s->taken = *taken;
    }
}

static void on_held(void *ctx, bool held)
{
    ((struct scene *)ctx)->held = held;
}

static void on_corrupt(void *ctx, const struct error *why)
{
    assert_non_null(strstr(why->text, "page 100 "));
    ((struct scene *)ctx)->corrupt++;
}

static void on_swept(void *ctx, uint64_t chunks, uint64_t bytes)
{
    assert_true(bytes > 0);
    ((struct scene *)ctx)->swept += chunks;
}

static void on_damaged(void *ctx, const struct error *why)
{
    (void)why;
    ((struct scene *)ctx)->damaged++;
}

static void on_fatal(void *ctx, const struct error *why)
{
    (void)ctx;
    fail_msg("%s", why->text);
}

static void open_images(struct scene *s)
{
    struct images_config config = {
        .env = sim_node_env(s->node),
        .dir = "/n",
        .store = &s->store,
        .consensus = &s->consensus,
        .node = 1,
        .cluster_name = "c",
        .semantics = "s",
        .done = on_done,
        .held = on_held,
        .corrupt = on_corrupt,
        .swept = on_swept,
        .damaged = on_damaged,
        .fatal = on_fatal,
        .ctx = s,
    };
    struct error e;

    assert_int_equal(images_open(&config, &s->images, &e), 0);
}

/* Page NUMBER with a content of its own; SALT makes another one. */
static void write_page(struct scene *s, uint64_t number, uint8_t salt)
{
    uint8_t page[PAGE_BYTES] = {salt, (uint8_t)number, (uint8_t)(number >> 8), 1};
    struct env *env = sim_node_env(s->node);
    struct env_file *file;
    struct error e;

    page_sum_set(page, number);
    assert_int_equal(env_open(env, "/n/db", ENV_WRITE, &file, &e), 0);
    assert_int_equal(env_write(env, file, (number - 1) * PAGE_BYTES, page, sizeof page, &e), 0);
    env_close(env, file);
}

static int set_up(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct env_file *file;
    struct error e;

    s->sim = sim_new(5);
    s->node = sim_node_new(s->sim, "n");
    s->store.scene = s;
    s->store.image = (struct store_image){.position = {.index = 70, .term = 3},
                                          .path = "/n/db",
                                          .bytes = (uint64_t)PAGES * PAGE_BYTES,
                                          .sqlite = "3"};
    s->consensus.first = 1;
    struct env *env = sim_node_boot(s->node);
    assert_int_equal(env_make_dir(env, "/n", &e), 0);
    assert_int_equal(env_open(env, "/n/db", ENV_CREATE | ENV_WRITE, &file, &e), 0);
    env_close(env, file);
    for (uint64_t number = 1; number <= PAGES; number++) {
        write_page(s, number, 0);
    }
    open_images(s);
    *state = s;
    return 0;
}

static int tear_down(void **state)
{
    struct scene *s = *state;
    sim_node_kill(s->node);
    images_free(s->images);
    sim_free(s->sim);
    free(s);
    return 0;
}

static void run_ms(struct scene *s, uint64_t ms)
{
    for (uint64_t i = 0; i < ms; i += 50) {
        images_tick(s->images);
        sim_run_until(s->sim, sim_now_us(s->sim) + 50000);
    }
}

static void the_file_is_held_until_all_of_it_is_copied(void **state)
{
    struct scene *s = *state;

    images_want(s->images);
    run_ms(s, 2000);
    assert_int_equal(s->done, 1);
    assert_int_equal(s->store.releases, 1);
    assert_true(s->held_bytes >= s->store.image.bytes - (uint64_t)4 * CHUNK_BYTES);
    assert_false(s->held);
    assert_int_equal(s->taken.image.index, 70);
    assert_int_equal(s->taken.image.chunks, 21);
    assert_non_null(images_find(s->images, 70));
    assert_null(images_find(s->images, 71));
}

static void who_is_busy_is_asked_again(void **state)
{
    struct scene *s = *state;

    s->store.busy = 3;
    s->consensus.busy = 2;
    images_want(s->images);
    assert_true(images_taking(s->images));
    run_ms(s, 3000);
    assert_int_equal(s->done, 1);
    assert_int_equal(s->failures, 0);
    assert_int_equal(s->store.holds, 3);
    assert_int_equal(s->store.releases, 3);
}

static void a_bad_page_ends_it_and_is_told(void **state)
{
    struct scene *s = *state;
    struct error e;

    assert_int_equal(sim_disk_flip(sim_node_disk(s->node), "/n/db", 99 * PAGE_BYTES + 7, 1, &e), 0);
    images_want(s->images);
    run_ms(s, 2000);
    assert_int_equal(s->corrupt, 1);
    assert_int_equal(s->failures, 1);
    assert_int_equal(s->code, Q_CORRUPT);
    assert_null(images_find(s->images, 0));
    assert_int_equal(s->store.releases, 1);
    assert_true(s->swept > 0); /* what was copied before */
}

static void a_take_that_is_called_off_lets_go(void **state)
{
    struct scene *s = *state;

    images_want(s->images);
    while (!s->store.held) {
        assert_true(sim_step(s->sim));
    }
    images_cancel(s->images, true);
    run_ms(s, 2000);
    assert_int_equal(s->code, Q_CLOSED);
    assert_int_equal(s->failures, 1);
    assert_int_equal(s->store.releases, 1);
    assert_true(images_idle(s->images));
}

static void without_room_it_fails_and_leaves_nothing(void **state)
{
    struct scene *s = *state;
    uint64_t used = sim_disk_used(sim_node_disk(s->node));

    sim_disk_capacity(s->node, used + 40000);
    images_want(s->images);
    run_ms(s, 2000);
    assert_int_equal(s->code, Q_NO_SPACE);
    assert_int_equal(s->store.releases, 1);
    assert_int_equal(sim_disk_used(sim_node_disk(s->node)), used);
}

static void what_a_start_finds_is_kept_for_a_while(void **state)
{
    struct scene *s = *state;

    images_want(s->images);
    run_ms(s, 1000);
    sim_node_kill(s->node);
    images_free(s->images);
    sim_node_boot(s->node);
    open_images(s);
    run_ms(s, 30000);
    assert_non_null(images_find_exact(s->images, 70, 3));
    assert_int_equal(s->swept, 0);
    run_ms(s, 35000);
    assert_null(images_find_exact(s->images, 70, 3));
    assert_int_equal(s->swept, 21);
}

static void a_shipment_keeps_its_image_and_the_log(void **state)
{
    struct scene *s = *state;

    images_want(s->images);
    run_ms(s, 1000);
    assert_int_equal(images_log_limit(s->images), UINT64_MAX);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(images_ship(s->images, 70, 3));
        run_ms(s, 20000);
        assert_int_equal(images_log_limit(s->images), 70);
    }
    run_ms(s, 15000);
    assert_false(images_ship(s->images, 70, 3));
    assert_int_equal(images_log_limit(s->images), UINT64_MAX);
    assert_int_equal(s->swept, 21);
}

static void an_image_is_of_no_use_when_the_log_begins_behind_it(void **state)
{
    struct scene *s = *state;

    images_want(s->images);
    run_ms(s, 1000);
    s->consensus.first = 71;
    assert_non_null(images_find(s->images, 1));
    s->consensus.first = 72;
    assert_null(images_find(s->images, 1));
}

static void a_damaged_chunk_does_not_pass_for_one_that_is_there(void **state)
{
    struct scene *s = *state;
    struct chunk_name name;
    uint8_t plain[CHUNK_BYTES];
    struct env *env = sim_node_env(s->node);
    struct env_file *file;
    struct error e, why = {.code = Q_CORRUPT, .text = "a chunk differs"};
    size_t n;

    images_want(s->images);
    run_ms(s, 1000);
    assert_int_equal(env_open(env, "/n/db", 0, &file, &e), 0);
    assert_int_equal(env_read(env, file, 0, plain, sizeof plain, &n, &e), 0);
    env_close(env, file);
    chunk_name_of(plain, sizeof plain, &name);
    images_damaged(s->images, 70, 3, &name, &why);
    assert_int_equal(s->damaged, 1);
    assert_null(images_find(s->images, 0));

    s->store.image.position.index = 80;
    images_want(s->images);
    run_ms(s, 1000);
    assert_int_equal(s->done, 2);
    assert_int_equal(s->taken.chunks_new, 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_file_is_held_until_all_of_it_is_copied),
        TEST(who_is_busy_is_asked_again),
        TEST(a_bad_page_ends_it_and_is_told),
        TEST(a_take_that_is_called_off_lets_go),
        TEST(without_room_it_fails_and_leaves_nothing),
        TEST(what_a_start_finds_is_kept_for_a_while),
        TEST(a_shipment_keeps_its_image_and_the_log),
        TEST(an_image_is_of_no_use_when_the_log_begins_behind_it),
        TEST(a_damaged_chunk_does_not_pass_for_one_that_is_there),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
