/*
 * control_recent.c - looking up past sessions, and the networks whose path
 * removes STARTTLS. On the thread of auth/recent.c in authd-core, so that no
 * login waits while many records are looked at.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "auth/authp.h"
#include "auth/control_private.h"
#include "auth/guess.h"
#include "auth/recent.h"
#include "auth/recent_tell.h"
#include "lib/str.h"

#define RECENT_SINCE_S	(2 * 86400)
#define RECENT_SINCE_MAX (400ull * 86400)
#define RECENT_NOTES	3u		/* paths that status has a sentence on */
#define RECENT_PATHS	100u

struct recent_query {
	struct control_job	*j;
	bool			 all;
	const char		*id;		/* or NULL */
	bool			 has_net;
	struct net		 net;
	char			 name[MAILBOX_SIZE];	/* as given, or "" */
	char			 canon[MAILBOX_SIZE];	/* of that, or "" */
	char			 owner[MAILBOX_SIZE];	/* whose it is, or "" */
	const char		*domain;		/* "@…", or NULL */
	int64_t			 since_s;
	enum recent_share	 share;
	size_t			 n;		/* found in that share */
	bool			 more;
};

/* ----------------------------------------------------------------- fitting -- */

static bool
recent_ends(const char *s, const char *domain)
{
	size_t n = strlen(s), m = strlen(domain);

	return n > m && str_ieq(s + n - m, domain);
}

static bool
recent_is_name(const struct recent_query *q, const char *s)
{
	if (*s == '\0')
		return false;
	if (q->domain != NULL)
		return recent_ends(s, q->domain);
	return str_ieq(s, q->name) ||
	    (q->canon[0] != '\0' && str_ieq(s, q->canon)) ||
	    (q->owner[0] != '\0' && strcmp(s, q->owner) == 0);
}

static bool
recent_fits_message(const struct recent_query *q,
    const struct recent_record *r)
{
	struct recent_message m;
	size_t at = 0;

	while (recent_next_message(r, &at, &m))
		if ((q->id != NULL && strcmp(m.qid, q->id) == 0) ||
		    (q->name[0] != '\0' && recent_is_name(q, m.sender)))
			return true;
	return false;
}

static bool
recent_fits_net(const struct recent_query *q, const struct recent_record *r)
{
	struct net net = { .bits = r->bits };

	memcpy(net.ip, r->ip, sizeof(net.ip));
	return r->bits != 0 && guess_nets_meet(&q->net, &net);
}

static bool
recent_fits(const struct recent_query *q, const struct recent_record *r)
{
	if (q->all || (q->has_net && recent_fits_net(q, r)) ||
	    (q->id != NULL && strcmp(r->sid, q->id) == 0))
		return true;
	if (q->name[0] != '\0' && (recent_is_name(q, r->user) ||
	    recent_is_name(q, r->login) || recent_is_name(q, r->sender)))
		return true;
	return r->sent_len > 0 && recent_fits_message(q, r);
}

/* ----------------------------------------------------------------- showing -- */

static const char *
recent_or_null(const char *s)
{
	return *s != '\0' ? s : NULL;
}

static json_t *
recent_messages(const struct recent_record *r)
{
	json_t *list = json_array();
	struct recent_message m;
	size_t at = 0;

	while (recent_next_message(r, &at, &m))
		(void)json_array_append_new(list, json_pack("{s:s, s:s}",
		    "id", m.qid, "sender", m.sender));
	return list;
}

static const char *
recent_by(const struct recent_record *r)
{
	static const char *const names[AUTHP_KIND__COUNT] = { NULL, "login",
	    "grant", "network", "lmtp" };

	return r->kind < AUTHP_KIND__COUNT ? names[r->kind] : NULL;
}

static void
recent_put_refusal(json_t *o, const struct recent_record *r)
{
	struct recent_words w;

	recent_tell(r, &w);
	if (w.failed[0] != '\0')
		(void)json_object_set_new(o, "failed", json_string(w.failed));
	if (w.tell[0] != '\0')
		(void)json_object_set_new(o, "tell", json_string(w.tell));
	if (r->code != 0)
		(void)json_object_set_new(o, "code", json_integer(r->code));
	if (r->sent_len > 0)
		(void)json_object_set_new(o, "queued", recent_messages(r));
}

/* An address, of many the network, or "". */
static void
recent_address(const struct recent_record *r, char dst[ADDR_STRLEN])
{
	struct net net = { .bits = r->bits };
	struct addr a = { .port = 0 };

	memcpy(net.ip, r->ip, sizeof(net.ip));
	memcpy(a.ip, r->ip, sizeof(a.ip));
	if (r->bits == 128)
		addr_ip_text(&a, dst);
	else if (r->bits != 0)
		net_text(&net, dst);
	else
		dst[0] = '\0';
}

static json_t *
recent_json(const struct recent_record *r)
{
	char address[ADDR_STRLEN];
	json_t *o;

	recent_address(r, address);
	o = json_pack("{s:I, s:I, s:I, s:s, s:s*, s:I, s:s*, s:s*, s:s*, s:s*, "
	    "s:s*, s:s*, s:s, s:I, s:I, s:s*, s:s*, s:s*}",
	    "time_s", (json_int_t)r->at_s,
	    "began_s", (json_int_t)r->began_s,
	    "ms", (json_int_t)r->ms,
	    "session", r->sid,
	    "address", recent_or_null(address),
	    "port", (json_int_t)r->port,
	    "service", r->service == AUTHP_SMTP ? "smtp" :
		r->service == AUTHP_POP ? "pop3" : NULL,
	    "tls", recent_or_null(r->tls),
	    "user", recent_or_null(r->user),
	    "login", recent_or_null(r->login),
	    "by", recent_by(r),
	    "sender", recent_or_null(r->sender),
	    "authorised", r->kind != 0 ? "yes" : "no",
	    "sessions", (json_int_t)r->n,
	    "messages", (json_int_t)r->messages,
	    "helo", recent_or_null(r->helo),
	    "status", recent_or_null(r->status),
	    "ended", recent_or_null(r->why));
	if (o != NULL)
		recent_put_refusal(o, r);
	return o;
}

/* ----------------------------------------------------------------- looking -- */

static bool
recent_look(void *ctx, enum recent_share share, const struct recent_record *r)
{
	struct recent_query *q = ctx;
	json_t *o;

	if (share != q->share) {
		q->share = share;
		q->n = 0;
	}
	if (!recent_fits(q, r))
		return true;
	if (q->n++ >= CONTROL_LIMIT) {
		q->more = true;
		return false;
	}
	if ((o = recent_json(r)) != NULL)
		(void)json_array_append_new(q->j->records, o);
	return true;
}

static int
recent_compare(const void *a, const void *b)
{
	json_int_t x = json_integer_value(json_object_get(
	    *(json_t *const *)a, "time_s"));
	json_int_t y = json_integer_value(json_object_get(
	    *(json_t *const *)b, "time_s"));

	return x < y ? 1 : x > y ? -1 : 0;
}

/* The newest first, of all shares together. */
static int
recent_sort(struct recent_query *q)
{
	struct control_job *j = q->j;
	size_t n = json_array_size(j->records);
	json_t **v = calloc(n > 0 ? n : 1, sizeof(*v)), *sorted = json_array();

	if (v == NULL || sorted == NULL) {
		free(v);
		json_decref(sorted);
		return err_set(&j->err, ERR_NOMEM, "no memory");
	}
	for (size_t i = 0; i < n; i++)
		v[i] = json_array_get(j->records, i);
	qsort(v, n, sizeof(*v), recent_compare);
	for (size_t i = 0; i < n && i < CONTROL_LIMIT; i++)
		(void)json_array_append(sorted, v[i]);
	free(v);
	json_decref(j->records);
	j->records = sorted;
	if (q->more || n > CONTROL_LIMIT)
		control_job_warn(j, "there are more: these are the newest "
		    "%u", CONTROL_LIMIT);
	return 0;
}

/* A name, a whole address, or a domain. */
static void
recent_query_name(struct recent_query *q, const char *what)
{
	const struct control_job *j = q->j;
	struct mailbox mb;

	if (str_copy(q->name, sizeof(q->name), what) != 0)
		return;			/* longer than any */
	if (what[0] == '@' && mailbox_is_domain(what + 1, strlen(what + 1))) {
		q->domain = q->name;
	} else if (mailbox_parse(what, strlen(what), &mb) == 0) {
		(void)str_copy(q->canon, sizeof(q->canon), mb.canon);
		if (userdb_resolve(j->core->userdb, mb.canon, q->owner,
		    NULL) != 0)
			q->owner[0] = '\0';
	} else if (mailbox_is_local(what, strlen(what))) {
		str_lower(q->name);
		if (userdb_find_local(j->core->userdb, q->name,
		    j->conf->default_domain, &j->conf->local_domains, q->owner,
		    NULL) != 0)
			q->owner[0] = '\0';
	}
}

static void
recent_query_what(struct recent_query *q, const char *what)
{
	q->all = what == NULL || *what == '\0';
	if (q->all)
		return;
	if (net_parse(what, &q->net) == 0) {
		q->has_net = true;
		return;
	}
	/* A name may look like an id. */
	if (str_is_id(what))
		q->id = what;
	recent_query_name(q, what);
}

int
control_recent(struct control_job *j)
{
	struct recent_query *q = calloc(1, sizeof(*q));
	const char *what = control_arg(j->args, "what");
	uint64_t since_s = RECENT_SINCE_S;
	int r;

	if (q == NULL)
		return err_set(&j->err, ERR_NOMEM, "no memory");
	q->j = j;
	recent_query_what(q, what);
	if (q->id != NULL)
		since_s = RECENT_SINCE_MAX;
	r = control_take_number(j, "since_s", RECENT_SINCE_MAX, &since_s);
	q->since_s = j->now_s - (int64_t)since_s;
	recent_write_now(j->core->recent);
	if (r == 0)
		r = recentdb_each(recent_db(j->core->recent), q->since_s,
		    recent_look, q, &j->err);
	if (r == 0)
		r = recent_sort(q);
	free(q);
	return r;
}

/* ------------------------------------------------------------------- paths -- */

static int
recent_path_compare(const void *a, const void *b)
{
	const struct path *x = a, *y = b;
	uint32_t n = x->masked * PATHS_NEVER + x->never;
	uint32_t m = y->masked * PATHS_NEVER + y->never;

	return n < m ? 1 : n > m ? -1 : 0;
}

static void
recent_path_note(struct control_job *j, const struct path *p)
{
	char net[ADDR_STRLEN];

	net_text(&p->net, net);
	if (p->masked > 0)
		control_job_warn(j, "the path from %s removes STARTTLS: %u "
		    "session%s sent XXXX instead (Cisco PIX or ASA: fixup "
		    "protocol smtp, inspect esmtp)", net, p->masked,
		    p->masked == 1 ? "" : "s");
	else
		control_job_warn(j, "the path from %s may remove STARTTLS: %u "
		    "sessions said EHLO and did not come to it, %u did", net,
		    p->never, p->tls);
}

void
control_put_paths(struct control_job *j)
{
	struct path *v = calloc(RECENT_PATHS, sizeof(*v));
	json_t *list = json_array();
	unsigned int pos = 0, n = 0;
	char net[ADDR_STRLEN];

	while (v != NULL && n < RECENT_PATHS &&
	    recent_next_path(j->core->recent, &pos, &v[n]))
		n++;
	if (v != NULL)
		qsort(v, n, sizeof(*v), recent_path_compare);
	for (unsigned int i = 0; i < n; i++) {
		if (i < RECENT_NOTES)
			recent_path_note(j, &v[i]);
		(void)json_array_append_new(list, json_pack(
		    "{s:s, s:I, s:I, s:I, s:I}", "network",
		    net_text(&v[i].net, net), "masked",
		    (json_int_t)v[i].masked, "never", (json_int_t)v[i].never,
		    "tls", (json_int_t)v[i].tls, "last_s",
		    (json_int_t)v[i].last_s));
	}
	control_job_set(j, "paths_without_starttls", list);
	free(v);
}
