/*
 * fuzz_conf_scan.c - the look at a configuration file: any text ends in a
 * verdict, and a bad one in a message with file and line.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "lib/conf_scan.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct conf_scan scan = { NULL, 0 };
	char *text = strndup((const char *)data, size);
	struct err e;

	FUZZ_CHECK(text != NULL);
	/* files of this machine are no business of a fuzzer */
	if (strstr(text, "include") == NULL &&
	    conf_scan(&scan, "/dev/null/f", text, &e) != 0)
		FUZZ_CHECK(e.code == ERR_CONFIG &&
		    strncmp(e.text, "/dev/null/f:", 12) == 0);
	conf_scan_free(&scan);
	free(text);
	return 0;
}
