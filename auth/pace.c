/*
 * pace.c - holding failures back while checks take long. Runs in authd-core.
 * It goes up at once, in steps of twice as much, and down slowly: each change
 * can be seen from outside, so there are to be few.
 */
#include "auth/pace.h"

uint32_t
pace_ms(const struct pace *p)
{
	return p->ms < PACE_MIN_MS ? PACE_MIN_MS : p->ms;
}

/* The step that leaves a quarter of itself as room. */
static uint32_t
pace_for(int64_t took_ms)
{
	uint32_t ms = PACE_MIN_MS;

	while (ms < PACE_MAX_MS && took_ms > ms - ms / 4)
		ms *= 2;
	return ms;
}

void
pace_note(struct pace *p, int64_t took_ms, int64_t now_ms)
{
	uint32_t now = pace_ms(p), want = pace_for(took_ms);

	if (want >= now) {
		p->ms = want;
		p->needed_ms = now_ms;
	} else if (now_ms - p->needed_ms > PACE_KEEP_MS) {
		p->ms = now / 2;
		p->needed_ms = now_ms;
	}
}
