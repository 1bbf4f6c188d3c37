#include "storage/executor.h"

#include <assert.h>

#include "storage/result.h"

static void refuse(struct buf *result)
{
    struct error why;

    error_set(&why, Q_INVALID, "%s", SQL_WRITE_REFUSED);
    result_put_error(result, &why);
}

static int run(struct executor *x, const struct command *command, uint64_t timeout_ms, struct buf *result,
               struct error *e)
{
    switch (command->op) {
    case COMMAND_SQL_EXECUTE:
    case COMMAND_SQL_QUERY:
    case COMMAND_SQL_REQUEST: return sql_run(&x->sql, command, timeout_ms, result, e);
    case COMMAND_KV_PUT:
    case COMMAND_KV_DELETE:
        if (x->sql.transaction == NULL) {
            refuse(result);
            return 0;
        }
        return kv_run(&x->kv, command, result, e);
    case COMMAND_KV_GET:
    case COMMAND_KV_LIST: return kv_run(&x->kv, command, result, e);
    case COMMAND_MEMBER:
        if (x->sql.transaction == NULL) {
            refuse(result);
            return 0;
        }
        return member_table_run(&x->members, command, result, e);
    case COMMAND_LOAD:
        if (x->sql.transaction == NULL) {
            refuse(result);
            return 0;
        }
        return load_run(&x->load, &command->load, result, e);
    }
    return error_set(e, Q_INVALID, "unknown command %d", (int)command->op);
}

int executor_run(struct executor *x, const struct command *command, uint64_t timeout_ms, struct buf *result,
                 struct error *e)
{
    struct error why;

    assert(result->len == 0 && result->failed == Q_OK);
    int rc = run(x, command, timeout_ms, result, e);
    if (rc != 0) {
        return rc;
    }
    if (result->failed == Q_TOO_BIG) {
        buf_check(result, "the result", &why);
        buf_clear(result);
        result_put_error(result, &why);
    }
    return buf_check(result, "the result", e);
}
