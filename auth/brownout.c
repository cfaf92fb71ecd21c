/*
 * brownout.c - see brownout.h. On the loop of authd-core. It must never refuse
 * what a login or a trusted network lets in.
 */
#include "config.h"

#include "auth/brownout.h"

#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

#define BROWNOUT_TEXT "Sending without a login is switched off for now: switch " \
	"on authentication (SMTP AUTH) for the outgoing server in your mail " \
	"program, with the user name and password you fetch mail with"

void
brownout_judge(struct mail *m)
{
	const struct conf_brownout *b = conf_brownout_at(m->core->conf,
	    m->now_s);
	struct policy_in in = m->in;
	struct policy_out out;

	if (b == NULL || m->after_mail || m->in_header ||
	    m->out.verdict != AUTHP_OK || m->out.kind != AUTHP_KIND_GRANT)
		return;
	in.grants = POLICY_GRANTS_NONE;
	in.owner_granted = false;
	if (in.ticket == POLICY_TICKET_NONE) {
		policy_decide(&in, &out);
		if (out.verdict == AUTHP_OK) {
			m->out = out;
			return;
		}
	}
	m->brownout = b;
	m->out.verdict = AUTHP_BROWNOUT;
}

const char *
brownout_text(const struct conf_brownout *b, char dst[AUTHP_BROWNOUT_MAX + 1])
{
	(void)str_format(dst, AUTHP_BROWNOUT_MAX + 1, "%s%s%s",
	    b->text == NULL ? BROWNOUT_TEXT : b->text,
	    b->url == NULL ? "" : "; see ", b->url == NULL ? "" : b->url);
	return dst;
}

void
brownout_tick(struct core *core, int64_t now_s)
{
	const struct conf_brownout *b = conf_brownout_at(core->conf, now_s);
	const char *name = b == NULL ? "" : b->item.name;
	char until[CLOCK_DATE_SIZE];

	if (strcmp(name, core->brownout) == 0)
		return;
	if (core->brownout[0] != '\0')
		LOG_EV(LOG_NOTICE, "brownout.end", NULL,
		    KV_S("name", core->brownout));
	if (b != NULL) {
		clock_utc(b->end_s, until);
		LOG_EV(LOG_NOTICE, "brownout.begin", NULL, KV_S("name", name),
		    KV_A("until", until));
	}
	(void)str_copy(core->brownout, sizeof(core->brownout), name);
}
