/* line: the requests of one connection in the order in which they came, and their answers on the way out in
 * that order, whatever order the handlers answer in. It does not know parsing, deadlines, or when a
 * connection ends. */
#ifndef QUORATE_NODE_HTTP_LINE_H
#define QUORATE_NODE_HTTP_LINE_H

#include "node/http/request.h"

struct line {
    struct list requests; /* oldest first: SENDING, then any mix of the other states */
    unsigned whole;       /* requests that are not RECEIVING any more */
    size_t waiting;       /* bytes of answers that wait for those before them */
    uv_stream_t *stream;
    bool cut; /* after line_cut() */
    /* An answer was taken by the network after all, or, with FAILED, could not be. Not called after
     * line_cut(), nor inside line_flush(). */
    void (*sent)(struct line *, bool failed);
    void (*counted)(struct line *, size_t bytes); /* answer bytes that go out */
};

void line_init(struct line *l, uv_stream_t *stream);
/* Sends what stands answered at the front, and the interim answer to a client that waits for one before it
 * sends its body. False: the connection is broken. */
bool line_flush(struct line *l);
/* Bytes of answers that the client has not taken yet. */
size_t line_unsent(const struct line *l);
/* The client is gone: requests under way are left to their handlers with a NULL connection, all others are
 * freed, those being written when the stream, which the caller closes now, gives them back. */
void line_cut(struct line *l);

#endif
