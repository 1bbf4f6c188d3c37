/* sql_json: the JSON bodies of /db/..., node/http/sql_json.h. What is taken is a command that decodes, with
 * as many statements as was said, and no other JSON library's idea of a number gets in. */
#include <string.h>

#include "node/http/pragma.h"
#include "node/http/sql_json.h"
#include "tests/fuzz/target.h"

enum { COMMAND_MAX = 1024 * 1024 };

static void check(const struct buf *bytes, uint32_t statements, enum command_op op, unsigned flags)
{
    struct command command;
    struct error e;

    if (statements == 0) {
        FUZZ_CHECK(bytes->len == 0, "nothing but empty strings is no command");
        return;
    }
    if (command_decode(bytes->data, bytes->len, &command, &e) != 0) {
        FUZZ_CHECK(e.code == Q_INVALID, "only SQL with a zero in it does not decode");
        return;
    }
    FUZZ_CHECK(command.op == op && command.flags == flags && command.statements == statements,
               "it is the one that was asked for");
    pragma_disallowed_in(&command);
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);
    uint8_t choice = cursor_left(&input) > 0 ? cursor_u8(&input) : 0;
    enum command_op op = (enum command_op)(COMMAND_SQL_EXECUTE + (choice >> 1) % 3);
    unsigned flags = choice & COMMAND_TRANSACTION;
    size_t max = (choice & 128) != 0 ? 100 : COMMAND_MAX;
    uint32_t statements = 0;
    struct error e;
    struct buf b;
    int rv;

    buf_init(&b, max);
    rv = sql_json_parse(input.p, cursor_left(&input), op, flags, &b, &statements, &e);
    if (rv == 0) {
        check(&b, statements, op, flags);
    } else {
        FUZZ_CHECK(e.code == Q_INVALID || e.code == Q_NOT_FOUND || e.code == Q_TOO_BIG,
                   "a refusal has one of the codes that are promised");
    }
    buf_close(&b);
}

static void add(struct seeds *s, const char *name, const char *json)
{
    struct buf b;
    buf_init(&b, FUZZ_INPUT_MAX);
    buf_put_u8(&b, 0);
    buf_put_bytes(&b, json, strlen(json));
    seeds_add(s, name, b.data, b.len);
    buf_close(&b);
}

static void seeds(struct seeds *s)
{
    add(s, "plain", "[\"SELECT 1\", \"\", \"PRAGMA /**/ journal_mode = 'wal'\"]");
    add(s, "positional",
        "[[\"INSERT INTO t VALUES (?,?,?,?,?,?)\", 1, -2.5e3, true, null, \"x'00ff'\", [1,255]]]");
    add(s, "named",
        "[[\"SELECT :a, $b, @c\", {\"a\": 9223372036854775807, \"b\": \"caf\\u00e9\", \"c\": [ ]}]] more");
    add(s, "empty", "[]");
    add(s, "surrogates",
        "[\"\\ud83d\\ude00 \\u0000\", [\"\"], [\"SELECT 1e999, 123456789012345678901\", 1e400]]");
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
