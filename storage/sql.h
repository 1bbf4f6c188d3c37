/* sql: runs the statements of an SQL command on one connection and writes their result. On the writer it
 * keeps a statement that fails from leaving anything behind. It does not know entries, nor which connection
 * to take.
 *
 * What one string of SQL answers, whatever the number of statements in it (each runs in its turn):
 *     it is empty                  no item at all
 *     comments and blanks only     EMPTY
 *     one of them failed           ERROR; nothing of the string was done
 *     else as its last statement:
 *         reads                    ROWS; EXECUTE: its rows are dropped, WRITE. A PRAGMA without columns:
 * EMPTY writes, with RETURNING   ROWS writes                   WRITE A statement reads if SQLite says that it
 * cannot change the database, or if it begins with EXPLAIN. In a QUERY, and on a reader, a statement that
 * writes fails.
 *
 * Parameters: a named one sets all of :name, @name and $name. Those parameters of the statement that got
 * nothing so take the positional ones, in order; a further statement of the same string goes on where the one
 * before it stopped. Too few is an error, also none at all. */
#ifndef QUORATE_STORAGE_SQL_H
#define QUORATE_STORAGE_SQL_H

#include "storage/budget.h"
#include "storage/command.h"
#include "storage/determinism.h"
#include "storage/transaction.h"

#define SQL_WRITE_REFUSED "attempt to change database via query operation"

/* One connection that runs SQL commands. Memory of the caller, who fills all but the last; pointers are kept.
 */
struct sql {
    sqlite3 *db;
    struct authorizer *authorizer;   /* of a reader; NULL on the writer */
    struct transaction *transaction; /* these four on the writer only; NULL on a reader */
    struct determinism *determinism;
    struct digest *digest;
    struct budget *budget;
    uint64_t (*elapsed_ns)(void *ctx); /* as in struct store_config */
    void *ctx;

    uint64_t deadline_ns; /* private; 0: none */
};

/* Before the first sql_run() that has a timeout: takes the connection's progress handler. */
void sql_allow_timeouts(struct sql *s);

/* Runs COMMAND and appends its whole result. On the writer within a transaction; what a failure must take
 * back is taken back, also when RESULT turned out too small (the caller asks RESULT). TIMEOUT_MS: of each
 * string, 0 for none. On the writer the statement that passes the budget fails, and all that come after it;
 * SQLite takes a statement that wrote back only together with the whole transaction, which is then lost. The
 * transaction may be lost at return (transaction_lost()): RESULT is then what the command answers if nothing
 * of it is done, and it must not be run again with the others of its entry. Errors: this node's; or a
 * client's statement left what cannot be saved, then nothing but to abandon the transaction is left
 * (digest_settle()). */
int sql_run(struct sql *s, const struct command *command, uint64_t timeout_ms, struct buf *result,
            struct error *e);

/* Whether all statements of COMMAND only read, or do not compile. Only on a reader. */
bool sql_only_reads(struct sql *s, const struct command *command);

#endif
