#include "node/cli/sql_result.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/table.h"

/* The fewest digits that read back as V. */
static void add_real(struct table *t, double v)
{
    char text[40];
    for (int digits = 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, v);
        if (strtod(text, NULL) == v) {
            break;
        }
    }
    table_add(t, text);
}

static void add_value(struct table *t, const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_NULL: table_add(t, "NULL"); break;
    case JSON_TRUE: table_add(t, "true"); break;
    case JSON_FALSE: table_add(t, "false"); break;
    case JSON_INTEGER: table_addf(t, "%" JSON_INTEGER_FORMAT, json_integer_value(v)); break;
    case JSON_REAL: add_real(t, json_real_value(v)); break;
    case JSON_STRING: table_add_bytes(t, json_string_value(v), json_string_length(v)); break;
    case JSON_ARRAY:
    case JSON_OBJECT: table_add(t, "?"); break; /* not asked for, so not sent */
    }
}

static bool is_number(const json_t *row, size_t column)
{
    const json_t *v = json_array_get(row, column);
    return json_is_number(v);
}

static int print_rows(const json_t *result, FILE *to, struct error *e)
{
    const json_t *columns = json_object_get(result, "columns"), *rows = json_object_get(result, "values");
    size_t count = json_array_size(columns);
    struct table t;
    int rv;

    if (count == 0 || count > TABLE_COLUMNS_MAX) {
        return error_set(e, Q_CORRUPT, "the answer has %zu columns", count);
    }
    table_init(&t, (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        const char *name = json_string_value(json_array_get(columns, i));
        table_add(&t, name != NULL ? name : "?");
        if (is_number(json_array_get(rows, 0), i)) {
            table_align_right(&t, (unsigned)i);
        }
    }
    for (size_t r = 0; r < json_array_size(rows); r++) {
        const json_t *row = json_array_get(rows, r);
        if (json_array_size(row) != count) {
            table_close(&t);
            return error_set(e, Q_CORRUPT, "a row of the answer has %zu values for %zu columns",
                             json_array_size(row), count);
        }
        for (size_t i = 0; i < count; i++) {
            add_value(&t, json_array_get(row, i));
        }
    }
    rv = table_print(&t, to, e);
    table_close(&t);
    return rv;
}

static void print_write(const json_t *result, FILE *to)
{
    json_int_t rows = json_integer_value(json_object_get(result, "rows_affected"));
    json_int_t last = json_integer_value(json_object_get(result, "last_insert_id"));

    if (rows != 0) {
        fprintf(to, "%" JSON_INTEGER_FORMAT " row%s changed", rows, rows == 1 ? "" : "s");
        if (last != 0) {
            fprintf(to, ", last id %" JSON_INTEGER_FORMAT, last);
        }
        fputc('\n', to);
    }
}

static int visit(const json_t *result, size_t number, size_t count, bool times, FILE *to, struct error *e)
{
    const char *failed = json_string_value(json_object_get(result, "error"));
    const json_t *took = json_object_get(result, "time");
    int rv = 0;

    if (failed != NULL) {
        return count > 1 ? error_set(e, Q_SQL, "statement %zu: %s", number, failed)
                         : error_set(e, Q_SQL, "%s", failed);
    }
    if (to == NULL) {
        return 0;
    }
    if (json_object_get(result, "columns") != NULL) {
        rv = print_rows(result, to, e);
    } else {
        print_write(result, to);
    }
    if (times && took != NULL) {
        fprintf(to, "took %.3f ms\n", json_number_value(took) * 1000);
    }
    return rv;
}

static int walk(const struct buf *body, bool times, FILE *to, struct error *e)
{
    json_error_t where;
    json_t *root =
        json_loadb(body->len > 0 ? (const char *)body->data : "", body->len, JSON_ALLOW_NUL, &where);
    const json_t *results = json_object_get(root, "results");
    const char *failed = json_string_value(json_object_get(root, "error"));
    int rv = 0;

    if (!json_is_array(results)) {
        rv = error_set(e, Q_CORRUPT, "the answer is not one of /db/request: %s",
                       root == NULL ? where.text : "it has no results");
    } else if (failed != NULL) {
        rv = error_set(e, json_object_get(root, "outcome") != NULL ? Q_UNKNOWN : Q_IO, "%s", failed);
    }
    for (size_t i = 0; rv != (int)Q_CORRUPT && i < json_array_size(results); i++) {
        struct error one;
        int failure = visit(json_array_get(results, i), i + 1, json_array_size(results), times, to, &one);
        if (failure != 0 && rv == 0) {
            rv = failure;
            *e = one;
        }
    }
    json_decref(root);
    return rv;
}

int sql_result_print(const struct buf *body, bool times, FILE *to, struct error *e)
{
    return walk(body, times, to, e);
}

int sql_result_check(const struct buf *body, struct error *e)
{
    return walk(body, false, NULL, e);
}
