#include "storage/sql_bind.h"

#include <stdlib.h>
#include <string.h>

#include "storage/statement.h"

struct sql_bind sql_bind_of(const struct command_sql *sql)
{
    return (struct sql_bind){.given = *sql, .next = sql->parameter, .left = sql->parameters};
}

static int bind_value(sqlite3_stmt *statement, int at, const struct value *v)
{
    switch (v->type) {
    case VALUE_NULL: return sqlite3_bind_null(statement, at);
    case VALUE_INTEGER: return sqlite3_bind_int64(statement, at, v->integer);
    case VALUE_REAL: return sqlite3_bind_double(statement, at, v->real);
    case VALUE_TEXT: return statement_bind_text(statement, at, &v->bytes);
    case VALUE_BLOB: return statement_bind_blob(statement, at, &v->bytes);
    }
    return SQLITE_MISUSE;
}

/* NAME is in memory that has a byte before it, for the sigil, and ends in NUL. */
static int bind_named(sqlite3_stmt *statement, char *name, const struct value *v, bool *bound)
{
    static const char sigils[] = {':', '@', '$'};

    for (size_t i = 0; i < sizeof sigils; i++) {
        name[-1] = sigils[i];
        int at = sqlite3_bind_parameter_index(statement, name - 1);
        int rc = at > 0 ? bind_value(statement, at, v) : SQLITE_OK;

        if (rc != SQLITE_OK) {
            return rc;
        }
        bound[at] = true;
    }
    return SQLITE_OK;
}

static int bind_all_named(const struct sql_bind *b, sqlite3_stmt *statement, bool *bound)
{
    struct cursor parameter = b->given.parameter;
    struct buf name;
    int rc = SQLITE_OK;

    buf_init(&name, SIZE_MAX);
    for (uint32_t i = 0; i < b->given.parameters && rc == SQLITE_OK; i++) {
        struct cursor text;
        struct value v = command_parameter(&parameter, &text);

        if (cursor_left(&text) > 0) {
            buf_clear(&name);
            buf_put_zeros(&name, 1);
            buf_put_bytes(&name, text.p, cursor_left(&text));
            buf_put_zeros(&name, 1);
            rc = name.failed != Q_OK ? SQLITE_NOMEM : bind_named(statement, (char *)name.data + 1, &v, bound);
        }
    }
    buf_close(&name);
    return rc;
}

static bool next_positional(struct sql_bind *b, struct value *ret_value)
{
    while (b->left > 0) {
        struct cursor name;
        struct value v = command_parameter(&b->next, &name);

        b->left--;
        if (cursor_left(&name) == 0) {
            *ret_value = v;
            return true;
        }
    }
    return false;
}

int sql_bind(struct sql_bind *b, sqlite3_stmt *statement, int *ret_wanted)
{
    int wanted = sqlite3_bind_parameter_count(statement);

    if (wanted == 0) {
        return SQLITE_OK;
    }
    /* Parameters count from 1; 0 stands for names that the statement does not have. */
    bool *bound = calloc((size_t)wanted + 1, sizeof *bound);
    if (bound == NULL) {
        return SQLITE_NOMEM;
    }
    int rc = bind_all_named(b, statement, bound);
    for (int i = 1; i <= wanted && rc == SQLITE_OK; i++) {
        struct value v;

        if (!bound[i]) {
            rc = next_positional(b, &v) ? bind_value(statement, i, &v) : SQLITE_RANGE;
        }
    }
    free(bound);
    if (rc == SQLITE_RANGE) {
        *ret_wanted = wanted;
    }
    return rc;
}
