#include "node/cli/base64.h"

#include <string.h>

static int digit(char c)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    const char *at = c != 0 ? strchr(digits, c) : NULL;
    return at != NULL ? (int)(at - digits) : -1;
}

bool base64_put_decoded(struct buf *b, const char *p, size_t n)
{
    for (size_t i = 0; i < n; i += 4) {
        unsigned bits = 0, pads = 0;
        if (n - i < 4) {
            return false;
        }
        for (size_t k = 0; k < 4; k++) {
            int d = digit(p[i + k]);
            bool pad = p[i + k] == '=' && i + 4 == n && k >= 2;
            if ((d < 0 && !pad) || (d >= 0 && pads > 0)) {
                return false;
            }
            pads += pad;
            bits = bits << 6 | (pad ? 0 : (unsigned)d);
        }
        if ((bits & ((1u << 8 * pads) - 1)) != 0) {
            return false; /* another spelling of the same bytes, which the node refuses too */
        }
        for (unsigned k = 0; k < 3 - pads; k++) {
            buf_put_u8(b, (uint8_t)(bits >> (16 - 8 * k)));
        }
    }
    return true;
}
