/* sql_text: what reads SQL without knowing its grammar: storage/token.h, node/http/pragma.h, the refusals of
 * storage/determinism.h, and the command line's node/cli/splitter.h. */
#include <string.h>

#include "node/cli/splitter.h"
#include "node/http/pragma.h"
#include "storage/determinism.h"
#include "storage/token.h"
#include "tests/fuzz/target.h"

static void check_tokens(const char *p, size_t n)
{
    const char *at = p, *end = p + n, *before = p;
    struct token t;

    while (token_next(&at, end, &t)) {
        FUZZ_CHECK(t.n > 0 && t.p >= before && t.p + t.n <= end && at >= t.p + t.n && at <= end,
                   "tokens follow each other within the text");
        FUZZ_CHECK(t.kind != TOKEN_WORD || (!token_is(&t, "") && token_begins(&t, "")), "a word has letters");
        token_is(&t, "PRAGMA");
        token_begins(&t, "quorate_");
        before = t.p + t.n;
    }
    FUZZ_CHECK(at == end, "the text is read to its end");
}

static void check_splitter(const char *p, size_t n)
{
    while (n > 0) {
        bool blank, again;
        size_t len = splitter_next(p, n, &blank);

        FUZZ_CHECK(len <= n, "a statement is within the text");
        splitter_reads(p, len > 0 ? len : n);
        if (len == 0) {
            return;
        }
        FUZZ_CHECK(p[len - 1] == ';', "a statement ends in its semicolon");
        FUZZ_CHECK(splitter_next(p, len, &again) == len && again == blank,
                   "where it ends does not depend on what follows");
        FUZZ_CHECK(len == 1 || splitter_next(p, len - 1, &again) == 0, "nor is a part of it one");
        p += len;
        n -= len;
    }
}

static void run(const uint8_t *bytes, size_t n)
{
    const char *p = (const char *)bytes;
    struct error e;

    check_tokens(p, n);
    check_splitter(p, n);
    pragma_disallowed(p, n);
    FUZZ_CHECK(determinism_check(p, n, &e) == 0 || e.code == Q_DENIED, "it is denied or not");
}

static void seeds(struct seeds *s)
{
    static const char *const texts[] = {
        "SELECT 'it''s', \"a\"\"b\", [c d], `e` -- comment\n, :p, ?1, @q, $r::x(y) /* more; */;SELECT 2;",
        "CREATE TRIGGER g AFTER INSERT ON t BEGIN UPDATE u SET a = 1; DELETE FROM v; END; SELECT 1;",
        "EXPLAIN CREATE TEMP TRIGGER g DELETE ON t BEGIN SELECT CASE WHEN 1 THEN 2 END; END",
        "PRAGMA main.\"journal_mode\" = wal; pragma /**/ wal_checkpoint (TRUNCATE)",
        "CREATE TABLE a (b REFERENCES \"quorate_kv\"); ALTER TABLE a RENAME TO quorate_x;",
        "SELECT x'0aF', 1.5e-3, 0x7f, 'open",
    };
    char name[8];

    for (unsigned i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        snprintf(name, sizeof name, "%u", i);
        seeds_add(s, name, texts[i], strlen(texts[i]));
    }
}

const struct fuzz_target fuzz_target = {.run = run, .seeds = seeds};
