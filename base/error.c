#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const names[Q_CODES] = {
    [Q_OK] = "ok",
    [Q_INVALID] = "invalid",
    [Q_TOO_BIG] = "too_big",
    [Q_NOMEM] = "nomem",
    [Q_IO] = "io",
    [Q_NO_SPACE] = "no_space",
    [Q_CORRUPT] = "corrupt",
    [Q_MISMATCH] = "mismatch",
    [Q_DENIED] = "denied",
    [Q_NOT_FOUND] = "not_found",
    [Q_CONFLICT] = "conflict",
    [Q_NO_LEADER] = "no_leader",
    [Q_NOT_LEADER] = "not_leader",
    [Q_BUSY] = "busy",
    [Q_TIMEOUT] = "timeout",
    [Q_UNKNOWN] = "unknown",
    [Q_CLOSED] = "closed",
    [Q_SQL] = "sql",
};

const char *error_name(enum error_code code)
{
    return (unsigned)code < Q_CODES ? names[code] : "unheard_of";
}

int error_set(struct error *e, enum error_code code, const char *format, ...)
{
    if (e != NULL) {
        va_list args;
        va_start(args, format);
        e->code = code;
        vsnprintf(e->text, sizeof e->text, format, args);
        va_end(args);
    }
    return (int)code;
}

int error_wrap(struct error *e, const char *format, ...)
{
    char text[ERROR_TEXT_MAX];
    va_list args;
    int n;

    if (e == NULL) {
        return Q_INVALID;
    }
    va_start(args, format);
    n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (n >= 0 && (size_t)n < sizeof text) {
        snprintf(text + n, sizeof text - (size_t)n, ": %.*s", (int)(sizeof text - (size_t)n), e->text);
    }
    memcpy(e->text, text, sizeof text);
    return (int)e->code;
}

int error_errno(struct error *e, int errno_value, const char *format, ...)
{
    enum error_code code = Q_IO;
    char text[ERROR_TEXT_MAX / 2];
    va_list args;

    switch (errno_value) {
    case ENOSPC:
    case EDQUOT: code = Q_NO_SPACE; break;
    case ENOMEM: code = Q_NOMEM; break;
    case ENOENT: code = Q_NOT_FOUND; break;
    }
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(e, code, "%s: %s", text, strerror(errno_value));
}
