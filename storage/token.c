#include "storage/token.h"

#include <string.h>
#include <strings.h>

static bool in_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (c & 0x80) != 0;
}

static bool is_space(char c)
{
    return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f';
}

static bool starts(const char *p, const char *end, const char *two)
{
    return end - p >= 2 && p[0] == two[0] && p[1] == two[1];
}

/* Where what begins at P with a quote ends. A quote that is written twice to stand for itself ends one token
 * and begins the next: for finding words that is as good. */
static const char *end_of_quoted(const char *p, const char *end)
{
    const char *close = memchr(p + 1, *p == '[' ? ']' : *p, (size_t)(end - p) - 1);

    return close != NULL ? close + 1 : end;
}

static const char *end_of_word(const char *p, const char *end)
{
    while (p < end && in_word(*p)) {
        p++;
    }
    return p;
}

static const char *skip_blank(const char *p, const char *end)
{
    for (;;) {
        if (p < end && is_space(*p)) {
            p++;
        } else if (starts(p, end, "--")) {
            const char *line = memchr(p, '\n', (size_t)(end - p));
            p = line != NULL ? line + 1 : end;
        } else if (starts(p, end, "/*")) {
            const char *close = memmem(p + 2, (size_t)(end - p) - 2, "*/", 2);
            p = close != NULL ? close + 2 : end;
        } else {
            return p;
        }
    }
}

bool token_next(const char **sql, const char *end, struct token *ret_token)
{
    const char *p = skip_blank(*sql, end);
    struct token t = {.kind = TOKEN_OTHER, .p = p};

    if (p == end) {
        *sql = p;
        return false;
    }
    if (*p == '\'' || *p == '"' || *p == '`' || *p == '[') {
        t.kind = TOKEN_QUOTED;
        p = end_of_quoted(p, end);
    } else if (*p == ':' || *p == '@' || *p == '#' || *p == '$') {
        p = end_of_word(p + 1, end);
    } else if (in_word(*p)) {
        t.kind = TOKEN_WORD;
        p = end_of_word(p, end);
    } else {
        p++;
    }
    t.n = (size_t)(p - t.p);
    *sql = p;
    *ret_token = t;
    return true;
}

bool token_is(const struct token *t, const char *word)
{
    return t->kind == TOKEN_WORD && t->n == strlen(word) && strncasecmp(t->p, word, t->n) == 0;
}

bool token_begins(const struct token *t, const char *prefix)
{
    size_t quote = t->kind == TOKEN_QUOTED ? 1 : 0, n = strlen(prefix);

    return t->kind != TOKEN_OTHER && t->n >= quote + n && strncasecmp(t->p + quote, prefix, n) == 0;
}
