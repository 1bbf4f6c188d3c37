#include "node/cli/percent.h"

#include <string.h>

void percent_put(struct buf *b, const void *p, size_t n)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
    static const char hex[] = "0123456789ABCDEF";
    const uint8_t *byte = p;

    for (size_t i = 0; i < n; i++) {
        if (byte[i] != 0 && strchr(plain, byte[i]) != NULL) {
            buf_put_u8(b, byte[i]);
        } else {
            uint8_t escape[3] = {'%', (uint8_t)hex[byte[i] >> 4], (uint8_t)hex[byte[i] & 15]};
            buf_put_bytes(b, escape, sizeof escape);
        }
    }
}
