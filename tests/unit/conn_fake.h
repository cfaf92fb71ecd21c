/*
 * conn_fake.h - the calls of lib/conn.h that sessions make and no test of theirs
 * looks at, for the fakes that stand in for it.
 */
#ifndef SUBMITD_TESTS_CONN_FAKE_H
#define SUBMITD_TESTS_CONN_FAKE_H

#include "lib/conn.h"

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

int64_t
conn_heard_ms(const struct conn *c)
{
	(void)c;
	return 0;
}

void
conn_kick(struct conn *c)
{
	(void)c;
}

#endif
