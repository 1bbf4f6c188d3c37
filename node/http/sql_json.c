#include "node/http/sql_json.h"

#include <jansson.h>
#include <string.h>

/* ---- before jansson: integers beyond int64, which it refuses, become reals ---- */

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

/* The end of the string that begins at I. */
static size_t skip_string(const uint8_t *p, size_t n, size_t i)
{
    for (i++; i < n && p[i] != '"'; i++) {
        i += p[i] == '\\';
    }
    return i < n ? i + 1 : n;
}

/* The end of the number that begins at I; says whether it is an integer that int64 does not hold. */
static size_t skip_number(const uint8_t *p, size_t n, size_t i, bool *ret_beyond)
{
    bool negative = p[i] == '-';
    size_t first = i + negative, end = first;
    const char *limit = negative ? "9223372036854775808" : "9223372036854775807";

    while (end < n && is_digit(p[end])) {
        end++;
    }
    *ret_beyond = end - first > 19 || (end - first == 19 && memcmp(p + first, limit, 19) > 0);
    if (end < n && (p[end] == '.' || p[end] == 'e' || p[end] == 'E')) {
        *ret_beyond = false;
        while (end < n && (is_digit(p[end]) || strchr(".eE+-", p[end]) != NULL)) {
            end++;
        }
    }
    return end > i ? end : i + 1;
}

/* Walks the first JSON value of the body. Copies it to WIDENED, with ".0" behind the integers that are beyond
 * int64, if there are any; else leaves WIDENED empty. */
static int widen(const uint8_t *p, size_t n, struct buf *widened, struct error *e)
{
    size_t copied = 0, values = 0, depth = 0;

    for (size_t i = 0; i < n;) {
        bool beyond = false;
        if (p[i] == '"') {
            i = skip_string(p, n, i);
        } else if (p[i] == '-' || is_digit(p[i])) {
            i = skip_number(p, n, i, &beyond);
        } else {
            values += p[i] == ',' || p[i] == '[' || p[i] == '{';
            depth += p[i] == '[' || p[i] == '{';
            depth -= depth > 0 && (p[i] == ']' || p[i] == '}');
            i++;
            if (depth == 0 && (p[i - 1] == ']' || p[i - 1] == '}')) {
                n = i; /* the rest is ignored */
            }
        }
        if (values > SQL_JSON_VALUES_MAX) {
            return error_set(e, Q_TOO_BIG, "the body holds more than %d values", SQL_JSON_VALUES_MAX);
        }
        if (beyond) {
            buf_put_bytes(widened, p + copied, i - copied);
            buf_put_bytes(widened, ".0", 2);
            copied = i;
        }
    }
    if (copied > 0) {
        buf_put_bytes(widened, p + copied, n - copied);
    }
    return buf_check(widened, "the request body", e);
}

/* ---- parameters ---- */

/* What Go calls the type of a JSON value: part of rqlite's error texts. */
static const char *type_name(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT: return "map[string]interface {}";
    case JSON_ARRAY: return "[]interface {}";
    case JSON_STRING: return "string";
    case JSON_INTEGER:
    case JSON_REAL: return "json.Number";
    case JSON_TRUE:
    case JSON_FALSE: return "bool";
    case JSON_NULL: return "<nil>";
    }
    return "";
}

static int unsupported(const json_t *v, struct error *e)
{
    return error_set(e, Q_INVALID, "unsupported type %s", type_name(v));
}

static int hex_digit(char c)
{
    return is_digit((uint8_t)c)   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Whether the text is X'...' with an even number of hexadecimal digits; appends their bytes to BLOB. */
static bool is_hex_blob(const char *p, size_t n, struct buf *blob)
{
    while (n > 0 && strchr(" \t\r\n\v\f", p[0]) != NULL && p[0] != '\0') {
        p++;
        n--;
    }
    while (n > 0 && strchr(" \t\r\n\v\f", p[n - 1]) != NULL && p[n - 1] != '\0') {
        n--;
    }
    if (n < 3 || (p[0] != 'x' && p[0] != 'X') || p[1] != '\'' || p[n - 1] != '\'' || n % 2 == 0) {
        return false;
    }
    for (size_t i = 2; i < n - 1; i++) {
        if (hex_digit(p[i]) < 0) {
            return false;
        }
    }
    for (size_t i = 2; i < n - 1; i += 2) {
        buf_put_u8(blob, (uint8_t)(hex_digit(p[i]) << 4 | hex_digit(p[i + 1])));
    }
    return true;
}

static int read_bytes(const json_t *array, struct buf *blob, struct error *e)
{
    size_t i;
    json_t *item;
    json_array_foreach(array, i, item)
    {
        if (!json_is_integer(item) || json_integer_value(item) < 0 || json_integer_value(item) > 255) {
            return unsupported(item, e);
        }
        buf_put_u8(blob, (uint8_t)json_integer_value(item));
    }
    return 0;
}

static int put_parameter(struct buf *command, const char *name, size_t name_len, const json_t *v,
                         struct error *e)
{
    struct value value = {.type = VALUE_NULL};
    struct buf blob;
    int rc = 0;

    buf_init(&blob, command->max);
    switch (json_typeof(v)) {
    case JSON_NULL: break;
    case JSON_TRUE:
    case JSON_FALSE:
        value.type = VALUE_INTEGER;
        value.integer = json_is_true(v);
        break;
    case JSON_INTEGER:
        value.type = VALUE_INTEGER;
        value.integer = json_integer_value(v);
        break;
    case JSON_REAL:
        value.type = VALUE_REAL;
        value.real = json_real_value(v);
        break;
    case JSON_STRING:
        value.type = VALUE_TEXT;
        value.bytes = cursor_of(json_string_value(v), json_string_length(v));
        if (is_hex_blob(json_string_value(v), json_string_length(v), &blob)) {
            value.type = VALUE_BLOB;
            value.bytes = cursor_of(blob.data, blob.len);
        }
        break;
    case JSON_ARRAY:
        rc = read_bytes(v, &blob, e);
        value.type = VALUE_BLOB;
        value.bytes = cursor_of(blob.data, blob.len);
        break;
    case JSON_OBJECT: rc = unsupported(v, e); break;
    }
    if (rc == 0) {
        rc = buf_check(&blob, "a parameter", e);
    }
    if (rc == 0) {
        command_put_parameter(command, name, name_len, &value);
    }
    buf_close(&blob);
    return rc;
}

static size_t count_parameters(const json_t *statement)
{
    size_t count = 0, i;
    json_t *v;
    json_array_foreach(statement, i, v)
    {
        count += json_is_object(v) ? json_object_size(v) : 1;
    }
    return count - 1; /* the first is the SQL */
}

static int put_parameters(struct buf *command, json_t *statement, struct error *e)
{
    for (size_t i = 1; i < json_array_size(statement); i++) {
        json_t *v = json_array_get(statement, i);
        int rc = 0;
        if (json_is_object(v)) {
            for (void *at = json_object_iter(v); at != NULL && rc == 0; at = json_object_iter_next(v, at)) {
                rc = put_parameter(command, json_object_iter_key(at), json_object_iter_key_len(at),
                                   json_object_iter_value(at), e);
            }
        } else {
            rc = put_parameter(command, "", 0, v, e);
        }
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* ---- statements ---- */

/* The SQL of a statement; NULL if it is not one. */
static const json_t *sql_of(const json_t *statement)
{
    const json_t *sql = json_is_array(statement) ? json_array_get(statement, 0) : statement;
    return json_is_string(sql) ? sql : NULL;
}

static int put_statement(struct buf *command, json_t *statement, struct error *e)
{
    const json_t *sql = sql_of(statement);
    size_t parameters = json_is_array(statement) ? count_parameters(statement) : 0;

    if (parameters > COMMAND_PARAMETERS_MAX) {
        return error_set(e, Q_TOO_BIG, "a statement has more than %d parameters", COMMAND_PARAMETERS_MAX);
    }
    command_put_statement(command, json_string_value(sql), json_string_length(sql), (uint32_t)parameters);
    return put_parameters(command, statement, e);
}

static int put_statements(struct buf *command, const json_t *root, enum command_op op, unsigned flags,
                          uint32_t *ret_statements, struct error *e)
{
    size_t i, count = 0;
    json_t *statement;

    if (!json_is_array(root)) {
        return error_set(e, Q_INVALID, "invalid request");
    }
    if (json_array_size(root) == 0) {
        return error_set(e, Q_NOT_FOUND, "no statements");
    }
    json_array_foreach(root, i, statement)
    {
        if (sql_of(statement) == NULL) {
            return error_set(e, Q_INVALID, "invalid request");
        }
        count += json_string_length(sql_of(statement)) > 0;
    }
    if (count > COMMAND_STATEMENTS_MAX) {
        return error_set(e, Q_TOO_BIG, "the request has more than %d statements", COMMAND_STATEMENTS_MAX);
    }
    if (count > 0) {
        command_put_sql(command, op, flags, (uint32_t)count);
    }
    json_array_foreach(root, i, statement)
    {
        if (json_string_length(sql_of(statement)) > 0) {
            int rc = put_statement(command, statement, e);
            if (rc != 0) {
                return rc;
            }
        }
    }
    *ret_statements = (uint32_t)count;
    return 0;
}

int sql_json_parse(const void *body, size_t n, enum command_op op, unsigned flags, struct buf *command,
                   uint32_t *ret_statements, struct error *e)
{
    struct buf widened;
    json_error_t why;
    json_t *root;
    int rc;

    buf_init(&widened, n <= SIZE_MAX / 4 ? 4 * n : n);
    rc = widen(body, n, &widened, e);
    if (rc != 0) {
        buf_close(&widened);
        return rc;
    }
    root =
        json_loadb(widened.len > 0 ? (const char *)widened.data : body, widened.len > 0 ? widened.len : n,
                   JSON_REJECT_DUPLICATES | JSON_DISABLE_EOF_CHECK | JSON_DECODE_ANY | JSON_ALLOW_NUL, &why);
    buf_close(&widened);
    if (root == NULL) {
        return json_error_code(&why) == json_error_out_of_memory
                   ? error_set(e, Q_NOMEM, "out of memory for the request body")
                   : error_set(e, Q_INVALID, "invalid JSON body");
    }
    rc = put_statements(command, root, op, flags, ret_statements, e);
    json_decref(root);
    return rc != 0 ? rc : buf_check(command, "the command", e);
}
