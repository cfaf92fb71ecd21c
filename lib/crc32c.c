/*
 * crc32c.c - CRC-32C. See crc32c.h. Pure; linked into every process.
 */
#include "config.h"

#include "lib/crc32c.h"

#include <pthread.h>
#include <stdbool.h>
#include <string.h>

#define CRC32C_POLYNOMIAL 0x82f63b78u	/* reflected */

static uint32_t crc32c_table[8][256];
static pthread_once_t crc32c_once = PTHREAD_ONCE_INIT;

static void
crc32c_init(void)
{
	for (uint32_t i = 0; i < 256; i++) {
		uint32_t c = i;

		for (int k = 0; k < 8; k++)
			c = c >> 1 ^ (c & 1 ? CRC32C_POLYNOMIAL : 0);
		crc32c_table[0][i] = c;
	}
	for (uint32_t i = 0; i < 256; i++)
		for (int t = 1; t < 8; t++)
			crc32c_table[t][i] = crc32c_table[t - 1][i] >> 8 ^
			    crc32c_table[0][crc32c_table[t - 1][i] & 0xff];
}

static uint32_t
crc32c_octet(uint32_t crc, uint8_t b)
{
	return crc >> 8 ^ crc32c_table[0][(crc ^ b) & 0xff];
}

/* Eight octets a step, from eight tables. */
static uint32_t
crc32c_plain(uint32_t crc, const uint8_t *p, size_t len)
{
	(void)pthread_once(&crc32c_once, crc32c_init);
	for (; len >= 8; p += 8, len -= 8) {
		uint32_t a = crc ^ ((uint32_t)p[0] | (uint32_t)p[1] << 8 |
		    (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24);

		crc = crc32c_table[7][a & 0xff] ^
		    crc32c_table[6][a >> 8 & 0xff] ^
		    crc32c_table[5][a >> 16 & 0xff] ^
		    crc32c_table[4][a >> 24] ^
		    crc32c_table[3][p[4]] ^ crc32c_table[2][p[5]] ^
		    crc32c_table[1][p[6]] ^ crc32c_table[0][p[7]];
	}
	while (len-- > 0)
		crc = crc32c_octet(crc, *p++);
	return crc;
}

#if defined(__x86_64__)

__attribute__((target("sse4.2"))) static uint32_t
crc32c_sse(uint32_t crc, const uint8_t *p, size_t len)
{
	uint64_t c = crc, word;

	for (; len >= 8; p += 8, len -= 8) {
		memcpy(&word, p, sizeof(word));
		c = __builtin_ia32_crc32di(c, word);
	}
	crc = (uint32_t)c;
	while (len-- > 0)
		crc = __builtin_ia32_crc32qi(crc, *p++);
	return crc;
}

uint32_t
crc32c(uint32_t crc, const void *p, size_t len)
{
	return ~(__builtin_cpu_supports("sse4.2") ?
	    crc32c_sse(~crc, p, len) : crc32c_plain(~crc, p, len));
}

#else

uint32_t
crc32c(uint32_t crc, const void *p, size_t len)
{
	return ~crc32c_plain(~crc, p, len);
}

#endif
