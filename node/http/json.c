#include "node/http/json.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/utf8.h"

enum { JSON_INDENT = 4 };

void js_init(struct json *j, struct buf *out, bool pretty)
{
    *j = (struct json){.out = out, .pretty = pretty, .empty = true, .after_key = true};
}

static void new_line(struct json *j)
{
    buf_put_u8(j->out, '\n');
    for (unsigned i = 0; i < j->depth * JSON_INDENT; i++) {
        buf_put_u8(j->out, ' ');
    }
}

/* What stands before a value or key: nothing after a key, else a comma after a neighbour, and the line. */
static void before(struct json *j)
{
    if (!j->after_key) {
        if (!j->empty) {
            buf_put_u8(j->out, ',');
        }
        if (j->pretty) {
            new_line(j);
        }
    }
    j->after_key = j->empty = false;
}

static void begin(struct json *j, char c)
{
    before(j);
    buf_put_u8(j->out, (uint8_t)c);
    j->depth++;
    j->empty = true;
}

static void end(struct json *j, char c)
{
    j->depth--;
    if (j->pretty && !j->empty) {
        new_line(j);
    }
    buf_put_u8(j->out, (uint8_t)c);
    j->empty = false;
}

void js_begin_object(struct json *j)
{
    begin(j, '{');
}

void js_end_object(struct json *j)
{
    end(j, '}');
}

void js_begin_array(struct json *j)
{
    begin(j, '[');
}

void js_end_array(struct json *j)
{
    end(j, ']');
}

static void put_raw(struct json *j, const char *text)
{
    before(j);
    buf_put_bytes(j->out, text, strlen(text));
}

void js_null(struct json *j)
{
    put_raw(j, "null");
}

void js_bool(struct json *j, bool v)
{
    put_raw(j, v ? "true" : "false");
}

void js_integer(struct json *j, int64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, v);
    put_raw(j, text);
}

void js_unsigned(struct json *j, uint64_t v)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRIu64, v);
    put_raw(j, text);
}

/* The fewest significant digits that read back as V, as "d.ddde[+-]xx". Every decimal of up to 15 digits
 * survives a double, so the search begins there, but for the denormals, which have fewer. */
static void shortest(double v, char *text, size_t max)
{
    int digits = fabs(v) < DBL_MIN ? 1 : 15;
    do {
        snprintf(text, max, "%.*e", digits - 1, v);
    } while (strtod(text, NULL) != v && ++digits <= 17);
}

/* The significant digits of V and the power of ten of the first one. Returns how many there are. */
static int take_apart(double v, char digits[24], int *ret_exponent)
{
    char text[40];
    int n = 0;

    shortest(fabs(v), text, sizeof text);
    for (const char *p = text; *p != 'e'; p++) {
        if (*p >= '0' && *p <= '9') {
            digits[n++] = *p;
        }
    }
    while (n > 1 && digits[n - 1] == '0') {
        n--;
    }
    *ret_exponent = (int)strtol(strchr(text, 'e') + 1, NULL, 10);
    return n;
}

static void put_real(struct json *j, double v)
{
    char digits[24], out[64];
    int exponent, n = take_apart(v, digits, &exponent);
    const char *sign = signbit(v) ? "-" : "", *zeros = "000000000000000000000";

    if (exponent < -6 || exponent >= 21) {
        snprintf(out, sizeof out, "%s%c%s%.*se%c%d", sign, digits[0], n > 1 ? "." : "", n - 1, digits + 1,
                 exponent < 0 ? '-' : '+', abs(exponent));
    } else if (exponent < 0) {
        snprintf(out, sizeof out, "%s0.%.*s%.*s", sign, -exponent - 1, zeros, n, digits);
    } else if (exponent + 1 >= n) {
        snprintf(out, sizeof out, "%s%.*s%.*s", sign, n, digits, exponent + 1 - n, zeros);
    } else {
        snprintf(out, sizeof out, "%s%.*s.%.*s", sign, exponent + 1, digits, n - exponent - 1,
                 digits + exponent + 1);
    }
    put_raw(j, out);
}

void js_real(struct json *j, double v)
{
    if (!isfinite(v)) {
        js_null(j);
    } else if (fabs(v) < 1e15 && v == trunc(v) && !(v == 0 && signbit(v))) {
        js_integer(j, (int64_t)v);
    } else {
        put_real(j, v);
    }
}

/* How many of the N bytes at P (at least one) make one UTF-8 character; 0 if the first byte begins none. */
static size_t character(const uint8_t *p, size_t n)
{
    size_t len = p[0] < 0x80 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
    return len <= n && utf8_valid(p, len) ? len : 0;
}

static bool is_plain(uint8_t c)
{
    return c >= ' ' && c < 0x80 && c != '"' && c != '\\' && c != '<' && c != '>' && c != '&';
}

/* One character that does not stand for itself; returns how many bytes it takes. */
static size_t put_special(struct buf *out, const uint8_t *p, size_t n)
{
    size_t len = character(p, n);
    switch (p[0]) {
    case '"': buf_put_bytes(out, "\\\"", 2); return 1;
    case '\\': buf_put_bytes(out, "\\\\", 2); return 1;
    case '\n': buf_put_bytes(out, "\\n", 2); return 1;
    case '\r': buf_put_bytes(out, "\\r", 2); return 1;
    case '\t': buf_put_bytes(out, "\\t", 2); return 1;
    }
    if (len == 0) {
        buf_put_bytes(out, "\\ufffd", 6);
        return 1;
    }
    if (len == 1) {
        buf_printf(out, "\\u%04x", p[0]);
    } else if (len == 3 && p[0] == 0xe2 && p[1] == 0x80 && (p[2] == 0xa8 || p[2] == 0xa9)) {
        buf_printf(out, "\\u20%02x", p[2] - 0x80);
    } else {
        buf_put_bytes(out, p, len);
    }
    return len;
}

void js_text(struct json *j, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    size_t plain;

    before(j);
    buf_put_u8(j->out, '"');
    for (size_t at = 0; at < n; at += plain) {
        plain = 0;
        while (at + plain < n && is_plain(p[at + plain])) {
            plain++;
        }
        buf_put_bytes(j->out, p + at, plain);
        if (at + plain < n) {
            plain += put_special(j->out, p + at + plain, n - at - plain);
        }
    }
    buf_put_u8(j->out, '"');
}

void js_string(struct json *j, const char *text)
{
    js_text(j, text, strlen(text));
}

void js_key_bytes(struct json *j, const void *p, size_t n)
{
    js_text(j, p, n);
    buf_put_u8(j->out, ':');
    if (j->pretty) {
        buf_put_u8(j->out, ' ');
    }
    j->after_key = true;
}

void js_key(struct json *j, const char *key)
{
    js_key_bytes(j, key, strlen(key));
}

static const char base64_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void js_base64(struct json *j, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    uint8_t *to;
    size_t len = (n / 3 + (n % 3 != 0)) * 4;

    before(j);
    buf_put_u8(j->out, '"');
    to = len > 0 ? buf_reserve(j->out, len) : NULL;
    if (to != NULL) {
        for (size_t i = 0; i < n; i += 3) {
            uint32_t three = (uint32_t)p[i] << 16 | (uint32_t)(i + 1 < n ? p[i + 1] : 0) << 8 |
                             (uint32_t)(i + 2 < n ? p[i + 2] : 0);
            *to++ = (uint8_t)base64_letters[three >> 18];
            *to++ = (uint8_t)base64_letters[three >> 12 & 63];
            *to++ = i + 1 < n ? (uint8_t)base64_letters[three >> 6 & 63] : '=';
            *to++ = i + 2 < n ? (uint8_t)base64_letters[three & 63] : '=';
        }
        j->out->len += len;
    }
    buf_put_u8(j->out, '"');
}

bool js_base64_decode(const char *p, size_t n, uint8_t *to, size_t *ret_len)
{
    size_t len = 0;
    if (n % 4 != 0) {
        return false;
    }
    for (size_t i = 0; i < n; i += 4) {
        bool last = i + 4 == n;
        unsigned padding = !last ? 0 : p[i + 3] != '=' ? 0 : p[i + 2] != '=' ? 1 : 2;
        uint32_t three = 0;
        for (unsigned k = 0; k < 4; k++) {
            const char *letter =
                k < 4 - padding && p[i + k] != '\0' ? strchr(base64_letters, p[i + k]) : NULL;
            if (k < 4 - padding && letter == NULL) {
                return false;
            }
            three = three << 6 | (letter != NULL ? (uint32_t)(letter - base64_letters) : 0);
        }
        if ((padding == 1 && (three & 0xff) != 0) || (padding == 2 && (three & 0xffff) != 0)) {
            return false; /* two spellings of one key would be two cursors for it */
        }
        to[len++] = (uint8_t)(three >> 16);
        if (padding < 2) {
            to[len++] = (uint8_t)(three >> 8);
        }
        if (padding < 1) {
            to[len++] = (uint8_t)three;
        }
    }
    *ret_len = len;
    return true;
}
