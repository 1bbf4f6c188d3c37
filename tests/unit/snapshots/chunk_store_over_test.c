/* A store that keeps chunks as differences to others gives them whole, and keeps what they are differences
 * to. */
#include "snapshots/sweep.h"
#include "tests/unit/snapshots/kit.h"
#include "tests/unit/test.h"

enum { CHUNKS = 5 };

/* One chunk after the other in the same place of a database, each a little different from the one before; the
 * last one is of other content altogether. */
struct scene {
    struct rig r;
    struct chunk_store *store;
    struct image image[CHUNKS];
    struct chunk_name name[CHUNKS];
    struct buf encoded[CHUNKS];
};

static void begin(struct scene *s, uint64_t seed)
{
    struct error e;
    rig_init(&s->r, seed);
    must(chunk_store_open(s->r.env, "a", &s->store, &e), &e);
    for (unsigned i = 0; i < CHUNKS; i++) {
        s->image[i] = image_make(CHUNK_PAGES, i == CHUNKS - 1 ? 2 : 1);
        for (unsigned page = 1; page <= i && i < CHUNKS - 1; page++) {
            image_change(&s->image[i], page, 77);
        }
        chunk_name_of(s->image[i].p, CHUNK_BYTES, &s->name[i]);
        buf_init(&s->encoded[i], CHUNK_ENCODED_MAX);
        must(chunk_encode(s->image[i].p, CHUNK_BYTES, &s->encoded[i], &e), &e);
    }
}

static void end(struct scene *s)
{
    chunk_store_close(s->store);
    for (unsigned i = 0; i < CHUNKS; i++) {
        image_close(&s->image[i]);
        buf_close(&s->encoded[i]);
    }
    rig_done(&s->r);
}

static void put(struct scene *s, unsigned i)
{
    must(chunk_store_put(s->store, &s->name[i], s->encoded[i].data, s->encoded[i].len, &s->r.error),
         &s->r.error);
}

static void put_over(struct scene *s, unsigned i, unsigned base)
{
    must(chunk_store_put_over(s->store, &s->name[i], s->encoded[i].data, s->encoded[i].len, &s->name[base],
                              &s->r.error),
         &s->r.error);
    must(chunk_store_sync(s->store, &s->r.error), &s->r.error);
}

static int get(struct scene *s, unsigned i)
{
    static uint8_t plain[CHUNK_BYTES];
    struct buf back;
    size_t n;
    buf_init(&back, CHUNK_ENCODED_MAX);
    int rc = chunk_store_get(s->store, &s->name[i], &back, &s->r.error);
    rc = rc == 0 ? chunk_decode(back.data, back.len, &s->name[i], plain, &n, &s->r.error) : rc;
    buf_close(&back);
    return rc;
}

/* Whether it is stored as a difference, and to which one. */
static bool is_over(struct scene *s, unsigned i, unsigned base)
{
    struct chunk_name found;
    bool over = false;
    must(chunk_store_base(s->store, &s->name[i], &over, &found, &s->r.error), &s->r.error);
    return over && chunk_name_equal(&found, &s->name[base]);
}

static uint64_t bytes_of(struct scene *s, unsigned i)
{
    uint64_t bytes = 0;
    must(chunk_store_bytes(s->store, &s->name[i], &bytes, &s->r.error), &s->r.error);
    return bytes;
}

static void path_of(struct scene *s, unsigned i, char path[128])
{
    char text[CHUNK_HEX];
    chunk_name_text(&s->name[i], text);
    snprintf(path, 128, "a/chunks/%s", text);
}

static void a_chunk_that_differs_little_takes_little_and_is_given_whole(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 1);
    put(&s, 0);
    put_over(&s, 1, 0);
    assert_true(is_over(&s, 1, 0));
    assert_true(bytes_of(&s, 1) < 2 * PAGE_BYTES);
    must(get(&s, 1), &s.r.error);
    assert_false(is_over(&s, 0, 0));

    put_over(&s, 1, 0); /* it is there */
    assert_int_equal(chunk_store_count(s.store), 2);
    end(&s);
}

static void a_difference_to_a_difference_is_made_to_what_that_one_is_of(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 2);
    put(&s, 0);
    put_over(&s, 1, 0);
    put_over(&s, 2, 1);
    assert_true(is_over(&s, 2, 0));
    must(get(&s, 2), &s.r.error);
    end(&s);
}

static void one_that_differs_much_or_has_no_base_is_stored_whole(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 3);
    put(&s, 0);
    put_over(&s, 4, 0);
    assert_int_equal(bytes_of(&s, 4), s.encoded[4].len);
    put_over(&s, 2, 1);
    assert_int_equal(bytes_of(&s, 2), s.encoded[2].len);
    must(get(&s, 4), &s.r.error);
    must(get(&s, 2), &s.r.error);
    end(&s);
}

static void a_damaged_base_is_no_base_and_what_was_made_with_it_is_named(void **state)
{
    struct scene s;
    char path[128], text[CHUNK_HEX];
    (void)state;
    begin(&s, 4);
    put(&s, 0);
    put_over(&s, 1, 0);
    path_of(&s, 0, path);
    must(sim_disk_flip(sim_node_disk(s.r.node), path, 500, 1, &s.r.error), &s.r.error);
    assert_int_equal(get(&s, 1), Q_CORRUPT);
    chunk_name_text(&s.name[1], text);
    assert_non_null(strstr(s.r.error.text, text));
    chunk_name_text(&s.name[0], text);
    assert_non_null(strstr(s.r.error.text, text));
    put_over(&s, 2, 0);
    assert_int_equal(bytes_of(&s, 2), s.encoded[2].len);

    must(chunk_store_remove(s.store, &s.name[0], &s.r.error), &s.r.error);
    assert_int_equal(get(&s, 1), Q_CORRUPT);
    assert_int_equal(get(&s, 0), Q_NOT_FOUND);
    put(&s, 0);
    must(get(&s, 1), &s.r.error);
    end(&s);
}

/* As it comes when a base was damaged, removed, and put again over another one. */
static void a_base_may_become_a_difference_itself(void **state)
{
    struct scene s;
    struct manifest last = {.image_bytes = CHUNK_BYTES, .chunks = 1};
    uint64_t chunks, bytes;
    (void)state;
    begin(&s, 5);
    put(&s, 0);
    put(&s, 1);
    put_over(&s, 2, 0);
    must(chunk_store_remove(s.store, &s.name[0], &s.r.error), &s.r.error);
    put_over(&s, 0, 1);
    assert_true(is_over(&s, 0, 1));
    must(get(&s, 2), &s.r.error);

    last.chunk = &s.name[2];
    const struct manifest *kept[] = {&last};
    must(sweep_run(s.store, kept, 1, &chunks, &bytes, &s.r.error), &s.r.error);
    assert_int_equal(chunks, 0);
    must(get(&s, 2), &s.r.error);
    end(&s);
}

static void a_sweep_keeps_what_kept_chunks_are_differences_to(void **state)
{
    struct scene s;
    struct manifest last = {.image_bytes = CHUNK_BYTES, .chunks = 1};
    uint64_t chunks, bytes;
    (void)state;
    begin(&s, 6);
    put(&s, 0);
    put_over(&s, 1, 0);
    put_over(&s, 2, 0);
    last.chunk = &s.name[2];
    const struct manifest *kept[] = {&last};
    must(sweep_run(s.store, kept, 1, &chunks, &bytes, &s.r.error), &s.r.error);
    assert_int_equal(chunks, 1);
    assert_false(chunk_store_has(s.store, &s.name[1]));
    must(get(&s, 2), &s.r.error);
    end(&s);
}

static void a_flipped_bit_in_a_difference_is_found_or_harmless(void **state)
{
    struct scene s;
    char path[128];
    (void)state;
    begin(&s, 7);
    put(&s, 0);
    put_over(&s, 1, 0);
    path_of(&s, 1, path);
    for (uint64_t at = 0; at < bytes_of(&s, 1); at += 7) {
        must(sim_disk_flip(sim_node_disk(s.r.node), path, at, at % 8, &s.r.error), &s.r.error);
        int rc = get(&s, 1);
        assert_true(rc == 0 || rc == Q_CORRUPT);
        must(sim_disk_flip(sim_node_disk(s.r.node), path, at, at % 8, &s.r.error), &s.r.error);
    }
    must(get(&s, 1), &s.r.error);
    end(&s);
}

static void a_full_disk_leaves_all_as_it_was(void **state)
{
    struct scene s;
    (void)state;
    begin(&s, 8);
    put(&s, 0);
    sim_disk_capacity(s.r.node, sim_disk_used(sim_node_disk(s.r.node)));
    assert_int_equal(chunk_store_put_over(s.store, &s.name[1], s.encoded[1].data, s.encoded[1].len,
                                          &s.name[0], &s.r.error),
                     Q_NO_SPACE);
    assert_false(chunk_store_has(s.store, &s.name[1]));
    sim_disk_capacity(s.r.node, 0);
    put_over(&s, 1, 0);
    must(get(&s, 1), &s.r.error);
    end(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_chunk_that_differs_little_takes_little_and_is_given_whole),
        cmocka_unit_test(a_difference_to_a_difference_is_made_to_what_that_one_is_of),
        cmocka_unit_test(one_that_differs_much_or_has_no_base_is_stored_whole),
        cmocka_unit_test(a_damaged_base_is_no_base_and_what_was_made_with_it_is_named),
        cmocka_unit_test(a_base_may_become_a_difference_itself),
        cmocka_unit_test(a_sweep_keeps_what_kept_chunks_are_differences_to),
        cmocka_unit_test(a_flipped_bit_in_a_difference_is_found_or_harmless),
        cmocka_unit_test(a_full_disk_leaves_all_as_it_was),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
