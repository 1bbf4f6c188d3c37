/* An image is put together elsewhere: what is there is reused, what is not is fetched, all of it verified. */
#include "snapshots/delta.h"
#include "tests/unit/snapshots/kit.h"
#include "tests/unit/test.h"

enum { PAGES = 5 * CHUNK_PAGES + 3, CHUNKS = 6 };

struct scene {
    struct rig r;
    struct image image;
    struct manifest m;
    struct stage *stage;
    struct stage_progress progress;
};

/* "a" has the image of index 100. */
static void begin(struct scene *s, uint64_t seed)
{
    rig_init(&s->r, seed);
    s->image = image_make(PAGES, 1);
    s->stage = NULL;
    rig_take(&s->r, &s->image, 100, &s->m);
}

static void end(struct scene *s)
{
    stage_close(s->stage);
    manifest_close(&s->m);
    image_close(&s->image);
    rig_done(&s->r);
}

static void open_stage(struct scene *s, struct chunk_store *store)
{
    stage_close(s->stage);
    s->stage = rig_stage(&s->r, &s->m, store);
    rig_scan(&s->r, s->stage);
    stage_progress(s->stage, &s->progress);
}

/* Fetches what is missing, and ends it. */
static void complete(struct scene *s)
{
    rig_fetch(&s->r, s->stage, &s->m, UINT32_MAX);
    must(stage_finish(s->stage, &s->r.error), &s->r.error);
    stage_progress(s->stage, &s->progress);
    stage_close(s->stage);
    s->stage = NULL;
    must(stage_swap(s->r.env, "b", s->m.index, s->m.term, &s->r.error), &s->r.error);
    assert_true(rig_holds(&s->r, "b/db.sqlite", &s->image));
}

static void put_own(struct scene *s)
{
    rig_put(&s->r, "b/db.sqlite", s->image.p, image_bytes(&s->image));
}

/* The next image: page 2 of chunk I has other content; it is taken in "a" as of index 101. */
static void change(struct scene *s, uint32_t chunk)
{
    image_change(&s->image, (size_t)chunk * CHUNK_PAGES + 2, 77);
    manifest_close(&s->m);
    rig_take(&s->r, &s->image, 101, &s->m);
}

static void get_chunk(struct scene *s, uint32_t chunk, struct buf *encoded)
{
    must(chunk_store_read(s->r.env, "a", &s->m.chunk[chunk], encoded, &s->r.error), &s->r.error);
}

static void an_image_that_was_taken_takes_the_place_of_another_database(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 1);
    rig_put(&s.r, "b/db.sqlite", "old", 3);
    rig_put(&s.r, "b/db.sqlite-wal", "old", 3);
    rig_put(&s.r, "b/db.sqlite-shm", "old", 3);

    open_stage(&s, NULL);
    assert_int_equal(s.progress.chunks_all, CHUNKS);
    assert_int_equal(s.progress.chunks_reused, 0);
    complete(&s);

    assert_int_equal(s.progress.chunks_fetched, CHUNKS);
    assert_false(rig_exists(&s.r, "b/db.sqlite-wal"));
    assert_false(rig_exists(&s.r, "b/db.sqlite-shm"));
    assert_false(rig_exists(&s.r, "b/stage/db.sqlite"));
    end(&s);
}

static void chunks_of_the_own_database_are_reused(void **state)
{
    struct scene s;
    uint32_t missing;
    (void)state;
    begin(&s, 2);
    put_own(&s);
    change(&s, 3);

    open_stage(&s, NULL);
    assert_int_equal(s.progress.chunks_reused, CHUNKS - 1);
    assert_true(stage_missing(s.stage, 0, &missing));
    assert_int_equal(missing, 3);
    assert_false(stage_missing(s.stage, 4, &missing));
    complete(&s);
    assert_int_equal(s.progress.chunks_fetched, 1);
    end(&s);
}

static void chunks_of_the_own_store_are_reused_and_a_damaged_one_is_removed(void **state)
{
    struct scene s;
    struct chunk_store *store;
    struct buf encoded;
    char path[128], text[CHUNK_HEX];
    (void)state;
    begin(&s, 3);
    must(chunk_store_open(s.r.env, "b", &store, &s.r.error), &s.r.error);
    buf_init(&encoded, CHUNK_ENCODED_MAX);
    for (uint32_t i = 0; i < 3; i++) {
        get_chunk(&s, i, &encoded);
        must(chunk_store_put(store, &s.m.chunk[i], encoded.data, encoded.len, &s.r.error), &s.r.error);
    }
    must(chunk_store_sync(store, &s.r.error), &s.r.error);
    buf_close(&encoded);
    chunk_name_text(&s.m.chunk[1], text);
    snprintf(path, sizeof path, "b/chunks/%s", text);
    must(sim_disk_flip(sim_node_disk(s.r.node), path, 10, 1, &s.r.error), &s.r.error);

    open_stage(&s, store);
    assert_int_equal(s.progress.chunks_reused, 2);
    assert_false(chunk_store_has(store, &s.m.chunk[1]));
    assert_true(chunk_store_has(store, &s.m.chunk[0]));
    complete(&s);
    chunk_store_close(store);
    end(&s);
}

static void what_was_staged_before_is_reused_for_a_later_image_too(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 4);
    open_stage(&s, NULL);
    rig_fetch(&s.r, s.stage, &s.m, 4);
    rig_kill(&s.r);

    open_stage(&s, NULL);
    assert_int_equal(s.progress.chunks_reused, 4);
    change(&s, 1);
    open_stage(&s, NULL);
    assert_int_equal(s.progress.chunks_reused, 3);
    complete(&s);
    end(&s);
}

static void a_staging_file_that_is_longer_than_the_image_is_begun_anew(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 5);
    open_stage(&s, NULL);
    rig_fetch(&s.r, s.stage, &s.m, UINT32_MAX);
    s.image.pages -= CHUNK_PAGES;
    manifest_close(&s.m);
    rig_take(&s.r, &s.image, 101, &s.m);

    open_stage(&s, NULL);
    complete(&s);
    end(&s);
}

static void a_flipped_bit_in_what_was_staged_is_found_by_the_next_attempt(void **state)
{
    struct scene s;
    uint32_t missing;
    (void)state;
    begin(&s, 6);
    open_stage(&s, NULL);
    rig_fetch(&s.r, s.stage, &s.m, UINT32_MAX);
    must(sim_disk_flip(sim_node_disk(s.r.node), "b/stage/db.sqlite", 2 * CHUNK_BYTES + 77, 1, &s.r.error),
         &s.r.error);

    open_stage(&s, NULL);
    assert_true(stage_missing(s.stage, 0, &missing));
    assert_int_equal(missing, 2);
    complete(&s);
    end(&s);
}

static void a_flipped_bit_in_what_was_staged_is_found_at_the_end_and_healed(void **state)
{
    struct scene s;
    uint32_t missing;
    bool verified;
    (void)state;
    begin(&s, 7);
    open_stage(&s, NULL);
    rig_fetch(&s.r, s.stage, &s.m, UINT32_MAX);
    must(sim_disk_flip(sim_node_disk(s.r.node), "b/stage/db.sqlite", 2 * CHUNK_BYTES + 77, 1, &s.r.error),
         &s.r.error);

    must(stage_verify(s.stage, 2, &verified, &s.r.error), &s.r.error);
    assert_false(verified);
    assert_int_equal(stage_verify(s.stage, 2, &verified, &s.r.error), Q_CORRUPT);
    assert_non_null(strstr(s.r.error.text, "chunk 2 of b/stage/db.sqlite"));
    assert_true(stage_missing(s.stage, 0, &missing));
    assert_int_equal(missing, 2);
    assert_int_equal(stage_finish(s.stage, &s.r.error), Q_CONFLICT);
    complete(&s);
    end(&s);
}

static void a_wrong_chunk_is_refused_and_nothing_is_written(void **state)
{
    struct scene s;
    struct buf encoded;
    uint32_t missing;
    (void)state;
    begin(&s, 8);
    open_stage(&s, NULL);
    buf_init(&encoded, CHUNK_ENCODED_MAX);
    get_chunk(&s, 1, &encoded);
    assert_int_equal(stage_put(s.stage, 0, encoded.data, encoded.len, &s.r.error), Q_CORRUPT);
    assert_int_equal(stage_put(s.stage, CHUNKS, encoded.data, encoded.len, &s.r.error), Q_INVALID);
    assert_int_equal(stage_put(s.stage, UINT32_MAX, encoded.data, encoded.len, &s.r.error), Q_INVALID);
    assert_true(stage_missing(s.stage, 0, &missing));
    assert_int_equal(missing, 0);
    struct image nothing = {.p = (uint8_t *)"", .pages = 0};
    assert_true(rig_holds(&s.r, "b/stage/db.sqlite", &nothing));

    must(stage_put(s.stage, 1, encoded.data, encoded.len, &s.r.error), &s.r.error);
    must(stage_put(s.stage, 1, "anything", 8, &s.r.error), &s.r.error); /* it is there: not looked at */
    stage_progress(s.stage, &s.progress);
    assert_int_equal(s.progress.chunks_fetched, 1);
    assert_int_equal(s.progress.bytes_fetched, encoded.len);
    buf_close(&encoded);
    complete(&s);
    end(&s);
}

/* A delta for CHUNK as its owner makes it. */
static void make_delta(struct scene *s, uint32_t chunk, const uint8_t sums[DELTA_SUMS_BYTES],
                       struct buf *delta)
{
    size_t n = manifest_chunk_bytes(&s->m, chunk);
    buf_clear(delta);
    must(delta_encode(s->image.p + (size_t)chunk * CHUNK_BYTES, n, &s->m.chunk[chunk], sums, delta,
                      &s->r.error),
         &s->r.error);
}

static void of_a_chunk_that_changed_a_little_only_what_is_new_travels(void **state)
{
    struct scene s;
    uint8_t sums[DELTA_SUMS_BYTES];
    struct buf delta;
    bool has_base = false;
    (void)state;
    begin(&s, 9);
    put_own(&s);
    change(&s, 3);
    open_stage(&s, NULL);
    buf_init(&delta, DELTA_ENCODED_MAX);

    must(stage_base_sums(s.stage, 3, sums, &has_base, &s.r.error), &s.r.error);
    assert_true(has_base);
    make_delta(&s, 3, sums, &delta);
    assert_true(delta.len < 2 * PAGE_BYTES);
    must(stage_put_delta(s.stage, 3, delta.data, delta.len, &s.r.error), &s.r.error);
    stage_progress(s.stage, &s.progress);
    assert_int_equal(s.progress.bytes_fetched, delta.len);
    complete(&s);
    buf_close(&delta);
    end(&s);
}

static void where_nothing_stands_there_is_no_base(void **state)
{
    struct scene s;
    uint8_t sums[DELTA_SUMS_BYTES];
    bool has_base = true;
    (void)state;
    begin(&s, 10);
    open_stage(&s, NULL);
    must(stage_base_sums(s.stage, 5, sums, &has_base, &s.r.error), &s.r.error);
    assert_false(has_base);
    assert_int_equal(stage_base_sums(s.stage, CHUNKS, sums, &has_base, &s.r.error), Q_INVALID);
    end(&s);
}

/* Half of the chunk's pages are in the staging file, as a crash may leave it; the others are in the own one.
 */
static void a_base_is_made_of_what_was_staged_and_of_the_own_database(void **state)
{
    struct scene s;
    uint8_t sums[DELTA_SUMS_BYTES];
    struct buf delta;
    bool has_base = false;
    (void)state;
    begin(&s, 11);
    put_own(&s);
    change(&s, 0); /* page 2 */
    rig_take(&s.r, &s.image, 101, NULL);
    must(env_make_dir(s.r.env, "b/stage", &s.r.error), &s.r.error);
    rig_put(&s.r, "b/stage/db.sqlite", s.image.p, 2 * PAGE_BYTES);
    image_change(&s.image, 5, 78);
    manifest_close(&s.m);
    rig_take(&s.r, &s.image, 102, &s.m);

    open_stage(&s, NULL);
    buf_init(&delta, DELTA_ENCODED_MAX);
    must(stage_base_sums(s.stage, 0, sums, &has_base, &s.r.error), &s.r.error);
    make_delta(&s, 0, sums, &delta);
    assert_true(delta.len < 2 * PAGE_BYTES);
    must(stage_put_delta(s.stage, 0, delta.data, delta.len, &s.r.error), &s.r.error);
    complete(&s);
    buf_close(&delta);
    end(&s);
}

static void a_delta_whose_base_changed_meanwhile_is_a_conflict_and_what_is_none_is_corrupt(void **state)
{
    struct scene s;
    uint8_t sums[DELTA_SUMS_BYTES];
    struct buf delta;
    bool has_base;
    (void)state;
    begin(&s, 12);
    put_own(&s);
    change(&s, 3);
    open_stage(&s, NULL);
    buf_init(&delta, DELTA_ENCODED_MAX);
    must(stage_base_sums(s.stage, 3, sums, &has_base, &s.r.error), &s.r.error);
    make_delta(&s, 3, sums, &delta);
    delta.data[0] ^= 1;
    assert_int_equal(stage_put_delta(s.stage, 3, delta.data, delta.len, &s.r.error), Q_CORRUPT);
    delta.data[0] ^= 1;
    must(sim_disk_flip(sim_node_disk(s.r.node), "b/db.sqlite", 3 * CHUNK_BYTES + 50 * PAGE_BYTES, 1,
                       &s.r.error),
         &s.r.error);
    assert_int_equal(stage_put_delta(s.stage, 3, delta.data, delta.len, &s.r.error), Q_CONFLICT);
    assert_int_equal(stage_put_delta(s.stage, CHUNKS, delta.data, delta.len, &s.r.error), Q_INVALID);
    complete(&s);
    buf_close(&delta);
    end(&s);
}

static void an_image_with_a_bad_page_is_refused_although_its_hashes_are_right(void **state)
{
    struct scene s;
    struct buf encoded;
    (void)state;
    begin(&s, 13);
    s.image.p[(3 * CHUNK_PAGES + 8) * PAGE_BYTES + 9] ^= 1;
    chunk_name_of(s.image.p + 3 * CHUNK_BYTES, CHUNK_BYTES, &s.m.chunk[3]);
    buf_init(&encoded, CHUNK_ENCODED_MAX);
    must(chunk_encode(s.image.p + 3 * CHUNK_BYTES, CHUNK_BYTES, &encoded, &s.r.error), &s.r.error);

    open_stage(&s, NULL);
    assert_int_equal(stage_put(s.stage, 3, encoded.data, encoded.len, &s.r.error), Q_CORRUPT);
    assert_non_null(strstr(s.r.error.text, "page 201 of the image of index 100 "));
    buf_close(&encoded);
    end(&s);
}

static void a_full_disk_is_waited_out(void **state)
{
    struct scene s;
    struct buf encoded;
    uint32_t missing;
    (void)state;
    begin(&s, 14);
    open_stage(&s, NULL);
    rig_fetch(&s.r, s.stage, &s.m, 2);
    sim_disk_capacity(s.r.node, sim_disk_used(sim_node_disk(s.r.node)));
    buf_init(&encoded, CHUNK_ENCODED_MAX);
    get_chunk(&s, 2, &encoded);
    assert_int_equal(stage_put(s.stage, 2, encoded.data, encoded.len, &s.r.error), Q_NO_SPACE);
    assert_true(stage_missing(s.stage, 0, &missing));
    assert_int_equal(missing, 2);
    sim_disk_capacity(s.r.node, 0);
    complete(&s);
    buf_close(&encoded);
    end(&s);
}

static void an_image_with_missing_chunks_is_not_finished(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 15);
    open_stage(&s, NULL);
    rig_fetch(&s.r, s.stage, &s.m, CHUNKS - 1);
    assert_int_equal(stage_finish(s.stage, &s.r.error), Q_CONFLICT);
    stage_close(s.stage);
    s.stage = NULL;
    assert_int_equal(stage_swap(s.r.env, "b", 100, 1, &s.r.error), Q_NOT_FOUND);
    end(&s);
}

static void only_an_image_that_is_ready_is_put_in_place_and_once(void **state)
{
    struct scene s;
    struct image old = {.p = (uint8_t *)"", .pages = 0};
    (void)state;
    begin(&s, 16);
    rig_put(&s.r, "b/db.sqlite", "", 0);
    rig_put(&s.r, "b/db.sqlite-wal", "old", 3);
    assert_int_equal(stage_swap(s.r.env, "b", 100, 1, &s.r.error), Q_NOT_FOUND);
    open_stage(&s, NULL);
    rig_fetch(&s.r, s.stage, &s.m, UINT32_MAX);
    must(stage_finish(s.stage, &s.r.error), &s.r.error);
    assert_int_equal(stage_swap(s.r.env, "b", 101, 1, &s.r.error), Q_NOT_FOUND);
    assert_int_equal(stage_swap(s.r.env, "b", 100, 2, &s.r.error), Q_NOT_FOUND);
    open_stage(&s, NULL); /* it goes on: not ready any more */
    assert_int_equal(stage_swap(s.r.env, "b", 100, 1, &s.r.error), Q_NOT_FOUND);
    assert_true(rig_holds(&s.r, "b/db.sqlite", &old));
    assert_true(rig_exists(&s.r, "b/db.sqlite-wal"));

    complete(&s);
    rig_put(&s.r, "b/db.sqlite-wal", "new", 3);
    must(stage_swap(s.r.env, "b", 100, 1, &s.r.error), &s.r.error);
    assert_true(rig_exists(&s.r, "b/db.sqlite-wal"));
    assert_int_equal(stage_swap(s.r.env, "b", 101, 1, &s.r.error), Q_NOT_FOUND);
    must(env_unlink(s.r.env, "b/db.sqlite", &s.r.error), &s.r.error);
    assert_int_equal(stage_swap(s.r.env, "b", 100, 1, &s.r.error), Q_NOT_FOUND);
    end(&s);
}

static void what_was_staged_can_be_cleared(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 17);
    must(stage_clear(s.r.env, "b", &s.r.error), &s.r.error);
    open_stage(&s, NULL);
    rig_fetch(&s.r, s.stage, &s.m, UINT32_MAX);
    must(stage_finish(s.stage, &s.r.error), &s.r.error);
    stage_close(s.stage);
    s.stage = NULL;
    must(stage_clear(s.r.env, "b", &s.r.error), &s.r.error);
    assert_false(rig_exists(&s.r, "b/stage/db.sqlite"));
    assert_int_equal(stage_swap(s.r.env, "b", 100, 1, &s.r.error), Q_NOT_FOUND);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_image_that_was_taken_takes_the_place_of_another_database),
        cmocka_unit_test(chunks_of_the_own_database_are_reused),
        cmocka_unit_test(chunks_of_the_own_store_are_reused_and_a_damaged_one_is_removed),
        cmocka_unit_test(what_was_staged_before_is_reused_for_a_later_image_too),
        cmocka_unit_test(a_staging_file_that_is_longer_than_the_image_is_begun_anew),
        cmocka_unit_test(a_flipped_bit_in_what_was_staged_is_found_by_the_next_attempt),
        cmocka_unit_test(a_flipped_bit_in_what_was_staged_is_found_at_the_end_and_healed),
        cmocka_unit_test(a_wrong_chunk_is_refused_and_nothing_is_written),
        cmocka_unit_test(of_a_chunk_that_changed_a_little_only_what_is_new_travels),
        cmocka_unit_test(where_nothing_stands_there_is_no_base),
        cmocka_unit_test(a_base_is_made_of_what_was_staged_and_of_the_own_database),
        cmocka_unit_test(a_delta_whose_base_changed_meanwhile_is_a_conflict_and_what_is_none_is_corrupt),
        cmocka_unit_test(an_image_with_a_bad_page_is_refused_although_its_hashes_are_right),
        cmocka_unit_test(a_full_disk_is_waited_out),
        cmocka_unit_test(an_image_with_missing_chunks_is_not_finished),
        cmocka_unit_test(only_an_image_that_is_ready_is_put_in_place_and_once),
        cmocka_unit_test(what_was_staged_can_be_cleared),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
