/* sql_json: the JSON body of /db/execute, /db/query and /db/request as the bytes of an SQL command. It does
 * not know HTTP, nor what the statements mean.
 *
 * The body is an array of statements; each is a string, or an array of the SQL string and its parameters.
 * Empty strings are no statements; what follows the closing bracket is ignored. Parameters:
 *     integer within int64       INTEGER
 *     any other number           REAL
 *     true, false                INTEGER 1, 0
 *     string x'<even hex>'       BLOB (also X, also with space around)
 *     any other string           TEXT
 *     array of integers 0..255   BLOB
 *     null                       NULL
 *     object                     named parameters, keyed without their sigil */
#ifndef QUORATE_NODE_HTTP_SQL_JSON_H
#define QUORATE_NODE_HTTP_SQL_JSON_H

#include "storage/command.h"

/* Values in one body. Each takes some 40 bytes while it is parsed, so this bounds that memory, whatever the
 * body's size. */
enum { SQL_JSON_VALUES_MAX = 2 * 1000 * 1000 };

/* Appends the command of the N bytes at BODY to COMMAND, and says how many statements it has: with 0, nothing
 * is appended (all of them were empty). Errors, in rqlite's words where it has some: Q_INVALID "invalid JSON
 * body", "invalid request", "unsupported type ..."; Q_NOT_FOUND "no statements" (the array is empty);
 * Q_TOO_BIG (statements, parameters, values, or COMMAND's maximum); Q_NOMEM. */
int sql_json_parse(const void *body, size_t n, enum command_op op, unsigned flags, struct buf *command,
                   uint32_t *ret_statements, struct error *e);

#endif
