/*
 * siphash.h - SipHash-2-4: a short keyed hash, so that nobody outside can
 * choose what shares a bucket with what. Not for secrets that are stored.
 */
#ifndef SUBMITD_SIPHASH_H
#define SUBMITD_SIPHASH_H

#include <stddef.h>
#include <stdint.h>

#define SIPHASH_KEY 16

uint64_t siphash(const uint8_t key[SIPHASH_KEY], const void *p, size_t len);

#endif
