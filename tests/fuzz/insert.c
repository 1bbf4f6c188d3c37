/* insert: rows on their way from the command line into a command: node/cli/insert.h writes a body, and
 * node/http/sql_json.h reads it. Every value arrives as it was. */
#include <math.h>
#include <string.h>

#include "node/cli/insert.h"
#include "node/http/sql_json.h"
#include "storage/utf8.h"
#include "tests/fuzz/target.h"

enum { COLUMNS_MAX = 5, ROWS_MAX = 4, BODY_MAX = 1024 * 1024 };

static struct insert_value take_value(struct cursor *input)
{
    struct insert_value v = {.type = (enum insert_type)input_range(input, 0, INSERT_TEXT)};
    struct cursor text;
    uint64_t bits;

    switch (v.type) {
    case INSERT_NULL: break;
    case INSERT_INTEGER: v.integer = (int64_t)cursor_u64(input); break;
    case INSERT_REAL:
        bits = cursor_u64(input);
        memcpy(&v.real, &bits, sizeof bits);
        break;
    case INSERT_TEXT:
        text = input_bytes(input, 60);
        v.text = (const char *)text.p;
        v.len = cursor_left(&text);
        break;
    }
    return v;
}

static void check_value(const struct insert_value *was, const struct value *is)
{
    struct cursor text = cursor_of(was->text, was->len);

    switch (was->type) {
    case INSERT_NULL: FUZZ_CHECK(is->type == VALUE_NULL, "NULL stays NULL"); break;
    case INSERT_INTEGER:
        FUZZ_CHECK(is->type == VALUE_INTEGER && is->integer == was->integer, "an integer stays what it is");
        break;
    case INSERT_REAL:
        if (isfinite(was->real)) {
            FUZZ_CHECK(is->type == VALUE_REAL && is->real == was->real, "a real stays what it is");
        } else {
            FUZZ_CHECK(is->type == VALUE_NULL, "what JSON has no form for is NULL");
        }
        break;
    case INSERT_TEXT: /* a BLOB is cast back by the statement */
        FUZZ_CHECK((is->type == VALUE_TEXT || is->type == VALUE_BLOB) && cursor_equal(&is->bytes, &text),
                   "a text keeps its bytes");
        break;
    }
}

static void check(const struct buf *body, const struct insert_value *values, unsigned count)
{
    struct buf bytes;
    struct command command;
    struct command_sql sql;
    struct cursor statement;
    uint32_t statements;
    struct error e;

    buf_init(&bytes, BODY_MAX);
    FUZZ_CHECK(sql_json_parse(body->data, body->len, COMMAND_SQL_EXECUTE, 0, &bytes, &statements, &e) == 0,
               "the body is understood");
    FUZZ_CHECK(statements == 1 && command_decode(bytes.data, bytes.len, &command, &e) == 0,
               "as one statement");
    statement = command.statement;
    sql = command_statement(&statement);
    FUZZ_CHECK(sql.parameters == count, "with all values");
    for (unsigned i = 0; i < count; i++) {
        struct cursor name;
        struct value value = command_parameter(&sql.parameter, &name);
        check_value(&values[i], &value);
    }
    buf_close(&bytes);
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);
    struct insert_value values[COLUMNS_MAX * ROWS_MAX];
    unsigned columns = input_range(&input, 1, COLUMNS_MAX), rows = input_range(&input, 1, ROWS_MAX);
    char *names[COLUMNS_MAX + 1];
    bool good = true;
    struct insert in;
    struct buf body;
    struct error e;

    for (unsigned i = 0; i <= columns; i++) {
        names[i] = input_string(&input, 12);
        good = good && utf8_valid(names[i], strlen(names[i]));
    }
    insert_init(&in);
    insert_begin(&in, names[columns], (const char *const *)names, columns);
    for (unsigned i = 0; i < rows; i++) {
        for (unsigned j = 0; j < columns; j++) {
            values[i * columns + j] = take_value(&input);
        }
        insert_add(&in, &values[i * columns]);
    }
    buf_init(&body, BODY_MAX);
    if (insert_finish(&in, &body, &e) == 0) {
        FUZZ_CHECK(good, "a name that is not UTF-8 is refused");
        check(&body, values, rows * columns);
    } else {
        FUZZ_CHECK(!good && e.code == Q_INVALID, "a name that is UTF-8 is not");
    }
    buf_close(&body);
    insert_close(&in);
    for (unsigned i = 0; i <= columns; i++) {
        free(names[i]);
    }
}

static void seeds(struct seeds *s)
{
    struct buf b;

    buf_init(&b, FUZZ_INPUT_MAX);
    buf_put_u8(&b, 3); /* four columns and two rows */
    buf_put_u8(&b, 1);
    for (unsigned i = 0; i < 5; i++) {
        buf_put_u8(&b, 2);
        buf_put_bytes(&b, "c\"", 2);
    }
    for (unsigned i = 0; i < 2; i++) {
        buf_put_u8(&b, INSERT_NULL);
        buf_put_u8(&b, INSERT_INTEGER);
        buf_put_u64(&b, UINT64_MAX);
        buf_put_u8(&b, INSERT_REAL);
        buf_put_u64(&b, UINT64_C(0x4045000000000000));
        buf_put_u8(&b, INSERT_TEXT);
        buf_put_u8(&b, 5);
        buf_put_bytes(&b, i == 0 ? "x'00'" : "caf\xc3\xa9", 5);
    }
    seeds_add(s, "rows", b.data, b.len);
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
