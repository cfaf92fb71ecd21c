/*
 * main.c - popd-pop: TLS and POP3 sessions, event-driven, one process a core.
 *
 * Runs as _popd, in a folder that holds only the sockets of authd and
 * popd-mbox. It opens no file, checks no password and connects to nobody else.
 */
#include "config.h"

#include <stdlib.h>

#include "lib/child.h"
#include "lib/log.h"
#include "popd/pop/command.h"
#include "popd/pop/limits.h"
#include "popd/pop/session.h"

#define POP_FDS_EACH	2		/* the connection and a message */
#define POP_STOP_MS	5000		/* for removals that are under way */
#define POP_LAST_WORDS_MS 200		/* for replies to be sent */

static const char pop_refusal[] =
	"-ERR [SYS/TEMP] Too many sessions, try again later\r\n";

struct pop_main {
	struct pop_server	 server;
	struct child		*child;
	struct listen_tls	 next_tls;	/* prepared by a reload */
	struct timer		 stop;
};

static int
pop_prepare(void *ctx, struct conf *next, struct err *reterr)
{
	struct pop_main *m = ctx;

	return listen_tls_make(next, true, &m->next_tls, reterr);
}

static void
pop_commit(void *ctx)
{
	struct pop_main *m = ctx;

	listen_tls_free(&m->server.tls);
	m->server.tls = m->next_tls;
	m->next_tls = (struct listen_tls){ 0 };
	m->server.conf = child_conf(m->child);
	if (acceptor_listen(m->server.acceptor) != 0)
		LOG_EV(LOG_ERR, "listen.fail", NULL, KV_T("why", "no memory"));
}

static void
pop_abandon(void *ctx)
{
	struct pop_main *m = ctx;

	listen_tls_free(&m->next_tls);
}

static void
pop_exit(void *ctx)
{
	(void)ctx;
	exit(0);
}

/* Sessions end without deleting; a QUIT that removes is waited for. */
static void
pop_stop(void *ctx)
{
	struct pop_main *m = ctx;
	struct pop_session *s, *next;

	acceptor_stop(m->server.acceptor);
	for (s = TAILQ_FIRST(&m->server.sessions); s != NULL; s = next) {
		next = TAILQ_NEXT(s, link);
		if (s->state != POP_ST_UPDATE)
			pop_session_close(s, "shutdown", true);
	}
	timer_arm(&m->stop, TAILQ_EMPTY(&m->server.sessions) ?
	    POP_LAST_WORDS_MS : POP_STOP_MS);
}

static const struct child_ops pop_child_ops = {
	.prepare = pop_prepare,
	.commit = pop_commit,
	.abandon = pop_abandon,
	.stop = pop_stop,
};

static int
pop_start(struct pop_main *m, struct err *reterr)
{
	struct pop_server *srv = &m->server;

	TAILQ_INIT(&srv->sessions);
	srv->conf = child_conf(m->child);
	if ((srv->loop = loop_new()) == NULL ||
	    (srv->roll = roll_new(srv->loop, "auth", &pop_session_roll)) ==
	    NULL ||
	    (srv->mboxc = mboxc_new(srv->loop, "mbox")) == NULL ||
	    (srv->acceptor = acceptor_new(srv->loop, m->child, POP_FDS_EACH,
	    pop_refusal, pop_session_accept, srv)) == NULL ||
	    timer_init(&m->stop, srv->loop, pop_exit, m) != 0 ||
	    sessions_open(child_table(m->child), &srv->table) != 0 ||
	    sessions_listen(srv->table, srv->loop, pop_limits_end) != 0)
		return err_set(reterr, ERR_NOMEM, "no memory");
	mboxc_on_yield(srv->mboxc, pop_drop_wanted);
	if (acceptor_listen(srv->acceptor) != 0)
		return err_set(reterr, ERR_NOMEM, "no memory");
	srv->authc = roll_authc(srv->roll);
	return 0;
}

int
main(int argc, char **argv)
{
	static struct pop_main m;
	struct err err = { 0 };

	m.child = child_begin(ROLE_POP, argc, argv);
	if (listen_tls_make(child_conf(m.child), true, &m.server.tls,
	    &err) != 0)
		child_fail(m.child, &err);
	child_drop(m.child, ROLE_POP);
	if (pop_start(&m, &err) != 0)
		child_fail(m.child, &err);
	child_ready(m.child, m.server.loop, &pop_child_ops, &m);
	loop_run(m.server.loop);
	return 0;
}
