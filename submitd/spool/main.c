/*
 * main.c - submitd-spool: the only writer of the spool.
 *
 * Runs as _submitq without any way to the network. Takes messages from
 * submitd-smtp, tells submitd-send what is queued, notes its results. A message
 * that was acknowledged is never lost: see store.c.
 */
#include "config.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "submitd/spool/spool.h"

#include "lib/err.h"
#include "lib/log.h"
#include "lib/priv.h"

#define SPOOL_WRITERS 2u		/* threads that write what comes in */
#define SPOOL_WRITERS_QUEUE (2u * SPOOL_TXNS_MAX)
#define SPOOL_STOP_MS 8000	/* more than submitd-send takes */
#define SPOOL_STOP_TRIES 3u	/* of what had failed */

/* ----------------------------------------------------------------- reload -- */

static int
spool_prepare(void *ctx, struct conf *next, struct err *reterr)
{
	(void)ctx;
	(void)next;
	(void)reterr;
	return 0;
}

static void
spool_commit(void *ctx)
{
	struct spool *sp = ctx;

	sp->conf = child_conf(sp->child);
}

static void
spool_abandon(void *ctx)
{
	(void)ctx;
}

static void
spool_end(void *ctx)
{
	struct spool *sp = ctx;

	loop_stop(sp->loop);
}

/* What could not be written, a removal perhaps, would be done again by the next
 * one of us. */
static bool
spool_stop_retry(struct spool *sp)
{
	return sp->stop_tries++ < SPOOL_STOP_TRIES &&
	    queue_retry(sp->queue) && !flush_idle(sp->flush);
}

/* Once submitd-send is gone, and a flush over. */
static void
spool_stop_check(void *ctx)
{
	struct spool *sp = ctx;

	if (sp->sender != NULL)
		return;
	if (flush_idle(sp->flush) && !spool_stop_retry(sp))
		spool_end(sp);
	else
		flush_when_idle(sp->flush, spool_stop_check, sp);
}

/* What is being flushed is answered yet; a new message is refused. submitd-send
 * ends first: it still has the answers to what next hops are just taking, and
 * without them we would send that again. */
static void
spool_stop(void *ctx)
{
	static struct timer late;
	struct spool *sp = ctx;

	if (sp->stopping)
		return;
	sp->stopping = true;
	sp->sender_gone = spool_stop_check;
	if (timer_init(&late, sp->loop, spool_end, sp) != 0) {
		spool_end(sp);
		return;
	}
	timer_arm(&late, SPOOL_STOP_MS);
	spool_stop_check(sp);
}

static const struct child_ops spool_child_ops = {
	.prepare = spool_prepare,
	.commit = spool_commit,
	.abandon = spool_abandon,
	.stop = spool_stop,
};

/* ------------------------------------------------------------------ start -- */

static const struct queue_hooks spool_hooks = {
	.told = sender_told,
	.left = sender_left,
	.held = sender_held,
};

static void
spool_fail(struct spool *sp, int code, const char *text)
{
	struct err err;

	err_set(&err, code, "%s", text);
	child_fail(sp->child, &err);
}

/* While the file system can still be reached by path. */
static void
spool_open(struct spool *sp)
{
	struct err err;
	uid_t uid;
	gid_t gid;

	if (priv_ids(ROLE_SPOOL, &uid, &gid, &err) != 0 ||
	    store_open(&sp->store, sp->conf->spool_dir, uid, gid, &err) != 0)
		child_fail(sp->child, &err);
}

static void
spool_make(struct spool *sp)
{
	sp->loop = loop_new();
	if (sp->loop == NULL)
		spool_fail(sp, ERR_NOMEM, "no memory for the loop");
	sp->writers = pool_new(sp->loop, SPOOL_WRITERS, SPOOL_WRITERS_QUEUE);
	sp->flush = flush_new(sp->loop, &sp->store);
	sp->auth = authc_new_with(sp->loop, "auth", &users_notices, sp);
	if (sp->flush != NULL)
		sp->queue = queue_new(sp->loop, sp->flush, &spool_hooks, sp);
	if (sp->writers == NULL || sp->auth == NULL || sp->queue == NULL)
		spool_fail(sp, ERR_NOMEM, "no memory or no threads");
}

static void
spool_listen(struct spool *sp, uid_t smtp_uid, uid_t send_uid)
{
	int smtp = child_socket(sp->child, "spool", ROLE_SMTP);
	int send = child_socket(sp->child, "spool", ROLE_SEND);
	int queue = child_socket(sp->child, "queue", -1);

	if (smtp < 0 || send < 0 || queue < 0)
		spool_fail(sp, ERR_CONFIG, "a socket is missing");
	sp->control = control_new(sp->loop, queue, "queue", control_verbs, sp);
	if (sp->control == NULL || ipc_listen(sp->loop, smtp, smtp_uid,
	    "spool", txn_accepted, sp) == NULL || ipc_listen(sp->loop, send,
	    send_uid, "spool", sender_accepted, sp) == NULL)
		spool_fail(sp, ERR_NOMEM, "no memory");
}

int
main(int argc, char **argv)
{
	static struct spool sp;
	uid_t smtp_uid, send_uid;
	gid_t gid;
	struct err err;

	sp.child = child_begin(ROLE_SPOOL, argc, argv);
	sp.conf = child_conf(sp.child);
	TAILQ_INIT(&sp.peers);
	umask(077);
	/* The user database is out of reach after chroot. */
	if (priv_ids(ROLE_SMTP, &smtp_uid, &gid, &err) != 0 ||
	    priv_ids(ROLE_SEND, &send_uid, &gid, &err) != 0)
		child_fail(sp.child, &err);
	spool_open(&sp);
	child_drop(sp.child, ROLE_SPOOL);
	spool_make(&sp);
	if (store_check_access(&sp.store, &err) != 0 ||
	    recover_run(&sp, &err) != 0)
		child_fail(sp.child, &err);
	if (users_start(&sp) != 0 || room_start(&sp) != 0)
		spool_fail(&sp, ERR_NOMEM, "no memory");
	spool_listen(&sp, smtp_uid, send_uid);
	child_ready(sp.child, sp.loop, &spool_child_ops, &sp);
	loop_run(sp.loop);
	/* What is on its way to the disk gets there. */
	pool_free(sp.writers);
	flush_free(sp.flush);
	queue_free(sp.queue);
	store_close(&sp.store);
	return 0;
}
