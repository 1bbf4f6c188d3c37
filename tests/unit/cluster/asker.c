#include "tests/unit/cluster/asker.h"

#include <inttypes.h>

#include "storage/result.h"

static void show_rows(struct asker *a, struct cursor *c, const struct result_sql *item)
{
    size_t n = (size_t)snprintf(a->shown, sizeof a->shown, "rows");
    while (result_next_row(c)) {
        for (uint32_t i = 0; i < item->columns; i++) {
            struct value v = value_get(c);
            n += (size_t)snprintf(a->shown + n, sizeof a->shown - n, "%c", i ? ',' : ' ');
            if (v.type == VALUE_INTEGER) {
                n += (size_t)snprintf(a->shown + n, sizeof a->shown - n, "%" PRId64, v.integer);
            } else {
                n += (size_t)snprintf(a->shown + n, sizeof a->shown - n, "%.*s", (int)cursor_left(&v.bytes),
                                      (const char *)v.bytes.p);
            }
        }
    }
}

static void show_sql(struct asker *a, struct cursor *c)
{
    struct result_sql item;
    while (result_next_item(c, &item)) {
        if (item.item == RESULT_ROWS) {
            show_rows(a, c, &item);
        } else if (item.item == RESULT_WRITE) {
            snprintf(a->shown, sizeof a->shown, "write %" PRId64 "/%" PRIu64, item.last_insert_id,
                     item.rows_affected);
        } else if (item.item == RESULT_STATEMENT_ERROR) {
            snprintf(a->shown, sizeof a->shown, "error %.*s", (int)cursor_left(&item.text),
                     (const char *)item.text.p);
        }
    }
}

static void show(struct asker *a, const uint8_t *result, size_t n)
{
    struct cursor c = cursor_of(result, n);
    enum result_kind kind;
    struct error failed, e;
    uint8_t found;
    uint64_t version;

    assert_int_equal(result_decode(&c, &kind, &failed, &e), 0);
    switch (kind) {
    case RESULT_ERROR: snprintf(a->shown, sizeof a->shown, "error %.200s", failed.text); return;
    case RESULT_SQL: show_sql(a, &c); return;
    case RESULT_KV_PUT:
    case RESULT_KV_DELETE:
        found = cursor_u8(&c);
        snprintf(a->shown, sizeof a->shown, "%s %" PRIu64, found ? "put" : "refused", cursor_u64(&c));
        return;
    case RESULT_KV_GET: {
        found = cursor_u8(&c);
        version = cursor_u64(&c);
        struct cursor value = cursor_blob(&c);
        snprintf(a->shown, sizeof a->shown, found ? "v%" PRIu64 " %.*s" : "none", version,
                 (int)cursor_left(&value), (const char *)value.p);
        return;
    }
    case RESULT_KV_LIST: snprintf(a->shown, sizeof a->shown, "list"); return;
    case RESULT_LOAD: snprintf(a->shown, sizeof a->shown, "load"); return;
    case RESULT_MEMBER: snprintf(a->shown, sizeof a->shown, "member"); return;
    }
}

static void on_done(struct replica_request *request, const struct replica_answer *answer)
{
    struct asker *a = CONTAINER_OF(request, struct asker, request);

    assert_true(a->asking);
    assert_false(a->submitting);
    a->asking = false;
    a->done++;
    a->code = answer->error.code;
    a->index = answer->index;
    a->served_by = answer->served_by;
    a->logged = answer->logged;
    if (a->code != Q_OK) {
        snprintf(a->text, sizeof a->text, "%s", answer->error.text);
    } else if (answer->result == NULL) {
        a->bare = true;
    } else {
        show(a, answer->result, answer->len);
    }
    if (a->then != NULL) {
        ask_again(a->then, a->then_node);
    }
}

void asker_init(struct asker *a)
{
    memset(a, 0, sizeof *a);
    buf_init(&a->command, 1024 * 1024);
    a->request = (struct replica_request){.level = READ_LINEARIZABLE, .timeout_ms = 5000};
}

void asker_close(struct asker *a)
{
    buf_close(&a->command);
}

void ask_again(struct asker *a, struct group_node *node)
{
    assert_false(a->asking);
    a->asking = a->submitting = true;
    a->done = 0;
    a->bare = a->logged = false;
    a->shown[0] = a->text[0] = 0;
    a->request.command = a->command.data;
    a->request.len = a->command.len;
    a->request.done = on_done;
    replica_submit(node->replica, &a->request);
    a->submitting = false;
}

void ask_bytes(struct asker *a, struct group_node *node, const void *p, size_t n)
{
    buf_clear(&a->command);
    buf_put_bytes(&a->command, p, n);
    ask_again(a, node);
}

void ask_put(struct asker *a, struct group_node *node, const char *key, const char *value)
{
    buf_clear(&a->command);
    command_put_kv_put(&a->command, cursor_of("ns", 2), cursor_of(key, strlen(key)),
                       cursor_of(value, strlen(value)), KV_ALWAYS, 0);
    ask_again(a, node);
}

void ask_get(struct asker *a, struct group_node *node, const char *key)
{
    buf_clear(&a->command);
    command_put_kv_get(&a->command, cursor_of("ns", 2), cursor_of(key, strlen(key)));
    ask_again(a, node);
}

void ask_sql(struct asker *a, struct group_node *node, enum command_op op, const char *sql)
{
    buf_clear(&a->command);
    command_put_sql(&a->command, op, 0, 1);
    command_put_statement(&a->command, sql, strlen(sql), 0);
    ask_again(a, node);
}

void group_run_ms(struct group *g, uint64_t ms)
{
    sim_run_until(g->sim, sim_now_us(g->sim) + ms * 1000);
}

static bool settled(struct group *g)
{
    struct group_node *leader = group_leader(g);
    struct replica_role role, other;

    if (leader == NULL) {
        return false;
    }
    replica_role(leader->replica, &role);
    for (unsigned i = 0; i < g->count; i++) {
        struct group_node *node = &g->nodes[i];
        if (group_alive(node)) {
            replica_role(node->replica, &other);
            if (other.term != role.term || other.leader != leader->id || other.applied != role.last ||
                !status_of(node).ready) {
                return false;
            }
        }
    }
    return true;
}

struct group_node *group_settled(struct group *g)
{
    GROUP_UNTIL(g, settled(g));
    return group_leader(g);
}

struct group_node *group_follower(struct group *g, unsigned n)
{
    const struct group_node *leader = group_leader(g);
    for (unsigned i = 0; i < g->count; i++) {
        if (&g->nodes[i] != leader && n-- == 0) {
            return &g->nodes[i];
        }
    }
    fail_msg("no such follower");
    return NULL;
}

void expect_shown(struct asker *a, struct group *g, const char *shown)
{
    GROUP_UNTIL(g, a->done == 1);
    if (a->code != Q_OK) {
        fail_msg("%s: %s", error_name(a->code), a->text);
    }
    assert_string_equal(a->shown, shown);
}

void expect_failed(struct asker *a, struct group *g, enum error_code code, const char *text)
{
    GROUP_UNTIL(g, a->done == 1);
    if (a->code != code) {
        fail_msg("%s (%s) instead of %s", error_name(a->code), a->code == Q_OK ? a->shown : a->text,
                 error_name(code));
    }
    if (text != NULL && strstr(a->text, text) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", a->text, text);
    }
}

void group_cut(struct group *g, struct group_node *node, bool cut)
{
    for (unsigned i = 0; i < g->count; i++) {
        if (&g->nodes[i] != node) {
            sim_net_cut(sim_network(g->sim), node->machine, g->nodes[i].machine, cut);
            sim_net_cut(sim_network(g->sim), g->nodes[i].machine, node->machine, cut);
        }
    }
}

struct replica_status status_of(const struct group_node *node)
{
    struct replica_status status;
    replica_status(node->replica, &status);
    return status;
}
