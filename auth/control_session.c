/*
 * control_session.c - the verbs on sessions that run: who is logged in, and
 * ending sessions. On the loop of authd-core; the workers know the sessions.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "auth/control_private.h"
#include "auth/notice.h"

#define CONTROL_WHO_MAX 100000u		/* sessions of one answer */

static bool
control_who_fits(const struct control_job *j, const struct ops_session *s)
{
	return (j->user[0] == '\0' || strcmp(j->user, s->user) == 0 ||
	    strcmp(j->user, s->login) == 0) &&
	    (!j->has_net || net_has(&j->net, &s->peer));
}

static void
control_who_entry(void *ctx, const struct ops_session *s)
{
	struct control_job *j = ctx;
	char ip[ADDR_STRLEN];

	if (!control_who_fits(j, s))
		return;
	if (json_array_size(j->records) >= CONTROL_WHO_MAX) {
		control_job_set(j, "cut", json_true());
		return;
	}
	(void)json_array_append_new(j->records, json_pack(
	    "{s:s, s:s*, s:s, s:s, s:s, s:s, s:s, s:I}", "user", s->user,
	    "login", s->login[0] == '\0' ? NULL : s->login,
	    "address", addr_ip_text(&s->peer, ip),
	    "service", s->service == AUTHP_POP ? "pop" : "smtp",
	    "mechanism", s->mech, "tls", s->tls, "session", s->sid,
	    "since_s", (json_int_t)s->since_s));
}

static void
control_who_end(void *ctx, unsigned int silent)
{
	struct control_job *j = ctx;

	if (silent > 0)
		control_job_warn(j, "%u processes did not answer: there may be "
		    "more sessions", silent);
	if (json_is_true(json_object_get(j->last, "cut")))
		control_job_warn(j, "there are more sessions than %u",
		    CONTROL_WHO_MAX);
	(void)json_object_del(j->last, "cut");
	control_job_end(j, 0);
}

int
control_who(struct control_job *j)
{
	static const struct ops_who_fns fns = { .entry = control_who_entry,
	    .end = control_who_end };
	int r;

	if ((r = ops_who(j->core, &fns, j)) != 0)
		return err_set(&j->err, ERR_AWAY, r == ERR_LIMIT ?
		    "too many ask at once: try again" : "no memory");
	return 0;
}

/* Whoever has the right logs in again: it is no lock. */
int
control_kick(struct control_job *j)
{
	unsigned int n;

	n = ops_kick(j->core, j->user, j->has_net ? &j->net : NULL);
	control_job_set(j, "workers", json_integer((json_int_t)n));
	control_job_end(j, 0);
	return 0;
}
