#include "storage/readers.h"

#include <assert.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/object.h"
#include "base/plant.h"
#include "storage/digest.h"
#include "storage/executor.h"
#include "storage/sql_error.h"
#include "storage/state.h"
#include "storage/statement.h"

enum { READERS_MAGIC = 0x51524452 };

struct reader {
    sqlite3 *db;
    sqlite3_stmt *index;
    struct authorizer authorizer;
    struct executor executor;
    struct reader *next_free;
};

struct readers {
    OBJECT_MAGIC;
    uint64_t result_max;
    unsigned count;
    pthread_mutex_t lock;
    pthread_cond_t freed;
    struct reader *free_ones;
    struct reader reader[];
};

static int open_reader(struct reader *r, const struct readers_config *config, struct error *e)
{
    if (connection_open(&config->place, CONNECTION_READ, &r->db, e) ||
        determinism_attach_reader(&r->authorizer, r->db, e) ||
        statement_new(r->db, STATE_INDEX_SQL, &r->index, e) || kv_init(&r->executor.kv, r->db, false, e)) {
        return (int)e->code;
    }
    r->executor.sql = (struct sql){
        .db = r->db,
        .authorizer = &r->authorizer,
        .elapsed_ns = config->elapsed_ns,
        .ctx = config->ctx,
    };
    sql_allow_timeouts(&r->executor.sql);
    return 0;
}

static void close_reader(struct reader *r)
{
    kv_close(&r->executor.kv);
    sqlite3_finalize(r->index);
    int rc = sqlite3_close(r->db);
    assert(rc == SQLITE_OK);
}

int readers_new(const struct readers_config *config, struct readers **ret_readers, struct error *e)
{
    struct readers *r = calloc(1, sizeof *r + config->count * sizeof r->reader[0]);

    if (r == NULL) {
        return error_set(e, Q_NOMEM, "out of memory");
    }
    r->magic = READERS_MAGIC;
    r->result_max = config->result_max;
    pthread_mutex_init(&r->lock, NULL);
    pthread_cond_init(&r->freed, NULL);
    for (; r->count < config->count; r->count++) {
        struct reader *reader = &r->reader[r->count];

        if (open_reader(reader, config, e)) {
            close_reader(reader);
            readers_free(r);
            return (int)e->code;
        }
        reader->next_free = r->free_ones;
        r->free_ones = reader;
    }
    *ret_readers = r;
    return 0;
}

void readers_free(struct readers *r)
{
    if (r == NULL) {
        return;
    }
    for (unsigned i = 0; i < r->count; i++) {
        close_reader(&r->reader[i]);
    }
    pthread_cond_destroy(&r->freed);
    pthread_mutex_destroy(&r->lock);
    r->magic = 0;
    free(r);
}

static struct reader *take(struct readers *r)
{
    pthread_mutex_lock(&r->lock);
    while (r->free_ones == NULL) {
        pthread_cond_wait(&r->freed, &r->lock);
    }
    struct reader *reader = r->free_ones;
    r->free_ones = reader->next_free;
    pthread_mutex_unlock(&r->lock);
    return reader;
}

static void give_back(struct readers *r, struct reader *reader)
{
    pthread_mutex_lock(&r->lock);
    reader->next_free = r->free_ones;
    r->free_ones = reader;
    pthread_cond_signal(&r->freed);
    pthread_mutex_unlock(&r->lock);
}

static int run(struct reader *reader, const struct command *command, uint64_t timeout_ms, struct buf *result,
               uint64_t *ret_index, struct error *e)
{
    int rc = sqlite3_step(reader->index);

    if (rc != SQLITE_ROW) {
        rc = rc == SQLITE_DONE ? error_set(e, Q_CORRUPT, "quorate_state has no index")
                               : sql_error(reader->db, rc, "reading the applied index", e);
    } else {
        *ret_index = (uint64_t)sqlite3_column_int64(reader->index, 0);
        if (PLANTED("index_and_answer_are_of_two_snapshots")) {
            statement_end(reader->index);
        }
        rc = executor_run(&reader->executor, command, timeout_ms, result, e);
    }
    statement_end(reader->index);
    return rc;
}

int readers_run(struct readers *r, const struct command *command, uint64_t timeout_ms, struct buf *result,
                uint64_t *ret_index, struct error *e)
{
    struct buf answer;
    uint64_t index = 0;

    buf_init(&answer, r->result_max);
    struct reader *reader = take(r);
    int rc = run(reader, command, timeout_ms, &answer, &index, e);
    give_back(r, reader);
    if (rc == 0) {
        buf_put_bytes(result, answer.data, answer.len);
        rc = buf_check(result, "the result", e);
    }
    if (rc == 0) {
        *ret_index = index;
    }
    buf_close(&answer);
    return rc;
}

static int read_sums(struct reader *reader, struct buf *sums, struct error *e)
{
    sqlite3_stmt *statement;

    if (statement_new(reader->db, STATE_DIGEST_SQL, &statement, e)) {
        return (int)e->code;
    }
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        buf_put_bytes(sums, sqlite3_column_blob(statement, 0), (size_t)sqlite3_column_bytes(statement, 0));
        rc = buf_check(sums, "the saved digest", e);
    } else {
        rc = rc == SQLITE_DONE ? error_set(e, Q_CORRUPT, "quorate_state has no digest")
                               : sql_error(reader->db, rc, "reading the digest", e);
    }
    sqlite3_finalize(statement);
    return rc;
}

static int check(struct reader *reader, struct store_check *ret_check, struct error *e)
{
    struct store_check found = {.ok = false};
    struct buf sums, names;
    int rc = sqlite3_step(reader->index); /* begins the snapshot */

    buf_init(&sums, SIZE_MAX);
    buf_init(&names, SIZE_MAX);
    if (rc != SQLITE_ROW) {
        rc = sql_error(reader->db, rc, "reading the applied index", e);
    } else {
        found.index = (uint64_t)sqlite3_column_int64(reader->index, 0);
        rc = read_sums(reader, &sums, e);
        rc = rc == 0 ? digest_check(reader->db, sums.len > 0 ? sums.data : NULL, sums.len, found.digest,
                                    &names, e)
                     : rc;
    }
    statement_end(reader->index);
    if (rc == 0) {
        found.ok = names.len == 0;
        snprintf(found.differing, sizeof found.differing, "%.*s", (int)names.len,
                 names.len > 0 ? (const char *)names.data : "");
        *ret_check = found;
    }
    buf_close(&sums);
    buf_close(&names);
    return rc;
}

int readers_check(struct readers *r, struct store_check *ret_check, struct error *e)
{
    struct reader *reader = take(r);

    authorizer_trust(&reader->authorizer, true);
    int rc = check(reader, ret_check, e);
    authorizer_trust(&reader->authorizer, false);
    give_back(r, reader);
    return rc;
}

/* The statement of the index holds the snapshot. */
int readers_members(struct readers *r, struct store_member *ret_members, unsigned max, unsigned *ret_count,
                    struct error *e)
{
    struct reader *reader = take(r);
    int rc = sqlite3_step(reader->index);

    authorizer_trust(&reader->authorizer, true);
    rc = rc != SQLITE_ROW ? sql_error(reader->db, rc, "reading the applied index", e)
                          : member_table_list(reader->db, ret_members, max, ret_count, e);
    authorizer_trust(&reader->authorizer, false);
    statement_end(reader->index);
    give_back(r, reader);
    return rc;
}

int readers_dump(struct readers *r, const char *tables, const struct dump_out *out, uint64_t *ret_index,
                 struct error *e)
{
    struct reader *reader = take(r);
    int rc = sqlite3_step(reader->index);

    authorizer_trust(&reader->authorizer, true);
    if (rc != SQLITE_ROW) {
        rc = sql_error(reader->db, rc, "reading the applied index", e);
    } else {
        *ret_index = (uint64_t)sqlite3_column_int64(reader->index, 0);
        rc = dump_sql(reader->db, tables, out, e);
    }
    authorizer_trust(&reader->authorizer, false);
    statement_end(reader->index);
    give_back(r, reader);
    return rc;
}

bool readers_only_read(struct readers *r, const struct command *command)
{
    struct reader *reader = take(r);
    bool reads = sql_only_reads(&reader->executor.sql, command);

    give_back(r, reader);
    return reads;
}
