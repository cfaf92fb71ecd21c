/*
 * main.c - submitd-send: delivers what is queued, to local users' Maildirs and
 * to the next hop.
 *
 * Runs as _submits, chrooted into the folder that holds its two sockets. It
 * has the network, and read-only descriptors of messages; never a way to add a
 * message to the spool but as a report to the sender of one that is in it.
 */
#include "config.h"

#include <stdlib.h>

#include "lib/child.h"
#include "lib/log.h"
#include "lib/tls.h"
#include "submitd/send/hop.h"
#include "submitd/send/local_client.h"
#include "submitd/send/resolve.h"
#include "submitd/send/schedule.h"
#include "submitd/spool/client.h"

struct send {
	struct child		*child;
	struct loop		*loop;
	struct resolve		*resolve;
	SSL_CTX			*tls;
	struct sched		*sched;
	struct spoolq		*spool;
	struct hops		*hops;
	struct local_client	*local;
};

static int
send_prepare(void *ctx, struct conf *next, struct err *reterr)
{
	(void)ctx;
	(void)next;
	(void)reterr;
	return 0;
}

static void
send_commit(void *ctx)
{
	struct send *s = ctx;

	sched_set_conf(s->sched, child_conf(s->child));
}

static void
send_abandon(void *ctx)
{
	(void)ctx;
}

static void
send_stopped(void *ctx)
{
	struct send *s = ctx;

	loop_stop(s->loop);
}

static void
send_stop(void *ctx)
{
	struct send *s = ctx;

	sched_stop(s->sched, send_stopped, s);
}

static const struct child_ops send_ops = {
	.prepare = send_prepare,
	.commit = send_commit,
	.abandon = send_abandon,
	.stop = send_stop,
};

/* What needs the file system: certificates' defaults, resolv.conf, hosts. */
static void
send_open(struct send *s)
{
	struct err e = { 0 };

	if ((s->loop = loop_new()) == NULL) {
		err_set(&e, ERR_NOMEM, "no memory");
		child_fail(s->child, &e);
	}
	if (tls_client_ctx(&s->tls, &e) != 0 ||
	    (s->resolve = resolve_new(s->loop, &e)) == NULL)
		child_fail(s->child, &e);
}

static void
send_connect(struct send *s)
{
	struct err e = { 0 };

	s->sched = sched_new(s->loop, child_conf(s->child));
	if (s->sched != NULL) {
		s->hops = hops_new(s->loop, s->resolve, s->tls, s->child);
		s->local = local_client_new(s->loop, "local", s->sched);
		s->spool = spoolq_new(s->loop, "spool", &sched_spoolq_ops,
		    s->sched);
	}
	if (s->hops == NULL || s->local == NULL || s->spool == NULL) {
		err_set(&e, ERR_NOMEM, "no memory");
		child_fail(s->child, &e);
	}
	sched_set_spool(s->sched, s->spool);
	sched_set_hops(s->sched, s->hops);
	sched_set_local(s->sched, &local_dest, s->local);
}

int
main(int argc, char **argv)
{
	struct send s = { .child = child_begin(ROLE_SEND, argc, argv) };

	send_open(&s);
	child_drop(s.child, ROLE_SEND);
	send_connect(&s);
	child_ready(s.child, s.loop, &send_ops, &s);
	loop_run(s.loop);
	return 0;
}
