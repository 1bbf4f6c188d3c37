/* rng: a seeded, reproducible generator (xoshiro256**, Blackman and Vigna 2018). Not for secrets: those come
 * from env_random(). */
#ifndef QUORATE_BASE_RNG_H
#define QUORATE_BASE_RNG_H

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state[4];
};

/* Any seed is fine, 0 too: it is spread by splitmix64. */
void rng_init(struct rng *r, uint64_t seed);
uint64_t rng_next(struct rng *r);
/* Uniform in [low, high]. */
uint64_t rng_between(struct rng *r, uint64_t low, uint64_t high);
void rng_fill(struct rng *r, void *p, size_t n);

#endif
