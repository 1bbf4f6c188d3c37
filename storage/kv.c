#include "storage/kv.h"

#include <assert.h>
#include <string.h>

#include "base/plant.h"
#include "storage/result.h"
#include "storage/sql_error.h"
#include "storage/statement.h"

static const char get_sql[] = "SELECT version, value FROM quorate_kv WHERE ns = ?1 AND key = ?2";
/* The value is not read from the disk unless it is wanted. */
static const char list_sql[] = "SELECT key, version, CASE WHEN ?5 THEN value END FROM quorate_kv"
                               " WHERE ns = ?1 AND key >= ?2 AND key < ?3 ORDER BY key LIMIT ?4";
static const char version_of_sql[] = "SELECT version FROM quorate_kv WHERE ns = ?1 AND key = ?2";
static const char floor_of_sql[] = "SELECT version FROM quorate_kv_floor WHERE ns = ?1";
static const char insert_sql[] = "INSERT INTO quorate_kv (ns, key, version, value) VALUES (?1, ?2, ?3, ?4)";
static const char update_sql[] = "UPDATE quorate_kv SET version = ?3, value = ?4 WHERE ns = ?1 AND key = ?2";
static const char remove_sql[] = "DELETE FROM quorate_kv WHERE ns = ?1 AND key = ?2";
static const char raise_floor_sql[] =
    "INSERT INTO quorate_kv_floor (ns, version) VALUES (?1, ?2)"
    " ON CONFLICT (ns) DO UPDATE SET version = max(version, excluded.version)";

int kv_init(struct kv *kv, sqlite3 *db, bool writes, struct error *e)
{
    memset(kv, 0, sizeof *kv);
    kv->db = db;
    if (statement_new(db, get_sql, &kv->get, e) || statement_new(db, list_sql, &kv->list, e)) {
        goto failed;
    }
    if (writes &&
        (statement_new(db, version_of_sql, &kv->version_of, e) ||
         statement_new(db, floor_of_sql, &kv->floor_of, e) || statement_new(db, insert_sql, &kv->insert, e) ||
         statement_new(db, update_sql, &kv->update, e) || statement_new(db, remove_sql, &kv->remove, e) ||
         statement_new(db, raise_floor_sql, &kv->raise_floor, e))) {
        goto failed;
    }
    return 0;
failed:
    kv_close(kv);
    return (int)e->code;
}

void kv_close(struct kv *kv)
{
    sqlite3_finalize(kv->get);
    sqlite3_finalize(kv->list);
    sqlite3_finalize(kv->version_of);
    sqlite3_finalize(kv->floor_of);
    sqlite3_finalize(kv->insert);
    sqlite3_finalize(kv->update);
    sqlite3_finalize(kv->remove);
    sqlite3_finalize(kv->raise_floor);
    memset(kv, 0, sizeof *kv);
}

/* After a statement failed with RC: what is too large is the client's fault. */
static int failed(struct kv *kv, int rc, struct buf *result, struct error *e)
{
    struct error why;

    if (rc != SQLITE_TOOBIG) {
        return sql_error(kv->db, rc, "key-value store", e);
    }
    error_set(&why, Q_TOO_BIG, "the value is larger than the limit of %d bytes",
              sqlite3_limit(kv->db, SQLITE_LIMIT_LENGTH, -1));
    result_put_error(result, &why);
    return 0;
}

static int bind_key(sqlite3_stmt *statement, const struct kv_command *c)
{
    int rc = statement_bind_text(statement, 1, &c->ns);

    return rc == SQLITE_OK ? statement_bind_blob(statement, 2, &c->key) : rc;
}

/* The first column of the one row that a bound statement gives; 0 if it gives none. */
static int read_number(sqlite3_stmt *statement, int64_t *ret_number)
{
    int rc = sqlite3_step(statement);

    *ret_number = rc == SQLITE_ROW ? sqlite3_column_int64(statement, 0) : 0;
    statement_end(statement);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? SQLITE_OK : rc;
}

static bool condition_holds(const struct kv_command *c, int64_t version)
{
    switch (c->condition) {
    case KV_ALWAYS: return true;
    case KV_IF_ABSENT: return version == 0;
    case KV_IF_VERSION:
        return version != 0 && ((uint64_t)version == c->version || PLANTED("versions_are_not_compared"));
    case KV_IF_PRESENT: return version != 0;
    }
    return false;
}

static void put_outcome(struct buf *result, enum result_kind kind, bool done, int64_t version)
{
    result_put_header(result, kind);
    buf_put_u8(result, done);
    buf_put_u64(result, (uint64_t)version);
}

static int write_value(struct kv *kv, const struct kv_command *c, int64_t before, int64_t *ret_version)
{
    sqlite3_stmt *write = before == 0 ? kv->insert : kv->update;
    int64_t base = before;
    int rc = SQLITE_OK;

    if (before == 0) {
        rc = statement_bind_text(kv->floor_of, 1, &c->ns);
        rc = rc == SQLITE_OK ? read_number(kv->floor_of, &base) : rc;
    }
    rc = rc == SQLITE_OK ? bind_key(write, c) : rc;
    rc = rc == SQLITE_OK ? sqlite3_bind_int64(write, 3, base + 1) : rc;
    rc = rc == SQLITE_OK ? statement_bind_blob(write, 4, &c->value) : rc;
    if (rc != SQLITE_OK) {
        statement_end(write);
        return rc;
    }
    *ret_version = base + 1;
    return statement_run(write);
}

static int remove_key(struct kv *kv, const struct kv_command *c, int64_t version)
{
    int rc = bind_key(kv->remove, c);

    rc = rc == SQLITE_OK ? statement_run(kv->remove) : rc;
    if (PLANTED("versions_start_anew_after_a_delete")) {
        return rc;
    }
    rc = rc == SQLITE_OK ? statement_bind_text(kv->raise_floor, 1, &c->ns) : rc;
    rc = rc == SQLITE_OK ? sqlite3_bind_int64(kv->raise_floor, 2, version) : rc;
    return rc == SQLITE_OK ? statement_run(kv->raise_floor) : rc;
}

static int write_key(struct kv *kv, enum command_op op, const struct kv_command *c, struct buf *result,
                     struct error *e)
{
    enum result_kind kind = op == COMMAND_KV_PUT ? RESULT_KV_PUT : RESULT_KV_DELETE;
    int64_t version = 0;

    assert(kv->insert != NULL);
    int rc = bind_key(kv->version_of, c);
    rc = rc == SQLITE_OK ? read_number(kv->version_of, &version) : rc;
    if (rc != SQLITE_OK) {
        return failed(kv, rc, result, e);
    }
    bool done = condition_holds(c, version);
    if (done && op == COMMAND_KV_PUT) {
        rc = write_value(kv, c, version, &version);
    } else if (done && version != 0) {
        rc = remove_key(kv, c, version);
        version = 0;
    }
    if (rc != SQLITE_OK) {
        return failed(kv, rc, result, e);
    }
    put_outcome(result, kind, done, version);
    return 0;
}

static void put_column(struct buf *result, sqlite3_stmt *row, int column)
{
    const void *p = sqlite3_column_blob(row, column);

    buf_put_blob(result, p, (size_t)sqlite3_column_bytes(row, column));
}

static int get_key(struct kv *kv, const struct kv_command *c, struct buf *result, struct error *e)
{
    int rc = bind_key(kv->get, c);

    rc = rc == SQLITE_OK ? sqlite3_step(kv->get) : rc;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE) {
        put_outcome(result, RESULT_KV_GET, rc == SQLITE_ROW,
                    rc == SQLITE_ROW ? sqlite3_column_int64(kv->get, 0) : 0);
        if (rc == SQLITE_ROW) {
            put_column(result, kv->get, 1);
        } else {
            buf_put_blob(result, NULL, 0);
        }
        rc = SQLITE_OK;
    }
    statement_end(kv->get);
    return rc == SQLITE_OK ? 0 : failed(kv, rc, result, e);
}

/* Keys that begin with a prefix are those from FROM on and below TO, in memcmp's order. Both have room for a
 * byte more than the longest key, so that there is always a smallest string above a key and one above all
 * keys. */
struct range {
    uint8_t from[KV_KEY_MAX + 1], to[KV_KEY_MAX + 1];
    size_t from_len, to_len;
};

static void range_of(const struct kv_command *c, struct range *r)
{
    size_t prefix = cursor_left(&c->key), after = cursor_left(&c->after);

    if (prefix > 0) {
        memcpy(r->from, c->key.p, prefix);
        memcpy(r->to, c->key.p, prefix);
    }
    r->from_len = r->to_len = prefix;
    while (r->to_len > 0 && r->to[r->to_len - 1] == 0xff) {
        r->to_len--;
    }
    if (r->to_len > 0) {
        r->to[r->to_len - 1]++;
    } else {
        memset(r->to, 0xff, sizeof r->to);
        r->to_len = sizeof r->to;
    }
    if (c->has_after) {
        size_t common = after < prefix ? after : prefix;
        int order = common > 0 ? memcmp(c->after.p, c->key.p, common) : 0;

        if (order > 0 || (order == 0 && after >= prefix)) {
            if (after > 0) {
                memcpy(r->from, c->after.p, after);
            }
            r->from[after] = 0;
            r->from_len = after + 1;
        }
    }
}

static int bind_list(sqlite3_stmt *list, const struct kv_command *c, const struct range *r)
{
    struct cursor from = cursor_of(r->from, r->from_len), to = cursor_of(r->to, r->to_len);
    int rc = statement_bind_text(list, 1, &c->ns);

    rc = rc == SQLITE_OK ? statement_bind_blob(list, 2, &from) : rc;
    rc = rc == SQLITE_OK ? statement_bind_blob(list, 3, &to) : rc;
    rc = rc == SQLITE_OK ? sqlite3_bind_int64(list, 4, (int64_t)c->limit + 1) : rc;
    return rc == SQLITE_OK ? sqlite3_bind_int(list, 5, c->with_values) : rc;
}

static int list_keys(struct kv *kv, const struct kv_command *c, struct buf *result, struct error *e)
{
    struct range range;
    uint32_t listed = 0;
    int rc;

    range_of(c, &range);
    rc = bind_list(kv->list, c, &range);
    result_put_header(result, RESULT_KV_LIST);
    rc = rc == SQLITE_OK ? sqlite3_step(kv->list) : rc;
    while (rc == SQLITE_ROW && listed < c->limit && result->failed == Q_OK) {
        buf_put_u8(result, 1);
        put_column(result, kv->list, 0);
        buf_put_u64(result, (uint64_t)sqlite3_column_int64(kv->list, 1));
        buf_put_u8(result, c->with_values);
        put_column(result, kv->list, 2);
        listed++;
        rc = sqlite3_step(kv->list);
    }
    buf_put_u8(result, 0);
    buf_put_u8(result, rc == SQLITE_ROW);
    statement_end(kv->list);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : failed(kv, rc, result, e);
}

int kv_run(struct kv *kv, const struct command *command, struct buf *result, struct error *e)
{
    switch (command->op) {
    case COMMAND_KV_PUT:
    case COMMAND_KV_DELETE: return write_key(kv, command->op, &command->kv, result, e);
    case COMMAND_KV_GET: return get_key(kv, &command->kv, result, e);
    case COMMAND_KV_LIST: return list_keys(kv, &command->kv, result, e);
    case COMMAND_SQL_EXECUTE:
    case COMMAND_SQL_QUERY:
    case COMMAND_SQL_REQUEST:
    case COMMAND_MEMBER:
    case COMMAND_LOAD: break;
    }
    return error_set(e, Q_INVALID, "not a command of the key-value store");
}
