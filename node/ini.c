#include "node/ini.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/buf.h"

enum { CHUNK_BYTES = 4096 };

static int read_all(FILE *file, const char *path, struct buf *b, struct error *e)
{
    uint8_t chunk[CHUNK_BYTES];
    size_t n;

    while ((n = fread(chunk, 1, sizeof chunk, file)) > 0) {
        buf_put_bytes(b, chunk, n);
    }
    if (ferror(file)) {
        return error_errno(e, errno, "configuration file %s", path);
    }
    buf_put_u8(b, 0);
    return buf_check(b, path, e);
}

static char *trim(char *text)
{
    size_t n;
    while (isspace((unsigned char)*text)) {
        text++;
    }
    n = strlen(text);
    while (n > 0 && isspace((unsigned char)text[n - 1])) {
        n--;
    }
    text[n] = 0;
    return text;
}

static void cut_comment(char *value)
{
    for (char *p = value; *p != 0; p++) {
        if (*p == ';' && p > value && isspace((unsigned char)p[-1])) {
            *p = 0;
            return;
        }
    }
}

static int read_line(char *line, int (*pair)(void *ctx, const char *name, const char *value, struct error *e),
                     void *ctx, struct error *e)
{
    char *separator;

    line = trim(line);
    if (*line == 0 || *line == ';' || *line == '#' || (*line == '[' && strchr(line, ']') != NULL)) {
        return 0;
    }
    separator = line + strcspn(line, "=:");
    if (separator == line || *separator == 0) {
        return error_set(e, Q_INVALID, "neither a section, a comment nor name = value");
    }
    *separator = 0;
    cut_comment(separator + 1);
    return pair(ctx, trim(line), trim(separator + 1), e);
}

static int read_lines(char *text, size_t n, int (*pair)(void *, const char *, const char *, struct error *),
                      void *ctx, const char *path, struct error *e)
{
    unsigned number = 1;
    int rv = 0;

    for (char *line = text, *end = text + n; rv == 0 && line < end; number++) {
        size_t len = strcspn(line, "\n");
        char *next = line + len + 1;
        bool cut = line + len < end && line[len] == 0; /* by a zero, which ends no line */
        line[len] = 0;
        rv = cut ? error_set(e, Q_INVALID, "a byte that is 0") : read_line(line, pair, ctx, e);
        if (rv != 0) {
            error_wrap(e, "%s, line %u", path, number);
        }
        line = next;
    }
    return rv;
}

int ini_read(const char *path, int (*pair)(void *ctx, const char *name, const char *value, struct error *e),
             void *ctx, struct error *e)
{
    static const char mark[] = "\xef\xbb\xbf";
    FILE *file = fopen(path, "re");
    struct buf b;
    int rv;

    if (file == NULL) {
        return error_errno(e, errno, "configuration file %s", path);
    }
    buf_init(&b, INI_BYTES_MAX + 1);
    rv = read_all(file, path, &b, e);
    fclose(file);
    if (rv == 0) {
        size_t skip = b.len > 3 && memcmp(b.data, mark, 3) == 0 ? 3 : 0;
        rv = read_lines((char *)b.data + skip, b.len - 1 - skip, pair, ctx, path, e);
    }
    if (b.data != NULL) {
        explicit_bzero(b.data, b.cap); /* there may be a secret in it */
    }
    buf_close(&b);
    return rv;
}
