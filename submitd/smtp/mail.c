/*
 * mail.c - MAIL, RCPT, and the transaction they build (RFC 5321 sections
 * 4.1.1.2 and 4.1.1.3, RFC 6409). Runs in submitd-smtp.
 *
 * Whether a client may send, and as whom, is authd's word alone: it is asked at
 * every MAIL, with the ticket from AUTH or with none.
 */
#include "config.h"

#include <inttypes.h>
#include <search.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/conf_route.h"
#include "lib/log.h"
#include "submitd/smtp/address.h"
#include "submitd/smtp/command.h"
#include "submitd/smtp/limits.h"

/* ---------------------------------------------------------- transaction -- */

static int
tx_compare(const void *a, const void *b)
{
	return strcmp(a, b);
}

static void
tx_keep(void *rcpt)
{
	(void)rcpt;		/* the tree borrows them from rcpts */
}

static void
tx_free(struct smtp_tx *tx)
{
	spoolc_abort(tx->txn);
	tdestroy(tx->seen, tx_keep);
	for (size_t i = 0; i < tx->n_rcpts; i++)
		free(tx->rcpts[i]);
	for (size_t i = 0; tx->dsn != NULL && i < tx->n_rcpts; i++)
		free(tx->dsn[i].orcpt);
	free(tx->rcpts);
	free(tx->dsn);
	free(tx->rcpt);
	free(tx->rcpt_dsn.orcpt);
	free(tx->sender);
	free(tx->user);
	free(tx->ticket);
	if (tx->content != NULL) {
		smtp_header_free(&tx->content->header);
		buf_free(&tx->content->rest);
	}
	free(tx->content);
	free(tx);
}

void
smtp_tx_drop(struct smtp_session *s)
{
	if (s->tx != NULL)
		tx_free(s->tx);
	s->tx = NULL;
}

struct smtp_ticket *
smtp_ticket_new(const void *p, size_t len)
{
	struct smtp_ticket *t = malloc(sizeof(*t) + len);

	if (t == NULL)
		return NULL;
	t->len = len;
	memcpy(t->data, p, len);
	return t;
}

/* Room for one more recipient; what he asks about reports has a place from the
 * first on who asks. */
static int
tx_make_room(struct smtp_tx *tx)
{
	size_t cap = tx->n_rcpts < tx->cap_rcpts ? tx->cap_rcpts :
	    tx->cap_rcpts == 0 ? 4 : tx->cap_rcpts * 2;
	bool asked = tx->dsn != NULL || tx->rcpt_dsn.notify != 0 ||
	    tx->rcpt_dsn.orcpt != NULL;
	void *grown;

	if (asked && (tx->dsn == NULL || cap > tx->cap_rcpts)) {
		grown = reallocarray(tx->dsn, cap, sizeof(*tx->dsn));
		if (grown == NULL)
			return ERR_NOMEM;
		if (tx->dsn == NULL)
			memset(grown, 0, cap * sizeof(*tx->dsn));
		tx->dsn = grown;
	}
	if (cap > tx->cap_rcpts) {
		grown = reallocarray(tx->rcpts, cap, sizeof(*tx->rcpts));
		if (grown == NULL)
			return ERR_NOMEM;
		tx->rcpts = grown;
		tx->cap_rcpts = cap;
	}
	return 0;
}

/* Takes the recipient over, and tx->rcpt_dsn. ERR_EXISTS: it is among them
 * already, and what was asked for it first holds. */
static int
tx_add_rcpt(struct smtp_tx *tx, char *rcpt)
{
	char **node = NULL;
	int r = tx_make_room(tx);

	if (r == 0 && (node = tsearch(rcpt, &tx->seen, tx_compare)) == NULL)
		r = ERR_NOMEM;
	if (r == 0 && *node != rcpt)
		r = ERR_EXISTS;
	if (r != 0) {
		free(rcpt);
		free(tx->rcpt_dsn.orcpt);
	} else {
		if (tx->dsn != NULL)
			tx->dsn[tx->n_rcpts] = tx->rcpt_dsn;
		tx->rcpts[tx->n_rcpts++] = rcpt;
	}
	memset(&tx->rcpt_dsn, 0, sizeof(tx->rcpt_dsn));
	return r;
}

/* ------------------------------------------------------------------ MAIL -- */

uint64_t
smtp_tx_size_limit(const struct smtp_session *s)
{
	uint64_t all = s->settings->conf->message_size_limit;

	return s->tx == NULL || s->tx->size_limit == 0 ||
	    s->tx->size_limit > all ? all : s->tx->size_limit;
}

/* Gives the transaction up before it began. */
static void
mail_refuse(struct smtp_session *s, enum smtp_reply r)
{
	char *sender = s->tx->sender, text[SMTP_PARAM_NAME_SIZE];
	bool named = smtp_params_are_named(r);

	if (named)
		(void)str_copy(text, sizeof(text), s->tx->params.bad);
	else
		(void)str_format(text, sizeof(text), "%" PRIu64,
		    smtp_tx_size_limit(s));
	s->tx->sender = NULL;
	smtp_tx_drop(s);
	if (named || r == SMTP_R_TOO_BIG_USER)
		smtp_refuse_with(s, r, "MAIL", sender, text);
	else
		smtp_refuse(s, r, "MAIL", sender);
	free(sender);
}

/* `text` stands behind the reply's own, or is NULL. */
static void
mail_refuse_with(struct smtp_session *s, enum smtp_reply r, const char *text)
{
	char *sender = s->tx->sender;

	s->tx->sender = NULL;
	smtp_tx_drop(s);
	smtp_refuse_with(s, r, "MAIL", sender, text);
	free(sender);
}

static void
mail_refuse_limit(struct smtp_session *s, const struct authc_limit *l)
{
	char text[AUTHC_LIMIT_SIZE];

	mail_refuse_with(s, l->permanent ? SMTP_R_LIMIT_REJECT : SMTP_R_LIMIT,
	    authc_limit_text(l, clock_now_s(), text));
}

static void
mail_take(struct smtp_session *s, const struct authc_reply *r)
{
	struct smtp_tx *tx = s->tx;

	tx->size_limit = r->size_limit;
	if (tx->params.size > smtp_tx_size_limit(s)) {
		mail_refuse(s, SMTP_R_TOO_BIG_USER);
		return;
	}
	/* RFC 1870 section 6.1: better here than when all of it was sent. */
	if (tx->params.size > spoolc_room(s->worker->spoolc)) {
		mail_refuse(s, SMTP_R_NO_SPACE);
		return;
	}
	tx->ticket = smtp_ticket_new(r->blob, r->blob_len);
	tx->user = strdup(r->user);
	if (tx->ticket == NULL || tx->user == NULL) {
		mail_refuse(s, SMTP_R_NO_MEMORY);
		return;
	}
	if (!smtp_limits_authorise(s, tx->user)) {
		mail_refuse(s, SMTP_R_CROWDED_USER);
		return;
	}
	if (s->ticket == NULL)
		smtp_past_granted(s, r);
	if (s->ticket == NULL && !s->lmtp)
		LOG_EV(LOG_INFO, "smtp.granted", s->sid,
		    KV_A("by", r->kind == AUTHP_KIND_NETWORK ? "network" :
			"grant"), KV_S("user", tx->user),
		    KV_S("from", tx->sender));
	smtp_session_enter(s, SMTP_ST_MAIL);
	if (tx->params.wishes.priority > 0 && !r->may_prioritise) {
		tx->params.wishes.priority = 0;
		smtp_reply(s, SMTP_R_SENDER_OK_LOWERED);
		return;
	}
	smtp_reply(s, SMTP_R_SENDER_OK);
}

/* No leave to send: what the person should do, by what authd has found. */
static void
mail_refuse_stranger(struct smtp_session *s, enum authp_hint hint)
{
	static const enum smtp_reply replies[AUTHP_HINT__COUNT] = {
		[AUTHP_HINT_NONE] = SMTP_R_NEEDS_AUTH,
		[AUTHP_HINT_CHECK] = SMTP_R_NEEDS_CHECK,
		[AUTHP_HINT_EXPIRED] = SMTP_R_NEEDS_CHECK_AGAIN,
		[AUTHP_HINT_FAMILY] = SMTP_R_NEEDS_CHECK_FAMILY,
		[AUTHP_HINT_SUNSET] = SMTP_R_GRANTS_ENDED,
	};
	uint64_t ttl_s = s->settings->conf->grant_ttl_s;
	char text[64];

	if (hint == AUTHP_HINT_FAMILY)
		(void)str_format(text, sizeof(text), "%s, and this comes over "
		    "%s", addr_is_v4(&s->peer) ? "IPv6" : "IPv4",
		    addr_is_v4(&s->peer) ? "IPv4" : "IPv6");
	else
		(void)str_format(text, sizeof(text), "%" PRIu64 " %s",
		    ttl_s % 60 == 0 ? ttl_s / 60 : ttl_s,
		    ttl_s % 60 == 0 ? "minutes" : "seconds");
	mail_refuse_with(s, replies[hint], hint == AUTHP_HINT_NONE ||
	    hint == AUTHP_HINT_SUNSET ? NULL : text);
}

static void
mail_answered(void *ctx, const struct authc_reply *r)
{
	struct smtp_session *s = ctx;
	enum smtp_reply refusal = s->tx->refusal;

	s->has_call = false;
	switch (r->verdict) {
	case AUTHP_OK:
		if (refusal != SMTP_R_NONE)
			mail_refuse(s, refusal);
		else if (r->blob_len == 0)
			mail_refuse(s, SMTP_R_AUTH_LATER);
		else
			mail_take(s, r);
		break;
	case AUTHP_NOAUTH:
		mail_refuse_stranger(s, r->hint);
		break;
	case AUTHP_NOTSENDER:
		mail_refuse(s, refusal != SMTP_R_NONE ? refusal :
		    s->ticket == NULL && s->tx->sender[0] == '\0' ?
		    SMTP_R_NULL_SENDER : SMTP_R_NOT_SENDER);
		break;
	case AUTHP_VOID:
		mail_refuse(s, SMTP_R_VOID);
		break;
	case AUTHP_LIMIT:
		mail_refuse_limit(s, &r->limit);
		break;
	case AUTHP_BROWNOUT:
		mail_refuse_with(s, SMTP_R_BROWNOUT, r->text);
		break;
	default:
		mail_refuse(s, SMTP_R_AUTH_LATER);
		break;
	}
	smtp_go_on(s);
}

static int
mail_ask(struct smtp_session *s)
{
	struct authc_blob ticket = { .len = 0 };
	int r;

	if (s->ticket != NULL) {
		ticket.len = s->ticket->len;
		memcpy(ticket.data, s->ticket->data, ticket.len);
	}
	r = authc_mail(s->worker->authc, exchange_handle(s->exchange), &ticket,
	    s->tls, s->tx->sender, mail_answered, s, &s->call);
	s->has_call = r == 0;
	return r;
}

static void
mail_known(void *ctx, const struct exchange_reply *r)
{
	struct smtp_session *s = ctx;

	if (r->verdict == AUTHP_OK && mail_ask(s) == 0)
		return;
	mail_refuse(s, SMTP_R_AUTH_LATER);
	smtp_go_on(s);
}

/* Asks authd; the session is made known to it first, once. */
static void
mail_begin(struct smtp_session *s)
{
	int r;

	if (smtp_session_exchange(s) == NULL)
		r = ERR_NOMEM;
	else if (exchange_handle(s->exchange) != NULL)
		r = mail_ask(s);
	else
		r = exchange_hello(s->exchange, conn_fd(s->conn), mail_known,
		    s);
	if (r != 0)
		mail_refuse(s, SMTP_R_AUTH_LATER);
	else
		smtp_wait(s);
}

static enum smtp_reply
mail_parse(struct smtp_session *s, const char *arg, struct smtp_tx *tx)
{
	const struct smtp_params_limits limits = {
		.size = s->settings->conf->message_size_limit,
		.extensions = s->lmtp ? 0 : s->settings->extensions,
		.lmtp = s->lmtp,
		.now_s = clock_now_s(),
	};
	struct smtp_path path;
	size_t used, len = strlen(arg);
	enum smtp_reply r;

	s->utf8 = false;
	switch (smtp_path_parse(arg, len, &path, &used)) {
	case SMTP_PATH_OK:
		break;
	case SMTP_PATH_UNQUALIFIED:
		return SMTP_R_SENDER_UNQUALIFIED;
	default:
		return SMTP_R_SENDER_SYNTAX;
	}
	if (path.postmaster)
		return SMTP_R_SENDER_UNQUALIFIED;
	if (!path.null) {
		free(tx->sender);
		if ((tx->sender = strdup(path.mailbox.text)) == NULL)
			return SMTP_R_NO_MEMORY;
	}
	r = smtp_params_mail(arg + used, len - used, &limits, &tx->params);
	s->utf8 = tx->params.smtputf8;
	if (r == SMTP_R_NONE && path.mailbox.utf8 && !tx->params.smtputf8)
		r = SMTP_R_UTF8;	/* RFC 6531 section 3.5 */
	return r;
}

void
smtp_cmd_mail(struct smtp_session *s, char *arg)
{
	struct smtp_tx *tx;

	if (!str_istarts(arg, "FROM:")) {
		smtp_reply(s, SMTP_R_MAIL_SYNTAX);
		return;
	}
	tx = calloc(1, sizeof(*tx));
	if (tx == NULL || (tx->sender = strdup("")) == NULL) {
		free(tx);
		smtp_reply(s, SMTP_R_NO_MEMORY);
		return;
	}
	s->tx = tx;
	tx->began_ms = clock_mono_ms();
	tx->refusal = mail_parse(s, arg + strlen("FROM:"), tx);
	/* A stranger hears 530 first, whatever else is wrong. */
	if (tx->refusal != SMTP_R_NONE && s->ticket != NULL)
		mail_refuse(s, tx->refusal);
	else
		mail_begin(s);
}

/* ------------------------------------------------------------------ RCPT -- */

static void
rcpt_refuse(struct smtp_session *s, enum smtp_reply r, const char *address)
{
	s->tx->refused++;
	free(s->tx->rcpt_dsn.orcpt);
	memset(&s->tx->rcpt_dsn, 0, sizeof(s->tx->rcpt_dsn));
	if (smtp_params_are_named(r))
		smtp_refuse_with(s, r, "RCPT", address, s->tx->params.bad);
	else
		smtp_refuse(s, r, "RCPT", address);
}

/* Takes `rcpt` over. */
static void
rcpt_take(struct smtp_session *s, char *rcpt)
{
	int r = tx_add_rcpt(s->tx, rcpt);

	if (r == ERR_NOMEM) {
		rcpt_refuse(s, SMTP_R_TRY_LATER, NULL);
		return;
	}
	s->tx->taken++;
	if (s->state == SMTP_ST_MAIL)
		smtp_session_enter(s, SMTP_ST_RCPT);
	smtp_reply(s, SMTP_R_RCPT_OK);
}

static void
rcpt_answered(void *ctx, const struct authc_reply *r)
{
	struct smtp_session *s = ctx;
	char *rcpt = s->tx->rcpt;

	s->has_call = false;
	s->tx->rcpt = NULL;
	if (r->verdict == AUTHP_OK) {
		rcpt_take(s, rcpt);
	} else {
		rcpt_refuse(s, r->verdict == AUTHP_NOUSER ? SMTP_R_NO_USER :
		    SMTP_R_TRY_LATER, rcpt);
		free(rcpt);
	}
	smtp_go_on(s);
}

/* A local address: authd knows its users. Takes `rcpt` over. */
static void
rcpt_ask(struct smtp_session *s, char *rcpt)
{
	if (authc_rcpt(s->worker->authc, rcpt, rcpt_answered, s, &s->call) != 0) {
		rcpt_refuse(s, SMTP_R_TRY_LATER, rcpt);
		free(rcpt);
		return;
	}
	s->has_call = true;
	s->tx->rcpt = rcpt;
	smtp_wait(s);
}

/* What it asks about reports goes into tx->rcpt_dsn. */
static enum smtp_reply
rcpt_parse(struct smtp_session *s, const char *arg,
    struct smtp_path *ret_path)
{
	struct smtp_tx *tx = s->tx;
	size_t used, len = strlen(arg);
	struct smtp_rcpt_params params;
	enum smtp_reply r;

	switch (smtp_path_parse(arg, len, ret_path, &used)) {
	case SMTP_PATH_OK:
		break;
	case SMTP_PATH_UNQUALIFIED:
		return SMTP_R_ADDRESS_UNQUALIFIED;
	default:
		return SMTP_R_ADDRESS_SYNTAX;
	}
	if (ret_path->null)
		return SMTP_R_ADDRESS_SYNTAX;
	if (ret_path->mailbox.utf8 && !tx->params.smtputf8)
		return SMTP_R_UTF8;
	if (s->lmtp)
		return smtp_params_rcpt_lmtp(arg + used, len - used,
		    tx->params.bad);
	r = smtp_params_rcpt(arg + used, len - used, tx->params.smtputf8,
	    &params);
	if (r != SMTP_R_NONE) {
		memcpy(tx->params.bad, params.bad, sizeof(params.bad));
		return r;
	}
	tx->rcpt_dsn.notify = params.notify;
	if (params.orcpt[0] != '\0' &&
	    (tx->rcpt_dsn.orcpt = strdup(params.orcpt)) == NULL)
		return SMTP_R_TRY_LATER;
	return SMTP_R_NONE;
}

void
smtp_cmd_rcpt(struct smtp_session *s, char *arg)
{
	const struct conf *conf = s->settings->conf;
	struct smtp_path path;
	enum smtp_reply r;
	const struct conf_route *route;
	const char *domain;
	char *rcpt;

	if (!str_istarts(arg, "TO:")) {
		smtp_reply(s, SMTP_R_RCPT_SYNTAX);
		return;
	}
	if ((r = rcpt_parse(s, arg + strlen("TO:"), &path)) != SMTP_R_NONE) {
		rcpt_refuse(s, r, NULL);
		return;
	}
	if (s->tx->taken >= conf->recipient_limit) {
		rcpt_refuse(s, SMTP_R_TOO_MANY_RCPTS, NULL);
		return;
	}
	rcpt = strdup(path.postmaster ? "postmaster" : path.mailbox.text);
	if (rcpt == NULL) {
		rcpt_refuse(s, SMTP_R_TRY_LATER, NULL);
		return;
	}
	domain = path.postmaster ? NULL : mailbox_domain(path.mailbox.canon);
	route = domain == NULL ? conf->route_local :
	    conf_route_find(conf, domain);
	if (route->via == CONF_VIA_LOCAL) {
		rcpt_ask(s, rcpt);
	} else if (s->lmtp) {		/* never to relay */
		rcpt_refuse(s, SMTP_R_NO_USER, rcpt);
		free(rcpt);
	} else if (route->via == CONF_VIA_NONE) {
		rcpt_refuse(s, route == conf->route_next_hop ?
		    SMTP_R_NO_ROUTE : SMTP_R_ROUTE_NONE, rcpt);
		free(rcpt);
	} else {
		rcpt_take(s, rcpt);
	}
}
