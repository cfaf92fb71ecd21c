/*
 * child.c - a child's side of its life with the parent. See child.h, proc.h.
 */
#include "lib/child.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/fio.h"
#include "lib/ipc.h"
#include "lib/log.h"
#include "lib/msg.h"
#include "lib/proc.h"
#include "lib/str.h"

#define CHILD_CALLS_MAX	256u

struct child_call {		/* of child_connect() */
	uint32_t		 id;	/* 0: free */
	child_connect_fn	*fn;	/* NULL: cancelled */
	void			*ctx;
};

struct child_set {
	struct child_fd	 v[CHILD_FDS_MAX];
	size_t		 n;
};

struct child {
	enum priv_role		 role;
	struct conf		*conf, *next;
	struct child_set	 fds, next_fds;
	int			 next_log;	/* -1: none came */
	struct sessions_fds	 table;
	struct loop		*loop;
	struct ipc		*parent;
	struct child_call	 calls[CHILD_CALLS_MAX];
	uint32_t		 last_call;
	const struct child_ops	*ops;
	void			*ctx;
};

static void
child_tell(enum proc_type type, const char *text, int code)
{
	struct msg_out m;

	msg_begin(&m, (uint16_t)type, 0);
	if (text != NULL)
		msg_put_str(&m, text);
	if (type == PROC_FAIL)
		msg_put_u8(&m, (uint8_t)code);
	(void)!send(PROC_FD, m.data, m.len, MSG_NOSIGNAL);
}

void
child_fail(struct child *c, const struct err *e)
{
	int code = e->code == ERR_CONFIG || e->code == ERR_FORMAT ? EX_CONFIG :
	    EX_OSERR;

	LOG_EV(LOG_ERR, "start.fail", NULL,
	    KV_A("process", priv_role_name(c->role)), KV_T("why", e->text));
	child_tell(PROC_FAIL, e->text, code);
	exit(code);
}

static int
child_take_conf(struct child *c, int fd, struct err *reterr)
{
	struct stat st;
	void *p;
	int r;

	if (fd < 0 || fstat(fd, &st) < 0)
		return err_sys(reterr, "configuration from the parent");
	p = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0);
	if (p == MAP_FAILED)
		return err_sys(reterr, "configuration from the parent");
	conf_unref(c->next);
	c->next = NULL;
	r = conf_unpack(p, (size_t)st.st_size, &c->next, reterr);
	munmap(p, (size_t)st.st_size);
	return r;
}

static int
child_take_fd(struct child *c, struct msg_in *m, int fd)
{
	struct child_fd *f = &c->next_fds.v[c->next_fds.n];
	const char *name;
	uint32_t role;
	uint8_t implicit_tls;

	msg_get_str(m, &name, sizeof f->name - 1);
	msg_get_u32(m, &role);
	msg_get_u8(m, &implicit_tls);
	if (msg_get_end(m) != 0 || fd < 0 || c->next_fds.n >= CHILD_FDS_MAX)
		return ERR_FORMAT;
	str_copy(f->name, sizeof f->name, name);
	f->client_role = (int)role - 2;
	f->implicit_tls = implicit_tls;
	f->fd = fd;
	c->next_fds.n++;
	return 0;
}

static int
child_take_table(struct child *c, struct msg_in *m, int fd)
{
	uint32_t worker;

	msg_get_u32(m, &worker);
	if (msg_get_end(m) != 0 || fd < 0 || c->table.table >= 0)
		return ERR_FORMAT;
	c->table.table = fd;
	c->table.worker = worker;
	return 0;
}

static int
child_take_wake(struct child *c, int fd)
{
	if (fd < 0 || c->table.n_workers >= SESSIONS_WORKERS_MAX)
		return ERR_FORMAT;
	c->table.wake[c->table.n_workers++] = fd;
	return 0;
}

/* CONF, LOG and FD, at the start and at a reload alike. Takes fd over. */
static int
child_take(struct child *c, struct msg_in *m, int fd, struct err *reterr)
{
	int r = ERR_FORMAT;

	switch (m->type) {
	case PROC_CONF:
		r = child_take_conf(c, fd, reterr);
		break;
	case PROC_LOG:
		if (c->next_log >= 0)
			close(c->next_log);
		c->next_log = fd;
		return fd < 0 ? ERR_FORMAT : 0;
	case PROC_SOCKET:
		r = child_take_fd(c, m, fd);
		break;
	case PROC_TABLE:
		r = child_take_table(c, m, fd);
		break;
	case PROC_WAKE:
		r = child_take_wake(c, fd);
		break;
	}
	/* The configuration was copied; the others are kept. */
	if (fd >= 0 && (r != 0 || m->type == PROC_CONF))
		close(fd);
	return r;
}

static int
child_recv(uint8_t *packet, struct msg_in *in, int *ret_fd)
{
	struct iovec iov = { .iov_base = packet, .iov_len = MSG_MAX };
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &ctl, .msg_controllen = sizeof ctl.space };
	struct cmsghdr *h;
	ssize_t n;

	*ret_fd = -1;
	do
		n = recvmsg(PROC_FD, &mh, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n <= 0)
		return ERR_AWAY;
	h = CMSG_FIRSTHDR(&mh);
	if (h != NULL && h->cmsg_type == SCM_RIGHTS)
		memcpy(ret_fd, CMSG_DATA(h), sizeof *ret_fd);
	return msg_open(in, packet, (size_t)n);
}

static void
child_open_log(struct child *c, const struct conf *conf)
{
	const char *name = priv_role_name(c->role);
	static char program[32];	/* syslog(3) keeps it */

	if (c->next_log >= 0) {
		log_use_fd(name, c->next_log);
		c->next_log = -1;
		return;
	}
	/* syslog shows the daemon's name: "submitd" for "submitd-smtp". */
	str_copy(program, sizeof program, name);
	program[strcspn(program, "-")] = '\0';
	log_open(name, program, conf->log_to);
}

/* As many descriptors as the system lets us have: each client is one. */
static void
child_raise_nofile(void)
{
	struct rlimit rl;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0) {
		rl.rlim_cur = rl.rlim_max;
		setrlimit(RLIMIT_NOFILE, &rl);
	}
}

/* Who answers many works better in batches than interrupted, and interrupting, at
 * each packet: under load it is woken when whoever runs sleeps or has used its
 * slice, and finds more to do. Large messages suffer where the spool and what
 * sends them on work so. A policy that the administrator chose stays. */
static void
child_set_policy(enum priv_role role)
{
	const struct sched_param none = { 0 };
	bool batches = role == ROLE_SMTP || role == ROLE_POP ||
	    role == ROLE_MBOX || role == ROLE_AUTHD_CORE;

	if (batches && sched_getscheduler(0) == SCHED_OTHER)
		(void)sched_setscheduler(0, SCHED_BATCH, &none);
}

struct child *
child_begin(enum priv_role role, int argc, char **argv)
{
	struct child *c = calloc(1, sizeof *c);
	uint8_t *packet = malloc(MSG_MAX);
	struct err e = { 0 };
	struct msg_in in;
	struct stat st;
	int fd, r;

	(void)argv;
	if (c == NULL || packet == NULL)
		exit(EX_OSERR);
	if (argc != 1 || fstat(PROC_FD, &st) < 0 || !S_ISSOCK(st.st_mode)) {
		fprintf(stderr, "%s is started by its parent daemon, not by "
		    "hand: see authd(8), submitd(8), popd(8)\n",
		    priv_role_name(role));
		exit(EX_USAGE);
	}
	c->role = role;
	c->next_log = -1;
	c->table.table = -1;
	signal(SIGPIPE, SIG_IGN);
	clock_init();
	child_raise_nofile();
	child_set_policy(role);
	while ((r = child_recv(packet, &in, &fd)) == 0 && in.type != PROC_GO)
		if ((r = child_take(c, &in, fd, &e)) != 0)
			break;
	explicit_bzero(packet, MSG_MAX);
	free(packet);
	if (r == ERR_AWAY)
		exit(0);
	if (r != 0 || c->next == NULL) {
		if (e.code == 0)
			err_set(&e, ERR_FORMAT, "malformed word from the parent");
		child_fail(c, &e);
	}
	child_open_log(c, c->next);
	c->conf = c->next;
	c->next = NULL;
	c->fds = c->next_fds;
	c->next_fds.n = 0;
	fcntl(PROC_FD, F_SETFD, FD_CLOEXEC);
	return c;
}

struct conf *
child_conf(struct child *c)
{
	return c->conf;
}

const struct child_fd *
child_fds(struct child *c, size_t *ret_n)
{
	*ret_n = c->fds.n;
	return c->fds.v;
}

const struct sessions_fds *
child_table(const struct child *c)
{
	return &c->table;
}

int
child_socket(struct child *c, const char *name, int client_role)
{
	for (size_t i = 0; i < c->fds.n; i++)
		if (c->fds.v[i].client_role == client_role &&
		    strcmp(c->fds.v[i].name, name) == 0)
			return c->fds.v[i].fd;
	return -1;
}

void
child_drop_into(struct child *c, enum priv_role role, const char *dir)
{
	struct err e = { 0 };
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0) {
		err_sys(&e, "%s", dir);
		child_fail(c, &e);
	}
	if (priv_drop(role, fd, &e) != 0)
		child_fail(c, &e);
	close(fd);
}

void
child_drop(struct child *c, enum priv_role role)
{
	char path[4096];
	struct err e = { 0 };

	if (str_format(path, sizeof path, "%s/%s", c->conf->run_dir,
	    priv_role_name(role)) != 0) {
		err_set(&e, ERR_CONFIG, "run_dir: the path is too long");
		child_fail(c, &e);
	}
	child_drop_into(c, role, path);
}

static void
child_stop(void *ctx)
{
	struct child *c = ctx;

	if (c->ops->stop == NULL)
		exit(0);
	c->ops->stop(c->ctx);
}

static void
child_forget_next(struct child *c)
{
	conf_unref(c->next);
	c->next = NULL;
	for (size_t i = 0; i < c->next_fds.n; i++)
		close(c->next_fds.v[i].fd);
	c->next_fds.n = 0;
	if (c->next_log >= 0)
		close(c->next_log);
	c->next_log = -1;
}

static void
child_check(struct child *c)
{
	struct err e = { 0 };

	if (c->next == NULL)
		err_set(&e, ERR_FORMAT, "no configuration came");
	else if (c->ops->prepare(c->ctx, c->next, &e) == 0) {
		child_tell(PROC_ACCEPT, NULL, 0);
		return;
	}
	child_tell(PROC_REFUSE, e.text, 0);
	child_forget_next(c);
}

/* The UNIX sockets stay; the TCP listeners are those that came now. The old
 * ones are closed only after the owner has let go of them in commit(). */
static void
child_commit(struct child *c)
{
	struct child_set old = c->fds;
	struct conf *old_conf = c->conf;

	if (c->next == NULL)
		return;
	for (size_t i = 0; i < old.n; i++)
		if (old.v[i].client_role != PROC_TCP &&
		    c->next_fds.n < CHILD_FDS_MAX)
			c->next_fds.v[c->next_fds.n++] = old.v[i];
	c->fds = c->next_fds;
	c->next_fds.n = 0;
	c->conf = c->next;
	c->next = NULL;
	child_open_log(c, c->conf);
	c->ops->commit(c->ctx);
	for (size_t i = 0; i < old.n; i++)
		if (old.v[i].client_role == PROC_TCP)
			close(old.v[i].fd);
	conf_unref(old_conf);
}

/* ------------------------------------------- connected to by the parent -- */

uint32_t
child_connect(struct child *c, const char *route, child_connect_fn *fn,
    void *ctx)
{
	struct msg_out m;

	for (size_t i = 0; i < CHILD_CALLS_MAX; i++) {
		struct child_call *call = &c->calls[i];

		if (call->id != 0)
			continue;
		if (++c->last_call == 0)
			c->last_call = 1;
		*call = (struct child_call){ c->last_call, fn, ctx };
		msg_begin(&m, PROC_CONNECT, call->id);
		msg_put_str(&m, route);
		ipc_send(c->parent, &m, -1);
		return call->id;
	}
	return 0;
}

static struct child_call *
child_find_call(struct child *c, uint32_t id)
{
	for (size_t i = 0; i < CHILD_CALLS_MAX; i++)
		if (id != 0 && c->calls[i].id == id)
			return &c->calls[i];
	return NULL;
}

void
child_connect_cancel(struct child *c, uint32_t id)
{
	struct child_call *call = child_find_call(c, id);

	if (call != NULL)
		call->fn = NULL;	/* the answer frees the place */
}

static int
child_connected(struct child *c, struct msg_in *m, int fd)
{
	struct child_call *call = child_find_call(c, m->id), done;
	const char *why = "";

	msg_get_str(m, &why, PROC_TEXT_MAX);
	if (msg_get_end(m) != 0 || call == NULL) {
		if (fd >= 0)
			close(fd);
		return ERR_FORMAT;
	}
	done = *call;
	*call = (struct child_call){ 0 };
	if (done.fn != NULL)
		done.fn(done.ctx, fd, why);
	else if (fd >= 0)
		close(fd);
	return 0;
}

static int
child_packet(void *ctx, struct ipc *p, struct msg_in *m, int fd)
{
	struct child *c = ctx;
	struct err e = { 0 };

	(void)p;
	switch (m->type) {
	case PROC_GO:
		child_check(c);
		return 0;
	case PROC_COMMIT:
		child_commit(c);
		return 0;
	case PROC_ABANDON:
		if (c->next != NULL)
			c->ops->abandon(c->ctx);
		child_forget_next(c);
		return 0;
	case PROC_CONNECTED:
		return child_connected(c, m, fd);
	default:
		return child_take(c, m, fd, &e);
	}
}

static void
child_orphaned(void *ctx, struct ipc *p)
{
	(void)p;
	child_stop(ctx);
	/* Whatever stop() began: a new parent wants the sockets now. */
	exit(0);
}

static const struct ipc_ops child_ipc_ops = {
	.packet = child_packet,
	.gone = child_orphaned,
};

void
child_ready(struct child *c, struct loop *l, const struct child_ops *ops,
    void *ctx)
{
	struct err e = { 0 };

	c->loop = l;
	c->ops = ops;
	c->ctx = ctx;
	c->parent = ipc_new(l, PROC_FD, "parent", &child_ipc_ops, c);
	if (c->parent == NULL || loop_signal(l, SIGTERM, child_stop, c) != 0) {
		err_set(&e, ERR_NOMEM, "no memory");
		child_fail(c, &e);
	}
	/* Ctrl-C reaches the whole group; the parent ends us. SIGHUP too is
	 * the parent's alone. */
	signal(SIGINT, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	child_tell(PROC_READY, NULL, 0);
}
