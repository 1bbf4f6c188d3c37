#include "storage/member_table.h"

#include <stdlib.h>
#include <string.h>

#include "base/plant.h"
#include "storage/result.h"
#include "storage/sql_error.h"
#include "storage/statement.h"

static const char exists_sql[] = "SELECT count(*) FROM sqlite_schema WHERE name = 'quorate_members'";
static const char create_sql[] =
    "CREATE TABLE quorate_members (id INTEGER PRIMARY KEY, incarnation INTEGER NOT NULL,"
    " address TEXT NOT NULL, state INTEGER NOT NULL, changed INTEGER NOT NULL)";
static const char list_sql[] =
    "SELECT id, incarnation, address, state, changed FROM quorate_members ORDER BY id";
static const char write_sql[] = "REPLACE INTO quorate_members (id, incarnation, address, state, changed)"
                                " VALUES (?1, ?2, ?3, ?4, ?5)";

static int exists(sqlite3 *db, bool *ret_exists, struct error *e)
{
    sqlite3_stmt *statement;

    if (statement_new(db, exists_sql, &statement, e)) {
        return (int)e->code;
    }
    int rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW) {
        *ret_exists = sqlite3_column_int64(statement, 0) > 0;
    }
    sqlite3_finalize(statement);
    return rc == SQLITE_ROW ? 0 : sql_error(db, rc, "looking for quorate_members", e);
}

static int read_row(sqlite3_stmt *row, struct store_member *ret_member, struct error *e)
{
    struct store_member m = {
        .id = (uint64_t)sqlite3_column_int64(row, 0),
        .incarnation = (uint64_t)sqlite3_column_int64(row, 1),
        .state = (enum member_state)sqlite3_column_int64(row, 3),
        .changed = (uint64_t)sqlite3_column_int64(row, 4),
    };
    struct cursor address = cursor_of(sqlite3_column_text(row, 2), (size_t)sqlite3_column_bytes(row, 2));

    if (!member_address_ok(&address) || m.state < MEMBER_AUTO || m.state > MEMBER_REMOVED) {
        return error_set(e, Q_CORRUPT, "the row of member %llu in quorate_members is none",
                         (unsigned long long)m.id);
    }
    memcpy(m.address, address.p, cursor_left(&address));
    *ret_member = m;
    return 0;
}

static int list_rows(sqlite3 *db, struct store_member *members, unsigned max, unsigned *count,
                     struct error *e)
{
    sqlite3_stmt *rows;
    int rc, failed = 0;

    if (statement_new(db, list_sql, &rows, e)) {
        return (int)e->code;
    }
    while ((rc = sqlite3_step(rows)) == SQLITE_ROW && failed == 0) {
        if (*count == max) {
            failed = error_set(e, Q_TOO_BIG, "quorate_members has more than %u rows", max);
        } else {
            failed = read_row(rows, &members[(*count)++], e);
        }
    }
    if (failed == 0 && rc != SQLITE_DONE) {
        failed = sql_error(db, rc, "reading quorate_members", e);
    }
    sqlite3_finalize(rows);
    return failed;
}

int member_table_list(sqlite3 *db, struct store_member *ret_members, unsigned max, unsigned *ret_count,
                      struct error *e)
{
    unsigned count = 0;
    bool there;
    int rc = exists(db, &there, e);

    if (rc == 0 && there) {
        rc = list_rows(db, ret_members, max, &count, e);
    }
    if (rc == 0) {
        *ret_count = count;
    }
    return rc;
}

/* The rows as they would be after a command, while it is decided. */
struct draft {
    struct store_member *members;
    unsigned count;
    bool touched[STORE_MEMBERS_MAX];
};

static struct store_member *find(struct draft *d, uint64_t id)
{
    for (unsigned i = 0; i < d->count; i++) {
        if (d->members[i].id == id) {
            return &d->members[i];
        }
    }
    return NULL;
}

static bool stays(const struct store_member *m)
{
    return m->state != MEMBER_LEAVING && m->state != MEMBER_REMOVED;
}

static int check_address(struct draft *d, const struct member_change *change, struct error *e)
{
    size_t n = cursor_left(&change->address);

    for (unsigned i = 0; i < d->count; i++) {
        const struct store_member *m = &d->members[i];

        if (m->id != change->id && stays(m) && strlen(m->address) == n &&
            memcmp(m->address, change->address.p, n) == 0 && !PLANTED("two_members_have_one_address")) {
            return error_set(e, Q_CONFLICT, "address %s is that of member %llu", m->address,
                             (unsigned long long)m->id);
        }
    }
    return 0;
}

static void set_address(struct store_member *m, const struct cursor *address)
{
    memset(m->address, 0, sizeof m->address);
    memcpy(m->address, address->p, cursor_left(address));
}

static bool same_address(const struct store_member *m, const struct cursor *address)
{
    return strlen(m->address) == cursor_left(address) &&
           memcmp(m->address, address->p, cursor_left(address)) == 0;
}

static int insert(struct draft *d, const struct member_change *change, struct error *e)
{
    if (change->state == MEMBER_REMOVED) {
        return error_set(e, Q_CONFLICT, "node %llu is not leaving", (unsigned long long)change->id);
    }
    if (d->count == STORE_MEMBERS_MAX) {
        return error_set(e, Q_CONFLICT, "the cluster has had %d members, which is the limit",
                         STORE_MEMBERS_MAX);
    }
    if (change->state != MEMBER_LEAVING && check_address(d, change, e)) {
        return (int)e->code;
    }
    struct store_member *m = &d->members[d->count];
    *m = (struct store_member){.id = change->id, .incarnation = change->incarnation, .state = change->state};
    set_address(m, &change->address);
    d->touched[d->count++] = true;
    return 0;
}

/* Whether a member that has a row may be changed so at all. */
static int check_change(const struct store_member *m, const struct member_change *change, struct error *e)
{
    unsigned long long id = m->id, changed = m->changed;
    bool back = change->kind != MEMBER_STATE || change->state != MEMBER_REMOVED;

    if (m->incarnation != 0 && change->incarnation != 0 && m->incarnation != change->incarnation &&
        !PLANTED("another_node_takes_an_id_over")) {
        return error_set(e, Q_CONFLICT,
                         "id %llu belongs to another node, which joined with entry %llu: give this "
                         "one an id of its own",
                         id, changed);
    }
    if (m->state == MEMBER_REMOVED && back && !PLANTED("removed_members_come_back")) {
        return error_set(
            e, Q_CONFLICT,
            "node %llu was removed with entry %llu: an id is not used again, give the node a new one "
            "and an empty directory",
            id, changed);
    }
    if (!back && stays(m)) {
        return error_set(e, Q_CONFLICT, "node %llu is not leaving", id);
    }
    if (m->state == MEMBER_LEAVING && back && change->state != MEMBER_LEAVING) {
        return error_set(e, Q_CONFLICT,
                         "node %llu is leaving since entry %llu: wait until it is removed, and join "
                         "with a new id and an empty directory",
                         id, changed);
    }
    return 0;
}

static int admit(struct draft *d, struct store_member *m, const struct member_change *change, struct error *e)
{
    bool named = m->incarnation != 0 && change->incarnation != 0;

    if (!named && !same_address(m, &change->address)) {
        return error_set(e, Q_CONFLICT, "id %llu is that of the member at %s", (unsigned long long)m->id,
                         m->address);
    }
    if (!same_address(m, &change->address)) {
        if (check_address(d, change, e)) {
            return (int)e->code;
        }
        set_address(m, &change->address);
        d->touched[m - d->members] = true;
    }
    if (m->incarnation == 0 && change->incarnation != 0) {
        m->incarnation = change->incarnation;
        d->touched[m - d->members] = true;
    }
    return 0;
}

static int decide(struct draft *d, const struct member_change *change, struct error *e)
{
    struct store_member *m = find(d, change->id);

    if (m == NULL) {
        return insert(d, change, e);
    }
    if (check_change(m, change, e)) {
        return (int)e->code;
    }
    switch (change->kind) {
    case MEMBER_ADMIT: return admit(d, m, change, e);
    case MEMBER_STATE:
        d->touched[m - d->members] |= m->state != change->state;
        m->state = change->state;
        return 0;
    case MEMBER_MOVE:
        if (!same_address(m, &change->address)) {
            if (check_address(d, change, e)) {
                return (int)e->code;
            }
            set_address(m, &change->address);
            d->touched[m - d->members] = true;
        }
        return 0;
    }
    return error_set(e, Q_MISMATCH, "unknown change of a member");
}

static int write_row(struct member_table *t, const struct store_member *m, struct error *e)
{
    struct cursor address = cursor_of(m->address, strlen(m->address));
    sqlite3_stmt *write;

    if (statement_new(t->db, write_sql, &write, e)) {
        return (int)e->code;
    }
    int rc = statement_bind_text(write, 3, &address);
    sqlite3_bind_int64(write, 1, (int64_t)m->id);
    sqlite3_bind_int64(write, 2, (int64_t)m->incarnation);
    sqlite3_bind_int64(write, 4, m->state);
    sqlite3_bind_int64(write, 5, (int64_t)t->index);
    rc = rc == SQLITE_OK ? statement_run(write) : rc;
    sqlite3_finalize(write);
    return rc == SQLITE_OK ? 0 : sql_error(t->db, rc, "writing quorate_members", e);
}

static int write_rows(struct member_table *t, const struct draft *d, bool there, struct error *e)
{
    for (unsigned i = 0; i < d->count; i++) {
        if (!d->touched[i]) {
            continue;
        }
        if (!there && (statement_once(t->db, create_sql, e) || digest_follow(t->digest, e))) {
            return (int)e->code;
        }
        there = true;
        if (write_row(t, &d->members[i], e)) {
            return (int)e->code;
        }
        t->writes++;
    }
    return digest_follow(t->digest, e);
}

static int run(struct member_table *t, const struct command *command, struct draft *d, struct buf *result,
               struct error *e)
{
    struct error why;
    bool there;

    if (exists(t->db, &there, e) ||
        (there && list_rows(t->db, d->members, STORE_MEMBERS_MAX, &d->count, e))) {
        return (int)e->code;
    }
    for (unsigned i = 0; i < command->changes; i++) {
        if (decide(d, &command->change[i], &why)) {
            result_put_error(result, &why);
            return 0;
        }
    }
    uint64_t before = t->writes;
    if (write_rows(t, d, there, e)) {
        return (int)e->code;
    }
    result_put_header(result, RESULT_MEMBER);
    buf_put_u8(result, t->writes != before);
    return 0;
}

int member_table_run(struct member_table *t, const struct command *command, struct buf *result,
                     struct error *e)
{
    struct draft *d = calloc(1, sizeof *d);
    int rc = 0;

    if (d != NULL) {
        d->members = calloc(STORE_MEMBERS_MAX, sizeof *d->members);
    }
    if (d == NULL || d->members == NULL) {
        rc = error_set(e, Q_NOMEM, "out of memory for the members");
    } else {
        rc = run(t, command, d, result, e);
    }
    if (d != NULL) {
        free(d->members);
        free(d);
    }
    return rc;
}
