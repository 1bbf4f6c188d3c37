/* frame: how messages are cut out of a byte stream, and how damage is noticed.
 * It does not know connections, or what a type or a body means.
 *
 * A frame is a header of FRAME_HEADER_BYTES and a body. Integers are little-endian:
 *
 *   offset  bytes  field
 *        0      2  magic, 0x4651 ("QF")
 *        2      1  type
 *        3      1  flags; FRAME_CONTROL: the frame belongs to the connection itself. Others must be 0
 *        4      4  length of the body
 *        8      4  CRC32C of the body (0 for an empty one)
 *       12      4  CRC32C of the bytes 0 to 11
 *
 * A reader first collects the header, checks its checksum, magic, flags and length (against a limit of its
 * own), and only then takes memory for the body. A frame is given out when its body matches its checksum.
 * There are no sequence numbers: each frame stands alone, so a lost or doubled one does not harm its
 * neighbours. After any error the place in the stream is lost and the connection must be closed. Another
 * layout would have another magic; a reader that meets it says so and closes. */
#ifndef QUORATE_CLUSTER_FRAME_H
#define QUORATE_CLUSTER_FRAME_H

#include "base/buf.h"

enum { FRAME_HEADER_BYTES = 16, FRAME_MAGIC = 0x4651 };

enum frame_flags { FRAME_CONTROL = 1 };

struct frame {
    uint8_t type, flags;
    const uint8_t *body;
    size_t len;
};

/* Writes header and body to TO, which has room for FRAME_HEADER_BYTES + N bytes. N is at most UINT32_MAX. */
void frame_write(uint8_t *to, uint8_t type, uint8_t flags, const void *body, size_t n);

struct frame_decoder {
    size_t max;
    uint8_t header[FRAME_HEADER_BYTES];
    size_t header_len; /* collected so far */
    uint8_t *body;     /* memory of CAP bytes, reused */
    size_t body_len, cap;
};

/* MAX is the largest body in bytes. No memory is taken before a frame arrives in pieces. */
void frame_decoder_init(struct frame_decoder *d, size_t max);
/* A zeroed decoder may be closed. */
void frame_decoder_close(struct frame_decoder *d);

/* Takes bytes from IN, at most up to the end of one frame. If that frame is whole now, *ret_whole is true and
 * RET_FRAME is filled; its body is borrowed until the next call for D or until the bytes of IN go. If not,
 * *ret_whole is false and IN is used up.
 * Errors: Q_CORRUPT (not a frame, or a checksum differs), Q_TOO_BIG (the body would pass the limit), Q_NOMEM.
 * After one D can only be closed. */
int frame_decode(struct frame_decoder *d, struct cursor *in, struct frame *ret_frame, bool *ret_whole,
                 struct error *e);

#endif
