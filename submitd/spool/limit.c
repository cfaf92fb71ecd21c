/*
 * limit.c - how much of the spool may be one user's.
 *
 * Runs in submitd-spool, on the loop. What counts is what he has queued, held or
 * not, and what is open: a message on its way in counts from the moment that it
 * is known whose it is, with the size that was announced or that came. Reports
 * about his mail count as well, but are taken up to a part of their own: what
 * failed must be told, and leaves the spool only when it has been.
 */
#include "config.h"

#include <inttypes.h>
#include <sys/statvfs.h>

#include "submitd/spool/spool.h"

#include "lib/log.h"

#define LIMIT_SHARE 10u		/* of the spool's space, where none is set */
#define LIMIT_REPORTS 4u	/* part of that for reports */
#define LIMIT_REPORTS_MIN (1024u * 1024)
#define LIMIT_REPORTS_SPARE 8u	/* that a crash may have doubled */

static uint64_t
limit_octets(struct spool *sp)
{
	struct statvfs v;

	if (sp->conf->spool_user_limit != 0)
		return sp->conf->spool_user_limit;
	/* The size of a file system hardly changes. */
	if (sp->user_share == 0 && fstatvfs(sp->store.queue, &v) == 0)
		sp->user_share = v.f_blocks * (v.f_frsize != 0 ? v.f_frsize :
		    v.f_bsize) / LIMIT_SHARE;
	return sp->user_share == 0 ? UINT64_MAX : sp->user_share;
}

static void
limit_text_octets(uint64_t max, char text[SPOOLC_TEXT_MAX + 1])
{
	static const char *const units[] = { "octets", "KiB", "MiB", "GiB" };
	unsigned int unit = 0;

	/* A tenth of a disk is no round number, nor need it be told as one. */
	while (unit < 3 && max >= 10240) {
		max /= 1024;
		unit++;
	}
	(void)str_format(text, SPOOLC_TEXT_MAX + 1, "%" PRIu64 " %s wait for "
	    "delivery at most (spool_user_limit)", max, units[unit]);
}

static void
limit_log(const struct queue_user *u, const char *text)
{
	LOG_EV(LOG_WARNING, "spool.limit", NULL, KV_S("user", u->name),
	    KV_U("messages", u->messages), KV_U("octets", u->octets),
	    KV_T("why", text));
}

static enum spoolc_verdict
limit_refuse(struct spool *sp, struct queue_user *u, const char *text)
{
	limit_log(u, text);
	queue_user_put(sp->queue, u);
	return SPOOLC_FULL;
}

enum spoolc_verdict
limit_begin(struct spool *sp, struct limit_share *s, const char *user,
    uint64_t octets, char text[SPOOLC_TEXT_MAX + 1])
{
	struct queue_user *u;

	if (user[0] == '\0')
		return SPOOLC_OK;
	if ((u = queue_user_get(sp->queue, user)) == NULL)
		return SPOOLC_TEMP;
	/* His ticket holds, so he is not disabled. */
	if (u->stale)
		(void)queue_user_set(u, false);
	if (u->messages >= sp->conf->spool_user_messages) {
		(void)str_format(text, SPOOLC_TEXT_MAX + 1, "%" PRIu64
		    " messages wait for delivery at most "
		    "(spool_user_messages)", sp->conf->spool_user_messages);
		return limit_refuse(sp, u, text);
	}
	if (u->octets >= limit_octets(sp) ||
	    u->octets + octets > limit_octets(sp)) {
		limit_text_octets(limit_octets(sp), text);
		return limit_refuse(sp, u, text);
	}
	s->user = u;
	s->octets = octets;
	u->messages++;
	u->octets += octets;
	return SPOOLC_OK;
}

enum spoolc_verdict
limit_grow(struct spool *sp, struct limit_share *s, uint64_t octets,
    char text[SPOOLC_TEXT_MAX + 1])
{
	struct queue_user *u = s->user;

	if (u == NULL || octets <= s->octets)
		return SPOOLC_OK;
	if (u->octets - s->octets + octets > limit_octets(sp)) {
		limit_text_octets(limit_octets(sp), text);
		limit_log(u, text);
		return SPOOLC_FULL;
	}
	u->octets += octets - s->octets;
	s->octets = octets;
	return SPOOLC_OK;
}

void
limit_end(struct spool *sp, struct limit_share *s)
{
	if (s->user == NULL)
		return;
	s->user->messages--;
	s->user->octets -= s->octets;
	s->user->reports -= s->report ? s->octets : 0;
	queue_user_put(sp->queue, s->user);
	s->user = NULL;
}

/* What a message can have to tell: each recipient's delay, and its end. */
static bool
limit_report_is_due(struct queue_msg *of)
{
	size_t max = 2 * of->n_rcpts + LIMIT_REPORTS_SPARE;

	if (of->reports == max)
		LOG_EV(LOG_ERR, "spool.fault", NULL, KV_A("qid", of->id),
		    KV_A("op", "bounce"), KV_T("why", "more reports than "
		    "there can be to tell"));
	if (of->reports <= max)
		of->reports++;
	return of->reports <= max;
}

static bool
limit_report_fits(struct spool *sp, struct queue_user *u, uint64_t octets)
{
	uint64_t max = limit_octets(sp) / LIMIT_REPORTS;

	if (max < LIMIT_REPORTS_MIN)
		max = LIMIT_REPORTS_MIN;
	/* One alone fits, whatever its size is. */
	if (u->reports == 0 || u->reports + octets <= max) {
		u->reports_full = false;
		return true;
	}
	/* One line, however many there are. */
	if (!u->reports_full)
		limit_log(u, "too many reports to this user wait");
	u->reports_full = true;
	return false;
}

enum spoolc_verdict
limit_report(struct spool *sp, struct limit_share *s, struct queue_msg *of,
    uint64_t octets)
{
	struct queue_user *u = of->owner;
	struct err err;

	if (of->reporting || (u != NULL && !limit_report_fits(sp, u, octets)))
		return SPOOLC_FULL;
	if (store_space(&sp->store, store_min_free(&sp->store,
	    sp->conf->spool_min_free) / 2, sp->reporting + octets, 1,
	    &err) != 0)
		return SPOOLC_NOSPACE;
	if (!limit_report_is_due(of))
		return SPOOLC_FULL;
	of->reporting = true;
	if (u == NULL)
		return SPOOLC_OK;
	s->user = u;
	s->octets = octets;
	s->report = true;
	u->messages++;
	u->octets += octets;
	u->reports += octets;
	return SPOOLC_OK;
}
