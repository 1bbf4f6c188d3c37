/* readers: the pool of read-only connections. A command runs on one of them, on one snapshot of the database.
 * They do not know the writer.
 *
 * The snapshot is held by the statement that reads the applied index: it stays open, at its one row, until
 * the command has run, and SQLite's other statements share the snapshot of the first. So the index is that of
 * the answer. */
#ifndef QUORATE_STORAGE_READERS_H
#define QUORATE_STORAGE_READERS_H

#include "storage/command.h"
#include "storage/connection.h"
#include "storage/dump.h"
#include "storage/members.h"
#include "storage/store.h"

struct readers;

struct readers_config {
    struct connection_place place;     /* copied; the strings are kept */
    unsigned count;                    /* connections */
    uint64_t result_max;               /* bytes */
    uint64_t (*elapsed_ns)(void *ctx); /* as in struct store_config */
    void *ctx;
};

/* The database must have the store's tables already. Errors: SQLite's; Q_NOMEM. */
int readers_new(const struct readers_config *config, struct readers **ret_readers, struct error *e);
/* None may be running. NULL is fine. */
void readers_free(struct readers *r);

/* As store_read() and store_is_read_only(). Any thread. */
int readers_run(struct readers *r, const struct command *command, uint64_t timeout_ms, struct buf *result,
                uint64_t *ret_index, struct error *e);
/* As store_check(). Any thread. */
int readers_check(struct readers *r, struct store_check *ret_check, struct error *e);
/* As store_members(). Any thread. */
int readers_members(struct readers *r, struct store_member *ret_members, unsigned max, unsigned *ret_count,
                    struct error *e);
/* As store_dump(). Any thread. */
int readers_dump(struct readers *r, const char *tables, const struct dump_out *out, uint64_t *ret_index,
                 struct error *e);
bool readers_only_read(struct readers *r, const struct command *command);

#endif
