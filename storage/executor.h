/* executor: runs one decoded command of any kind on one connection, the writer's or a reader's, and sees to
 * it that its result is within its limit. It does not know entries. */
#ifndef QUORATE_STORAGE_EXECUTOR_H
#define QUORATE_STORAGE_EXECUTOR_H

#include "storage/kv.h"
#include "storage/load.h"
#include "storage/member_table.h"
#include "storage/sql.h"

/* Memory of the caller, who fills both. */
struct executor {
    struct sql sql;
    struct kv kv;
    struct member_table members; /* the writer's */
    struct load load;            /* the writer's */
};

/* Runs COMMAND; RESULT, which is empty at first and whose maximum is the limit, gets its whole result: a
 * Q_TOO_BIG RESULT_ERROR if it would pass the limit; then nothing of the command was done. On the writer
 * within a transaction, which may be lost at return (see sql_run()). Errors: this node's. */
int executor_run(struct executor *x, const struct command *command, uint64_t timeout_ms, struct buf *result,
                 struct error *e);

#endif
