#include "storage/budget.h"

#include <assert.h>

#include "base/plant.h"
#include "storage/sql_error.h"
#include "storage/statement.h"

static_assert((BUDGET_STEPS & (BUDGET_STEPS - 1)) == 0, "divides 2^32");

/* Of the handler that was called below the step at FRAME. The stack grows downwards. */
static size_t depth_below(const char *frame)
{
    return (size_t)(frame - (const char *)__builtin_frame_address(0));
}

static int on_progress(void *context)
{
    struct budget *b = context;

    if (b->frame == NULL) {
        return 0; /* a statement of the store's own, or compiling */
    }
    size_t depth = depth_below(b->frame);
    if (b->depth == 0) {
        b->depth = depth; /* measuring */
        return 0;
    }
    /* A nested statement stands another step and another virtual machine deeper: about twice as deep. */
    if (depth > b->depth + b->depth / 2 && !PLANTED("nested_statements_count")) {
        return 0;
    }
    b->whole += BUDGET_STEPS;
    b->exceeded = b->exceeded || b->spent + b->whole > b->max;
    return b->exceeded;
}

/* Always called, never inlined: the stack between this and the handler is SQLite's alone. */
__attribute__((noinline)) int budget_step(struct budget *b, sqlite3_stmt *statement)
{
    b->frame = __builtin_frame_address(0);
    int rc = sqlite3_step(statement);
    b->frame = NULL;
    return rc;
}

static int measure(struct budget *b, sqlite3 *db, struct error *e)
{
    sqlite3_stmt *statement;
    int rc;

    if (statement_new(db,
                      "WITH RECURSIVE c(x) AS (VALUES(1) UNION ALL SELECT x + 1 FROM c LIMIT 2000) "
                      "SELECT count(x) FROM c",
                      &statement, e)) {
        return (int)e->code;
    }
    rc = budget_step(b, statement);
    assert(rc != SQLITE_ROW || b->depth > 0);
    rc = rc == SQLITE_ROW ? 0 : sql_error(db, rc, "measuring the depth of a statement", e);
    sqlite3_finalize(statement);
    return rc;
}

int budget_attach(struct budget *b, sqlite3 *db, uint64_t max, struct error *e)
{
    assert(max >= BUDGET_STEPS);
    *b = (struct budget){.max = max};
    sqlite3_progress_handler(db, BUDGET_STEPS, on_progress, b);
    return measure(b, db, e);
}

void budget_begin(struct budget *b)
{
    if (!PLANTED("budget_is_not_reset")) {
        b->spent = b->whole = 0;
        b->exceeded = false;
    }
}

void budget_ended(struct budget *b, sqlite3_stmt *statement)
{
    uint32_t counter = (uint32_t)sqlite3_stmt_status(statement, SQLITE_STMTSTATUS_VM_STEP, 0);

    b->spent += b->whole + counter % BUDGET_STEPS;
    b->whole = 0;
    b->exceeded = b->exceeded || b->spent > b->max;
}

bool budget_exceeded(const struct budget *b)
{
    return b->exceeded;
}
