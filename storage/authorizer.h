/* authorizer: decides, while SQLite compiles a statement, whether a client may do what it asks. It knows what
 * depends on the machine, the connection or the file, and which tables are the store's own. It does not know
 * clients: what is refused is refused to all.
 *
 * SQLite can only say "not authorized"; the reason is kept here for the caller to say instead. */
#ifndef QUORATE_STORAGE_AUTHORIZER_H
#define QUORATE_STORAGE_AUTHORIZER_H

#include <sqlite3.h>
#include <stdbool.h>

#include "base/error.h"

enum { AUTHORIZER_REASON_MAX = 200 };

/* Memory of the caller; its fields are private. Zeroed until attached. */
struct authorizer {
    unsigned magic;
    bool writer;  /* refuses too what reads the connection, the file or the build */
    bool trusted; /* refuses nothing */
    bool planner; /* saw a statement that changes the schema or the statistics of the query planner */
    bool refused;
    char reason[AUTHORIZER_REASON_MAX];
};

/* A is kept until DB is closed. Errors: SQLite's. */
int authorizer_attach(struct authorizer *a, sqlite3 *db, bool writer, struct error *e);
/* While trusted, everything passes: for the store's own statements. They must be compiled again after a
 * change of the schema, and step does that by itself: so step them in trust too. */
void authorizer_trust(struct authorizer *a, bool trusted);
/* Why the last refusal, as a sentence, and forgets it; NULL if there was none since the last call. Ask it
 * when a statement failed (with SQLITE_AUTH while compiling, with SQLITE_ERROR for a function or inside a
 * virtual table). Borrowed until the next statement is compiled. */
const char *authorizer_reason(struct authorizer *a);

#endif
