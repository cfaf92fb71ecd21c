/*
 * fuzz_manifest.c - what manifest_parse() takes names only files that may be in
 * a backup, each once, and reads the same when it is written again.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "lib/manifest.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct manifest m, again;
	char *text = malloc(size + 1), *out;

	FUZZ_CHECK(text != NULL);
	memcpy(text, data, size);
	text[size] = '\0';
	if (manifest_parse(text, &m, NULL) == 0) {
		FUZZ_CHECK(m.n <= MANIFEST_FILES_MAX);
		for (size_t i = 0; i < m.n; i++) {
			FUZZ_CHECK(manifest_is_name(m.v[i].name));
			FUZZ_CHECK(strchr(m.v[i].name, '/') == NULL);
		}
		FUZZ_CHECK((out = manifest_text(&m)) != NULL);
		FUZZ_CHECK(manifest_parse(out, &again, NULL) == 0);
		FUZZ_CHECK(memcmp(&m, &again, sizeof(m)) == 0);
		free(out);
	}
	free(text);
	return 0;
}
