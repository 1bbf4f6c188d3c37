#include "base/crc32c.h"

#include <stdbool.h>
#include <string.h>

static const uint32_t POLYNOMIAL_REVERSED = 0x82f63b78;

static uint32_t table[256];

__attribute__((constructor)) static void fill_table(void)
{
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t v = i;
        for (int bit = 0; bit < 8; bit++) {
            v = (v >> 1) ^ ((v & 1) ? POLYNOMIAL_REVERSED : 0);
        }
        table[i] = v;
    }
}

uint32_t crc32c_by_table(uint32_t crc, const void *p, size_t n)
{
    const uint8_t *bytes = p;
    crc = ~crc;
    for (size_t i = 0; i < n; i++) {
        crc = (crc >> 8) ^ table[(crc ^ bytes[i]) & 0xff];
    }
    return ~crc;
}

#if defined(__x86_64__)
__attribute__((target("sse4.2"))) static uint32_t by_instruction(uint32_t crc, const uint8_t *p, size_t n)
{
    uint64_t state = ~crc & 0xffffffffu;
    for (; n >= 8; n -= 8, p += 8) {
        uint64_t word;
        memcpy(&word, p, 8);
        state = __builtin_ia32_crc32di(state, word);
    }
    for (; n > 0; n--, p++) {
        state = __builtin_ia32_crc32qi((uint32_t)state, *p);
    }
    return ~(uint32_t)state;
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    return __builtin_cpu_supports("sse4.2") ? by_instruction(crc, p, n) : crc32c_by_table(crc, p, n);
}
#else
uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
    return crc32c_by_table(crc, p, n);
}
#endif
