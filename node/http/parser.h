/* parser: the one place that knows which library parses HTTP/1: llhttp where it is installed, else
 * http-parser. Bytes are pushed in, events come out. It does not know sockets, and keeps nothing of what it
 * passes on.
 *
 * The library refuses what RFC 9112 says must be refused about framing; what it is too lax about (a request
 * with both Content-Length and Transfer-Encoding, spaces in header names, versions) is checked again by
 * request.c. What both libraries accept they read alike; llhttp refuses more: lines that end without a
 * carriage return, folded headers, any other word where HTTP stands. Protocol upgrades are ignored: the
 * request is an ordinary one. */
#ifndef QUORATE_NODE_HTTP_PARSER_H
#define QUORATE_NODE_HTTP_PARSER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct parser;

struct parser_head {
    const char *method; /* "GET", ...; static */
    unsigned major, minor;
    bool keep_alive; /* what the version and the Connection header say together */
};

/* In the order in which they come. Strings come in any number of pieces. Each returns true to go on; false
 * stops the parser for good. Header fields come again after the body of a chunked message, as trailers. */
struct parser_events {
    bool (*target)(void *ctx, const char *p, size_t n);
    bool (*field)(void *ctx, const char *p, size_t n);
    bool (*value)(void *ctx, const char *p, size_t n);
    bool (*head)(void *ctx, const struct parser_head *head);
    bool (*body)(void *ctx, const char *p, size_t n);
};

enum parser_result {
    PARSER_MORE,       /* all bytes are used; the message goes on */
    PARSER_DONE,       /* a message ended; bytes behind it are not used yet */
    PARSER_STOPPED,    /* an event returned false */
    PARSER_BAD,        /* not HTTP */
    PARSER_BAD_METHOD, /* a method that the library does not know */
    PARSER_BAD_VERSION,
    PARSER_TOO_LONG, /* the library's own limit for a head: 80 KiB in http-parser */
};

/* EVENTS is kept, so is CTX. NULL: out of memory. */
struct parser *parser_new(const struct parser_events *events, void *ctx);
void parser_free(struct parser *p); /* NULL is fine */

/* Parses up to N bytes, at most to the end of one message. After PARSER_MORE and PARSER_DONE it may be called
 * again, after anything else not. */
enum parser_result parser_feed(struct parser *p, const uint8_t *bytes, size_t n, size_t *ret_used);

#endif
