/* command: storage/command.h. What decodes is walked to its end, and encoded again gives the same bytes. */
#include <string.h>

#include "storage/command.h"
#include "tests/fuzz/target.h"

enum { BYTES_MAX = 64 * 1024 };

static void put_sql(struct buf *b, const struct command *command)
{
    struct cursor statements = command->statement;

    command_put_sql(b, command->op, command->flags, command->statements);
    for (uint32_t i = 0; i < command->statements; i++) {
        struct command_sql sql = command_statement(&statements);
        command_put_statement(b, sql.sql.p, cursor_left(&sql.sql), sql.parameters);
        for (uint32_t j = 0; j < sql.parameters; j++) {
            struct cursor name;
            struct value value = command_parameter(&sql.parameter, &name);
            command_put_parameter(b, name.p, cursor_left(&name), &value);
        }
        FUZZ_CHECK(!sql.parameter.bad, "parameters of what was decoded can be walked");
    }
    FUZZ_CHECK(!statements.bad && cursor_left(&statements) == 0, "statements fill the bytes");
}

static void put(struct buf *b, const struct command *command)
{
    const struct kv_command *kv = &command->kv;

    switch (command->op) {
    case COMMAND_SQL_EXECUTE:
    case COMMAND_SQL_QUERY:
    case COMMAND_SQL_REQUEST: put_sql(b, command); break;
    case COMMAND_KV_PUT: command_put_kv_put(b, kv->ns, kv->key, kv->value, kv->condition, kv->version); break;
    case COMMAND_KV_GET: command_put_kv_get(b, kv->ns, kv->key); break;
    case COMMAND_KV_DELETE: command_put_kv_delete(b, kv->ns, kv->key, kv->condition, kv->version); break;
    case COMMAND_KV_LIST:
        command_put_kv_list(b, kv->ns, kv->key, kv->has_after ? &kv->after : NULL, kv->limit,
                            kv->with_values);
        break;
    case COMMAND_LOAD: command_put_load(b, &command->load); break;
    case COMMAND_MEMBER: command_put_member(b, command->change, command->changes); break;
    }
}

static void run(const uint8_t *p, size_t n)
{
    struct command command;
    struct error e;
    struct buf b;

    if (command_decode(p, n, &command, &e) != 0) {
        FUZZ_CHECK(e.code == Q_MISMATCH || e.code == Q_CORRUPT || e.code == Q_INVALID,
                   "a refusal has one of the codes that are promised");
        return;
    }
    buf_init(&b, BYTES_MAX);
    put(&b, &command);
    FUZZ_CHECK(b.len == n && memcmp(b.data, p, n) == 0, "a command is encoded in one way only");
    buf_close(&b);
}

static struct cursor text(const char *s)
{
    return cursor_of(s, strlen(s));
}

static void seeds(struct seeds *s)
{
    static const struct value values[] = {
        {.type = VALUE_NULL}, {.type = VALUE_INTEGER, .integer = -7}, {.type = VALUE_REAL, .real = 2.5}};
    struct value bytes = {.type = VALUE_BLOB, .bytes = text("bytes")}, words = bytes;
    struct cursor after = text("key");
    struct buf b;

    words.type = VALUE_TEXT;
    buf_init(&b, BYTES_MAX);
    command_put_sql(&b, COMMAND_SQL_EXECUTE, COMMAND_TRANSACTION, 2);
    command_put_statement(&b, "INSERT INTO t VALUES (?, :a)", 28, 5);
    for (unsigned i = 0; i < 3; i++) {
        command_put_parameter(&b, "a", i == 2 ? 1 : 0, &values[i]);
    }
    command_put_parameter(&b, NULL, 0, &bytes);
    command_put_parameter(&b, "b", 1, &words);
    command_put_statement(&b, "SELECT 1", 8, 0);
    seeds_add(s, "execute", b.data, b.len);

    buf_clear(&b);
    command_put_kv_put(&b, text("app"), text("key"), text("value"), KV_IF_VERSION, 3);
    seeds_add(s, "put", b.data, b.len);
    buf_clear(&b);
    command_put_kv_delete(&b, text("app"), text("key"), KV_IF_PRESENT, 0);
    seeds_add(s, "delete", b.data, b.len);
    buf_clear(&b);
    command_put_kv_get(&b, text("app"), text("key"));
    seeds_add(s, "get", b.data, b.len);
    buf_clear(&b);
    command_put_kv_list(&b, text("app"), text(""), &after, 10, true);
    seeds_add(s, "list", b.data, b.len);
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
