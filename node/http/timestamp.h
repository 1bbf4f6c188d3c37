/* timestamp: values of columns declared date, datetime or timestamp, in the one form that rqlite's clients
 * expect: RFC 3339 with a T. It knows no clock. */
#ifndef QUORATE_NODE_HTTP_TIMESTAMP_H
#define QUORATE_NODE_HTTP_TIMESTAMP_H

#include <stddef.h>
#include <stdint.h>

enum { TIMESTAMP_MAX = 64 }; /* bytes of the longest form, with the terminator */

/* TEXT of N bytes: YYYY-MM-DD, then perhaps a space or T and H:MM, then perhaps :SS with a fraction, then
 * perhaps an offset [+-]HH:MM; a Z at the end is allowed. Anything else becomes the year 1. */
void timestamp_of_text(const void *text, size_t n, char to[TIMESTAMP_MAX]);
/* Unix seconds, or milliseconds if beyond +-1e12. */
void timestamp_of_integer(int64_t v, char to[TIMESTAMP_MAX]);

#endif
