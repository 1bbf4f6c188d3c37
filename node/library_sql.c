/* The functions of quorate.h for SQL: commands out of statements, and results taken apart. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "node/call.h"
#include "node/library.h"
#include "storage/command.h"
#include "storage/result.h"

struct quorate_result {
    struct call_result raw;
    int64_t last_insert_id;
    uint64_t rows_affected;
    size_t columns, rows;
    char **names;
    struct quorate_value *values; /* rows * columns; bytes point into raw */
};

static int check_parameters(const struct quorate_value *parameters, size_t count, struct error *e)
{
    if (count > COMMAND_PARAMETERS_MAX) {
        return error_set(e, Q_TOO_BIG, "%zu parameters are over the limit of %d", count,
                         COMMAND_PARAMETERS_MAX);
    }
    for (size_t i = 0; i < count; i++) {
        if ((unsigned)parameters[i].type > QUORATE_BLOB) {
            return error_set(e, Q_INVALID, "parameter %zu has the unknown type %d", i + 1,
                             (int)parameters[i].type);
        }
    }
    return 0;
}

static void put_parameter(struct buf *b, const struct quorate_value *v)
{
    struct value value = {
        .type = (enum value_type)v->type,
        .integer = v->integer,
        .real = v->real,
        .bytes = cursor_of(v->bytes, v->type == QUORATE_TEXT || v->type == QUORATE_BLOB ? v->len : 0),
    };
    command_put_parameter(b, "", 0, &value);
}

static bool parse_names(struct quorate_result *r, struct cursor column)
{
    r->names = calloc(r->columns ? r->columns : 1, sizeof *r->names);
    for (size_t i = 0; r->names != NULL && i < r->columns; i++) {
        struct cursor name = cursor_blob(&column);
        cursor_blob(&column); /* the declared type */
        r->names[i] = strndup((const char *)name.p, cursor_left(&name));
        if (r->names[i] == NULL) {
            return false;
        }
    }
    return r->names != NULL;
}

static bool parse_rows(struct quorate_result *r, struct cursor *c)
{
    size_t capacity = 0;
    while (result_next_row(c)) {
        if ((r->rows + 1) * r->columns > capacity) {
            size_t more = capacity ? capacity * 2 : 16 * r->columns;
            struct quorate_value *values = reallocarray(r->values, more, sizeof *values);
            if (values == NULL) {
                return false;
            }
            r->values = values;
            capacity = more;
        }
        for (size_t i = 0; i < r->columns; i++) {
            struct value v = value_get(c);
            r->values[r->rows * r->columns + i] = (struct quorate_value){
                (enum quorate_type)v.type, v.integer, v.real, v.bytes.p, cursor_left(&v.bytes)};
        }
        r->rows++;
    }
    return true;
}

/* Fills R from its raw bytes. Of several statements the last one that answered counts. */
static int parse_sql(struct quorate_result *r, struct error *e)
{
    struct cursor c = cursor_of(r->raw.bytes, r->raw.len);
    enum result_kind kind;
    struct result_sql item;
    struct error failed;
    int rv = result_decode(&c, &kind, &failed, e);

    if (rv != 0) {
        return rv;
    }
    if (kind == RESULT_ERROR) {
        return error_set(e, failed.code, "%s", failed.text);
    }
    while (result_next_item(&c, &item)) {
        if (item.item == RESULT_STATEMENT_ERROR) {
            return error_set(e, Q_SQL, "%.*s", (int)cursor_left(&item.text), (const char *)item.text.p);
        }
        if (item.item == RESULT_WRITE) {
            r->last_insert_id = item.last_insert_id;
            r->rows_affected = item.rows_affected;
        } else if (item.item == RESULT_ROWS) {
            r->columns = item.columns;
            if (!parse_names(r, item.column) || !parse_rows(r, &c)) {
                return error_set(e, Q_NOMEM, "out of memory for the result; the command was done");
            }
        }
    }
    return c.bad ? error_set(e, Q_CORRUPT, "the result does not follow its format") : 0;
}

static int run_sql(struct quorate *node, enum command_op op, enum quorate_level level, const char *sql,
                   const struct quorate_value *parameters, size_t count, struct quorate_result **ret_result,
                   struct quorate_error *error)
{
    struct quorate_result *r = calloc(1, sizeof *r);
    struct error e;
    struct buf command;
    int rv = r != NULL ? 0 : error_set(&e, Q_NOMEM, "out of memory for a result");

    buf_init(&command, LIBRARY_COMMAND_MAX);
    if (rv == 0) {
        rv = library_check_level(level, &e);
    }
    if (rv == 0) {
        rv = check_parameters(parameters, count, &e);
    }
    if (rv == 0) {
        command_put_sql(&command, op, COMMAND_TRANSACTION, 1);
        command_put_statement(&command, sql, strlen(sql), (uint32_t)count);
        for (size_t i = 0; i < count; i++) {
            put_parameter(&command, &parameters[i]);
        }
        rv = call_run(node, &command, (enum read_level)level, &r->raw, &e);
    }
    buf_close(&command);
    if (rv == 0) {
        rv = parse_sql(r, &e);
    }
    if (rv == 0 && ret_result != NULL) {
        *ret_result = r;
    } else {
        quorate_result_free(r);
    }
    return library_report(error, rv, &e);
}

int quorate_execute(struct quorate *node, const char *sql, const struct quorate_value *parameters,
                    size_t count, struct quorate_result **ret_result, struct quorate_error *error)
{
    return run_sql(node, COMMAND_SQL_EXECUTE, QUORATE_STRONG, sql, parameters, count, ret_result, error);
}

int quorate_query(struct quorate *node, enum quorate_level level, const char *sql,
                  const struct quorate_value *parameters, size_t count, struct quorate_result **ret_result,
                  struct quorate_error *error)
{
    return run_sql(node, COMMAND_SQL_QUERY, level, sql, parameters, count, ret_result, error);
}

void quorate_result_free(struct quorate_result *result)
{
    if (result == NULL) {
        return;
    }
    for (size_t i = 0; result->names != NULL && i < result->columns; i++) {
        free(result->names[i]);
    }
    free(result->names);
    free(result->values);
    free(result->raw.bytes);
    free(result);
}

size_t quorate_result_columns(const struct quorate_result *result)
{
    return result->columns;
}

size_t quorate_result_rows(const struct quorate_result *result)
{
    return result->rows;
}

const char *quorate_result_name(const struct quorate_result *result, size_t column)
{
    assert(column < result->columns);
    return result->names[column];
}

struct quorate_value quorate_result_value(const struct quorate_result *result, size_t row, size_t column)
{
    assert(row < result->rows && column < result->columns);
    return result->values[row * result->columns + column];
}

int64_t quorate_result_last_insert_id(const struct quorate_result *result)
{
    return result->last_insert_id;
}

uint64_t quorate_result_rows_affected(const struct quorate_result *result)
{
    return result->rows_affected;
}

uint64_t quorate_result_index(const struct quorate_result *result)
{
    return result->raw.index;
}
