#include "base/rng.h"

#include <string.h>

static uint64_t rotate_left(uint64_t x, int k)
{
    return (x << k) | (x >> (64 - k));
}

void rng_init(struct rng *r, uint64_t seed)
{
    for (int i = 0; i < 4; i++) {
        seed += 0x9e3779b97f4a7c15u;
        uint64_t z = seed;
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
        z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
        r->state[i] = z ^ (z >> 31);
    }
}

uint64_t rng_next(struct rng *r)
{
    uint64_t *s = r->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;

    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t rng_between(struct rng *r, uint64_t low, uint64_t high)
{
    uint64_t span = high - low + 1;
    return span == 0 ? rng_next(r) : low + rng_next(r) % span;
}

void rng_fill(struct rng *r, void *p, size_t n)
{
    uint8_t *to = p;
    while (n > 0) {
        uint64_t word = rng_next(r);
        size_t k = n < sizeof word ? n : sizeof word;
        memcpy(to, &word, k);
        to += k;
        n -= k;
    }
}
