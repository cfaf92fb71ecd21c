/*
 * main.c - submitd-local: writes messages into local users' Maildirs.
 *
 * Runs as _submitmail, without the network, in an empty folder: mail_root is a
 * descriptor that was opened before. Who a recipient is and where his mail goes
 * is asked of authd for each message; submitd-send's word decides nothing but
 * which message is delivered.
 */
#include "config.h"

#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/stat.h>
#include <unistd.h>

#include "submitd/local/deliver.h"
#include "submitd/local/protocol.h"

#include "auth/authc.h"
#include "lib/child.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/mailbox.h"
#include "lib/pool.h"
#include "lib/str.h"

#define LOCAL_THREADS 4u
#define LOCAL_JOBS_MAX 1024u	/* each holds a descriptor */

struct local;

struct local_peer {		/* submitd-send */
	struct local		*local;
	struct ipc		*ipc;		/* NULL: gone */
	unsigned int		 jobs;		/* that will still look here */
};

struct local_job {
	struct local_peer	*peer;
	uint32_t		 call;
	char			 qid[STR_ID_SIZE];
	char			 sender[MAILBOX_SIZE];
	char			 address[MAILBOX_SIZE];
	char			 user[AUTHP_USER_MAX + 1];
	char			 path[AUTHP_PATH_MAX + 1];
	struct deliver_message	 m;
	int			 r;
	struct err		 err;
	char			 name[MAILDIR_NAME_MAX + 1];
	uint64_t		 octets;
};

struct local {
	struct loop		*loop;
	struct child		*child;
	struct authc		*auth;
	struct pool		*pool;
	struct deliver_place	 place;
	char			*host;
	unsigned int		 jobs;
	bool			 stopping;
	struct msg_out		 msg;
};

/* ----------------------------------------------------------------- answers -- */

static void
local_peer_free(struct local_peer *p)
{
	if (p->ipc == NULL && p->jobs == 0)
		free(p);
}

static void
local_answer(struct local_job *j, enum local_result result, const char *text)
{
	struct local_peer *p = j->peer;
	struct local *l = p->local;
	char cut[LOCAL_TEXT_MAX + 1];
	size_t len = strnlen(text, LOCAL_TEXT_MAX);

	memcpy(cut, text, len);
	cut[len] = '\0';
	msg_begin(&l->msg, LOCAL_DELIVER | LOCAL_REPLY, j->call);
	msg_put_u8(&l->msg, (uint8_t)result);
	msg_put_str(&l->msg, cut);
	if (p->ipc != NULL)
		(void)ipc_send(p->ipc, &l->msg, -1);
	close(j->m.fd);
	free(j);
	p->jobs--;
	local_peer_free(p);
	if (--l->jobs == 0 && l->stopping)
		loop_stop(l->loop);
}

/* -------------------------------------------------------------- deliveries -- */

static void
local_work(void *ctx)
{
	struct local_job *j = ctx;

	j->r = deliver(&j->peer->local->place, &j->m, j->name, &j->octets,
	    &j->err);
}

/* RFC 3463: X.2.2 is a full mailbox. What could never go in goes back now. */
static void
local_full(struct local_job *j)
{
	LOG_EV(LOG_NOTICE, "local.full", NULL, KV_A("qid", j->qid),
	    KV_S("user", j->user), KV_U("quota", j->m.quota),
	    KV_T("why", j->err.text));
	if (j->m.octets > j->m.quota)
		local_answer(j, LOCAL_FAIL, "5.2.2 the message is larger than "
		    "all that the mailbox may hold");
	else
		local_answer(j, LOCAL_DEFER, "4.2.2 the mailbox is full");
}

static void
local_worked(void *ctx)
{
	struct local_job *j = ctx;
	char text[LOCAL_TEXT_MAX];

	if (j->r == 0) {
		LOG_EV(LOG_INFO, "msg.delivered", NULL, KV_A("qid", j->qid),
		    KV_S("to", j->address), KV_S("user", j->user),
		    KV_A("path", j->path), KV_A("file", j->name),
		    KV_U("octets", j->octets));
		local_answer(j, LOCAL_DONE, "2.1.5 delivered to the mailbox");
		return;
	}
	if (j->r == ERR_LIMIT) {
		local_full(j);
		return;
	}
	LOG_EV(LOG_ERR, "local.fault", NULL, KV_A("qid", j->qid),
	    KV_S("user", j->user), KV_A("path", j->path),
	    KV_T("why", j->err.text));
	/* The path stays in the log: the text may end up in a bounce. */
	(void)str_format(text, sizeof(text), "%s", j->r == ERR_NOSPACE ?
	    "4.3.1 the disk of the mailbox is full" :
	    "4.2.0 the mailbox cannot be written now");
	local_answer(j, LOCAL_DEFER, text);
}

static void
local_found(void *ctx, const struct authc_reply *r)
{
	struct local_job *j = ctx;

	if (r->rc != 0 || (r->verdict != AUTHP_OK &&
	    r->verdict != AUTHP_NOUSER)) {
		local_answer(j, LOCAL_DEFER, "4.3.0 the user database is away");
		return;
	}
	if (r->verdict == AUTHP_NOUSER) {
		local_answer(j, LOCAL_FAIL, "5.1.1 there is no such user");
		return;
	}
	if (str_copy(j->user, sizeof(j->user), r->user) != 0 ||
	    str_copy(j->path, sizeof(j->path), r->path) != 0 ||
	    j->path[0] == '\0' || j->path[0] == '/') {
		local_answer(j, LOCAL_DEFER,
		    "4.3.5 the user's mailbox has no usable path");
		return;
	}
	j->m.quota = r->quota;
	if (pool_submit(j->peer->local->pool, local_work, local_worked, j) != 0)
		local_answer(j, LOCAL_DEFER, "4.3.2 too many deliveries at once");
}

/* ---------------------------------------------------------------- requests -- */

static bool
local_address_ok(const char *s, bool rcpt)
{
	struct mailbox box;

	return mailbox_parse(s, strlen(s), &box) == 0 ||
	    (rcpt ? str_ieq(s, "postmaster") : s[0] == '\0');
}

/* Fills in what the packet says; ERR_FORMAT when it is not as it should be. */
static int
local_parse(struct msg_in *m, struct local_job *j)
{
	const char *qid, *sender, *address;

	msg_get_str(m, &qid, STR_ID_SIZE - 1);
	msg_get_str(m, &sender, MAILBOX_MAX);
	msg_get_str(m, &address, MAILBOX_MAX);
	msg_get_u64(m, &j->m.offset);
	msg_get_u64(m, &j->m.octets);
	if (msg_get_end(m) != 0 || !str_is_id(qid) ||
	    !local_address_ok(sender, false) ||
	    !local_address_ok(address, true) || j->m.offset > INT64_MAX ||
	    j->m.octets > INT64_MAX - j->m.offset)
		return ERR_FORMAT;
	str_copy(j->qid, sizeof(j->qid), qid);
	str_copy(j->sender, sizeof(j->sender), sender);
	str_copy(j->address, sizeof(j->address), address);
	j->m.sender = j->sender;
	j->m.address = j->address;
	j->m.path = j->path;
	return 0;
}

static int
local_packet(void *ctx, struct ipc *ipc, struct msg_in *m, int fd)
{
	struct local_peer *p = ctx;
	struct local *l = p->local;
	struct local_job *j;

	(void)ipc;
	if (m->type != LOCAL_DELIVER || fd < 0 ||
	    (j = calloc(1, sizeof(*j))) == NULL) {
		if (fd >= 0)
			close(fd);
		return ERR_FORMAT;
	}
	j->peer = p;
	j->call = m->id;
	j->m.fd = fd;
	if (local_parse(m, j) != 0) {
		close(fd);
		free(j);
		return ERR_FORMAT;
	}
	p->jobs++;
	l->jobs++;
	if (l->jobs > LOCAL_JOBS_MAX || l->stopping)
		local_answer(j, LOCAL_DEFER, "4.3.2 too many deliveries at once");
	else if (authc_deliver(l->auth, j->address, local_found, j, NULL) != 0)
		local_answer(j, LOCAL_DEFER, "4.3.0 the user database is away");
	return 0;
}

static void
local_reap(void *ctx)
{
	struct local_peer *p = ctx;

	p->jobs--;
	local_peer_free(p);
}

/* Deliveries that run go on: they are repeated rather than cut. */
static void
local_gone(void *ctx, struct ipc *ipc)
{
	struct local_peer *p = ctx;

	p->ipc = NULL;
	ipc_close(ipc);
	/* It may be an answer of ours that found the peer gone. */
	p->jobs++;
	if (loop_defer(p->local->loop, local_reap, p) != 0)
		abort();	/* the parent starts us again, nothing is lost */
}

static const struct ipc_ops local_ipc_ops = {
	.packet = local_packet,
	.gone = local_gone,
};

static void
local_accepted(void *ctx, int fd, uid_t uid, pid_t pid)
{
	struct local *l = ctx;
	struct local_peer *p = calloc(1, sizeof(*p));

	(void)uid;
	(void)pid;
	if (p != NULL) {
		p->local = l;
		p->ipc = ipc_new(l->loop, fd, "submitd-send", &local_ipc_ops,
		    p);
	}
	if (p == NULL || p->ipc == NULL) {
		close(fd);
		free(p);
	}
}

/* ------------------------------------------------------------------- life -- */

/* Paths that were opened at the start stay until the restart. */
static int
local_prepare(void *ctx, struct conf *next, struct err *reterr)
{
	(void)ctx;
	(void)next;
	(void)reterr;
	return 0;
}

static void
local_nothing(void *ctx)
{
	(void)ctx;
}

static void
local_end(void *ctx)
{
	struct local *l = ctx;

	loop_stop(l->loop);
}

static void
local_stop(void *ctx)
{
	static struct timer late;
	struct local *l = ctx;

	l->stopping = true;
	if (l->jobs == 0 || timer_init(&late, l->loop, local_end, l) != 0)
		loop_stop(l->loop);
	else
		timer_arm(&late, 2000);
}

static const struct child_ops local_child_ops = {
	.prepare = local_prepare,
	.commit = local_nothing,
	.abandon = local_nothing,
	.stop = local_stop,
};

/* While paths and the user database can still be reached. */
static void
local_open(struct local *l, uid_t *ret_send_uid)
{
	struct conf *conf = child_conf(l->child);
	struct err err;
	gid_t gid;

	if (priv_group(PRIV_GROUP_MBOX, &l->place.gid, &err) != 0 ||
	    priv_ids(ROLE_SEND, ret_send_uid, &gid, &err) != 0)
		child_fail(l->child, &err);
	l->place.root = open(conf->mail_root,
	    O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (l->place.root < 0) {
		err_sys(&err, "cannot open mail_root %s", conf->mail_root);
		child_fail(l->child, &err);
	}
	l->place.host = l->host = strdup(conf->hostname);
	umask(0007);
}

int
main(int argc, char **argv)
{
	static struct local l;
	struct err err;
	uid_t send_uid;
	int fd;

	l.child = child_begin(ROLE_LOCAL, argc, argv);
	local_open(&l, &send_uid);
	child_drop(l.child, ROLE_LOCAL);
	l.loop = loop_new();
	if (l.loop != NULL) {
		l.pool = pool_new(l.loop, LOCAL_THREADS, LOCAL_JOBS_MAX);
		l.auth = authc_new(l.loop, "auth");
	}
	fd = child_socket(l.child, "local", ROLE_SEND);
	if (l.host == NULL || l.pool == NULL || l.auth == NULL || fd < 0 ||
	    ipc_listen(l.loop, fd, send_uid, "local", local_accepted,
	    &l) == NULL) {
		err_set(&err, ERR_NOMEM, "no memory, or no socket");
		child_fail(l.child, &err);
	}
	child_ready(l.child, l.loop, &local_child_ops, &l);
	loop_run(l.loop);
	pool_free(l.pool);
	return 0;
}
