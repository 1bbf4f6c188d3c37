/* hashed: a bare connection with a digest, for tests: runs statements as the store would, and after each
 * compares the digest with a full scan. */
#ifndef QUORATE_TESTS_HASHED_H
#define QUORATE_TESTS_HASHED_H

#include "storage/digest.h"
#include "tests/unit/test.h"

struct hashed {
    sqlite3 *db;
    struct digest *digest;
    char message[ERROR_TEXT_MAX]; /* SQLite's, of the last statement that failed */
};

static inline void hashed_open(struct hashed *h)
{
    struct error e;

    assert_int_equal(sqlite3_open(":memory:", &h->db), SQLITE_OK);
    if (digest_new(h->db, NULL, 0, &h->digest, &e) != Q_OK) {
        fail_msg("%s", e.text);
    }
}

static inline void hashed_close(struct hashed *h)
{
    digest_free(h->digest);
    assert_int_equal(sqlite3_close(h->db), SQLITE_OK);
}

static inline void hashed_check(struct hashed *h, const char *after)
{
    struct error e;

    if (digest_verify(h->digest, h->db, &e) != Q_OK) {
        fail_msg("after %s: %s", after, e.text);
    }
}

/* Runs one statement under a savepoint and undoes it if it fails. SQLite's code; SQLITE_MISMATCH where the
 * digest refuses it. */
static inline int hashed_try(struct hashed *h, const char *sql)
{
    struct error e;
    char *message = NULL;
    int rc;

    assert_int_equal(sqlite3_exec(h->db, "SAVEPOINT try", NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(digest_savepoint(h->digest, &e), Q_OK);
    rc = sqlite3_exec(h->db, sql, NULL, NULL, &message);
    snprintf(h->message, sizeof h->message, "%s", message != NULL ? message : "");
    sqlite3_free(message);
    if (rc == SQLITE_OK) {
        int followed = digest_follow(h->digest, &e);
        if (followed != Q_OK && followed != Q_INVALID) {
            fail_msg("%s: %s", sql, e.text);
        }
        if (followed == Q_INVALID) {
            snprintf(h->message, sizeof h->message, "%s", e.text);
            rc = SQLITE_MISMATCH;
        }
    }
    if (rc != SQLITE_OK) {
        assert_int_equal(sqlite3_exec(h->db, "ROLLBACK TO try", NULL, NULL, NULL), SQLITE_OK);
        digest_rollback(h->digest);
    }
    assert_int_equal(sqlite3_exec(h->db, "RELEASE try", NULL, NULL, NULL), SQLITE_OK);
    digest_release(h->digest);
    hashed_check(h, sql);
    return rc;
}

static inline void hashed_run(struct hashed *h, const char *sql)
{
    if (hashed_try(h, sql) != SQLITE_OK) {
        fail_msg("%s: %s", sql, h->message);
    }
}

/* Runs each statement; the list ends with NULL. */
static inline void hashed_run_all(struct hashed *h, const char *const *statements)
{
    for (size_t i = 0; statements[i] != NULL; i++) {
        hashed_run(h, statements[i]);
    }
}

#define RUN(state, ...) hashed_run_all(*(state), (const char *const[]){__VA_ARGS__, NULL})

static inline void hashed_value(struct hashed *h, uint8_t ret_value[DIGEST_BYTES])
{
    digest_value(h->digest, ret_value);
}

static inline void assert_digests(bool equal, const uint8_t *a, const uint8_t *b)
{
    assert_true((memcmp(a, b, DIGEST_BYTES) == 0) == equal);
}

/* A test whose state is a struct hashed of its own. */
#define HASHED_TEST(name) cmocka_unit_test_setup_teardown(name, hashed_setup, hashed_teardown)

static inline int hashed_setup(void **state)
{
    static struct hashed h;

    hashed_open(&h);
    *state = &h;
    return 0;
}

static inline int hashed_teardown(void **state)
{
    hashed_close(*state);
    return 0;
}

#endif
