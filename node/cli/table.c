#include "node/cli/table.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

enum { TABLE_TEXT_MAX = 1 << 30, TABLE_GAP = 2, TABLE_CELL_MAX = 512 };

void table_init(struct table *t, unsigned columns)
{
    assert(columns >= 1 && columns <= TABLE_COLUMNS_MAX);
    *t = (struct table){.columns = columns};
    buf_init(&t->text, TABLE_TEXT_MAX);
    buf_init(&t->right, TABLE_COLUMNS_MAX);
    buf_put_zeros(&t->right, columns);
}

void table_close(struct table *t)
{
    buf_close(&t->text);
    buf_close(&t->right);
}

void table_align_right(struct table *t, unsigned column)
{
    if (t->right.failed == Q_OK) {
        t->right.data[column] = 1;
    }
}

void table_add_bytes(struct table *t, const void *p, size_t n)
{
    const uint8_t *byte = p;

    for (size_t i = 0; i < n; i++) {
        if (byte[i] == '\n') {
            buf_put_bytes(&t->text, "\\n", 2);
        } else if (byte[i] == '\t') {
            buf_put_bytes(&t->text, "\\t", 2);
        } else if (byte[i] < 0x20 || byte[i] == 0x7f) {
            buf_printf(&t->text, "\\x%02x", byte[i]);
        } else {
            buf_put_u8(&t->text, byte[i]);
        }
    }
    buf_put_u8(&t->text, 0);
    t->cells++;
}

void table_add(struct table *t, const char *text)
{
    table_add_bytes(t, text, strlen(text));
}

void table_addf(struct table *t, const char *format, ...)
{
    char text[TABLE_CELL_MAX];
    va_list args;

    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    table_add(t, text);
}

/* Characters of a UTF-8 text: bytes that do not continue one. */
static size_t width_of(const char *text)
{
    size_t n = 0;
    for (; *text != 0; text++) {
        n += ((unsigned char)*text & 0xc0) != 0x80;
    }
    return n;
}

static void print_spaces(size_t n, FILE *to)
{
    fprintf(to, "%*s", (int)n, "");
}

static void print_cell(const char *cell, size_t width, bool right, bool last, FILE *to)
{
    size_t pad = width - width_of(cell);

    if (right) {
        print_spaces(pad, to);
    }
    fputs(cell, to);
    if (!last) {
        print_spaces((right ? 0 : pad) + TABLE_GAP, to);
    } else {
        fputc('\n', to);
    }
}

static void print_rule(const size_t *width, unsigned columns, FILE *to)
{
    for (unsigned i = 0; i < columns; i++) {
        for (size_t k = 0; k < width[i]; k++) {
            fputc('-', to);
        }
        if (i + 1 < columns) {
            print_spaces(TABLE_GAP, to);
        }
    }
    fputc('\n', to);
}

int table_print(const struct table *t, FILE *to, struct error *e)
{
    size_t rows = t->cells / t->columns, *width;
    const char *cell = (const char *)t->text.data;
    int rv = buf_check(&t->text, "the table", e);

    if (rv != 0) {
        return rv;
    }
    width = calloc(t->columns, sizeof *width);
    if (width == NULL || t->right.failed != Q_OK) {
        free(width);
        return error_set(e, Q_NOMEM, "out of memory for a table");
    }
    for (size_t i = 0; i < rows * t->columns; i++) {
        size_t n = width_of(cell);
        width[i % t->columns] = n > width[i % t->columns] ? n : width[i % t->columns];
        cell += strlen(cell) + 1;
    }
    cell = (const char *)t->text.data;
    for (size_t i = 0; i < rows * t->columns; i++) {
        size_t column = i % t->columns;
        print_cell(cell, width[column], t->right.data[column] != 0, column + 1 == t->columns, to);
        cell += strlen(cell) + 1;
        if (i + 1 == t->columns) {
            print_rule(width, t->columns, to);
        }
    }
    free(width);
    return 0;
}
