/*
 * fuzz_usage.c - what the database may hold of how mail is sent: whatever is
 * decoded is encoded again to the same octets, and can be added to itself.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "db/usagedb.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[USAGE_RECORD_MAX];
	struct usage_record r, twice;
	int n;

	if (size == 0 || usage_decode((char)data[0], data + 1, size - 1,
	    &r) != 0)
		return 0;
	n = usage_encode(&r, again);
	if (n < 0 || (size_t)n != size - 1 ||
	    memcmp(again, data + 1, size - 1) != 0)
		abort();
	twice = r;
	usage_merge(&twice, &r);
	if (usage_encode(&twice, again) < 0)
		abort();
	if (r.kind == 'u')
		(void)usage_days_sum(&twice.user.days[USAGE_AUTH], 1796115600);
	return 0;
}
