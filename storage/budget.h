/* budget: how many instructions of SQLite's virtual machine one command may take, so that a write that never
 * ends (WITH RECURSIVE without a limit, a cross join of large tables) fails, in the same place on every
 * replica, instead of keeping each of them busy for ever, also after a restart. It does not know commands or
 * results.
 *
 * What counts: the instructions of the client's own statements, triggers and foreign key actions included.
 * They are decided by the statement, its plan (determinism_refresh()) and the content. What does not:
 * statements that SQLite runs for itself inside of them (FTS5 and R-tree read and write their shadow tables,
 * CREATE TABLE reads the schema), because those depend on what this connection happens to remember since the
 * node's start; and compiling. Each of them ends by itself. Nothing that is counted depends on the page
 * cache, on the file, or on whether a statement was compiled before: a client's statement is compiled for
 * each run, so its counter starts at 0.
 *
 * SQLite tells a progress handler every BUDGET_STEPS instructions of a statement, but not of which statement.
 * A nested one stands deeper on the stack by a whole virtual machine, which is how the two are told apart;
 * how deep the outer one stands is measured once, by a statement that is known. Instructions that do not fill
 * BUDGET_STEPS are added when the statement has ended, so many small statements count like one large one.
 *
 * It bounds instructions, not seconds: one instruction is some 20 ns, but a function call with a value of
 * many megabytes is one instruction too. */
#ifndef QUORATE_STORAGE_BUDGET_H
#define QUORATE_STORAGE_BUDGET_H

#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { BUDGET_STEPS = 4096 }; /* a power of two: SQLite's own counter has 32 bits */

/* Memory of the caller; private. */
struct budget {
    uint64_t max;      /* instructions of one command */
    uint64_t spent;    /* by its statements that have ended */
    uint64_t whole;    /* multiples of BUDGET_STEPS of the one that is running */
    const char *frame; /* where the running step stands on the stack; NULL: none is running */
    size_t depth;      /* of the handler below it, for a statement of ours */
    bool exceeded;
};

/* Takes DB's progress handler; B is kept until DB is closed. MAX is at least BUDGET_STEPS. Errors: SQLite's.
 */
int budget_attach(struct budget *b, sqlite3 *db, uint64_t max, struct error *e);

/* A command begins: it has the whole budget. */
void budget_begin(struct budget *b);
/* sqlite3_step() of a client's statement. SQLITE_INTERRUPT: more than the budget. */
int budget_step(struct budget *b, sqlite3_stmt *statement);
/* The statement has ended, in whatever way; before it is finalized. */
void budget_ended(struct budget *b, sqlite3_stmt *statement);
/* Whether the command has spent more than it may: none of its statements may run any more. */
bool budget_exceeded(const struct budget *b);

#endif
