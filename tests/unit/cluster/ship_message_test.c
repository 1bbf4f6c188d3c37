/* What members say about images, there and back, and what is not understood; and whom to ask. */
#include "cluster/ship.h"
#include "cluster/ship_givers.h"
#include "tests/unit/test.h"

static struct buf question_of(const struct ship_question *q)
{
    struct buf b;
    buf_init(&b, SHIP_FRAME_MAX);
    ship_put_question(&b, q);
    assert_int_equal(b.failed, Q_OK);
    return b;
}

static struct buf answer_of(const struct ship_answer *a)
{
    struct buf b;
    buf_init(&b, SHIP_FRAME_MAX);
    ship_put_answer(&b, a);
    assert_int_equal(b.failed, Q_OK);
    return b;
}

static void expect_same(const struct buf *bytes, const struct ship_question *got)
{
    struct buf b = question_of(got);
    assert_int_equal(b.len, bytes->len);
    assert_memory_equal(b.data, bytes->data, b.len);
    buf_close(&b);
}

static void questions_come_back_as_they_were(void **state)
{
    struct ship_question q = {.session = 1, .number = 2, .kind = SHIP_MANIFEST, .at_least = 3}, got;
    struct error e;

    (void)state;
    struct buf b = question_of(&q);
    assert_int_equal(ship_get_question(b.data, b.len, &got, &e), 0);
    expect_same(&b, &got);
    assert_int_equal(got.at_least, 3);
    buf_close(&b);

    q = (struct ship_question){
        .session = 1, .number = 2, .kind = SHIP_CHUNK, .index = 5, .term = 6, .chunk = 7, .has_base = true};
    memset(q.name.sha256, 8, sizeof q.name.sha256);
    q.base[0] = 9;
    q.base[DELTA_SUMS_BYTES - 1] = 10;
    b = question_of(&q);
    assert_int_equal(ship_get_question(b.data, b.len, &got, &e), 0);
    assert_int_equal(got.chunk, 7);
    assert_int_equal(got.base[DELTA_SUMS_BYTES - 1], 10);
    expect_same(&b, &got);
    buf_close(&b);
}

static void answers_come_back_as_they_were(void **state)
{
    struct ship_answer a = {.session = 1,
                            .number = 2,
                            .kind = SHIP_MANIFEST,
                            .index = 3,
                            .term = 4,
                            .bytes = 5,
                            .offset = 2,
                            .blob = (const uint8_t *)"abc",
                            .len = 3},
                       got;
    struct error e;

    (void)state;
    struct buf b = answer_of(&a);
    assert_int_equal(ship_get_answer(b.data, b.len, &got, &e), 0);
    assert_int_equal(got.offset, 2);
    assert_int_equal(got.len, 3);
    assert_memory_equal(got.blob, "abc", 3);
    buf_close(&b);

    error_set(&a.error, Q_BUSY, "an image is being taken");
    b = answer_of(&a);
    assert_int_equal(ship_get_answer(b.data, b.len, &got, &e), 0);
    assert_int_equal(got.error.code, Q_BUSY);
    assert_string_equal(got.error.text, "an image is being taken");
    assert_int_equal(got.len, 0);
    buf_close(&b);
}

static void whatever_is_cut_short_or_too_long_is_refused(void **state)
{
    struct ship_question q = {.kind = SHIP_CHUNK, .has_base = true}, question;
    struct ship_answer a = {.kind = SHIP_DELTA, .blob = (const uint8_t *)"abc", .len = 3}, answer;
    struct error e;

    (void)state;
    struct buf b = question_of(&q);
    for (size_t n = 0; n < b.len; n++) {
        assert_int_equal(ship_get_question(b.data, n, &question, &e), Q_CORRUPT);
    }
    buf_put_u8(&b, 0);
    assert_int_equal(ship_get_question(b.data, b.len, &question, &e), Q_CORRUPT);
    b.data[16] = SHIP_DELTA; /* is no question */
    assert_int_equal(ship_get_question(b.data, b.len, &question, &e), Q_CORRUPT);
    buf_close(&b);

    b = answer_of(&a);
    for (size_t n = 0; n < b.len; n++) {
        assert_int_equal(ship_get_answer(b.data, n, &answer, &e), Q_CORRUPT);
    }
    b.data[17] = Q_CODES; /* is no code */
    assert_int_equal(ship_get_answer(b.data, b.len, &answer, &e), Q_CORRUPT);
    b.data[17] = Q_OK;
    b.data[16] = SHIP_DELTA + 1;
    assert_int_equal(ship_get_answer(b.data, b.len, &answer, &e), Q_CORRUPT);
    buf_close(&b);
}

static void a_text_has_to_fit_into_an_error(void **state)
{
    char text[ERROR_TEXT_MAX] = "";
    struct ship_answer answer;
    struct buf b;
    struct error e;

    (void)state;
    memset(text, 'x', sizeof text);
    buf_init(&b, SHIP_FRAME_MAX);
    buf_put_zeros(&b, 16);
    buf_put_u8(&b, SHIP_CHUNK);
    buf_put_u16(&b, Q_BUSY);
    buf_put_blob(&b, text, sizeof text);
    assert_int_equal(ship_get_answer(b.data, b.len, &answer, &e), Q_CORRUPT);
    buf_close(&b);
}

/* Whom to ask. */

static void who_may_have_it_is_asked_once_before_it_is_asked_for_more(void **state)
{
    const uint64_t ids[] = {1, 2, 3};
    struct ship_givers g = {.count = 0};
    bool later;

    (void)state;
    for (unsigned i = 0; i < 3; i++) {
        struct ship_giver *giver = ship_givers_pick(&g, ids, 3, 100, &later);
        assert_int_equal(giver->id, ids[i]);
        giver->flights++;
    }
    assert_null(ship_givers_pick(&g, ids, 3, 100, &later));
    assert_true(later);
    ship_givers_find(&g, 1)->has = SHIP_LACKS;
    ship_givers_find(&g, 2)->has = SHIP_HAS;
    ship_givers_find(&g, 3)->has = SHIP_HAS;
    ship_givers_find(&g, 3)->flights = 5;
    assert_int_equal(ship_givers_pick(&g, ids, 3, 100, &later)->id, 2);
    ship_givers_find(&g, 2)->wait_until_ms = 101;
    assert_int_equal(ship_givers_pick(&g, ids, 3, 100, &later)->id, 3);
    assert_null(ship_givers_pick(&g, ids, 2, 100, &later));
    assert_true(later);
    assert_null(ship_givers_pick(&g, ids, 1, 100, &later));
    assert_false(later); /* nobody is left */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(questions_come_back_as_they_were),
        cmocka_unit_test(answers_come_back_as_they_were),
        cmocka_unit_test(whatever_is_cut_short_or_too_long_is_refused),
        cmocka_unit_test(a_text_has_to_fit_into_an_error),
        cmocka_unit_test(who_may_have_it_is_asked_once_before_it_is_asked_for_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
