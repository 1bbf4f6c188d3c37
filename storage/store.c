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
#include "storage/convert.h"
#include "storage/gate.h"
#include "storage/page_sum.h"
#include "storage/page_vfs.h"
#include "storage/readers.h"
#include "storage/writer.h"

enum { STORE_MAGIC = 0x51535452 };

struct store {
    OBJECT_MAGIC;
    struct store_config config; /* its strings are PATH and VFS */
    char *path, *vfs;           /* NULL as in the configuration */
    char memory_name[40];       /* of a database in memory */
    struct page_vfs *pages;     /* NULL in memory */
    struct connection_place place;

    /* All of them, or none: then WHY says why there is no database. */
    struct writer *writer;
    struct checkpoint *checkpoint; /* NULL in memory */
    struct readers *readers;
    const char *why;

    struct gate writing; /* shared by an entry; alone: the end of a checkpoint, a swap. Before READING */
    struct gate reading; /* shared by a read; alone: a swap, and an entry in memory, where are no snapshots */

    atomic_bool held; /* by store_hold(); worker lane */
    uint64_t held_index;

    pthread_mutex_t position_lock;
    struct store_position position;
    _Atomic uint64_t wal_bytes, members_version;
};

static bool in_memory(const struct store *s)
{
    return s->path == NULL;
}

static void set_position(struct store *s)
{
    const struct state *state = writer_state(s->writer);
    struct store_position position = {.index = state->index, .term = state->term, .time_ms = state->time_ms};

    writer_digest(s->writer, position.digest);
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
    s->config = *config;
    s->why = "has no database yet";
    pthread_mutex_init(&s->position_lock, NULL);
    if (gate_init(&s->writing) != 0 || gate_init(&s->reading) != 0) {
        free(s);
        return out_of_memory(e);
    }
    s->path = config->path != NULL ? strdup(config->path) : NULL;
    s->vfs = config->vfs != NULL ? strdup(config->vfs) : NULL;
    if ((config->path != NULL && s->path == NULL) || (config->vfs != NULL && s->vfs == NULL)) {
        store_close(s);
        return out_of_memory(e);
    }
    s->config.path = s->path;
    s->config.vfs = s->vfs;
    if (in_memory(s)) {
        snprintf(s->memory_name, sizeof s->memory_name, "/quorate-%p", (void *)s);
        s->place = (struct connection_place){s->memory_name, CONNECTION_MEMORY_VFS, true, 0};
    } else if (page_vfs_new(s->vfs, &s->pages, e)) {
        store_close(s);
        return (int)e->code;
    } else {
        s->place = (struct connection_place){s->path, page_vfs_name(s->pages), false, PAGE_SUM_BYTES};
    }
    *ret_store = s;
    return 0;
}

uint64_t store_wal_bytes(const struct store *s)
{
    return atomic_load(&s->wal_bytes);
}

uint64_t store_bad_pages(const struct store *s)
{
    return s->pages != NULL ? page_vfs_bad_pages(s->pages) : 0;
}

static int open_writer(struct store *s, struct error *e)
{
    struct writer_config config = {
        .place = s->place,
        .result_max = s->config.result_max,
        .foreign_keys = s->config.foreign_keys,
        .instructions_max =
            s->config.instructions_max != 0 ? s->config.instructions_max : STORE_INSTRUCTIONS_DEFAULT,
        .adopt_sqlite = s->config.adopt_sqlite,
        .elapsed_ns = s->config.elapsed_ns,
        .ctx = s->config.ctx,
        .wal_bytes = &s->wal_bytes,
        .members_version = &s->members_version,
    };
    return writer_new(&config, &s->writer, e);
}

static int open_readers(struct store *s, struct error *e)
{
    struct readers_config config = {
        .place = s->place,
        .count = s->config.readers,
        .result_max = s->config.result_max,
        .elapsed_ns = s->config.elapsed_ns,
        .ctx = s->config.ctx,
    };
    return readers_new(&config, &s->readers, e);
}

static void close_connections(struct store *s)
{
    readers_free(s->readers);
    checkpoint_free(s->checkpoint);
    writer_free(s->writer);
    s->readers = NULL;
    s->checkpoint = NULL;
    s->writer = NULL;
}

static int convert(struct store *s, struct error *e)
{
    struct connection_place plain = {.name = s->path, .vfs = s->vfs};

    return in_memory(s) ? 0 : convert_if_needed(&plain, s->config.say, s->config.say_ctx, e);
}

static int open_connections(struct store *s, struct error *e)
{
    if (convert(s, e) == 0 && open_writer(s, e) == 0 &&
        (in_memory(s) ||
         (checkpoint_new(&s->place, &s->checkpoint, e) == 0 && checkpoint_settle(s->checkpoint, e) == 0)) &&
        open_readers(s, e) == 0) {
        set_position(s);
        return 0;
    }
    close_connections(s);
    return error_wrap(e, "database %s", in_memory(s) ? "in memory" : s->path);
}

int store_open(const struct store_config *config, struct store **ret_store, struct error *e)
{
    struct error mine;
    struct store *s = NULL;

    e = e != NULL ? e : &mine;
    if (check_config(config, e) || make(config, &s, e)) {
        return (int)e->code;
    }
    if (open_connections(s, e)) {
        store_close(s);
        return (int)e->code;
    }
    *ret_store = s;
    return 0;
}

int store_open_absent(const struct store_config *config, struct store **ret_store, struct error *e)
{
    struct error mine;

    e = e != NULL ? e : &mine;
    if (check_config(config, e)) {
        return (int)e->code;
    }
    if (config->path == NULL) {
        return error_set(e, Q_INVALID, "a database in memory is never absent");
    }
    return make(config, ret_store, e);
}

void store_close(struct store *s)
{
    if (s == NULL) {
        return;
    }
    assert(s->magic == STORE_MAGIC);
    close_connections(s);
    page_vfs_free(s->pages);
    gate_close(&s->writing);
    gate_close(&s->reading);
    pthread_mutex_destroy(&s->position_lock);
    free(s->path);
    free(s->vfs);
    s->magic = 0;
    free(s);
}

/* Inside a gate. */
static int check_present(const struct store *s, struct error *e)
{
    return s->writer != NULL ? 0 : error_set(e, Q_CORRUPT, "%s %s", s->path, s->why);
}

int store_apply(struct store *s, uint64_t index, uint64_t term, const void *p, size_t n, struct buf *results,
                struct error *e)
{
    struct error mine;

    e = e != NULL ? e : &mine;
    assert(s->magic == STORE_MAGIC);
    gate_share(&s->writing);
    if (in_memory(s)) {
        gate_alone(&s->reading);
    }
    int rc = check_present(s, e);
    rc = rc == 0 ? writer_apply(s->writer, index, term, p, n, results, e) : rc;
    if (rc == 0) {
        set_position(s);
    }
    if (in_memory(s)) {
        gate_leave(&s->reading);
    }
    gate_leave(&s->writing);
    return rc;
}

int store_read(struct store *s, const struct command *command, uint64_t timeout_ms, struct buf *result,
               uint64_t *ret_index, struct error *e)
{
    struct error mine;

    e = e != NULL ? e : &mine;
    gate_share(&s->reading);
    int rc = check_present(s, e);
    rc = rc == 0 ? readers_run(s->readers, command, timeout_ms, result, ret_index, e) : rc;
    gate_leave(&s->reading);
    return rc;
}

int store_check(struct store *s, struct store_check *ret_check, struct error *e)
{
    struct error mine;

    e = e != NULL ? e : &mine;
    gate_share(&s->reading);
    int rc = check_present(s, e);
    rc = rc == 0 ? readers_check(s->readers, ret_check, e) : rc;
    gate_leave(&s->reading);
    return rc;
}

int store_dump(struct store *s, const char *tables, const struct dump_out *out, uint64_t *ret_index,
               struct error *e)
{
    struct error mine;

    e = e != NULL ? e : &mine;
    gate_share(&s->reading);
    int rc = check_present(s, e);
    rc = rc == 0 ? readers_dump(s->readers, tables, out, ret_index, e) : rc;
    gate_leave(&s->reading);
    return rc;
}

int store_members(struct store *s, struct store_member *ret_members, unsigned max, unsigned *ret_count,
                  struct error *e)
{
    struct error mine;

    e = e != NULL ? e : &mine;
    gate_share(&s->reading);
    int rc = check_present(s, e);
    rc = rc == 0 ? readers_members(s->readers, ret_members, max, ret_count, e) : rc;
    gate_leave(&s->reading);
    return rc;
}

uint64_t store_members_version(const struct store *s)
{
    return atomic_load(&s->members_version);
}

bool store_is_read_only(struct store *s, const struct command *command)
{
    switch (command->op) {
    case COMMAND_KV_PUT:
    case COMMAND_KV_GET:
    case COMMAND_KV_DELETE:
    case COMMAND_KV_LIST:
    case COMMAND_MEMBER:
    case COMMAND_LOAD: return command_reads(command->op);
    case COMMAND_SQL_EXECUTE:
    case COMMAND_SQL_QUERY:
    case COMMAND_SQL_REQUEST: break;
    }
    gate_share(&s->reading);
    bool reads = s->readers != NULL && readers_only_read(s->readers, command);
    gate_leave(&s->reading);
    return reads;
}

/* Worker lane: the swap, which closes the connections, is on it too. ret_position: of the same moment. */
static int copy_back(struct store *s, struct checkpoint_end *ret_end, struct store_position *ret_position,
                     struct error *e)
{
    struct checkpoint_end end = {.index = 0};

    if (check_present(s, e) || checkpoint_copy(s->checkpoint, e)) {
        return (int)e->code;
    }
    gate_alone(&s->writing);
    int rc = checkpoint_finish(s->checkpoint, &end, e);
    store_position(s, ret_position);
    gate_leave(&s->writing);
    if (rc == 0) {
        *ret_end = end;
    }
    return rc;
}

int store_checkpoint(struct store *s, uint64_t *ret_index, struct error *e)
{
    struct store_position position;
    struct checkpoint_end end;
    struct error mine;

    e = e != NULL ? e : &mine;
    if (in_memory(s) || PLANTED("checkpoints_are_not_made")) {
        store_position(s, &position);
        *ret_index = position.index;
        return 0;
    }
    if (s->held && !PLANTED("checkpoints_do_not_mind_a_hold")) {
        *ret_index = s->held_index;
        return 0;
    }
    if (copy_back(s, &end, &position, e)) {
        return (int)e->code;
    }
    *ret_index = end.index;
    return 0;
}

int store_hold(struct store *s, struct store_image *ret_image, struct error *e)
{
    struct store_image image = {.path = s->path};
    struct checkpoint_end end;
    struct error mine;

    e = e != NULL ? e : &mine;
    if (in_memory(s)) {
        return error_set(e, Q_INVALID, "a database in memory has no file to hold");
    }
    assert(!s->held);
    if (build_text(image.sqlite, e) || copy_back(s, &end, &image.position, e)) {
        return (int)e->code;
    }
    if (!end.whole && !PLANTED("hold_does_not_wait_for_readers")) {
        return error_set(e, Q_BUSY, "a reader of an older snapshot keeps the file from holding index %llu",
                         (unsigned long long)end.index);
    }
    assert(image.position.index == end.index);
    image.bytes = end.bytes;
    s->held_index = end.index;
    s->held = true;
    *ret_image = image;
    return 0;
}

void store_release(struct store *s)
{
    s->held = false;
}

int store_swap(struct store *s, int (*swap)(void *ctx, struct error *e), void *ctx, struct error *e)
{
    struct error mine;

    e = e != NULL ? e : &mine;
    if (in_memory(s)) {
        return error_set(e, Q_INVALID, "a database in memory has no file to swap");
    }
    gate_alone(&s->writing);
    if (!PLANTED("swap_does_not_wait_for_reads")) {
        gate_alone(&s->reading);
    } else {
        gate_share(&s->reading);
    }
    if (s->writer != NULL) {
        writer_keep_wal(s->writer);
        checkpoint_keep_wal(s->checkpoint);
    }
    close_connections(s);
    s->held = false;
    s->wal_bytes = 0;
    int rc = swap(ctx, e);
    rc = rc == 0 ? open_connections(s, e) : rc;
    if (rc != 0) {
        s->why = "was being replaced when that failed";
    }
    gate_leave(&s->reading);
    gate_leave(&s->writing);
    return rc;
}

int store_forget_members(struct store *s, struct error *e)
{
    struct error mine;
    int rc = writer_forget_members(s->writer, e != NULL ? e : &mine);

    if (rc == 0) {
        set_position(s);
    }
    return rc;
}

int store_verify(struct store *s, struct error *e)
{
    return check_present(s, e) ? Q_CORRUPT : writer_verify(s->writer, e);
}
