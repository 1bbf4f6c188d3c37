/* memory: how many bytes all clients of a server together make it keep, and the bound of that. It does not
 * know what the bytes are. Loop only. */
#ifndef QUORATE_NODE_HTTP_MEMORY_H
#define QUORATE_NODE_HTTP_MEMORY_H

#include <stdbool.h>
#include <stddef.h>

#include "base/metrics.h"

struct http_memory;

/* MAX in bytes, at most INT64_MAX. NULL: out of memory. */
struct http_memory *http_memory_new(size_t max);
/* The owner lets go: the object goes with the last byte that is given back. NULL is fine. */
void http_memory_free(struct http_memory *m);

/* Whether N more bytes would be within the bound. */
bool http_memory_has(const struct http_memory *m, size_t n);
/* Counts N bytes before they are taken; false, and nothing is counted, if they would pass the bound. */
bool http_memory_take(struct http_memory *m, size_t n);
/* N bytes that were counted are free again. */
void http_memory_give(struct http_memory *m, size_t n);
/* Something was refused for want of room; for the counter. */
void http_memory_refused(struct http_memory *m);

/* Bytes in use, the bound, refusals. They live in M. */
void http_memory_metrics(struct http_memory *m, struct metrics *metrics);

#endif
