#include "storage/page_sum.h"

#include <string.h>

#include <xxhash.h>

#include "base/buf.h"

enum { SUM_AT = PAGE_BYTES - PAGE_SUM_BYTES };

static bool is_zero(const uint8_t *page)
{
    return page[0] == 0 && memcmp(page, page + 1, PAGE_BYTES - 1) == 0;
}

bool page_sum_ok(const uint8_t *page, uint64_t number)
{
    return get_le64(page + SUM_AT) == XXH3_64bits_withSeed(page, SUM_AT, number) || number == PAGE_LOCK ||
           is_zero(page);
}

void page_sum_set(uint8_t *page, uint64_t number)
{
    put_le64(page + SUM_AT, XXH3_64bits_withSeed(page, SUM_AT, number));
}
