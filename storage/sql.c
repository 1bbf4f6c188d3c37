#include "storage/sql.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "storage/result.h"
#include "storage/sql_bind.h"
#include "storage/sql_error.h"
#include "storage/token.h"

enum {
    PROGRESS_STEPS = 1000, /* of SQLite's virtual machine between two looks at the clock */
    FAILED = -1, /* beside 0 and error codes: the client's statement failed, and why is in run.why */
};

/* One command that is being run. */
struct run {
    struct sql *s;
    struct transaction *t; /* NULL: nothing may be written */
    enum command_op op;
    struct buf *result;
    char *why; /* of FAILED; ours */
};

static uint64_t now_ns(const struct sql *s)
{
    return s->elapsed_ns != NULL ? s->elapsed_ns(s->ctx) : 0;
}

static int on_progress(void *context)
{
    struct sql *s = context;

    return s->deadline_ns > 0 && now_ns(s) > s->deadline_ns;
}

void sql_allow_timeouts(struct sql *s)
{
    sqlite3_progress_handler(s->db, PROGRESS_STEPS, on_progress, s);
}

static void trust(const struct sql *s, bool trusted)
{
    if (s->determinism != NULL) {
        determinism_trust(s->determinism, trusted);
    }
}

static const char *refusal(const struct sql *s)
{
    return s->determinism != NULL ? determinism_reason(s->determinism) : authorizer_reason(s->authorizer);
}

static int fail(struct run *run, struct error *e, const char *text)
{
    free(run->why);
    run->why = strdup(text);
    return run->why != NULL ? FAILED : error_set(e, Q_NOMEM, "out of memory");
}

static int over_budget(struct run *run, struct error *e)
{
    char text[160];

    snprintf(text, sizeof text,
             "this takes more than %llu instructions of SQLite, the limit of one request (option "
             "sql-instructions)",
             (unsigned long long)run->s->budget->max);
    return fail(run, e, text);
}

/* After SQLite returned RC for a client's statement: FAILED, or this node's error. */
static int failed(struct run *run, int rc, struct error *e)
{
    struct sql *s = run->s;
    const char *reason = refusal(s);
    int code = sql_error(s->db, rc, "statement", e);

    if (sql_error_is_nodes((enum error_code)code)) {
        return code;
    }
    if (code == Q_TIMEOUT && s->budget != NULL) {
        return over_budget(run, e);
    }
    if (code == Q_TIMEOUT) {
        reason = "query timeout";
    }
    return fail(run, e, reason != NULL ? reason : sqlite3_errmsg(s->db));
}

static int bind(struct run *run, struct sql_bind *given, sqlite3_stmt *statement, struct error *e)
{
    int wanted;
    int rc = sql_bind(given, statement, &wanted);

    if (rc == SQLITE_RANGE) {
        char text[100];

        snprintf(text, sizeof text, "not enough args to execute query: want %d got %u", wanted,
                 given->given.parameters);
        return fail(run, e, text);
    }
    if (rc == SQLITE_NOMEM) {
        return error_set(e, Q_NOMEM, "out of memory");
    }
    return rc == SQLITE_OK ? 0 : failed(run, rc, e);
}

static void put_text(struct buf *b, const char *text)
{
    buf_put_blob(b, text, text != NULL ? strlen(text) : 0);
}

/* Only after the first step: that may have compiled the statement again, for a schema that changed. */
static size_t put_columns(struct buf *b, sqlite3_stmt *statement)
{
    int columns = sqlite3_column_count(statement);
    size_t at = result_put_rows(b, (uint32_t)columns);

    for (int i = 0; i < columns; i++) {
        put_text(b, sqlite3_column_name(statement, i));
        put_text(b, sqlite3_column_decltype(statement, i));
    }
    return at;
}

/* False when SQLite had no memory for a value. */
static bool put_row(struct buf *b, sqlite3_stmt *statement)
{
    int columns = sqlite3_column_count(statement);

    buf_put_u8(b, 1);
    for (int i = 0; i < columns; i++) {
        struct value v = {.type = VALUE_NULL};
        int type = sqlite3_column_type(statement, i);

        if (type == SQLITE_INTEGER) {
            v.type = VALUE_INTEGER;
            v.integer = sqlite3_column_int64(statement, i);
        } else if (type == SQLITE_FLOAT) {
            v.type = VALUE_REAL;
            v.real = sqlite3_column_double(statement, i);
        } else if (type != SQLITE_NULL) {
            v.type = type == SQLITE_TEXT ? VALUE_TEXT : VALUE_BLOB;
            const void *p = sqlite3_column_blob(statement, i);
            int n = sqlite3_column_bytes(statement, i);

            if (p == NULL && sqlite3_errcode(sqlite3_db_handle(statement)) == SQLITE_NOMEM) {
                return false;
            }
            v.bytes = cursor_of(p, (size_t)n);
        }
        value_put(b, &v);
    }
    return true;
}

static int step_once(const struct sql *s, sqlite3_stmt *statement)
{
    return s->budget != NULL ? budget_step(s->budget, statement) : sqlite3_step(statement);
}

/* Steps STATEMENT to its end. ROWS: writes the item; it is cut short when the result cannot hold it. */
static int step(struct run *run, sqlite3_stmt *statement, bool rows, uint64_t started_ns, struct error *e)
{
    struct buf *b = run->result;
    int rc = step_once(run->s, statement);
    size_t at = 0;

    if (rows && (rc == SQLITE_ROW || rc == SQLITE_DONE)) {
        at = put_columns(b, statement);
    }
    while (rc == SQLITE_ROW && b->failed == Q_OK) {
        if (rows && !put_row(b, statement)) {
            return error_set(e, Q_NOMEM, "out of memory for a row");
        }
        rc = step_once(run->s, statement);
    }
    if (rc != SQLITE_ROW && rc != SQLITE_DONE) {
        return failed(run, rc, e);
    }
    if (rows) {
        buf_put_u8(b, 0);
        result_set_elapsed(b, at, now_ns(run->s) - started_ns);
    }
    return 0;
}

static bool is_vacuum(sqlite3_stmt *statement)
{
    const char *sql = sqlite3_sql(statement);
    struct token first;

    return token_next(&sql, sql + strlen(sql), &first) && token_is(&first, "vacuum");
}

static bool only_reads(sqlite3_stmt *statement)
{
    return sqlite3_stmt_readonly(statement) != 0 || sqlite3_stmt_isexplain(statement) != 0;
}

static int run_statement(struct run *run, sqlite3_stmt *statement, struct sql_bind *given,
                         uint64_t started_ns, struct error *e)
{
    struct sql *s = run->s;
    bool reads = only_reads(statement);

    if (!reads && run->t == NULL) {
        return fail(run, e, SQL_WRITE_REFUSED);
    }
    if (s->budget != NULL && budget_exceeded(s->budget)) {
        return over_budget(run, e);
    }
    if (!reads && is_vacuum(statement)) {
        return fail(run, e, "VACUUM is not allowed: it would rewrite the file on one node alone");
    }
    int rc = bind(run, given, statement, e);
    if (rc != 0) {
        return rc;
    }
    bool columns = sqlite3_column_count(statement) > 0;
    bool rows = columns && !(reads && run->op == COMMAND_SQL_EXECUTE);
    rc = step(run, statement, rows, started_ns, e);
    if (rc != 0 || rows) {
        return rc;
    }
    uint64_t elapsed_ns = now_ns(s) - started_ns;
    if (!reads || run->op == COMMAND_SQL_EXECUTE) {
        result_put_write(run->result, elapsed_ns, sqlite3_last_insert_rowid(s->db),
                         (uint64_t)sqlite3_changes64(s->db));
    } else {
        result_put_empty(run->result, elapsed_ns);
    }
    return 0;
}

/* Brings the digest up to date after a statement that wrote. */
static int follow(struct run *run, struct error *e)
{
    if (digest_follow(run->s->digest, e) == 0) {
        return 0;
    }
    return e->code == Q_INVALID ? fail(run, e, e->text) : (int)e->code;
}

/* Compiles and runs the first statement at SQL, which is moved behind it. ret_ran: there was one. */
static int run_next(struct run *run, struct cursor *sql, struct sql_bind *given, uint64_t started_ns,
                    bool *ret_ran, struct error *e)
{
    struct sql *s = run->s;
    sqlite3_stmt *statement = NULL;
    const char *tail = NULL;
    bool wrote = false;

    trust(s, false);
    int rc = sqlite3_prepare_v2(s->db, (const char *)sql->p, (int)cursor_left(sql), &statement, &tail);
    if (rc != SQLITE_OK) {
        rc = failed(run, rc, e);
        *ret_ran = true;
    } else {
        sql->p = (const uint8_t *)tail;
        if (statement != NULL) {
            rc = run_statement(run, statement, given, started_ns, e);
            wrote = !only_reads(statement);
            if (s->budget != NULL) {
                budget_ended(s->budget, statement);
            }
            *ret_ran = true;
        }
    }
    sqlite3_finalize(statement);
    refusal(s); /* forgotten, so that it does not explain another failure */
    trust(s, true);
    return rc == 0 && wrote ? follow(run, e) : rc;
}

/* Immediate constraints fail their statement; deferred ones would fail the COMMIT of the whole entry. */
static int check_foreign_keys(struct run *run, struct error *e)
{
    int unresolved, highest;

    if (run->t == NULL) {
        return 0;
    }
    int rc = sqlite3_db_status(run->s->db, SQLITE_DBSTATUS_DEFERRED_FKS, &unresolved, &highest, 0);
    assert(rc == SQLITE_OK);
    return unresolved && !PLANTED("deferred_constraints_wait_for_the_entry")
               ? fail(run, e, "FOREIGN KEY constraint failed")
               : 0;
}

/* All statements of one string; appends one item, but for FAILED. */
static int run_string(struct run *run, const struct command_sql *text, uint64_t timeout_ms,
                      uint64_t started_ns, struct error *e)
{
    struct sql *s = run->s;
    struct sql_bind given = sql_bind_of(text);
    struct cursor sql = text->sql;
    size_t at = run->result->len;
    bool ran = false;
    int rc = 0;

    if (cursor_left(&sql) > INT_MAX) {
        return fail(run, e, "statement too long");
    }
    if (run->t != NULL && determinism_check((const char *)sql.p, cursor_left(&sql), e)) {
        return fail(run, e, e->text);
    }
    s->deadline_ns = timeout_ms > 0 ? started_ns + timeout_ms * 1000000 : 0;
    while (rc == 0 && cursor_left(&sql) > 0) {
        bool another = false;
        size_t before = run->result->len;

        rc = run_next(run, &sql, &given, started_ns, &another, e);
        if (another && before > at && run->result->failed == Q_OK) {
            /* Only the last statement answers. */
            memmove(run->result->data + at, run->result->data + before, run->result->len - before);
            run->result->len -= before - at;
        }
        ran = ran || another;
    }
    s->deadline_ns = 0; /* the connection's next statement may be the store's own */
    if (rc == 0 && !ran) {
        result_put_empty(run->result, now_ns(s) - started_ns);
    }
    return rc;
}

static void put_failure(struct run *run, size_t at, uint64_t started_ns)
{
    if (run->result->failed == Q_OK) {
        run->result->len = at;
    }
    result_put_statement_error(run->result, now_ns(run->s) - started_ns, run->why);
}

/* One string as a unit: done or not done. ret_failed: not. */
static int run_item(struct run *run, const struct command_sql *text, uint64_t timeout_ms, bool savepoint,
                    bool deferred, bool *ret_failed, struct error *e)
{
    struct transaction *t = run->t;
    uint64_t started_ns = now_ns(run->s);
    size_t at = run->result->len;

    if (savepoint && transaction_save(t, e)) {
        return (int)e->code;
    }
    int rc = run_string(run, text, timeout_ms, started_ns, e);
    bool lost = t != NULL && transaction_lost(t);
    if (rc == 0 && !deferred && !lost) {
        rc = check_foreign_keys(run, e);
    }
    if (rc > 0) {
        return rc;
    }
    assert(!lost || rc == FAILED);
    *ret_failed = rc == FAILED;
    if (rc == FAILED) {
        put_failure(run, at, started_ns);
    }
    if (!savepoint || lost) {
        return 0;
    }
    bool undo = rc == FAILED && !PLANTED("failed_statement_is_not_undone");
    return undo ? transaction_undo(t, e) : transaction_release(t, e);
}

/* The command fails as a whole. */
static void put_refusal(struct run *run, size_t at, const char *suffix)
{
    struct error why;

    error_set(&why, Q_SQL, "%s%s", run->why, suffix);
    if (run->result->failed == Q_OK) {
        run->result->len = at;
    }
    result_put_error(run->result, &why);
}

/* Runs the items; ret_keep: what they did stands. */
static int run_items(struct run *run, const struct command *command, uint64_t timeout_ms, size_t at,
                     bool *ret_keep, struct error *e)
{
    struct transaction *t = run->t;
    struct cursor statement = command->statement;
    bool together = (command->flags & COMMAND_TRANSACTION) != 0, failed_one = false;
    bool savepoints = t != NULL && !together && command->statements > 1;

    for (uint32_t i = 0; i < command->statements && run->result->failed == Q_OK; i++) {
        struct command_sql text = command_statement(&statement);
        bool item_failed = false;

        if (cursor_left(&text.sql) == 0) {
            continue;
        }
        if (run_item(run, &text, timeout_ms, savepoints, together, &item_failed, e)) {
            return (int)e->code;
        }
        if (t != NULL && transaction_lost(t)) {
            if (savepoints) {
                put_refusal(run, at, ": this rolled back the whole request");
            }
            return 0;
        }
        failed_one = failed_one || item_failed;
        if (together && failed_one) {
            break;
        }
    }
    if (together && !failed_one) {
        int rc = check_foreign_keys(run, e);
        if (rc > 0) {
            return rc;
        }
        if (rc == FAILED) {
            put_refusal(run, at, "");
            failed_one = true;
        }
    }
    *ret_keep = run->result->failed == Q_OK && (savepoints || !failed_one);
    return 0;
}

int sql_run(struct sql *s, const struct command *command, uint64_t timeout_ms, struct buf *result,
            struct error *e)
{
    struct transaction *t = command->op != COMMAND_SQL_QUERY ? s->transaction : NULL;
    struct run run = {.s = s, .t = t, .op = command->op, .result = result};
    size_t at = result->len;
    bool keep = false;

    if (s->budget != NULL) {
        budget_begin(s->budget);
    }
    if (t != NULL && transaction_save(t, e)) {
        return (int)e->code;
    }
    result_put_header(result, RESULT_SQL);
    int rc = run_items(&run, command, timeout_ms, at, &keep, e);
    free(run.why);
    if (rc != 0 || t == NULL || transaction_lost(t)) {
        return rc;
    }
    if (!keep && !PLANTED("failed_request_is_not_undone")) {
        return transaction_undo(t, e);
    }
    return digest_settle(s->digest, e) ? (int)e->code : transaction_release(t, e);
}

bool sql_only_reads(struct sql *s, const struct command *command)
{
    struct cursor next = command->statement;

    for (uint32_t i = 0; i < command->statements; i++) {
        struct cursor sql = command_statement(&next).sql;
        int rc = SQLITE_OK;

        while (rc == SQLITE_OK && cursor_left(&sql) > 0 && cursor_left(&sql) <= INT_MAX) {
            sqlite3_stmt *statement = NULL;
            const char *tail = NULL;

            rc = sqlite3_prepare_v2(s->db, (const char *)sql.p, (int)cursor_left(&sql), &statement, &tail);
            bool writes = statement != NULL && !only_reads(statement);
            sqlite3_finalize(statement);
            if (writes || rc != SQLITE_OK) {
                return false;
            }
            sql.p = rc == SQLITE_OK ? (const uint8_t *)tail : sql.p;
        }
    }
    return true;
}
