#include "storage/command.h"

#include <string.h>

#include "base/plant.h"
#include "storage/utf8.h"

void value_put(struct buf *b, const struct value *v)
{
    uint64_t bits;

    buf_put_u8(b, (uint8_t)v->type);
    switch (v->type) {
    case VALUE_NULL: break;
    case VALUE_INTEGER: buf_put_u64(b, (uint64_t)v->integer); break;
    case VALUE_REAL:
        memcpy(&bits, &v->real, sizeof bits);
        buf_put_u64(b, bits);
        break;
    case VALUE_TEXT:
    case VALUE_BLOB: buf_put_blob(b, v->bytes.p, cursor_left(&v->bytes)); break;
    }
}

struct value value_get(struct cursor *c)
{
    struct value v = {.type = VALUE_NULL};
    uint8_t type = cursor_u8(c);
    uint64_t bits;

    switch (type) {
    case VALUE_NULL: break;
    case VALUE_INTEGER: v.integer = (int64_t)cursor_u64(c); break;
    case VALUE_REAL:
        bits = cursor_u64(c);
        memcpy(&v.real, &bits, sizeof bits);
        break;
    case VALUE_TEXT:
    case VALUE_BLOB: v.bytes = cursor_blob(c); break;
    default: c->bad = true;
    }
    if (!c->bad) {
        v.type = (enum value_type)type;
    }
    return v;
}

bool command_reads(enum command_op op)
{
    switch (op) {
    case COMMAND_SQL_QUERY:
    case COMMAND_KV_GET:
    case COMMAND_KV_LIST: return true;
    case COMMAND_SQL_EXECUTE:
    case COMMAND_SQL_REQUEST:
    case COMMAND_KV_PUT:
    case COMMAND_KV_DELETE:
    case COMMAND_MEMBER:
    case COMMAND_LOAD: return false;
    }
    return false;
}

static int corrupt(struct error *e)
{
    return error_set(e, Q_CORRUPT, "the command's bytes do not follow its format");
}

static int check_sql_text(const struct cursor *sql, struct error *e)
{
    size_t n = cursor_left(sql);

    if (memchr(sql->p, 0, n) != NULL) {
        return error_set(e, Q_INVALID, "the SQL text holds a NUL byte");
    }
    if (!utf8_valid(sql->p, n)) {
        return error_set(e, Q_INVALID, "the SQL text is not UTF-8");
    }
    return 0;
}

static int check_statements(struct cursor c, uint32_t statements, struct error *e)
{
    for (uint32_t i = 0; i < statements; i++) {
        struct cursor sql = cursor_blob(&c);
        uint32_t parameters = cursor_u32(&c);

        if (c.bad || parameters > COMMAND_PARAMETERS_MAX) {
            return corrupt(e);
        }
        if (check_sql_text(&sql, e)) {
            return (int)e->code;
        }
        for (uint32_t j = 0; j < parameters; j++) {
            struct cursor name = cursor_blob(&c);

            value_get(&c);
            if (c.bad || memchr(name.p, 0, cursor_left(&name)) != NULL) {
                return corrupt(e);
            }
        }
    }
    return cursor_left(&c) > 0 && !PLANTED("bytes_behind_a_command_are_ignored") ? corrupt(e) : 0;
}

static int check_namespace(const struct cursor *ns, struct error *e)
{
    size_t n = cursor_left(ns);

    if (n == 0 || n > KV_NAMESPACE_MAX) {
        return error_set(e, Q_INVALID, "a namespace has 1 to %d bytes, this one has %zu", KV_NAMESPACE_MAX,
                         n);
    }
    for (size_t i = 0; i < n; i++) {
        uint8_t byte = ns->p[i];
        bool good = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
                    (byte >= '0' && byte <= '9') || byte == '_' || byte == '.' || byte == '-';
        if (!good) {
            return error_set(e, Q_INVALID, "a namespace holds only letters, digits, '_', '.' and '-'");
        }
    }
    return 0;
}

static int check_key(const char *what, const struct cursor *key, size_t least, struct error *e)
{
    size_t n = cursor_left(key);

    if (n < least || n > KV_KEY_MAX) {
        return error_set(e, Q_INVALID, "a %s has %zu to %d bytes, this one has %zu", what, least, KV_KEY_MAX,
                         n);
    }
    return 0;
}

static int get_condition(struct cursor *c, struct kv_command *kv, struct error *e)
{
    uint8_t condition = cursor_u8(c);

    kv->version = cursor_u64(c);
    if (c->bad) {
        return corrupt(e);
    }
    if (condition > KV_IF_PRESENT) {
        return error_set(e, Q_MISMATCH, "unknown condition %u of a key", condition);
    }
    kv->condition = (enum kv_condition)condition;
    if (kv->condition != KV_IF_VERSION && kv->version != 0) {
        return corrupt(e);
    }
    return 0;
}

static int get_list(struct cursor *c, struct kv_command *kv, struct error *e)
{
    uint8_t has_after = cursor_u8(c);
    kv->after = cursor_blob(c);
    kv->limit = cursor_u32(c);
    uint8_t with_values = cursor_u8(c);

    if (c->bad || has_after > 1 || with_values > 1 || (has_after == 0 && cursor_left(&kv->after) > 0)) {
        return corrupt(e);
    }
    kv->has_after = has_after == 1;
    kv->with_values = with_values == 1;
    if (kv->limit < 1 || kv->limit > KV_LIST_MAX) {
        return error_set(e, Q_INVALID, "a list's limit is 1 to %d, this one is %u", KV_LIST_MAX, kv->limit);
    }
    return check_key("key to list after", &kv->after, 0, e);
}

static int get_kv(struct cursor *c, enum command_op op, struct kv_command *kv, struct error *e)
{
    bool list = op == COMMAND_KV_LIST;

    kv->ns = cursor_blob(c);
    kv->key = cursor_blob(c);
    if (c->bad) {
        return corrupt(e);
    }
    if (check_namespace(&kv->ns, e) || check_key(list ? "prefix" : "key", &kv->key, list ? 0 : 1, e)) {
        return (int)e->code;
    }
    if ((op == COMMAND_KV_PUT || op == COMMAND_KV_DELETE) && get_condition(c, kv, e)) {
        return (int)e->code;
    }
    if (list && get_list(c, kv, e)) {
        return (int)e->code;
    }
    if (op == COMMAND_KV_PUT) {
        kv->value = cursor_blob(c);
    }
    return c->bad || cursor_left(c) > 0 ? corrupt(e) : 0;
}

static bool known_op(uint8_t op, unsigned *ret_flags)
{
    *ret_flags = 0;
    switch (op) {
    case COMMAND_SQL_EXECUTE:
    case COMMAND_SQL_QUERY:
    case COMMAND_SQL_REQUEST: *ret_flags = COMMAND_TRANSACTION; return true;
    case COMMAND_KV_PUT:
    case COMMAND_KV_GET:
    case COMMAND_KV_DELETE:
    case COMMAND_KV_LIST:
    case COMMAND_MEMBER:
    case COMMAND_LOAD: return true;
    }
    return false;
}

static int get_sql(struct cursor *c, struct command *command, struct error *e)
{
    command->statements = cursor_u32(c);
    command->statement = *c;
    if (c->bad || command->statements < 1 || command->statements > COMMAND_STATEMENTS_MAX) {
        return corrupt(e);
    }
    return check_statements(*c, command->statements, e);
}

static int get_body(struct cursor *c, struct command *command, struct error *e)
{
    switch (command->op) {
    case COMMAND_SQL_EXECUTE:
    case COMMAND_SQL_QUERY:
    case COMMAND_SQL_REQUEST: return get_sql(c, command, e);
    case COMMAND_KV_PUT:
    case COMMAND_KV_GET:
    case COMMAND_KV_DELETE:
    case COMMAND_KV_LIST: return get_kv(c, command->op, &command->kv, e);
    case COMMAND_MEMBER: return member_changes_get(c, command->change, &command->changes, e);
    case COMMAND_LOAD: return load_command_get(c, &command->load, e);
    }
    return corrupt(e);
}

int command_decode(const void *p, size_t n, struct command *ret_command, struct error *e)
{
    struct error mine;
    struct cursor c = cursor_of(p, n);
    struct command command = {0};
    unsigned flags = 0;

    if (e == NULL) {
        e = &mine;
    }
    uint8_t version = cursor_u8(&c);
    if (!c.bad && version != COMMAND_VERSION) {
        return error_set(e, Q_MISMATCH, "unknown version %u of a command", version);
    }
    uint8_t op = cursor_u8(&c);
    if (!c.bad && !known_op(op, &flags)) {
        return error_set(e, Q_MISMATCH, "unknown command %u", op);
    }
    command.flags = cursor_u16(&c);
    if (c.bad) {
        return corrupt(e);
    }
    if ((command.flags & ~flags) != 0) {
        return error_set(e, Q_MISMATCH, "unknown flags 0x%x of command %u", command.flags & ~flags, op);
    }
    command.op = (enum command_op)op;
    if (get_body(&c, &command, e)) {
        return (int)e->code;
    }
    *ret_command = command;
    return 0;
}

struct command_sql command_statement(struct cursor *statement)
{
    struct command_sql sql = {.sql = cursor_blob(statement)};

    sql.parameters = cursor_u32(statement);
    sql.parameter = *statement;
    for (uint32_t i = 0; i < sql.parameters; i++) {
        struct cursor name;
        command_parameter(statement, &name);
    }
    return sql;
}

struct value command_parameter(struct cursor *parameter, struct cursor *ret_name)
{
    *ret_name = cursor_blob(parameter);
    return value_get(parameter);
}

static void put_header(struct buf *b, enum command_op op, unsigned flags)
{
    buf_put_u8(b, COMMAND_VERSION);
    buf_put_u8(b, (uint8_t)op);
    buf_put_u16(b, (uint16_t)flags);
}

static void put_cursor(struct buf *b, const struct cursor *c)
{
    buf_put_blob(b, c->p, cursor_left(c));
}

void command_put_sql(struct buf *b, enum command_op op, unsigned flags, uint32_t statements)
{
    put_header(b, op, flags);
    buf_put_u32(b, statements);
}

void command_put_statement(struct buf *b, const void *sql, size_t n, uint32_t parameters)
{
    buf_put_blob(b, sql, n);
    buf_put_u32(b, parameters);
}

void command_put_parameter(struct buf *b, const void *name, size_t name_len, const struct value *value)
{
    buf_put_blob(b, name, name_len);
    value_put(b, value);
}

static void put_kv(struct buf *b, enum command_op op, const struct cursor *ns, const struct cursor *key)
{
    put_header(b, op, 0);
    put_cursor(b, ns);
    put_cursor(b, key);
}

void command_put_kv_put(struct buf *b, struct cursor ns, struct cursor key, struct cursor value,
                        enum kv_condition condition, uint64_t version)
{
    put_kv(b, COMMAND_KV_PUT, &ns, &key);
    buf_put_u8(b, (uint8_t)condition);
    buf_put_u64(b, version);
    put_cursor(b, &value);
}

void command_put_kv_delete(struct buf *b, struct cursor ns, struct cursor key, enum kv_condition condition,
                           uint64_t version)
{
    put_kv(b, COMMAND_KV_DELETE, &ns, &key);
    buf_put_u8(b, (uint8_t)condition);
    buf_put_u64(b, version);
}

void command_put_kv_get(struct buf *b, struct cursor ns, struct cursor key)
{
    put_kv(b, COMMAND_KV_GET, &ns, &key);
}

void command_put_kv_list(struct buf *b, struct cursor ns, struct cursor prefix, const struct cursor *after,
                         uint32_t limit, bool with_values)
{
    struct cursor nothing = cursor_of(NULL, 0);

    put_kv(b, COMMAND_KV_LIST, &ns, &prefix);
    buf_put_u8(b, after != NULL);
    put_cursor(b, after != NULL ? after : &nothing);
    buf_put_u32(b, limit);
    buf_put_u8(b, with_values);
}

void command_put_load(struct buf *b, const struct load_command *load)
{
    put_header(b, COMMAND_LOAD, 0);
    load_command_put(b, load);
}

void command_put_member(struct buf *b, const struct member_change *changes, unsigned count)
{
    put_header(b, COMMAND_MEMBER, 0);
    member_changes_put(b, changes, count);
}
