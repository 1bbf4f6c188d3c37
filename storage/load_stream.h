/* load_stream: the records of a load (load.h) on their way into the database: bytes in, in pieces of any
 * size, statements out. It does not know what was there before, nor where the bytes are kept. */
#ifndef QUORATE_STORAGE_LOAD_STREAM_H
#define QUORATE_STORAGE_LOAD_STREAM_H

#include "storage/load.h"

struct load_stream;

/* L is kept. Q_NOMEM. */
int load_stream_new(struct load *l, struct load_stream **ret_stream, struct error *e);
void load_stream_free(struct load_stream *s); /* NULL is fine */
/* Does what whole records say. Errors: Q_INVALID bytes that are no such stream; those of statements; this
 * node's. After an error nothing but free. */
int load_stream_put(struct load_stream *s, const void *p, size_t n, struct error *e);
/* There are no more bytes: Q_INVALID if the last record has not come. */
int load_stream_end(struct load_stream *s, struct error *e);

#endif
