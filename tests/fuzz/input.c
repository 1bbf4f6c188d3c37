#include <string.h>

#include "tests/fuzz/target.h"

uint32_t input_range(struct cursor *input, uint32_t low, uint32_t high)
{
    uint64_t span = (uint64_t)high - low + 1;
    uint32_t v = 0;

    /* As few bytes as the span needs, so that one byte of the input is one choice where it can be. */
    for (uint64_t reach = 1; reach < span; reach <<= 8) {
        v = v << 8 | (cursor_left(input) > 0 ? cursor_u8(input) : 0);
    }
    return low + (uint32_t)(v % span);
}

struct cursor input_bytes(struct cursor *input, size_t max)
{
    size_t n = input_range(input, 0, (uint32_t)max);

    if (n > cursor_left(input)) {
        n = cursor_left(input);
    }
    return cursor_of(cursor_bytes(input, n), n);
}

char *input_string(struct cursor *input, size_t max)
{
    struct cursor bytes = input_bytes(input, max);
    size_t n = cursor_left(&bytes);
    char *text = malloc(n + 1);

    FUZZ_CHECK(text != NULL, "there is memory");
    for (size_t i = 0; i < n; i++) {
        text[i] = bytes.p[i] == 0 ? '0' : (char)bytes.p[i];
    }
    text[n] = 0;
    return text;
}

bool cursor_equal(const struct cursor *a, const struct cursor *b)
{
    size_t n = cursor_left(a);
    return n == cursor_left(b) && (n == 0 || memcmp(a->p, b->p, n) == 0);
}
