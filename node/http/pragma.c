#include "node/http/pragma.h"

#include <string.h>
#include <strings.h>

#include "storage/token.h"

static const struct {
    const char *name;
    bool also_read;
} pragmas[] = {
    {"journal_mode", false}, {"wal_autocheckpoint", false}, {"wal_checkpoint", true},
    {"synchronous", false},  {"query_only", false},
};

static bool is_byte(const struct token *t, char byte)
{
    return t->kind == TOKEN_OTHER && t->n == 1 && *t->p == byte;
}

/* Whether it is NAME, with or without quotes. */
static bool names(const struct token *t, const char *name)
{
    size_t quote = t->kind == TOKEN_QUOTED ? 1 : 0;

    return t->kind != TOKEN_OTHER && t->n == strlen(name) + 2 * quote &&
           strncasecmp(t->p + quote, name, strlen(name)) == 0;
}

/* What follows the word PRAGMA, up to its value at most. */
static bool is_disallowed(const char **at, const char *end)
{
    struct token name, next = {.kind = TOKEN_OTHER};
    bool more;

    if (!token_next(at, end, &name)) {
        return false;
    }
    if (is_byte(&name, ';')) {
        *at = name.p;
        return false;
    }
    more = token_next(at, end, &next);
    if (more && is_byte(&next, '.')) {
        if (!token_next(at, end, &name)) {
            return false;
        }
        more = token_next(at, end, &next);
    }
    for (unsigned i = 0; i < sizeof pragmas / sizeof pragmas[0]; i++) {
        if (names(&name, pragmas[i].name)) {
            return pragmas[i].also_read || (more && (is_byte(&next, '=') || is_byte(&next, '(')));
        }
    }
    *at = more ? next.p : end; /* it may be the end of the statement */
    return false;
}

/* Most requests hold no PRAGMA at all. */
static bool holds_pragma(const char *sql, size_t n)
{
    static const char word[] = "pragma";

    for (size_t i = 0; i + strlen(word) <= n; i++) {
        if ((sql[i] | 0x20) == word[0] && strncasecmp(sql + i, word, strlen(word)) == 0) {
            return true;
        }
    }
    return false;
}

bool pragma_disallowed(const char *sql, size_t n)
{
    const char *at = sql, *end = sql + n;
    bool first = true; /* of its statement */
    struct token t;

    if (!holds_pragma(sql, n)) {
        return false;
    }
    while (token_next(&at, end, &t)) {
        if (first && token_is(&t, "pragma") && is_disallowed(&at, end)) {
            return true;
        }
        first = is_byte(&t, ';');
    }
    return false;
}

bool pragma_disallowed_in(const struct command *command)
{
    struct cursor next = command->statement;

    for (uint32_t i = 0; i < command->statements; i++) {
        struct cursor sql = command_statement(&next).sql;
        if (pragma_disallowed((const char *)sql.p, cursor_left(&sql))) {
            return true;
        }
    }
    return false;
}
