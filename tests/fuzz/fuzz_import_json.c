/*
 * fuzz_import_json.c - a line of an export. What is taken wholly and can be
 * stored comes out as a line that means the same.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "db/import_record.h"

static json_t *
fuzz_import_out(struct import_record *r)
{
	json_t *aliases = r->aliases != NULL ?
	    json_deep_copy(r->aliases) : json_array();
	json_t *allow_as = r->allow_as != NULL ?
	    json_deep_copy(r->allow_as) : json_array();

	return import_record_encode(r->user, &r->rec, aliases, allow_as);
}

static void
fuzz_import_round(struct import_record *r)
{
	struct import_record again;
	struct err e = { 0 };
	json_t *first = fuzz_import_out(r), *second;

	FUZZ_CHECK(import_record_decode(first, &again, &e) == 0);
	second = fuzz_import_out(&again);
	FUZZ_CHECK(json_equal(first, second));
	FUZZ_CHECK(again.rec.n_credentials == r->rec.n_credentials);
	import_record_clear(&again);
	json_decref(second);
	json_decref(first);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t v[RECORD_MAX];
	struct import_record r;
	struct err e = { 0 };
	json_t *line = json_loadb((const char *)data, size,
	    JSON_REJECT_DUPLICATES, NULL);

	if (import_record_decode(line, &r, &e) != 0) {
		FUZZ_CHECK(e.text[0] != '\0' && r.user[0] == '\0');
	} else {
		if ((r.given & IMPORT_WHOLE) != 0 &&
		    record_user_encode(&r.rec, v, sizeof(v)) > 0)
			fuzz_import_round(&r);
		import_record_clear(&r);
	}
	json_decref(line);
	return 0;
}
