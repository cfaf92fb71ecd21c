/*
 * ipc.c - one end of a SOCK_SEQPACKET connection between our processes, and
 * the sockets that accept them. See ipc.h.
 */
#include "lib/ipc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/log.h"

/* So many packets a turn from one peer, so that a busy one leaves room. */
#define IPC_TURN_PACKETS 64
/* So many in one system call. */
#define IPC_BATCH 8

struct ipc_packet {
	struct ipc_packet	*next;
	int			 fd;
	size_t			 len;
	uint8_t			 data[];
};

struct ipc {
	struct loop		*loop;
	int			 fd;
	const char		*name;
	const struct ipc_ops	*ops;
	void			*ctx;
	struct watch		*watch;
	struct ipc_packet	*first, **last;
	size_t			 queued;	/* octets that wait */
	size_t			 queue_max;	/* of them */
	bool			 was_full;
	bool			 dead;		/* no callback any more */
	bool			 broken;	/* cut off; the loop will tell */
	pid_t			 pid;
};

static void ipc_ready(void *ctx, int what);

struct ipc *
ipc_new(struct loop *l, int fd, const char *name, const struct ipc_ops *ops,
    void *ctx)
{
	struct ipc *p = calloc(1, sizeof *p);
	struct ucred cred;
	socklen_t len = sizeof cred;

	if (p == NULL)
		return NULL;
	p->loop = l;
	p->fd = fd;
	p->name = name;
	p->ops = ops;
	p->ctx = ctx;
	p->last = &p->first;
	p->queue_max = IPC_QUEUE_MAX;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) == 0)
		p->pid = cred.pid;
	if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 ||
	    (p->watch = watch_new(l, fd, ipc_ready, p)) == NULL) {
		free(p);
		return NULL;
	}
	watch_set(p->watch, WATCH_READ);
	return p;
}

static void
ipc_free(void *ctx)
{
	struct ipc *p = ctx;

	while (p->first != NULL) {
		struct ipc_packet *next = p->first->next;

		if (p->first->fd >= 0)
			close(p->first->fd);
		explicit_bzero(p->first->data, p->first->len);
		free(p->first);
		p->first = next;
	}
	free(p);
}

void
ipc_close(struct ipc *p)
{
	if (p == NULL || p->fd < 0)
		return;
	p->dead = true;
	watch_free(p->watch);
	p->watch = NULL;
	close(p->fd);
	p->fd = -1;
	if (loop_defer(p->loop, ipc_free, p) != 0)
		LOG_EV(LOG_ERR, "ipc.nomem", NULL, KV_A("peer", p->name));
}

/* Tells the owner once; the owner closes. */
static void
ipc_gone(struct ipc *p, const char *why)
{
	if (p->dead)
		return;
	p->dead = true;
	watch_set(p->watch, 0);
	if (why != NULL)
		LOG_EV(LOG_WARNING, "ipc.drop", NULL, KV_A("peer", p->name),
		    KV_I("pid", p->pid), KV_T("why", why));
	p->ops->gone(p->ctx, p);
}

static ssize_t
ipc_send_packet(int fd, const void *data, size_t len, int pass)
{
	struct iovec iov = { .iov_base = (void *)(uintptr_t)data,
		.iov_len = len };
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl;
	struct msghdr mh = { .msg_iov = &iov, .msg_iovlen = 1 };
	ssize_t n;

	if (pass >= 0) {
		memset(&ctl, 0, sizeof ctl);
		mh.msg_control = &ctl;
		mh.msg_controllen = sizeof ctl.space;
		ctl.h.cmsg_level = SOL_SOCKET;
		ctl.h.cmsg_type = SCM_RIGHTS;
		ctl.h.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&ctl.h), &pass, sizeof pass);
	}
	do
		n = sendmsg(fd, &mh, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (n < 0 && errno == EINTR);
	return n;
}

static void
ipc_flush(struct ipc *p)
{
	while (p->first != NULL) {
		struct ipc_packet *k = p->first;

		if (ipc_send_packet(p->fd, k->data, k->len, k->fd) < 0) {
			if (errno == EAGAIN || errno == EWOULDBLOCK)
				return;
			ipc_gone(p, NULL);
			return;
		}
		p->first = k->next;
		if (p->first == NULL)
			p->last = &p->first;
		p->queued -= k->len;
		if (k->fd >= 0)
			close(k->fd);
		explicit_bzero(k->data, k->len);
		free(k);
	}
	watch_set(p->watch, WATCH_READ);
}

/* Drops the peer from within a call of the owner's: gone() comes from the loop,
 * as the owner may be in the middle of what gone() would tear down. */
static void
ipc_cut_off(struct ipc *p, const char *why)
{
	p->broken = true;
	LOG_EV(LOG_WARNING, "ipc.drop", NULL, KV_A("peer", p->name),
	    KV_I("pid", p->pid), KV_T("why", why));
	shutdown(p->fd, SHUT_RDWR);
	watch_set(p->watch, WATCH_READ | WATCH_WRITE);
}

static int
ipc_enqueue(struct ipc *p, const struct msg_out *m, int fd)
{
	struct ipc_packet *k;

	if (p->queued + m->len > p->queue_max) {
		ipc_cut_off(p, "it does not read");
		return ERR_LIMIT;
	}
	k = malloc(sizeof *k + m->len);
	if (k == NULL)
		return ERR_NOMEM;
	k->fd = -1;
	if (fd >= 0 && (k->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3)) < 0) {
		free(k);
		return ERR_SYSTEM;
	}
	k->next = NULL;
	k->len = m->len;
	memcpy(k->data, m->data, m->len);
	*p->last = k;
	p->last = &k->next;
	p->queued += m->len;
	if (p->queued > IPC_QUEUE_HIGH)
		p->was_full = true;
	watch_set(p->watch, WATCH_READ | WATCH_WRITE);
	return 0;
}

int
ipc_send(struct ipc *p, const struct msg_out *m, int fd)
{
	if (m->error != 0)
		return m->error;
	if (p->dead || p->broken)
		return ERR_AWAY;
	if (p->first == NULL) {
		if (ipc_send_packet(p->fd, m->data, m->len, fd) >= 0)
			return 0;
		if (errno != EAGAIN && errno != EWOULDBLOCK)
			return ERR_AWAY;	/* seen by the next read */
	}
	return ipc_enqueue(p, m, fd);
}

void
ipc_set_queue_max(struct ipc *p, size_t octets)
{
	p->queue_max = octets;
}

bool
ipc_full(const struct ipc *p)
{
	return p->queued > IPC_QUEUE_HIGH;
}

/* The descriptor that came with a packet; more than one is refused by the size
 * of the control buffer (the kernel closes what does not fit). That size is
 * CMSG_LEN: CMSG_SPACE is padded, and the padding has room for a second. */
static int
ipc_take_fd(struct msghdr *mh)
{
	int fd = -1;

	for (struct cmsghdr *h = CMSG_FIRSTHDR(mh); h != NULL;
	    h = CMSG_NXTHDR(mh, h)) {
		if (h->cmsg_level == SOL_SOCKET && h->cmsg_type == SCM_RIGHTS &&
		    h->cmsg_len == CMSG_LEN(sizeof fd))
			memcpy(&fd, CMSG_DATA(h), sizeof fd);
	}
	return fd;
}

/* Room for the packets of one recvmmsg(). What is not received is not touched,
 * so that a quiet process holds a page or two of it. */
static struct ipc_slot {
	union {
		struct cmsghdr h;
		char space[CMSG_SPACE(sizeof(int))];
	} ctl;
	uint8_t packet[MSG_MAX];
} ipc_slots[IPC_BATCH];		/* one loop, one thread a process */

static int
ipc_receive(struct ipc *p, struct mmsghdr v[IPC_BATCH])
{
	struct iovec iov[IPC_BATCH];
	int n;

	memset(v, 0, sizeof(*v) * IPC_BATCH);
	for (size_t i = 0; i < IPC_BATCH; i++) {
		iov[i].iov_base = ipc_slots[i].packet;
		iov[i].iov_len = MSG_MAX;
		v[i].msg_hdr.msg_iov = &iov[i];
		v[i].msg_hdr.msg_iovlen = 1;
		v[i].msg_hdr.msg_control = &ipc_slots[i].ctl;
		v[i].msg_hdr.msg_controllen = CMSG_LEN(sizeof(int));
	}
	n = recvmmsg(p->fd, v, IPC_BATCH, MSG_CMSG_CLOEXEC | MSG_DONTWAIT,
	    NULL);
	for (size_t i = 0; i < IPC_BATCH; i++)
		v[i].msg_hdr.msg_iov = NULL;
	return n;
}

/* Gives one packet to the owner, who has `fd` from then on. */
static void
ipc_take(struct ipc *p, const struct mmsghdr *h, const uint8_t *packet, int fd)
{
	struct msg_in in;
	int r;

	r = h->msg_hdr.msg_flags & (MSG_TRUNC | MSG_CTRUNC) ? ERR_LIMIT :
	    h->msg_len == 0 ? ERR_AWAY : msg_open(&in, packet, h->msg_len);
	if (r == 0 && !p->dead) {
		r = p->ops->packet(p->ctx, p, &in, fd);
		if (r < 0)
			ipc_gone(p, err_name(r));
		return;
	}
	if (fd >= 0)
		close(fd);
	ipc_gone(p, r == ERR_AWAY ? NULL : "malformed packet");
}

/* The packets that are there; false when there are no more or the peer is
 * gone. Even an empty one, which looks like the end, can bring a descriptor. */
static bool
ipc_read_some(struct ipc *p)
{
	struct mmsghdr v[IPC_BATCH];
	int n = ipc_receive(p, v);

	if (n < 0) {
		if (errno != EAGAIN && errno != EINTR)
			ipc_gone(p, NULL);
		return false;
	}
	for (int i = 0; i < n; i++) {
		ipc_take(p, &v[i], ipc_slots[i].packet,
		    ipc_take_fd(&v[i].msg_hdr));
		explicit_bzero(ipc_slots[i].packet, v[i].msg_len);
	}
	return n == IPC_BATCH && !p->dead;
}

static void
ipc_ready(void *ctx, int what)
{
	struct ipc *p = ctx;

	if (p->dead)
		return;
	if (p->broken) {
		ipc_gone(p, NULL);
		return;
	}
	if (what == WATCH_WRITE) {
		ipc_flush(p);
		if (!p->dead && p->was_full && !ipc_full(p)) {
			p->was_full = false;
			if (p->ops->drained != NULL)
				p->ops->drained(p->ctx, p);
		}
		return;
	}
	for (int i = 0; i < IPC_TURN_PACKETS && ipc_read_some(p);
	    i += IPC_BATCH)
		;
}

struct ipc_listener {
	int		 fd;
	uid_t		 uid;
	const char	*name;
	ipc_accepted_fn	*accepted;
	void		*ctx;
};

static void
ipc_accept(void *ctx, int what)
{
	struct ipc_listener *s = ctx;
	struct ucred cred = { 0 };
	socklen_t len = sizeof cred;
	int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)what;
	if (fd < 0)
		return;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &len) < 0 ||
	    (s->uid != (uid_t)-1 && cred.uid != s->uid && cred.uid != 0)) {
		LOG_EV(LOG_WARNING, "ipc.refused", NULL, KV_A("socket", s->name),
		    KV_I("uid", cred.uid), KV_I("pid", cred.pid));
		close(fd);
		return;
	}
	s->accepted(s->ctx, fd, cred.uid, cred.pid);
}

struct ipc_listener *
ipc_listen(struct loop *l, int fd, uid_t uid, const char *name,
    ipc_accepted_fn *accepted, void *ctx)
{
	struct ipc_listener *s = calloc(1, sizeof *s);
	struct watch *w;

	if (s == NULL)
		return NULL;
	*s = (struct ipc_listener){ .fd = fd, .uid = uid, .name = name,
		.accepted = accepted, .ctx = ctx };
	w = watch_new(l, fd, ipc_accept, s);
	if (w == NULL || fcntl(fd, F_SETFL, O_NONBLOCK) < 0) {
		watch_free(w);
		free(s);
		return NULL;
	}
	watch_set(w, WATCH_READ);
	return s;
}

/* The path goes through /proc/self/fd so that a long folder name never
 * exceeds what a socket address can hold. */
static int
ipc_bind_path(int fd, int dir_fd, const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int n = snprintf(sun.sun_path, sizeof sun.sun_path,
	    "/proc/self/fd/%d/%s", dir_fd, name);

	if (n < 0 || (size_t)n >= sizeof sun.sun_path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	return bind(fd, (struct sockaddr *)&sun, sizeof sun);
}

int
ipc_bind(int dir_fd, const char *name, mode_t mode, uid_t uid, gid_t gid,
    struct err *reterr)
{
	int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK,
	    0);
	mode_t old;

	if (fd < 0)
		return err_sys(reterr, "socket %s", name);
	unlinkat(dir_fd, name, 0);
	old = umask(0177);
	if (ipc_bind_path(fd, dir_fd, name) < 0) {
		umask(old);
		goto fail;
	}
	umask(old);
	if (geteuid() == 0 &&
	    fchownat(dir_fd, name, uid, gid, AT_SYMLINK_NOFOLLOW) < 0)
		goto fail;
	if (fchmodat(dir_fd, name, mode, 0) < 0 || listen(fd, 256) < 0)
		goto fail;
	return fd;
fail:
	err_sys(reterr, "socket %s", name);
	close(fd);
	return ERR_SYSTEM;
}
