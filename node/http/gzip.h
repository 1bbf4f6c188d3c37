/* gzip: bytes in, a gzip file (RFC 1952) out, piece by piece. It does not know where they come from or go.
 * The only one that knows zlib. */
#ifndef QUORATE_NODE_HTTP_GZIP_H
#define QUORATE_NODE_HTTP_GZIP_H

#include "base/buf.h"

struct gzip;

/* NULL: out of memory. */
struct gzip *gzip_new(void);
void gzip_free(struct gzip *g); /* NULL is fine */
/* Compresses N bytes and appends what is ready to OUT; LAST: the file is complete. Errors: what OUT refuses.
 */
int gzip_put(struct gzip *g, const void *p, size_t n, bool last, struct buf *out, struct error *e);

#endif
