/* A chunk store has what was put, all of it or nothing, and says so when it does not. */
#include "tests/unit/snapshots/kit.h"
#include "tests/unit/test.h"

struct piece {
    uint8_t plain[CHUNK_BYTES], back[CHUNK_BYTES];
    struct chunk_name name;
    struct buf encoded;
    char path[128];
};

static struct piece *piece_new(unsigned n)
{
    struct piece *p = calloc(1, sizeof *p);
    struct error e;
    char text[CHUNK_HEX];
    assert_non_null(p);
    memset(p->plain, (int)n, sizeof p->plain);
    chunk_name_of(p->plain, sizeof p->plain, &p->name);
    buf_init(&p->encoded, CHUNK_ENCODED_MAX);
    must(chunk_encode(p->plain, sizeof p->plain, &p->encoded, &e), &e);
    chunk_name_text(&p->name, text);
    snprintf(p->path, sizeof p->path, "a/chunks/%s", text);
    return p;
}

static void piece_free(struct piece *p)
{
    buf_close(&p->encoded);
    free(p);
}

static struct chunk_store *open_store(struct rig *r)
{
    struct chunk_store *s;
    struct error e;
    must(chunk_store_open(r->env, "a", &s, &e), &e);
    return s;
}

static int put(struct rig *r, struct chunk_store *s, const struct piece *p)
{
    int rc = chunk_store_put(s, &p->name, p->encoded.data, p->encoded.len, &r->error);
    return rc != 0 ? rc : chunk_store_sync(s, &r->error);
}

static int get(struct rig *r, struct chunk_store *s, struct piece *p)
{
    struct buf back;
    size_t n;
    buf_init(&back, CHUNK_ENCODED_MAX);
    int rc = chunk_store_get(s, &p->name, &back, &r->error);
    if (rc == 0) {
        rc = chunk_decode(back.data, back.len, &p->name, p->back, &n, &r->error);
    }
    buf_close(&back);
    return rc;
}

static void what_was_put_is_there_also_for_the_next_process(void **state)
{
    struct rig r;
    struct piece *one = piece_new(1), *two = piece_new(2);
    (void)state;
    rig_init(&r, 1);
    struct chunk_store *s = open_store(&r);
    assert_false(chunk_store_has(s, &one->name));
    assert_int_equal(get(&r, s, one), Q_NOT_FOUND);
    must(put(&r, s, one), &r.error);
    must(put(&r, s, one), &r.error);
    must(chunk_store_sync(s, &r.error), &r.error);
    assert_true(chunk_store_has(s, &one->name));
    assert_false(chunk_store_has(s, &two->name));
    chunk_store_close(s);

    rig_crash(&r);
    s = open_store(&r);
    assert_int_equal(chunk_store_count(s), 1);
    assert_true(chunk_store_has(s, &one->name));
    must(get(&r, s, one), &r.error);
    chunk_store_close(s);
    piece_free(one);
    piece_free(two);
    rig_done(&r);
}

static void what_was_removed_is_not_there_and_can_be_put_again(void **state)
{
    struct rig r;
    struct piece *one = piece_new(1);
    (void)state;
    rig_init(&r, 2);
    struct chunk_store *s = open_store(&r);
    must(put(&r, s, one), &r.error);
    must(chunk_store_remove(s, &one->name, &r.error), &r.error);
    must(chunk_store_remove(s, &one->name, &r.error), &r.error);
    assert_false(chunk_store_has(s, &one->name));
    assert_int_equal(get(&r, s, one), Q_NOT_FOUND);
    must(put(&r, s, one), &r.error);
    must(get(&r, s, one), &r.error);
    chunk_store_close(s);
    piece_free(one);
    rig_done(&r);
}

static void files_with_other_names_are_no_chunks_and_left_ones_are_removed(void **state)
{
    struct rig r;
    struct piece *one = piece_new(1);
    char left[160];
    (void)state;
    rig_init(&r, 3);
    struct chunk_store *s = open_store(&r);
    must(put(&r, s, one), &r.error);
    chunk_store_close(s);
    snprintf(left, sizeof left, "%s.new", one->path);
    rig_put(&r, left, "half", 4);
    rig_put(&r, "a/chunks/notes", "mine", 4);

    s = open_store(&r);
    assert_int_equal(chunk_store_count(s), 1);
    assert_false(rig_exists(&r, left));
    assert_true(rig_exists(&r, "a/chunks/notes"));
    must(get(&r, s, one), &r.error);
    chunk_store_close(s);
    piece_free(one);
    rig_done(&r);
}

static void a_flipped_bit_in_a_chunks_file_is_found_and_named(void **state)
{
    struct rig r;
    struct piece *one = piece_new(1);
    char text[CHUNK_HEX];
    (void)state;
    rig_init(&r, 4);
    struct chunk_store *s = open_store(&r);
    must(put(&r, s, one), &r.error);
    chunk_name_text(&one->name, text);
    for (size_t at = 0; at < CHUNK_HEADER_BYTES; at++) {
        must(sim_disk_flip(sim_node_disk(r.node), one->path, at, 3, &r.error), &r.error);
        assert_int_equal(get(&r, s, one), Q_CORRUPT);
        assert_non_null(strstr(r.error.text, text));
        must(sim_disk_flip(sim_node_disk(r.node), one->path, at, 3, &r.error), &r.error);
    }
    uint8_t *large = calloc(1, CHUNK_ENCODED_MAX + 1);
    rig_put(&r, one->path, large, CHUNK_ENCODED_MAX + 1);
    assert_int_equal(get(&r, s, one), Q_CORRUPT);
    free(large);
    rig_put(&r, one->path, "", 0);
    assert_int_equal(get(&r, s, one), Q_CORRUPT);
    chunk_store_close(s);
    piece_free(one);
    rig_done(&r);
}

static void a_full_disk_leaves_all_as_it_was(void **state)
{
    struct rig r;
    struct piece *one = piece_new(1), *two = piece_new(2);
    char left[160];
    (void)state;
    rig_init(&r, 5);
    struct chunk_store *s = open_store(&r);
    must(put(&r, s, one), &r.error);
    sim_disk_capacity(r.node, sim_disk_used(sim_node_disk(r.node)));
    assert_int_equal(put(&r, s, two), Q_NO_SPACE);
    assert_false(chunk_store_has(s, &two->name));
    assert_int_equal(chunk_store_count(s), 1);
    snprintf(left, sizeof left, "%s.new", two->path);
    assert_false(rig_exists(&r, left));
    assert_false(rig_exists(&r, two->path));
    must(get(&r, s, one), &r.error);

    sim_disk_capacity(r.node, 0);
    must(put(&r, s, two), &r.error);
    must(get(&r, s, two), &r.error);
    chunk_store_close(s);
    piece_free(one);
    piece_free(two);
    rig_done(&r);
}

static void a_failed_sync_leaves_no_name(void **state)
{
    struct rig r;
    struct piece *one = piece_new(1);
    struct sim_disk_faults sick = {.sync_eio = 1000000}, well = {0};
    (void)state;
    rig_init(&r, 6);
    struct chunk_store *s = open_store(&r);
    sim_node_disk_faults(r.node, &sick);
    assert_int_equal(put(&r, s, one), Q_IO);
    assert_false(chunk_store_has(s, &one->name));
    assert_false(rig_exists(&r, one->path));
    sim_node_disk_faults(r.node, &well);
    chunk_store_close(s);
    piece_free(one);
    rig_done(&r);
}

static void chunks_that_wait_for_their_sync_are_there_until_it_fails(void **state)
{
    struct rig r;
    struct piece *pieces[3];
    struct buf back;
    struct sim_disk_faults sick = {.sync_eio = 1000000}, well = {0};
    (void)state;
    rig_init(&r, 8);
    struct chunk_store *s = open_store(&r);
    buf_init(&back, CHUNK_ENCODED_MAX);
    for (unsigned i = 0; i < 3; i++) {
        pieces[i] = piece_new(i + 1);
    }
    must(chunk_store_put(s, &pieces[0]->name, pieces[0]->encoded.data, pieces[0]->encoded.len, &r.error),
         &r.error);
    assert_true(chunk_store_has(s, &pieces[0]->name));
    must(chunk_store_get(s, &pieces[0]->name, &back, &r.error), &r.error);
    for (unsigned i = 1; i < 3; i++) {
        must(chunk_store_put(s, &pieces[i]->name, pieces[i]->encoded.data, pieces[i]->encoded.len, &r.error),
             &r.error);
    }
    sim_node_disk_faults(r.node, &sick);
    assert_int_equal(chunk_store_sync(s, &r.error), Q_IO);
    sim_node_disk_faults(r.node, &well);
    assert_true(chunk_store_has(s, &pieces[0]->name));
    for (unsigned i = 1; i < 3; i++) {
        assert_false(chunk_store_has(s, &pieces[i]->name));
        assert_false(rig_exists(&r, pieces[i]->path));
    }
    for (unsigned i = 0; i < 3; i++) {
        piece_free(pieces[i]);
    }
    buf_close(&back);
    chunk_store_close(s);
    rig_done(&r);
}

static void a_chunk_is_read_beside_the_object_that_another_uses(void **state)
{
    struct rig r;
    struct piece *one = piece_new(1);
    struct buf back;
    (void)state;
    rig_init(&r, 7);
    struct chunk_store *s = open_store(&r);
    buf_init(&back, CHUNK_ENCODED_MAX);
    assert_int_equal(chunk_store_read(r.env, "a", &one->name, &back, &r.error), Q_NOT_FOUND);
    must(put(&r, s, one), &r.error);
    for (unsigned i = 0; i < 2; i++) { /* twice: the second empties what the first left */
        must(chunk_store_read(r.env, "a", &one->name, &back, &r.error), &r.error);
        assert_int_equal(back.len, one->encoded.len);
        assert_memory_equal(back.data, one->encoded.data, back.len);
    }
    buf_close(&back);
    chunk_store_close(s);
    piece_free(one);
    rig_done(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_was_put_is_there_also_for_the_next_process),
        cmocka_unit_test(what_was_removed_is_not_there_and_can_be_put_again),
        cmocka_unit_test(files_with_other_names_are_no_chunks_and_left_ones_are_removed),
        cmocka_unit_test(a_flipped_bit_in_a_chunks_file_is_found_and_named),
        cmocka_unit_test(a_full_disk_leaves_all_as_it_was),
        cmocka_unit_test(a_failed_sync_leaves_no_name),
        cmocka_unit_test(chunks_that_wait_for_their_sync_are_there_until_it_fails),
        cmocka_unit_test(a_chunk_is_read_beside_the_object_that_another_uses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
