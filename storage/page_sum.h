/* page_sum: the checksum that each page of a database file carries, in the bytes that SQLite reserves at its
 * end: XXH3-64 of the rest, seeded with the page's number, little-endian. So a page is known to be damaged,
 * and so is a whole one that lies in another's place. It does not know files.
 *
 * A page of zeros is fine: it was never written. SQLite's lock page, which no content is ever in, is not
 * looked at.
 *
 * Threads: any lane. */
#ifndef QUORATE_STORAGE_PAGE_SUM_H
#define QUORATE_STORAGE_PAGE_SUM_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PAGE_BYTES = 4096,
    PAGE_SUM_BYTES = 8,
    PAGE_LOCK = 0x40000000 / PAGE_BYTES + 1, /* the number of the page that SQLite's locks are in */
};

/* NUMBER counts from 1. PAGE is PAGE_BYTES long. */
bool page_sum_ok(const uint8_t *page, uint64_t number);
void page_sum_set(uint8_t *page, uint64_t number);

#endif
