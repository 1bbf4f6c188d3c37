#include "node/http/parser.h"

#include <stdlib.h>
#include <string.h>

#ifdef QUORATE_LLHTTP
#include <llhttp.h>
typedef llhttp_t library_t;
typedef llhttp_settings_t library_settings_t;
#else
#include <http_parser.h>
typedef http_parser library_t;
typedef http_parser_settings library_settings_t;
#endif

struct parser {
    library_t library;
    library_settings_t settings;
    const struct parser_events *events;
    void *ctx;
    const char *end; /* of the bytes being fed */
    bool stopped, done;
    bool named; /* a header's name is whole and its value has not begun; only with http-parser */
    /* Only with llhttp: */
    bool targeted;    /* the message's target is whole */
    const char *real; /* the byte that STAND_IN was fed for */
};

/* What both libraries take as "an error, stop". */
enum { GO_ON = 0, STOP = -1 };

static int answer(struct parser *p, bool go_on)
{
    p->stopped = !go_on;
    return go_on ? GO_ON : STOP;
}

static int on_url(library_t *l, const char *at, size_t n)
{
    struct parser *p = l->data;
    return answer(p, p->events->target(p->ctx, p->real != NULL ? p->real : at, n));
}

static int on_header_field(library_t *l, const char *at, size_t n)
{
    struct parser *p = l->data;
    if (p->named) {
        return STOP;
    }
#ifndef QUORATE_LLHTTP
    /* http-parser takes a line without a colon for a header without a value, and says so only by not calling
     * on_header_value. A name goes on in the next call only where the bytes ended. */
    p->named = at + n != p->end;
#endif
    return answer(p, p->events->field(p->ctx, at, n));
}

static int on_header_value(library_t *l, const char *at, size_t n)
{
    struct parser *p = l->data;
    p->named = false;
    return answer(p, p->events->value(p->ctx, at, n));
}

#ifdef QUORATE_LLHTTP
static int on_url_complete(library_t *l)
{
    struct parser *p = l->data;
    p->targeted = true;
    return GO_ON;
}

/* An empty value is one, too. */
static int on_header_field_complete(library_t *l)
{
    struct parser *p = l->data;
    return answer(p, p->events->value(p->ctx, "", 0));
}
#endif

static int on_body(library_t *l, const char *at, size_t n)
{
    struct parser *p = l->data;
    return answer(p, p->events->body(p->ctx, at, n));
}

static int on_headers_complete(library_t *l)
{
    struct parser *p = l->data;
    struct parser_head head = {.major = l->http_major, .minor = l->http_minor};
    if (p->named) {
        return STOP;
    }
#ifdef QUORATE_LLHTTP
    head.method = llhttp_method_name((llhttp_method_t)l->method);
    head.keep_alive = llhttp_should_keep_alive(l) != 0;
#else
    head.method = http_method_str((enum http_method)l->method);
    head.keep_alive = http_should_keep_alive(l) != 0;
#endif
    /* With it set, the libraries would take the bytes that follow for another protocol. */
    l->upgrade = 0;
    return answer(p, p->events->head(p->ctx, &head));
}

static int on_message_complete(library_t *l)
{
    struct parser *p = l->data;
    p->done = true;
#ifdef QUORATE_LLHTTP
    p->targeted = false;
    return HPE_PAUSED;
#else
    http_parser_pause(l, 1);
    return GO_ON;
#endif
}

struct parser *parser_new(const struct parser_events *events, void *ctx)
{
    struct parser *p = calloc(1, sizeof *p);
    if (p == NULL) {
        return NULL;
    }
    p->events = events;
    p->ctx = ctx;
#ifdef QUORATE_LLHTTP
    llhttp_settings_init(&p->settings);
#else
    http_parser_settings_init(&p->settings);
#endif
    p->settings.on_url = on_url;
    p->settings.on_header_field = on_header_field;
    p->settings.on_header_value = on_header_value;
#ifdef QUORATE_LLHTTP
    p->settings.on_url_complete = on_url_complete;
    p->settings.on_header_field_complete = on_header_field_complete;
#endif
    p->settings.on_headers_complete = on_headers_complete;
    p->settings.on_body = on_body;
    p->settings.on_message_complete = on_message_complete;
#ifdef QUORATE_LLHTTP
    llhttp_init(&p->library, HTTP_REQUEST, &p->settings);
#else
    http_parser_init(&p->library, HTTP_REQUEST);
#endif
    p->library.data = p;
    return p;
}

void parser_free(struct parser *p)
{
    free(p);
}

#ifdef QUORATE_LLHTTP
/* Where a target may stand, llhttp refuses bytes above ASCII, which http-parser lets pass and clients do
 * send. It is shown this byte instead: one that it takes in a path and a query and nowhere else in a
 * request's line. */
static const char stand_in = '|';

/* How many bytes, at most to the end of the line, are ASCII. */
static size_t ascii_run(const char *bytes, size_t n)
{
    const char *newline = memchr(bytes, '\n', n);
    size_t line = newline != NULL ? (size_t)(newline - bytes) + 1 : n;
    size_t run = 0;
    while (run < line && ((unsigned char)bytes[run] & 0x80U) == 0) {
        run++;
    }
    return run;
}

static enum parser_result feed(struct parser *p, const char *bytes, size_t n, size_t *ret_used)
{
    llhttp_errno_t code = HPE_OK;
    size_t used = 0;

    while (used < n && code == HPE_OK) {
        const char *at = bytes + used;
        size_t part = p->targeted ? n - used : ascii_run(at, n - used);
        p->real = part > 0 ? NULL : at;
        if (p->real != NULL) {
            at = &stand_in;
            part = 1;
        }
        code = llhttp_execute(&p->library, at, part);
        used += code == HPE_OK ? part : (size_t)(llhttp_get_error_pos(&p->library) - at);
    }
    *ret_used = used;
    if (p->done && code == HPE_PAUSED) {
        llhttp_resume(&p->library);
        return PARSER_DONE;
    }
    return code == HPE_OK                  ? PARSER_MORE
           : p->stopped                    ? PARSER_STOPPED
           : code == HPE_INVALID_METHOD    ? PARSER_BAD_METHOD
           : code == HPE_INVALID_VERSION   ? PARSER_BAD_VERSION
           : code == HPE_PAUSED_H2_UPGRADE ? PARSER_BAD_VERSION
                                           : PARSER_BAD;
}
#else
static enum parser_result feed(struct parser *p, const char *bytes, size_t n, size_t *ret_used)
{
    enum http_errno code;
    *ret_used = http_parser_execute(&p->library, &p->settings, bytes, n);
    code = HTTP_PARSER_ERRNO(&p->library);
    if (p->done && code == HPE_PAUSED) {
        http_parser_pause(&p->library, 0);
        return PARSER_DONE;
    }
    return code == HPE_OK                ? PARSER_MORE
           : p->stopped                  ? PARSER_STOPPED
           : code == HPE_INVALID_METHOD  ? PARSER_BAD_METHOD
           : code == HPE_INVALID_VERSION ? PARSER_BAD_VERSION
           : code == HPE_HEADER_OVERFLOW ? PARSER_TOO_LONG
                                         : PARSER_BAD;
}
#endif

enum parser_result parser_feed(struct parser *p, const uint8_t *bytes, size_t n, size_t *ret_used)
{
    p->done = false;
    p->end = (const char *)bytes + n;
    return feed(p, (const char *)bytes, n, ret_used);
}
