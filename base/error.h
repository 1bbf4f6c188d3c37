/* error: one error space for the whole product, and the sentence that explains a failure to a person.
 * It does not know about any library's codes: each edge translates what it saw, once. */
#ifndef QUORATE_BASE_ERROR_H
#define QUORATE_BASE_ERROR_H

enum error_code {
    Q_OK = 0,
    Q_INVALID,    /* bad input: the caller must change it before trying again */
    Q_TOO_BIG,    /* over a named limit */
    Q_NOMEM,      /* memory could not be had */
    Q_IO,         /* the operating system refused a file or socket operation */
    Q_NO_SPACE,   /* the disk is full */
    Q_CORRUPT,    /* stored or received bytes fail their checksum or contradict each other */
    Q_MISMATCH,   /* another cluster, another version, another identity */
    Q_DENIED,     /* not allowed: authentication or authorization */
    Q_NOT_FOUND,  /* no such thing */
    Q_CONFLICT,   /* a condition of the caller does not hold */
    Q_NO_LEADER,  /* no leader is known, or it cannot be reached: nothing was done, try again */
    Q_NOT_LEADER, /* this node does not lead: nothing was done */
    Q_BUSY,       /* a bounded queue is full: nothing was done, try again later */
    Q_TIMEOUT,    /* time ran out and nothing was done */
    Q_UNKNOWN,    /* the outcome is unknown: it may or may not have been done */
    Q_CLOSED,     /* the object is stopping or stopped */
    Q_SQL,        /* SQLite refused a statement; the text is SQLite's own */
    Q_CODES
};

enum { ERROR_TEXT_MAX = 512 };

/* Lives on the caller's stack. Functions that fail fill it; functions that succeed do not touch it. */
struct error {
    enum error_code code;
    char text[ERROR_TEXT_MAX];
};

/* Sets code and text and returns the code, so that `return error_set(e, ...)` reads well. E may be NULL. A
 * text that is too long is cut. */
int error_set(struct error *e, enum error_code code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Puts "<format>: " before the text and returns the code that E already has: callers add the place, not the
 * cause. E may be NULL, then returns Q_INVALID. */
int error_wrap(struct error *e, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Translates errno, once, at the edge that saw it: ENOSPC and EDQUOT are Q_NO_SPACE, ENOMEM Q_NOMEM, ENOENT
 * Q_NOT_FOUND, everything else Q_IO. The text ends in strerror(). */
int error_errno(struct error *e, int errno_value, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* A short lower-case name for logs and metrics, such as "not_found". Static. */
const char *error_name(enum error_code code);

#endif
