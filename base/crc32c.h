/* crc32c: the Castagnoli CRC (RFC 3720, section 12.1), by the CPU's own instruction where it has one. */
#ifndef QUORATE_BASE_CRC32C_H
#define QUORATE_BASE_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Continues a checksum: start with 0, pass what the last call returned. */
uint32_t crc32c(uint32_t crc, const void *p, size_t n);
/* The same without the CPU's instruction; for the test that compares the two. */
uint32_t crc32c_by_table(uint32_t crc, const void *p, size_t n);

#endif
