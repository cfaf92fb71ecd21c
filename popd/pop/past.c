/*
 * past.c - see past.h. Runs in popd-pop, on the loop. It waits for nothing and
 * never knows a password.
 */
#include "config.h"
#include "popd/pop/past.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "popd/pop/session.h"

struct pop_past {
	unsigned int	 rank;		/* how much the refusal matters */
	enum pop_code	 code;
	char		*text;
	char		*login;		/* the name that was claimed last */
	bool		 failed;	/* a login */
	bool		 clear;		/* a login was tried in clear */
};

static struct pop_past *
past_of(struct pop_session *s)
{
	if (s->past == NULL)
		s->past = calloc(1, sizeof(*s->past));
	return s->past;			/* NULL: there is less to tell */
}

static void
past_keep(char **at, const char *s)
{
	free(*at);
	*at = s == NULL ? NULL : strdup(s);
}

void
pop_past_reply(struct pop_session *s, enum pop_code code, bool person,
    const char *text)
{
	unsigned int rank = code != POP_CODE_NONE ? 3 : person ? 2 : 1;
	struct pop_past *p = past_of(s);

	if (p == NULL || rank < p->rank)
		return;
	p->rank = rank;
	p->code = code;
	past_keep(&p->text, text);
}

void
pop_past_login(struct pop_session *s, const char *name)
{
	struct pop_past *p = past_of(s);

	if (p == NULL)
		return;
	p->failed = true;
	if (name != NULL)
		past_keep(&p->login, name);
}

void
pop_past_clear(struct pop_session *s)
{
	struct pop_past *p = past_of(s);

	if (p != NULL)
		p->clear = true;
}

void
pop_past_opened(struct pop_session *s)
{
	if (s->past != NULL)
		s->past->rank = 0;
}

/* A port scan: it came to the port of implicit TLS, and went. */
static bool
past_said_nothing(const struct pop_session *s)
{
	size_t heard;

	(void)conn_first(s->conn, &heard);
	return s->state == POP_ST_HANDSHAKE && heard == 0 && s->alert == NULL &&
	    s->implicit_tls;
}

/* Before the handshake ends there is neither TLS nor a login. */
static unsigned int
past_flags(const struct pop_session *s)
{
	unsigned int flags = 0;

	if (s->state == POP_ST_HANDSHAKE && !past_said_nothing(s))
		flags |= AUTHP_PAST_HANDSHAKE;
	if (!s->implicit_tls && (s->tls[0] != '\0' ||
	    s->state == POP_ST_HANDSHAKE))
		flags |= AUTHP_PAST_STARTTLS;
	if (s->mech[0] != '\0')
		flags |= AUTHP_PAST_LOGIN;
	if (s->past != NULL && s->past->failed)
		flags |= AUTHP_PAST_LOGIN_FAILED;
	if (s->past != NULL && s->past->clear)
		flags |= AUTHP_PAST_AUTH_CLEAR;
	return flags;
}

void
pop_past_tell(struct pop_session *s, const char *why)
{
	const struct pop_past *p = s->past;
	int64_t ms = clock_mono_ms() - s->opened_ms;
	bool in = s->user[0] != '\0';
	struct authc_event e = {
		.sid = s->id, .service = AUTHP_POP, .peer = &s->peer,
		.port = conn_local(s->conn)->port, .tls = s->tls,
		.user = s->user, .login = s->login,
		.kind = in ? AUTHP_KIND_SASL : 0,
		.began_s = clock_now_s() - ms / 1000,
		.ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX,
		.flags = past_flags(s), .why = why,
	};

	if (s->alert != NULL)
		e.why = s->alert->word;
	else if (past_said_nothing(s))
		e.why = "eof";
	if (p != NULL && p->rank > 0) {
		e.status = pop_code_name(p->code);
		e.text = p->text;
	}
	if (p != NULL && !in)
		e.login = p->login;
	authc_event(s->server->authc, &e);
}

void
pop_past_free(struct pop_past *p)
{
	if (p == NULL)
		return;
	free(p->text);
	free(p->login);
	free(p);
}
