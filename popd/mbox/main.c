/*
 * main.c - popd-mbox: opens, locks, lists and deletes in Maildirs for popd-pop.
 *
 * Runs as _popmbox, in the group that submitd-local writes the Maildirs with,
 * without network. Keeps one descriptor of mail_root from before chroot; all
 * paths come from authd and lie below it.
 */
#include "config.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>

#include "lib/child.h"
#include "lib/ipc.h"
#include "lib/str.h"
#include "popd/mbox/control.h"
#include "popd/mbox/delay.h"
#include "popd/mbox/list.h"
#include "popd/mbox/mbox.h"
#include "popd/mbox/protocol.h"

#define MBOX_THREADS	4
#define MBOX_BIG_THREADS 2
#define MBOX_QUEUE_MAX	4096

struct mbox_main {
	struct child	*child;
	struct mbox	 mbox;
	char		 mail_root[4096];
	uid_t		 pop_uid;	/* the only one that may ask */
};

static int
mbox_prepare(void *ctx, struct conf *next, struct err *reterr)
{
	const struct mbox_main *m = ctx;

	/* The old one is open, and a new one is out of reach from here. */
	if (strcmp(m->mail_root, next->mail_root) != 0)
		return err_set(reterr, ERR_CONFIG,
		    "mail_root: it changes only when popd is restarted");
	return 0;
}

static void
mbox_commit(void *ctx)
{
	struct mbox_main *m = ctx;

	m->mbox.login_delay_s = child_conf(m->child)->login_delay_s;
	cache_set_max(m->mbox.root.cache,
	    child_conf(m->child)->maildrop_cache);
}

static void
mbox_nothing(void *ctx)
{
	(void)ctx;
}

/* What a thread has begun is finished: a removal that popd-pop was not told of
 * yet counts as failed there, and does no harm. */
static void
mbox_stop(void *ctx)
{
	struct mbox_main *m = ctx;

	pool_free(m->mbox.control_pool);
	pool_free(m->mbox.big_pool);
	pool_free(m->mbox.pool);
	exit(0);
}

static const struct child_ops mbox_child_ops = {
	.prepare = mbox_prepare,
	.commit = mbox_commit,
	.abandon = mbox_nothing,
	.stop = mbox_stop,
};

static int
mbox_open_root(struct mbox_main *m, const struct conf *conf,
    struct err *reterr)
{
	struct maildrop_root *root = &m->mbox.root;
	gid_t gid;
	int r;

	root->max = MBOX_MESSAGES_MAX;
	root->settle_us = MAILDROP_SETTLE_US;
	root->check_owner = priv_is_root();
	if (str_copy(m->mail_root, sizeof(m->mail_root), conf->mail_root) != 0)
		return err_set(reterr, ERR_CONFIG, "mail_root: too long");
	if ((r = priv_ids(ROLE_LOCAL, &root->owners[0], &gid, reterr)) != 0 ||
	    (r = priv_ids(ROLE_MBOX, &root->owners[1], &gid, reterr)) != 0 ||
	    (r = priv_ids(ROLE_POP, &m->pop_uid, &gid, reterr)) != 0)
		return r;
	root->fd = open(m->mail_root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	return root->fd < 0 ? err_sys(reterr, "mail_root %s", m->mail_root) :
	    0;
}

static int
mbox_start(struct mbox *m, uid_t pop_uid, int fd, struct err *reterr)
{
	TAILQ_INIT(&m->waiting);
	if ((m->loop = loop_new()) == NULL ||
	    (m->root.cache = cache_new(0)) == NULL ||
	    (m->delays = delays_new()) == NULL ||
	    (m->authc = authc_new(m->loop, "auth")) == NULL ||
	    (m->pool = pool_new(m->loop, MBOX_THREADS, MBOX_QUEUE_MAX)) ==
	    NULL ||
	    (m->big_pool = pool_new(m->loop, MBOX_BIG_THREADS,
	    MBOX_QUEUE_MAX)) == NULL ||
	    ipc_listen(m->loop, fd, pop_uid, "mbox", mbox_accepted, m) == NULL)
		return err_set(reterr, ERR_NOMEM, "no memory");
	return 0;
}

int
main(int argc, char **argv)
{
	static struct mbox_main m;
	struct child *ch = child_begin(ROLE_MBOX, argc, argv);
	struct err err = { 0 };

	m.child = ch;
	if (mbox_open_root(&m, child_conf(ch), &err) != 0)
		child_fail(ch, &err);
	child_drop(ch, ROLE_MBOX);
	if (mbox_start(&m.mbox, m.pop_uid, child_socket(ch, "mbox", ROLE_POP),
	    &err) != 0 || mbox_control_start(&m.mbox,
	    child_socket(ch, "maildrop", -1), &err) != 0)
		child_fail(ch, &err);
	mbox_commit(&m);
	child_ready(ch, m.mbox.loop, &mbox_child_ops, &m);
	loop_run(m.mbox.loop);
	return 0;
}
