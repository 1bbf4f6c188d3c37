/* json: writes JSON into a buffer as it goes, so that no reply exists twice in memory. It does not know what
 * it writes; the caller calls in an order that makes a document.
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
void json_init(struct json *j, struct buf *out, bool pretty);
void json_begin_object(struct json *j);
void json_end_object(struct json *j);
void json_begin_array(struct json *j);
void json_end_array(struct json *j);
/* A key, then its value. */
void json_key(struct json *j, const char *key);
void json_key_bytes(struct json *j, const void *p, size_t n);
void json_null(struct json *j);
void json_bool(struct json *j, bool v);
void json_integer(struct json *j, int64_t v);
void json_unsigned(struct json *j, uint64_t v);
void json_real(struct json *j, double v);
void json_string(struct json *j, const char *text);
void json_text(struct json *j, const void *p, size_t n);
/* Standard base64, padded, as a string. */
void json_base64(struct json *j, const void *p, size_t n);

/* How many of the N bytes at P (at least one) make one UTF-8 character (RFC 3629: no surrogates, shortest
 * form); 0 if the first byte begins none. */
size_t json_utf8_character(const uint8_t *p, size_t n);
bool json_is_utf8(const void *p, size_t n);
/* Decodes padded standard base64; false if it is anything else. TO needs n / 4 * 3 bytes. */
bool json_base64_decode(const char *p, size_t n, uint8_t *to, size_t *ret_len);

#endif
