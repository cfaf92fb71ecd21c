/*
 * sessions_hello.c - how clients of an address begin on ports that begin in
 * clear, remembered for all workers. Runs in workers.
 *
 * One word an address, read and written at once: it needs no lock. What another
 * process wrote there can at worst make a client wait for its greeting, or not.
 */
#include "lib/sessions_private.h"

#include <string.h>

#include "lib/clock.h"

#define HELLO_MINUTES	240u		/* for so long it is known */
#define HELLO_WAYS	8u		/* places that an address may have */
#define HELLO_TIME	UINT64_C(0xffffff)	/* the minute */
#define HELLO_LEFT	UINT64_C(0x7000000)	/* beginnings that still wait */
#define HELLO_ONE	UINT64_C(0x1000000)	/* ... one of them */
#define HELLO_WAITS	UINT64_C(0x8000000)	/* one waits now */
#define HELLO_WHOSE	(~(HELLO_TIME | HELLO_LEFT | HELLO_WAITS))

_Static_assert(SESSIONS_HELLOS % HELLO_WAYS == 0, "whole sets of places");

/* Never 0, which is a free place. */
static uint64_t
hello_now(void)
{
	return ((uint64_t)(clock_mono_ms() / 60000) + 1) & HELLO_TIME;
}

static uint64_t
hello_age(uint64_t word, uint64_t now)
{
	return word == 0 ? HELLO_TIME + 1 : (now - word) & HELLO_TIME;
}

/* Its place, or the one that is free or was written longest ago. *ret_word is 0
 * unless it is its own, and known still. */
static uint64_t *
hello_find(struct sessions *t, const struct addr *peer, uint64_t now,
    uint64_t *ret_whose, uint64_t *ret_word)
{
	uint64_t hash, oldest = 0, word, *set, *at;
	uint8_t ip[sizeof(peer->ip)];

	memcpy(ip, peer->ip, sizeof(ip));
	if (!addr_is_v4(peer))
		addr_mask(ip, 64);
	hash = siphash(t->key, ip, sizeof(ip));
	at = set = &t->head->hello[hash % (SESSIONS_HELLOS / HELLO_WAYS) *
	    HELLO_WAYS];
	*ret_whose = hash & HELLO_WHOSE;
	*ret_word = 0;
	for (size_t i = 0; i < HELLO_WAYS; i++) {
		word = __atomic_load_n(&set[i], __ATOMIC_RELAXED);
		if (word != 0 && (word & HELLO_WHOSE) == *ret_whose) {
			if (hello_age(word, now) < HELLO_MINUTES)
				*ret_word = word;
			return &set[i];
		}
		if (hello_age(word, now) >= oldest) {
			oldest = hello_age(word, now);
			at = &set[i];
		}
	}
	return at;
}

/* A line of memory that all workers read is written only where it changes. */
static void
hello_write(uint64_t *at, uint64_t word)
{
	if (__atomic_load_n(at, __ATOMIC_RELAXED) != word)
		__atomic_store_n(at, word, __ATOMIC_RELAXED);
}

void
sessions_note_hello(struct sessions *t, const struct addr *peer)
{
	uint64_t now = hello_now(), whose, word, *at;

	if (t == NULL || addr_is_none(peer))
		return;
	at = hello_find(t, peer, now, &whose, &word);
	hello_write(at, whose | HELLO_LEFT | now);
}

void
sessions_note_plain(struct sessions *t, const struct addr *peer)
{
	uint64_t now = hello_now(), whose, word, *at;

	if (t == NULL || addr_is_none(peer))
		return;
	at = hello_find(t, peer, now, &whose, &word);
	if (word & HELLO_LEFT)
		word -= HELLO_ONE;
	if (word & HELLO_LEFT)
		hello_write(at, word & ~HELLO_WAITS);
	else
		hello_write(at, whose | now);
}

bool
sessions_hello_wait(struct sessions *t, const struct addr *peer)
{
	uint64_t now = hello_now(), whose, word, *at;

	if (t == NULL || addr_is_none(peer))
		return false;
	at = hello_find(t, peer, now, &whose, &word);
	if (word == 0)
		word = whose | HELLO_ONE | now;
	if (!(word & HELLO_LEFT) || word & HELLO_WAITS)
		return false;
	hello_write(at, word | HELLO_WAITS);
	return true;
}

void
sessions_hello_waited(struct sessions *t, const struct addr *peer)
{
	uint64_t whose, word, *at;

	at = hello_find(t, peer, hello_now(), &whose, &word);
	if (word & HELLO_WAITS)
		hello_write(at, word & ~HELLO_WAITS);
}
