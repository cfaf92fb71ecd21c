/*
 * crc32c.h - CRC-32C (Castagnoli, RFC 9260 appendix A), by the processor where
 * it can: a few microseconds for 64 KiB.
 */
#ifndef SUBMITD_CRC32C_H
#define SUBMITD_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Of `len` octets behind those that `crc` is of; 0 to begin with. */
uint32_t crc32c(uint32_t crc, const void *p, size_t len);

#endif
