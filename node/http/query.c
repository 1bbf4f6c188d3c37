#include "node/http/query.h"

#include <stdio.h>
#include <string.h>

#include "node/http/request.h"

static int hex_digit(char c)
{
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
}

/* Decodes N bytes to TO; -1, or where the malformed escape begins. */
static ptrdiff_t decode(const char *from, size_t n, bool plus_is_space, char *to, size_t *ret_len)
{
    size_t len = 0;
    for (size_t i = 0; i < n; i++) {
        char c = from[i];
        if (c == '%') {
            int high = i + 2 < n ? hex_digit(from[i + 1]) : -1;
            int low = high >= 0 ? hex_digit(from[i + 2]) : -1;
            if (low < 0) {
                return (ptrdiff_t)i;
            }
            c = (char)(high << 4 | low);
            i += 2;
        } else if (c == '+' && plus_is_space) {
            c = ' ';
        }
        to[len++] = c;
    }
    *ret_len = len;
    return -1;
}

bool http_decode_segment(const char *from, size_t n, char *to, size_t *ret_len)
{
    return decode(from, n, false, to, ret_len) < 0;
}

/* Appends one decoded string; false (and nothing appended) on a malformed escape. */
static bool put_decoded(struct buf *b, const char *p, size_t n, char *error, size_t error_max)
{
    uint8_t *to = buf_reserve(b, n + 5);
    size_t len;
    ptrdiff_t bad;

    if (to == NULL) {
        return false;
    }
    bad = decode(p, n, true, (char *)to + 4, &len);
    if (bad >= 0) {
        size_t left = n - (size_t)bad;
        if (error[0] == '\0') {
            snprintf(error, error_max, "invalid URL escape \"%.*s\"", (int)(left < 3 ? left : 3), p + bad);
        }
        return false;
    }
    put_le32(to, (uint32_t)len);
    to[4 + len] = 0;
    b->len += len + 5;
    return true;
}

void query_parse(const char *query, struct buf *b, char *ret_error, size_t error_max)
{
    ret_error[0] = '\0';
    for (const char *p = query; *p != '\0';) {
        size_t n = strcspn(p, "&");
        const char *equals = memchr(p, '=', n);
        size_t name = equals != NULL ? (size_t)(equals - p) : n;
        size_t before = b->len;

        if (memchr(p, ';', n) != NULL) {
            snprintf(ret_error, error_max, "invalid semicolon separator in query");
        } else if (n > 0 && (!put_decoded(b, p, name, ret_error, error_max) ||
                             !put_decoded(b, equals != NULL ? equals + 1 : p + n,
                                          equals != NULL ? n - name - 1 : 0, ret_error, error_max))) {
            b->len = before;
        }
        p += n;
        p += *p == '&';
    }
}

const char *http_param_bytes(const struct http_request *r, const char *name, size_t *ret_len)
{
    struct cursor c = cursor_of(r->params.data, r->params.len);
    size_t wanted = strlen(name);

    while (cursor_left(&c) > 0) {
        struct cursor key = cursor_blob(&c), value;
        cursor_u8(&c);
        value = cursor_blob(&c);
        cursor_u8(&c);
        if (cursor_left(&key) == wanted && memcmp(key.p, name, wanted) == 0) {
            *ret_len = cursor_left(&value);
            return (const char *)value.p;
        }
    }
    return NULL;
}

const char *http_param(const struct http_request *r, const char *name)
{
    size_t len;
    return http_param_bytes(r, name, &len);
}

const char *http_query_error(const struct http_request *r)
{
    return r->query_error[0] != '\0' ? r->query_error : NULL;
}
