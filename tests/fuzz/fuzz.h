/*
 * fuzz.h - what a fuzz target offers. It checks with FUZZ_CHECK(), which holds
 * in every build, and returns 0.
 */
#ifndef SUBMITD_FUZZ_H
#define SUBMITD_FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_CHECK(x) do { \
	if (!(x)) \
		abort(); \
} while (0)

#endif
