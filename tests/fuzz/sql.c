/* sql: arbitrary SQL through store_apply(). Two nodes apply the same entries: one in memory; one in a file on
 * a simulated disk, which it closes and opens again, or loses power over. No client's statement makes a node
 * fail; both answer the same, byte for byte, and have the same digest, which is that of a scan of the whole
 * content. So they draw the line of what takes too many instructions in the same place.
 *
 * The input is a list of words of a table of SQL's vocabulary, so that what is made of it often has a
 * grammar. */
#include <sqlite3.h>
#include <string.h>

#include "storage/store.h"
#include "tests/fuzz/machine.h"

enum {
    ENTRIES_MAX = 12,
    STATEMENT_MAX = 1000,
    RESULT_MAX = STORE_RESULT_MIN,
    HEAP_MAX = 48 * 1024 * 1024,
    READ_TIMEOUT_MS = 50, /* of a clock that goes on by one with each look */
};

/* Each ends in a tab. */
static const char vocabulary[] =
    "SELECT\tINSERT\tINTO\tVALUES\t(\t)\t,\t;\tUPDATE\tSET\tDELETE\tFROM\tWHERE\tCREATE\tTABLE\t"
    "DROP\tALTER\tADD\tCOLUMN\tRENAME\tTO\tINDEX\tUNIQUE\tVIEW\tTRIGGER\tBEGIN\tEND\tAFTER\tBEFORE\t"
    "INSTEAD OF\tON\tNEW.\tOLD.\tOR REPLACE\tOR ROLLBACK\tOR FAIL\tOR IGNORE\tOR ABORT\t"
    "IF NOT EXISTS\tIF EXISTS\tPRIMARY KEY\tAUTOINCREMENT\tWITHOUT ROWID\tREFERENCES\t"
    "ON DELETE CASCADE\tON UPDATE SET NULL\tDEFERRABLE INITIALLY DEFERRED\tDEFAULT\tCHECK\t"
    "NOT NULL\tINTEGER\tTEXT\tREAL\tBLOB\tCOLLATE NOCASE\tGENERATED ALWAYS AS\tSTORED\tON CONFLICT\t"
    "DO UPDATE SET\tDO NOTHING\tRETURNING\tWITH RECURSIVE\tAS\tUNION ALL\tEXCEPT\tORDER BY\t"
    "GROUP BY\tHAVING\tLIMIT\tOFFSET\tJOIN\tLEFT JOIN\tCROSS JOIN\tUSING\tNATURAL\tIN\tEXISTS\t"
    "CASE WHEN\tTHEN\tELSE\tBETWEEN\tAND\tOR\tNOT\tNULL\tIS\tLIKE\tGLOB\tCAST(\tOVER (\t"
    "PARTITION BY\tVIRTUAL TABLE\tfts5\trtree\tMATCH\tRAISE(ROLLBACK,'r')\tRAISE(ABORT,'a')\t"
    "RAISE(FAIL,'f')\tRAISE(IGNORE)\tPRAGMA\tVACUUM\tANALYZE\tREINDEX\tATTACH\tDETACH\tSAVEPOINT\t"
    "RELEASE\tROLLBACK\tCOMMIT\tEXPLAIN\tt\tu\tv\tf\tr\ta\tb\tc\td\tx\trowid\tsqlite_sequence\t"
    "sqlite_schema\tquorate_kv\tquorate_state\t1\t2\t0\t-1\t3.5\t1e300\t9223372036854775807\t'a'\t"
    "'it''s'\tx'00ff'\t?\t:a\t*\t=\t<\t>\t+\t-\t/\t%\t||\t->\trandom()\trandomblob(\t"
    "datetime('now')\tCURRENT_TIMESTAMP\tlast_insert_rowid()\tchanges()\ttotal_changes()\thex(\t"
    "abs(\tcount(\tmax(\tsum(\tzeroblob(\tprintf(\treplace(\tjson_each(\tjson(\tsqlite_version()\t"
    "load_extension(\t-- c\n\t/* c */\t\"a b\"\t[x]\tmain.\ttemp.\tTEMP\tAS t\tforeign_keys\t"
    "user_version\ttable_info(t)\tjournal_mode\tintegrity_check\tgenerate_series(1,9)\t"
    "group_concat(\trow_number()\texp(\tstrftime('%s')\t";

enum { WORDS_MAX = 252, RAW = 252, NEXT_ENTRY = 253, NEXT_COMMAND = 254, NEXT_STATEMENT = 255 };

static struct cursor words[WORDS_MAX]; /* a word is one byte of the input */
static unsigned word_count;

static void find_words(void)
{
    for (const char *p = vocabulary, *tab; (tab = strchr(p, '\t')) != NULL; p = tab + 1) {
        FUZZ_CHECK(word_count < WORDS_MAX, "a word is one byte");
        words[word_count++] = cursor_of(p, (size_t)(tab - p));
    }
}

static void prepare(void)
{
    if (word_count == 0) {
        find_words();
        sqlite3_hard_heap_limit64(HEAP_MAX);
    }
}

/* ---- two nodes ---- */

struct entry {
    struct buf bytes;
    struct buf results;
};

struct scene {
    struct machine m;
    struct store *memory, *file; /* file: may be NULL */
    struct entry entries[ENTRIES_MAX];
    unsigned count;
    uint64_t clock;
    bool reading;
    bool over; /* something ran out: what comes then is no test */
};

/* Time goes on for readers only, so that results of writes do not tell of it. */
static uint64_t elapsed_ns(void *ctx)
{
    struct scene *s = ctx;
    s->clock += s->reading ? 1000000 : 0;
    return s->clock;
}

static struct store *open_store(struct scene *s, bool file)
{
    struct store_config config = {.readers = 1,
                                  .result_max = RESULT_MAX,
                                  .foreign_keys = true,
                                  .instructions_max = STORE_INSTRUCTIONS_MIN};
    struct store *store = NULL;
    struct error e;

    if (file) {
        config.path = "data/db.sqlite";
        config.vfs = sim_node_vfs(s->m.node);
        config.elapsed_ns = elapsed_ns;
        config.ctx = s;
    }
    if (store_open(&config, &store, &e) != 0) {
        FUZZ_CHECK(e.code == Q_NOMEM, e.text);
        s->over = true;
    }
    return store;
}

/* False: memory ran out. */
static bool apply(struct scene *s, struct store *store, unsigned which, struct buf *results)
{
    struct entry *entry = &s->entries[which];
    struct error e;
    bool done;

    done = store_apply(store, which + 1, 1, entry->bytes.data, entry->bytes.len, results, &e) == 0;
    FUZZ_CHECK(done || e.code == Q_NOMEM, e.text);
    return done;
}

static void compare_stores(struct scene *s)
{
    struct store_position a, b;

    if (s->file == NULL) {
        return;
    }
    store_position(s->memory, &a);
    store_position(s->file, &b);
    FUZZ_CHECK(a.index == b.index && memcmp(a.digest, b.digest, sizeof a.digest) == 0,
               "both have the same content");
}

static void checkpoint(struct scene *s)
{
    struct error e;
    uint64_t index;

    if (store_checkpoint(s->file, &index, &e) != 0) {
        FUZZ_CHECK(e.code == Q_NOMEM, e.text);
        s->over = true;
    } else {
        FUZZ_CHECK(index == s->count, "a checkpoint holds all");
    }
}

/* Closes and opens the one in the file, and applies what it has lost. */
static void restart(struct scene *s, bool crash)
{
    struct store_position at;

    if (crash) {
        sim_node_crash(s->m.node);
    }
    store_close(s->file);
    if (crash) {
        s->m.env = sim_node_boot(s->m.node);
    }
    s->file = open_store(s, true);
    if (s->file == NULL) {
        return;
    }
    store_position(s->file, &at);
    FUZZ_CHECK(at.index <= s->count && (crash || at.index == s->count), "nothing is lost without a crash");
    for (unsigned i = (unsigned)at.index; i < s->count && !s->over; i++) {
        struct buf again;
        buf_init(&again, RESULT_MAX * 64);
        s->over = !apply(s, s->file, i, &again);
        FUZZ_CHECK(s->over || (again.len == s->entries[i].results.len &&
                               memcmp(again.data, s->entries[i].results.data, again.len) == 0),
                   "an entry that is applied again answers the same");
        buf_close(&again);
    }
}

static void add_entry(struct scene *s, const struct buf *commands, uint32_t count)
{
    struct batch batch = {.term = 1, .index = s->count + 1, .time_ms = 1700000000000, .commands = count};
    struct entry *entry = &s->entries[s->count];
    struct buf other;

    batch.time_ms += s->count;
    buf_init(&entry->bytes, 1024 * 1024);
    buf_init(&entry->results, RESULT_MAX * 64);
    buf_init(&other, RESULT_MAX * 64);
    batch_put_header(&entry->bytes, &batch);
    buf_put_bytes(&entry->bytes, commands->data, commands->len);
    s->over = !apply(s, s->memory, s->count, &entry->results) ||
              (s->file != NULL && !apply(s, s->file, s->count, &other));
    s->count++;
    if (!s->over && s->file != NULL) {
        FUZZ_CHECK(entry->results.len == other.len && memcmp(entry->results.data, other.data, other.len) == 0,
                   "both answer the same");
        compare_stores(s);
    }
    buf_close(&other);
}

static void verify(struct scene *s)
{
    struct store *stores[] = {s->memory, s->file};
    struct error e;

    for (unsigned i = 0; i < 2; i++) {
        if (stores[i] != NULL && store_verify(stores[i], &e) != 0) {
            FUZZ_CHECK(e.code == Q_NOMEM, e.text);
            return;
        }
    }
}

/* ---- the input ---- */

static void put_parameters(struct buf *command)
{
    static const struct value values[] = {
        {.type = VALUE_INTEGER, .integer = 7}, {.type = VALUE_NULL}, {.type = VALUE_REAL, .real = 2.0}};
    for (unsigned i = 0; i < 3; i++) {
        command_put_parameter(command, "a", i == 1, &values[i]);
    }
}

static void put_statement(struct buf *command, const struct buf *sql)
{
    command_put_statement(command, sql->data, sql->len, 3);
    put_parameters(command);
}

/* Appends a word, or bytes as they are; false for anything else. */
static bool put_word(struct buf *sql, uint8_t word, struct cursor *input)
{
    struct cursor raw;

    if (word < word_count) {
        buf_put_bytes(sql, words[word].p, cursor_left(&words[word]));
        buf_put_u8(sql, ' ');
        return true;
    }
    if (word == RAW) {
        raw = input_bytes(input, 15);
        buf_put_bytes(sql, raw.p, cursor_left(&raw));
        return true;
    }
    return false;
}

/* The statements of one command; the byte behind them. */
static uint8_t take_command(struct cursor *input, struct buf *commands)
{
    enum command_op op = (enum command_op)input_range(input, COMMAND_SQL_EXECUTE, COMMAND_SQL_REQUEST);
    unsigned flags = input_range(input, 0, COMMAND_TRANSACTION);
    struct buf sql, body, command;
    uint32_t statements = 0;
    uint8_t byte = NEXT_STATEMENT;

    buf_init(&sql, STATEMENT_MAX);
    buf_init(&body, FUZZ_INPUT_MAX * 4);
    buf_init(&command, FUZZ_INPUT_MAX * 4);
    while (byte == NEXT_STATEMENT) {
        buf_clear(&sql);
        do {
            byte = cursor_left(input) > 0 ? cursor_u8(input) : NEXT_ENTRY;
        } while (put_word(&sql, byte, input));
        if (sql.failed == Q_OK && sql.len > 0) {
            put_statement(&body, &sql);
            statements++;
        }
    }
    if (statements > 0) {
        struct command checked;
        command_put_sql(&command, op, flags, statements);
        buf_put_bytes(&command, body.data, body.len);
        if (command_decode(command.data, command.len, &checked, NULL) == 0) { /* else it is not UTF-8 */
            buf_put_blob(commands, command.data, command.len);
        }
    }
    buf_close(&sql);
    buf_close(&body);
    buf_close(&command);
    return byte;
}

/* By a reader, which must refuse what writes. */
static void read_commands(struct scene *s, const struct buf *commands)
{
    struct cursor c = cursor_of(commands->data, commands->len);
    struct store_position before, after;

    store_position(s->file, &before);
    while (cursor_left(&c) > 0) {
        struct cursor bytes = cursor_blob(&c);
        struct command command;
        struct buf result;
        struct error e;
        uint64_t index;

        buf_init(&result, RESULT_MAX);
        command_decode(bytes.p, cursor_left(&bytes), &command, NULL);
        s->reading = true;
        store_is_read_only(s->file, &command);
        if (store_read(s->file, &command, READ_TIMEOUT_MS, &result, &index, &e) != 0) {
            FUZZ_CHECK(e.code == Q_NOMEM, e.text);
        }
        s->reading = false;
        buf_close(&result);
    }
    store_position(s->file, &after);
    FUZZ_CHECK(memcmp(before.digest, after.digest, sizeof before.digest) == 0, "a reader changes nothing");
}

static void run_entries(struct scene *s, struct cursor *input)
{
    while (cursor_left(input) > 0 && s->count < ENTRIES_MAX && !s->over) {
        struct buf commands;
        uint32_t count = 0;
        uint8_t what = cursor_u8(input), byte;

        buf_init(&commands, FUZZ_INPUT_MAX * 8);
        do {
            size_t before = commands.len;
            byte = take_command(input, &commands);
            count += commands.len > before;
        } while (byte == NEXT_COMMAND && cursor_left(input) > 0);
        if (count > 0 && (what & 4) != 0 && s->file != NULL) {
            read_commands(s, &commands);
        }
        if (count > 0) {
            add_entry(s, &commands, count);
        }
        buf_close(&commands);
        if (!s->over && s->file != NULL && (what & 3) == 3) {
            if ((what & 16) != 0) {
                checkpoint(s);
            }
            restart(s, (what & 8) != 0);
        }
    }
}

static void run(const uint8_t *p, size_t n)
{
    struct cursor input = cursor_of(p, n);
    struct scene s = {.count = 0};

    prepare();
    machine_init(&s.m);
    s.memory = open_store(&s, false);
    if (input_range(&input, 0, 1) == 1) {
        s.file = open_store(&s, true);
    }
    if (!s.over) {
        run_entries(&s, &input);
    }
    if (!s.over) {
        compare_stores(&s);
        verify(&s);
    }
    store_close(s.memory);
    store_close(s.file);
    machine_stop(&s.m);
    machine_close(&s.m);
    for (unsigned i = 0; i < s.count; i++) {
        buf_close(&s.entries[i].bytes);
        buf_close(&s.entries[i].results);
    }
}

/* ---- seeds ---- */

static void put_words(struct buf *b, const char *sql)
{
    while (*sql != 0) {
        unsigned best = word_count;
        for (unsigned i = 0; i < word_count; i++) {
            size_t n = cursor_left(&words[i]);
            if (strncmp(sql, (const char *)words[i].p, n) == 0 &&
                (best == word_count || n > cursor_left(&words[best]))) {
                best = i;
            }
        }
        if (best < word_count) {
            buf_put_u8(b, (uint8_t)best);
            sql += cursor_left(&words[best]);
        } else {
            FUZZ_CHECK(*sql == ' ', "a seed is made of the words");
            sql++;
        }
    }
}

static void seeds(struct seeds *s)
{
    static const char *const texts[] = {
        "CREATE TABLE t ( a INTEGER PRIMARY KEY , b UNIQUE , c DEFAULT CURRENT_TIMESTAMP )",
        "INSERT OR REPLACE INTO t ( b ) VALUES ( random() % 2 ) , ( 'a' ) RETURNING *",
        "CREATE TRIGGER x AFTER INSERT ON t BEGIN INSERT INTO u VALUES ( NEW. a ) ; END",
        "CREATE TABLE u ( d REFERENCES t ( a ) ON DELETE CASCADE DEFERRABLE INITIALLY DEFERRED )",
        "DELETE FROM t WHERE a = 1 OR rowid > ? ; UPDATE t SET b = b || :a",
        "CREATE VIRTUAL TABLE f USING fts5 ( x )",
        "INSERT INTO f VALUES ( 'a' ) ; SELECT * FROM f WHERE f MATCH 'a'",
        "WITH RECURSIVE x ( a ) AS ( SELECT 1 UNION ALL SELECT a + 1 FROM x ) SELECT count( * ) FROM x",
        "ALTER TABLE t ADD COLUMN d DEFAULT 3.5 ; ALTER TABLE t RENAME TO v ; DROP TABLE v",
        "CREATE VIEW v AS SELECT a , row_number() OVER ( ORDER BY b ) FROM t ; PRAGMA user_version = 1",
        "SAVEPOINT a ; ROLLBACK ; VACUUM ; ATTACH 'a' AS b ; SELECT load_extension( 'a' )",
    };
    struct buf b;

    prepare();
    buf_init(&b, FUZZ_INPUT_MAX);
    for (unsigned first = 0; first < 2; first++) {
        buf_clear(&b);
        buf_put_u8(&b, (uint8_t)!first); /* the one in a file */
        for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
            buf_put_u8(&b, (uint8_t)(first == 0 ? 7 + 8 * (i % 4) : 0)); /* what happens besides */
            buf_put_u8(&b, first == 0 ? 0 : 2);                          /* op */
            buf_put_u8(&b, (uint8_t)(i % 2));
            put_words(&b, texts[i]);
            buf_put_u8(&b, first == 0 ? NEXT_ENTRY : i % 3 == 2 ? NEXT_ENTRY : NEXT_COMMAND);
        }
        seeds_add(s, first == 0 ? "entries" : "commands", b.data, b.len);
    }
    buf_close(&b);
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds, .cost = 100};
