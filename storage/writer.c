#include "storage/writer.h"

#include <assert.h>
#include <stdlib.h>

#include "base/object.h"
#include "base/plant.h"
#include "storage/determinism.h"
#include "storage/executor.h"
#include "storage/page_sum.h"
#include "storage/result.h"
#include "storage/sql_error.h"
#include "storage/statement.h"

enum {
    WRITER_MAGIC = 0x51575254,
    RESULT_KEPT_BYTES = 1024 * 1024, /* memory of one result that is kept for the next */
};

struct writer {
    OBJECT_MAGIC;
    _Atomic uint64_t *wal_bytes, *members_version;
    uint64_t members_writes; /* that MEMBERS_VERSION tells of */
    struct determinism *determinism;
    sqlite3 *db;
    struct digest *digest;
    struct transaction transaction;
    struct budget budget;
    struct executor executor;
    sqlite3_stmt *save;
    struct state state;
    struct buf result;  /* of one command */
    struct buf sums;    /* what digest_save() gives */
    struct buf refused; /* of one entry: see apply_command() */
};

static int on_commit(void *ctx, sqlite3 *db, const char *schema, int pages)
{
    struct writer *w = CAST(struct writer, ctx, WRITER_MAGIC);
    (void)db;
    (void)schema;
    atomic_store(w->wal_bytes, (uint64_t)pages * PAGE_BYTES);
    return SQLITE_OK;
}

/* The hook of the digest comes before the first statement that is kept: SQLite compiles for it. */
static int open_writer(struct writer *w, const struct writer_config *config, struct error *e)
{
    struct connection_place place = config->place;

    if (determinism_new(place.vfs, &w->determinism, e)) {
        return (int)e->code;
    }
    place.vfs = determinism_vfs(w->determinism);
    if (connection_open(&place, CONNECTION_WRITE, &w->db, e) ||
        statement_once(w->db, config->foreign_keys ? "PRAGMA foreign_keys = ON" : "PRAGMA foreign_keys = OFF",
                       e) ||
        determinism_attach(w->determinism, w->db, e)) {
        return (int)e->code;
    }
    determinism_trust(w->determinism, true);
    sqlite3_wal_hook(w->db, on_commit, w);
    if (state_open(w->db, config->adopt_sqlite, &w->state, &w->sums, e) ||
        digest_new(w->db, w->sums.len > 0 ? w->sums.data : NULL, w->sums.len, &w->digest, e) ||
        transaction_init(&w->transaction, w->db, w->digest, e) ||
        budget_attach(&w->budget, w->db, config->instructions_max, e) ||
        kv_init(&w->executor.kv, w->db, true, e) || statement_new(w->db, STATE_SAVE_SQL, &w->save, e)) {
        return (int)e->code;
    }
    w->executor.sql = (struct sql){
        .db = w->db,
        .transaction = &w->transaction,
        .determinism = w->determinism,
        .digest = w->digest,
        .budget = &w->budget,
        .elapsed_ns = config->elapsed_ns,
        .ctx = config->ctx,
    };
    w->executor.load = (struct load){
        .db = w->db, .transaction = &w->transaction, .determinism = w->determinism, .digest = w->digest};
    w->executor.members.db = w->db;
    w->executor.members.digest = w->digest;
    return 0;
}

int writer_new(const struct writer_config *config, struct writer **ret_writer, struct error *e)
{
    struct writer *w = calloc(1, sizeof *w);

    if (w == NULL) {
        return error_set(e, Q_NOMEM, "out of memory");
    }
    w->magic = WRITER_MAGIC;
    w->wal_bytes = config->wal_bytes;
    w->members_version = config->members_version;
    buf_init(&w->result, config->result_max);
    buf_init(&w->sums, SIZE_MAX);
    buf_init(&w->refused, SIZE_MAX);
    if (open_writer(w, config, e)) {
        writer_free(w);
        return (int)e->code;
    }
    atomic_fetch_add(w->members_version, 1);
    *ret_writer = w;
    return 0;
}

void writer_free(struct writer *w)
{
    if (w == NULL) {
        return;
    }
    assert(w->magic == WRITER_MAGIC);
    sqlite3_finalize(w->save);
    kv_close(&w->executor.kv);
    transaction_close(&w->transaction);
    digest_free(w->digest);
    determinism_detach(w->determinism);
    int rc = sqlite3_close(w->db);
    assert(rc == SQLITE_OK);
    determinism_free(w->determinism);
    buf_close(&w->result);
    buf_close(&w->sums);
    buf_close(&w->refused);
    w->magic = 0;
    free(w);
}

void writer_keep_wal(struct writer *w)
{
    connection_keep_wal(w->db);
}

const struct state *writer_state(const struct writer *w)
{
    return &w->state;
}

void writer_digest(const struct writer *w, uint8_t ret_digest[DIGEST_BYTES])
{
    digest_value(w->digest, ret_digest);
}

int writer_verify(struct writer *w, struct error *e)
{
    return digest_verify(w->digest, w->db, e);
}

/* An entry that is being applied. */
struct entry {
    struct batch batch;    /* commands 0: an entry that carries none */
    struct cursor refused; /* what is left of w->refused in this attempt */
    uint64_t time_ms;
    struct buf *results;
};

/* A command that lost the whole transaction is remembered: u32 position, blob result. The entry starts
 * again without it, and it gets this result. So its neighbours are not lost, and every replica does the same.
 * Each attempt finds at most one more, behind all those before it. */
static void refuse(struct writer *w, uint32_t position)
{
    buf_put_u32(&w->refused, position);
    buf_put_blob(&w->refused, w->result.data, w->result.len);
}

static bool was_refused(struct entry *entry, uint32_t position, struct cursor *ret_result)
{
    struct cursor next = entry->refused;

    if (cursor_left(&next) == 0 || cursor_u32(&next) != position) {
        return false;
    }
    *ret_result = cursor_blob(&next);
    entry->refused = next;
    return true;
}

static int run_command(struct writer *w, const struct cursor *bytes, struct error *e)
{
    struct command command;
    int rc = command_decode(bytes->p, cursor_left(bytes), &command, e);

    if (rc == Q_MISMATCH && !PLANTED("newer_commands_are_skipped")) {
        return rc; /* newer nodes know what it means, so this one must not go on without it */
    }
    if (rc != 0) {
        result_put_error(&w->result, e);
        return 0;
    }
    rc = executor_run(&w->executor, &command, 0, &w->result, e);
    if (rc == 0 || sql_error_is_nodes((enum error_code)rc)) {
        return rc;
    }
    /* Its statements passed, but what they left cannot be saved: a full text table that contradicts itself.
     */
    buf_clear(&w->result);
    result_put_error(&w->result, e);
    transaction_doom(&w->transaction);
    return 0;
}

static int apply_command(struct writer *w, struct entry *entry, uint32_t position, const struct cursor *bytes,
                         struct error *e)
{
    struct cursor refused;

    if (was_refused(entry, position, &refused)) {
        buf_put_blob(entry->results, refused.p, cursor_left(&refused));
        return 0;
    }
    buf_clear(&w->result);
    int rc = determinism_begin(w->determinism, entry->time_ms, entry->batch.seed, position, e);
    determinism_trust(w->determinism, true);
    rc = rc == 0 ? run_command(w, bytes, e) : rc;
    if (rc != 0) {
        return rc;
    }
    if (transaction_lost(&w->transaction)) {
        refuse(w, position);
        return buf_check(&w->refused, "the results", e);
    }
    assert(w->transaction.depth == 1);
    buf_put_blob(entry->results, w->result.data, w->result.len);
    if (w->result.cap > RESULT_KEPT_BYTES) {
        buf_close(&w->result);
    }
    if (PLANTED("each_command_is_committed_alone") && transaction_commit(&w->transaction, e) == 0) {
        return transaction_begin(&w->transaction, e);
    }
    return 0;
}

static int save_state(struct writer *w, const struct state *state, struct error *e)
{
    if (digest_follow(w->digest, e)) {
        return (int)e->code;
    }
    buf_clear(&w->sums);
    digest_save(w->digest, &w->sums);
    if (buf_check(&w->sums, "the digest", e)) {
        return (int)e->code;
    }
    return state_save(w->save, state, &w->sums, e);
}

/* One attempt at the whole entry. ret_done: it is committed; else the transaction was lost on the way. */
static int attempt(struct writer *w, struct entry *entry, const struct state *state, bool *ret_done,
                   struct error *e)
{
    struct cursor commands = entry->batch.command;

    entry->refused = cursor_of(w->refused.data, w->refused.len);
    w->executor.members.index = state->index;
    if (determinism_refresh(w->determinism, e)) {
        return (int)e->code;
    }
    determinism_trust(w->determinism, true);
    if (transaction_begin(&w->transaction, e)) {
        return (int)e->code;
    }
    for (uint32_t i = 0; i < entry->batch.commands; i++) {
        struct cursor bytes = cursor_blob(&commands);

        if (apply_command(w, entry, i, &bytes, e)) {
            return error_wrap(e, "command %u", i);
        }
        if (transaction_lost(&w->transaction)) {
            *ret_done = false;
            return 0;
        }
    }
    bool late = PLANTED("applied_index_is_saved_after_the_commit");
    if (buf_check(entry->results, "the results of a batch", e) || (!late && save_state(w, state, e)) ||
        transaction_commit(&w->transaction, e) || (late && save_state(w, state, e))) {
        return (int)e->code;
    }
    *ret_done = true;
    return 0;
}

static int run_entry(struct writer *w, struct entry *entry, const struct state *state, struct error *e)
{
    size_t at = entry->results->len;
    bool done = false;
    int rc = 0;

    buf_clear(&w->refused);
    while (rc == 0 && !done) {
        entry->results->len = at;
        rc = attempt(w, entry, state, &done, e);
        if (!done) {
            transaction_abandon(&w->transaction);
        }
    }
    if (rc == 0) {
        w->state = *state;
        if (w->executor.members.writes != w->members_writes) {
            w->members_writes = w->executor.members.writes;
            atomic_fetch_add(w->members_version, 1);
        }
    } else {
        entry->results->len = at;
    }
    return rc;
}

int writer_forget_members(struct writer *w, struct error *e)
{
    bool keeps = PLANTED("a_restored_database_knows_its_old_members");

    determinism_trust(w->determinism, true);
    if (transaction_begin(&w->transaction, e) == 0 &&
        statement_once(w->db, keeps ? "SELECT 1" : "DROP TABLE IF EXISTS quorate_members", e) == 0 &&
        save_state(w, &w->state, e) == 0 && transaction_commit(&w->transaction, e) == 0) {
        return 0;
    }
    transaction_abandon(&w->transaction);
    return (int)e->code;
}

int writer_apply(struct writer *w, uint64_t index, uint64_t term, const void *p, size_t n,
                 struct buf *results, struct error *e)
{
    struct entry entry = {.results = results};

    assert(w->magic == WRITER_MAGIC && index == w->state.index + 1);
    if (n > 0) {
        if (batch_decode(p, n, &entry.batch, e)) {
            return error_wrap(e, "entry %llu", (unsigned long long)index);
        }
        if ((entry.batch.index != index || entry.batch.term != term) &&
            !PLANTED("batch_of_another_entry_is_applied")) {
            return error_set(e, Q_CORRUPT,
                             "entry %llu of term %llu holds the batch of entry %llu of term %llu",
                             (unsigned long long)index, (unsigned long long)term,
                             (unsigned long long)entry.batch.index, (unsigned long long)entry.batch.term);
        }
    }
    entry.time_ms = entry.batch.time_ms > w->state.time_ms ? entry.batch.time_ms : w->state.time_ms;
    struct state state = {.index = index, .term = term, .time_ms = entry.time_ms};
    return run_entry(w, &entry, &state, e) ? error_wrap(e, "entry %llu", (unsigned long long)index) : 0;
}
