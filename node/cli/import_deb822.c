/* Stanzas of a Debian package list as rows and entries.
 *
 * Both have the key "name/version/architecture"; where that was seen before in the same input, "#2", "#3" ...
 * follows, so that the same input makes the same keys each time. The entry is the stanza's own bytes. Fields
 * that have no column stand in `rest`, a JSON object. */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "node/cli/deb822.h"
#include "node/cli/import.h"
#include "node/cli/seen.h"

enum { KEY_MAX = 8192, SQL_MAX = 16 * 1024 };

struct column {
    const char *name, *field; /* field NULL: made from several */
    bool integer;
};

/* X(column, field, integer) */
static const struct column columns[] = {
    {"key", NULL, false},
    {"name", "Package", false},
    {"version", "Version", false},
    {"architecture", "Architecture", false},
    {"section", "Section", false},
    {"priority", "Priority", false},
    {"maintainer", "Maintainer", false},
    {"installed_size", "Installed-Size", true},
    {"description", "Description", false},
    {"rest", NULL, false},
};
enum { COLUMN_COUNT = sizeof columns / sizeof columns[0], COLUMN_KEY = 0, COLUMN_REST = COLUMN_COUNT - 1 };

static int make_table(struct import *im, struct error *e)
{
    const char *names[COLUMN_COUNT];
    struct buf sql;
    int rv;

    buf_init(&sql, SQL_MAX);
    buf_printf(&sql, "CREATE TABLE IF NOT EXISTS ");
    insert_put_name(&sql, im->table);
    for (unsigned i = 0; i < COLUMN_COUNT; i++) {
        names[i] = columns[i].name;
        buf_printf(&sql, "%s%s %s%s", i == 0 ? " (" : ", ", columns[i].name,
                   columns[i].integer ? "INTEGER" : "TEXT", i == COLUMN_KEY ? " PRIMARY KEY" : "");
    }
    buf_printf(&sql, ") WITHOUT ROWID%c", 0);
    rv = buf_check(&sql, "the table's name", e);
    if (rv == 0) {
        rv = import_schema(im, (const char *)sql.data, NULL, e);
    }
    buf_close(&sql);
    insert_begin(&im->insert, im->table, names, COLUMN_COUNT);
    return rv;
}

static int make_key(const struct deb822 *d, struct seen *seen, struct buf *key, struct error *e)
{
    static const char *const parts[] = {"Package", "Version", "Architecture"};
    size_t plain;
    bool is_new = false;
    int rv = 0;

    buf_clear(key);
    for (unsigned i = 0; i < 3; i++) {
        size_t n = 0;
        const char *value = deb822_value(d, parts[i], &n);
        if (i == 0 && n == 0) {
            return error_set(e, Q_INVALID, "the stanza that begins in line %lu has no Package",
                             d->first_line);
        }
        buf_put_bytes(key, "/", i > 0);
        buf_put_bytes(key, value, n);
    }
    plain = key->len;
    for (unsigned again = 2; rv == 0 && !is_new; again++) {
        rv = buf_check(key, "a key", e);
        if (rv == 0) {
            rv = seen_add(seen, key->data, key->len, &is_new, e);
        }
        if (rv == 0 && !is_new) {
            key->len = plain;
            buf_printf(key, "#%u", again);
        }
    }
    return rv;
}

static bool has_column(const char *name, size_t n)
{
    for (unsigned i = 0; i < COLUMN_COUNT; i++) {
        if (columns[i].field != NULL && strlen(columns[i].field) == n &&
            strncasecmp(columns[i].field, name, n) == 0) {
            return true;
        }
    }
    return false;
}

/* Freed by the caller; NULL: out of memory. A value that is not UTF-8 is null here. */
static char *make_rest(const struct deb822 *d)
{
    const char *p = (const char *)d->bytes.data;
    json_t *rest = json_object();
    char *text;

    for (unsigned i = 0; rest != NULL && i < d->field_count; i++) {
        const struct deb822_field *f = &d->fields[i];
        if (!has_column(p + f->name, f->name_len)) {
            json_t *value = json_stringn(p + f->value, f->value_len);
            json_object_setn_new(rest, p + f->name, f->name_len, value != NULL ? value : json_null());
        }
    }
    text = json_dumps(rest, JSON_COMPACT);
    json_decref(rest);
    return text;
}

static struct insert_value value_of(const struct deb822 *d, const struct column *column)
{
    struct insert_value v = {.type = INSERT_NULL};
    char *end;

    v.text = deb822_value(d, column->field, &v.len);
    if (v.text == NULL) {
        return v;
    }
    v.type = INSERT_TEXT;
    if (column->integer && v.len > 0) {
        errno = 0;
        v.integer = strtoll(v.text, &end, 10);
        v.type = errno == 0 && end == v.text + v.len ? INSERT_INTEGER : INSERT_TEXT;
    }
    return v;
}

static int take_stanza(struct import *im, const struct deb822 *d, const struct buf *key, struct error *e)
{
    size_t entry_bytes = im->ns == NULL ? 0 : im->table == NULL ? d->input_bytes : d->input_bytes / 2;
    int rv = 0;

    if (im->table != NULL) {
        struct insert_value values[COLUMN_COUNT];
        char *rest = make_rest(d);
        if (rest == NULL) {
            return error_set(e, Q_NOMEM, "out of memory for a row");
        }
        for (unsigned i = 0; i < COLUMN_COUNT; i++) {
            values[i] = columns[i].field != NULL ? value_of(d, &columns[i]) : (struct insert_value){0};
        }
        values[COLUMN_KEY] =
            (struct insert_value){.type = INSERT_TEXT, .text = (const char *)key->data, .len = key->len};
        values[COLUMN_REST] = (struct insert_value){.type = INSERT_TEXT, .text = rest, .len = strlen(rest)};
        rv = import_row(im, values, d->input_bytes - entry_bytes, e);
        free(rest);
    }
    if (rv == 0 && im->ns != NULL) {
        rv = import_entry(im, key->data, key->len, d->bytes.data, d->bytes.len, entry_bytes, e);
    }
    return rv;
}

int import_deb822(struct import *im, FILE *from, struct error *e)
{
    struct deb822 d;
    struct seen seen = {0};
    struct buf key;
    bool end = false;
    int rv = im->table != NULL ? make_table(im, e) : 0;

    deb822_init(&d, from);
    buf_init(&key, KEY_MAX);
    while (rv == 0 && !end && im->read < im->limit) {
        rv = deb822_next(&d, &end, e);
        if (rv == 0 && !end) {
            im->read++;
            rv = make_key(&d, &seen, &key, e);
        }
        if (rv == 0 && !end) {
            rv = take_stanza(im, &d, &key, e);
        }
    }
    buf_close(&key);
    seen_close(&seen);
    deb822_close(&d);
    return rv;
}
