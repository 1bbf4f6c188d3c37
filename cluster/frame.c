#include "cluster/frame.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/crc32c.h"
#include "base/plant.h"

enum { KEEP_BYTES = 64 * 1024 }; /* more memory than this is not kept from one frame to the next */

enum { AT_MAGIC = 0, AT_TYPE = 2, AT_FLAGS = 3, AT_LEN = 4, AT_BODY_CRC = 8, AT_HEADER_CRC = 12 };
static_assert(AT_HEADER_CRC + 4 == FRAME_HEADER_BYTES, "the header's checksum is its last field");

void frame_write(uint8_t *to, uint8_t type, uint8_t flags, const void *body, size_t n)
{
    assert(n <= UINT32_MAX);
    put_le16(to + AT_MAGIC, FRAME_MAGIC);
    to[AT_TYPE] = type;
    to[AT_FLAGS] = flags;
    put_le32(to + AT_LEN, (uint32_t)n);
    put_le32(to + AT_BODY_CRC, crc32c(0, body, n));
    put_le32(to + AT_HEADER_CRC, crc32c(0, to, AT_HEADER_CRC));
    if (n > 0) {
        memcpy(to + FRAME_HEADER_BYTES, body, n);
    }
}

void frame_decoder_init(struct frame_decoder *d, size_t max)
{
    *d = (struct frame_decoder){.max = max};
}

void frame_decoder_close(struct frame_decoder *d)
{
    free(d->body);
    frame_decoder_init(d, d->max);
}

static int check_header(const struct frame_decoder *d, struct error *e)
{
    const uint8_t *h = d->header;

    if (get_le16(h + AT_MAGIC) != FRAME_MAGIC) {
        return error_set(e, Q_CORRUPT, "what came is not a frame: it begins with 0x%02x%02x", h[0], h[1]);
    }
    if (get_le32(h + AT_HEADER_CRC) != crc32c(0, h, AT_HEADER_CRC) &&
        !PLANTED("header_of_frames_is_not_checked")) {
        return error_set(e, Q_CORRUPT, "the header of a frame fails its checksum");
    }
    if ((h[AT_FLAGS] & ~FRAME_CONTROL) != 0) {
        return error_set(e, Q_CORRUPT, "a frame has unknown flags 0x%02x", h[AT_FLAGS]);
    }
    if (get_le32(h + AT_LEN) > d->max && !PLANTED("frames_have_no_limit")) {
        return error_set(e, Q_TOO_BIG, "a frame of %u bytes is larger than the limit of %zu",
                         (unsigned)get_le32(h + AT_LEN), d->max);
    }
    return 0;
}

/* Room for a body of N bytes, which the header's check has found within the limit. */
static int make_room(struct frame_decoder *d, size_t n, struct error *e)
{
    if (n <= d->cap) {
        return 0;
    }
    uint8_t *body = realloc(d->body, n);
    if (body == NULL) {
        return error_set(e, Q_NOMEM, "out of memory for a frame of %zu bytes", n);
    }
    d->body = body;
    d->cap = n;
    return 0;
}

static int collect_header(struct frame_decoder *d, struct cursor *in, struct error *e)
{
    size_t missing = FRAME_HEADER_BYTES - d->header_len;
    size_t n = cursor_left(in) < missing ? cursor_left(in) : missing;

    if (n > 0) {
        memcpy(d->header + d->header_len, cursor_bytes(in, n), n);
        d->header_len += n;
    }
    return n > 0 && d->header_len == FRAME_HEADER_BYTES ? check_header(d, e) : 0;
}

int frame_decode(struct frame_decoder *d, struct cursor *in, struct frame *ret_frame, bool *ret_whole,
                 struct error *e)
{
    int rc;

    if (d->header_len == 0 && d->cap > KEEP_BYTES) { /* the last frame is not borrowed any more */
        free(d->body);
        d->body = NULL;
        d->cap = 0;
    }
    if ((rc = collect_header(d, in, e)) != 0) {
        return rc;
    }
    if (d->header_len < FRAME_HEADER_BYTES) {
        *ret_whole = false;
        return 0;
    }

    size_t len = get_le32(d->header + AT_LEN);
    const uint8_t *body;
    if (d->body_len == 0 && cursor_left(in) >= len) {
        body = cursor_bytes(in, len); /* all of it is here: no copy */
    } else {
        size_t n = cursor_left(in) < len - d->body_len ? cursor_left(in) : len - d->body_len;
        if (n > 0) {
            if ((rc = make_room(d, len, e)) != 0) {
                return rc;
            }
            memcpy(d->body + d->body_len, cursor_bytes(in, n), n);
            d->body_len += n;
        }
        if (d->body_len < len) {
            *ret_whole = false;
            return 0;
        }
        body = d->body;
    }
    if (crc32c(0, body, len) != get_le32(d->header + AT_BODY_CRC) && !PLANTED("frame_sum_is_not_checked")) {
        return error_set(e, Q_CORRUPT, "the body of a frame of %zu bytes fails its checksum", len);
    }
    *ret_frame =
        (struct frame){.type = d->header[AT_TYPE], .flags = d->header[AT_FLAGS], .body = body, .len = len};
    *ret_whole = true;
    d->header_len = d->body_len = 0;
    return 0;
}
