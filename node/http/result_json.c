#include "node/http/result_json.h"

#include <stdlib.h>
#include <string.h>

#include "node/http/timestamp.h"

/* How the values of a column look, by its type. */
enum look { LOOK_PLAIN, LOOK_TEXT, LOOK_BOOLEAN, LOOK_TIME };

struct column {
    struct cursor name;
    const char *type; /* in lower case; in the table's TYPES, or static */
    size_t type_len;
    enum look look;
};

/* The columns of one statement's rows. */
struct table {
    struct column *columns;
    uint32_t count;
    char *types;       /* all declared types, one after the other */
    uint32_t *order;   /* associative: the columns to show, by name */
    uint32_t shown;    /* how many of them */
    struct value *row; /* associative: the row at hand */
};

static bool is(const char *type, size_t n, const char *name)
{
    return n == strlen(name) && memcmp(type, name, n) == 0;
}

static enum look look_of(const char *type, size_t n)
{
    static const char *const prefixes[] = {"varchar",          "varying character", "nchar",
                                           "native character", "nvarchar",          "clob"};
    for (unsigned i = 0; i < sizeof prefixes / sizeof prefixes[0]; i++) {
        if (n >= strlen(prefixes[i]) && memcmp(type, prefixes[i], strlen(prefixes[i])) == 0) {
            return LOOK_TEXT;
        }
    }
    if (n == 0 || is(type, n, "text") || is(type, n, "json")) {
        return LOOK_TEXT;
    }
    if (is(type, n, "date") || is(type, n, "datetime") || is(type, n, "timestamp")) {
        return LOOK_TIME;
    }
    return is(type, n, "boolean") ? LOOK_BOOLEAN : LOOK_PLAIN;
}

static void table_close(struct table *t)
{
    free(t->columns);
    free(t->types);
    free(t->order);
    free(t->row);
}

static int no_memory(struct error *e)
{
    return error_set(e, Q_NOMEM, "out of memory for the columns of a result");
}

static int corrupt(struct error *e)
{
    return error_set(e, Q_CORRUPT, "the bytes of a result do not follow its format");
}

/* Reads names and declared types; result_next_item() has found them whole. */
static int table_init(struct table *t, const struct result_sql *item, struct error *e)
{
    struct cursor c = item->column;
    size_t at = 0, n = cursor_left(&c);

    *t = (struct table){.count = item->columns};
    t->columns = calloc(t->count + 1, sizeof *t->columns);
    t->types = malloc(n + 1);
    if (t->columns == NULL || t->types == NULL) {
        return no_memory(e);
    }
    for (uint32_t i = 0; i < t->count; i++) {
        struct column *column = &t->columns[i];
        struct cursor type;
        column->name = cursor_blob(&c);
        type = cursor_blob(&c);
        column->type = t->types + at;
        column->type_len = cursor_left(&type);
        for (const uint8_t *p = type.p; p < type.end; p++) {
            t->types[at++] = (char)(*p >= 'A' && *p <= 'Z' ? *p + ('a' - 'A') : *p);
        }
        column->look = look_of(column->type, column->type_len);
    }
    return 0;
}

/* Columns without a declared type get that of their value in the first row, which is at C. */
static void infer_types(struct table *t, struct cursor c)
{
    /* A blob is shown as text as long as its column has no type, so it counts as text. */
    static const char *const names[] = {
        [VALUE_NULL] = "",     [VALUE_INTEGER] = "integer", [VALUE_REAL] = "real",
        [VALUE_TEXT] = "text", [VALUE_BLOB] = "text",
    };
    if (!result_next_row(&c)) {
        return;
    }
    for (uint32_t i = 0; i < t->count; i++) {
        struct value v = value_get(&c);
        if (t->columns[i].type_len == 0) {
            t->columns[i].type = names[v.type];
            t->columns[i].type_len = strlen(names[v.type]);
            t->columns[i].look = look_of(t->columns[i].type, t->columns[i].type_len);
        }
    }
}

static int by_name(const void *a, const void *b, void *arg)
{
    const struct table *t = arg;
    uint32_t i = *(const uint32_t *)a, k = *(const uint32_t *)b;
    const struct cursor *left = &t->columns[i].name, *right = &t->columns[k].name;
    size_t n = cursor_left(left), m = cursor_left(right);
    int order = memcmp(left->p, right->p, n < m ? n : m);
    return order != 0 ? order : n != m ? (n < m ? -1 : 1) : i < k ? -1 : 1;
}

static bool same_name(const struct table *t, uint32_t i, uint32_t k)
{
    const struct cursor *a = &t->columns[i].name, *b = &t->columns[k].name;
    return cursor_left(a) == cursor_left(b) && memcmp(a->p, b->p, cursor_left(a)) == 0;
}

/* Finds the order in which an associative reply shows the columns. */
static int order_columns(struct table *t, struct error *e)
{
    t->order = calloc(t->count + 1, sizeof *t->order);
    t->row = calloc(t->count + 1, sizeof *t->row);
    if (t->order == NULL || t->row == NULL) {
        return no_memory(e);
    }
    for (uint32_t i = 0; i < t->count; i++) {
        t->order[i] = i;
    }
    qsort_r(t->order, t->count, sizeof *t->order, by_name, t);
    for (uint32_t i = 0; i < t->count; i++) {
        if (i + 1 == t->count || !same_name(t, t->order[i], t->order[i + 1])) {
            t->order[t->shown++] = t->order[i];
        }
    }
    return 0;
}

static void put_blob(struct json *j, const struct value *v, bool as_array)
{
    if (!as_array) {
        js_base64(j, v->bytes.p, cursor_left(&v->bytes));
        return;
    }
    js_begin_array(j);
    for (const uint8_t *p = v->bytes.p; p < v->bytes.end; p++) {
        js_integer(j, *p);
    }
    js_end_array(j);
}

static void put_value(struct json *j, const struct value *v, enum look look,
                      const struct result_json_options *options)
{
    char text[TIMESTAMP_MAX];

    switch (v->type) {
    case VALUE_NULL: js_null(j); break;
    case VALUE_INTEGER:
        if (look == LOOK_BOOLEAN) {
            js_bool(j, v->integer > 0);
        } else if (look == LOOK_TIME) {
            timestamp_of_integer(v->integer, text);
            js_string(j, text);
        } else {
            js_integer(j, v->integer);
        }
        break;
    case VALUE_REAL: js_real(j, v->real); break;
    case VALUE_TEXT:
        if (look == LOOK_TIME) {
            timestamp_of_text(v->bytes.p, cursor_left(&v->bytes), text);
            js_string(j, text);
        } else {
            js_text(j, v->bytes.p, cursor_left(&v->bytes));
        }
        break;
    case VALUE_BLOB:
        if (look == LOOK_TEXT) {
            js_text(j, v->bytes.p, cursor_left(&v->bytes));
        } else {
            put_blob(j, v, options->blob_array);
        }
        break;
    }
}

static void put_time(struct json *j, uint64_t elapsed_ns, const struct result_json_options *options)
{
    if (options->timings && elapsed_ns > 0) {
        js_key(j, "time");
        js_real(j, (double)elapsed_ns / 1e9);
    }
}

static void put_associative(struct json *j, struct table *t, struct cursor *c,
                            const struct result_json_options *options)
{
    js_key(j, "types");
    js_begin_object(j);
    for (uint32_t i = 0; i < t->shown; i++) {
        const struct column *column = &t->columns[t->order[i]];
        js_key_bytes(j, column->name.p, cursor_left(&column->name));
        js_text(j, column->type, column->type_len);
    }
    js_end_object(j);
    js_key(j, "rows");
    js_begin_array(j);
    while (result_next_row(c)) {
        for (uint32_t i = 0; i < t->count; i++) {
            t->row[i] = value_get(c);
        }
        js_begin_object(j);
        for (uint32_t i = 0; i < t->shown; i++) {
            const struct column *column = &t->columns[t->order[i]];
            js_key_bytes(j, column->name.p, cursor_left(&column->name));
            put_value(j, &t->row[t->order[i]], column->look, options);
        }
        js_end_object(j);
    }
    js_end_array(j);
}

static void put_positional(struct json *j, struct table *t, struct cursor *c,
                           const struct result_json_options *options)
{
    bool any = false;

    js_key(j, "columns");
    js_begin_array(j);
    for (uint32_t i = 0; i < t->count; i++) {
        js_text(j, t->columns[i].name.p, cursor_left(&t->columns[i].name));
    }
    js_end_array(j);
    js_key(j, "types");
    js_begin_array(j);
    for (uint32_t i = 0; i < t->count; i++) {
        js_text(j, t->columns[i].type, t->columns[i].type_len);
    }
    js_end_array(j);
    while (result_next_row(c)) {
        if (!any) {
            js_key(j, "values");
            js_begin_array(j);
            any = true;
        }
        js_begin_array(j);
        for (uint32_t i = 0; i < t->count; i++) {
            struct value v = value_get(c);
            put_value(j, &v, t->columns[i].look, options);
        }
        js_end_array(j);
    }
    if (any) {
        js_end_array(j);
    }
}

static int put_rows(struct json *j, const struct result_sql *item, struct cursor *c,
                    const struct result_json_options *options, struct error *e)
{
    struct table t;
    int rc = table_init(&t, item, e);

    if (rc == 0 && options->associative) {
        rc = order_columns(&t, e);
    }
    if (rc == 0) {
        infer_types(&t, *c);
        if (options->associative) {
            put_associative(j, &t, c, options);
        } else {
            put_positional(j, &t, c, options);
        }
    }
    table_close(&t);
    return rc;
}

static void put_write(struct json *j, const struct result_sql *item,
                      const struct result_json_options *options)
{
    if (item->last_insert_id != 0) {
        js_key(j, "last_insert_id");
        js_integer(j, item->last_insert_id);
    }
    if (item->rows_affected != 0) {
        js_key(j, "rows_affected");
        js_unsigned(j, item->rows_affected);
    }
    put_time(j, item->elapsed_ns, options);
    if (options->associative) {
        js_key(j, "rows");
        js_null(j);
    }
}

int result_json_write(struct json *j, struct cursor body, const struct result_json_options *options,
                      struct error *e)
{
    struct result_sql item;
    int rc = 0;

    js_begin_array(j);
    while (rc == 0 && result_next_item(&body, &item)) {
        js_begin_object(j);
        switch (item.item) {
        case RESULT_WRITE: put_write(j, &item, options); break;
        case RESULT_STATEMENT_ERROR:
            js_key(j, "error");
            js_text(j, item.text.p, cursor_left(&item.text));
            break;
        case RESULT_EMPTY:
            if (options->associative) {
                js_key(j, "rows");
                js_begin_array(j);
                js_end_array(j);
            }
            put_time(j, item.elapsed_ns, options);
            break;
        case RESULT_ROWS:
            rc = put_rows(j, &item, &body, options, e);
            put_time(j, item.elapsed_ns, options);
            break;
        }
        js_end_object(j);
    }
    js_end_array(j);
    return rc == 0 && body.bad ? corrupt(e) : rc;
}
