/*
 * fuzz_uidl_dovecot.c - dovecot-uidlist.
 */
#include "config.h"

#include "tests/fuzz/fuzz_uidl.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	return fuzz_uidl_list(data, len, uidl_dovecot_read);
}
