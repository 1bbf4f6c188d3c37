#include "storage/determinism.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/object.h"
#include "base/plant.h"
#include "storage/clock_vfs.h"
#include "storage/functions.h"
#include "storage/math_functions.h"
#include "storage/sql_error.h"
#include "storage/time_zone.h"
#include "storage/token.h"

enum { DETERMINISM_MAGIC = 0x51444554 };

struct determinism {
    OBJECT_MAGIC;
    struct clock_vfs *clock;
    struct authorizer authorizer;
    struct functions functions;
    sqlite3 *db; /* NULL: not attached */
    sqlite3_stmt *version_of;
    int64_t version;
};

/* What a client can make SQLite do has the same bounds on every node. */
static const struct {
    int limit, value;
} limits[] = {
    {SQLITE_LIMIT_LENGTH, DETERMINISM_LENGTH_MAX},
    {SQLITE_LIMIT_SQL_LENGTH, DETERMINISM_LENGTH_MAX},
    {SQLITE_LIMIT_ATTACHED, 0},
    {SQLITE_LIMIT_WORKER_THREADS, 0},
    {SQLITE_LIMIT_VARIABLE_NUMBER, 32766},
    {SQLITE_LIMIT_TRIGGER_DEPTH, 100},
};

static const struct {
    int option, value;
} settings[] = {
    {SQLITE_DBCONFIG_DEFENSIVE, 1},
    {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},
    {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0},
    {SQLITE_DBCONFIG_ENABLE_FTS3_TOKENIZER, 0},
    {SQLITE_DBCONFIG_WRITABLE_SCHEMA, 0},
};

static int configure(sqlite3 *db, struct error *e)
{
    int rc;

    for (size_t i = 0; i < sizeof limits / sizeof limits[0]; i++) {
        sqlite3_limit(db, limits[i].limit, limits[i].value);
    }
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        rc = sqlite3_db_config(db, settings[i].option, settings[i].value, NULL);
        if (rc != SQLITE_OK) {
            return sql_error(db, rc, "configuring the connection", e);
        }
    }
    rc = math_functions_attach(db, e);
    return rc == Q_OK ? time_zone_attach(db, e) : rc;
}

int determinism_new(const char *under, struct determinism **ret_determinism, struct error *e)
{
    struct determinism *d = calloc(1, sizeof *d);
    int rc;

    if (d == NULL) {
        return error_set(e, Q_NOMEM, "out of memory");
    }
    d->magic = DETERMINISM_MAGIC;
    rc = clock_vfs_new(under, &d->clock, e);
    if (rc != Q_OK) {
        free(d);
        return rc;
    }
    *ret_determinism = d;
    return Q_OK;
}

const char *determinism_vfs(const struct determinism *d)
{
    return clock_vfs_name(d->clock);
}

static int schema_version(struct determinism *d, int64_t *ret_version, struct error *e)
{
    int step = sqlite3_step(d->version_of), rc = Q_OK;

    if (step == SQLITE_ROW) {
        *ret_version = sqlite3_column_int64(d->version_of, 0);
    } else {
        rc = sql_error(d->db, step, "PRAGMA schema_version", e);
    }
    sqlite3_reset(d->version_of);
    return rc;
}

int determinism_attach(struct determinism *d, sqlite3 *db, struct error *e)
{
    int rc = configure(db, e), prepared;

    rc = rc == Q_OK ? authorizer_attach(&d->authorizer, db, true, e) : rc;
    if (rc != Q_OK) {
        return rc;
    }
    d->db = db;
    authorizer_trust(&d->authorizer, true);
    rc = functions_attach(&d->functions, db, e);
    if (rc == Q_OK) {
        prepared = sqlite3_prepare_v3(db, "PRAGMA main.schema_version", -1, SQLITE_PREPARE_PERSISTENT,
                                      &d->version_of, NULL);
        rc = prepared == SQLITE_OK ? schema_version(d, &d->version, e)
                                   : sql_error(db, prepared, "PRAGMA schema_version", e);
    }
    authorizer_trust(&d->authorizer, false);
    return rc;
}

void determinism_detach(struct determinism *d)
{
    if (d != NULL && d->db != NULL) {
        functions_detach(&d->functions);
        sqlite3_finalize(d->version_of);
        d->version_of = NULL;
        d->db = NULL;
    }
}

void determinism_free(struct determinism *d)
{
    if (d != NULL) {
        determinism_detach(d);
        clock_vfs_free(d->clock);
        d->magic = 0;
        free(d);
    }
}

int determinism_refresh(struct determinism *d, struct error *e)
{
    int64_t version;
    int rc, reset;

    assert(sqlite3_get_autocommit(
        d->db)); /* a virtual table with changes in memory must not be connected anew */
    rc = schema_version(d, &version, e);
    if (rc != Q_OK || (!d->authorizer.planner && version == d->version) ||
        PLANTED("statistics_outlive_a_rollback")) {
        return rc;
    }
    /* Statistics in memory outlive a rolled back ANALYZE or a dropped index, and would choose other plans. */
    authorizer_trust(&d->authorizer, true);
    reset = sqlite3_exec(d->db, "PRAGMA writable_schema = RESET", NULL, NULL, NULL);
    authorizer_trust(&d->authorizer, false);
    if (reset != SQLITE_OK) {
        return sql_error(d->db, reset, "reading the schema again", e);
    }
    d->authorizer.planner = false;
    d->version = version;
    return Q_OK;
}

int determinism_begin(struct determinism *d, uint64_t time_ms, const uint8_t seed[16], uint32_t position,
                      struct error *e)
{
    int rc;

    if (!PLANTED("clock_stands_still_in_apply")) {
        clock_vfs_set(d->clock, time_ms);
    }
    authorizer_trust(&d->authorizer, true);
    position = PLANTED("commands_of_an_entry_draw_the_same") ? 0 : position;
    rc = functions_begin(&d->functions, seed, position, e);
    authorizer_trust(&d->authorizer, false);
    return rc;
}

/* Most statements hold none of what determinism_check() looks for. */
static bool holds(const char *sql, size_t n, const char *lower_case)
{
    size_t len = strlen(lower_case);

    for (size_t i = 0; i + len <= n; i++) {
        if ((sql[i] | 0x20) == lower_case[0] && strncasecmp(sql + i, lower_case, len) == 0) {
            return true;
        }
    }
    return false;
}

int determinism_check(const char *sql, size_t n, struct error *e)
{
    const char *end = sql + n;
    struct token before = {.kind = TOKEN_OTHER}, t;

    if (!holds(sql, n, AUTHORIZER_OWN_PREFIX) || PLANTED("clients_may_refer_to_own_tables")) {
        return Q_OK;
    }
    for (; token_next(&sql, end, &t); before = t) {
        if ((token_is(&before, "references") || token_is(&before, "to")) &&
            token_begins(&t, AUTHORIZER_OWN_PREFIX)) {
            return error_set(e, Q_DENIED,
                             "%.*s is reserved: names that begin with " AUTHORIZER_OWN_PREFIX
                             " are the store's own",
                             (int)(t.n < 100 ? t.n : 100), t.p);
        }
    }
    return Q_OK;
}

void determinism_trust(struct determinism *d, bool trusted)
{
    authorizer_trust(&d->authorizer, trusted);
}

const char *determinism_reason(struct determinism *d)
{
    return authorizer_reason(&d->authorizer);
}

int determinism_attach_reader(struct authorizer *a, sqlite3 *db, struct error *e)
{
    int rc = configure(db, e);

    return rc == Q_OK ? authorizer_attach(a, db, false, e) : rc;
}
