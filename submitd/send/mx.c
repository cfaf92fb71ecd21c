/*
 * mx.c - the order of a domain's MX records. Pure, but for chance.
 *
 * Runs in submitd-send.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "submitd/send/mx.h"

#include "lib/str.h"

bool
mx_is_null(const struct dns_mx *mx, size_t n)
{
	return n == 1 && mx[0].host[0] == '\0';
}

static void
mx_swap(struct dns_mx *a, struct dns_mx *b)
{
	struct dns_mx t = *a;

	*a = *b;
	*b = t;
}

static void
mx_shuffle(struct dns_mx *mx, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = arc4random_uniform((uint32_t)i);

		if (j != i - 1)
			mx_swap(&mx[i - 1], &mx[j]);
	}
}

static int
mx_compare(const void *va, const void *vb)
{
	const struct dns_mx *a = va, *b = vb;

	return (a->preference > b->preference) -
	    (a->preference < b->preference);
}

/* A run of equal preference is as long as qsort() left it: it is shuffled
 * behind the sort, which need not be stable then. */
static void
mx_sort(struct dns_mx *mx, size_t n)
{
	size_t from = 0;

	qsort(mx, n, sizeof(*mx), mx_compare);
	for (size_t i = 1; i <= n; i++) {
		if (i < n && mx[i].preference == mx[from].preference)
			continue;
		mx_shuffle(mx + from, i - from);
		from = i;
	}
}

static bool
mx_has(const struct dns_mx *mx, size_t n, const char *host)
{
	for (size_t i = 0; i < n; i++)
		if (str_ieq(mx[i].host, host))
			return true;
	return false;
}

size_t
mx_order(struct dns_mx *mx, size_t n, const char *own, size_t max,
    bool *ret_own)
{
	unsigned int limit = UINT32_MAX;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++)
		if (str_ieq(mx[i].host, own) && mx[i].preference < limit)
			limit = mx[i].preference;
	*ret_own = limit != UINT32_MAX;
	mx_sort(mx, n);
	for (size_t i = 0; i < n && kept < max; i++) {
		if (mx[i].host[0] == '\0' || mx[i].preference >= limit ||
		    mx_has(mx, kept, mx[i].host))
			continue;
		if (i != kept)
			mx[kept] = mx[i];
		kept++;
	}
	return kept;
}
