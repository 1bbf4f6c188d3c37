/* result: what a command answered, as bytes. Every replica makes the same bytes for the same entry, but for
 * the elapsed times, which tell how long this node took. It does not know HTTP or JSON.
 *
 * Format, version 1, little-endian:
 *     u8  version         1; a reader refuses any other with Q_MISMATCH
 *     u8  kind            enum result_kind
 *   RESULT_ERROR:         the command failed as a whole
 *     u16 code            enum error_code
 *     blob text
 *   RESULT_SQL:           one item a statement that ran (an empty statement has none)
 *     until the end of the bytes:
 *       u8  item          enum result_item
 *       u64 elapsed_ns
 *       WRITE:  u64 last_insert_id, u64 rows_affected
 *       ERROR:  blob text             SQLite's own words
 *       EMPTY:  nothing               a query of comments only
 *       ROWS:   u32 columns; each: blob name, blob declared type (empty if none)
 *               then rows: u8 1 and COLUMNS values (command.h), until u8 0
 *   RESULT_KV_PUT, RESULT_KV_DELETE:
 *     u8  done            1; 0 if the condition did not hold
 *     u64 version         of the key now: new one after a put; 0 if there is no such key
 *   RESULT_KV_GET:
 *     u8  found; u64 version; blob value
 *   RESULT_KV_LIST:
 *     until the byte 0: u8 1, blob key, u64 version, u8 has_value, blob value
 *     u8  more            1 if keys follow behind the last one listed
 *   RESULT_MEMBER, RESULT_LOAD:
 *     u8  changed         0: it was so already */
#ifndef QUORATE_STORAGE_RESULT_H
#define QUORATE_STORAGE_RESULT_H

#include "storage/command.h"

enum { RESULT_VERSION = 1 };

enum result_kind {
    RESULT_ERROR = 1,
    RESULT_SQL = 2,
    RESULT_KV_PUT = 10,
    RESULT_KV_GET = 11,
    RESULT_KV_DELETE = 12,
    RESULT_KV_LIST = 13,
    RESULT_MEMBER = 20,
    RESULT_LOAD = 21,
};

enum result_item { RESULT_WRITE = 1, RESULT_ROWS = 2, RESULT_STATEMENT_ERROR = 3, RESULT_EMPTY = 4 };

/* Starts a result; then puts of the kind, in the format's order. */
void result_put_header(struct buf *b, enum result_kind kind);
/* A whole RESULT_ERROR. */
void result_put_error(struct buf *b, const struct error *why);
void result_put_write(struct buf *b, uint64_t elapsed_ns, int64_t last_insert_id, uint64_t rows_affected);
void result_put_statement_error(struct buf *b, uint64_t elapsed_ns, const char *text);
void result_put_empty(struct buf *b, uint64_t elapsed_ns);
/* ROWS has its elapsed time known only at the end: remember where result_put_rows() began and patch it there.
 */
size_t result_put_rows(struct buf *b, uint32_t columns);
void result_set_elapsed(struct buf *b, size_t at, uint64_t elapsed_ns);

/* Reading. result_decode() checks version and kind and leaves C at the body; for RESULT_ERROR it also fills
 * ret_error. The readers below set the cursor's bad flag on bytes that do not follow the format. */
int result_decode(struct cursor *c, enum result_kind *ret_kind, struct error *ret_error, struct error *e);

struct result_sql {
    enum result_item item;
    uint64_t elapsed_ns;
    int64_t last_insert_id;
    uint64_t rows_affected;
    struct cursor text; /* the error's */
    uint32_t columns;
    struct cursor column; /* COLUMNS pairs of blobs: name, declared type */
};

/* The next item of a RESULT_SQL; false at the end (or bad). After ROWS, call result_next_row() until it says
 * false, each time followed by COLUMNS calls of value_get(). */
bool result_next_item(struct cursor *c, struct result_sql *ret_item);
bool result_next_row(struct cursor *c);

#endif
