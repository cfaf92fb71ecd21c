/*
 * fuzz_places.c - what the database may hold of last logins, places and blocks:
 * whatever is decoded is encoded again to the same octets.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "db/placesdb_private.h"

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
fuzz_places_same(int n, const uint8_t *again, const uint8_t *data, size_t size)
{
	if (n < 0 || (size_t)n != size || memcmp(again, data, size) != 0)
		abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct placesdb_login login;
	struct placesdb_place place;
	struct placesdb_guess guess;
	uint8_t again[PLACESDB_RECORD_MAX];

	if (size == 0)
		return 0;
	switch (*data++ % 3) {
	case 0:
		if (placesdb_login_decode(data, --size, &login) == 0)
			fuzz_places_same(placesdb_login_encode(&login, again,
			    sizeof(again)), again, data, size);
		break;
	case 1:
		if (placesdb_place_decode(data, --size, &place) != 0)
			break;
		placesdb_place_encode(&place, again);
		fuzz_places_same(PLACESDB_PLACE_SIZE, again, data, size);
		break;
	default:
		if (placesdb_guess_decode(data, --size, &guess) == 0)
			fuzz_places_same(placesdb_guess_encode(&guess, again,
			    sizeof(again)), again, data, size);
	}
	return 0;
}
