/* query: percent-encoding, and the parameters of a request's query string. It does not know what any
 * parameter means.
 *
 * The rules are those of Go's net/url, which rqlite's clients were written against: pieces stand between '&',
 * '+' is a space, a piece without '=' has an empty value, a raw ';' spoils its piece, the first of several
 * values wins. */
#ifndef QUORATE_NODE_HTTP_QUERY_H
#define QUORATE_NODE_HTTP_QUERY_H

#include "node/http/http.h"

/* Appends the parameters of the terminated string QUERY to B: u32 length, name, 0, u32 length, value, 0, over
 * and over, both decoded. ret_error (of ERROR_MAX bytes) gets the first thing that is wrong, or "". */
void query_parse(const char *query, struct buf *b, char *ret_error, size_t error_max);

#endif
