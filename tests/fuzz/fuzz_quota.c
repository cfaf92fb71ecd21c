/*
 * fuzz_quota.c - what the database may hold of what a user has sent: whatever
 * is decoded is encoded again to the same octets.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "db/quotadb.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[QUOTADB_RECORD_MAX];
	struct quotadb_use use;
	int n;

	if (quotadb_decode(data, size, &use) != 0)
		return 0;
	n = quotadb_encode(&use, again, sizeof(again));
	if (n < 0 || (size_t)n != size || memcmp(again, data, size) != 0)
		abort();
	return 0;
}
