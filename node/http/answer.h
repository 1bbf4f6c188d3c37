/* answer: turns what a handler said into the bytes of an HTTP/1.1 answer. It does not know when they are
 * sent. */
#ifndef QUORATE_NODE_HTTP_ANSWER_H
#define QUORATE_NODE_HTTP_ANSWER_H

#include "node/http/request.h"

/* Takes status, type and body, and builds R's answer head. DATE is an HTTP date. False: out of memory. */
bool answer_build(struct http_request *r, const char *date);

/* The date as an answer says it: 30 bytes with the terminator. */
enum { ANSWER_DATE_MAX = 64 };
void answer_date(char date[ANSWER_DATE_MAX]);

#endif
