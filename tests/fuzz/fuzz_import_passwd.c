/*
 * fuzz_import_passwd.c - a line of Dovecot's passwd-file.
 */
#include "tests/fuzz/fuzz_import.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_import_line(IMPORT_PASSWD, data, size);
	return 0;
}
