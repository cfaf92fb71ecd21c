/*
 * sessions_log.c - the line about a session that goes over a limit of the
 * table, alike for SMTP and POP3. Runs in workers.
 */
#include "lib/log.h"
#include "lib/sessions.h"

void
sessions_log(const char *sid, const struct addr *peer,
    const struct conf *conf, unsigned int over, const char *user)
{
	const char *action = over == SESSIONS_PER_USER ? "refuse" : "end";
	char ip[ADDR_STRLEN];

	if (conf->sessions_policy == SHADOW_LOG)
		action = "log";
	for (unsigned int bit = 1; bit <= over; bit <<= 1)
		if (over & bit)
			LOG_EV(LOG_NOTICE, "sessions.limit", sid,
			    KV_A("rip", addr_ip_text(peer, ip)),
			    KV_A("limit", sessions_limit_name(bit)),
			    KV_U("max", sessions_limit_of(conf, bit)),
			    KV_S("user", user), KV_A("action", action));
}
