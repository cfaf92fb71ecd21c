/*
 * acceptor.c - see acceptor.h. Runs in submitd-smtp and popd-pop.
 */
#include "config.h"
#include "lib/acceptor.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/proxy_wait.h"

#define ACCEPTOR_PAUSE_MS	200	/* after EMFILE and the like */
#define ACCEPTOR_MAX		60000u	/* sessions, whatever the limit says */
#define ACCEPTOR_FDS_OWN	64u	/* descriptors kept for ourselves */

struct acceptor_listener {
	struct acceptor		*owner;
	struct child_fd		 service;
	struct watch		*watch;
};

struct acceptor {
	struct loop		*loop;
	struct child		*child;
	const char		*refusal;
	acceptor_fn		*fn;
	void			*ctx;
	struct acceptor_listener *listeners;
	size_t			 n_listeners;
	struct timer		 pause;
	size_t			 sessions;
	size_t			 max;
	bool			 full;		/* was said already */
};

static void
acceptor_watch_all(struct acceptor *a, int what)
{
	for (size_t i = 0; i < a->n_listeners; i++)
		watch_set(a->listeners[i].watch, what);
}

static void
acceptor_pause_over(void *ctx)
{
	acceptor_watch_all(ctx, WATCH_READ);
}

static size_t
acceptor_limit(unsigned int fds_each)
{
	struct rlimit rl;
	rlim_t n = ACCEPTOR_MAX;

	if (getrlimit(RLIMIT_NOFILE, &rl) == 0 &&
	    rl.rlim_cur != RLIM_INFINITY) {
		n = rl.rlim_cur > 2 * ACCEPTOR_FDS_OWN ?
		    rl.rlim_cur - ACCEPTOR_FDS_OWN : rl.rlim_cur / 2;
		n /= fds_each;
	}
	if (n > ACCEPTOR_MAX)
		n = ACCEPTOR_MAX;
	return n < 2 ? 2 : (size_t)n;
}

struct acceptor *
acceptor_new(struct loop *l, struct child *ch, unsigned int fds_each,
    const char *refusal, acceptor_fn *fn, void *ctx)
{
	struct acceptor *a = calloc(1, sizeof(*a));

	if (a == NULL)
		return NULL;
	a->loop = l;
	a->child = ch;
	a->refusal = refusal;
	a->fn = fn;
	a->ctx = ctx;
	a->max = acceptor_limit(fds_each);
	if (timer_init(&a->pause, l, acceptor_pause_over, a) != 0) {
		free(a);
		return NULL;
	}
	return a;
}

void
acceptor_left(struct acceptor *a)
{
	a->sessions--;
	a->full = false;
}

static void
acceptor_refuse(struct acceptor *a, int fd, const struct addr *peer,
    const struct child_fd *service)
{
	char ip[ADDR_STRLEN];

	if (!a->full)	/* once, until somebody has left */
		LOG_EV(LOG_WARNING, "listen.full", NULL,
		    KV_A("rip", addr_ip_text(peer, ip)),
		    KV_A("service", service->name),
		    KV_U("sessions", a->sessions));
	a->full = true;
	if (!service->implicit_tls)
		(void)!send(fd, a->refusal, strlen(a->refusal),
		    MSG_DONTWAIT | MSG_NOSIGNAL);
}

static void
acceptor_accept_failed(struct acceptor *a, const struct child_fd *service)
{
	/* EAGAIN: another process took it. The rest of these belong to the
	 * connection, not to us (accept(2)). */
	switch (errno) {
	case EAGAIN:
	case EINTR:
	case ECONNABORTED:
	case EPROTO:
	case ENETDOWN:
	case ENETUNREACH:
	case EHOSTUNREACH:
	case EHOSTDOWN:
	case ETIMEDOUT:
	case ENOPROTOOPT:
	case ENONET:
	case EPERM:
		return;
	default:
		LOG_EV(LOG_ERR, "listen.accept", NULL,
		    KV_A("service", service->name), KV_I("errno", errno));
		acceptor_watch_all(a, 0);
		timer_arm(&a->pause, ACCEPTOR_PAUSE_MS);
	}
}

/* The header of a balancer's client has come, or will not. By now a reload may
 * have changed the listener, or the process stops. */
static void
acceptor_proxied(void *ctx, int fd, const struct addr *via,
    const struct addr *client, const char *name)
{
	struct acceptor *a = ctx;
	const struct conf *conf = child_conf(a->child);
	struct acceptor_client c = { .via = *via, .claimed = true,
	    .listener = conf_listener_find(conf, name) };

	if (client != NULL)
		c.peer = *client;
	if (client != NULL && a->n_listeners > 0 &&
	    c.listener < conf_listener_count(conf) &&
	    conf_listener_takes_proxy(conf, c.listener, via) &&
	    a->fn(a->ctx, fd, &c) == 0)
		return;
	if (client != NULL)
		close(fd);
	acceptor_left(a);
}

static int
acceptor_begin(struct acceptor *a, int fd, const struct addr *peer,
    const char *name)
{
	const struct conf *conf = child_conf(a->child);
	struct acceptor_client c = { .peer = *peer, .via = *peer,
	    .listener = conf_listener_find(conf, name) };

	if (c.listener == conf_listener_count(conf))
		return ERR_CONFIG;
	if (!conf_listener_is_proxied(conf, c.listener))
		return a->fn(a->ctx, fd, &c);
	if (conf_listener_takes_proxy(conf, c.listener, peer))
		return proxy_wait(a->loop, fd, peer, name, acceptor_proxied,
		    a);
	proxy_log_refused(peer, name, "peer");
	return ERR_DENIED;
}

/* By the UNIX socket: who it is is the kernel's word. */
static int
acceptor_begin_local(struct acceptor *a, int fd)
{
	const struct acceptor_client c = { .local = true };
	struct ucred who = { .uid = UINT32_MAX };
	socklen_t len = sizeof(who);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len) == 0 &&
	    conf_lmtp_takes(child_conf(a->child), who.uid)) {
		LOG_EV(LOG_INFO, "lmtp.open", NULL, KV_U("uid", who.uid),
		    KV_I("pid", who.pid));
		return a->fn(a->ctx, fd, &c);
	}
	LOG_EV(LOG_WARNING, "lmtp.refused", NULL, KV_U("uid", who.uid),
	    KV_I("pid", who.pid));
	return ERR_DENIED;
}

static void
acceptor_ready(void *ctx, int what)
{
	struct acceptor_listener *ln = ctx;
	struct acceptor *a = ln->owner;
	struct child_fd service = ln->service;
	struct sockaddr_storage ss = { 0 };
	socklen_t len = sizeof(ss);
	struct addr peer;
	int fd;

	(void)what;
	fd = accept4(service.fd, (struct sockaddr *)&ss, &len,
	    SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0) {
		acceptor_accept_failed(a, &service);
		return;
	}
	peer = (struct addr){ .port = 0 };
	if (ss.ss_family != AF_UNIX &&
	    addr_from_sockaddr((struct sockaddr *)&ss, &peer) != 0) {
		close(fd);
		return;
	}
	if (a->sessions >= a->max) {
		acceptor_refuse(a, fd, &peer, &service);
		close(fd);
		return;
	}
	a->sessions++;
	if ((ss.ss_family == AF_UNIX ? acceptor_begin_local(a, fd) :
	    acceptor_begin(a, fd, &peer, service.name)) != 0) {
		acceptor_left(a);
		close(fd);
	}
}

void
acceptor_stop(struct acceptor *a)
{
	timer_stop(&a->pause);
	for (size_t i = 0; i < a->n_listeners; i++)
		watch_free(a->listeners[i].watch);
	free(a->listeners);
	a->listeners = NULL;
	a->n_listeners = 0;
}

void
acceptor_free(struct acceptor *a)
{
	if (a == NULL)
		return;
	acceptor_stop(a);
	timer_free(&a->pause);
	free(a);
}

int
acceptor_listen(struct acceptor *a)
{
	const struct child_fd *fds;
	struct acceptor_listener *ln;
	size_t n;

	acceptor_stop(a);
	fds = child_fds(a->child, &n);
	if ((a->listeners = calloc(n + 1, sizeof(*a->listeners))) == NULL)
		return ERR_NOMEM;
	for (size_t i = 0; i < n; i++) {
		if (fds[i].client_role != -2)
			continue;
		ln = &a->listeners[a->n_listeners];
		ln->owner = a;
		ln->service = fds[i];
		ln->watch = watch_new(a->loop, fds[i].fd, acceptor_ready, ln);
		if (ln->watch == NULL)
			return ERR_NOMEM;
		watch_set(ln->watch, WATCH_READ);
		a->n_listeners++;
	}
	return 0;
}

size_t
acceptor_sessions(const struct acceptor *a)
{
	return a->sessions;
}
