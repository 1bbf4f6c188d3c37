#include "storage/utf8.h"

#include <stdint.h>

/* Length of the sequence that LEAD begins, and what its second byte may be; 0 if it begins none. */
static size_t sequence(uint8_t lead, uint8_t *ret_low, uint8_t *ret_high)
{
    *ret_low = 0x80;
    *ret_high = 0xbf;
    if (lead >= 0xc2 && lead <= 0xdf) {
        return 2;
    }
    if (lead >= 0xe0 && lead <= 0xef) {
        *ret_low = lead == 0xe0 ? 0xa0 : 0x80;
        *ret_high = lead == 0xed ? 0x9f : 0xbf;
        return 3;
    }
    if (lead >= 0xf0 && lead <= 0xf4) {
        *ret_low = lead == 0xf0 ? 0x90 : 0x80;
        *ret_high = lead == 0xf4 ? 0x8f : 0xbf;
        return 4;
    }
    return 0;
}

bool utf8_valid(const void *p, size_t n)
{
    const uint8_t *bytes = p;
    size_t i = 0;

    while (i < n) {
        uint8_t low, high;

        if (bytes[i] < 0x80) {
            i++;
            continue;
        }
        size_t len = sequence(bytes[i], &low, &high);
        if (len == 0 || len > n - i || bytes[i + 1] < low || bytes[i + 1] > high) {
            return false;
        }
        for (size_t j = 2; j < len; j++) {
            if ((bytes[i + j] & 0xc0) != 0x80) {
                return false;
            }
        }
        i += len;
    }
    return true;
}
