#include "storage/functions.h"

#include <string.h>
#include <xxhash.h>

#include "base/object.h"
#include "base/plant.h"
#include "storage/sql_error.h"

enum { FUNCTIONS_MAGIC = 0x5146554e };

static struct functions *self(sqlite3_context *context)
{
    return CAST(struct functions, sqlite3_user_data(context), FUNCTIONS_MAGIC);
}

/* random(): an int64, never the smallest one, so that abs(random()) cannot overflow; as SQLite's. */
static void sql_random(sqlite3_context *context, int n, sqlite3_value **arguments)
{
    uint64_t drawn = rng_next(&self(context)->rng);

    if (PLANTED("random_is_the_machines")) {
        sqlite3_randomness(sizeof drawn, &drawn);
    }
    sqlite3_int64 value = (sqlite3_int64)(drawn & INT64_MAX);

    (void)n;
    (void)arguments;
    sqlite3_result_int64(context, drawn >> 63 != 0 ? -value : value);
}

/* randomblob(N): N bytes, at least one; as SQLite's. */
static void sql_randomblob(sqlite3_context *context, int n, sqlite3_value **arguments)
{
    struct functions *f = self(context);
    sqlite3_int64 size = sqlite3_value_int64(arguments[0]);
    void *bytes;

    (void)n;
    size = size < 1 ? 1 : size;
    if (size > sqlite3_limit(f->db, SQLITE_LIMIT_LENGTH, -1)) {
        sqlite3_result_error_toobig(context);
        return;
    }
    bytes = sqlite3_malloc64((sqlite3_uint64)size);
    if (bytes == NULL) {
        sqlite3_result_error_nomem(context);
        return;
    }
    rng_fill(&f->rng, bytes, (size_t)size);
    sqlite3_result_blob64(context, bytes, (sqlite3_uint64)size, sqlite3_free);
}

static void sql_total_changes(sqlite3_context *context, int n, sqlite3_value **arguments)
{
    const struct functions *f = self(context);

    (void)n;
    (void)arguments;
    sqlite3_result_int64(context, sqlite3_total_changes64(f->db) - f->changes_before);
}

/* A virtual table that has no rows and takes no changes. A DELETE from it is a statement that changed 0 rows,
 * and so the one way to set what sqlite3_changes() remembers. */
static int void_connect(sqlite3 *db, void *context, int n, const char *const *arguments,
                        sqlite3_vtab **ret_table, char **ret_error)
{
    sqlite3_vtab *table;
    int rc = sqlite3_declare_vtab(db, "CREATE TABLE x(a)");

    (void)context;
    (void)n;
    (void)arguments;
    (void)ret_error;
    if (rc != SQLITE_OK) {
        return rc;
    }
    table = sqlite3_malloc(sizeof *table);
    if (table == NULL) {
        return SQLITE_NOMEM;
    }
    *table = (sqlite3_vtab){.nRef = 0};
    *ret_table = table;
    return SQLITE_OK;
}

static int void_disconnect(sqlite3_vtab *table)
{
    sqlite3_free(table);
    return SQLITE_OK;
}

static int void_best_index(sqlite3_vtab *table, sqlite3_index_info *info)
{
    (void)table;
    info->estimatedCost = 1;
    return SQLITE_OK;
}

static int void_open(sqlite3_vtab *table, sqlite3_vtab_cursor **ret_cursor)
{
    sqlite3_vtab_cursor *cursor = sqlite3_malloc(sizeof *cursor);

    (void)table;
    if (cursor == NULL) {
        return SQLITE_NOMEM;
    }
    *cursor = (sqlite3_vtab_cursor){.pVtab = NULL};
    *ret_cursor = cursor;
    return SQLITE_OK;
}

static int void_close(sqlite3_vtab_cursor *cursor)
{
    sqlite3_free(cursor);
    return SQLITE_OK;
}

static int void_filter(sqlite3_vtab_cursor *cursor, int plan, const char *name, int n, sqlite3_value **values)
{
    (void)cursor;
    (void)plan;
    (void)name;
    (void)n;
    (void)values;
    return SQLITE_OK;
}

static int void_next(sqlite3_vtab_cursor *cursor)
{
    (void)cursor;
    return SQLITE_OK;
}

static int void_eof(sqlite3_vtab_cursor *cursor)
{
    (void)cursor;
    return 1;
}

static int void_column(sqlite3_vtab_cursor *cursor, sqlite3_context *context, int column)
{
    (void)cursor;
    (void)column;
    sqlite3_result_null(context);
    return SQLITE_OK;
}

static int void_rowid(sqlite3_vtab_cursor *cursor, sqlite3_int64 *ret_rowid)
{
    (void)cursor;
    *ret_rowid = 0;
    return SQLITE_OK;
}

static int void_update(sqlite3_vtab *table, int n, sqlite3_value **values, sqlite3_int64 *ret_rowid)
{
    (void)table;
    (void)n;
    (void)values;
    (void)ret_rowid;
    return SQLITE_READONLY;
}

static const sqlite3_module void_module = {
    .iVersion = 1,
    .xConnect =
        void_connect, /* no xCreate: it is there without CREATE VIRTUAL TABLE, and cannot be created */
    .xBestIndex = void_best_index,
    .xDisconnect = void_disconnect,
    .xDestroy = void_disconnect,
    .xOpen = void_open,
    .xClose = void_close,
    .xFilter = void_filter,
    .xNext = void_next,
    .xEof = void_eof,
    .xColumn = void_column,
    .xRowid = void_rowid,
    .xUpdate = void_update,
};

int functions_attach(struct functions *f, sqlite3 *db, struct error *e)
{
    /* Innocuous: they work in defaults, triggers and views where the schema is not trusted. */
    const int flags = SQLITE_UTF8 | SQLITE_INNOCUOUS;
    const struct {
        const char *name;
        int arguments;
        void (*call)(sqlite3_context *, int, sqlite3_value **);
    } replaced[] = {
        {"random", 0, sql_random},
        {"randomblob", 1, sql_randomblob},
        {"total_changes", 0, sql_total_changes},
    };
    int rc = SQLITE_OK;

    *f = (struct functions){.magic = FUNCTIONS_MAGIC, .db = db};
    rng_init(&f->rng, 0);
    for (size_t i = 0; rc == SQLITE_OK && i < sizeof replaced / sizeof replaced[0]; i++) {
        rc = sqlite3_create_function_v2(db, replaced[i].name, replaced[i].arguments, flags, f,
                                        replaced[i].call, NULL, NULL, NULL);
    }
    rc = rc == SQLITE_OK ? sqlite3_create_module_v2(db, "quorate_void", &void_module, NULL, NULL) : rc;
    if (rc == SQLITE_OK) {
        rc = sqlite3_prepare_v3(db, "DELETE FROM quorate_void WHERE 0", -1, SQLITE_PREPARE_PERSISTENT,
                                &f->no_change, NULL);
    }
    return rc == SQLITE_OK ? Q_OK : sql_error(db, rc, "replacing functions", e);
}

void functions_detach(struct functions *f)
{
    sqlite3_finalize(f->no_change);
    f->no_change = NULL;
}

int functions_begin(struct functions *f, const uint8_t seed[16], uint32_t position, struct error *e)
{
    XXH128_hash_t mixed = XXH3_128bits_withSeed(seed, 16, position);
    int rc;

    /* All 128 bits count: with 64, two of a few billion commands would draw the same identifiers. */
    rng_init(&f->rng, mixed.low64);
    f->rng.state[0] ^= mixed.high64;
    sqlite3_step(f->no_change);
    rc = sqlite3_reset(f->no_change);
    sqlite3_set_last_insert_rowid(f->db, 0);
    f->changes_before = sqlite3_total_changes64(f->db);
    return rc == SQLITE_OK ? Q_OK : sql_error(f->db, rc, "resetting the counters", e);
}
