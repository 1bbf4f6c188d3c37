#include "node/cli/splitter.h"

#include <ctype.h>
#include <string.h>

/* What is known of the statement so far. The body of a trigger holds semicolons; it ends with "; END ;". */
struct reading {
    unsigned words; /* read so far, up to the ones that name the statement */
    bool create, trigger, after_semicolon, after_end;
};

/* The end of what begins with a quote at I; N if it does not end. */
static size_t skip_quoted(const char *p, size_t n, size_t i)
{
    char close = p[i] == '[' ? ']' : p[i];
    for (i++; i < n; i++) {
        if (p[i] == close) {
            if (close == ']' || i + 1 == n || p[i + 1] != close) {
                return i + 1;
            }
            i++; /* a doubled quote stands for itself */
        }
    }
    return n + 1;
}

/* The end of a comment at I; I if there is none; beyond N if it does not end. The end of the text ends a
 * line. */
static size_t skip_comment(const char *p, size_t n, size_t i)
{
    if (i + 1 < n && p[i] == '-' && p[i + 1] == '-') {
        const char *end = memchr(p + i, '\n', n - i);
        return end != NULL ? (size_t)(end - p) + 1 : n;
    }
    if (i + 1 < n && p[i] == '/' && p[i + 1] == '*') {
        const char *end = memmem(p + i + 2, n - i - 2, "*/", 2);
        return end != NULL ? (size_t)(end - p) + 2 : n + 1;
    }
    return i;
}

static bool is_word_byte(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (c & 0x80) != 0;
}

static bool is_word(const char *p, size_t n, const char *word)
{
    return n == strlen(word) && strncasecmp(p, word, n) == 0;
}

static void take_word(struct reading *r, const char *p, size_t n)
{
    bool prefix = is_word(p, n, "EXPLAIN") || is_word(p, n, "TEMP") || is_word(p, n, "TEMPORARY");

    r->after_end = r->trigger && r->after_semicolon && is_word(p, n, "END");
    r->after_semicolon = false;
    if (r->words == 0 && is_word(p, n, "CREATE")) {
        r->create = true;
    } else if (r->words == 1 && r->create && is_word(p, n, "TRIGGER")) {
        r->trigger = true;
    } else if (prefix) {
        return;
    }
    r->words++;
}

size_t splitter_next(const char *p, size_t n, bool *ret_blank)
{
    struct reading r = {0};
    bool blank = true;
    size_t i = 0;

    while (i < n) {
        size_t next = skip_comment(p, n, i);
        if (next == i && isspace((unsigned char)p[i])) {
            next = i + 1;
        } else if (next == i && p[i] == ';') {
            if (!r.trigger || r.after_end) {
                *ret_blank = blank;
                return i + 1;
            }
            r.after_semicolon = true;
            next = i + 1;
        } else if (next == i) {
            blank = false;
            if (is_word_byte(p[i])) {
                for (next = i; next < n && is_word_byte(p[next]); next++) {
                }
                take_word(&r, p + i, next - i);
            } else {
                bool quote = memchr("'\"`[", p[i], 4) != NULL;
                next = quote ? skip_quoted(p, n, i) : i + 1;
                r.after_semicolon = r.after_end = false;
                r.words++;
            }
        }
        i = next;
    }
    *ret_blank = blank && i <= n; /* a comment that goes on is something */
    return 0;
}

bool splitter_reads(const char *p, size_t n)
{
    static const char *const words[] = {"SELECT", "VALUES", "EXPLAIN"};
    size_t i = 0, end;

    while (i < n) {
        size_t next = isspace((unsigned char)p[i]) ? i + 1 : skip_comment(p, n, i);
        if (next == i) {
            break;
        }
        i = next;
    }
    for (end = i; end < n && is_word_byte(p[end]); end++) {
    }
    for (unsigned k = 0; i < n && k < sizeof words / sizeof words[0]; k++) {
        if (is_word(p + i, end - i, words[k])) {
            return true;
        }
    }
    return false;
}
