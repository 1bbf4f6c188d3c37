/* command: what is asked of the database, as bytes: one SQL request or one KV operation of a client, or a
 * change of the list of members, which no client may send. It travels in log entries and between nodes. It
 * does not know how it is executed (sql.c, kv.c) nor how commands are batched (batch.h).
 *
 * Format, version 1, little-endian:
 *     u8  version         1; a reader refuses any other with Q_MISMATCH
 *     u8  op              enum command_op; a reader refuses an unknown one with Q_MISMATCH
 *     u16 flags           enum command_flags; unknown bits are refused with Q_MISMATCH
 *   then for the SQL ops:
 *     u32 statements      1 to COMMAND_STATEMENTS_MAX; for each:
 *       blob sql          (u32 length, bytes) UTF-8 without NUL
 *       u32 parameters    0 to COMMAND_PARAMETERS_MAX; for each:
 *         blob name       without its sigil; empty for a positional one
 *         value           u8 enum value_type, then: null nothing; integer u64; real u64 (IEEE 754 bits);
 *                         text and blob a blob
 *   for the KV ops:
 *     blob namespace      1 to KV_NAMESPACE_MAX bytes of [A-Za-z0-9_.-]
 *     blob key            1 to KV_KEY_MAX bytes; the prefix (0 to KV_KEY_MAX bytes) for COMMAND_KV_LIST
 *     put:    u8 enum kv_condition, u64 version (of KV_IF_VERSION, else 0), blob value
 *     delete: u8 enum kv_condition, u64 version
 *     get:    nothing
 *     list:   u8 1 if a cursor follows else 0, blob after (a key: list what sorts behind it), u32 limit (1 to
 *             KV_LIST_MAX), u8 1 to include values
 *   for COMMAND_MEMBER: storage/member_change.h
 *   for COMMAND_LOAD: storage/load_command.h
 * Nothing may follow. */
#ifndef QUORATE_STORAGE_COMMAND_H
#define QUORATE_STORAGE_COMMAND_H

#include "storage/load_command.h"
#include "storage/member_change.h"

enum command_op {
    COMMAND_SQL_EXECUTE = 1, /* statements that write; a statement that reads runs, its rows are dropped, but
                                for RETURNING (rqlite's /db/execute) */
    COMMAND_SQL_QUERY = 2,   /* statements that read; a statement that writes is refused */
    COMMAND_SQL_REQUEST = 3, /* any mix; each statement answers as what it is */
    COMMAND_KV_PUT = 10,
    COMMAND_KV_GET = 11,
    COMMAND_KV_DELETE = 12,
    COMMAND_KV_LIST = 13,
    COMMAND_MEMBER = 20,
    COMMAND_LOAD = 21,
};

enum command_flags {
    COMMAND_TRANSACTION = 1, /* SQL: all statements or none; results stop at the first that fails */
};

enum {
    COMMAND_VERSION = 1,
    COMMAND_STATEMENTS_MAX = 100000,
    COMMAND_PARAMETERS_MAX = 32766, /* SQLite's own */
    KV_NAMESPACE_MAX = 128,
    KV_KEY_MAX = 4096,
    KV_LIST_MAX = 10000,
};

enum value_type { VALUE_NULL, VALUE_INTEGER, VALUE_REAL, VALUE_TEXT, VALUE_BLOB };

struct value {
    enum value_type type;
    int64_t integer;
    double real;
    struct cursor bytes; /* text and blob; borrowed from what was decoded */
};

enum kv_condition {
    KV_ALWAYS,
    KV_IF_ABSENT,  /* If-None-Match: * */
    KV_IF_VERSION, /* If-Match: the version given */
    KV_IF_PRESENT, /* If-Match: * */
};

struct kv_command {
    struct cursor ns, key; /* key: the prefix for a list */
    enum kv_condition condition;
    uint64_t version;
    struct cursor value;
    bool has_after, with_values;
    struct cursor after;
    uint32_t limit;
};

/* A decoded command. All cursors are borrowed from the bytes that were decoded. */
struct command {
    enum command_op op;
    unsigned flags;
    uint32_t statements;      /* SQL: how many; walk them with command_statement() */
    struct cursor statement;  /* SQL: the first of them */
    struct kv_command kv;     /* KV ops */
    struct load_command load; /* COMMAND_LOAD */
    unsigned changes;         /* COMMAND_MEMBER: how many */
    struct member_change change[MEMBER_CHANGES_MAX];
};

/* One SQL statement of a command: its text (not terminated) and its parameters. */
struct command_sql {
    struct cursor sql;
    uint32_t parameters;
    struct cursor parameter; /* the first of them; walk with command_parameter() */
};

/* Whether the op may run on a reader, without the log. COMMAND_SQL_REQUEST says false: what its statements
 * are is known only to SQLite (see store_is_read_only()). */
bool command_reads(enum command_op op);

/* Checks everything that the format says, walking all statements and parameters, so that what follows cannot
 * fail. Errors: Q_MISMATCH unknown version, op or flag; Q_CORRUPT bytes that end early, follow, or break a
 * bound; Q_INVALID a namespace, key, limit, id or address out of its bounds (the text names it and the
 * limit), or SQL that is not UTF-8 or holds a NUL. */
int command_decode(const void *p, size_t n, struct command *ret_command, struct error *e);
/* The next statement / parameter; moves the cursor on. Only on what command_decode() accepted. */
struct command_sql command_statement(struct cursor *statement);
struct value command_parameter(struct cursor *parameter, struct cursor *ret_name);

/* Encoders append to B; failures are B's sticky ones (buf_check).
 * SQL: command_put_sql(), then for each statement command_put_statement() followed by its parameters. */
void command_put_sql(struct buf *b, enum command_op op, unsigned flags, uint32_t statements);
void command_put_statement(struct buf *b, const void *sql, size_t n, uint32_t parameters);
void command_put_parameter(struct buf *b, const void *name, size_t name_len, const struct value *value);
void command_put_kv_put(struct buf *b, struct cursor ns, struct cursor key, struct cursor value,
                        enum kv_condition condition, uint64_t version);
void command_put_kv_delete(struct buf *b, struct cursor ns, struct cursor key, enum kv_condition condition,
                           uint64_t version);
void command_put_kv_get(struct buf *b, struct cursor ns, struct cursor key);
void command_put_kv_list(struct buf *b, struct cursor ns, struct cursor prefix, const struct cursor *after,
                         uint32_t limit, bool with_values);
void command_put_load(struct buf *b, const struct load_command *load);
void command_put_member(struct buf *b, const struct member_change *changes, unsigned count);

/* A value in the format above; the result codec shares it. */
void value_put(struct buf *b, const struct value *v);
struct value value_get(struct cursor *c); /* bad cursor on an unknown type or an early end */

#endif
