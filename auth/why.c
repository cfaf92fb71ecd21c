/*
 * why.c - the administrator's "why": what the rule says to mail from an address,
 * now, and which key or fact decided. On the loop of authd-core, for it asks
 * what MAIL asks (mail_judge), in a session under TLS that nobody has. It must
 * change nothing and count as nothing.
 */
#include "config.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "auth/brownout.h"
#include "auth/control_private.h"
#include "auth/hint.h"
#include "auth/mail_private.h"
#include "lib/clock.h"
#include "lib/conf_route.h"
#include "lib/str.h"

#define WHY_TLS "TLSv1.3:TLS_AES_256_GCM_SHA384"	/* any will do */

struct why {
	struct control_job	*j;
	struct mail		 m;
	struct ticket		 ticket;	/* of the user who is named */
	const char		*flaw;		/* why he cannot log in */
	char			 sender[MAILBOX_SIZE];
};

static void why_say(struct why *w, const char *decided, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The key or fact, and a sentence. */
static void
why_say(struct why *w, const char *decided, const char *fmt, ...)
{
	char text[3 * MAILBOX_SIZE + 256];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	str_mend_utf8(text);
	control_job_set(w->j, "decided_by", json_string(decided));
	control_job_set(w->j, "why", json_string(text));
}

static const char *
why_sender(const struct why *w)
{
	return w->sender[0] == '\0' ? "<>" : w->sender;
}

/* Whose the sender is, as the end of a sentence. */
static const char *
why_owner(const struct why *w, char dst[MAILBOX_SIZE + 32])
{
	if (w->m.owner[0] == '\0')
		(void)str_copy(dst, MAILBOX_SIZE + 32, "is nobody's here");
	else
		(void)str_format(dst, MAILBOX_SIZE + 32, "belongs to %s",
		    w->m.owner);
	return dst;
}

/* ----------------------------------------------------------- what is asked -- */

/* One of his passwords that is good for SMTP, by its generation. */
static bool
why_credential(const struct user_record *r, int64_t now_s, uint64_t *ret)
{
	const struct user_credential *c = r->credentials;

	for (unsigned int i = 0; i < r->n_credentials; i++) {
		if ((c[i].scope & CREDENTIAL_SMTP) &&
		    user_record_holds(r, c[i].generation, now_s)) {
			*ret = c[i].generation;
			return true;
		}
	}
	*ret = r->secret_generation;
	return r->secret_len > 0;
}

/* As if the user had logged in just now. 0, with w->flaw if he cannot. */
static int
why_login(struct why *w)
{
	struct control_job *j = w->j;
	struct ticket *t = &w->ticket;
	struct user_record rec;
	int r = userdb_get(j->core->userdb, j->user, &rec, &j->err);

	if (r == ERR_NOTFOUND)
		w->flaw = "there is no such user";
	if (r != 0)
		return r == ERR_NOTFOUND ? 0 : r;
	*t = (struct ticket){ .kind = AUTHP_KIND_SASL, .service = AUTHP_SMTP,
		.peer = w->m.peer, .issued_s = j->now_s,
		.created_s = rec.created_s };
	(void)str_copy(t->user, sizeof(t->user), j->user);
	(void)str_copy(t->login, sizeof(t->login), j->user);
	if (rec.flags & USER_DISABLED)
		w->flaw = "the user is disabled";
	else if (rec.flags & USER_SENDING_DISABLED)
		w->flaw = "his sending is disabled";
	else if (!(rec.flags & USER_MAY_SUBMIT))
		w->flaw = "may_submit is no";
	else if (!why_credential(&rec, j->now_s, &t->generation))
		w->flaw = "none of his passwords is good for SMTP now";
	record_user_clear(&rec);
	w->m.ticket = t;
	return 0;
}

/* Would guessing of late keep him from logging in? */
static void
why_blocked(struct why *w)
{
	struct control_job *j = w->j;
	char text[CONTROL_BLOCK_SIZE];

	if (control_find_block(j, j->user, &w->m.peer, placesdb_is_known(
	    j->core->places, j->user, &w->m.peer, w->ticket.created_s,
	    j->now_s), text))
		control_job_warn(j, "logins are blocked: %s", text);
}

/* The sender that was named, or one that he would use: the user, or whose
 * grant is the only one. */
static int
why_take_sender(struct why *w)
{
	const char *s = control_arg(w->j->args, "from");
	json_t *grant, *only = NULL;
	size_t i;

	if (s == NULL && w->j->user[0] != '\0') {
		s = w->j->user;
	} else if (s == NULL) {
		json_array_foreach(w->j->records, i, grant)
			if (json_is_true(json_object_get(grant, "live")))
				only = only == NULL ? grant : json_null();
		s = json_string_value(json_object_get(only, "user"));
	}
	if (s == NULL || strcmp(s, "<>") == 0)
		s = "";
	if (str_copy(w->sender, sizeof(w->sender), s) != 0)
		return err_set(&w->j->err, ERR_LIMIT, "from: too long");
	w->m.sender = w->sender;
	control_job_set(w->j, "from", json_string(why_sender(w)));
	return 0;
}

/* ------------------------------------------------------------ what decided -- */

static void
why_taken(struct why *w)
{
	const struct mail *m = &w->m;
	char net[ADDR_STRLEN], whose[MAILBOX_SIZE + 32];

	if (m->out.foreign)
		why_say(w, "sender_policy", "%s %s, but sender_policy is log",
		    why_sender(w), why_owner(w, whose));
	else if (m->out.kind == AUTHP_KIND_SASL)
		why_say(w, "login", m->in.null_sender ? "%s has logged in, and "
		    "then the null sender is allowed" : "%s has logged in, and "
		    "the sender is an address of his", m->ticket->user);
	else if (m->out.kind == AUTHP_KIND_GRANT)
		why_say(w, "grant", "%s holds a grant there for another %lld s",
		    m->grant.user, (long long)(m->grant.expires_s -
		    m->now_s));
	else
		why_say(w, "trusted_networks", "trusted_networks %s: %s",
		    net_text(&m->net->net, net), m->in.listed ?
		    "the sender is among its senders" : "the sender is its "
		    "owner's");
}

static void
why_stranger(struct why *w)
{
	static const char *const hints[] = {
		[AUTHP_HINT_NONE] = "none", [AUTHP_HINT_CHECK] = "check",
		[AUTHP_HINT_EXPIRED] = "expired",
		[AUTHP_HINT_FAMILY] = "family",
		[AUTHP_HINT_SUNSET] = "sunset",
	};
	const struct mail *m = &w->m;
	const struct conf_trusted *t = conf_trusted_for(w->j->conf, &m->peer);
	char net[ADDR_STRLEN], ended[CLOCK_DATE_SIZE];

	_Static_assert(sizeof(hints) / sizeof(hints[0]) == AUTHP_HINT__COUNT,
	    "each hint has a name");
	control_job_set(w->j, "hint", json_string(hints[hint_find(m)]));
	if (m->in.owner_spent || m->in.only_spent)
		why_say(w, "grant", "%s holds a grant there, and its budget "
		    "is spent: another login of his fills it", m->grant.user);
	else if (t != NULL)
		why_say(w, "trusted_networks", "trusted_networks %s holds the "
		    "address, but %s; and nobody holds a grant there that "
		    "counts", net_text(&t->net, net), t->owner != NULL ?
		    "its owner may not send" : "it has no owner and no "
		    "senders");
	else if (conf_grants_ended(w->j->conf, m->now_s))
		why_say(w, "grant_sunset", "grants ended at %s, and it is in "
		    "no trusted_networks", (clock_utc(
		    w->j->conf->grant_sunset_s, ended), ended));
	else if (policy_grant_excluded(w->j->conf, &m->peer))
		why_say(w, "grant_exclude", "grants never count at this "
		    "address, and it is in no trusted_networks");
	else
		why_say(w, "grant", "nobody holds a grant there that counts, "
		    "and it is in no trusted_networks");
}

static void
why_not_sender(struct why *w)
{
	const struct mail *m = &w->m;
	char whose[MAILBOX_SIZE + 32];

	if (!m->in.null_sender && m->canon[0] == '\0')
		why_say(w, "from", "%s is no address that can be compared",
		    w->sender);
	else if (m->ticket != NULL)
		why_say(w, "sender_policy", "%s %s, not to %s", why_sender(w),
		    why_owner(w, whose), m->ticket->user);
	else if (m->in.null_sender && m->in.grants == POLICY_GRANTS_SEVERAL)
		why_say(w, "grant", "<> needs an address with one grant, and "
		    "several users hold one there");
	else if (m->in.grants != POLICY_GRANTS_NONE)
		why_say(w, "sender_policy", "%s %s, who holds no grant there",
		    why_sender(w), why_owner(w, whose));
	else
		why_say(w, "trusted_networks", "%s %s; the trusted_networks "
		    "section there does not name it", why_sender(w),
		    why_owner(w, whose));
}

static void
why_limit(struct why *w)
{
	const struct quota_over *o = &w->m.over;

	why_say(w, quota_which_name(o->which), "%s has sent %llu of %llu by "
	    "the limit %s; see submitctl limits", mail_user(&w->m),
	    (unsigned long long)o->used, (unsigned long long)o->max,
	    quota_which_name(o->which));
}

/* What MAIL, or AUTH, would be answered. */
static void
why_reply(struct why *w, const char *verdict, const char *reply)
{
	control_job_set(w->j, "verdict", json_string(verdict));
	control_job_set(w->j, "reply", json_string(reply));
}

static void
why_brownout(struct why *w)
{
	const struct conf_brownout *b = w->m.brownout;
	char text[AUTHP_BROWNOUT_MAX + 1], reply[AUTHP_BROWNOUT_MAX + 16];
	char until[CLOCK_DATE_SIZE];

	(void)str_format(reply, sizeof(reply), "450 4.7.1 %s",
	    brownout_text(b, text));
	why_reply(w, "refused", reply);
	clock_utc(b->end_s, until);
	why_say(w, "grant_brownout", "%s holds a grant there, and grants are "
	    "refused until %s: grant_brownout %s", mail_user(&w->m), until,
	    b->item.name);
}

static void
why_answer(struct why *w)
{
	static const char *const kinds[] = { [AUTHP_KIND_SASL] = "login",
		[AUTHP_KIND_GRANT] = "grant",
		[AUTHP_KIND_NETWORK] = "network",
		[AUTHP_KIND_RECEIVE] = "lmtp" };

	switch (w->m.out.verdict) {
	case AUTHP_OK:
		why_reply(w, "taken", "250 2.1.0 Sender OK");
		control_job_set(w->j, "by", json_string(
		    kinds[w->m.out.kind]));
		control_job_set(w->j, "user", json_string(mail_user(&w->m)));
		why_taken(w);
		if (w->m.over.which != QUOTA__COUNT)
			control_job_warn(w->j, "he is over his limit %s, whose "
			    "action is log", quota_which_name(
			    w->m.over.which));
		break;
	case AUTHP_LIMIT:
		why_reply(w, "refused", mail_limit_is_permanent(&w->m.over) ?
		    "550 5.7.1 Sending limit reached" :
		    "452 4.7.1 Sending limit reached");
		why_limit(w);
		break;
	case AUTHP_BROWNOUT:
		why_brownout(w);
		break;
	case AUTHP_NOAUTH:
		why_reply(w, "refused", "530 5.7.0 Authentication required");
		why_stranger(w);
		break;
	case AUTHP_NOTSENDER:
		why_reply(w, "refused", "553 5.7.1 You may not send with this "
		    "sender address");
		why_not_sender(w);
		break;
	default:
		why_reply(w, "later", "454 4.7.0 Temporary authentication "
		    "failure");
		why_say(w, "database", "the database did not answer");
		break;
	}
}

/* ------------------------------------------------------------ the recipient -- */

/* Where mail for it goes that no user here gets, as at RCPT. */
static void
why_route(struct why *w, const char *domain, char *text, size_t size)
{
	const struct conf_route *route = conf_route_find(w->j->conf, domain);
	char where[256];

	(void)conf_route_text(route, where, sizeof(where));
	if (route->via != CONF_VIA_LOCAL && w->j->conf->lmtp_listen != NULL)
		control_job_warn(w->j, "at lmtp_listen the recipient gets 550 "
		    "5.1.1: nothing goes out again from there");
	if (route->via == CONF_VIA_LOCAL)
		(void)str_copy(text, size, "550 5.1.1: its domain is in "
		    "local_domains, and there is no such user or alias");
	else if (route->via != CONF_VIA_NONE)
		(void)str_format(text, size, "250 2.1.5: it goes to %s", where);
	else if (route == w->j->conf->route_next_hop)
		(void)str_copy(text, size, "550 5.4.4: no next_hop is set");
	else
		(void)str_format(text, size, "550 5.4.4: %s", where);
}

static int
why_recipient(struct why *w)
{
	const char *to = control_arg(w->j->args, "to"), *domain = NULL;
	char text[MAILBOX_SIZE + 320], user[MAILBOX_SIZE];
	struct mailbox mb;
	int r = 0;

	if (to == NULL)
		return 0;
	if (!str_ieq(to, "postmaster")) {
		if (mailbox_parse(to, strlen(to), &mb) != 0)
			return err_set(&w->j->err, ERR_FORMAT, "to: not an "
			    "address of the form NAME@DOMAIN");
		domain = mailbox_domain(mb.canon);
	}
	if (domain == NULL || conf_route_find(w->j->conf, domain)->via ==
	    CONF_VIA_LOCAL)
		r = address_find(w->j->core, to, user);
	else
		r = ERR_NOTFOUND;
	if (r == 0)
		(void)str_format(text, sizeof(text), "250 2.1.5: the local user "
		    "%s gets it", user);
	else if (r != ERR_NOTFOUND)
		return err_set(&w->j->err, r, "the database did not answer");
	else if (domain == NULL)
		(void)str_copy(text, sizeof(text), "550 5.1.1: there is no user "
		    "who gets postmaster's mail");
	else
		why_route(w, domain, text, sizeof(text));
	control_job_set(w->j, "to", json_string(to));
	control_job_set(w->j, "recipient", json_string(text));
	return 0;
}

int
control_why(struct control_job *j)
{
	struct why w = { .j = j, .m = { .core = j->core, .sid = "why",
	    .tls = WHY_TLS, .now_s = j->now_s } };
	char ip[ADDR_STRLEN];
	uint64_t live;
	int r = 0;

	if (j->net.bits != 128)
		return err_set(&j->err, ERR_FORMAT,
		    "one address is wanted, not a network");
	memcpy(w.m.peer.ip, j->net.ip, sizeof(w.m.peer.ip));
	control_job_set(j, "address", json_string(addr_ip_text(&w.m.peer, ip)));
	/* After AUTH grants are not looked at. */
	j->all = true;
	if (j->user[0] != '\0')
		r = why_login(&w);
	else
		r = control_grant_each(j, &live);
	if (r != 0 || (r = why_take_sender(&w)) != 0 ||
	    (r = why_recipient(&w)) != 0)
		return r;
	if (w.flaw != NULL) {
		why_reply(&w, "refused", "535 5.7.8 User name or password is "
		    "wrong");
		why_say(&w, "user", "%s cannot log in: %s", j->user, w.flaw);
	} else {
		mail_judge(&w.m);
		if (w.m.out.verdict == AUTHP_OK && mail_learn_user(&w.m) != 0)
			w.m.out.verdict = AUTHP_TEMP;
		mail_limit_look(&w.m);
		why_answer(&w);
	}
	if (j->user[0] != '\0')
		why_blocked(&w);
	control_job_end(j, 0);
	return 0;
}
