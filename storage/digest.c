#include "storage/digest.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/object.h"
#include "base/plant.h"
#include "storage/digest_rows.h"
#include "storage/digest_tables.h"
#include "storage/sql_error.h"
#include "storage/statement.h"

enum {
    DIGEST_MAGIC = 0x51444947,
    SAVED_VERSION = 1,
    SAVED_HEADER_BYTES = 24,
    SAVED_TABLE_BYTES = 40,
};

struct digest {
    OBJECT_MAGIC;
    sqlite3 *db;
    bool hooked;
    struct digest_tables tables;
    sqlite3_stmt *version_of;       /* PRAGMA schema_version */
    sqlite3_stmt *settle, *settled; /* made when first needed */
    struct digest_rows rows;
    struct digest_table *last; /* the table that the hook found last */
    bool refused;              /* a row got the largest rowid */
    struct error failed;       /* of the hook, which cannot return one; stays */
};

/* The store's own bookkeeping holds the digest itself, and statistics are no content. */
static bool counts(const char *name)
{
    return sqlite3_stricmp(name, "quorate_state") != 0 && sqlite3_strnicmp(name, "sqlite_stat", 11) != 0;
}

static void on_change(void *context, sqlite3 *db, int operation, const char *schema, const char *name,
                      sqlite3_int64 before, sqlite3_int64 after)
{
    struct digest *d = CAST(struct digest, context, DIGEST_MAGIC);
    struct digest_table *t = d->last;
    struct error e;
    int rc = digest_rows_settle(&d->rows, &e);

    if ((PLANTED("digest_skips_triggers") && sqlite3_preupdate_depth(db) > 0) ||
        (PLANTED("digest_skips_cascades") && sqlite3_preupdate_depth(db) > 0 && operation == SQLITE_DELETE) ||
        (PLANTED("digest_keeps_replaced_rows") && sqlite3_preupdate_depth(db) == 0 &&
         operation == SQLITE_DELETE)) {
        return;
    }
    if (t == NULL || strcmp(t->name, name) != 0) {
        t = digest_tables_find(&d->tables, name);
    }
    /* A table that is not known is not counted, or is created by this very statement: digest_follow() will
     * scan it. */
    if (rc == Q_OK && t != NULL && strcmp(schema, "main") == 0) {
        d->last = t;
        d->refused = d->refused || (operation != SQLITE_DELETE && after == INT64_MAX);
        rc = digest_tables_touch(&d->tables, t, &e);
        rc = rc == Q_OK ? digest_rows_change(&d->rows, t, operation, before, after, &e) : rc;
    }
    if (rc != Q_OK && d->failed.code == Q_OK) {
        d->failed = e;
    }
}

static int scan(struct digest *d, struct digest_table *t, struct error *e)
{
    int rc = digest_tables_touch(&d->tables, t, e);

    rc = rc == Q_OK ? digest_table_scan(t, d->db, &d->rows.row, e) : rc;
    if (rc == Q_OK && t->full) {
        return error_set(e, Q_INVALID,
                         "table %s would hold the rowid 9223372036854775807, after which SQLite chooses "
                         "rowids at random",
                         t->name);
    }
    return rc;
}

/* The sums that digest_save() wrote; NULL bytes: none, scan. */
struct saved {
    const uint8_t *tables;
    uint32_t count;
    uint8_t schema[16];
};

static void put_sum(uint8_t *p, digest_sum sum)
{
    put_le64(p, (uint64_t)sum);
    put_le64(p + 8, (uint64_t)(sum >> 64));
}

static digest_sum get_sum(const uint8_t *p)
{
    return (digest_sum)get_le64(p + 8) << 64 | get_le64(p);
}

static int find_saved(const struct saved *saved, struct digest_table *t, struct error *e)
{
    for (uint32_t i = 0; i < saved->count; i++) {
        const uint8_t *p = saved->tables + (size_t)i * SAVED_TABLE_BYTES;
        if (get_le64(p) == t->seed && get_sum(p + 8) == t->schema) {
            t->sum = get_sum(p + 24);
            return Q_OK;
        }
    }
    return error_set(e, Q_CORRUPT, "the saved digest does not know table %s as it is", t->name);
}

static int check_names(struct digest *d, const struct digest_table *t, struct error *e)
{
    bool drawn;
    int rc = digest_table_drawn(t, d->db, &drawn, e);

    if (rc == Q_OK && drawn) {
        return error_set(e, Q_INVALID,
                         "table %s would get column names that SQLite chooses at random: name its columns",
                         t->name);
    }
    return rc;
}

/* One row of the schema that is a table with rows of its own: keeps the table that is known, or adds it. */
static int follow_table(struct digest *d, const char *name, digest_sum schema, const struct saved *saved,
                        struct error *e)
{
    struct digest_table *t = digest_tables_find(&d->tables, name);
    int rc;

    if (t != NULL && t->schema == schema) {
        t->seen = true;
        return Q_OK;
    }
    if (t != NULL) {
        rc = digest_tables_remove(&d->tables, t, e);
        if (rc != Q_OK) {
            return rc;
        }
    }
    rc = digest_table_new(d->db, name, schema, &t, e);
    if (rc != Q_OK) {
        return rc;
    }
    rc = digest_tables_add(&d->tables, t, e);
    if (rc != Q_OK) {
        digest_table_free(t);
        return rc;
    }
    t->seen = true;
    rc = saved->tables != NULL ? find_saved(saved, t, e) : scan(d, t, e);
    return rc == Q_OK && d->hooked ? check_names(d, t, e) : rc;
}

static int read_schema(struct digest *d, sqlite3_stmt *rows, const struct saved *saved, struct error *e)
{
    digest_sum sum = 0;
    int step, rc;

    while ((step = sqlite3_step(rows)) == SQLITE_ROW) {
        const char *type = (const char *)sqlite3_column_text(rows, 0);
        const char *name = (const char *)sqlite3_column_text(rows, 1);
        const char *table = (const char *)sqlite3_column_text(rows, 2);
        const char *sql = (const char *)sqlite3_column_text(rows, 3);
        digest_sum hash;

        if (type == NULL || name == NULL || table == NULL) {
            return error_set(e, Q_CORRUPT, "a row of the schema has no type or name");
        }
        if (!counts(table)) {
            continue;
        }
        hash = digest_schema_hash(type, name, table, sql);
        sum += hash;
        if (strcmp(type, "table") == 0 && sqlite3_column_int64(rows, 4) > 0) {
            rc = follow_table(d, name, hash, saved, e);
            if (rc != Q_OK) {
                return rc;
            }
        }
    }
    d->tables.schema = sum;
    return step == SQLITE_DONE ? Q_OK : sql_error(d->db, step, "reading the schema", e);
}

/* Compares the schema with what it was; scans what is new or changed. */
static int follow_schema(struct digest *d, int64_t version, const struct saved *saved, struct error *e)
{
    sqlite3_stmt *rows;
    int rc = sqlite3_prepare_v2(d->db, "SELECT type, name, tbl_name, sql, rootpage FROM main.sqlite_schema",
                                -1, &rows, NULL);

    if (rc != SQLITE_OK) {
        return sql_error(d->db, rc, "reading the schema", e);
    }
    d->last = NULL;
    for (size_t i = 0; i < d->tables.count; i++) {
        d->tables.table[i]->seen = false;
    }
    rc = read_schema(d, rows, saved, e);
    sqlite3_finalize(rows);
    for (size_t i = d->tables.count; rc == Q_OK && i-- > 0;) {
        struct digest_table *t = d->tables.table[i];
        if (!t->seen) {
            rc = digest_tables_remove(&d->tables, t, e);
        }
    }
    if (rc == Q_OK) {
        d->tables.version = version;
    }
    return rc;
}

static int schema_version(struct digest *d, int64_t *ret_version, struct error *e)
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

static int decode_saved(const void *p, size_t n, struct saved *ret_saved, struct error *e)
{
    struct cursor c = cursor_of(p, n);
    uint32_t version = cursor_u32(&c);
    struct saved saved = {.count = cursor_u32(&c)};
    const uint8_t *schema = cursor_bytes(&c, sizeof saved.schema);

    if (c.bad || version != SAVED_VERSION || cursor_left(&c) != (size_t)saved.count * SAVED_TABLE_BYTES) {
        return error_set(e, Q_CORRUPT, "the saved digest does not decode");
    }
    memcpy(saved.schema, schema, sizeof saved.schema);
    saved.tables = c.p;
    *ret_saved = saved;
    return Q_OK;
}

/* Without a hook; all tables known. */
static int make(sqlite3 *db, const struct saved *saved, struct digest **ret_digest, struct error *e)
{
    struct digest *d = calloc(1, sizeof *d);
    int64_t version;
    int rc;

    if (d == NULL) {
        return error_set(e, Q_NOMEM, "out of memory");
    }
    d->magic = DIGEST_MAGIC;
    d->db = db;
    d->rows.db = db;
    digest_tables_init(&d->tables);
    rc = sqlite3_prepare_v3(db, "PRAGMA main.schema_version", -1, SQLITE_PREPARE_PERSISTENT, &d->version_of,
                            NULL);
    rc = rc == SQLITE_OK ? schema_version(d, &version, e) : sql_error(db, rc, "PRAGMA schema_version", e);
    rc = rc == Q_OK ? follow_schema(d, version, saved, e) : rc;
    if (rc != Q_OK) {
        digest_free(d);
        return rc;
    }
    *ret_digest = d;
    return Q_OK;
}

int digest_new(sqlite3 *db, const void *saved_bytes, size_t n, struct digest **ret_digest, struct error *e)
{
    struct saved saved = {.tables = NULL};
    struct digest *d;
    int rc = saved_bytes != NULL ? decode_saved(saved_bytes, n, &saved, e) : Q_OK;

    rc = rc == Q_OK ? make(db, &saved, &d, e) : rc;
    if (rc != Q_OK) {
        return rc;
    }
    if (saved.tables != NULL &&
        (d->tables.count != saved.count || d->tables.schema != get_sum(saved.schema))) {
        digest_free(d);
        return error_set(e, Q_CORRUPT, "the saved digest is of another schema");
    }
    sqlite3_preupdate_hook(db, on_change, d);
    d->hooked = true;
    *ret_digest = d;
    return Q_OK;
}

void digest_free(struct digest *d)
{
    if (d != NULL) {
        if (d->hooked) {
            sqlite3_preupdate_hook(d->db, NULL, NULL);
        }
        sqlite3_finalize(d->version_of);
        sqlite3_finalize(d->settle);
        sqlite3_finalize(d->settled);
        digest_tables_close(&d->tables);
        buf_close(&d->rows.row.bytes);
        d->magic = 0;
        free(d);
    }
}

int digest_settle(struct digest *d, struct error *e)
{
    int rc;

    if ((d->settle == NULL && statement_new(d->db, "SAVEPOINT quorate_settle", &d->settle, e)) ||
        (d->settled == NULL && statement_new(d->db, "RELEASE quorate_settle", &d->settled, e))) {
        return (int)e->code;
    }
    rc = statement_run(d->settle);
    rc = rc == SQLITE_OK ? statement_run(d->settled) : rc;
    return rc == SQLITE_OK ? digest_follow(d, e) : sql_error(d->db, rc, "settling the digest", e);
}

void digest_value(const struct digest *d, uint8_t ret_value[DIGEST_BYTES])
{
    digest_sum sum = d->tables.schema;

    assert(d->rows.pending == NULL);
    for (size_t i = 0; i < d->tables.count; i++) {
        sum += d->tables.table[i]->sum;
    }
    put_sum(ret_value, sum);
}

void digest_save(const struct digest *d, struct buf *out)
{
    uint8_t *p;

    assert(d->rows.pending == NULL);
    p = buf_reserve(out, SAVED_HEADER_BYTES + d->tables.count * SAVED_TABLE_BYTES);
    if (p == NULL) {
        return;
    }
    put_le32(p, SAVED_VERSION);
    put_le32(p + 4, (uint32_t)d->tables.count);
    put_sum(p + 8, d->tables.schema);
    p += SAVED_HEADER_BYTES;
    for (size_t i = 0; i < d->tables.count; i++, p += SAVED_TABLE_BYTES) {
        put_le64(p, d->tables.table[i]->seed);
        put_sum(p + 8, d->tables.table[i]->schema);
        put_sum(p + 24, d->tables.table[i]->sum);
    }
    out->len += SAVED_HEADER_BYTES + d->tables.count * SAVED_TABLE_BYTES;
}

int digest_savepoint(struct digest *d, struct error *e)
{
    assert(d->rows.pending == NULL); /* the statement before was followed, or rolled back */
    return digest_tables_savepoint(&d->tables, e);
}

void digest_release(struct digest *d)
{
    digest_tables_release(&d->tables);
    d->last = NULL;
}

void digest_rollback(struct digest *d)
{
    digest_rows_forget(&d->rows);
    d->refused = false;
    d->last = NULL;
    digest_tables_rollback(&d->tables);
}

static int scan_stale(struct digest *d, struct error *e)
{
    int rc = Q_OK;

    for (size_t i = 0; rc == Q_OK && d->rows.any_stale && i < d->tables.count; i++) {
        if (d->tables.table[i]->stale) {
            rc = scan(d, d->tables.table[i], e);
        }
    }
    d->rows.any_stale = d->rows.any_stale && rc != Q_OK;
    return rc;
}

int digest_follow(struct digest *d, struct error *e)
{
    struct digest_table *sequence;
    int64_t version;
    int rc = digest_rows_settle(&d->rows, e);

    if (d->failed.code != Q_OK) {
        rc = error_set(e, d->failed.code, "%s", d->failed.text);
    }
    if (rc == Q_OK && d->refused) {
        return error_set(
            e, Q_INVALID,
            "the rowid 9223372036854775807 is not allowed: after it SQLite chooses rowids at random");
    }
    rc = rc == Q_OK ? schema_version(d, &version, e) : rc;
    if (rc == Q_OK && version != d->tables.version) {
        rc = follow_schema(d, version, &(struct saved){.tables = NULL}, e);
    }
    rc = rc == Q_OK ? scan_stale(d, e) : rc;
    sequence = rc == Q_OK ? digest_tables_find(&d->tables, "sqlite_sequence") : NULL;
    return sequence != NULL ? scan(d, sequence, e) : rc;
}

/* What SAVED says that T should be. */
static bool as_saved(const struct saved *saved, const struct digest_table *t)
{
    struct digest_table wanted = {.seed = t->seed, .schema = t->schema};

    return find_saved(saved, &wanted, NULL) == Q_OK && wanted.sum == t->sum;
}

static void put_name(struct buf *names, const char *name)
{
    buf_printf(names, "%s%s", names->len > 0 ? ", " : "", name);
}

static void compare(const struct digest *fresh, const struct saved *saved, struct buf *ret_names)
{
    for (size_t i = 0; i < fresh->tables.count; i++) {
        if (!as_saved(saved, fresh->tables.table[i])) {
            put_name(ret_names, fresh->tables.table[i]->name);
        }
    }
    if (fresh->tables.schema != get_sum(saved->schema) || fresh->tables.count != saved->count) {
        put_name(ret_names, "sqlite_schema");
    }
}

int digest_check(sqlite3 *db, const void *saved_bytes, size_t n, uint8_t ret_found[DIGEST_BYTES],
                 struct buf *names, struct error *e)
{
    struct saved saved = {.tables = NULL};
    struct digest *fresh;
    int rc = saved_bytes != NULL ? decode_saved(saved_bytes, n, &saved, e) : Q_OK;

    rc = rc == Q_OK ? make(db, &(struct saved){.tables = NULL}, &fresh, e) : rc;
    if (rc != Q_OK) {
        return rc;
    }
    if (saved_bytes != NULL) {
        compare(fresh, &saved, names);
    }
    digest_value(fresh, ret_found);
    digest_free(fresh);
    return buf_check(names, "the names of tables", e);
}

int digest_verify(const struct digest *d, sqlite3 *db, struct error *e)
{
    uint8_t found[DIGEST_BYTES];
    struct buf saved, names;

    buf_init(&saved, SIZE_MAX);
    buf_init(&names, SIZE_MAX);
    digest_save(d, &saved);
    int rc = buf_check(&saved, "the digest", e);
    rc = rc == Q_OK ? digest_check(db, saved.data, saved.len, found, &names, e) : rc;
    if (rc == Q_OK && names.len > 0) {
        rc = error_set(e, Q_CORRUPT, "not the content that the digest names: %.*s", (int)names.len,
                       (const char *)names.data);
    }
    buf_close(&saved);
    buf_close(&names);
    return rc;
}
