/*
 * sessions_hello.c - addresses whose mail programs begin with TLS where a
 * greeting in clear comes first, remembered for all workers. Runs in workers.
 *
 * One word an address, read and written at once: it needs no lock. What another
 * process wrote there can at worst make a client wait for its greeting, or not.
 */
#include "lib/sessions_private.h"

#include <string.h>

#include "lib/clock.h"

#define HELLO_MINUTES	240u		/* for so long it is known */
#define HELLO_WAYS	8u		/* places that an address may have */
#define HELLO_TIME	UINT64_C(0xffffff)	/* the minute; above: which */

_Static_assert(SESSIONS_HELLOS % HELLO_WAYS == 0, "whole sets of places");

/* Never 0, which is a free place. */
static uint64_t
hello_now(void)
{
	return ((uint64_t)(clock_mono_ms() / 60000) + 1) & HELLO_TIME;
}

static uint64_t *
hello_set(struct sessions *t, const struct addr *peer, uint64_t *ret_tag)
{
	uint8_t ip[sizeof(peer->ip)];
	uint64_t hash;

	memcpy(ip, peer->ip, sizeof(ip));
	if (!addr_is_v4(peer))
		addr_mask(ip, 64);
	hash = siphash(t->key, ip, sizeof(ip));
	*ret_tag = hash & ~HELLO_TIME;
	return &t->head->hello[hash % (SESSIONS_HELLOS / HELLO_WAYS) *
	    HELLO_WAYS];
}

static uint64_t
hello_age(uint64_t word, uint64_t now)
{
	return word == 0 ? HELLO_TIME + 1 : (now - word) & HELLO_TIME;
}

void
sessions_note_hello(struct sessions *t, const struct addr *peer)
{
	uint64_t *set, tag, now = hello_now(), age, oldest = 0, word;
	size_t at = 0;

	if (t == NULL || addr_is_none(peer))
		return;
	set = hello_set(t, peer, &tag);
	for (size_t i = 0; i < HELLO_WAYS; i++) {
		word = __atomic_load_n(&set[i], __ATOMIC_RELAXED);
		if (word != 0 && (word & ~HELLO_TIME) == tag) {
			at = i;
			break;
		}
		if ((age = hello_age(word, now)) >= oldest) {
			oldest = age;
			at = i;
		}
	}
	__atomic_store_n(&set[at], tag | now, __ATOMIC_RELAXED);
}

bool
sessions_had_hello(struct sessions *t, const struct addr *peer)
{
	uint64_t *set, tag, now = hello_now(), word;

	if (t == NULL || addr_is_none(peer))
		return false;
	set = hello_set(t, peer, &tag);
	for (size_t i = 0; i < HELLO_WAYS; i++) {
		word = __atomic_load_n(&set[i], __ATOMIC_RELAXED);
		if (word != 0 && (word & ~HELLO_TIME) == tag)
			return hello_age(word, now) < HELLO_MINUTES;
	}
	return false;
}
