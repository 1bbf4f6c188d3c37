/* percent: bytes as a segment of a path or a value in a query (RFC 3986, section 2.1). */
#ifndef QUORATE_NODE_CLI_PERCENT_H
#define QUORATE_NODE_CLI_PERCENT_H

#include "base/buf.h"

/* Appends N bytes; all but letters, digits and -._~ become %XX. */
void percent_put(struct buf *b, const void *p, size_t n);

#endif
