/*
 * cert_watch.c - see cert_watch.h. Runs in parents; reads no file.
 */
#include "lib/cert_watch.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/conf_route.h"
#include "lib/siphash.h"

/* The sum changes with anything that a new file differs in. */
static uint64_t
watch_add(uint64_t sum, const char *file)
{
	static const uint8_t key[SIPHASH_KEY];
	struct stat st;
	uint64_t v[8] = { sum };

	if (stat(file, &st) < 0) {
		v[1] = (uint64_t)errno;
	} else {
		v[1] = st.st_dev;
		v[2] = st.st_ino;
		v[3] = (uint64_t)st.st_size;
		v[4] = (uint64_t)st.st_mtim.tv_sec;
		v[5] = (uint64_t)st.st_mtim.tv_nsec;
		v[6] = (uint64_t)st.st_ctim.tv_sec;
		v[7] = (uint64_t)st.st_ctim.tv_nsec;
	}
	return siphash(key, v, sizeof(v));
}

static uint64_t
watch_sum(struct conf *c)
{
	struct conf_pairs set;
	uint64_t sum = 1;

	for (size_t i = 0; conf_pairs_at(c, i, &set); i++)
		for (size_t k = 0; k < set.cert->n; k++)
			sum = watch_add(watch_add(sum, set.cert->v[k]),
			    set.key->v[k]);
	for (size_t i = 0; i < c->n_routes; i++) {
		if (c->routes[i].tls_ca != NULL)
			sum = watch_add(sum, c->routes[i].tls_ca);
		if (c->routes[i].auth_secret_file != NULL)
			sum = watch_add(sum, c->routes[i].auth_secret_file);
	}
	return sum;
}

void
cert_watch_take(struct cert_watch *w, struct conf *c)
{
	w->taken = w->seen = watch_sum(c);
}

enum cert_look
cert_watch_look(struct cert_watch *w, struct conf *c)
{
	uint64_t before = w->seen;

	w->seen = watch_sum(c);
	if (w->seen == w->taken)
		return CERT_SAME;
	if (w->seen != before)
		return CERT_CHANGING;
	w->taken = w->seen;
	return CERT_CHANGED;
}
