/* import: the way of rows and entries into the cluster, shared by all forms of input: batching, the load, the
 * search for the leader after a change, and what is told of it. It does not know the input.
 *
 *     a form of input -> import_row()   -> insert (batch) -> loader -> nodes
 *                     -> import_entry() -----------------> loader
 *
 * Every write may be repeated: rows replace those of the same primary key, entries are plain puts. */
#ifndef QUORATE_NODE_CLI_IMPORT_H
#define QUORATE_NODE_CLI_IMPORT_H

#include "node/cli/client.h"
#include "node/cli/insert.h"
#include "node/cli/loader.h"
#include "node/cli/progress.h"

struct import {
    const char *table, *ns; /* NULL: no rows, no entries */
    uint64_t limit;         /* stanzas or lines to read at most */
    uint64_t rate;          /* rows and entries a second at most; 0: as many as go */
    uint64_t bytes_total;   /* of input; 0: unknown */
    struct client *client;  /* for one request at a time; given */
    struct loader *loader;  /* given */
    struct insert insert;
    size_t insert_bytes; /* of input that the rows in INSERT stand for */
    struct progress progress;
    uint64_t begin_us;
    uint64_t read, rows, entries; /* stanzas or lines; rows and entries made of them */
    unsigned since_turn;
    uint64_t failures_seen, look_at_us; /* look_at_us 0: nobody looks for the leader */
};

/* For the form of input. Errors of all: those of loader_run(), Q_NOMEM, Q_TOO_BIG. */
int import_row(struct import *im, const struct insert_value *values, size_t input_bytes, struct error *e);
int import_entry(struct import *im, const void *key, size_t key_len, const void *value, size_t len,
                 size_t input_bytes, struct error *e);
/* Submits the rows that wait for company. Before the columns change. */
int import_flush(struct import *im, struct error *e);
/* Waits until everything is acknowledged. */
int import_drain(struct import *im, struct error *e);
/* One statement that changes or asks for the schema, at once; it may be repeated. RET_BODY, if not NULL,
 * is the answer, to be closed by the caller. Errors also: what SQLite says. */
int import_schema(struct import *im, const char *sql, struct buf *ret_body, struct error *e);

/* The forms of input. Errors also: Q_INVALID with the line, Q_IO. */
int import_deb822(struct import *im, FILE *from, struct error *e);
/* KEY: the field that is the primary key and the entries' key; NULL: the line's number is the row's. */
int import_jsonl(struct import *im, FILE *from, const char *key, struct error *e);

#endif
