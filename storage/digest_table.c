#include "storage/digest_table.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "storage/sql_error.h"

enum {
    LONG_VALUE = 4096, /* bytes; longer ones are hashed by themselves instead of copied */
    LONG_VALUE_BIT = 16,
    COLUMN_VIRTUAL = 2, /* "hidden" of PRAGMA table_xinfo */
    COLUMN_STORED = 3,
};

/* Columns have a limit in SQLite (SQLITE_MAX_COLUMN: 2,000, at most 32,767), so a row's bytes have one too.
 */
#define ROW_BYTES_MAX ((size_t)32767 * (LONG_VALUE + 16))

static digest_sum sum_of(XXH128_hash_t h)
{
    return ((digest_sum)h.high64 << 64) | h.low64;
}

digest_sum digest_schema_hash(const char *type, const char *name, const char *tbl_name, const char *sql)
{
    const char *const texts[] = {type, name, tbl_name, sql};
    XXH128_hash_t hashes[4] = {
        {0, 0}, {0, 0}, {0, 0}, {0, 0}}; /* each text apart, so that none runs into the next */

    for (size_t i = 0; i < 4; i++) {
        if (texts[i] != NULL) {
            hashes[i] = XXH3_128bits(texts[i], strlen(texts[i]));
        }
    }
    return sum_of(XXH3_128bits(hashes, sizeof hashes));
}

void digest_row_begin(struct digest_row *row, const struct digest_table *t, sqlite3_int64 rowid)
{
    if (row->bytes.max == 0) {
        buf_init(&row->bytes, ROW_BYTES_MAX);
    }
    buf_clear(&row->bytes);
    buf_put_u64(&row->bytes, t->rowid != NULL ? (uint64_t)rowid : 0);
}

/* One reservation a value: this runs for every value that is written. */
static void put_number(struct buf *b, int type, uint64_t number)
{
    uint8_t *p = buf_reserve(b, 1 + sizeof number);

    if (p != NULL) {
        p[0] = (uint8_t)type;
        put_le64(p + 1, number);
        b->len += 1 + sizeof number;
    }
}

static void put_bytes(struct buf *b, int type, const void *bytes, size_t n)
{
    XXH128_hash_t h;
    uint8_t *p;

    if (bytes == NULL && n > 0) {
        b->failed = Q_NOMEM; /* SQLite could not convert or expand it */
        return;
    }
    if (n > LONG_VALUE) {
        h = XXH3_128bits(bytes, n);
        buf_put_u8(b, (uint8_t)(type | LONG_VALUE_BIT));
        buf_put_u32(b, (uint32_t)n);
        buf_put_u64(b, h.low64);
        buf_put_u64(b, h.high64);
        return;
    }
    p = buf_reserve(b, 1 + sizeof(uint32_t) + n);
    if (p != NULL) {
        p[0] = (uint8_t)type;
        put_le32(p + 1, (uint32_t)n);
        if (n > 0) {
            memcpy(p + 1 + sizeof(uint32_t), bytes, n);
        }
        b->len += 1 + sizeof(uint32_t) + n;
    }
}

static void put_real(struct buf *b, double real)
{
    uint64_t bits;

    /* 2^63 itself does not fit in an int64. */
    if (real >= -0x1p63 && real < 0x1p63 && (double)(int64_t)real == real && !(real == 0 && signbit(real))) {
        put_number(b, SQLITE_INTEGER, (uint64_t)(int64_t)real);
    } else {
        memcpy(&bits, &real, sizeof bits);
        put_number(b, SQLITE_FLOAT, bits);
    }
}

void digest_row_value(struct digest_row *row, sqlite3_value *value)
{
    struct buf *b = &row->bytes;
    int type = sqlite3_value_type(value);
    const void *bytes;

    switch (type) {
    case SQLITE_INTEGER: put_number(b, SQLITE_INTEGER, (uint64_t)sqlite3_value_int64(value)); break;
    case SQLITE_FLOAT: put_real(b, sqlite3_value_double(value)); break;
    case SQLITE_TEXT: /* the pointer first: asking for it may convert the value, and so change its length */
        bytes = sqlite3_value_text(value);
        put_bytes(b, type, bytes, (size_t)sqlite3_value_bytes(value));
        break;
    case SQLITE_BLOB:
        bytes = sqlite3_value_blob(value);
        put_bytes(b, type, bytes, (size_t)sqlite3_value_bytes(value));
        break;
    case SQLITE_NULL: buf_put_u8(b, SQLITE_NULL); break;
    }
}

digest_sum digest_row_end(const struct digest_row *row, const struct digest_table *t)
{
    return sum_of(XXH3_128bits_withSeed(row->bytes.data, row->bytes.len, t->seed));
}

static bool is_column(const struct digest_table *t, const char *name)
{
    for (int i = 0; i < t->columns; i++) {
        if (sqlite3_stricmp(t->column[i].name, name) == 0) {
            return true;
        }
    }
    return false;
}

/* SQL's name for the rowid of T: one of three, if no column has taken it, else *ret_hidden. NULL also for a
 * table WITHOUT ROWID. */
static int find_rowid(struct digest_table *t, sqlite3 *db, bool *ret_hidden, struct error *e)
{
    static const char *const candidates[] = {"rowid", "_rowid_", "oid"};
    size_t i = 0;
    int rc;

    while (i < sizeof candidates / sizeof candidates[0] && is_column(t, candidates[i])) {
        i++;
    }
    *ret_hidden = i == sizeof candidates / sizeof candidates[0];
    if (*ret_hidden) {
        return Q_OK;
    }
    rc = sqlite3_table_column_metadata(db, "main", t->name, candidates[i], NULL, NULL, NULL, NULL, NULL);
    if (rc == SQLITE_NOMEM) {
        return error_set(e, Q_NOMEM, "out of memory");
    }
    t->rowid = rc == SQLITE_OK ? candidates[i] : NULL;
    return Q_OK;
}

/* Reads PRAGMA table_xinfo into T->column and the list of stored columns. */
static int read_columns(struct digest_table *t, sqlite3 *db, sqlite3_stmt *info, sqlite3_str *list,
                        struct error *e)
{
    int rc;

    while ((rc = sqlite3_step(info)) == SQLITE_ROW) {
        const char *name = (const char *)sqlite3_column_text(info, 1);
        int hidden = sqlite3_column_int(info, 6);
        struct digest_column *grown = realloc(t->column, (size_t)(t->columns + 1) * sizeof *grown);

        if (grown == NULL || name == NULL) {
            t->column = grown != NULL ? grown : t->column;
            return error_set(e, Q_NOMEM, "out of memory");
        }
        t->column = grown;
        t->column[t->columns] = (struct digest_column){
            .name = strdup(name),
            .stored = hidden != COLUMN_VIRTUAL,
            .has_default = hidden != COLUMN_STORED && sqlite3_column_type(info, 4) != SQLITE_NULL,
            .key = sqlite3_column_int(info, 5),
        };
        if (t->column[t->columns++].name == NULL) {
            return error_set(e, Q_NOMEM, "out of memory");
        }
        if (hidden != COLUMN_VIRTUAL) {
            sqlite3_str_appendf(list, ", \"%w\"", name);
        }
    }
    if (rc == SQLITE_NOMEM) { /* SQLite's own words would be about something else */
        return error_set(e, Q_NOMEM, "out of memory");
    }
    return rc == SQLITE_DONE ? Q_OK : sql_error(db, rc, "PRAGMA table_xinfo", e);
}

/* The condition that finds a row by its primary key, in the key's order. Compared byte by byte, whatever the
 * column's collation: a key that is unique in its own collation is so in this one. */
static void put_key(const struct digest_table *t, sqlite3_str *condition)
{
    for (int key = 1; key <= t->columns; key++) {
        for (int i = 0; i < t->columns; i++) {
            if (t->column[i].key == key) {
                sqlite3_str_appendf(condition, "%s\"%w\" = ?%d COLLATE BINARY", key > 1 ? " AND " : "",
                                    t->column[i].name, key);
            }
        }
    }
}

static int describe(struct digest_table *t, sqlite3 *db, struct error *e)
{
    sqlite3_stmt *info = NULL;
    sqlite3_str *list = sqlite3_str_new(db), *condition = sqlite3_str_new(db);
    char *sql = sqlite3_mprintf("PRAGMA main.table_xinfo(%Q)", t->name);
    int rc = sql != NULL ? sqlite3_prepare_v2(db, sql, -1, &info, NULL) : SQLITE_NOMEM;
    int result =
        rc == SQLITE_OK ? read_columns(t, db, info, list, e) : sql_error(db, rc, "PRAGMA table_xinfo", e);
    bool hidden = false, virtual_columns = false, failed;

    if (result == Q_OK && !t->sequence) {
        result = find_rowid(t, db, &hidden, e);
    }
    if (result == Q_OK) {
        for (int i = 0; i < t->columns; i++) {
            virtual_columns = virtual_columns || !t->column[i].stored;
        }
        if (t->rowid != NULL) {
            sqlite3_str_appendf(condition, "%s = ?1", t->rowid);
        } else if (!hidden && !t->sequence && !virtual_columns) {
            put_key(t, condition);
        }
        t->source = t->sequence        ? DIGEST_BY_SCAN
                    : !virtual_columns ? DIGEST_BY_HOOK
                    : t->rowid != NULL ? DIGEST_BY_KEY
                                       : DIGEST_BY_SCAN;
    }
    sqlite3_finalize(info);
    sqlite3_free(sql);
    failed = sqlite3_str_errcode(list) != SQLITE_OK || sqlite3_str_errcode(condition) != SQLITE_OK;
    t->columns_sql = sqlite3_str_finish(list);
    t->key_sql = sqlite3_str_finish(condition);
    return result == Q_OK && failed ? error_set(e, Q_NOMEM, "out of memory") : result;
}

int digest_table_new(sqlite3 *db, const char *name, digest_sum schema, struct digest_table **ret_table,
                     struct error *e)
{
    struct digest_table *t = calloc(1, sizeof *t);
    int rc;

    if (t == NULL || (t->name = strdup(name)) == NULL) {
        digest_table_free(t);
        return error_set(e, Q_NOMEM, "out of memory");
    }
    t->schema = schema;
    t->seed = XXH3_64bits(name, strlen(name));
    t->sequence = sqlite3_stricmp(name, "sqlite_sequence") == 0;
    rc = describe(t, db, e);
    if (rc != Q_OK) {
        digest_table_free(t);
        return error_wrap(e, "table %s", name);
    }
    *ret_table = t;
    return Q_OK;
}

void digest_table_free(struct digest_table *t)
{
    if (t != NULL) {
        sqlite3_finalize(t->by_key);
        sqlite3_finalize(t->scan);
        sqlite3_free(t->columns_sql);
        sqlite3_free(t->key_sql);
        for (int i = 0; i < t->columns; i++) {
            free(t->column[i].name);
        }
        free(t->column);
        free(t->name);
        free(t);
    }
}

/* SELECT of the rowid (or 0) and the stored columns; CONDITION may be NULL. NOT INDEXED: the rows of the
 * table itself, even where an index covers them. */
static int compile(struct digest_table *t, sqlite3 *db, const char *condition, unsigned flags,
                   sqlite3_stmt **ret_statement, struct error *e)
{
    char *sql =
        sqlite3_mprintf("SELECT %s%s FROM main.\"%w\" NOT INDEXED%s%s", t->rowid != NULL ? t->rowid : "0",
                        t->columns_sql != NULL ? t->columns_sql : "", t->name,
                        condition != NULL ? " WHERE " : "", condition != NULL ? condition : "");
    int rc = sql != NULL ? sqlite3_prepare_v3(db, sql, -1, flags, ret_statement, NULL) : SQLITE_NOMEM;

    sqlite3_free(sql);
    return rc == SQLITE_OK ? Q_OK : sql_error(db, rc, t->name, e);
}

/* The hash of the row that STATEMENT stands on. Its values are used here and now by the connection's own
 * thread, so that they are unprotected does no harm. */
static int hash_row(struct digest_table *t, sqlite3_stmt *statement, struct digest_row *row,
                    digest_sum *ret_hash, struct error *e)
{
    int rc, value = 1;

    digest_row_begin(row, t, sqlite3_column_int64(statement, 0));
    for (int i = 0; i < t->columns; i++) {
        if (t->column[i].stored) {
            digest_row_value(row, sqlite3_column_value(statement, value++));
        }
    }
    rc = buf_check(&row->bytes, "a row to hash", e);
    if (rc == Q_OK) {
        *ret_hash = digest_row_end(row, t);
    }
    return rc;
}

int digest_table_scan(struct digest_table *t, sqlite3 *db, struct digest_row *row, struct error *e)
{
    digest_sum sum = 0, hash = 0;
    bool full = false;
    int rc = t->scan != NULL ? Q_OK
                             : compile(t, db, NULL, t->sequence ? SQLITE_PREPARE_PERSISTENT : 0, &t->scan, e);
    int step = SQLITE_DONE;

    while (rc == Q_OK && (step = sqlite3_step(t->scan)) == SQLITE_ROW) {
        rc = hash_row(t, t->scan, row, &hash, e);
        sum += hash;
        full = full || (t->rowid != NULL && sqlite3_column_int64(t->scan, 0) == INT64_MAX) ||
               (t->sequence && sqlite3_column_int64(t->scan, 2) == INT64_MAX);
    }
    if (rc == Q_OK && step != SQLITE_DONE) {
        rc = sql_error(db, step, t->name, e);
    }
    sqlite3_reset(t->scan);
    if (!t->sequence) {
        sqlite3_finalize(t->scan);
        t->scan = NULL;
    }
    if (rc == Q_OK) {
        t->sum = sum;
        t->full = full;
        t->stale = false;
    }
    return rc;
}

int digest_table_by_key(struct digest_table *t, sqlite3 *db, sqlite3_stmt **ret_statement, struct error *e)
{
    int rc = Q_OK;

    if (t->by_key == NULL) {
        rc = compile(t, db, t->key_sql, SQLITE_PREPARE_PERSISTENT, &t->by_key, e);
    }
    if (rc == Q_OK) {
        *ret_statement = t->by_key;
    }
    return rc;
}

int digest_table_read(struct digest_table *t, sqlite3 *db, struct digest_row *row, bool *ret_found,
                      digest_sum *ret_hash, struct error *e)
{
    int step = sqlite3_step(t->by_key), rc = Q_OK;

    if (step == SQLITE_ROW) {
        rc = hash_row(t, t->by_key, row, ret_hash, e);
    } else if (step != SQLITE_DONE) {
        rc = sql_error(db, step, t->name, e);
    }
    if (rc == Q_OK) {
        *ret_found = step == SQLITE_ROW;
    }
    sqlite3_reset(t->by_key);
    sqlite3_clear_bindings(t->by_key);
    return rc;
}

int digest_table_drawn(const struct digest_table *t, sqlite3 *db, bool *ret_drawn, struct error *e)
{
    sqlite3_stmt *names = NULL;
    char *sql = sqlite3_mprintf(
        "WITH c AS (SELECT name, rtrim(name, '0123456789') AS stem FROM pragma_table_xinfo(%Q, 'main'))"
        "SELECT 1 FROM c JOIN c AS d ON d.name = c.stem || '4' COLLATE NOCASE "
        "WHERE c.stem GLOB '*:' AND CAST(substr(c.name, length(c.stem) + 1) AS INTEGER) > 4",
        t->name);
    int rc = sql != NULL ? sqlite3_prepare_v2(db, sql, -1, &names, NULL) : SQLITE_NOMEM;

    rc = rc == SQLITE_OK ? sqlite3_step(names) : rc;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        *ret_drawn = rc == SQLITE_ROW;
        rc = Q_OK;
    } else {
        rc = sql_error(db, rc, "PRAGMA table_xinfo", e);
    }
    sqlite3_finalize(names);
    sqlite3_free(sql);
    return rc;
}
