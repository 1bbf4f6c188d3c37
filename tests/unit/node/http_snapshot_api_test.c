/* Images of the database over HTTP. The replica is a fake one; the files are real. */
#include "node/env/env_uv.h"
#include "snapshots/catalog.h"
#include "snapshots/chunk_store.h"
#include "snapshots/delta.h"
#include "snapshots/take.h"
#include "storage/page_sum.h"
#include "tests/unit/node/api_world.h"
#include "tests/unit/node/scratch.h"
#include "tests/unit/test.h"

enum { PAGES = 3 * CHUNK_PAGES + 5 };

struct scene {
    struct api_world *w;
    struct env_uv *env;
    struct scratch scratch;
    const char *dir;
    char hex[CHUNK_HEX];
    bool closed;
};

static struct scene scene;

static void must(int rc, const struct error *e)
{
    if (rc != 0) {
        fail_msg("%s", e->text);
    }
}

/* A database of a few pages, as image 40 of term 3. */
static void take_image(struct scene *s, struct env *env)
{
    uint8_t *p = calloc(PAGES, PAGE_BYTES);
    char path[100];
    struct chunk_store *store;
    struct catalog *catalog;
    struct take *take;
    struct error e;
    bool copied = false;
    FILE *f;

    for (size_t i = 0; i < PAGES; i++) {
        memset(p + i * PAGE_BYTES, (int)i + 1, 100);
        page_sum_set(p + i * PAGE_BYTES, i + 1);
    }
    snprintf(path, sizeof path, "%s/db.sqlite", s->dir);
    f = fopen(path, "w");
    assert_int_equal(fwrite(p, PAGE_BYTES, PAGES, f), PAGES);
    fclose(f);
    free(p);
    must(chunk_store_open(env, s->dir, &store, &e), &e);
    must(catalog_open(env, s->dir, &catalog, &e), &e);
    struct take_config config = {.env = env,
                                 .path = path,
                                 .bytes = (uint64_t)PAGES * PAGE_BYTES,
                                 .store = store,
                                 .manifest = {.index = 40, .term = 3, .node = 1, .made_ms = 1234}};
    must(take_new(&config, &take, &e), &e);
    while (!copied) {
        must(take_step(take, 1, &copied, &e), &e);
    }
    must(take_finish(take, catalog, &e), &e);
    chunk_name_text(&take_manifest(take)->chunk[1], s->hex);
    take_free(take);
    catalog_close(catalog);
    chunk_store_close(store);
}

static int set_up(void **state)
{
    struct scene *s = &scene;
    struct env_uv_config config = {.readers = 2, .no_io_uring = true};
    struct error e;
    void *opened;

    memset(s, 0, sizeof *s);
    scratch_open(&s->scratch);
    s->dir = s->scratch.dir;
    assert_int_equal(api_world_open(&opened), 0);
    s->w = opened;
    config.loop = &s->w->http.loop;
    must(env_uv_new(&config, &s->env, &e), &e);
    s->w->api->config.env = env_uv_env(s->env);
    take_image(s, env_uv_env(s->env));
    s->w->replica.snapshot_dir = s->dir;
    s->w->replica.snapshot_index = 40;
    s->w->replica.snapshot_term = 3;
    *state = s;
    return 0;
}

static void on_closed(void *owner)
{
    ((struct scene *)owner)->closed = true;
}

static bool is_closed(void *arg)
{
    return ((struct scene *)arg)->closed;
}

static int tear_down(void **state)
{
    struct scene *s = *state;

    world_stop(&s->w->http);
    fake_replica_end_takes(&s->w->replica);
    env_uv_close(s->env, on_closed, s);
    world_until(&s->w->http, is_closed, s);
    api_free(s->w->api);
    world_close(&s->w->http);
    fake_replica_close(&s->w->replica);
    free(s->w);
    scratch_close(&s->scratch);
    return 0;
}

static void a_snapshot_is_taken_and_described(void **state)
{
    struct scene *s = *state;
    struct reply r = post(s->w, "/v1/snapshots?index=7", "");

    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "\"node\":1,\"index\":40,\"term\":3,\"made_ms\":1234,\"bytes\":806912,"
                                   "\"chunks\":4,"));
    assert_int_equal(s->w->replica.waited_for, 7);
}

static void one_that_takes_long_is_told_to_be_asked_for_again(void **state)
{
    struct scene *s = *state;

    s->w->replica.take_hangs = true;
    struct reply r = post(s->w, "/v1/snapshots?timeout=30ms", "");
    expect(&r, 202, "{\"taking\":true}");
    s->w->replica.take_hangs = false;
    r = post(s->w, "/v1/snapshots", "");
    assert_int_equal(r.status, 200);
}

static void what_the_replica_refuses_is_said(void **state)
{
    struct scene *s = *state;
    struct reply r;

    error_set(&s->w->replica.take_fails, Q_NO_SPACE, "the disk is full");
    r = post(s->w, "/v1/snapshots", "");
    expect(&r, 507, "{\"error\":\"the disk is full\"}");
    error_set(&s->w->replica.take_fails, Q_INVALID, "the database is in memory");
    r = post(s->w, "/v1/snapshots", "");
    expect(&r, 400, "{\"error\":\"the database is in memory\"}");
    r = post(s->w, "/v1/snapshots?index=-1", "");
    assert_int_equal(r.status, 400);
}

static void those_that_are_there_are_listed(void **state)
{
    struct scene *s = *state;
    struct reply r = get(s->w, "/v1/snapshots");

    assert_int_equal(r.status, 200);
    assert_non_null(strstr(r.body, "{\"snapshots\":[{\"node\":1,\"index\":40,\"term\":3,"));
}

static size_t length(const struct reply *r)
{
    return (size_t)strtoul(reply_header(r, "Content-Length"), NULL, 10);
}

static void manifest_and_chunks_come_as_they_are_stored(void **state)
{
    struct scene *s = *state;
    struct chunk_name name;
    struct buf bytes;
    char target[200];
    struct reply r;
    struct error e;

    buf_init(&bytes, MANIFEST_BYTES_MAX);
    r = get(s->w, "/v1/snapshots/40-3/manifest");
    assert_int_equal(r.status, 200);
    must(catalog_read(env_uv_env(s->env), s->dir, 40, 3, &bytes, &e), &e);
    assert_int_equal(length(&r), bytes.len);
    assert_memory_equal(r.body, "QRTMANI1", 8);
    snprintf(target, sizeof target, "/v1/chunks/%s?snapshot=40-3", s->hex);
    r = get(s->w, target);
    assert_int_equal(r.status, 200);
    assert_true(chunk_name_parse(s->hex, &name));
    must(chunk_store_read(env_uv_env(s->env), s->dir, &name, &bytes, &e), &e);
    assert_int_equal(length(&r), bytes.len);
    assert_int_equal(s->w->replica.touched, 2);
    buf_close(&bytes);
}

static void a_chunk_comes_as_a_delta_to_who_has_most_of_it(void **state)
{
    struct scene *s = *state;
    char target[200], sums[DELTA_SUMS_BYTES + 1];
    struct reply r;

    memset(sums, 'x', sizeof sums - 1);
    sums[sizeof sums - 1] = 0;
    snprintf(target, sizeof target, "/v1/chunks/%s?snapshot=40-3", s->hex);
    r = post(s->w, target, sums);
    assert_int_equal(r.status, 200);
    assert_memory_equal(r.body, "QDL1", 4);
    sums[sizeof sums - 2] = 0;
    r = post(s->w, target, sums);
    assert_int_equal(r.status, 400);
}

static void what_is_not_there_is_not_found(void **state)
{
    struct scene *s = *state;
    char target[200];
    struct reply r = get(s->w, "/v1/snapshots/41-3/manifest");

    assert_int_equal(r.status, 404);
    assert_non_null(strstr(r.body, "not here any more"));
    r = get(s->w, "/v1/snapshots/40-3");
    assert_int_equal(r.status, 404);
    r = get(s->w, "/v1/chunks/abc");
    assert_int_equal(r.status, 404);
    s->hex[0] = s->hex[0] == '0' ? '1' : '0';
    snprintf(target, sizeof target, "/v1/chunks/%s", s->hex);
    r = get(s->w, target);
    assert_int_equal(r.status, 404);
    snprintf(target, sizeof target, "/v1/chunks/%s?snapshot=41-3", s->hex);
    r = get(s->w, target);
    assert_int_equal(r.status, 404);
    snprintf(target, sizeof target, "/v1/chunks/%s?snapshot=x", s->hex);
    r = get(s->w, target);
    assert_int_equal(r.status, 400);
}

static void flip(const struct scene *s, const char *name, long at)
{
    char path[200];
    FILE *f;
    int c;

    snprintf(path, sizeof path, "%s/%s", s->dir, name);
    f = fopen(path, "r+");
    assert_non_null(f);
    fseek(f, at, SEEK_SET);
    c = fgetc(f);
    fseek(f, at, SEEK_SET);
    fputc(c ^ 1, f);
    fclose(f);
}

static void what_is_damaged_is_told_and_not_given_away(void **state)
{
    struct scene *s = *state;
    char name[100], target[200];
    struct reply r;

    snprintf(name, sizeof name, "chunks/%s", s->hex);
    flip(s, name, 30);
    snprintf(target, sizeof target, "/v1/chunks/%s", s->hex);
    r = get(s->w, target);
    assert_int_equal(r.status, 500);
    assert_int_equal(s->w->replica.damaged, 1);
    assert_true(s->w->replica.damaged_chunk);
    flip(s, "manifests/40-3.manifest", 90);
    r = get(s->w, "/v1/snapshots/40-3/manifest");
    assert_int_equal(r.status, 500);
    assert_int_equal(s->w->replica.damaged, 2);
    assert_false(s->w->replica.damaged_chunk);
    r = get(s->w, "/v1/snapshots");
    expect(&r, 200, "{\"snapshots\":[]}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_snapshot_is_taken_and_described, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_takes_long_is_told_to_be_asked_for_again, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_the_replica_refuses_is_said, set_up, tear_down),
        cmocka_unit_test_setup_teardown(those_that_are_there_are_listed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(manifest_and_chunks_come_as_they_are_stored, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_chunk_comes_as_a_delta_to_who_has_most_of_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_not_there_is_not_found, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_damaged_is_told_and_not_given_away, set_up, tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
