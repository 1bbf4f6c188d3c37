#include "storage/load.h"

#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "storage/load_stream.h"
#include "storage/result.h"
#include "storage/schema_list.h"
#include "storage/sql_error.h"
#include "storage/statement.h"

/* What is kept in the row of number 0. */
struct held {
    uint64_t load;
    bool there, finished;
};

static const char make_sql[] = "CREATE TABLE quorate_load (number INTEGER PRIMARY KEY, data BLOB NOT NULL)";
static const char keep_sql[] = "REPLACE INTO quorate_load VALUES (?1, ?2)";
static const char count_sql[] = "SELECT count(*), ifnull(max(number), 0) FROM quorate_load WHERE number > 0";

static int read_held(struct load *l, struct held *ret_held, struct error *e)
{
    sqlite3_stmt *row = NULL;
    int rc = sqlite3_prepare_v2(l->db, "SELECT data FROM quorate_load WHERE number = 0", -1, &row, NULL);

    *ret_held = (struct held){.there = false};
    if (rc == SQLITE_ERROR) { /* there is no such table */
        return 0;
    }
    rc = rc == SQLITE_OK ? sqlite3_step(row) : rc;
    if (rc == SQLITE_ROW && sqlite3_column_bytes(row, 0) == 9) {
        const uint8_t *p = sqlite3_column_blob(row, 0);
        *ret_held = (struct held){.load = get_le64(p), .there = true, .finished = p[8] == 1};
    }
    sqlite3_finalize(row);
    return rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : sql_error(l->db, rc, "reading quorate_load", e);
}

static int keep(struct load *l, uint64_t number, const struct cursor *bytes, struct error *e)
{
    sqlite3_stmt *statement;

    if (statement_new(l->db, keep_sql, &statement, e)) {
        return (int)e->code;
    }
    int rc = sqlite3_bind_int64(statement, 1, (sqlite3_int64)number);
    rc = rc == SQLITE_OK ? statement_bind_blob(statement, 2, bytes) : rc;
    rc = rc == SQLITE_OK ? statement_run(statement) : rc;
    sqlite3_finalize(statement);
    return rc == SQLITE_OK ? 0 : sql_error(l->db, rc, "writing quorate_load", e);
}

/* The digest does not see the rows that a DROP takes: it must look before a table of that name comes back. */
static int drop_pieces(struct load *l, struct error *e)
{
    return statement_once(l->db, "DROP TABLE IF EXISTS quorate_load", e) || digest_follow(l->digest, e)
               ? (int)e->code
               : 0;
}

static int make_table(struct load *l, uint64_t load, bool finished, struct error *e)
{
    uint8_t row[9] = {0};
    struct cursor bytes = cursor_of(row, sizeof row);

    put_le64(row, load);
    row[8] = finished;
    return drop_pieces(l, e) || statement_once(l->db, make_sql, e) || keep(l, 0, &bytes, e) ? (int)e->code
                                                                                            : 0;
}

static int check_pieces(struct load *l, uint64_t wanted, struct error *e)
{
    sqlite3_stmt *row;

    if (statement_new(l->db, count_sql, &row, e)) {
        return (int)e->code;
    }
    int rc = sqlite3_step(row);
    bool all = rc == SQLITE_ROW && (uint64_t)sqlite3_column_int64(row, 0) == wanted &&
               (uint64_t)sqlite3_column_int64(row, 1) == wanted;
    sqlite3_finalize(row);
    if (rc != SQLITE_ROW) {
        return sql_error(l->db, rc, "counting pieces", e);
    }
    return all || PLANTED("a_load_is_finished_without_all_pieces")
               ? 0
               : error_set(e, Q_CONFLICT, "pieces of the load are missing");
}

/* ---- the old content ---- */

static int drop(struct load *l, const struct schema_object *o, struct error *e)
{
    char *sql = o->kind == SCHEMA_SEQUENCE
                    ? sqlite3_mprintf("DELETE FROM sqlite_sequence")
                    : sqlite3_mprintf("DROP %s IF EXISTS main.\"%w\"", o->type, o->name);
    int rc = sql != NULL ? statement_once(l->db, sql, e) : error_set(e, Q_NOMEM, "out of memory");

    sqlite3_free(sql);
    return rc;
}

/* Triggers and views first, and virtual tables before their shadows. */
static unsigned turn_of(const struct schema_object *o)
{
    switch (o->kind) {
    case SCHEMA_OTHER: return strcmp(o->type, "index") == 0 ? 3 : 0;
    case SCHEMA_VIRTUAL: return 1;
    case SCHEMA_TABLE:
    case SCHEMA_SHADOW:
    case SCHEMA_SEQUENCE: return 2;
    }
    return 3;
}

static int drop_all(struct load *l, struct error *e)
{
    struct schema_list old;
    int rc = schema_list_read(l->db, &old, e);

    for (unsigned turn = 0; rc == 0 && turn < 3; turn++) { /* indexes go with their tables */
        for (size_t i = 0; rc == 0 && i < old.count; i++) {
            rc = turn_of(&old.object[i]) == turn ? drop(l, &old.object[i], e) : 0;
        }
    }
    if (rc == 0 && !PLANTED("a_load_forgets_the_dropped_rows")) {
        rc = digest_follow(l->digest, e);
    }
    schema_list_close(&old);
    return rc;
}

/* ---- the new content ---- */

static int check_foreign_keys(struct load *l, struct error *e)
{
    sqlite3_stmt *rows;

    if (statement_new(l->db, "PRAGMA main.foreign_key_check", &rows, e)) {
        return (int)e->code;
    }
    int rc = sqlite3_step(rows);
    if (rc == SQLITE_ROW) {
        rc = error_set(e, Q_INVALID, "table %s breaks a foreign key", sqlite3_column_text(rows, 0));
    } else {
        rc = rc == SQLITE_DONE ? 0 : sql_error(l->db, rc, "checking foreign keys", e);
    }
    sqlite3_finalize(rows);
    return rc;
}

static int feed(struct load *l, struct load_stream *stream, struct error *e)
{
    sqlite3_stmt *pieces;
    int step, rc = 0;

    if (statement_new(l->db, "SELECT data FROM quorate_load WHERE number > 0 ORDER BY number", &pieces, e)) {
        return (int)e->code;
    }
    while (rc == 0 && (step = sqlite3_step(pieces)) == SQLITE_ROW) {
        rc = load_stream_put(stream, sqlite3_column_blob(pieces, 0), (size_t)sqlite3_column_bytes(pieces, 0),
                             e);
    }
    if (rc == 0 && step != SQLITE_DONE) {
        rc = sql_error(l->db, step, "reading pieces", e);
    }
    sqlite3_finalize(pieces);
    return rc == 0 ? load_stream_end(stream, e) : rc;
}

/* Foreign keys are looked at when all is there; shadow tables may be written. */
static int replace(struct load *l, struct error *e)
{
    struct load_stream *stream;
    int keys = 0, defensive = 0, off;

    if (load_stream_new(l, &stream, e)) {
        return (int)e->code;
    }
    sqlite3_db_config(l->db, SQLITE_DBCONFIG_ENABLE_FKEY, -1, &keys);
    sqlite3_db_config(l->db, SQLITE_DBCONFIG_DEFENSIVE, -1, &defensive);
    sqlite3_db_config(l->db, SQLITE_DBCONFIG_ENABLE_FKEY, 0, &off);
    sqlite3_db_config(l->db, SQLITE_DBCONFIG_DEFENSIVE, 0, &off);
    int rc = drop_all(l, e);
    rc = rc == 0 ? feed(l, stream, e) : rc;
    load_stream_free(stream);
    rc = rc == 0 && keys ? check_foreign_keys(l, e) : rc;
    sqlite3_db_config(l->db, SQLITE_DBCONFIG_ENABLE_FKEY, keys, &off);
    sqlite3_db_config(l->db, SQLITE_DBCONFIG_DEFENSIVE, defensive, &off);
    return rc;
}

/* ---- steps ---- */

static int run_step(struct load *l, const struct load_command *command, bool *ret_changed, struct error *e)
{
    struct held held;

    if (read_held(l, &held, e)) {
        return (int)e->code;
    }
    bool mine = held.there && held.load == command->load, open = mine && !held.finished;
    *ret_changed = command->step == LOAD_BEGIN ? !mine : open;
    switch (command->step) {
    case LOAD_BEGIN: return mine ? 0 : make_table(l, command->load, false, e);
    case LOAD_ABORT: return open ? drop_pieces(l, e) : 0;
    case LOAD_PIECE:
    case LOAD_FINISH: break;
    }
    if (!mine) {
        return error_set(e, Q_CONFLICT, "another load has begun meanwhile, or this one was given up");
    }
    if (command->step == LOAD_PIECE) {
        return open ? keep(l, command->number, &command->bytes, e) : 0;
    }
    return !open ? 0
           : check_pieces(l, command->number, e) || replace(l, e) || make_table(l, command->load, true, e)
               ? (int)e->code
               : 0;
}

int load_run(struct load *l, const struct load_command *command, struct buf *result, struct error *e)
{
    bool changed;

    if (transaction_save(l->transaction, e)) {
        return (int)e->code;
    }
    int rc = run_step(l, command, &changed, e);
    rc = rc == 0 ? digest_settle(l->digest, e) : rc;
    if (rc != 0 && sql_error_is_nodes((enum error_code)rc)) {
        return rc;
    }
    if (rc != 0) {
        result_put_error(result, e);
        bool keeps = transaction_lost(l->transaction) || PLANTED("a_failed_load_is_not_undone");
        return keeps && transaction_lost(l->transaction) ? 0
               : keeps                                   ? transaction_release(l->transaction, e)
                                                         : transaction_undo(l->transaction, e);
    }
    result_put_header(result, RESULT_LOAD);
    buf_put_u8(result, changed);
    return transaction_release(l->transaction, e);
}
