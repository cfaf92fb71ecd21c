/*
 * limits.c - what a session may do and how many there may be: its place in the
 * table that all workers share, and the texts that name a limit.
 *
 * Runs in submitd-smtp, on the loop.
 */
#include "config.h"
#include "submitd/smtp/limits.h"

#include <inttypes.h>

#include "lib/clock.h"

#define LIMITS_TIMER_MS	100
#define LIMITS_GRACE_MS	3000	/* for an answer that is on its way */

static const struct {
	enum smtp_reply	 reply;
	const char	*key, *unit;
	size_t		 offset;
} limit_rows[] = {
	{ SMTP_R_TOO_MANY_ERRORS, "error_limit", "",
	  offsetof(struct conf, error_limit) },
	{ SMTP_R_TOO_MANY_LOGINS, "login_limit", "",
	  offsetof(struct conf, login_limit) },
	{ SMTP_R_TOO_MANY_CHEAP, "command_limit", "",
	  offsetof(struct conf, command_limit) },
	{ SMTP_R_IDLE, "idle_timeout", "s",
	  offsetof(struct conf, idle_timeout_s) },
	{ SMTP_R_STRANGER, "stranger_timeout", "s",
	  offsetof(struct conf, stranger_timeout_s) },
	{ SMTP_R_TOO_MANY_RCPTS, "recipient_limit", "",
	  offsetof(struct conf, recipient_limit) },
	{ SMTP_R_CROWDED_ADDRESS, "sessions_per_address", "",
	  offsetof(struct conf, sessions_per_address) },
	{ SMTP_R_CROWDED_NETWORK, "sessions_per_network", "",
	  offsetof(struct conf, sessions_per_network) },
	{ SMTP_R_CROWDED_USER, "sessions_per_user", "",
	  offsetof(struct conf, sessions_per_user) },
};

const char *
smtp_limit_text(const struct conf *conf, enum smtp_reply r,
    char dst[SMTP_LIMIT_TEXT])
{
	for (size_t i = 0; i < sizeof(limit_rows) / sizeof(*limit_rows); i++) {
		if (limit_rows[i].reply != r)
			continue;
		str_format(dst, SMTP_LIMIT_TEXT, "%s = %" PRIu64 "%s",
		    limit_rows[i].key, *(const uint64_t *)((const char *)conf +
		    limit_rows[i].offset), limit_rows[i].unit);
		return dst;
	}
	return NULL;
}

void
smtp_limits_enter(struct smtp_session *s)
{
	const struct addr *place = addr_place(&s->peer, &s->via);
	const struct conf *conf = s->settings->conf;
	unsigned int over = sessions_enter(s->worker->table, &s->place, s,
	    addr_is_none(place) ? NULL : place, conf);

	if (over != 0)
		sessions_log(s->sid, place, conf, over, NULL);
	conn_idle_timeout(s->conn, (int64_t)conf->idle_timeout_s * 1000);
	conn_output_limit(s->conn, (size_t)conf->output_limit);
}

int64_t
smtp_limits_stranger_ms(const struct smtp_session *s)
{
	int64_t left_ms = s->opened_ms - clock_mono_ms() +
	    (int64_t)s->settings->conf->stranger_timeout_s * 1000;

	return left_ms < 1 ? 1 : left_ms;
}

enum smtp_reply
smtp_limits_timeout(const struct smtp_session *s)
{
	bool stranger = s->ticket == NULL && s->tx == NULL &&
	    !s->place.authorised;

	if (s->crowded != SMTP_R_NONE)
		return s->crowded;
	/* Timers may fire a little early. */
	return stranger && smtp_limits_stranger_ms(s) < LIMITS_TIMER_MS ?
	    SMTP_R_STRANGER : SMTP_R_IDLE;
}

bool
smtp_limits_authorise(struct smtp_session *s, const char *user)
{
	bool refused;
	unsigned int over = sessions_authorise(s->worker->table, &s->place,
	    user, s->settings->conf, &refused);

	if (over != 0)
		sessions_log(s->sid, &s->peer, s->settings->conf, over, user);
	if (!refused)
		s->crowded = SMTP_R_NONE;
	return !refused;
}

/* A sessions_end_fn. Who waits for an answer gets it first, if it comes soon;
 * and if that lets it in, it stays. Guesses wait long, and count no more. */
void
smtp_limits_end(void *session, unsigned int limit)
{
	struct smtp_session *s = session;

	s->crowded = limit & SESSIONS_PER_ADDRESS ? SMTP_R_CROWDED_ADDRESS :
	    SMTP_R_CROWDED_NETWORK;
	if (s->state == SMTP_ST_HANDSHAKE)
		smtp_session_close(s, "crowded");
	else if (!s->waiting)
		smtp_reply(s, s->crowded);
	else
		conn_deadline(s->conn, LIMITS_GRACE_MS);
}
