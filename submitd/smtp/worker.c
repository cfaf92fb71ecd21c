/*
 * worker.c - see worker.h. Runs in submitd-smtp: listeners, settings, reload,
 * stop.
 */
#include "config.h"
#include "submitd/smtp/worker.h"

#include <stdlib.h>

#include "lib/log.h"
#include "submitd/smtp/limits.h"
#include "submitd/smtp/session.h"

#define WORKER_STOP_MS	5000	/* for messages that are being committed */
#define WORKER_RATE_MS	60000	/* over which data_min_rate counts */
#define WORKER_FLUSH_MS	300	/* for the last answers to leave */

/* -------------------------------------------------------------- settings -- */

struct smtp_settings *
smtp_settings_ref(struct smtp_settings *st)
{
	st->refs++;
	return st;
}

void
smtp_settings_unref(struct smtp_settings *st)
{
	if (st == NULL || --st->refs > 0)
		return;
	listen_tls_free(&st->tls);
	conf_unref(st->conf);
	free(st);
}

struct smtp_settings *
smtp_settings_new(struct conf *conf, struct err *reterr)
{
	struct smtp_settings *st = calloc(1, sizeof(*st));

	if (st == NULL) {
		err_set(reterr, ERR_NOMEM, "no memory");
		return NULL;
	}
	st->refs = 1;
	st->conf = conf_ref(conf);
	st->extensions = smtp_extensions_on();
	if (listen_tls_make(conf, false, &st->tls, reterr) != 0) {
		smtp_settings_unref(st);
		return NULL;
	}
	return st;
}

/* ---------------------------------------------------------------- worker -- */

static int
worker_accepted(void *ctx, int fd, const struct acceptor_client *c)
{
	return smtp_session_new(ctx, fd, c);
}

static int
worker_prepare(void *ctx, struct conf *next, struct err *reterr)
{
	struct smtp_worker *w = ctx;

	w->next = smtp_settings_new(next, reterr);
	return w->next != NULL ? 0 : reterr->code;
}

static void
worker_abandon(void *ctx)
{
	struct smtp_worker *w = ctx;

	smtp_settings_unref(w->next);
	w->next = NULL;
}

static void
worker_commit(void *ctx)
{
	struct smtp_worker *w = ctx;

	smtp_settings_unref(w->settings);
	w->settings = w->next;
	w->next = NULL;
	spoolc_set_limit(w->spoolc, w->settings->conf->message_size_limit);
	if (!w->stopping && acceptor_listen(w->acceptor) != 0)
		LOG_EV(LOG_ERR, "listen.fail", NULL, KV_T("why", "no memory"));
}

static void
worker_stop_now(void *ctx)
{
	struct smtp_worker *w = ctx;

	loop_stop(w->loop);
}

void
smtp_worker_idle(struct smtp_worker *w)
{
	timer_arm(&w->stop, WORKER_FLUSH_MS);
}

/* Who waits for an answer gets it first; the others hear 421 now. */
static void
worker_stop(void *ctx)
{
	struct smtp_worker *w = ctx;
	struct smtp_session *s, *next;

	if (w->stopping)
		return;
	w->stopping = true;
	acceptor_stop(w->acceptor);
	timer_arm(&w->stop, WORKER_STOP_MS);
	for (s = w->sessions; s != NULL; s = next) {
		next = s->next;
		if (s->state == SMTP_ST_HANDSHAKE)
			smtp_session_close(s, "stop");
		else if (!s->waiting)
			smtp_reply(s, SMTP_R_STOPPING);
	}
	if (w->sessions == NULL)
		smtp_worker_idle(w);
}

const struct child_ops smtp_worker_ops = {
	.prepare = worker_prepare,
	.commit = worker_commit,
	.abandon = worker_abandon,
	.stop = worker_stop,
};

int
smtp_worker_open(struct smtp_worker *w, struct child *ch)
{
	static char full[SMTP_REPLY_SIZE + 1];

	w->rate_window_ms = WORKER_RATE_MS;
#ifdef SUBMITD_TEST_BUILD
	const char *window = getenv("SUBMITD_TEST_RATE_MS");

	if (window != NULL)
		w->rate_window_ms = strtoll(window, NULL, 10);
#endif

	full[smtp_reply_format(full, SMTP_R_FULL, NULL, NULL, NULL,
	    false)] = '\0';
	w->loop = loop_new();
	if (w->loop == NULL ||
	    timer_init(&w->stop, w->loop, worker_stop_now, w) != 0)
		return ERR_NOMEM;
	w->roll = roll_new(w->loop, "auth", &smtp_session_roll);
	w->spoolc = spoolc_new(w->loop, "spool",
	    w->settings->conf->message_size_limit);
	w->acceptor = acceptor_new(w->loop, ch, 1, full, worker_accepted, w);
	if (w->roll == NULL || w->spoolc == NULL || w->acceptor == NULL)
		return ERR_NOMEM;
	w->authc = roll_authc(w->roll);
	if (sessions_open(child_table(ch), &w->table) != 0 ||
	    sessions_listen(w->table, w->loop, smtp_limits_end) != 0)
		return ERR_NOMEM;
	return acceptor_listen(w->acceptor);
}
