/* member_table: the rules of storage/members.h, on one connection. It does not know transactions: nothing is
 * written before all changes of a command are decided, and what fails then undoes the whole entry. */
#ifndef QUORATE_STORAGE_MEMBER_TABLE_H
#define QUORATE_STORAGE_MEMBER_TABLE_H

#include <sqlite3.h>

#include "storage/command.h"
#include "storage/digest.h"
#include "storage/members.h"

/* Memory of the caller, who fills it. */
struct member_table {
    sqlite3 *db;
    struct digest *digest;
    uint64_t index;  /* of the entry that is applied */
    uint64_t writes; /* grows with each row that is written, also if that is undone */
};

/* Runs COMMAND_MEMBER in the writer's transaction and appends its whole result. Errors: this node's. */
int member_table_run(struct member_table *t, const struct command *command, struct buf *result,
                     struct error *e);

/* As store_members(), in the caller's snapshot. */
int member_table_list(sqlite3 *db, struct store_member *ret_members, unsigned max, unsigned *ret_count,
                      struct error *e);

#endif
