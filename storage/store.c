#include "storage/store.h"

#include <assert.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"
#include "storage/checkpoint.h"
#include "storage/determinism.h"
#include "storage/executor.h"
#include "storage/gate.h"
#include "storage/readers.h"
#include "storage/sql_error.h"
#include "storage/state.h"
#include "storage/statement.h"

enum {
    STORE_MAGIC = 0x51535452,
    PAGE_BYTES = 4096,               /* SQLite's own choice for a new database */
    RESULT_KEPT_BYTES = 1024 * 1024, /* memory of one result that is kept for the next */
};

struct store {
    OBJECT_MAGIC;
    char *path, *vfs;     /* NULL as in the configuration */
    char memory_name[40]; /* of a database in memory */
    struct connection_place place;
    uint64_t result_max;

    /* The writer; apply lane. */
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

    struct gate writing; /* shared by an entry; alone: the end of a checkpoint */
    struct gate memory;  /* a database in memory has no snapshots: shared by a read; alone: an entry */
    struct readers *readers;
    struct checkpoint *checkpoint; /* NULL in memory */

    pthread_mutex_t position_lock;
    struct store_position position;
    _Atomic uint64_t wal_bytes;
};

static bool in_memory(const struct store *s)
{
    return s->path == NULL;
}

static void set_position(struct store *s)
{
    struct store_position position = {
        .index = s->state.index, .term = s->state.term, .time_ms = s->state.time_ms};

    digest_value(s->digest, position.digest);
    pthread_mutex_lock(&s->position_lock);
    s->position = position;
    pthread_mutex_unlock(&s->position_lock);
}

void store_position(struct store *s, struct store_position *ret_position)
{
    pthread_mutex_lock(&s->position_lock);
    *ret_position = s->position;
    pthread_mutex_unlock(&s->position_lock);
}

static int out_of_memory(struct error *e)
{
    return error_set(e, Q_NOMEM, "out of memory");
}

static int check_config(const struct store_config *config, struct error *e)
{
    if (config->readers < 1 || config->readers > STORE_READERS_MAX) {
        return error_set(e, Q_INVALID, "a store has 1 to %d readers, not %u", STORE_READERS_MAX,
                         config->readers);
    }
    if (config->result_max < STORE_RESULT_MIN || config->result_max > UINT32_MAX) {
        return error_set(e, Q_INVALID, "the limit of a result is %d to %u bytes, not %llu", STORE_RESULT_MIN,
                         UINT32_MAX, (unsigned long long)config->result_max);
    }
    if (config->instructions_max != 0 && config->instructions_max < STORE_INSTRUCTIONS_MIN) {
        return error_set(e, Q_INVALID, "the limit of instructions is at least %llu, not %llu",
                         (unsigned long long)STORE_INSTRUCTIONS_MIN,
                         (unsigned long long)config->instructions_max);
    }
    return 0;
}

/* Memory, locks and names; nothing that can be refused by a disk. */
static int make(const struct store_config *config, struct store **ret_store, struct error *e)
{
    struct store *s = calloc(1, sizeof *s);

    if (s == NULL) {
        return out_of_memory(e);
    }
    s->magic = STORE_MAGIC;
    s->result_max = config->result_max;
    buf_init(&s->result, config->result_max);
    buf_init(&s->sums, SIZE_MAX);
    buf_init(&s->refused, SIZE_MAX);
    pthread_mutex_init(&s->position_lock, NULL);
    if (gate_init(&s->writing) != 0 || gate_init(&s->memory) != 0) {
        free(s);
        return out_of_memory(e);
    }
    s->path = config->path != NULL ? strdup(config->path) : NULL;
    s->vfs = config->vfs != NULL ? strdup(config->vfs) : NULL;
    if ((config->path != NULL && s->path == NULL) || (config->vfs != NULL && s->vfs == NULL)) {
        store_close(s);
        return out_of_memory(e);
    }
    if (in_memory(s)) {
        snprintf(s->memory_name, sizeof s->memory_name, "/quorate-%p", (void *)s);
        s->place = (struct connection_place){s->memory_name, CONNECTION_MEMORY_VFS, true};
    } else {
        s->place = (struct connection_place){s->path, s->vfs, false};
    }
    *ret_store = s;
    return 0;
}

static int on_commit(void *ctx, sqlite3 *db, const char *schema, int pages)
{
    struct store *s = CAST(struct store, ctx, STORE_MAGIC);
    (void)db;
    (void)schema;
    atomic_store(&s->wal_bytes, (uint64_t)pages * PAGE_BYTES);
    return SQLITE_OK;
}

uint64_t store_wal_bytes(const struct store *s)
{
    return atomic_load(&s->wal_bytes);
}

/* The hook of the digest comes before the first statement that is kept: SQLite compiles for it. */
static int open_writer(struct store *s, const struct store_config *config, struct error *e)
{
    struct connection_place place = s->place;

    if (determinism_new(s->place.vfs, &s->determinism, e)) {
        return (int)e->code;
    }
    place.vfs = determinism_vfs(s->determinism);
    if (connection_open(&place, CONNECTION_WRITE, &s->db, e) ||
        statement_once(s->db, config->foreign_keys ? "PRAGMA foreign_keys = ON" : "PRAGMA foreign_keys = OFF",
                       e) ||
        determinism_attach(s->determinism, s->db, e)) {
        return (int)e->code;
    }
    determinism_trust(s->determinism, true);
    sqlite3_wal_hook(s->db, on_commit, s);
    if (state_open(s->db, config->adopt_sqlite, &s->state, &s->sums, e) ||
        digest_new(s->db, s->sums.len > 0 ? s->sums.data : NULL, s->sums.len, &s->digest, e) ||
        transaction_init(&s->transaction, s->db, s->digest, e) ||
        budget_attach(&s->budget, s->db,
                      config->instructions_max != 0 ? config->instructions_max : STORE_INSTRUCTIONS_DEFAULT,
                      e) ||
        kv_init(&s->executor.kv, s->db, true, e) || statement_new(s->db, STATE_SAVE_SQL, &s->save, e)) {
        return (int)e->code;
    }
    s->executor.sql = (struct sql){
        .db = s->db,
        .transaction = &s->transaction,
        .determinism = s->determinism,
        .digest = s->digest,
        .budget = &s->budget,
        .elapsed_ns = config->elapsed_ns,
        .ctx = config->ctx,
    };
    return 0;
}

static int open_others(struct store *s, const struct store_config *config, struct error *e)
{
    struct readers_config readers = {
        .place = s->place,
        .count = config->readers,
        .result_max = config->result_max,
        .elapsed_ns = config->elapsed_ns,
        .ctx = config->ctx,
    };

    if (!in_memory(s) &&
        (checkpoint_new(&s->place, &s->writing, &s->checkpoint, e) || checkpoint_settle(s->checkpoint, e))) {
        return (int)e->code;
    }
    return readers_new(&readers, &s->readers, e);
}

int store_open(const struct store_config *config, struct store **ret_store, struct error *e)
{
    struct error mine;
    struct store *s = NULL;

    e = e != NULL ? e : &mine;
    if (check_config(config, e) || make(config, &s, e)) {
        return (int)e->code;
    }
    if (open_writer(s, config, e) || open_others(s, config, e)) {
        store_close(s);
        return error_wrap(e, "database %s", config->path != NULL ? config->path : "in memory");
    }
    set_position(s);
    *ret_store = s;
    return 0;
}

void store_close(struct store *s)
{
    if (s == NULL) {
        return;
    }
    assert(s->magic == STORE_MAGIC);
    readers_free(s->readers);
    checkpoint_free(s->checkpoint);
    sqlite3_finalize(s->save);
    kv_close(&s->executor.kv);
    transaction_close(&s->transaction);
    digest_free(s->digest);
    determinism_detach(s->determinism);
    int rc = sqlite3_close(s->db);
    assert(rc == SQLITE_OK);
    determinism_free(s->determinism);
    buf_close(&s->result);
    buf_close(&s->sums);
    buf_close(&s->refused);
    gate_close(&s->writing);
    gate_close(&s->memory);
    pthread_mutex_destroy(&s->position_lock);
    free(s->path);
    free(s->vfs);
    s->magic = 0;
    free(s);
}

/* An entry that is being applied. */
struct entry {
    struct batch batch;    /* commands 0: an entry that carries none */
    struct cursor refused; /* what is left of s->refused in this attempt */
    uint64_t time_ms;
    struct buf *results;
};

/* A command that lost the whole transaction is remembered: u32 position, blob result. The entry starts
 * again without it, and it gets this result. So its neighbours are not lost, and every replica does the same.
 * Each attempt finds at most one more, behind all those before it. */
static void refuse(struct store *s, uint32_t position)
{
    buf_put_u32(&s->refused, position);
    buf_put_blob(&s->refused, s->result.data, s->result.len);
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

static int run_command(struct store *s, const struct cursor *bytes, struct error *e)
{
    struct command command;
    int rc = command_decode(bytes->p, cursor_left(bytes), &command, e);

    if (rc == Q_MISMATCH && !PLANTED("newer_commands_are_skipped")) {
        return rc; /* newer nodes know what it means, so this one must not go on without it */
    }
    if (rc != 0) {
        result_put_error(&s->result, e);
        return 0;
    }
    rc = executor_run(&s->executor, &command, 0, &s->result, e);
    if (rc == 0 || sql_error_is_nodes((enum error_code)rc)) {
        return rc;
    }
    /* Its statements passed, but what they left cannot be saved: a full text table that contradicts itself.
     */
    buf_clear(&s->result);
    result_put_error(&s->result, e);
    transaction_doom(&s->transaction);
    return 0;
}

static int apply_command(struct store *s, struct entry *entry, uint32_t position, const struct cursor *bytes,
                         struct error *e)
{
    struct cursor refused;

    if (was_refused(entry, position, &refused)) {
        buf_put_blob(entry->results, refused.p, cursor_left(&refused));
        return 0;
    }
    buf_clear(&s->result);
    int rc = determinism_begin(s->determinism, entry->time_ms, entry->batch.seed, position, e);
    determinism_trust(s->determinism, true);
    rc = rc == 0 ? run_command(s, bytes, e) : rc;
    if (rc != 0) {
        return rc;
    }
    if (transaction_lost(&s->transaction)) {
        refuse(s, position);
        return buf_check(&s->refused, "the results", e);
    }
    assert(s->transaction.depth == 1);
    buf_put_blob(entry->results, s->result.data, s->result.len);
    if (s->result.cap > RESULT_KEPT_BYTES) {
        buf_close(&s->result);
    }
    if (PLANTED("each_command_is_committed_alone") && transaction_commit(&s->transaction, e) == 0) {
        return transaction_begin(&s->transaction, e);
    }
    return 0;
}

static int save_state(struct store *s, const struct state *state, struct error *e)
{
    if (digest_follow(s->digest, e)) {
        return (int)e->code;
    }
    buf_clear(&s->sums);
    digest_save(s->digest, &s->sums);
    if (buf_check(&s->sums, "the digest", e)) {
        return (int)e->code;
    }
    return state_save(s->save, state, &s->sums, e);
}

/* One attempt at the whole entry. ret_done: it is committed; else the transaction was lost on the way. */
static int attempt(struct store *s, struct entry *entry, const struct state *state, bool *ret_done,
                   struct error *e)
{
    struct cursor commands = entry->batch.command;

    entry->refused = cursor_of(s->refused.data, s->refused.len);
    if (determinism_refresh(s->determinism, e)) {
        return (int)e->code;
    }
    determinism_trust(s->determinism, true);
    if (transaction_begin(&s->transaction, e)) {
        return (int)e->code;
    }
    for (uint32_t i = 0; i < entry->batch.commands; i++) {
        struct cursor bytes = cursor_blob(&commands);

        if (apply_command(s, entry, i, &bytes, e)) {
            return error_wrap(e, "command %u", i);
        }
        if (transaction_lost(&s->transaction)) {
            *ret_done = false;
            return 0;
        }
    }
    bool late = PLANTED("applied_index_is_saved_after_the_commit");
    if (buf_check(entry->results, "the results of a batch", e) || (!late && save_state(s, state, e)) ||
        transaction_commit(&s->transaction, e) || (late && save_state(s, state, e))) {
        return (int)e->code;
    }
    *ret_done = true;
    return 0;
}

static int apply(struct store *s, struct entry *entry, const struct state *state, struct error *e)
{
    size_t at = entry->results->len;
    bool done = false;
    int rc = 0;

    buf_clear(&s->refused);
    gate_share(&s->writing);
    if (in_memory(s)) {
        gate_alone(&s->memory);
    }
    while (rc == 0 && !done) {
        entry->results->len = at;
        rc = attempt(s, entry, state, &done, e);
        if (!done) {
            transaction_abandon(&s->transaction);
        }
    }
    if (rc == 0) {
        s->state = *state;
        set_position(s);
    } else {
        entry->results->len = at;
    }
    if (in_memory(s)) {
        gate_leave(&s->memory);
    }
    gate_leave(&s->writing);
    return rc;
}

int store_apply(struct store *s, uint64_t index, uint64_t term, const void *p, size_t n, struct buf *results,
                struct error *e)
{
    struct entry entry = {.results = results};
    struct error mine;

    e = e != NULL ? e : &mine;
    assert(s->magic == STORE_MAGIC && index == s->state.index + 1);
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
    entry.time_ms = entry.batch.time_ms > s->state.time_ms ? entry.batch.time_ms : s->state.time_ms;
    struct state state = {.index = index, .term = term, .time_ms = entry.time_ms};
    if (apply(s, &entry, &state, e)) {
        return error_wrap(e, "entry %llu", (unsigned long long)index);
    }
    return 0;
}

int store_read(struct store *s, const struct command *command, uint64_t timeout_ms, struct buf *result,
               uint64_t *ret_index, struct error *e)
{
    struct error mine;

    e = e != NULL ? e : &mine;
    if (in_memory(s)) {
        gate_share(&s->memory);
    }
    int rc = readers_run(s->readers, command, timeout_ms, result, ret_index, e);
    if (in_memory(s)) {
        gate_leave(&s->memory);
    }
    return rc;
}

int store_check(struct store *s, struct store_check *ret_check, struct error *e)
{
    struct error mine;

    if (in_memory(s)) {
        gate_share(&s->memory);
    }
    int rc = readers_check(s->readers, ret_check, e != NULL ? e : &mine);
    if (in_memory(s)) {
        gate_leave(&s->memory);
    }
    return rc;
}

bool store_is_read_only(struct store *s, const struct command *command)
{
    switch (command->op) {
    case COMMAND_KV_PUT:
    case COMMAND_KV_GET:
    case COMMAND_KV_DELETE:
    case COMMAND_KV_LIST: return command_reads(command->op);
    case COMMAND_SQL_EXECUTE:
    case COMMAND_SQL_QUERY:
    case COMMAND_SQL_REQUEST: break;
    }
    if (in_memory(s)) {
        gate_share(&s->memory);
    }
    bool reads = readers_only_read(s->readers, command);
    if (in_memory(s)) {
        gate_leave(&s->memory);
    }
    return reads;
}

int store_checkpoint(struct store *s, uint64_t *ret_index, struct error *e)
{
    struct store_position position;
    struct error mine;

    if (!in_memory(s) && !PLANTED("checkpoints_are_not_made")) {
        return checkpoint_run(s->checkpoint, ret_index, e != NULL ? e : &mine);
    }
    store_position(s, &position);
    *ret_index = position.index;
    return 0;
}

int store_verify(struct store *s, struct error *e)
{
    return digest_verify(s->digest, s->db, e);
}
