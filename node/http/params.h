/* params: the query parameters that several endpoints share, and their checking, which every endpoint does
 * alike before anything else. It does not know who uses which. */
#ifndef QUORATE_NODE_HTTP_PARAMS_H
#define QUORATE_NODE_HTTP_PARAMS_H

#include "base/error.h"
#include "node/http/http.h"

/* Q_INVALID and rqlite's words for the first parameter that is wrong, whether the endpoint uses it or not. */
int params_check(const struct http_request *r, struct error *e);

/* A flag is on when it is there, whatever its value. */
bool params_flag(const struct http_request *r, const char *name);
/* A duration such as 1m30s or 250ms, in milliseconds, rounded up; OTHERWISE if it is not there. Negative ones
 * are 0. It must have passed params_check(). */
uint64_t params_duration_ms(const struct http_request *r, const char *name, uint64_t otherwise);
/* The same in microseconds. */
uint64_t params_duration_us(const struct http_request *r, const char *name, uint64_t otherwise);
/* A whole number; Q_INVALID, naming NAME and the bounds, if it is none or outside of LOW to HIGH. */
int params_number(const struct http_request *r, const char *name, uint64_t low, uint64_t high,
                  uint64_t otherwise, uint64_t *ret_v, struct error *e);

/* Reads TEXT as a duration (the grammar of Go's time.ParseDuration), in nanoseconds; false if it is none. */
bool params_parse_duration(const char *text, int64_t *ret_ns);

#endif
