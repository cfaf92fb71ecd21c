/*
 * fuzz_import_htpasswd.c - a line of an htpasswd file.
 */
#include "tests/fuzz/fuzz_import.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_import_line(IMPORT_HTPASSWD, data, size);
	return 0;
}
