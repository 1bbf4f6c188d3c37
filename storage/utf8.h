/* utf8: whether bytes are well-formed UTF-8 (Unicode 15, table 3-7: no overlong forms, no surrogates, nothing
 * above U+10FFFF). It does not know what the text says. */
#ifndef QUORATE_STORAGE_UTF8_H
#define QUORATE_STORAGE_UTF8_H

#include <stdbool.h>
#include <stddef.h>

bool utf8_valid(const void *p, size_t n);

#endif
