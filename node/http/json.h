/* json: writes JSON into a buffer as it goes, so that no reply exists twice in memory. Its prefix is js_,
 * because json_ is jansson's. It does not know what it writes; the caller calls in an order that makes a
 * document.
 *
 * The forms are those of Go's encoding/json, which the clients of /db/... were written against: no spaces, or
 * four to a level; reals in the fewest digits that read back the same, with an exponent below 1e-6 and from
 * 1e21 on; <, >, &, U+2028 and U+2029 escaped; bytes that are not UTF-8 become U+FFFD. What JSON has no form
 * for (infinities, NaN) becomes null. Failures are the buffer's sticky ones. */
#ifndef QUORATE_NODE_HTTP_JSON_H
#define QUORATE_NODE_HTTP_JSON_H

#include "base/buf.h"

struct json {
    struct buf *out;
    bool pretty, empty, after_key; /* empty: nothing yet in the innermost object or array */
    unsigned depth;
};

/* OUT is kept. */
void js_init(struct json *j, struct buf *out, bool pretty);
void js_begin_object(struct json *j);
void js_end_object(struct json *j);
void js_begin_array(struct json *j);
void js_end_array(struct json *j);
/* A key, then its value. */
void js_key(struct json *j, const char *key);
void js_key_bytes(struct json *j, const void *p, size_t n);
void js_null(struct json *j);
void js_bool(struct json *j, bool v);
void js_integer(struct json *j, int64_t v);
void js_unsigned(struct json *j, uint64_t v);
void js_real(struct json *j, double v);
void js_string(struct json *j, const char *text);
void js_text(struct json *j, const void *p, size_t n);
/* Standard base64, padded, as a string. */
void js_base64(struct json *j, const void *p, size_t n);

/* Decodes padded standard base64; false if it is anything else. TO needs n / 4 * 3 bytes. */
bool js_base64_decode(const char *p, size_t n, uint8_t *to, size_t *ret_len);

#endif
