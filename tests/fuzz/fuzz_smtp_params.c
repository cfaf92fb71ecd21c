/*
 * fuzz_smtp_params.c - the parameters of MAIL and RCPT: whatever is taken must be
 * in its bounds, and what is asked of delivery must come through the spool's
 * packets as it is. The first octet is the set of extensions that are on.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "lib/xtext.h"
#include "submitd/smtp/params.h"
#include "submitd/spool/wishes.h"
#include "tests/fuzz/fuzz.h"

#define NOW 1795000000

/* Whatever is kept goes to other servers, and into reports. */
static void
check_rcpt(const char *s, size_t len)
{
	struct smtp_rcpt_params p;
	char text[SPOOL_ORCPT_MAX + 1];

	for (int utf8 = 0; utf8 < 2; utf8++) {
		if (smtp_params_rcpt(s, len, utf8 != 0, &p) != SMTP_R_NONE)
			continue;
		if (p.notify > SPOOL_NOTIFY__ALL ||
		    ((p.notify & SPOOL_NOTIFY_NEVER) && p.notify > 1) ||
		    strlen(p.orcpt) > SPOOL_ORCPT_MAX)
			abort();
		if (p.orcpt[0] != '\0' && (strchr(p.orcpt, ';') == NULL ||
		    xtext_decode(text, sizeof(text), p.orcpt,
		    strlen(p.orcpt)) < 0))
			abort();
	}
}

/* Nothing that was switched off is set. */
static void
check_wishes(const struct spool_wishes *w, unsigned int on)
{
	static struct msg_out m;
	struct spool_wishes back;
	struct msg_in in;

	FUZZ_CHECK((on & SMTP_EXT_FUTURERELEASE) || w->hold_until_s == 0);
	FUZZ_CHECK((on & SMTP_EXT_DELIVERBY) || w->by_mode == SPOOL_BY_NONE);
	FUZZ_CHECK((on & SMTP_EXT_MT_PRIORITY) || w->priority == 0);
	FUZZ_CHECK((on & SMTP_EXT_REQUIRETLS) || !w->requiretls);
	FUZZ_CHECK(w->hold_until_s == 0 || (w->hold_until_s >= NOW &&
	    w->hold_until_s <= NOW + SMTP_HOLD_MAX_S));
	FUZZ_CHECK(w->by_mode != SPOOL_BY_RETURN || w->by_s > NOW);
	FUZZ_CHECK(w->priority >= -9 && w->priority <= 9);
	msg_begin(&m, 1, 0);
	spool_wishes_put(&m, w);
	FUZZ_CHECK(m.error == 0 && msg_open(&in, m.data, m.len) == 0 &&
	    spool_wishes_get(&in, &back) == 0 && msg_get_end(&in) == 0);
	FUZZ_CHECK(w->hold_until_s == back.hold_until_s &&
	    w->by_mode == back.by_mode && w->by_trace == back.by_trace &&
	    w->by_s == back.by_s && w->priority == back.priority &&
	    w->requiretls == back.requiretls);
}

static void
check_mail(const char *s, size_t len, unsigned int on)
{
	const struct smtp_params_limits limits = { .size = 1000,
		.extensions = on, .now_s = NOW };
	char text[SPOOL_ENVID_MAX + 1];
	struct smtp_params p;

	if (smtp_params_mail(s, len, &limits, &p) != SMTP_R_NONE)
		return;
	FUZZ_CHECK(p.size <= limits.size && p.ret <= SPOOL_RET_HDRS);
	FUZZ_CHECK(xtext_decode(text, sizeof(text), p.envid,
	    strlen(p.envid)) >= 0);
	check_wishes(&p.wishes, on);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *s = (const char *)data + 1;

	if (len < 1)
		return 0;
	check_rcpt(s, len - 1);
	check_mail(s, len - 1, data[0] & SMTP_EXT_ALL);
	return 0;
}
