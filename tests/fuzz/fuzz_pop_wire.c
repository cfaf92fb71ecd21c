/*
 * fuzz_pop_wire.c - the wire format (popd/wire.h) of any octets, whole and cut
 * in two, and the rules it must always obey.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "popd/wire.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
fuzz_must(int ok)
{
	if (!ok)
		abort();
}

/* Lines end with CR LF, and none is a single dot. */
static void
fuzz_check_lines(const uint8_t *p, size_t n)
{
	const uint8_t *end = p + n, *lf;

	while (p < end) {
		lf = memchr(p, '\n', (size_t)(end - p));
		fuzz_must(lf != NULL && lf > p && lf[-1] == '\r');
		fuzz_must(p[0] != '.' || p[1] == '.');
		p = lf + 1;
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct wire w, cut, count;
	uint8_t *a, *b;
	size_t at, n, m;

	if (len < 2 || len > 1 << 20)
		return 0;
	at = data[0] % (len - 1);
	if (data[1] < 200)
		wire_init(&w);
	else
		wire_init_top(&w, data[1] - 200u);
	data++;
	len--;
	cut = count = w;
	fuzz_must((a = malloc(WIRE_OUT_SIZE(len))) != NULL);
	fuzz_must((b = malloc(WIRE_OUT_SIZE(len))) != NULL);
	n = wire_put(&w, data, len, a);
	n += wire_end(&w, a + n);
	m = wire_put(&cut, data, at, b);
	m += wire_put(&cut, data + at, len - at, b + m);
	m += wire_end(&cut, b + m);
	wire_put(&count, data, len, NULL);
	wire_end(&count, NULL);
	fuzz_must(n == m && memcmp(a, b, n) == 0);
	fuzz_must(w.octets == cut.octets && w.octets == count.octets &&
	    w.octets <= n);
	fuzz_check_lines(a, n);
	free(a);
	free(b);
	return 0;
}
