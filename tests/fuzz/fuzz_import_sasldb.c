/*
 * fuzz_import_sasldb.c - a line of what the reader of sasldb2 prints.
 */
#include "tests/fuzz/fuzz_import.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_import_line(IMPORT_SASLDB, data, size);
	return 0;
}
