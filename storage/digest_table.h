/* digest_table: one table as the digest sees it: its columns, how to read its rows, and the hash of a row. It
 * does not know savepoints, nor other tables.
 *
 * A row hashes as XXH3-128, with a seed made of the table's name, over these bytes, little-endian:
 *     u64 rowid          0 where SQL shows none
 *   then for each stored column, in the order of the table:
 *     u8  type           of SQLite: 1 integer, 2 real, 3 text, 4 blob, 5 null, or these with the bit 16 set
 *     integer: u64; real: u64 (IEEE 754 bits), but an integer where it equals one and is not -0.0; null:
 * nothing; text (UTF-8) and blob: u32 length and the bytes, or with the bit 16 set, when longer than 4,096
 * bytes, the length and XXH3-128 of the bytes (u64 low, u64 high) */
#ifndef QUORATE_STORAGE_DIGEST_TABLE_H
#define QUORATE_STORAGE_DIGEST_TABLE_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/buf.h"

typedef unsigned __int128 digest_sum;

struct digest_column {
    char *name;
    bool stored;      /* not a virtual generated column */
    bool has_default; /* a row from before ALTER TABLE ADD COLUMN may lack it */
    int key;          /* place in the primary key, from 1; 0 if not in it */
};

enum digest_source {
    DIGEST_BY_HOOK, /* the hook shows its rows as they are */
    DIGEST_BY_KEY,  /* the hook only says which row changes; it is read back by rowid */
    DIGEST_BY_SCAN, /* read whole after each statement that wrote it */
};

struct digest_table {
    char *name;
    digest_sum schema; /* hash of its schema row */
    digest_sum sum;    /* of its rows */
    uint64_t seed;
    int columns;
    struct digest_column *column;
    enum digest_source source;
    bool sequence;        /* it is sqlite_sequence */
    const char *rowid;    /* SQL's name for the rowid; NULL if there is none or columns hide it. Static */
    char *columns_sql;    /* the stored columns, quoted, each after a comma */
    char *key_sql;        /* a condition with parameters that finds one row; NULL if there can be none */
    sqlite3_stmt *by_key; /* these two are made when first needed */
    sqlite3_stmt *scan;   /* kept for sqlite_sequence only, which is scanned all the time */
    uint64_t touched;     /* serial of the savepoint under which the sum was last remembered */
    bool seen;            /* while the schema is compared: it is still there */
    bool stale;           /* the sum is not known: wants a scan */
    bool full;            /* holds the largest rowid (sqlite_sequence: as a value) */
};

/* The hash of a row in the making. Close BYTES when done with it; reused from row to row. */
struct digest_row {
    struct buf bytes;
};

/* Hash of a schema row. SQL may be NULL. */
digest_sum digest_schema_hash(const char *type, const char *name, const char *tbl_name, const char *sql);

/* Describes NAME of DB's main database; its sum is 0. SCHEMA is the hash of its schema row. Errors: SQLite's;
 * Q_NOMEM. */
int digest_table_new(sqlite3 *db, const char *name, digest_sum schema, struct digest_table **ret_table,
                     struct error *e);
/* NULL is fine. */
void digest_table_free(struct digest_table *t);

/* Whether SQLite drew the names of some columns at random: CREATE TABLE AS with six columns of one name "a"
 * calls them "a", "a:1" to "a:4", and then "a:" with any number above. Errors: SQLite's. */
int digest_table_drawn(const struct digest_table *t, sqlite3 *db, bool *ret_drawn, struct error *e);

/* Sets T's sum, and whether it is full, from all its rows. */
int digest_table_scan(struct digest_table *t, sqlite3 *db, struct digest_row *row, struct error *e);
/* The hash of the row whose key is bound to T's by_key statement (see digest_table_by_key()). ret_found
 * false: there is none. The statement is reset. */
int digest_table_read(struct digest_table *t, sqlite3 *db, struct digest_row *row, bool *ret_found,
                      digest_sum *ret_hash, struct error *e);
/* The statement that reads one row; compiled at the first call. */
int digest_table_by_key(struct digest_table *t, sqlite3 *db, sqlite3_stmt **ret_statement, struct error *e);

/* A row, value by value: begin, each stored column in order, end. Failures are those of row->bytes
 * (buf_check). */
void digest_row_begin(struct digest_row *row, const struct digest_table *t, sqlite3_int64 rowid);
void digest_row_value(struct digest_row *row, sqlite3_value *value);
digest_sum digest_row_end(const struct digest_row *row, const struct digest_table *t);

#endif
