/*
 * mail_limit.c - MAIL and TICKET meet the sending limits (auth/quota.h): whose
 * mail it is pays for it, by whatever right it is sent. Runs on the loop of
 * authd-core.
 */
#include "auth/mail_private.h"

#include "lib/log.h"
#include "lib/str.h"

/* False: he has none, or nobody is there to count for. */
static bool
mail_limit_rule(struct mail *m, struct quota_rule *ret)
{
	*ret = (struct quota_rule){ .action = CONF_DEFER };
	if (m->has_user)
		quota_rule_of(m->core->conf, m->class, &m->limits, ret);
	return !quota_rule_is_empty(ret);
}

bool
mail_limit_is_permanent(const struct quota_over *o)
{
	return o->action == CONF_REJECT || o->eases_s == 0;
}

static void
mail_limit_log(const struct mail *m)
{
	const struct quota_over *o = &m->over;
	char rip[ADDR_STRLEN];

	LOG_EV(LOG_NOTICE, "limit.over", m->sid,
	    KV_S("user", mail_user(m)), KV_A("rip", addr_ip_text(&m->peer, rip)),
	    KV_S("from", m->sender), KV_A("limit", quota_which_name(o->which)),
	    KV_U("max", o->max), KV_U("used", o->used),
	    KV_I("eases_s", o->eases_s == 0 ? 0 : o->eases_s - m->now_s),
	    KV_A("action", o->action == CONF_LOG ? "log" :
	    mail_limit_is_permanent(o) ? "reject" : "defer"));
}

/* `r` is what the question about the limits gave. */
static void
mail_limit_decide(struct mail *m, int r)
{
	if (r != 0)
		m->out.verdict = r == ERR_LIMIT ? AUTHP_LIMIT : AUTHP_TEMP;
}

static void
mail_limit_judge(struct mail *m, int r)
{
	if (m->over.which != QUOTA__COUNT)
		mail_limit_log(m);
	mail_limit_decide(m, r);
	if (r != 0 && r != ERR_LIMIT)
		LOG_EV(LOG_ERR, "mail.temp", m->sid,
		    KV_A("why", err_name(r)));
}

/* What is only to be logged is logged once, at begin. */
void
mail_limit_check(struct mail *m)
{
	struct quota_rule rule;

	if (m->out.verdict != AUTHP_OK || !mail_limit_rule(m, &rule) ||
	    rule.action == CONF_LOG)
		return;
	mail_limit_judge(m, quota_check(m->core->quota, mail_user(m), &rule,
	    1, m->now_s, &m->over));
}

void
mail_limit_look(struct mail *m)
{
	struct quota_rule rule;

	m->over.which = QUOTA__COUNT;
	if (m->out.verdict == AUTHP_OK && mail_limit_rule(m, &rule))
		mail_limit_decide(m, quota_check(m->core->quota, mail_user(m),
		    &rule, 1, m->now_s, &m->over));
}

void
mail_limit_begin(struct mail *m, const struct peer *p)
{
	struct quota_rule rule;

	m->reservation = 0;
	if (m->out.verdict != AUTHP_OK || !mail_limit_rule(m, &rule))
		return;
	mail_limit_judge(m, quota_hold(m->core->quota, mail_user(m), &rule,
	    m->recipients, p, m->now_s, &m->reservation, &m->over));
}

/* Without limits the use is counted all the same. */
void
mail_limit_commit(struct mail *m, const struct peer *p)
{
	const struct quota_sent sent = { .user = mail_user(m),
	    .hold = m->reservation, .owner = p,
	    .recipients = m->recipients, .octets = m->octets };
	struct quota_rule rule;

	if (m->out.verdict != AUTHP_OK || !m->has_user)
		return;
	(void)mail_limit_rule(m, &rule);
	mail_limit_judge(m, quota_book(m->core->quota, &sent, &rule, m->now_s,
	    &m->over));
	m->reservation = 0;
}

void
mail_limit_put(const struct mail *m, struct msg_out *out)
{
	msg_put_u8(out, (uint8_t)m->over.which);
	msg_put_u64(out, m->over.max);
	msg_put_u64(out, (uint64_t)m->over.eases_s);
	msg_put_u8(out, mail_limit_is_permanent(&m->over));
}

_Static_assert((int)QUOTA__COUNT == (int)AUTHP_LIMIT__COUNT &&
    (int)QUOTA_RECIPIENTS_DAY == (int)AUTHP_RECIPIENTS_DAY,
    "one is the other");
