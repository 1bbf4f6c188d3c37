/* digest_tables: the set of tables that the digest knows, with a journal that takes it back to a savepoint:
 * sums, tables that came and went, the schema's own sum and version. It does not know SQLite's savepoints,
 * nor rows.
 *
 * The journal holds what was, and only for what changed: the sum of a table the first time it is touched
 * under a savepoint, and each table added or removed. Nothing is written to it while no savepoint is open. */
#ifndef QUORATE_STORAGE_DIGEST_TABLES_H
#define QUORATE_STORAGE_DIGEST_TABLES_H

#include "storage/digest_table.h"

struct digest_tables {
    struct digest_table **table; /* sorted by name */
    size_t count, cap;
    digest_sum schema; /* of the schema's rows */
    int64_t version;   /* PRAGMA schema_version when it was so; -1: never seen */
    struct digest_change *change;
    size_t changes, change_cap;
    struct digest_mark *mark; /* one for each open savepoint */
    size_t marks, mark_cap;
    uint64_t serial;      /* of the innermost open savepoint; 0 if none */
    uint64_t last_serial; /* the last that was given out */
};

/* A zeroed struct is an empty set, but for its version. */
void digest_tables_init(struct digest_tables *s);
void digest_tables_close(struct digest_tables *s);

/* NULL if there is none. */
struct digest_table *digest_tables_find(const struct digest_tables *s, const char *name);
/* To be called before T's sum changes. Q_NOMEM. */
int digest_tables_touch(struct digest_tables *s, struct digest_table *t, struct error *e);
/* T is given if that succeeds; no table has its name. Q_NOMEM. */
int digest_tables_add(struct digest_tables *s, struct digest_table *t, struct error *e);
/* T is in the set; it may be freed at once. Q_NOMEM: it stays. */
int digest_tables_remove(struct digest_tables *s, struct digest_table *t, struct error *e);

/* Opens a savepoint; Q_NOMEM. */
int digest_tables_savepoint(struct digest_tables *s, struct error *e);
/* Closes the innermost one; what it changed stays. */
void digest_tables_release(struct digest_tables *s);
/* Takes everything back to the innermost one, which stays open. */
void digest_tables_rollback(struct digest_tables *s);

#endif
