/*
 * control_trace.c - the verb that says who sent a message, by its Received line
 * or the token in it. On the thread of auth/recent.c in authd-core. Anybody may
 * have written the line: only a token, or a session that we remember, proves
 * anything.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "auth/control_private.h"
#include "auth/origin.h"
#include "auth/recent.h"
#include "auth/trace.h"
#include "db/recentdb.h"
#include "lib/str.h"

#define TRACE_TEXT_MAX	8192u

/* Text from outside; nothing where there is none. */
static void
control_trace_set(struct control_job *j, const char *key, char *text)
{
	str_mend_utf8(text);
	if (text[0] != '\0')
		control_job_set(j, key, json_string(text));
}

static int
control_trace_token(struct control_job *j, const char *token)
{
	struct origin_mark m;
	char ip[ADDR_STRLEN];
	int r = origin_open(j->core->origin, token, j->now_s,
	    j->conf->token_keep_s, &m, &j->err);

	if (r != 0)
		return r;
	(void)str_copy(j->user, sizeof(j->user), m.user);	/* for the log */
	control_job_set(j, "source", json_string("token"));
	control_trace_set(j, "user", m.user);
	control_job_set(j, "address", json_string(addr_ip_text(&m.peer, ip)));
	control_trace_set(j, "session", m.sid);
	control_job_set(j, "time_s", json_integer((json_int_t)m.at_s));
	return 0;
}

/* The session that brought the message with this queue id, if it is remembered:
 * what it says is ours. */
static bool
control_trace_session(struct control_job *j, struct trace *t)
{
	struct recent_record *r = malloc(sizeof(*r));
	char ip[ADDR_STRLEN];
	struct err e = { 0 };
	struct addr a = { .port = 0 };

	if (r == NULL)
		return false;
	recent_write_now(j->core->recent);
	if (recentdb_find(recent_db(j->core->recent), t->id, r, &e) != 0) {
		free(r);
		return false;
	}
	memcpy(a.ip, r->ip, sizeof(a.ip));
	(void)str_copy(j->user, sizeof(j->user), r->user);	/* for the log */
	control_job_set(j, "source", json_string("session"));
	control_trace_set(j, "user", r->user);
	if (r->bits == 128)	/* else PROXY named none */
		control_job_set(j, "address", json_string(addr_ip_text(&a,
		    ip)));
	control_trace_set(j, "session", r->sid);
	control_job_set(j, "time_s", json_integer((json_int_t)r->at_s));
	control_trace_set(j, "helo", r->helo);
	control_trace_set(j, "queue_id", t->id);
	if (t->user[0] != '\0' && strcmp(t->user, r->user) != 0)
		control_job_warn(j, "the line says otherwise: %s", t->user);
	free(r);
	return true;
}

/* What the line says. */
static int
control_trace_line(struct control_job *j, struct trace *t)
{
	if (!str_is_id(t->id))
		return err_set(&j->err, ERR_FORMAT, "neither a token nor a "
		    "Received line of this service");
	if (control_trace_session(j, t))
		return 0;
	control_job_set(j, "source", json_string("line"));
	control_trace_set(j, "user", t->user);
	control_trace_set(j, "address", t->address);
	control_trace_set(j, "helo", t->from);
	control_trace_set(j, "queue_id", t->id);
	control_trace_set(j, "date", t->date);
	control_job_warn(j, "nothing here proves this line, and anybody can "
	    "write one: compare it with the log of that time");
	if (strcmp(t->by, j->conf->hostname) != 0)
		control_job_warn(j, "it names another server: %s", t->by);
	return 0;
}

int
control_trace(struct control_job *j)
{
	const char *text = control_arg(j->args, "text");
	char token[AUTHP_ORIGIN_MAX + 1];
	struct trace t = { 0 };

	if (text == NULL || strlen(text) > TRACE_TEXT_MAX)
		return err_set(&j->err, ERR_FORMAT, "a Received line or a token "
		    "is wanted");
	if (trace_is_token(text, token))
		return control_trace_token(j, token);
	trace_read(&t, text);
	return t.token[0] != '\0' ? control_trace_token(j, t.token) :
	    control_trace_line(j, &t);
}
