/*
 * control_grant.c - the verbs on grants. On pool threads of authd-core.
 */
#include "config.h"

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

static json_t *
control_grant_json(const struct control_job *j, const struct grant_record *g)
{
	const char *flaw = control_grant_flaw(j, g);
	struct net n = { .bits = g->bits };
	char text[ADDR_STRLEN];
	json_t *o;

	memcpy(n.ip, g->ip, sizeof(n.ip));
	o = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:s, s:b, s:I, s:s, "
	    "s:b}", "address", net_text(&n, text), "user", g->user,
	    "granted_s", (json_int_t)g->granted_s,
	    "refreshed_s", (json_int_t)g->refreshed_s,
	    "expires_s", (json_int_t)g->expires_s,
	    "left_s", (json_int_t)(flaw == NULL ? g->expires_s - j->now_s : 0),
	    "protocol", grant_protocol_name(g->protocol),
	    "tls", (int)g->tls, "uses", (json_int_t)g->uses,
	    "source", grant_source_name(g->source), "live", flaw == NULL);
	if (flaw != NULL)
		(void)json_object_set_new(o, "why", json_string(flaw));
	return o;
}

/* Is the record at the network and of the user that were named? */
static bool
control_grant_fits(const struct control_job *j, const struct grant_record *g)
{
	struct net covers = { .bits = g->bits };
	struct addr a = { 0 };

	if (j->user[0] != '\0' && strcmp(j->user, g->user) != 0)
		return false;
	memcpy(a.ip, g->ip, sizeof(a.ip));
	if (!j->has_net || net_has(&j->net, &a))
		return true;
	memcpy(covers.ip, g->ip, sizeof(covers.ip));
	memcpy(a.ip, j->net.ip, sizeof(a.ip));
	return net_has(&covers, &a);
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

/* Where records of the network begin; those of a prefix that holds it are meant
 * too (none is wider than 56 bits). */
static void
control_grant_begin(const struct control_job *j, struct net *ret)
{
	struct addr a = { 0 };

	*ret = (struct net){ 0 };
	if (!j->has_net)
		return;
	*ret = j->net;
	memcpy(a.ip, j->net.ip, sizeof(a.ip));
	if (!addr_is_v4(&a) && ret->bits > 56)
		ret->bits = 56;
	addr_mask(ret->ip, ret->bits);
}

static bool
control_grant_is_behind(const struct net *n, const struct grant_record *g)
{
	uint8_t ip[16];

	memcpy(ip, g->ip, sizeof(ip));
	addr_mask(ip, n->bits);
	return memcmp(ip, n->ip, sizeof(ip)) != 0;
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

int
control_grant_each(struct control_job *j, uint64_t *ret_live)
{
	char cursor[CONTROL_CURSOR_SIZE];
	struct grant_record g = { 0 };
	bool live, more = true;
	struct net begin;
	json_t *o;
	int r;

	*ret_live = 0;
	control_grant_begin(j, &begin);
	memcpy(g.ip, begin.ip, sizeof(g.ip));
	if ((r = control_grant_after(j, &g)) != 0)
		return r;
	while (more && (r = relay_cache_next(j->core->relay, &g,
	    &j->err)) == 0) {
		if (control_grant_is_behind(&begin, &g))
			break;
		control_grant_cursor(&g, cursor);
		o = control_grant_fits(j, &g) ? control_grant_json(j, &g) :
		    NULL;
		live = json_is_true(json_object_get(o, "live"));
		if (live)
			++*ret_live;
		if (o != NULL && (live || j->all)) {
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

int
control_grant_query(struct control_job *j)
{
	const struct conf_brownout *b = conf_brownout_at(j->conf, j->now_s);
	uint64_t live;
	int r;

	if (j->net.bits != 128)
		return err_set(&j->err, ERR_FORMAT,
		    "one address is wanted, not a network");
	j->all = true;
	if ((r = control_grant_each(j, &live)) != 0)
		return r;
	if (b != NULL && live > 0) {
		control_job_set(j, "brownout", json_string(b->item.name));
		control_job_set(j, "until_s", json_integer(b->end_s));
	}
	control_job_set(j, "allowed", json_boolean(live > 0 && b == NULL));
	return 0;
}

int
control_grant_revoke(struct control_job *j)
{
	const struct relay_filter f = { .net = j->has_net ? &j->net : NULL,
	    .user = j->user[0] != '\0' ? j->user : NULL };
	uint64_t n = 0;
	int r;

	r = relay_cache_revoke(j->core->relay, &f, &n, &j->err);
	control_job_set(j, "revoked", json_integer((json_int_t)n));
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
