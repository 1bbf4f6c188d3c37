#include "tests/sim/question.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/result.h"

static struct cursor text_of(const char *text)
{
    return cursor_of(text, strlen(text));
}

static void put_integer(struct buf *b, int64_t v)
{
    struct value value = {.type = VALUE_INTEGER, .integer = v};
    command_put_parameter(b, "", 0, &value);
}

static void put_statement(struct buf *b, const char *sql, uint32_t parameters)
{
    command_put_statement(b, sql, strlen(sql), parameters);
}

void question_put_setup(struct buf *b, bool bulk)
{
    command_put_sql(b, COMMAND_SQL_EXECUTE, COMMAND_TRANSACTION, bulk ? 7 : 4);
    put_statement(
        b, "CREATE TABLE IF NOT EXISTS account (id INTEGER PRIMARY KEY, balance INTEGER, last INTEGER)", 0);
    put_statement(b,
                  "INSERT OR IGNORE INTO account VALUES (0, 100, 0), (1, 100, 0), (2, 100, 0), (3, 100, 0), "
                  "(4, 100, 0)",
                  0);
    put_statement(b, "CREATE TABLE IF NOT EXISTS list (id INTEGER PRIMARY KEY, items TEXT NOT NULL)", 0);
    put_statement(b, "INSERT OR IGNORE INTO list VALUES (0, ''), (1, ''), (2, ''), (3, '')", 0);
    if (bulk) {
        put_statement(b, "CREATE TABLE IF NOT EXISTS bulk (id INTEGER PRIMARY KEY, v BLOB)", 0);
        put_statement(b,
                      "INSERT OR IGNORE INTO bulk WITH RECURSIVE n(i) AS (VALUES(0) UNION ALL SELECT i + 1 "
                      "FROM n WHERE i < 999) SELECT i, randomblob(1200) FROM n",
                      0);
        put_statement(b,
                      "CREATE TRIGGER IF NOT EXISTS churn AFTER UPDATE ON list BEGIN UPDATE bulk SET v = "
                      "randomblob(1200) WHERE id % 331 = length(new.items) % 331; END",
                      0);
    }
}

static void put_change(struct buf *b, int64_t by, uint64_t value, unsigned account)
{
    put_statement(b, "UPDATE account SET balance = balance + ?1, last = ?2 WHERE id = ?3", 3);
    put_integer(b, by);
    put_integer(b, (int64_t)value);
    put_integer(b, account);
}

static void put_key(struct buf *b, const struct op *op)
{
    char key[8];
    uint8_t value[8];
    snprintf(key, sizeof key, "key%u", op->key);
    put_le64(value, op->value);
    if (op->kind == OP_GET) {
        command_put_kv_get(b, text_of("sim"), text_of(key));
    } else {
        command_put_kv_put(b, text_of("sim"), text_of(key), cursor_of(value, sizeof value),
                           op->kind == OP_PUT ? KV_ALWAYS
                           : op->expected     ? KV_IF_VERSION
                                              : KV_IF_ABSENT,
                           op->kind == OP_PUT ? 0 : op->expected);
    }
}

void question_put(struct buf *b, const struct op *op)
{
    switch (op->kind) {
    case OP_PUT:
    case OP_CAS:
    case OP_GET: put_key(b, op); break;
    case OP_APPEND:
        command_put_sql(b, COMMAND_SQL_EXECUTE, 0, 1);
        put_statement(b, "UPDATE list SET items = items || ?2 || ',' WHERE id = ?1", 2);
        put_integer(b, op->key);
        put_integer(b, (int64_t)op->value);
        break;
    case OP_LIST:
        command_put_sql(b, COMMAND_SQL_QUERY, 0, 1);
        put_statement(b, "SELECT items FROM list WHERE id = ?1", 1);
        put_integer(b, op->key);
        break;
    case OP_TRANSFER:
        command_put_sql(b, COMMAND_SQL_EXECUTE, COMMAND_TRANSACTION, 2);
        put_change(b, -(int64_t)op->amount, op->value, op->from);
        put_change(b, (int64_t)op->amount, op->value, op->to);
        break;
    case OP_ACCOUNTS:
        command_put_sql(b, COMMAND_SQL_QUERY, 0, 1);
        put_statement(b, "SELECT balance, last FROM account ORDER BY id", 0);
        break;
    case OP_KINDS: break;
    }
}

uint64_t question_value(struct cursor bytes)
{
    struct command command;
    struct error e;
    struct cursor name;

    if (command_decode(bytes.p, cursor_left(&bytes), &command, &e) != 0) {
        return 0;
    }
    if (command.op == COMMAND_KV_PUT) {
        return cursor_left(&command.kv.value) == 8 ? get_le64(command.kv.value.p) : 0;
    }
    if (command.op == COMMAND_SQL_EXECUTE) {
        struct command_sql sql = command_statement(&command.statement);
        if (sql.parameters >= 2) {
            command_parameter(&sql.parameter, &name);
            return (uint64_t)command_parameter(&sql.parameter, &name).integer;
        }
    }
    return 0;
}

/* Results. */

static bool take_list(struct op *op, struct cursor text)
{
    uint64_t value = 0;
    size_t n = cursor_left(&text);
    free(op->list);
    op->list = malloc((n / 2 + 1) * sizeof *op->list);
    op->items = 0;
    for (size_t i = 0; i < n && op->list != NULL; i++) {
        if (text.p[i] == ',') {
            op->list[op->items++] = value;
            value = 0;
        } else {
            value = value * 10 + (uint64_t)(text.p[i] - '0');
        }
    }
    return op->list != NULL;
}

static bool take_rows(struct op *op, struct cursor *c)
{
    unsigned rows = 0;
    while (result_next_row(c)) {
        struct value first = value_get(c);
        if (op->kind == OP_LIST) {
            if (!take_list(op, first.bytes)) {
                return false;
            }
        } else if (rows < HISTORY_ACCOUNTS) {
            op->accounts[rows] = (struct account){first.integer, (uint64_t)value_get(c).integer};
        }
        rows++;
    }
    return rows == (op->kind == OP_LIST ? 1 : HISTORY_ACCOUNTS);
}

static bool take_sql(struct op *op, struct cursor c, char *text, size_t n)
{
    struct result_sql item;
    unsigned items = 0;
    while (result_next_item(&c, &item)) {
        bool right = op_is_write(op) ? item.item == RESULT_WRITE && item.rows_affected == 1
                                     : item.item == RESULT_ROWS && take_rows(op, &c);
        if (!right) {
            snprintf(text, n, "a statement says %.*s",
                     item.item == RESULT_STATEMENT_ERROR ? (int)cursor_left(&item.text) : 7,
                     item.item == RESULT_STATEMENT_ERROR ? (const char *)item.text.p : "nothing");
            return false;
        }
        items++;
    }
    if (items != (op->kind == OP_TRANSFER ? 2 : 1)) {
        snprintf(text, n, "the result has %u items", items);
        return false;
    }
    return true;
}

static void take_value(struct op *op, struct cursor c)
{
    bool found = cursor_u8(&c) != 0;
    uint64_t version = cursor_u64(&c);
    struct cursor value = cursor_blob(&c);
    op->version = found ? version : 0;
    op->seen = found && cursor_left(&value) == 8 ? get_le64(value.p) : 0;
}

bool question_answered(struct op *op, const struct replica_answer *answer, char *text, size_t n)
{
    struct cursor c = cursor_of(answer->result, answer->len);
    enum result_kind kind;
    struct error failed, e;

    op->index = answer->index;
    op->logged = answer->logged;
    if (result_decode(&c, &kind, &failed, &e) != 0 || kind == RESULT_ERROR) {
        snprintf(text, n, "%s", kind == RESULT_ERROR ? failed.text : e.text);
        return false;
    }
    op->outcome = OP_DONE;
    if (op_is_put(op)) {
        op->outcome = cursor_u8(&c) ? OP_DONE : OP_CONFLICT;
        op->version = cursor_u64(&c);
    } else if (op->kind == OP_GET) {
        take_value(op, c);
    } else {
        return take_sql(op, c, text, n);
    }
    return true;
}
