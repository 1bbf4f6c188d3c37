/* target: what each file of this folder gives to whoever runs it, libFuzzer (fuzz.c) or the plain replay
 * (replay.c): one function that takes any bytes, and valid inputs to start from.
 * It does not know who runs it. */
#ifndef QUORATE_TESTS_FUZZ_TARGET_H
#define QUORATE_TESTS_FUZZ_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"

struct seeds;

struct fuzz_target {
    /* Survives any bytes, and ends the process by FUZZ_CHECK if what must hold does not. P is a heap block of
     * exactly N bytes, so that the sanitizer sees a read before or behind it. Keeps no state from call to
     * call that could change what the next one does. */
    void (*run)(const uint8_t *p, size_t n);
    /* Hands out the seeds, by seeds_add(). */
    void (*seeds)(struct seeds *s);
    /* How many times longer run() takes than a codec, about; the replay tries fewer inputs then. 0 is 1. */
    unsigned cost;
};

/* The one of this executable. */
extern const struct fuzz_target fuzz_target;

/* Bytes of the longest input; runners cut longer ones. */
enum { FUZZ_INPUT_MAX = 16 * 1024 };

/* One seed. NAME is a file's name. The bytes are borrowed. */
void seeds_add(struct seeds *s, const char *name, const void *p, size_t n);

/* What must hold for all inputs: SENTENCE says it. */
#define FUZZ_CHECK(condition, sentence)                                                                      \
    do {                                                                                                     \
        if (!(condition)) {                                                                                  \
            fprintf(stderr, "%s:%d: does not hold: %s (%s)\n", __FILE__, __LINE__, sentence, #condition);    \
            abort();                                                                                         \
        }                                                                                                    \
    } while (0)

/* ---- structure out of bytes ----
 * A target that builds something reads its choices from the input's beginning with the gets of base/buf.h
 * (zeros when the bytes are used up) and these. */

/* Uniform in [low, high], from four bytes. */
uint32_t input_range(struct cursor *input, uint32_t low, uint32_t high);
/* A length byte or two, and that many bytes or what is left, at most MAX. Borrowed. */
struct cursor input_bytes(struct cursor *input, size_t max);
/* The same as a string without zeros; returned (caller frees). */
char *input_string(struct cursor *input, size_t max);
bool cursor_equal(const struct cursor *a, const struct cursor *b);

#endif
