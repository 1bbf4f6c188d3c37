/* jsonl: lines of JSON on their way into the cluster, import_jsonl() of node/cli/import.h, with the rest of
 * import.h replaced by this file. Every row has a value for every column that was made. */
#include <jansson.h>
#include <string.h>

#include "node/cli/import.h"
#include "storage/utf8.h"
#include "tests/fuzz/target.h"

enum { NAMES_MAX = 64 };

/* The table as the statements of the import make it. */
static struct {
    char *names[NAMES_MAX];
    unsigned columns;
    uint64_t rows, entries;
} table;

static void add_column(const char *quoted)
{
    char *name = strdup(quoted), *to = name;

    FUZZ_CHECK(quoted[0] == '"' && name != NULL, "a name is quoted");
    for (const char *p = quoted + 1; *p != '"' || p[1] == '"'; p++) {
        FUZZ_CHECK(*p != 0, "a quoted name has an end");
        p += *p == '"';
        *to++ = *p;
    }
    *to = 0;
    table.names[table.columns++] = name;
}

static void put_columns(struct buf *body)
{
    json_t *rows = json_array(), *root;
    char *text;

    for (unsigned i = 0; i < table.columns; i++) {
        json_array_append_new(rows, json_pack("[i, s]", (int)i, table.names[i]));
    }
    root = json_pack("{s: [{s: o}]}", "results", "values", rows);
    text = json_dumps(root, JSON_COMPACT);
    FUZZ_CHECK(text != NULL, "there is memory");
    buf_put_bytes(body, text, strlen(text));
    free(text);
    json_decref(root);
}

int import_schema(struct import *im, const char *sql, struct buf *ret_body, struct error *e)
{
    static const char create[] = "CREATE TABLE IF NOT EXISTS \"t\" (",
                      alter[] = "ALTER TABLE \"t\" ADD COLUMN ";
    struct buf body;

    (void)im;
    FUZZ_CHECK(utf8_valid(sql, strlen(sql)), "a statement is UTF-8");
    buf_init(&body, 1024 * 1024);
    if (strncmp(sql, create, strlen(create)) == 0) {
        add_column(sql + strlen(create));
    } else if (strncmp(sql, alter, strlen(alter)) == 0) {
        if (table.columns == NAMES_MAX) {
            return error_set(e, Q_SQL, "too many columns");
        }
        add_column(sql + strlen(alter));
    } else {
        put_columns(&body);
    }
    if (ret_body != NULL) {
        *ret_body = body;
    } else {
        buf_close(&body);
    }
    return 0;
}

int import_row(struct import *im, const struct insert_value *values, size_t input_bytes, struct error *e)
{
    FUZZ_CHECK(im->insert.columns == table.columns, "a row has all columns");
    (void)input_bytes;
    (void)e;
    for (unsigned i = 0; i < table.columns; i++) {
        FUZZ_CHECK(values[i].type != INSERT_TEXT || utf8_valid(values[i].text, values[i].len),
                   "a text is UTF-8");
    }
    table.rows++;
    return 0;
}

int import_entry(struct import *im, const void *key, size_t key_len, const void *value, size_t len,
                 size_t input_bytes, struct error *e)
{
    (void)im;
    (void)input_bytes;
    (void)e;
    FUZZ_CHECK(utf8_valid(key, key_len) && utf8_valid(value, len) && len > 0, "an entry is a line");
    table.entries++;
    return 0;
}

int import_flush(struct import *im, struct error *e)
{
    (void)im;
    (void)e;
    return 0;
}

int import_drain(struct import *im, struct error *e)
{
    (void)im;
    (void)e;
    return 0;
}

static void run(const uint8_t *p, size_t n)
{
    unsigned choice = n > 0 ? *p : 0;
    struct import im = {
        .table = (choice & 1) != 0 ? NULL : "t", .ns = (choice & 2) != 0 ? "app" : NULL, .limit = UINT64_MAX};
    FILE *from = n > 1 ? fmemopen((void *)(uintptr_t)(p + 1), n - 1, "r") : NULL;
    struct error e;

    if (from == NULL) {
        return;
    }
    table.rows = table.entries = 0;
    insert_init(&im.insert);
    if (import_jsonl(&im, from, (choice & 4) != 0 || im.ns != NULL ? "id" : NULL, &e) == 0) {
        FUZZ_CHECK((im.table == NULL || table.rows == im.read) && (im.ns == NULL || table.entries == im.read),
                   "every line became a row and an entry");
    } else {
        FUZZ_CHECK(e.code == Q_INVALID || e.code == Q_TOO_BIG || e.code == Q_SQL || e.code == Q_CONFLICT,
                   "a refusal has one of the promised codes");
    }
    insert_close(&im.insert);
    fclose(from);
    while (table.columns > 0) {
        free(table.names[--table.columns]);
    }
}

static void seeds(struct seeds *s)
{
    static const char lines[] = "\0{\"id\": 1, \"name\": \"a\", \"tags\": [1, {\"x\": null}]}\n\n{\"ID\": "
                                "2.5, \"na\\\"me\": true}\r\n"
                                "{\"id\": \"three\", \"name\": \"\\u0000\\ud83d\\ude00\", \"_line\": 1}";
    static const char keyed[] = "\6{\"id\": \"a\"}\n{\"id\": 7, \"b\": 1}\n{\"id\": 1e3}\n{\"id\": \"a\"}\n";

    seeds_add(s, "lines", lines, sizeof lines - 1);
    seeds_add(s, "keyed", keyed, sizeof keyed - 1);
    seeds_add(s, "bad", "\0[1]\n", 5);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds, .cost = 4};
