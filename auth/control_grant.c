/*
 * control_grant.c - the verbs on grants. On pool threads of authd-core.
 */
#include "config.h"

#include <inttypes.h>
#include <string.h>

#include "auth/control_private.h"
#include "auth/grant.h"
#include "auth/policy.h"
#include "lib/str.h"

/* Why a record that is there gives no right, or NULL: as auth/mail.c sees it
 * when mail comes. */
static const char *
control_grant_flaw(const struct control_job *j, const struct grant_record *g)
{
	struct user_record rec;
	struct addr a = { 0 };
	const char *flaw = NULL;

	memcpy(a.ip, g->ip, sizeof(a.ip));
	if (!relay_cache_is_live(g, j->now_s))
		return "expired";
	if (!record_grant_affords(g, 0))
		return "budget spent";
	if (conf_grants_ended(j->conf, j->now_s))
		return "grant_sunset is over";
	if (policy_grant_excluded(j->conf, &a))
		return "excluded address";
	if (userdb_get(j->core->userdb, g->user, &rec, NULL) != 0)
		return "no such user";
	if ((rec.flags & USER_DISABLED) != 0)
		flaw = "user disabled";
	else if ((rec.flags & USER_MAY_SUBMIT) == 0)
		flaw = "user may not submit";
	else if ((rec.flags & USER_SENDING_DISABLED) != 0)
		flaw = "sending disabled";
	else if ((rec.flags & USER_MAY_USE_RELAY) == 0)
		flaw = "user may not use grants";
	else if (!user_record_holds(&rec, g->generation, j->now_s))
		flaw = "password changed";
	record_user_clear(&rec);
	return flaw;
}

/* Times and counts that a record may be without. */
static void
control_grant_put(json_t *o, const char *key, uint64_t n)
{
	if (n != 0)
		(void)json_object_set_new(o, key, json_integer((json_int_t)n));
}

/* For people: "2 of 10", and of how many recipients where that is limited. */
static void
control_grant_put_sent(json_t *o, const struct grant_record *g)
{
	char text[120], max[32] = "", more[80] = "";

	if (g->max_messages > 0)
		(void)str_format(max, sizeof(max), " of %" PRIu64,
		    g->max_messages);
	if (g->max_recipients > 0)
		(void)str_format(more, sizeof(more), ", to %" PRIu64 " of %"
		    PRIu64, g->recipients, g->max_recipients);
	(void)str_format(text, sizeof(text), "%" PRIu64 "%s%s", g->messages,
	    max, more);
	(void)json_object_set_new(o, "sent", json_string(text));
}

/* For people: "pop", "notify/imap", "control". */
static void
control_grant_put_by(json_t *o, const struct grant_record *g)
{
	bool named = g->protocol != GRANT_PROTO_NONE && g->source != GRANT_POP;
	char text[40];

	(void)str_format(text, sizeof(text), "%s%s%s",
	    grant_source_name(g->source), named ? "/" : "",
	    named ? grant_protocol_name(g->protocol) : "");
	(void)json_object_set_new(o, "by", json_string(text));
}

static json_t *
control_grant_json(const struct control_job *j, const struct grant_record *g)
{
	const char *flaw = control_grant_flaw(j, g);
	struct net n = { .bits = g->bits };
	char text[ADDR_STRLEN];
	json_t *o;

	memcpy(n.ip, g->ip, sizeof(n.ip));
	o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:I, s:s, s:b, s:I, "
	    "s:I, s:I, s:s, s:b}", "address", net_text(&n, text),
	    "user", g->user, "granted_s", (json_int_t)g->granted_s,
	    "login_s", (json_int_t)g->login_s,
	    "refreshed_s", (json_int_t)g->refreshed_s,
	    "expires_s", (json_int_t)g->expires_s,
	    "left_s", (json_int_t)(flaw == NULL ? g->expires_s - j->now_s : 0),
	    "protocol", grant_protocol_name(g->protocol),
	    "tls", (int)g->tls, "uses", (json_int_t)g->uses,
	    "messages", (json_int_t)g->messages,
	    "recipients", (json_int_t)g->recipients,
	    "source", grant_source_name(g->source), "live", flaw == NULL);
	control_grant_put(o, "max_messages", g->max_messages);
	control_grant_put(o, "max_recipients", g->max_recipients);
	control_grant_put(o, "first_use_s", (uint64_t)g->first_use_s);
	control_grant_put(o, "last_use_s", (uint64_t)g->last_use_s);
	control_grant_put_sent(o, g);
	control_grant_put_by(o, g);
	if (flaw != NULL)
		(void)json_object_set_new(o, "why", json_string(flaw));
	return o;
}

/* A cursor is "address user": where the records of a page ended. */
static int
control_grant_after(struct control_job *j, struct grant_record *g)
{
	const char *space = strchr(j->after, ' ');
	char ip[ADDR_STRLEN];
	struct addr a;

	if (j->after[0] == '\0')
		return 0;
	if (space == NULL || str_copy_n(ip, sizeof(ip), j->after,
	    (size_t)(space - j->after)) != 0 || addr_parse_ip(ip, &a) != 0 ||
	    str_copy(g->user, sizeof(g->user), space + 1) != 0)
		return err_set(&j->err, ERR_FORMAT,
		    "after: not what \"next\" said");
	memcpy(g->ip, a.ip, sizeof(g->ip));
	return 0;
}

static void
control_grant_cursor(const struct grant_record *g, char dst[CONTROL_CURSOR_SIZE])
{
	struct addr a = { 0 };
	char ip[ADDR_STRLEN];

	memcpy(a.ip, g->ip, sizeof(a.ip));
	(void)str_format(dst, CONTROL_CURSOR_SIZE, "%s %s",
	    addr_ip_text(&a, ip), g->user);
}

static struct relay_filter
control_grant_filter(const struct control_job *j)
{
	return (struct relay_filter){ .net = j->has_net ? &j->net : NULL,
	    .user = j->user[0] != '\0' ? j->user : NULL };
}

int
control_grant_each(struct control_job *j, uint64_t *ret_live)
{
	const struct relay_filter f = control_grant_filter(j);
	char cursor[CONTROL_CURSOR_SIZE];
	struct grant_record g = { 0 };
	bool live, more = true;
	json_t *o;
	int r;

	*ret_live = 0;
	if ((r = control_grant_after(j, &g)) != 0)
		return r;
	while (more && (r = relay_cache_next(j->core->relay, &f, &g,
	    &j->err)) == 0) {
		control_grant_cursor(&g, cursor);
		o = control_grant_json(j, &g);
		live = json_is_true(json_object_get(o, "live"));
		if (live)
			++*ret_live;
		if (live || j->all) {
			more = control_page_put(j, o, cursor);
		} else {
			json_decref(o);
			more = control_page_skip(j, cursor);
		}
	}
	return r == ERR_NOTFOUND ? 0 : r;
}

int
control_grant_list(struct control_job *j)
{
	uint64_t live;

	return control_grant_each(j, &live);
}

/* A page is shown, and may hold none that counts: is there one anywhere? */
static int
control_grant_any(struct control_job *j, uint64_t *ret_live)
{
	const struct relay_filter f = control_grant_filter(j);
	struct grant_record g = { 0 };
	int r = ERR_NOTFOUND;

	while (*ret_live == 0 && (r = relay_cache_next(j->core->relay, &f, &g,
	    &j->err)) == 0)
		*ret_live = control_grant_flaw(j, &g) == NULL;
	return *ret_live > 0 || r == ERR_NOTFOUND ? 0 : r;
}

int
control_grant_query(struct control_job *j)
{
	const struct conf_brownout *b = conf_brownout_at(j->conf, j->now_s);
	uint64_t live;
	int r;

	if (!j->has_net && j->user[0] == '\0')
		return err_set(&j->err, ERR_FORMAT, "an address or a network "
		    "is wanted, or a user");
	j->all = true;
	if ((r = control_grant_each(j, &live)) != 0 ||
	    (live == 0 && (r = control_grant_any(j, &live)) != 0))
		return r;
	if (b != NULL && live > 0) {
		control_job_set(j, "brownout", json_string(b->item.name));
		control_job_set(j, "until_s", json_integer(b->end_s));
	}
	control_job_set(j, "allowed", json_boolean(live > 0 && b == NULL));
	return 0;
}

/* What the administrator gives needs no login, so the rules for those do not
 * count; those of sending do, or it would be worth nothing. */
static int
control_grant_may(struct control_job *j, const struct addr *a,
    const struct user_record *rec)
{
	if (conf_grants_ended(j->conf, j->now_s))
		return err_set(&j->err, ERR_DENIED, "there are no grants any "
		    "more: grant_sunset is over");
	if (policy_grant_excluded(j->conf, a))
		return err_set(&j->err, ERR_DENIED, "no grants at such an "
		    "address: see grant_exclude in submitd.conf(5)");
	if ((rec->flags & (USER_DISABLED | USER_SENDING_DISABLED)) ||
	    (rec->flags & (USER_MAY_SUBMIT | USER_MAY_USE_RELAY)) !=
	    (USER_MAY_SUBMIT | USER_MAY_USE_RELAY))
		return err_set(&j->err, ERR_DENIED, "%s may not send under a "
		    "grant: see \"submitctl user show\"", j->user);
	if (grant_generation(rec) == 0)
		return err_set(&j->err, ERR_DENIED, "%s has no password that "
		    "is good for SMTP", j->user);
	return 0;
}

static int
control_grant_take(struct control_job *j, struct relay_grant_args *ret)
{
	uint64_t expires_s = (uint64_t)j->now_s + ret->ttl_s;

	if (control_take_number(j, "max_messages", UINT32_MAX,
	    &ret->max_messages) != 0 ||
	    control_take_number(j, "max_recipients", UINT32_MAX,
	    &ret->max_recipients) != 0 ||
	    control_take_number(j, "expires_s", INT64_MAX, &expires_s) != 0)
		return ERR_FORMAT;
	if (expires_s <= (uint64_t)j->now_s)
		return err_set(&j->err, ERR_FORMAT,
		    "the time at which it is to end is over already");
	ret->ttl_s = expires_s - (uint64_t)j->now_s;
	return 0;
}

int
control_grant_add(struct control_job *j)
{
	struct relay_grant_args args = { .ttl_s = j->conf->grant_ttl_s,
	    .source = GRANT_CONTROL, .durable = true,
	    .max_messages = j->conf->grant_max_messages,
	    .max_recipients = j->conf->grant_max_recipients };
	struct user_record rec;
	struct addr a = { 0 };
	struct grant_record g;
	int r;

	memcpy(a.ip, j->net.ip, sizeof(a.ip));
	if (j->net.bits != 128)
		return err_set(&j->err, ERR_FORMAT,
		    "one address is wanted, not a network");
	if ((r = control_grant_take(j, &args)) != 0 ||
	    (r = userdb_get(j->core->userdb, j->user, &rec, &j->err)) != 0)
		return r;
	args.generation = grant_generation(&rec);
	r = control_grant_may(j, &a, &rec);
	record_user_clear(&rec);
	if (r != 0 || (r = relay_cache_grant(j->core->relay, &a, j->user,
	    &args, j->now_s, &g, &j->err)) != 0)
		return r;
	control_job_set(j, "granted", control_grant_json(j, &g));
	return 0;
}

int
control_grant_revoke(struct control_job *j)
{
	const struct relay_filter f = control_grant_filter(j);
	struct user_record rec = { 0 };
	uint64_t n = 0;
	int r;

	r = relay_cache_revoke(j->core->relay, &f, &n, &j->err);
	control_job_set(j, "revoked", json_integer((json_int_t)n));
	/* He may be removed by now, so that is no failure; or mistyped. */
	if (r == 0 && n == 0 && f.user != NULL &&
	    userdb_get(j->core->userdb, f.user, &rec, NULL) == ERR_NOTFOUND)
		control_job_warn(j, "%s: no such user here, and no grant of "
		    "that name", f.user);
	record_user_clear(&rec);
	return r;
}

int
control_grant_purge(struct control_job *j)
{
	uint64_t n = 0;
	int r;

	r = relay_cache_purge(j->core->relay, j->now_s, &n, &j->err);
	control_job_set(j, "purged", json_integer((json_int_t)n));
	return r;
}
