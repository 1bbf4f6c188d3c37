#include "storage/keyword.h"

#include <string.h>
#include <strings.h>

static bool in_name(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
           c == '$' || (c & 0x80) != 0;
}

/* Most statements do not have the bytes at all. */
static bool bytes_in(const char *sql, size_t n, const char *keyword, size_t len)
{
    for (size_t i = 0; i + len <= n; i++) {
        if ((sql[i] | 0x20) == keyword[0] && strncasecmp(sql + i, keyword, len) == 0) {
            return true;
        }
    }
    return false;
}

/* Where what begins at I ends. CLOSE twice stands for itself, except for ']'. */
static size_t skip_quoted(const char *sql, size_t n, size_t i, char close)
{
    for (i++; i < n; i++) {
        if (sql[i] == close) {
            if (close == ']' || i + 1 == n || sql[i + 1] != close) {
                return i + 1;
            }
            i++;
        }
    }
    return n;
}

static size_t skip_line(const char *sql, size_t n, size_t i)
{
    const char *end = memchr(sql + i, '\n', n - i);
    return end != NULL ? (size_t)(end - sql) + 1 : n;
}

static size_t skip_comment(const char *sql, size_t n, size_t i)
{
    const char *end = memmem(sql + i + 2, n - i - 2, "*/", 2);
    return end != NULL ? (size_t)(end - sql) + 2 : n;
}

static size_t skip_name(const char *sql, size_t n, size_t i)
{
    while (i < n && in_name(sql[i])) {
        i++;
    }
    return i;
}

bool keyword_in(const char *sql, size_t n, const char *keyword)
{
    size_t len = strlen(keyword), i = 0;
    bool after_dot = false;

    if (!bytes_in(sql, n, keyword, len)) {
        return false;
    }
    while (i < n) {
        char c = sql[i], next = i + 1 < n ? sql[i + 1] : '\0';
        size_t start = i;
        bool dot = false;

        if (c == '\'' || c == '"' || c == '`') {
            i = skip_quoted(sql, n, i, c);
        } else if (c == '[') {
            i = skip_quoted(sql, n, i, ']');
        } else if (c == '-' && next == '-') {
            i = skip_line(sql, n, i);
        } else if (c == '/' && next == '*') {
            i = skip_comment(sql, n, i);
        } else if (c == ':' || c == '@' || c == '#') {
            i = skip_name(sql, n, i + 1);
        } else if (in_name(c)) {
            i = skip_name(sql, n, i);
            if (!after_dot && i - start == len && strncasecmp(sql + start, keyword, len) == 0) {
                return true;
            }
        } else {
            dot = c == '.' || (after_dot && (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f'));
            i++;
        }
        after_dot = dot;
    }
    return false;
}
