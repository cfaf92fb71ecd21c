/*
 * control_trace.c - the verb that says who sent a message, by its Received line
 * or the token in it. On the thread of auth/recent.c in authd-core. The line is what somebody
 * pasted, and anybody may have written it: only a token, or a session that we
 * remember, proves anything.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "auth/control_private.h"
#include "auth/origin.h"
#include "auth/recent.h"
#include "db/recentdb.h"
#include "lib/str.h"

#define TRACE_TEXT_MAX	8192u
#define TRACE_WORD	256u

/* What a Received line says. */
struct trace {
	const char	*at;			/* what is not read yet */
	char		 token[AUTHP_ORIGIN_MAX + 1];
	char		 from[TRACE_WORD];
	char		 by[TRACE_WORD];
	char		 id[TRACE_WORD];
	char		 address[TRACE_WORD];
	char		 user[TRACE_WORD + 32];
	char		 date[TRACE_WORD];
};

static bool
trace_is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static void
trace_skip(struct trace *t)
{
	while (trace_is_space(*t->at))
		t->at++;
}

/* A word; what has no room is cut, and then fits nothing. */
static void
trace_word(struct trace *t, char *dst, size_t size)
{
	size_t n = 0;

	while (*t->at != '\0' && !trace_is_space(*t->at) && *t->at != '(' &&
	    *t->at != ';') {
		if (n + 1 < size)
			dst[n++] = *t->at;
		t->at++;
	}
	dst[n] = '\0';
}

/* The content of a comment, without its quoting; nested ones are part of it. */
static void
trace_comment(struct trace *t, char *dst, size_t size)
{
	unsigned int depth = 0;
	size_t n = 0;

	for (; *t->at != '\0'; t->at++) {
		if (*t->at == '(' && depth++ == 0)
			continue;
		if (*t->at == ')' && --depth == 0)
			break;
		if (*t->at == '\\' && t->at[1] != '\0')
			t->at++;
		if (n + 1 < size)
			dst[n++] = *t->at;
	}
	if (*t->at == ')')
		t->at++;
	dst[n] = '\0';
}

/* What header.c of submitd-spool puts into comments. */
static void
trace_take_comment(struct trace *t)
{
	static const char *const users[] = { "authenticated as ",
		"relay grant of ", "trusted network, owner " };
	char text[2 * AUTHP_ORIGIN_MAX];
	size_t n = 0;

	trace_comment(t, text, sizeof(text));
	if (strncmp(text, "origin", 6) == 0 && trace_is_space(text[6])) {
		for (const char *p = text + 7; *p != '\0'; p++)
			if (!trace_is_space(*p) && n < AUTHP_ORIGIN_MAX)
				t->token[n++] = *p;
		t->token[n] = '\0';
	} else if (text[0] == '[' && t->address[0] == '\0') {
		const char *ip = text + (str_istarts(text, "[IPv6:") ? 6 : 1);

		(void)str_copy_n(t->address, sizeof(t->address), ip,
		    strcspn(ip, "]"));
	}
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++)
		if (strncmp(text, users[i], strlen(users[i])) == 0)
			(void)str_copy(t->user, sizeof(t->user),
			    text + strlen(users[i]));
}

static void
trace_read(struct trace *t, const char *text)
{
	struct { const char *word; char *dst; } fields[] = {
		{ "from", t->from }, { "by", t->by }, { "id", t->id },
	};
	char word[TRACE_WORD], *dst = NULL;

	t->at = text;
	for (trace_skip(t); *t->at != '\0' && *t->at != ';'; trace_skip(t)) {
		if (*t->at == '(') {
			trace_take_comment(t);
			continue;
		}
		trace_word(t, word, sizeof(word));
		if (dst != NULL && dst[0] == '\0')
			memcpy(dst, word, sizeof(word));
		dst = NULL;
		for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
			if (str_ieq(word, fields[i].word))
				dst = fields[i].dst;
	}
	if (*t->at == ';') {
		t->at++;
		trace_skip(t);
		(void)str_copy_n(t->date, sizeof(t->date), t->at,
		    strcspn(t->at, "\r\n"));
	}
}

/* Nothing but a token: as it stands in Received, folds and all. */
static bool
trace_is_token(const char *text, char dst[AUTHP_ORIGIN_MAX + 1])
{
	size_t n = 0;

	for (; *text != '\0'; text++) {
		if (trace_is_space(*text))
			continue;
		if (n == AUTHP_ORIGIN_MAX || strchr("ABCDEFGHIJKLMNOPQRSTUVWXYZ"
		    "abcdefghijklmnopqrstuvwxyz0123456789+/=", *text) == NULL)
			return false;
		dst[n++] = *text;
	}
	dst[n] = '\0';
	return n > 40;		/* the shortest is longer */
}

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
