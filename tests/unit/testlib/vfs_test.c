#include <sqlite3.h>

#include "tests/lib/sim.h"
#include "tests/unit/test.h"

enum { SECOND = 1000000, SEEDS = 60, ROUNDS = 6 };

/* A machine with one database, "/db". */
struct machine {
    struct sim *sim;
    struct sim_node *node;
    sqlite3 *db;
};

static int run(sqlite3 *db, const char *sql)
{
    return sqlite3_exec(db, sql, NULL, NULL, NULL);
}

static int64_t number(sqlite3 *db, const char *sql)
{
    sqlite3_stmt *s = NULL;
    int64_t value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &s, NULL) == SQLITE_OK && sqlite3_step(s) == SQLITE_ROW) {
        value = sqlite3_column_int64(s, 0);
    }
    sqlite3_finalize(s);
    return value;
}

static sqlite3 *connect(struct machine *m)
{
    sqlite3 *db = NULL;
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    if (sqlite3_open_v2("/db", &db, flags, sim_node_vfs(m->node)) != SQLITE_OK) {
        sqlite3_close(db);
        return NULL;
    }
    return db;
}

static void machine_start(struct machine *m, uint64_t seed)
{
    m->sim = sim_new(seed);
    m->node = sim_node_new(m->sim, "n1");
    sim_node_boot(m->node);
    m->db = NULL;
}

static void machine_reopen(struct machine *m)
{
    assert_int_equal(sqlite3_close(m->db), SQLITE_OK);
    sim_node_boot(m->node);
    m->db = connect(m);
    assert_non_null(m->db);
}

static void machine_end(struct machine *m)
{
    assert_int_equal(sqlite3_close(m->db), SQLITE_OK);
    sim_free(m->sim);
}

/* Makes the table and adds pairs of rows, each pair in one transaction, until something fails; how many pairs
 * were acknowledged. SETTINGS come first. A checkpoint follows every third pair. */
static int64_t add_pairs(struct machine *m, const char *settings)
{
    int64_t acknowledged = 0;
    m->db = connect(m);
    if (m->db == NULL || run(m->db, settings) != SQLITE_OK ||
        run(m->db, "CREATE TABLE t (a INTEGER PRIMARY KEY, b TEXT)") != SQLITE_OK) {
        return 0;
    }
    for (int i = 0; i < ROUNDS; i++) {
        if (run(m->db, "BEGIN; INSERT INTO t (b) VALUES (hex(zeroblob(3000)));"
                       "INSERT INTO t (b) VALUES ('second'); COMMIT") != SQLITE_OK) {
            return acknowledged;
        }
        acknowledged++;
        if (i % 3 == 2 && run(m->db, "PRAGMA wal_checkpoint(TRUNCATE)") != SQLITE_OK) {
            return acknowledged;
        }
    }
    return acknowledged;
}

/* How many pairs there are; the database is whole, and no pair is half. */
static int64_t whole_pairs(struct machine *m)
{
    assert_int_equal(
        number(m->db, "SELECT count(*) FROM pragma_integrity_check WHERE integrity_check <> 'ok'"), 0);
    if (number(m->db, "SELECT count(*) FROM sqlite_schema WHERE name = 't'") == 0) {
        return 0;
    }
    int64_t rows = number(m->db, "SELECT count(*) FROM t");
    assert_int_equal(rows % 2, 0);
    assert_int_equal(number(m->db, "SELECT count(*) FROM t WHERE b = 'second'"), rows / 2);
    return rows / 2;
}

/* Loses power in each operation in turn, until there is none in which it can. */
static unsigned lose_power_everywhere(const char *settings)
{
    unsigned crashes = 0;
    bool finished = false;
    for (unsigned n = 1; !finished; n++) {
        struct machine m;
        machine_start(&m, n);

        sim_node_crash_in(m.node, n);
        int64_t acknowledged = add_pairs(&m, settings);
        finished = sim_node_env(m.node) != NULL;
        if (!finished) {
            crashes++;
            machine_reopen(&m);
            int64_t found = whole_pairs(&m);
            assert_in_range(found, acknowledged, acknowledged + 1);
        }
        machine_end(&m);
    }
    return crashes;
}

static void synced_commits_survive_power_loss_in_every_operation_of_a_wal(void **state)
{
    (void)state;
    assert_true(lose_power_everywhere("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL") > 50);
}

static void synced_commits_survive_power_loss_in_every_operation_of_a_rollback_journal(void **state)
{
    (void)state;
    assert_true(lose_power_everywhere("PRAGMA journal_mode = DELETE; PRAGMA synchronous = EXTRA") > 50);
    assert_true(lose_power_everywhere("PRAGMA journal_mode = TRUNCATE; PRAGMA synchronous = EXTRA") > 50);
}

static void unsynced_commits_may_be_lost_but_never_half(void **state)
{
    (void)state;
    unsigned lost = 0, kept = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        assert_int_equal(add_pairs(&m, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL"), ROUNDS);
        assert_int_equal(run(m.db, "INSERT INTO t (b) VALUES ('third'), ('second')"), SQLITE_OK);

        sim_node_crash(m.node);
        machine_reopen(&m);

        int64_t found = whole_pairs(&m);
        assert_in_range(found, ROUNDS, ROUNDS + 1);
        lost += found == ROUNDS;
        kept += found == ROUNDS + 1;
        machine_end(&m);
    }
    assert_true(lost > SEEDS / 2 && kept > 0);
}

static void a_killed_process_loses_no_commit(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        assert_int_equal(add_pairs(&m, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF"), ROUNDS);
        assert_int_equal(run(m.db, "BEGIN; INSERT INTO t (b) VALUES ('half')"), SQLITE_OK);

        sim_node_kill(m.node);
        machine_reopen(&m);

        assert_int_equal(whole_pairs(&m), ROUNDS);
        machine_end(&m);
    }
}

static void a_database_whose_writer_never_syncs_can_be_lost(void **state)
{
    (void)state;
    unsigned damaged = 0;
    for (uint64_t seed = 0; seed < SEEDS; seed++) {
        struct machine m;
        machine_start(&m, seed);
        add_pairs(&m, "PRAGMA journal_mode = WAL; PRAGMA synchronous = OFF");
        sim_node_crash(m.node);
        machine_reopen(&m);
        damaged += number(m.db, "SELECT count(*) FROM t") != ROUNDS * 2 ||
                   number(m.db, "SELECT integrity_check = 'ok' FROM pragma_integrity_check") != 1;
        machine_end(&m);
    }
    assert_true(damaged > SEEDS / 3);
}

static void locks_and_open_transactions_die_with_the_process(void **state)
{
    (void)state;
    struct machine m;
    machine_start(&m, 1);
    add_pairs(&m, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");
    sqlite3 *former = m.db, *idle = connect(&m);
    assert_int_equal(number(idle, "SELECT count(*) FROM t"), ROUNDS * 2);
    assert_int_equal(run(former, "BEGIN IMMEDIATE; INSERT INTO t (b) VALUES ('x')"), SQLITE_OK);

    sim_node_kill(m.node);
    sim_node_boot(m.node);
    m.db = connect(&m);
    assert_int_equal(run(m.db, "INSERT INTO t (b) VALUES ('a'), ('second')"), SQLITE_OK);

    /* What the former process still does changes nothing. */
    assert_int_equal(run(former, "COMMIT") & 0xff, SQLITE_IOERR);
    assert_int_equal(sqlite3_close(former), SQLITE_OK);
    assert_int_equal(sqlite3_close(idle), SQLITE_OK);
    assert_int_equal(run(m.db, "INSERT INTO t (b) VALUES ('b'), ('second')"), SQLITE_OK);
    sim_node_kill(m.node);
    machine_reopen(&m);
    assert_int_equal(whole_pairs(&m), ROUNDS + 2);
    machine_end(&m);
}

static void a_machine_without_a_process_opens_nothing(void **state)
{
    (void)state;
    struct machine m;
    machine_start(&m, 1);
    sim_node_kill(m.node);
    assert_null(connect(&m));
    machine_end(&m);
}

static void two_connections_share_the_wal_and_exclude_each_other(void **state)
{
    (void)state;
    struct machine m;
    machine_start(&m, 1);
    add_pairs(&m, "PRAGMA journal_mode = WAL");
    sqlite3 *reader = connect(&m), *other = connect(&m);
    assert_int_equal(run(reader, "BEGIN"), SQLITE_OK);
    assert_int_equal(number(reader, "SELECT count(*) FROM t"), ROUNDS * 2);

    assert_int_equal(run(m.db, "BEGIN; INSERT INTO t (b) VALUES ('x')"), SQLITE_OK);
    assert_int_equal(run(other, "INSERT INTO t (b) VALUES ('y')"), SQLITE_BUSY);
    assert_int_equal(run(m.db, "COMMIT"), SQLITE_OK);
    assert_int_equal(number(reader, "SELECT count(*) FROM t"), ROUNDS * 2);
    assert_int_equal(number(other, "SELECT count(*) FROM t"), ROUNDS * 2 + 1);
    /* Pages that a reader needs are not taken from it. */
    assert_int_equal(number(other, "PRAGMA wal_checkpoint(RESTART)"), 1);
    assert_int_equal(run(reader, "COMMIT"), SQLITE_OK);
    assert_int_equal(number(other, "PRAGMA wal_checkpoint(RESTART)"), 0);

    assert_int_equal(number(reader, "SELECT count(*) FROM t"), ROUNDS * 2 + 1);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    machine_end(&m);
}

static void a_checkpoint_may_find_a_reader_of_another_thread_in_its_way(void **state)
{
    (void)state;
    struct machine m;
    int64_t in_the_way = 0;
    machine_start(&m, 1);
    add_pairs(&m, "PRAGMA journal_mode = WAL");
    sim_node_wal_readers(m.node, 300000);

    for (int i = 0; i < 100; i++) {
        assert_int_equal(run(m.db, "INSERT INTO t (b) VALUES ('x'), ('second')"), SQLITE_OK);
        assert_int_equal(number(m.db, "SELECT count(*) FROM t"), (ROUNDS + i + 1) * 2);
        in_the_way += number(m.db, "PRAGMA wal_checkpoint(RESTART)");
    }

    assert_in_range(in_the_way, 15, 80);
    assert_int_equal(whole_pairs(&m), ROUNDS + 100);
    sim_node_wal_readers(m.node, 0);
    assert_int_equal(number(m.db, "PRAGMA wal_checkpoint(RESTART)"), 0);
    machine_end(&m);
}

static void a_rollback_journals_writer_waits_for_readers_and_keeps_new_ones_out(void **state)
{
    (void)state;
    struct machine m;
    machine_start(&m, 1);
    add_pairs(&m, "PRAGMA journal_mode = DELETE");
    sqlite3 *reader = connect(&m), *other = connect(&m);
    assert_int_equal(run(reader, "BEGIN"), SQLITE_OK);
    assert_int_equal(number(reader, "SELECT count(*) FROM t"), ROUNDS * 2);

    assert_int_equal(run(m.db, "BEGIN; INSERT INTO t (b) VALUES ('x')"), SQLITE_OK);
    assert_int_equal(run(other, "BEGIN IMMEDIATE"), SQLITE_BUSY);
    assert_int_equal(run(m.db, "COMMIT"), SQLITE_BUSY);
    assert_int_equal(number(other, "SELECT count(*) FROM t"), -1);
    assert_int_equal(run(reader, "COMMIT"), SQLITE_OK);
    assert_int_equal(run(m.db, "COMMIT"), SQLITE_OK);

    assert_int_equal(number(other, "SELECT count(*) FROM t"), ROUNDS * 2 + 1);
    assert_int_equal(sqlite3_close(reader), SQLITE_OK);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    machine_end(&m);
}

static void errors_of_the_disk_reach_sqlite_and_pass(void **state)
{
    (void)state;
    struct machine m;
    static const char insert[] = "INSERT INTO t (b) VALUES (hex(zeroblob(20000)))";
    machine_start(&m, 1);
    add_pairs(&m, "PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL");

    sim_disk_capacity(m.node, sim_disk_used(sim_node_disk(m.node)) + 4096);
    assert_int_equal(run(m.db, insert), SQLITE_FULL);
    assert_true(sim_disk_counters(sim_node_disk(m.node)).no_space > 0);
    sim_disk_capacity(m.node, 0);
    assert_int_equal(run(m.db, insert), SQLITE_OK);

    sim_node_disk_faults(m.node, &(struct sim_disk_faults){.write_eio = 1000000});
    assert_int_equal(run(m.db, insert), SQLITE_IOERR_WRITE);
    sim_node_disk_faults(m.node, &(struct sim_disk_faults){.sync_eio = 1000000});
    assert_int_equal(run(m.db, insert), SQLITE_IOERR_FSYNC);
    sqlite3 *other = connect(&m);
    sim_node_disk_faults(m.node, &(struct sim_disk_faults){.read_eio = 1000000});
    assert_int_equal(run(other, "SELECT count(*) FROM t"), SQLITE_IOERR_READ);
    assert_int_equal(sqlite3_close(other), SQLITE_OK);
    sim_node_disk_faults(m.node, &(struct sim_disk_faults){0});
    assert_int_equal(run(m.db, insert), SQLITE_OK);
    machine_end(&m);
}

static void a_flipped_bit_in_the_file_is_what_sqlite_reads(void **state)
{
    (void)state;
    struct machine m;
    struct error e;
    machine_start(&m, 1);
    add_pairs(&m, "PRAGMA journal_mode = WAL");
    assert_int_equal(run(m.db, "PRAGMA wal_checkpoint(TRUNCATE)"), SQLITE_OK);
    assert_int_equal(sim_disk_flip(sim_node_disk(m.node), "/db", 4096, 6, &e), 0);
    sim_node_kill(m.node);
    machine_reopen(&m);
    assert_int_equal(run(m.db, "SELECT count(*) FROM t"), SQLITE_CORRUPT);
    machine_end(&m);
}

static void what_sqlite_puts_aside_takes_no_room_on_the_disk(void **state)
{
    (void)state;
    struct machine m;
    machine_start(&m, 1);
    add_pairs(&m, "PRAGMA journal_mode = WAL; PRAGMA temp_store = FILE; PRAGMA cache_size = 10");
    assert_int_equal(run(m.db,
                         "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 3000)"
                         "INSERT INTO t (b) SELECT printf('%.1000c%d', 'x', i * 7919 % 3000) FROM n"),
                     SQLITE_OK);
    sim_disk_capacity(m.node, sim_disk_used(sim_node_disk(m.node)));

    /* More than SQLite sorts in memory. */
    assert_int_equal(number(m.db, "SELECT sum(b < before) FROM"
                                  " (SELECT b, lag(b) OVER (ORDER BY b) AS before FROM t)"),
                     0);

    assert_int_equal(sim_disk_counters(sim_node_disk(m.node)).no_space, 0);
    machine_end(&m);
}

static void a_write_of_128_kib_is_refused_as_by_sqlites_own_vfs(void **state)
{
    struct machine m;
    sqlite3_file *file = NULL;
    uint8_t *bytes = calloc(1, 128 * 1024);
    (void)state;
    machine_start(&m, 1);
    m.db = connect(&m);
    assert_int_equal(sqlite3_file_control(m.db, "main", SQLITE_FCNTL_FILE_POINTER, &file), SQLITE_OK);

    assert_int_equal(file->pMethods->xWrite(file, bytes, 128 * 1024 - 1, 0), SQLITE_OK);
    assert_int_equal(file->pMethods->xWrite(file, bytes, 128 * 1024, 0), SQLITE_FULL);

    free(bytes);
    machine_end(&m);
}

static void the_clock_is_the_machines(void **state)
{
    (void)state;
    struct machine m;
    machine_start(&m, 1);
    m.db = connect(&m);
    int64_t before = number(m.db, "SELECT unixepoch('now')");
    assert_int_equal(before, env_wall_ms(sim_node_env(m.node)) / 1000);
    sim_run_until(m.sim, 3600 * (uint64_t)SECOND);
    sim_node_wall_jump(m.node, 60000);
    assert_int_equal(number(m.db, "SELECT unixepoch('now')"), before + 3660);
    machine_end(&m);
}

static uint64_t hash_of_a_run(uint64_t seed)
{
    struct machine m;
    machine_start(&m, seed);
    add_pairs(&m, "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL");
    run(m.db, "INSERT INTO t (b) VALUES (hex(randomblob(1000)))");
    sim_node_crash(m.node);
    machine_reopen(&m);
    run(m.db, "INSERT INTO t (b) VALUES (hex(randomblob(1000)))");
    uint64_t hash = sim_hash(m.sim);
    machine_end(&m);
    return hash;
}

static void the_same_seed_writes_the_same_bytes(void **state)
{
    (void)state;
    uint64_t once = hash_of_a_run(7);
    uint64_t other = hash_of_a_run(8);
    assert_int_equal(hash_of_a_run(7), once);
    assert_int_not_equal(once, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(synced_commits_survive_power_loss_in_every_operation_of_a_wal),
        cmocka_unit_test(synced_commits_survive_power_loss_in_every_operation_of_a_rollback_journal),
        cmocka_unit_test(unsynced_commits_may_be_lost_but_never_half),
        cmocka_unit_test(a_killed_process_loses_no_commit),
        cmocka_unit_test(a_database_whose_writer_never_syncs_can_be_lost),
        cmocka_unit_test(locks_and_open_transactions_die_with_the_process),
        cmocka_unit_test(a_machine_without_a_process_opens_nothing),
        cmocka_unit_test(two_connections_share_the_wal_and_exclude_each_other),
        cmocka_unit_test(a_checkpoint_may_find_a_reader_of_another_thread_in_its_way),
        cmocka_unit_test(a_rollback_journals_writer_waits_for_readers_and_keeps_new_ones_out),
        cmocka_unit_test(errors_of_the_disk_reach_sqlite_and_pass),
        cmocka_unit_test(a_flipped_bit_in_the_file_is_what_sqlite_reads),
        cmocka_unit_test(what_sqlite_puts_aside_takes_no_room_on_the_disk),
        cmocka_unit_test(a_write_of_128_kib_is_refused_as_by_sqlites_own_vfs),
        cmocka_unit_test(the_clock_is_the_machines),
        cmocka_unit_test(the_same_seed_writes_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
