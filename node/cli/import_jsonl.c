/* JSON objects, one a line, as rows and entries.
 *
 * Each key of an object is a column, made when it first appears; names that differ only in case are one
 * column, as in SQL. Numbers, texts and null are what they are, true and false become 1 and 0, arrays and
 * objects their JSON text. The primary key is the field that --key names, or, without it, the line's number
 * in the column _line. The entry is the line's own bytes. */
#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/import.h"
#include "node/cli/seen.h"

enum { LINE_MAX_BYTES = 4 * 1024 * 1024, SQL_MAX = 64 * 1024, KEY_TEXT_MAX = 64 };

static const char line_column[] = "_line";

struct jsonl {
    struct import *im;
    const char *key;
    uint64_t line_number;
    char *names[INSERT_COLUMNS_MAX];
    unsigned columns;
    struct insert_value values[INSERT_COLUMNS_MAX];
    char *texts[INSERT_COLUMNS_MAX]; /* of values that had to be made */
    struct seen seen;
};

/* ---- columns ---- */

static int find_column(const struct jsonl *j, const char *name)
{
    for (unsigned i = 0; i < j->columns; i++) {
        if (strcasecmp(j->names[i], name) == 0) {
            return (int)i;
        }
    }
    return -1;
}

static int add_name(struct jsonl *j, const char *name, struct error *e)
{
    if (j->columns == INSERT_COLUMNS_MAX) {
        return error_set(e, Q_TOO_BIG, "more than %d columns", INSERT_COLUMNS_MAX);
    }
    j->names[j->columns] = strdup(name);
    if (j->names[j->columns] == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a column");
    }
    j->columns++;
    return 0;
}

static int run_sql(struct jsonl *j, struct buf *sql, struct buf *ret_body, struct error *e)
{
    int rv;

    buf_put_u8(sql, 0);
    rv = buf_check(sql, "the name of the table or of a column", e);
    if (rv == 0) {
        rv = import_schema(j->im, (const char *)sql->data, ret_body, e);
    }
    buf_close(sql);
    return rv;
}

/* Learns the columns of the table that is there now. */
static int read_columns(struct jsonl *j, struct error *e)
{
    struct buf sql, body;
    json_t *root;
    const json_t *rows;
    int rv;

    buf_init(&sql, SQL_MAX);
    buf_printf(&sql, "PRAGMA table_info(");
    insert_put_name(&sql, j->im->table);
    buf_put_u8(&sql, ')');
    rv = run_sql(j, &sql, &body, e);
    if (rv != 0) {
        return rv;
    }
    root = json_loadb((const char *)body.data, body.len, 0, NULL);
    rows = json_object_get(json_array_get(json_object_get(root, "results"), 0), "values");
    for (size_t i = 0; rv == 0 && i < json_array_size(rows); i++) {
        const char *name = json_string_value(json_array_get(json_array_get(rows, i), 1));
        rv = name != NULL ? add_name(j, name, e) : error_set(e, Q_CORRUPT, "a column without a name");
    }
    json_decref(root);
    buf_close(&body);
    return rv;
}

static int make_table(struct jsonl *j, struct error *e)
{
    const char *key = j->key != NULL ? j->key : line_column;
    struct buf sql;
    int rv;

    buf_init(&sql, SQL_MAX);
    buf_printf(&sql, "CREATE TABLE IF NOT EXISTS ");
    insert_put_name(&sql, j->im->table);
    buf_printf(&sql, " (");
    insert_put_name(&sql, key);
    /* Without a type the key keeps what it is; INTEGER PRIMARY KEY is the row's own number. */
    buf_printf(&sql, "%s PRIMARY KEY)", j->key != NULL ? "" : " INTEGER");
    rv = run_sql(j, &sql, NULL, e);
    if (rv == 0) {
        rv = read_columns(j, e);
    }
    if (rv == 0 && find_column(j, key) < 0) {
        rv =
            error_set(e, Q_CONFLICT, "the table %s is there already and has no column %s", j->im->table, key);
    }
    if (rv == 0) {
        insert_begin(&j->im->insert, j->im->table, (const char *const *)j->names, j->columns);
    }
    return rv;
}

static int add_column(struct jsonl *j, const char *name, struct error *e)
{
    struct buf sql;
    int rv = import_flush(j->im, e);

    if (rv != 0) {
        return rv;
    }
    buf_init(&sql, SQL_MAX);
    buf_printf(&sql, "ALTER TABLE ");
    insert_put_name(&sql, j->im->table);
    buf_printf(&sql, " ADD COLUMN ");
    insert_put_name(&sql, name);
    rv = run_sql(j, &sql, NULL, e);
    /* Sent twice because the first answer was lost, or somebody else made it. */
    if (rv == Q_SQL && strstr(e->text, "duplicate column name") != NULL) {
        rv = 0;
    }
    if (rv == 0) {
        rv = add_name(j, name, e);
    }
    if (rv == 0) {
        insert_begin(&j->im->insert, j->im->table, (const char *const *)j->names, j->columns);
    }
    return rv;
}

/* ---- rows ---- */

static int set_value(struct jsonl *j, unsigned column, const json_t *value, struct error *e)
{
    struct insert_value v = {.type = INSERT_NULL};

    switch (json_typeof(value)) {
    case JSON_NULL: break;
    case JSON_TRUE:
    case JSON_FALSE:
        v.type = INSERT_INTEGER;
        v.integer = json_is_true(value);
        break;
    case JSON_INTEGER:
        v.type = INSERT_INTEGER;
        v.integer = json_integer_value(value);
        break;
    case JSON_REAL:
        v.type = INSERT_REAL;
        v.real = json_real_value(value);
        break;
    case JSON_STRING:
        v = (struct insert_value){
            .type = INSERT_TEXT, .text = json_string_value(value), .len = json_string_length(value)};
        break;
    case JSON_OBJECT:
    case JSON_ARRAY:
        free(j->texts[column]);
        j->texts[column] = json_dumps(value, JSON_COMPACT);
        if (j->texts[column] == NULL) {
            return error_set(e, Q_NOMEM, "out of memory for a value");
        }
        v = (struct insert_value){
            .type = INSERT_TEXT, .text = j->texts[column], .len = strlen(j->texts[column])};
        break;
    }
    j->values[column] = v;
    return 0;
}

static int take_row(struct jsonl *j, json_t *object, size_t bytes, struct error *e)
{
    const char *name;
    json_t *value;
    int rv = 0;

    /* First all columns: adding one begins the batch anew. */
    json_object_foreach(object, name, value)
    {
        if (rv == 0 && find_column(j, name) < 0) {
            rv = add_column(j, name, e);
        }
    }
    for (unsigned i = 0; i < j->columns; i++) {
        j->values[i] = (struct insert_value){.type = INSERT_NULL};
    }
    if (j->key == NULL && rv == 0) {
        j->values[find_column(j, line_column)] =
            (struct insert_value){.type = INSERT_INTEGER, .integer = (int64_t)j->line_number};
    }
    json_object_foreach(object, name, value)
    {
        if (rv == 0) {
            rv = set_value(j, (unsigned)find_column(j, name), value, e);
        }
    }
    return rv == 0 ? import_row(j->im, j->values, bytes, e) : rv;
}

/* The key's text: a string's own, a number's digits. */
static int key_of(const struct jsonl *j, const json_t *object, char number[KEY_TEXT_MAX],
                  const char **ret_key, size_t *ret_len, struct error *e)
{
    const json_t *key = json_object_get(object, j->key);

    if (json_is_string(key)) {
        *ret_key = json_string_value(key);
        *ret_len = json_string_length(key);
        return 0;
    }
    if (!json_is_number(key)) {
        return error_set(e, Q_INVALID, "line %" PRIu64 ": the field %s is neither text nor a number",
                         j->line_number, j->key);
    }
    if (json_is_integer(key)) {
        snprintf(number, KEY_TEXT_MAX, "%" JSON_INTEGER_FORMAT, json_integer_value(key));
    } else {
        snprintf(number, KEY_TEXT_MAX, "%.17g", json_real_value(key));
    }
    *ret_key = number;
    *ret_len = strlen(number);
    return 0;
}

static int take_object(struct jsonl *j, json_t *object, const char *line, size_t n, struct error *e)
{
    struct import *im = j->im;
    char number[KEY_TEXT_MAX];
    const char *key = NULL;
    size_t key_len = 0, entry_bytes = im->ns == NULL ? 0 : im->table == NULL ? n : n / 2;
    bool is_new = true;
    int rv = j->key != NULL ? key_of(j, object, number, &key, &key_len, e) : 0;

    if (rv == 0 && j->key != NULL) {
        rv = seen_add(&j->seen, key, key_len, &is_new, e);
    }
    if (rv == 0 && !is_new) {
        rv = import_drain(im, e); /* requests overtake each other, and the last line of a key must win */
    }
    if (rv == 0 && im->table != NULL) {
        rv = take_row(j, object, n - entry_bytes, e);
    }
    if (rv == 0 && im->ns != NULL) {
        rv = import_entry(im, key, key_len, line, n, entry_bytes, e);
    }
    return rv;
}

static int take_line(struct jsonl *j, const char *line, size_t n, struct error *e)
{
    json_error_t where;
    json_t *object;
    int rv;

    while (n > 0 && strchr(" \t\r\n", line[n - 1]) != NULL) {
        n--;
    }
    if (n == 0) {
        return 0;
    }
    if (n > LINE_MAX_BYTES) {
        return error_set(e, Q_TOO_BIG, "line %" PRIu64 " is longer than %d bytes", j->line_number,
                         LINE_MAX_BYTES);
    }
    object = json_loadb(line, n, JSON_ALLOW_NUL, &where);
    if (!json_is_object(object)) {
        json_decref(object);
        return error_set(e, Q_INVALID, "line %" PRIu64 " is not a JSON object%s%s", j->line_number,
                         object == NULL ? ": " : "", object == NULL ? where.text : "");
    }
    j->im->read++;
    rv = take_object(j, object, line, n, e);
    json_decref(object);
    return rv;
}

static int read_lines(struct jsonl *j, FILE *from, struct error *e)
{
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    int rv = 0;

    while (rv == 0 && j->im->read < j->im->limit && (n = getline(&line, &cap, from)) > 0) {
        j->line_number++;
        rv = take_line(j, line, (size_t)n, e);
    }
    if (rv == 0 && ferror(from)) {
        rv = error_errno(e, errno, "reading behind line %" PRIu64, j->line_number);
    }
    free(line);
    return rv;
}

int import_jsonl(struct import *im, FILE *from, const char *key, struct error *e)
{
    struct jsonl *j = calloc(1, sizeof *j);
    int rv = 0;

    if (j == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for an import");
    }
    j->im = im;
    j->key = key;
    if (im->table != NULL) {
        rv = make_table(j, e);
    }
    if (rv == 0) {
        rv = read_lines(j, from, e);
    }
    for (unsigned i = 0; i < INSERT_COLUMNS_MAX; i++) {
        free(j->names[i]);
        free(j->texts[i]);
    }
    seen_close(&j->seen);
    free(j);
    return rv;
}
