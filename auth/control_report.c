/*
 * control_report.c - leaving POP-before-SMTP behind: who sends how, from where
 * come clients too old to come along, and what brown-outs have brought. On
 * threads of authd-core.
 */
#include "config.h"

#include <string.h>

#include "auth/authp.h"
#include "auth/control_private.h"
#include "auth/usage.h"
#include "lib/clock.h"
#include "lib/str.h"
#include "lib/tls_alert.h"

#define REPORT_OWNERS_MAX	8u	/* named of one address */
#define REPORT_OWNERS_LOOK	256u	/* grants looked at for that */

/* What is counted up to now: before the first page. */
static int
control_report_begin(struct control_job *j)
{
	return j->after[0] != '\0' ? 0 :
	    usage_write(j->core->usage, true, &j->err);
}

static void
control_report_last(json_t *o, const char *way, const struct usage_last *l)
{
	const struct { const char *name; json_t *value; } fields[] = {
		{ "last_s", json_integer(l->at_s) },
		{ "tls", json_string(l->tls) },
		{ "client", l->helo[0] != '\0' ? json_string(l->helo) : NULL },
	};
	struct addr a = { .port = 0 };
	char key[32], ip[ADDR_STRLEN];

	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		(void)str_format(key, sizeof(key), "%s_%s", way,
		    fields[i].name);
		(void)json_object_set_new(o, key, fields[i].value);
	}
	memcpy(a.ip, l->ip, sizeof(a.ip));
	(void)str_format(key, sizeof(key), "%s_address", way);
	(void)json_object_set_new(o, key, json_string(addr_ip_text(&a, ip)));
}

/* ------------------------------------------------------------------- users -- */

static json_t *
control_report_user(const struct control_job *j, const char *user,
    const struct user_record *rec, const struct usage_user *u)
{
	static const char *const ways[USAGE_WAYS] = { "auth", "grant" };
	bool enabled = !(rec->flags & (USER_DISABLED | USER_SENDING_DISABLED)) &&
	    (rec->flags & USER_MAY_SUBMIT);
	json_t *o = json_pack("{s:s, s:s, s:b, s:I, s:I, s:I}", "user", user,
	    "class", usage_class_name(u, j->now_s), "enabled", (int)enabled,
	    "auth_30d", (json_int_t)usage_days_sum(&u->days[USAGE_AUTH],
	    j->now_s), "grant_30d", (json_int_t)usage_days_sum(
	    &u->days[USAGE_GRANT], j->now_s), "refused_30d", (json_int_t)
	    usage_days_sum(&u->days[USAGE_REFUSED], j->now_s));

	for (unsigned int i = 0; i < USAGE_WAYS; i++)
		if (u->last[i].at_s > 0)
			control_report_last(o, ways[i], &u->last[i]);
	return o;
}

static int
control_report_put(struct control_job *j, const char *user,
    const struct user_record *rec, bool *ret_more)
{
	struct usage_user u = { .last = { { .at_s = 0 } } };
	int r = usagedb_get(j->core->usage, user, &u, &j->err);

	if (r != 0 && r != ERR_NOTFOUND && r != ERR_CORRUPT)
		return r;
	*ret_more = control_page_put(j, control_report_user(j, user, rec, &u),
	    user);
	return 0;
}

int
control_report_users(struct control_job *j)
{
	char user[MAILBOX_SIZE] = "";
	struct user_record rec;
	bool more = true;
	int r = control_report_begin(j);

	if (r == 0 && j->user[0] != '\0') {
		r = userdb_get(j->core->userdb, j->user, &rec, &j->err);
		if (r == 0)
			r = control_report_put(j, j->user, &rec, &more);
		record_user_clear(&rec);
		return r;
	}
	if (r == 0 && str_copy(user, sizeof(user), j->after) != 0)
		r = err_set(&j->err, ERR_FORMAT,
		    "after: not what \"next\" said");
	while (r == 0 && more && (r = userdb_next(j->core->userdb, user, &rec,
	    &j->err)) == 0) {
		r = control_report_put(j, user, &rec, &more);
		record_user_clear(&rec);
	}
	return r == ERR_NOTFOUND ? 0 : r;
}

/* --------------------------------------------------------------- addresses -- */

/* Who has, or had of late, a grant there: perhaps the old client is his. */
static json_t *
control_report_owners(struct control_job *j, const struct net *net)
{
	const struct relay_filter f = { .net = net };
	struct grant_record g = { .bits = 0 };
	json_t *list = json_array();

	for (unsigned int i = 0; i < REPORT_OWNERS_LOOK &&
	    json_array_size(list) < REPORT_OWNERS_MAX; i++) {
		if (relay_cache_next(j->core->relay, &f, &g, NULL) != 0)
			break;
		(void)json_array_append_new(list, json_string(g.user));
	}
	return list;
}

static json_t *
control_report_address(struct control_job *j, const struct net *net,
    const char *address, const struct usage_old *o)
{
	const struct tls_alert *why = tls_alert_find(o->why);

	return json_pack("{s:s, s:I, s:I, s:I, s:s*, s:I, s:s, s:s*, s:o}",
	    "address", address,
	    "handshakes_30d", (json_int_t)usage_days_sum(&o->days, j->now_s),
	    "first_s", (json_int_t)o->first_s,
	    "last_s", (json_int_t)o->last_s,
	    "service", o->service == AUTHP_SMTP ? "smtp" :
		o->service == AUTHP_POP ? "pop3" : NULL,
	    "port", (json_int_t)o->port, "why", o->why,
	    "hint", why != NULL ? why->hint : NULL,
	    "users", control_report_owners(j, net));
}

int
control_report_addresses(struct control_job *j)
{
	struct addr a = { .port = 0 };
	char address[ADDR_STRLEN], cursor[ADDR_STRLEN];
	struct usage_old old;
	bool more = true;
	int r = control_report_begin(j);

	if (r == 0 && j->after[0] != '\0' && addr_parse_ip(j->after, &a) != 0)
		r = err_set(&j->err, ERR_FORMAT,
		    "after: not what \"next\" said");
	while (r == 0 && more && ((r = usagedb_next_old(j->core->usage, a.ip,
	    &old, &j->err)) == 0 || r == ERR_CORRUPT)) {
		struct net net = { .bits = addr_is_v4(&a) ? 128 : 64 };

		memcpy(net.ip, a.ip, sizeof(net.ip));
		addr_ip_text(&a, cursor);
		if (net.bits == 128)
			(void)str_copy(address, sizeof(address), cursor);
		else
			net_text(&net, address);
		more = r != 0 || usage_days_sum(&old.days, j->now_s) == 0 ?
		    control_page_skip(j, cursor) :
		    control_page_put(j, control_report_address(j, &net,
		    address, &old), cursor);
		r = 0;
	}
	return r == ERR_NOTFOUND ? 0 : r;
}

/* --------------------------------------------------------------- brown-outs -- */

struct control_brownout {
	const struct conf_brownout *conf;
	uint64_t		 users;		/* who were refused */
	uint64_t		 moved;		/* … and log in since */
};

static void
control_report_count(struct control_brownout *v, size_t n,
    const struct usage_user *u)
{
	const struct usage_brownout *b = u->brownouts;

	for (; b < u->brownouts + USAGE_BROWNOUTS && b->begin_s != 0; b++)
		for (size_t i = 0; i < n; i++) {
			if (v[i].conf->begin_s != b->begin_s)
				continue;
			v[i].users++;
			v[i].moved += u->last[USAGE_AUTH].at_s >= b->begin_s &&
			    u->last[USAGE_AUTH].at_s >=
			    u->last[USAGE_GRANT].at_s;
		}
}

/* Before, during and after: as long before and after as it was, up to now. */
static int
control_report_sums(struct control_job *j, const struct conf_brownout *b,
    json_t *o)
{
	static const char *const parts[] = { "before", "during", "after" };
	int64_t length_s = b->end_s - b->begin_s, from_s, to_s;
	struct usage_minute m;
	char key[32];
	int r = 0;

	for (int i = 0; i < 3 && r == 0; i++) {
		from_s = b->begin_s + (i - 1) * length_s;
		to_s = from_s + length_s;
		memset(&m, 0, sizeof(m));
		if (from_s <= j->now_s)
			r = usagedb_sum(j->core->usage, from_s, to_s, &m,
			    &j->err);
		(void)str_format(key, sizeof(key), "%s_auth", parts[i]);
		(void)json_object_set_new(o, key, json_integer(
		    (json_int_t)m.n[USAGE_AUTH]));
		(void)str_format(key, sizeof(key), "%s_grant", parts[i]);
		(void)json_object_set_new(o, key, json_integer(
		    (json_int_t)m.n[USAGE_GRANT]));
		if (i == 1)
			(void)json_object_set_new(o, "refused", json_integer(
			    (json_int_t)m.n[USAGE_REFUSED]));
	}
	return r;
}

static int
control_report_brownout(struct control_job *j,
    const struct control_brownout *b)
{
	const struct conf_brownout *c = b->conf;
	json_t *o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}",
	    "name", c->item.name, "state", j->now_s < c->begin_s ? "to come" :
	    j->now_s < c->end_s ? "on" : "over",
	    "begin_s", (json_int_t)c->begin_s, "end_s", (json_int_t)c->end_s,
	    "users_refused", (json_int_t)b->users,
	    "users_moved", (json_int_t)b->moved);
	int r = control_report_sums(j, c, o);

	(void)json_array_append_new(j->records, o);
	return r;
}

int
control_report_brownouts(struct control_job *j)
{
	struct control_brownout v[64] = { { .users = 0 } };
	size_t n = j->conf->n_brownouts;
	char user[MAILBOX_SIZE] = "", ends[CLOCK_DATE_SIZE];
	struct usage_user u;
	int r = control_report_begin(j);

	n = n < sizeof(v) / sizeof(v[0]) ? n : sizeof(v) / sizeof(v[0]);
	for (size_t i = 0; i < n; i++)
		v[i].conf = &j->conf->brownouts[i];
	while (r == 0 && n > 0 && ((r = usagedb_next_user(j->core->usage, user,
	    &u, &j->err)) == 0 || r == ERR_CORRUPT)) {
		if (r == 0)
			control_report_count(v, n, &u);
		r = 0;
	}
	r = r == ERR_NOTFOUND ? 0 : r;
	for (size_t i = 0; i < n && r == 0; i++)
		r = control_report_brownout(j, &v[i]);
	if (j->conf->grant_sunset_s != 0) {
		clock_utc(j->conf->grant_sunset_s, ends);
		control_job_warn(j, "grant_sunset: grants end at %s", ends);
	}
	return r;
}

void
control_warn_brownout(struct control_job *j)
{
	const struct conf_brownout *b = conf_brownout_at(j->conf, j->now_s);
	char until[CLOCK_DATE_SIZE];

	if (b == NULL)
		return;
	clock_utc(b->end_s, until);
	control_job_warn(j, "grant_brownout %s: mail under a grant is refused "
	    "until %s", b->item.name, until);
}
