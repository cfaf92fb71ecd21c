/*
 * submitctl_service.c - the commands on the service as a whole: config, reload,
 * status. `config` works while nothing runs.
 */
#include "config.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "db/submitctl.h"
#include "lib/clock.h"
#include "lib/conf_route.h"
#include "lib/control.h"

#define CTL_RELOAD_WAIT_S	120
#define CTL_STATUS_WAIT_S	5

/* In the order in which they depend on each other. */
static const char *const ctl_daemons[] = { "authd", "submitd", "popd" };
#define CTL_DAEMONS (sizeof(ctl_daemons) / sizeof(ctl_daemons[0]))

/* ---------------------------------------------------------------- config -- */

/* Values and certificates. EX_NOPERM where only the keys could not be read. */
static int
ctl_config_try(struct ctl *c, int64_t *ret_not_after)
{
	struct err e = { 0 };
	int code;

	*ret_not_after = 0;
	if ((code = ctl_conf(c)) != 0)
		return code;
	if (conf_load_tls(c->conf, ret_not_after, &e) == 0 &&
	    conf_load_routes(c->conf, &e) == 0)
		return 0;
	if (e.sys_errno == EACCES || e.sys_errno == EPERM)
		return ctl_fail(EX_NOPERM, "%s\nThe rest of the configuration "
		    "is fine; run it as root to check the keys too.", e.text);
	return ctl_fail(EX_CONFIG, "%s", e.text);
}

/* Which families the listeners of POP3, or of submission, are reached by. A
 * socket on [::] is for IPv6 alone. */
static void
ctl_config_families(const struct conf *c, bool pop, bool ret[2])
{
	const struct conf_addrs *v;

	for (size_t l = 0; l < conf_listener_count(c); l++) {
		if (conf_listener_is_pop(c, l) != pop)
			continue;
		v = conf_listener_addrs(c, l);
		for (size_t i = 0; i < v->n; i++)
			ret[addr_is_v4(&v->v[i]) ? 0 : 1] = true;
		/* Its balancer may speak for clients of both. */
		if (conf_listener_is_proxied(c, l))
			ret[0] = ret[1] = true;
	}
}

/* A grant is of the address that fetched mail: who then sends by the other
 * family has none. */
static void
ctl_config_warn_families(const struct conf *c)
{
	static const char *const names[] = { "IPv4", "IPv6" };
	bool pop[2] = { false }, smtp[2] = { false };

	ctl_config_families(c, true, pop);
	ctl_config_families(c, false, smtp);
	if ((!pop[0] && !pop[1]) || (!smtp[0] && !smtp[1]))
		return;
	for (unsigned int f = 0; f < 2; f++)
		if (pop[f] != smtp[f])
			fprintf(stderr, "submitctl: warning: %s listens on %s "
			    "and %s does not: whoever may send because he has "
			    "fetched mail may not when his program takes the "
			    "other family\n", pop[f] ? "popd" : "submitd",
			    names[f], pop[f] ? "submitd" : "popd");
}

static void
ctl_config_warn(struct ctl *c)
{
	char warning[TLS_FACTS_TEXT * 2];
	struct conf_pairs set;
	struct tls_facts f;
	bool covers = false;

	ctl_config_warn_families(c->conf);
	if (c->conf->n_tls == 0) {
		fputs("submitctl: warning: no tls_cert and tls_key: nobody can "
		    "log in or send mail\n", stderr);
		return;
	}
	for (size_t i = 0; conf_pairs_at(c->conf, i, &set); i++)
		for (size_t k = 0; k < *set.n; k++) {
			if (tls_pair_facts(&set.tls[k], c->conf->hostname,
			    &f) != 0)
				continue;
			covers |= f.covers;
			tls_facts_warning(&f, clock_now_s(), warning);
			if (warning[0] != '\0')
				fprintf(stderr, "submitctl: warning: %s: %s\n",
				    set.cert->v[k], warning);
		}
	if (!covers)
		fprintf(stderr, "submitctl: warning: no certificate in "
		    "tls_cert has the name %s\n", c->conf->hostname);
}

int
ctl_config_check(struct ctl *c)
{
	char file[4096];
	int64_t not_after;
	int code;

	if ((code = ctl_config_try(c, &not_after)) != 0)
		return code;
	ctl_config_warn(c);
	printf("configuration %s is fine\n", ctl_conf_file(c, file,
	    sizeof(file)));
	return EX_OK;
}

/* "key = value" without the key; a word in quotes without them. In place. */
static char *
ctl_config_value(char *text)
{
	char *v = strstr(text, " = "), *from, *to;
	size_t len;

	v = v != NULL ? v + 3 : text;
	len = strlen(v);
	while (len > 0 && v[len - 1] == '\n')
		v[--len] = '\0';
	if (len < 2 || v[0] != '"' || v[len - 1] != '"')
		return v;
	v[len - 1] = '\0';
	for (from = to = v + 1; *from != '\0'; from++) {
		if (*from == '\\' && from[1] != '\0')
			from++;
		*to++ = *from;
	}
	*to = '\0';
	return v + 1;
}

/* One value after another as JSON; a section is several lines, the last of
 * them "}". */
static void
ctl_config_json(char *text)
{
	char *line = text, *end, *rest;
	json_t *o;

	while (*line != '\0') {
		end = strchr(line, '\n');
		if (end != NULL && end > line && end[-1] == '{')
			end = strstr(end, "\n}\n") != NULL ?
			    strstr(end, "\n}\n") + 2 : NULL;
		rest = end != NULL ? end + 1 : line + strlen(line);
		if (end != NULL)
			*end = '\0';
		o = json_object();
		(void)json_object_set_new(o, "key", json_stringn(line,
		    strcspn(line, " ")));
		if (strchr(line, '\n') == NULL)
			line = ctl_config_value(line);
		else
			line += strcspn(line, " ") + 1;
		(void)json_object_set_new(o, "value", json_string(line));
		ctl_put_json(o);
		json_decref(o);
		line = rest;
	}
}

int
ctl_config_show(struct ctl *c)
{
	const char *key = c->argc > 0 ? c->argv[0] : NULL;
	enum conf_show what = (c->given & CTL_DEFAULTS) ? CONF_DEFAULTS :
	    (c->given & CTL_CHANGED) ? CONF_CHANGED : CONF_ALL;
	char *text = NULL;
	size_t len;
	FILE *mem;
	int code, r;

	if ((code = ctl_conf(c)) != 0)
		return code;
	if ((mem = open_memstream(&text, &len)) == NULL)
		return ctl_fail(EX_OSERR, "no memory");
	r = conf_show(c->conf, mem, what, key);
	if (fclose(mem) != 0)
		r = r != 0 ? r : ERR_NOMEM;
	if (r == ERR_NOTFOUND)
		code = ctl_fail(EX_USAGE, "there is no key %s; \"submitctl "
		    "config show\" lists them", key);
	else if (r != 0)
		code = ctl_fail(EX_OSERR, "no memory");
	else if (c->json)
		ctl_config_json(text);
	else if (key != NULL && strchr(text, '\n') == text + len - 1)
		puts(ctl_config_value(text));
	else
		fputs(text, stdout);
	free(text);
	return code;
}

/* ---------------------------------------------------------------- reload -- */

static void
ctl_reload_print(const struct ctl *c, const char *daemon, int code,
    const char *why)
{
	json_t *o;

	if (!c->json) {
		ctl_print("%s: %s%s\n", daemon, code == 0 ? "reloaded" :
		    code == EX_UNAVAILABLE ? "not running: " :
		    code == EX_CONFIG ? "refused, the old configuration stays: "
		    : "not reloaded: ", code == 0 ? "" : why);
		return;
	}
	o = json_pack("{s:s, s:b}", "daemon", daemon, "reloaded", code == 0);
	if (code != 0)
		(void)json_object_set_new(o, "error", json_string(why));
	ctl_put_json(o);
	json_decref(o);
}

/* 78 before 77 before any other code before 69. */
static int
ctl_reload_worse(int a, int b)
{
	static const int order[] = { EX_CONFIG, EX_NOPERM, EX_TEMPFAIL };

	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++)
		if (a == order[i] || b == order[i])
			return order[i];
	return a != 0 && a != EX_UNAVAILABLE ? a : b != 0 ? b : a;
}

int
ctl_reload(struct ctl *c)
{
	int64_t not_after;
	int code, worst = 0;

	code = ctl_config_try(c, &not_after);
	if (code == EX_CONFIG || c->conf == NULL)
		return code;
	for (size_t i = 0; i < CTL_DAEMONS; i++) {
		json_t *got = json_array();
		struct err e = { 0 };

		code = ctl_ask_quiet(c, ctl_daemons[i], json_pack("{s:s}",
		    "verb", "reload"), CTL_RELOAD_WAIT_S, got, &e);
		json_decref(got);
		ctl_reload_print(c, ctl_daemons[i], code, e.text);
		fflush(stdout);
		worst = ctl_reload_worse(worst, code);
	}
	return worst;
}

/* ---------------------------------------------------------------- status -- */

static const struct ctl_column ctl_status_columns[] = {
	{ "PROCESS", "process", CTL_TEXT }, { "STATE", "state", CTL_TEXT },
	{ "PID", "pid", CTL_NUMBER }, { "RESTARTS", "restarts", CTL_NUMBER },
	{ "SINCE", "since_s", CTL_TIME }, { NULL, NULL, CTL_TEXT },
};

struct ctl_status {
	struct ctl	*ctl;
	json_t		*records;	/* what is printed */
	json_t		*notes;		/* what is wrong */
	json_t		*hints;		/* what is not, but may be missing */
	size_t		 answered;
	bool		 open_roles;	/* roles are not walls */
	json_int_t	 tls_days;	/* the least, or TLS_NONE */
	json_t		*certificates;	/* by file */
	int		 code;		/* of what forbade us to look */
};

#define CTL_TLS_NONE INT32_MAX

static void ctl_status_note(struct ctl_status *s, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static void
ctl_status_note(struct ctl_status *s, const char *fmt, ...)
{
	char text[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	(void)json_array_append_new(s->notes, json_string(text));
}

/* One record of a parent: a process of its, or (the last one) itself. */
static void
ctl_status_record(struct ctl_status *s, json_t *r)
{
	const char *daemon = ctl_str(r, "daemon");
	const json_t *walls = json_object_get(r, "roles_are_walls");
	const json_t *days = json_object_get(r, "tls_days_left");
	char name[64];
	json_t *cert;
	size_t i;

	if (daemon[0] != '\0') {
		(void)json_object_set_new(r, "process", json_string(daemon));
		(void)json_object_set_new(r, "state", json_string(
		    json_is_true(json_object_get(r, "ready")) ? "ready" :
		    "starting"));
	}
	if (strcmp(ctl_str(r, "state"), "ready") != 0)
		ctl_status_note(s, "%s is %s: see its log",
		    ctl_str(r, "process"), ctl_str(r, "state"));
	if (daemon[0] == '\0' && !s->ctl->json) {
		(void)snprintf(name, sizeof(name), "  %s",
		    ctl_str(r, "process"));
		(void)json_object_set_new(r, "process", json_string(name));
	}
	if (json_is_false(walls))
		s->open_roles = true;
	if (json_is_integer(days) && json_integer_value(days) < s->tls_days)
		s->tls_days = json_integer_value(days);
	/* submitd and popd have the same, but each as it was when it read it. */
	json_array_foreach(json_object_get(r, "certificates"), i, cert)
		(void)json_object_set(s->certificates, ctl_str(cert, "file"),
		    cert);
	(void)json_array_append(s->records, r);
}

static void
ctl_status_daemon(struct ctl_status *s, const char *daemon)
{
	json_t *got = json_array(), *r;
	struct err e = { 0 };
	size_t n;
	int code;

	code = ctl_ask_quiet(s->ctl, daemon, json_pack("{s:s}", "verb",
	    "status"), CTL_STATUS_WAIT_S, got, &e);
	n = json_array_size(got);
	if (code != 0) {
		ctl_status_note(s, "%s does not answer: %s", daemon, e.text);
		(void)json_array_append_new(s->records, json_pack(
		    "{s:s, s:s}", "process", daemon, "state",
		    code == EX_NOPERM ? "unknown" : "down"));
		s->code = code == EX_NOPERM ? code : s->code;
	} else {
		s->answered++;
		/* The parent's own record is the last, and stands first. */
		if (n > 0)
			ctl_status_record(s, json_array_get(got, n - 1));
		for (size_t i = 0; i + 1 < n; i++) {
			r = json_array_get(got, i);
			ctl_status_record(s, r);
		}
	}
	json_decref(got);
}

/* What a serving process says of its inside. */
static json_t *
ctl_status_inside(struct ctl_status *s, const char *sock)
{
	json_t *got = json_array(), *r, *v;
	struct err e = { 0 };
	size_t i;
	int code;

	code = ctl_ask_quiet(s->ctl, sock, json_pack("{s:s}", "verb",
	    "status"), CTL_STATUS_WAIT_S, got, &e);
	r = json_incref(json_array_get(got, 0));
	json_decref(got);
	if (code != 0) {
		ctl_status_note(s, "control socket %s does not answer: %s",
		    sock, e.text);
		json_decref(r);
		return NULL;
	}
	json_array_foreach(json_object_get(r, "warnings"), i, v)
		(void)json_array_append(s->hints, v);
	return r;
}

static void
ctl_status_queue(struct ctl_status *s)
{
	json_t *r = ctl_status_inside(s, "queue");

	if (r == NULL)
		return;
	if (json_is_true(json_object_get(r, "nospace")))
		ctl_status_note(s, "the spool has no space: mail is refused "
		    "for now (452)");
	if (json_is_false(json_object_get(r, "authd")))
		ctl_status_note(s, "submitd-spool does not reach authd");
	if (json_is_false(json_object_get(r, "send")))
		ctl_status_note(s, "submitd-send is not connected to "
		    "submitd-spool: nothing is delivered");
	if (!s->ctl->json)
		printf("queue: %lld messages, %lld recipients wait\n",
		    (long long)ctl_int(r, "messages"),
		    (long long)ctl_int(r, "recipients_pending"));
	else
		(void)json_array_append(s->records, r);
	json_decref(r);
}

static void
ctl_status_users(struct ctl_status *s)
{
	json_t *r = ctl_status_inside(s, "users");

	if (r == NULL)
		return;
	if (!s->ctl->json)
		printf("users: %lld\n", (long long)ctl_int(r, "users"));
	if (json_is_true(json_object_get(r, "nospace")))
		ctl_status_note(s, "the disk of db_dir is full: logins go on, "
		    "nothing can be changed");
	json_decref(r);
}

/* What submitd and popd have open. */
static void
ctl_status_sessions(struct ctl_status *s)
{
	json_t *r, *v;
	size_t i;

	json_array_foreach(s->records, i, r) {
		v = json_object_get(r, "sessions");
		if (v == NULL || s->ctl->json)
			continue;
		ctl_print("sessions of %s: %lld, %lld of them not authorised; "
		    "ended to make room: %lld; refused by user: %lld\n",
		    ctl_str(r, "process"), (long long)ctl_int(v, "open"),
		    (long long)ctl_int(v, "strangers"),
		    (long long)(ctl_int(v, "ended_per_address") +
		    ctl_int(v, "ended_per_network")),
		    (long long)ctl_int(v, "refused_per_user"));
		if (ctl_int(v, "uncounted") > 0)
			ctl_status_note(s, "%s could not count %lld sessions",
			    ctl_str(r, "process"),
			    (long long)ctl_int(v, "uncounted"));
	}
}

static void
ctl_status_tls(struct ctl_status *s)
{
	char file[512], names[512];
	const char *key, *warning;
	json_t *c;

	json_object_foreach(s->certificates, key, c) {
		ctl_safe(key, file, sizeof(file));
		ctl_safe(ctl_str(c, "names"), names, sizeof(names));
		warning = ctl_str(c, "warning");
		if (!s->ctl->json)
			printf("certificate: %lld days left (%s; %s) %s\n",
			    (long long)ctl_int(c, "days_left"), names,
			    ctl_str(c, "kind"), file);
		if (warning[0] != '\0')
			ctl_status_note(s, "certificate %s: %s", file, warning);
	}
}

static void
ctl_status_print(struct ctl_status *s, const char *verdict)
{
	char text[512];
	json_t *v, *o;
	size_t i;

	if (s->ctl->json) {
		o = json_pack("{s:s, s:b, s:O, s:O}", "status", verdict,
		    "roles_are_walls", !s->open_roles, "notes", s->notes,
		    "hints", s->hints);
		if (s->tls_days != CTL_TLS_NONE)
			(void)json_object_set_new(o, "tls_days_left",
			    json_integer(s->tls_days));
		(void)json_array_append_new(s->records, o);
		ctl_table(s->ctl, ctl_status_columns, s->records);
		return;
	}
	if (s->open_roles)
		puts("roles are not walls: the daemons run without root, all "
		    "under one user");
	json_array_foreach(s->notes, i, v)
		printf("! %s\n", ctl_safe(json_string_value(v), text,
		    sizeof(text)));
	json_array_foreach(s->hints, i, v)
		printf("note: %s\n", ctl_safe(json_is_string(v) ?
		    json_string_value(v) : "?", text, sizeof(text)));
	puts(verdict);
}

int
ctl_status(struct ctl *c)
{
	struct ctl_status s = { .ctl = c, .tls_days = CTL_TLS_NONE,
		.certificates = json_object() };
	int code;

	if (ctl_conf(c) != 0)
		return 2;
	s.records = json_array();
	s.notes = json_array();
	s.hints = json_array();
	for (size_t i = 0; i < CTL_DAEMONS; i++)
		ctl_status_daemon(&s, ctl_daemons[i]);
	if (!c->json)
		ctl_table(c, ctl_status_columns, s.records);
	if (s.answered > 0) {
		ctl_status_users(&s);
		ctl_status_queue(&s);
	}
	ctl_status_sessions(&s);
	ctl_status_tls(&s);
	code = s.answered == 0 ? 2 : json_array_size(s.notes) > 0 ? 1 : 0;
	if (s.answered == 0 && s.code != 0)
		code = s.code;
	ctl_status_print(&s, code == 0 ? "healthy" : code == 1 ? "degraded" :
	    code == 2 ? "down" : "unknown: you may not ask the daemons");
	json_decref(s.records);
	json_decref(s.notes);
	json_decref(s.certificates);
	json_decref(s.hints);
	return code;
}
