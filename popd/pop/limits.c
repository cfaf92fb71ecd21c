/*
 * limits.c - a session's place in the table that all workers share, and its
 * time. Runs in popd-pop.
 */
#include "config.h"
#include "popd/pop/limits.h"

#include <inttypes.h>

#include "lib/clock.h"
#include "popd/pop/reply.h"

#define LIMITS_GRACE_MS		3000	/* for an answer that is on its way */
#define POP_HANDSHAKE_MS	30000
#define POP_IDLE_MIN_S		600	/* RFC 1939 section 3 */

void
pop_limits_enter(struct pop_session *s)
{
	const struct addr *place = addr_place(&s->peer, &s->via);
	unsigned int over = sessions_enter(s->server->table, &s->place, s,
	    place, s->conf);

	if (over != 0)
		sessions_log(s->id, place, s->conf, over, NULL);
	conn_output_limit(s->conn, (size_t)s->conf->output_limit);
}

bool
pop_limits_authorise(struct pop_session *s)
{
	bool refused;
	unsigned int over = sessions_authorise(s->server->table, &s->place,
	    s->user, s->conf, &refused);

	if (over != 0)
		sessions_log(s->id, &s->peer, s->conf, over, s->user);
	if (!refused && s->crowded != 0) {
		s->crowded = 0;
		pop_session_alive(s);
	}
	return !refused;
}

int64_t
pop_limits_time_ms(const struct pop_session *s)
{
	uint64_t idle_s = s->conf->idle_timeout_s;
	int64_t ms, left_ms;

	if (s->state == POP_ST_HANDSHAKE)
		return POP_HANDSHAKE_MS;
	ms = (int64_t)(idle_s < POP_IDLE_MIN_S ? POP_IDLE_MIN_S : idle_s) *
	    1000;
	left_ms = s->opened_ms - clock_mono_ms() +
	    (int64_t)s->conf->stranger_timeout_s * 1000;
	if (s->state != POP_ST_TRANS && s->state != POP_ST_UPDATE &&
	    left_ms < ms)
		ms = left_ms < 1 ? 1 : left_ms;
	return ms;
}

void
pop_limits_make_room(struct pop_session *s)
{
	pop_err_help(s, POP_CODE_SYS_TEMP, "Too many sessions from where you "
	    "are have not logged in, and this one was silent for longest: "
	    "%s = %" PRIu64, sessions_limit_name(s->crowded),
	    sessions_limit_of(s->conf, s->crowded));
	pop_session_close(s, "crowded", true);
}

/* Who waits for an answer gets it first, if it comes soon; and if that lets it
 * in, it stays. Guesses wait long, and count no more. */
void
pop_limits_end(void *session, unsigned int limit)
{
	struct pop_session *s = session;

	s->crowded = limit;
	if (s->state == POP_ST_HANDSHAKE)
		pop_session_close(s, "crowded", false);
	else if (!s->waiting)
		pop_limits_make_room(s);
	else
		conn_deadline(s->conn, LIMITS_GRACE_MS);
}
