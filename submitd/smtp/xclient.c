/*
 * xclient.c - XCLIENT: a listed peer says for whom it speaks, and the session
 * begins anew as that client's. Runs in submitd-smtp; authd-core too looks
 * whether the peer is listed.
 */
#include "config.h"
#include "submitd/smtp/xclient_params.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "submitd/smtp/command.h"
#include "submitd/smtp/limits.h"

/* Nothing that was learnt or proven before is the new client's. */
static void
xclient_forget(struct smtp_session *s)
{
	smtp_past_part(s);
	roll_leave(s->worker->roll, &s->roll);
	exchange_free(s->exchange);
	s->exchange = NULL;
	free(s->hello);
	free(s->ticket);
	free(s->user);
	free(s->login);
	free(s->mech);
	s->hello = NULL;
	s->ticket = NULL;
	s->user = NULL;
	s->login = NULL;
	s->mech = NULL;
	s->utf8 = false;
	memset(&s->sums, 0, sizeof(s->sums));
	s->crowded = SMTP_R_NONE;
	s->opened_ms = clock_mono_ms();	/* for stranger_timeout */
}

static void
xclient_log(const struct smtp_session *s, const struct smtp_xclient *x)
{
	char ip[ADDR_STRLEN], via[ADDR_STRLEN];

	LOG_EV(LOG_INFO, "smtp.xclient", s->sid,
	    KV_A("rip", addr_ip_text(&s->peer, ip)),
	    KV_U("rport", s->peer.port),
	    KV_A("via", addr_ip_text(&s->via, via)),
	    KV_S("name", x->name[0] == '\0' ? NULL : x->name),
	    KV_S("helo", x->helo[0] == '\0' ? NULL : x->helo),
	    KV_S("proto", x->proto[0] == '\0' ? NULL : x->proto));
}

void
smtp_cmd_xclient(struct smtp_session *s, char *arg)
{
	struct smtp_xclient x;
	enum smtp_reply r = SMTP_R_NONE;

	if (!conf_listener_takes_xclient(s->settings->conf, s->listener,
	    &s->via))
		r = SMTP_R_XCLIENT_DENIED;
	else if (s->tx != NULL)
		r = SMTP_R_XCLIENT_IN_TX;
	else
		r = smtp_xclient_parse(arg, &x);
	if (r != SMTP_R_NONE) {
		smtp_reply(s, r);
		return;
	}
	xclient_forget(s);
	if (x.has_addr) {
		s->peer = x.addr;
		s->claimed = true;
	}
	xclient_log(s, &x);
	sessions_leave(s->worker->table, &s->place);
	smtp_limits_enter(s);
	smtp_session_enter(s, smtp_session_rest(s));
	smtp_begin_greet(s);
}
