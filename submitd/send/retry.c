/*
 * retry.c - when to try again (RFC 5321 section 4.5.4.1). Pure.
 *
 * Runs in submitd-send.
 */
#include "config.h"

#include "submitd/send/retry.h"

static int64_t
retry_base_ms(const struct retry_policy *p, uint32_t tries)
{
	uint64_t s = p->min_s, max = p->max_s > p->min_s ? p->max_s : p->min_s;

	while (tries-- > 0 && s < max)
		s *= 2;
	return (int64_t)(s < max ? s : max) * 1000;
}

int64_t
retry_delay_ms(const struct retry_policy *p, uint32_t tries, uint32_t random)
{
	int64_t base = retry_base_ms(p, tries);

	return base + (int64_t)random % (base / 4 + 1);
}

int64_t
retry_next_ms(const struct retry_policy *p, int64_t now_ms, int64_t since_s,
    uint32_t tries, uint32_t random)
{
	int64_t end = (since_s + (int64_t)p->lifetime_s) * 1000;
	int64_t next = now_ms + retry_delay_ms(p, tries, random);

	if (now_ms >= end)
		return RETRY_NEVER;
	return next < end ? next : end;
}

int64_t
retry_gate_ms(const struct retry_policy *p, unsigned int fails)
{
	uint64_t s = 1, max = p->min_s < 60 ? p->min_s : 60;

	while (fails-- > 1 && s < max)
		s *= 2;
	return (int64_t)(s < max ? s : max) * 1000;
}

int64_t
retry_due_ms(const struct retry_policy *p, int64_t now_ms, int64_t arrived_s,
    int64_t next_s)
{
	int64_t due = (next_s > arrived_s ? next_s : arrived_s) * 1000;
	int64_t most = retry_base_ms(p, UINT32_MAX);

	if (next_s == 0)
		return due < now_ms ? due : now_ms;
	most = now_ms + most + most / 4;
	return due < most ? due : most;
}
