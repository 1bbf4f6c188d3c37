/* outside: what the simulated world and the test's own hands allocate with: the real functions, so that only
 * the product runs out of memory. Included before everything else in each of their sources. */
#ifndef QUORATE_TESTS_ALLOC_OUTSIDE_H
#define QUORATE_TESTS_ALLOC_OUTSIDE_H

#include <stdlib.h>
#include <string.h>

void *__real_malloc(size_t n);
void *__real_calloc(size_t count, size_t n);
void *__real_realloc(void *p, size_t n);
char *__real_strdup(const char *text);
int __real_posix_memalign(void **p, size_t alignment, size_t n);

#define malloc         __real_malloc
#define calloc         __real_calloc
#define realloc        __real_realloc
#define strdup         __real_strdup
#define posix_memalign __real_posix_memalign

#endif
