#include "storage/authorizer.h"

#include <stdio.h>
#include <string.h>

#include "base/object.h"
#include "storage/sql_error.h"

enum { AUTHORIZER_MAGIC = 0x51415554 };

/* Which of the two kinds of connection may use something. */
enum audience { NOBODY, READERS, EVERYBODY };

struct rule {
    const char *name;
    enum audience audience;
};

/* Reading a PRAGMA, with or without an argument that selects what is read. All others are refused to all. */
static const struct rule pragmas[] = {
    {"analysis_limit", READERS},
    {"application_id", EVERYBODY},
    {"auto_vacuum", READERS},
    {"automatic_index", READERS},
    {"busy_timeout", READERS},
    {"cache_size", READERS},
    {"cache_spill", READERS},
    {"cell_size_check", READERS},
    {"checkpoint_fullfsync", READERS},
    {"collation_list", EVERYBODY},
    {"compile_options", READERS},
    {"data_version",
     EVERYBODY}, /* FTS5 asks it of itself; a client can see it but not store it, see tables[] */
    {"database_list", READERS},
    {"defer_foreign_keys", READERS},
    {"encoding", EVERYBODY},
    {"foreign_key_check", EVERYBODY},
    {"foreign_key_list", EVERYBODY},
    {"foreign_keys", EVERYBODY},
    {"freelist_count", READERS},
    {"fullfsync", READERS},
    {"function_list", READERS},
    {"hard_heap_limit", READERS},
    {"ignore_check_constraints", READERS},
    {"index_info", EVERYBODY},
    {"index_list", EVERYBODY},
    {"index_xinfo", EVERYBODY},
    {"integrity_check", EVERYBODY},
    {"journal_mode", READERS},
    {"journal_size_limit", READERS},
    {"legacy_alter_table", READERS},
    {"locking_mode", READERS},
    {"max_page_count", READERS},
    {"mmap_size", READERS},
    {"module_list", READERS},
    {"page_count", READERS},
    {"page_size", EVERYBODY}, /* R-tree asks it of itself */
    {"pragma_list", READERS},
    {"query_only", READERS},
    {"quick_check", EVERYBODY},
    {"read_uncommitted", READERS},
    {"recursive_triggers", READERS},
    {"reverse_unordered_selects", READERS},
    {"schema_version",
     EVERYBODY}, /* the digest asks it; a client can see it but not store it, see tables[] */
    {"secure_delete", READERS},
    {"soft_heap_limit", READERS},
    {"synchronous", READERS},
    {"table_info", EVERYBODY},
    {"table_list", EVERYBODY},
    {"table_xinfo", EVERYBODY},
    {"temp_store", READERS},
    {"threads", READERS},
    {"trusted_schema", READERS},
    {"user_version", EVERYBODY},
    {"wal_autocheckpoint", READERS},
    {"writable_schema", READERS},
};

/* Those of them whose argument selects; with an argument, any other would be set. */
static const char *const selecting[] = {
    "foreign_key_check", "foreign_key_list", "index_info", "index_list", "index_xinfo",
    "integrity_check",   "quick_check",      "table_info", "table_list", "table_xinfo",
};

/* Virtual tables that need no CREATE; all that are not named here may be read. */
static const struct rule tables[] = {
    {"bytecode", NOBODY},
    {"dbstat", READERS},
    {"pragma_compile_options", READERS},
    {"pragma_data_version", READERS},
    {"pragma_database_list", READERS},
    {"pragma_freelist_count", READERS},
    {"pragma_function_list", READERS},
    {"pragma_module_list", READERS},
    {"pragma_page_count", READERS},
    {"pragma_pragma_list", READERS},
    {"pragma_schema_version", READERS},
    {"sqlite_dbpage", NOBODY},
    {"sqlite_stmt", NOBODY},
    {"tables_used", NOBODY},
};

/* Functions that read the connection, the file or the build, or reach out of the database. */
static const struct rule functions[] = {
    {"fts3_tokenizer", NOBODY},
    {"fts5_source_id", READERS},
    {"load_extension", NOBODY},
    {"sqlite_compileoption_get", READERS},
    {"sqlite_compileoption_used", READERS},
    {"sqlite_log", NOBODY},
    {"sqlite_offset", READERS},
    {"sqlite_source_id", READERS},
};

/* Modules that CREATE VIRTUAL TABLE may use. */
static const char *const modules[] = {"fts5", "fts5vocab", "rtree", "rtree_i32"};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static bool one_of(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (sqlite3_stricmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static enum audience audience_of(const struct rule *rules, size_t n, const char *name,
                                 enum audience otherwise)
{
    for (size_t i = 0; i < n; i++) {
        if (sqlite3_stricmp(rules[i].name, name) == 0) {
            return rules[i].audience;
        }
    }
    return otherwise;
}

static int refuse(struct authorizer *a, const char *before, const char *name, const char *after)
{
    a->refused = true;
    snprintf(a->reason, sizeof a->reason, "%s%s%s", before, name != NULL ? name : "", after);
    return SQLITE_DENY;
}

static bool is_own(const char *name)
{
    return name != NULL &&
           sqlite3_strnicmp(name, AUTHORIZER_OWN_PREFIX, sizeof AUTHORIZER_OWN_PREFIX - 1) == 0;
}

static int judge_pragma(struct authorizer *a, const char *name, const char *argument)
{
    enum audience audience = audience_of(pragmas, COUNT(pragmas), name, NOBODY);

    if (audience == NOBODY) {
        return refuse(a, "PRAGMA ", name,
                      " is not allowed: it would act on one node's connection or file alone");
    }
    if (argument != NULL && !one_of(selecting, COUNT(selecting), name)) {
        return refuse(a, "PRAGMA ", name, " may be read but not set");
    }
    if (audience == READERS && a->writer) {
        return refuse(a, "PRAGMA ", name,
                      " is not allowed in what is replicated: nodes may answer differently");
    }
    return SQLITE_OK;
}

static int judge_read(struct authorizer *a, const char *table)
{
    enum audience audience = table != NULL ? audience_of(tables, COUNT(tables), table, EVERYBODY) : EVERYBODY;

    if (audience == NOBODY || (audience == READERS && a->writer)) {
        return refuse(a, "table ", table, " is not allowed: nodes may answer differently");
    }
    return SQLITE_OK;
}

static int judge_function(struct authorizer *a, const char *name)
{
    enum audience audience = audience_of(functions, COUNT(functions), name, EVERYBODY);

    if (audience == NOBODY || (audience == READERS && a->writer)) {
        return refuse(a, "function ", name, " is not allowed: nodes may answer differently");
    }
    return SQLITE_OK;
}

/* NAME is what is created, dropped or written; TABLE the one that it is on, if another. */
static int judge_change(struct authorizer *a, const char *name, const char *table)
{
    if (is_own(name) || is_own(table)) {
        return refuse(a, is_own(name) ? name : table, NULL,
                      " is reserved: names that begin with " AUTHORIZER_OWN_PREFIX " are the store's own");
    }
    return SQLITE_OK;
}

static int refuse_temp(struct authorizer *a)
{
    return refuse(a, "TEMP objects", NULL, " are not allowed: they live in one node's connection alone");
}

static bool is_temp(const char *database)
{
    return database != NULL && sqlite3_stricmp(database, "temp") == 0;
}

/* CREATE TABLE temp.x is no CREATE_TEMP_TABLE to SQLite, but names the database. */
static int judge_definition(struct authorizer *a, const char *name, const char *table, const char *database)
{
    if (is_temp(database)) {
        return refuse_temp(a);
    }
    a->planner = true;
    return judge_change(a, name, table);
}

static int judge_rows(struct authorizer *a, const char *table)
{
    if (table != NULL && audience_of(tables, COUNT(tables), table, EVERYBODY) != EVERYBODY) {
        return refuse(a, "table ", table, " is not allowed: nodes may answer differently");
    }
    if (table != NULL && sqlite3_strnicmp(table, "sqlite_stat", 11) == 0) {
        a->planner = true;
    }
    return judge_change(a, table, NULL);
}

static int judge(void *context, int action, const char *third, const char *fourth, const char *database,
                 const char *inside)
{
    struct authorizer *a = CAST(struct authorizer, context, AUTHORIZER_MAGIC);

    (void)inside;
    if (a->trusted) {
        return SQLITE_OK;
    }
    switch (action) {
    case SQLITE_SELECT:
    case SQLITE_RECURSIVE: return SQLITE_OK;
    case SQLITE_READ: return judge_read(a, third);
    case SQLITE_FUNCTION: return judge_function(a, fourth);
    case SQLITE_PRAGMA: return judge_pragma(a, third, fourth);
    case SQLITE_INSERT: /* CREATE TRIGGER temp.x shows only here, by what it adds to the schema */
        return is_temp(database) ? refuse_temp(a) : judge_rows(a, third);
    case SQLITE_UPDATE:
    case SQLITE_DELETE: return judge_rows(a, third);
    case SQLITE_CREATE_TABLE:
    case SQLITE_CREATE_INDEX:
    case SQLITE_CREATE_VIEW:
    case SQLITE_CREATE_TRIGGER:
    case SQLITE_DROP_TABLE:
    case SQLITE_DROP_INDEX:
    case SQLITE_DROP_VIEW:
    case SQLITE_DROP_TRIGGER:
    case SQLITE_DROP_VTABLE: return judge_definition(a, third, fourth, database);
    case SQLITE_ALTER_TABLE: return judge_definition(a, fourth, NULL, third);
    case SQLITE_REINDEX:
    case SQLITE_ANALYZE: return judge_definition(a, third, NULL, database);
    case SQLITE_CREATE_VTABLE:
        if (!one_of(modules, COUNT(modules), fourth)) {
            return refuse(a, "virtual tables of module ", fourth, " are not allowed");
        }
        return judge_definition(a, third, NULL, database);
    case SQLITE_TRANSACTION:
        return refuse(a, third, NULL, " is not allowed: each request is a transaction of its own");
    case SQLITE_SAVEPOINT: return refuse(a, "SAVEPOINT, RELEASE and ROLLBACK TO", NULL, " are not allowed");
    case SQLITE_ATTACH: return refuse(a, "ATTACH", NULL, " is not allowed");
    case SQLITE_DETACH: return refuse(a, "DETACH", NULL, " is not allowed");
    case SQLITE_CREATE_TEMP_TABLE:
    case SQLITE_CREATE_TEMP_INDEX:
    case SQLITE_CREATE_TEMP_VIEW:
    case SQLITE_CREATE_TEMP_TRIGGER:
    case SQLITE_DROP_TEMP_TABLE:
    case SQLITE_DROP_TEMP_INDEX:
    case SQLITE_DROP_TEMP_VIEW:
    case SQLITE_DROP_TEMP_TRIGGER: return refuse_temp(a);
    }
    return refuse(a, "this kind of statement", NULL, " is not allowed");
}

int authorizer_attach(struct authorizer *a, sqlite3 *db, bool writer, struct error *e)
{
    int rc;

    *a = (struct authorizer){.magic = AUTHORIZER_MAGIC, .writer = writer};
    rc = sqlite3_set_authorizer(db, judge, a);
    return rc == SQLITE_OK ? Q_OK : sql_error(db, rc, "setting the authorizer", e);
}

void authorizer_trust(struct authorizer *a, bool trusted)
{
    a->trusted = trusted;
}

const char *authorizer_reason(struct authorizer *a)
{
    bool refused = a->refused;

    a->refused = false;
    return refused ? a->reason : NULL;
}
