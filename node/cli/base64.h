/* base64: standard base64 with padding (RFC 4648, section 4), read back to bytes. */
#ifndef QUORATE_NODE_CLI_BASE64_H
#define QUORATE_NODE_CLI_BASE64_H

#include <stdbool.h>

#include "base/buf.h"

/* Appends what the N characters at P stand for; false if they are anything else, or spelled in another way
 * than an encoder does it (bits that stand for nothing are zero). */
bool base64_put_decoded(struct buf *b, const char *p, size_t n);

#endif
