/*
 * past.c - see past.h. Runs in submitd-smtp, on the loop. It waits for nothing
 * and never knows a password or a response.
 */
#include "config.h"
#include "submitd/smtp/past.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "submitd/smtp/session.h"

#define PAST_SENT_MAX	32u	/* messages told of at once */

struct smtp_past {
	enum smtp_reply	 refusal;	/* the one that matters most */
	unsigned int	 rank;		/* how much it does */
	unsigned int	 flags;		/* enum authp_past */
	uint8_t		 kind;		/* enum authp_kind; 0: no grant */
	char		*detail;	/* of the refusal */
	char		*sender;	/* it is about */
	char		*user;		/* whose grant or network it is */
	char		*sent;		/* see auth/PROTOCOL */
	size_t		 sent_len, sent_cap;
	unsigned int	 n_sent;
	size_t		 last;		/* where the last sender stands */
};

static struct smtp_past *
past_of(struct smtp_session *s)
{
	if (s->past == NULL)
		s->past = calloc(1, sizeof(*s->past));
	return s->past;			/* NULL: there is less to tell */
}

/* Takes a copy; NULL leaves what is there. */
static void
past_keep(char **at, const char *s)
{
	if (s == NULL || (*at != NULL && strcmp(*at, s) == 0))
		return;
	free(*at);
	*at = strdup(s);
}

/* ---------------------------------------------------------------- refusals -- */

/* What a person will ask about first, then what ended the session, then
 * mistakes of the program; 0: nothing was refused. */
static unsigned int
past_rank(enum smtp_reply r)
{
	const struct smtp_reply_row *row = smtp_reply_row(r);

	if (row->code < 400 || r == SMTP_R_STOPPING || r == SMTP_R_IDLE)
		return 0;
	if (row->flags & SMTP_R_CLOSE)
		return 2;
	return (row->flags & SMTP_R_PERSON) || row->code < 500 ? 3 : 1;
}

void
smtp_past_reply(struct smtp_session *s, enum smtp_reply r, const char *detail,
    const char *sender)
{
	unsigned int rank = past_rank(r);
	struct smtp_past *p;

	if (rank == 0 || (p = past_of(s)) == NULL || rank < p->rank)
		return;
	if (p->refusal != r) {
		free(p->detail);
		p->detail = NULL;
	}
	p->refusal = r;
	p->rank = rank;
	past_keep(&p->detail, detail);
	past_keep(&p->sender, sender);
}

void
smtp_past_flag(struct smtp_session *s, unsigned int flag)
{
	struct smtp_past *p = past_of(s);

	if (p != NULL)
		p->flags |= flag;
}

bool
smtp_past_is_masked(const char *verb, size_t len)
{
	return len >= 4 && strspn(verb, "X") >= len;
}

/* ---------------------------------------------------------------- messages -- */

void
smtp_past_granted(struct smtp_session *s, const struct authc_reply *r)
{
	struct smtp_past *p = past_of(s);

	if (p == NULL)
		return;
	p->kind = (uint8_t)r->kind;
	past_keep(&p->user, r->user);
}

static bool
past_make_room(struct smtp_past *p, size_t more)
{
	size_t cap = p->sent_cap == 0 ? 64 : p->sent_cap;
	char *grown;

	while (cap < p->sent_len + more)
		cap *= 2;
	if (cap == p->sent_cap)
		return true;
	if ((grown = realloc(p->sent, cap)) == NULL)
		return false;
	p->sent = grown;
	p->sent_cap = cap;
	return true;
}

static void past_tell(struct smtp_session *s, const char *why,
    unsigned int flags);

void
smtp_past_queued(struct smtp_session *s, const char *queue_id)
{
	struct smtp_past *p = past_of(s);
	const char *sender = s->tx->sender[0] == '\0' ? "<>" : s->tx->sender;
	size_t len;

	if (p == NULL || strlen(queue_id) != STR_ID_SIZE - 1)
		return;
	if (p->n_sent == PAST_SENT_MAX || p->sent_len + STR_ID_SIZE +
	    strlen(sender) > AUTHP_SENT_MAX)
		past_tell(s, "", AUTHP_PAST_PART);
	if (p->n_sent > 0 && strcmp(p->sent + p->last, sender) == 0)
		sender = "";
	len = strlen(sender);
	if (!past_make_room(p, STR_ID_SIZE + len))
		return;
	memcpy(p->sent + p->sent_len, queue_id, STR_ID_SIZE - 1);
	p->sent_len += STR_ID_SIZE - 1;
	memcpy(p->sent + p->sent_len, sender, len + 1);
	if (len > 0)
		p->last = p->sent_len;
	p->sent_len += len + 1;
	p->n_sent++;
}

/* ----------------------------------------------------------------- telling -- */

/* A port scan: it came to the port of implicit TLS, and went. */
static bool
past_said_nothing(const struct smtp_session *s)
{
	size_t heard;

	(void)conn_first(s->conn, &heard);
	return s->state == SMTP_ST_HANDSHAKE && heard == 0 && s->alert == NULL &&
	    conf_listener_is_tls(s->settings->conf, s->listener);
}

static unsigned int
past_flags(const struct smtp_session *s)
{
	unsigned int flags = 0;

	if (s->state == SMTP_ST_HANDSHAKE && !past_said_nothing(s))
		flags |= AUTHP_PAST_HANDSHAKE;
	if (s->tls == NULL && s->hello != NULL)
		flags |= AUTHP_PAST_EHLO_CLEAR;
	if (!s->lmtp && !conf_listener_is_tls(s->settings->conf,
	    s->listener) && (s->tls != NULL || s->state == SMTP_ST_HANDSHAKE))
		flags |= AUTHP_PAST_STARTTLS;
	if (s->mech != NULL)
		flags |= AUTHP_PAST_LOGIN;
	if (s->sums.logins > 0)
		flags |= AUTHP_PAST_LOGIN_FAILED;
	return flags;
}

/* Who got in at the second try was not refused. */
static bool
past_is_over(const struct smtp_session *s, enum smtp_reply r)
{
	unsigned int code = smtp_reply_row(r)->code;

	return s->ticket != NULL && (code == 530 || code == 535 || code == 432);
}

static void
past_put_refusal(const struct smtp_session *s, struct authc_event *e,
    char *text, size_t size)
{
	const struct smtp_past *p = s->past;
	const struct smtp_reply_row *row = smtp_reply_row(p->refusal);

	if (p->rank == 0 || past_is_over(s, p->refusal))
		return;
	e->code = (uint16_t)row->code;
	e->status = row->enhanced;
	e->text = text;
	if (str_format(text, size, "%s%s", row->text,
	    p->detail == NULL ? "" : p->detail) != 0)
		e->text = row->text;
	if (p->sender != NULL)
		e->sender = *p->sender == '\0' ? "<>" : p->sender;
}

static void
past_tell(struct smtp_session *s, const char *why, unsigned int flags)
{
	struct smtp_past *p = s->past;
	int64_t ms = clock_mono_ms() - s->opened_ms;
	char text[SMTP_REPLY_SIZE];
	struct authc_event e = {
		.sid = s->sid, .service = AUTHP_SMTP, .peer = &s->peer,
		.port = conn_local(s->conn)->port, .tls = s->tls,
		.user = s->user, .login = s->login,
		.kind = s->ticket != NULL ? AUTHP_KIND_SASL : 0,
		.helo = s->hello == NULL ? NULL : s->hello->name,
		.began_s = clock_now_s() - ms / 1000,
		.ms = ms < UINT32_MAX ? (uint32_t)ms : UINT32_MAX,
		.flags = past_flags(s) | flags, .why = why,
	};

	if (s->alert != NULL)
		e.why = s->alert->word;
	else if (past_said_nothing(s))
		e.why = "eof";
	if (s->tx != NULL)
		e.sender = *s->tx->sender == '\0' ? "<>" : s->tx->sender;
	if (p != NULL) {
		past_put_refusal(s, &e, text, sizeof(text));
		e.flags |= p->flags;
		e.messages = p->n_sent;
		e.sent = p->sent;
		e.sent_len = p->sent_len;
		if (e.kind == 0)
			e.kind = p->kind;
		if (e.user == NULL)
			e.user = p->user;
	}
	authc_event(s->worker->authc, &e);
	if (p != NULL)
		p->sent_len = p->last = p->n_sent = 0;
}

void
smtp_past_tell(struct smtp_session *s, const char *why)
{
	past_tell(s, why, 0);
}

void
smtp_past_part(struct smtp_session *s)
{
	if (s->past != NULL && s->past->n_sent > 0)
		past_tell(s, "", AUTHP_PAST_PART);
	smtp_past_free(s->past);
	s->past = NULL;
}

void
smtp_past_free(struct smtp_past *p)
{
	if (p == NULL)
		return;
	free(p->detail);
	free(p->sender);
	free(p->user);
	free(p->sent);
	free(p);
}
