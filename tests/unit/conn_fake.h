/*
 * conn_fake.h - the calls of lib/conn.h that sessions make and no test of theirs
 * looks at, for the fakes that stand in for it.
 */
#ifndef SUBMITD_TESTS_CONN_FAKE_H
#define SUBMITD_TESTS_CONN_FAKE_H

#include "lib/conn.h"
#include "lib/greet_wait.h"

const uint8_t *
conn_first(const struct conn *c, size_t *ret_len)
{
	static const uint8_t none[CONN_FIRST];

	(void)c;
	*ret_len = 0;
	return none;
}

void
conn_output_limit(struct conn *c, size_t octets)
{
	(void)c;
	(void)octets;
}

bool
conn_is_full(const struct conn *c)
{
	(void)c;
	return false;
}

void
conn_acknowledge(const struct conn *c)
{
	(void)c;
}

int64_t
conn_heard_ms(const struct conn *c)
{
	(void)c;
	return 0;
}

int64_t
conn_unheard_ms(const struct conn *c)
{
	(void)c;
	return 0;
}

void
conn_kick(struct conn *c)
{
	(void)c;
}

/* The silence before the greeting: where `wanted` it lasts until the test ends
 * it. */
static struct {
	bool			 wanted;
	struct greet_wait	*now;
} conn_fake_silence;

bool
greet_wait_begin(struct greet_wait *w, struct loop *l, struct sessions *t,
    const struct addr *place, loop_fn *fn, void *ctx)
{
	(void)l;
	(void)t;
	(void)place;
	if (!conn_fake_silence.wanted)
		return false;
	w->timer = (struct timer){ .ev = w, .fn = fn, .ctx = ctx };
	conn_fake_silence.now = w;
	return true;
}

bool
greet_wait_on(const struct greet_wait *w)
{
	return w->timer.ev != NULL;
}

void
greet_wait_end(struct greet_wait *w)
{
	w->timer.ev = NULL;
	conn_fake_silence.now = NULL;
}

/* Its time is over, if it is on. */
static void
conn_fake_end_silence(void)
{
	struct greet_wait *w = conn_fake_silence.now;

	if (w != NULL)
		w->timer.fn(w->timer.ctx);
}

#endif
