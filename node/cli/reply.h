/* reply: one HTTP/1.1 answer, read from bytes that may hold only its beginning or several of them. For
 * clients that keep many connections busy. It does not know sockets.
 *
 * Answers must say their length (Content-Length), as those of quorated do; a chunked one is refused. */
#ifndef QUORATE_NODE_CLI_REPLY_H
#define QUORATE_NODE_CLI_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

enum { REPLY_HEAD_MAX = 64 * 1024, REPLY_BODY_MAX = 1 << 30 };

struct reply {
    int status;
    bool close; /* the connection ends with this answer */
    uint64_t retry_after_s;
    const char *body; /* borrowed from the bytes */
    size_t len;
    size_t total; /* bytes of head and body */
};

/* ret_whole says whether N bytes hold a whole answer; only then RET_REPLY is set. Errors: Q_CORRUPT (not
 * HTTP, chunked, no length), Q_TOO_BIG (a head or body over the limit). */
int reply_parse(const char *p, size_t n, bool *ret_whole, struct reply *ret_reply, struct error *e);

#endif
