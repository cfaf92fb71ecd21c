/*
 * fuzz_record.c - what the database may hold of a user or a grant: whatever is
 * decoded is encoded again to the same octets.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "db/record.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_record_same(int n, const uint8_t *again, const uint8_t *data, size_t size)
{
	if (n < 0 || (size_t)n != size || memcmp(again, data, size) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct user_record user;
	struct grant_record grant = { .user = "x" };
	uint8_t again[RECORD_MAX];

	if (size == 0)
		return 0;
	switch (data[0] % 3) {
	case 0:
		if (record_user_decode(data + 1, size - 1, &user) == 0 &&
		    data[1] == RECORD_USER_VERSION)	/* 1 is not written */
			fuzz_record_same(record_user_encode(&user, again,
			    sizeof(again)), again, data + 1, size - 1);
		break;
	case 1:
		if (record_grant_decode(data + 1, size - 1, &grant) == 0 &&
		    data[1] == RECORD_GRANT_VERSION)
			fuzz_record_same(record_grant_encode(&grant, again,
			    sizeof(again)), again, data + 1, size - 1);
		break;
	default:
		if (record_grant_key_decode(data + 1, size - 1, &grant) == 0)
			fuzz_record_same(record_grant_key_encode(&grant, again,
			    sizeof(again)), again, data + 1, size - 1);
	}
	return 0;
}
