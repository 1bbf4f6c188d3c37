#include "tests/unit/cluster/ship_scene.h"

#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>

#include "base/object.h"
#include "storage/page_sum.h"
#include "tests/lib/sim_disk.h"

enum { WRITE_EVERY_US = 5000 };

static struct ship_scene *scene; /* of the test that runs: tune() gets none */

static void tune(struct group_node *node, struct replica_config *config)
{
    (void)node;
    config->log_keep_bytes = scene->keep_bytes;
    config->ship_rate = scene->rate;
    config->verify_installs = scene->verify;
    config->ballast_bytes = 0;
    config->space_min_bytes = 64 * 1024;
}

static void said(void *ctx, struct group_node *node, const char *line)
{
    static const char *const events[] = {"image_",        "ship_",   "install_", "rebuil",    "installed",
                                         "page_bad",      "take_",   "swept",    "fence",     "diverged",
                                         "apply_stopped", "checked", "compact",  "log_repair"};
    struct ship_scene *s = ctx;

    for (unsigned i = 0; i < sizeof events / sizeof events[0]; i++) {
        if (strncmp(line, events[i], strlen(events[i])) == 0 && s->count < SHIP_LINES) {
            s->lines[s->count].node = node->id;
            snprintf(s->lines[s->count++].text, sizeof s->lines[0].text, "%s", line);
            return;
        }
    }
}

struct ship_scene *ship_scene_new(uint64_t seed)
{
    struct ship_scene *s = calloc(1, sizeof *s);

    scene = s;
    s->sim = sim_new(seed);
    s->keep_bytes = 256 * 1024;
    s->rows = SHIP_ROWS;
    s->group.on_disk = true;
    s->group.tune = tune;
    s->group.watch = (struct group_watch){.ctx = s, .said = said};
    setvbuf(stdout, NULL, _IOLBF, 0);
    s->group.story = getenv("STORY") != NULL;
    asker_init(&s->a);
    asker_init(&s->writer);
    s->a.request.timeout_ms = 20000;
    return s;
}

void ship_scene_free(struct ship_scene *s)
{
    group_close(&s->group);
    sim_free(s->sim);
    asker_close(&s->a);
    asker_close(&s->writer);
    free(s);
}

static struct group_node *leader_of(struct ship_scene *s)
{
    SHIP_UNTIL(s, group_leader(&s->group) != NULL);
    return group_leader(&s->group);
}

void ship_write(struct ship_scene *s, unsigned from, unsigned rows, unsigned salt)
{
    char sql[512];

    for (unsigned at = from; at < from + rows; at += 100) {
        unsigned to = at + 100 < from + rows ? at + 100 : from + rows;
        snprintf(sql, sizeof sql,
                 "WITH RECURSIVE n(i) AS (VALUES(%u) UNION ALL SELECT i + 1 FROM n WHERE i < %u) "
                 "INSERT OR REPLACE INTO t SELECT i, %u, hex(randomblob(240)) FROM n",
                 at, to - 1, salt);
        do {
            ask_sql(&s->a, leader_of(s), COMMAND_SQL_EXECUTE, sql);
            SHIP_UNTIL(s, s->a.done == 1);
        } while (s->a.code != Q_OK);
        assert_memory_equal(s->a.shown, "write", 5);
    }
}

void ship_start(struct ship_scene *s, unsigned count)
{
    group_init(&s->group, s->sim, count);
    group_settled(&s->group);
    ask_sql(&s->a, leader_of(s), COMMAND_SQL_EXECUTE, "CREATE TABLE t (id INTEGER PRIMARY KEY, n, v)");
    SHIP_UNTIL(s, s->a.done == 1 && s->a.code == Q_OK);
    ship_write(s, 1, s->rows, 0);
    group_settled(&s->group);
}

void ship_write_past(struct ship_scene *s, uint64_t applied)
{
    for (unsigned i = 0; i < 400 && status_of(leader_of(s)).log_first <= applied + 1; i++) {
        ship_write(s, 1, 100, i);
        group_run_ms(&s->group, 200);
    }
    assert_true(status_of(leader_of(s)).log_first > applied + 1);
}

struct group_node *ship_send_away(struct ship_scene *s)
{
    struct group_node *away = group_follower(&s->group, 0);
    uint64_t applied = status_of(away).applied;

    group_kill(away);
    ship_write_past(s, applied);
    return away;
}

void ship_come_back(struct ship_scene *s, struct group_node *away)
{
    group_boot(away);
    SHIP_UNTIL(s, status_of(away).installs == 1);
    ship_settled(s);
}

void ship_keep_writing(struct ship_scene *s)
{
    struct group_node *leader;
    char key[16], value[200];

    if (!s->write_always || s->writer.asking || sim_now_us(s->sim) < s->write_at_us) {
        return;
    }
    s->write_at_us = sim_now_us(s->sim) + WRITE_EVERY_US;
    leader = group_leader(&s->group);
    if (leader != NULL) {
        memset(value, 'v', sizeof value - 1);
        value[sizeof value - 1] = 0;
        snprintf(key, sizeof key, "k%d", (int)(s->writes++ % 1000));
        ask_put(&s->writer, leader, key, value);
    }
}

void ship_settled(struct ship_scene *s)
{
    struct group_node *leader = group_settled(&s->group);
    struct replica_status all, one;

    replica_status(leader->replica, &all);
    for (unsigned i = 0; i < s->group.count; i++) {
        if (group_alive(&s->group.nodes[i])) {
            replica_status(s->group.nodes[i].replica, &one);
            assert_false(one.fenced);
            assert_int_equal(one.applied, all.applied);
            assert_memory_equal(one.digest, all.digest, DIGEST_BYTES);
        }
    }
    assert_string_equal(s->group.failure, "");
}

unsigned ship_said(const struct ship_scene *s, uint64_t node, const char *event, const char **ret_line)
{
    unsigned n = 0;

    for (unsigned i = 0; i < s->count; i++) {
        if ((node == 0 || s->lines[i].node == node) && strncmp(s->lines[i].text, event, strlen(event)) == 0) {
            n++;
            if (ret_line != NULL) {
                *ret_line = s->lines[i].text;
            }
        }
    }
    return n;
}

uint64_t ship_number(const char *line, const char *key)
{
    char wanted[64];
    const char *at;

    snprintf(wanted, sizeof wanted, " %s=", key);
    at = strstr(line, wanted);
    if (at == NULL) {
        fail_msg("\"%s\" has no %s", line, key);
    }
    return strtoull(at + strlen(wanted), NULL, 10);
}

struct search {
    struct sim_disk *disk;
    const char *prefix;
    uint64_t offset;
    unsigned found, most; /* flip at most so many of them */
};

static void look(void *ctx, const char *path, uint64_t size)
{
    struct search *search = ctx;
    struct error e;

    if (size > 0 && strncmp(path, search->prefix, strlen(search->prefix)) == 0 &&
        search->found++ < search->most) {
        assert_int_equal(
            sim_disk_flip(search->disk, path, search->offset < size ? search->offset : size / 2, 2, &e), 0);
    }
}

static unsigned find(struct group_node *node, const char *prefix, uint64_t offset, unsigned most)
{
    struct search search = {
        .disk = sim_node_disk(node->machine), .prefix = prefix, .offset = offset, .most = most};

    sim_disk_each_file(search.disk, look, &search);
    return search.found;
}

void ship_flip(struct group_node *node, const char *prefix, uint64_t offset)
{
    assert_true(find(node, prefix, offset, 1) > 0);
}

void ship_flip_all(struct group_node *node, const char *prefix, uint64_t offset)
{
    assert_true(find(node, prefix, offset, UINT_MAX) > 0);
}

unsigned ship_files(struct group_node *node, const char *prefix)
{
    return find(node, prefix, 0, 0);
}

/* A checkpoint comes when the log has grown; what was written before it is in the file then. */
void ship_checkpointed(struct ship_scene *s, struct group_node *node)
{
    uint64_t applied = status_of(node).applied;

    ship_write_past(s, applied);
    SHIP_UNTIL(s, status_of(node).snapshot_index >= applied);
}

static void on_stopped(void *ctx)
{
    ((struct group_node *)ctx)->broken = true; /* it answers nothing any more */
}

void ship_stop(struct ship_scene *s, struct group_node *node)
{
    struct error e;

    replica_stop(node->replica, on_stopped);
    SHIP_UNTIL(s, node->broken);
    group_kill(node);
    assert_int_equal(sim_disk_unlink(sim_node_disk(node->machine), "/node/db.sqlite-wal", &e), 0);
}

/* The last page of the table: what is in its last quarter are letters of rows. */
static uint64_t last_page(struct group_node *node, struct sim_inode **ret_file)
{
    struct error e;

    assert_int_equal(sim_disk_open(sim_node_disk(node->machine), "/node/db.sqlite", 0, ret_file, &e), 0);
    return sim_disk_size(*ret_file) / PAGE_BYTES;
}

void ship_flip_last_page(struct group_node *node)
{
    struct sim_inode *file;
    uint64_t page = last_page(node, &file);

    sim_disk_close(sim_node_disk(node->machine), file);
    ship_flip(node, "/node/db.sqlite", page * PAGE_BYTES - 600);
}

void ship_change_last_page(struct group_node *node)
{
    struct sim_disk *disk = sim_node_disk(node->machine);
    struct sim_inode *file;
    uint64_t page = last_page(node, &file), at = (page - 1) * PAGE_BYTES;
    uint8_t bytes[PAGE_BYTES];
    struct error e;
    size_t n;

    assert_int_equal(sim_disk_read(disk, file, at, bytes, sizeof bytes, &n, &e), 0);
    assert_true(page_sum_ok(bytes, page));
    bytes[PAGE_BYTES - 600] = bytes[PAGE_BYTES - 600] == 'A' ? 'B' : 'A';
    page_sum_set(bytes, page);
    assert_int_equal(sim_disk_write(disk, file, at, bytes, sizeof bytes, true, &e), 0);
    sim_disk_close(disk, file);
}

struct checking {
    struct replica_check check;
    unsigned done;
};

static void on_checked(struct replica_check *check, const struct error *failed)
{
    assert_null(failed);
    CONTAINER_OF(check, struct checking, check)->done++;
}

void ship_scanned(struct ship_scene *s, struct group_node *node)
{
    struct checking checking = {.check = {.done = on_checked}};
    struct error e;

    assert_int_equal(replica_check(node->replica, &checking.check, &e), 0);
    SHIP_UNTIL(s, checking.done == 1);
    assert_true(checking.check.found.ok);
}
