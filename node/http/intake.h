/* intake: the way in of a connection: its bytes become requests, whose bodies go to memory or to a sink, and
 * what cannot be understood or kept is refused. It does not know answers on their way, nor deadlines. */
#ifndef QUORATE_NODE_HTTP_INTAKE_H
#define QUORATE_NODE_HTTP_INTAKE_H

#include "node/http/connection_impl.h"

/* For the connection's parser; its ctx is the connection. */
extern const struct parser_events intake_events;

/* Whether more may be parsed now: there is room in the line, and in the sink of the body that arrives. */
bool intake_wants(const struct connection *c);
/* Parses what may be parsed of the input. */
void intake_parse(struct connection *c);
/* Keeps what is left of the input until the line has room again; what the server has no room for is dropped,
 * and the connection ends with its line. False: out of memory. */
bool intake_keep_rest(struct connection *c);
/* What was kept is not needed any more. */
void intake_drop_rest(struct connection *c);
/* Answers the incoming request with a refusal; nothing behind it can be understood. False. */
bool intake_refuse(struct connection *c, int status, const char *why);
/* The incoming request, if there is one, will never be whole. */
void intake_drop(struct connection *c);

#endif
