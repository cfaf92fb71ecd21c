/*
 * parent_kids.c - a parent's children: start, feed, restart, and the reload in
 * two steps.
 */
#include "lib/parent_private.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include <systemd/sd-daemon.h>

#include "lib/clock.h"
#include "lib/conf_route.h"
#include "lib/fio.h"
#include "lib/log.h"
#include "lib/proc.h"
#include "lib/str.h"

#define KID_BACKOFF_MIN_MS	100
#define KID_BACKOFF_MAX_MS	5000
#define KID_STEADY_MS		3000	/* up so long: the next death is a first */
#define RELOAD_MS		10000
#define RELOAD_RETRY_MS		50
#define RELOAD_TRIES		200

static void parent_reload_due(void *ctx);
static void parent_reload_settle(struct parent *p);
static void parent_reload_end(struct parent *p, const char *why);

static void
kid_enter(struct kid *k, enum kid_state state)
{
	k->state = state;
	k->since_s = clock_now_s();
}

/* ------------------------------------------------------------------ feed -- */

static void
kid_tell(struct kid *k, enum proc_type type, int fd)
{
	struct msg_out m;

	msg_begin(&m, (uint16_t)type, 0);
	ipc_send(k->ipc, &m, fd);
}

static void
kid_tell_fd(struct kid *k, const char *name, int client_role, int implicit_tls,
    int fd)
{
	struct msg_out m;

	msg_begin(&m, PROC_SOCKET, 0);
	msg_put_str(&m, name);
	msg_put_u32(&m, (uint32_t)(client_role + 2));
	msg_put_u8(&m, (uint8_t)implicit_tls);
	ipc_send(k->ipc, &m, fd);
}

/* What of the secrets a role has a use for. */
static unsigned int
kid_secrets(enum priv_role role)
{
	if (role == ROLE_SMTP || role == ROLE_POP)
		return CONF_WITH_PAIRS;
	return role == ROLE_SEND ? CONF_WITH_LOGINS : CONF_WITH_NONE;
}

static int
parent_conf_memfd(const struct conf *conf, enum priv_role role)
{
	struct err e = { 0 };
	struct buf b;
	int fd = -1;

	buf_init(&b, 16u * 1024 * 1024);
	if (conf_pack(conf, kid_secrets(role), &b, &e) == 0)
		fd = fio_memfd("conf", buf_data(&b), buf_len(&b));
	else
		LOG_EV(LOG_ERR, "conf.pack", NULL, KV_T("why", e.text));
	buf_free(&b);
	return fd;
}

/* Everything the child needs; with `all` false only what a reload changes. */
static void
kid_feed(struct kid *k, const struct conf *conf,
    const struct parent_listeners *ls, bool all)
{
	const struct parent_program *prog = k->parent->prog;
	int fd = parent_conf_memfd(conf, k->kind->role);

	if (fd < 0)
		return;
	kid_tell(k, PROC_CONF, fd);
	close(fd);
	if (log_fd() >= 0)
		kid_tell(k, PROC_LOG, log_fd());
	for (size_t i = 0; (k->kind->serves_tcp || k->kind->serves_unix) &&
	    i < ls->n; i++)
		kid_tell_fd(k, ls->v[i].name, PROC_TCP,
		    ls->v[i].implicit_tls, ls->v[i].fd);
	for (size_t i = 0; all && i < prog->n_sockets; i++)
		if (prog->sockets[i].server == k->kind->role)
			kid_tell_fd(k, prog->sockets[i].name,
			    prog->sockets[i].client, 0, k->parent->sockets[i]);
	if (all)
		parent_tell_table(k);
	kid_tell(k, PROC_GO, -1);
}

/* -------------------------------------------------------------- lifetime -- */

static void
kid_failed(struct kid *k, struct msg_in *m)
{
	const char *why = "";
	uint8_t code = EX_OSERR;

	msg_get_str(m, &why, PROC_TEXT_MAX);
	msg_get_u8(m, &code);
	/* The child has logged why. Before the first ev=ready that ends us. */
	if (!k->parent->ready)
		parent_stop(k->parent, code);
}

static void
kid_answered(struct kid *k, struct msg_in *m)
{
	const char *why = "";

	if (!k->asked)
		return;
	k->asked = false;
	if (m->type == PROC_REFUSE) {
		msg_get_str(m, &why, PROC_TEXT_MAX);
		parent_reload_end(k->parent, why);
	} else {
		parent_reload_settle(k->parent);
	}
}

/* submitd-send is chrooted: we connect to the UNIX socket of a route for it. It
 * says which route and nothing else. */
static int
kid_connect(struct kid *k, struct msg_in *m)
{
	const struct conf *c = k->parent->conf;
	struct err e = { 0 };
	const char *name, *path = NULL;
	struct msg_out out;
	int fd;

	if (k->kind->role != ROLE_SEND ||
	    msg_get_str(m, &name, PROC_TEXT_MAX) != 0 || msg_get_end(m) != 0)
		return ERR_FORMAT;
	for (size_t i = 0; i < c->n_routes; i++)
		if (strcmp(c->routes[i].item.name, name) == 0)
			path = conf_route_unix(&c->routes[i]);
	if (path == NULL)
		fd = err_set(&e, ERR_NOTFOUND, "the route has no UNIX socket");
	else
		fd = fio_connect_unix(path, &e);
	msg_begin(&out, PROC_CONNECTED, m->id);
	msg_put_str(&out, fd < 0 ? e.text : "");
	ipc_send(k->ipc, &out, fd);
	if (fd >= 0)
		close(fd);
	return 0;
}

static int
kid_packet(void *ctx, struct ipc *p, struct msg_in *m, int fd)
{
	struct kid *k = ctx;

	(void)p;
	if (fd >= 0)
		close(fd);
	switch (m->type) {
	case PROC_READY:
		if (k->state == KID_STARTING) {
			kid_enter(k, KID_READY);
			k->ready_ms = clock_mono_ms();
			parent_kid_ready(k->parent);
		}
		return 0;
	case PROC_FAIL:
		kid_failed(k, m);
		return 0;
	case PROC_ACCEPT:
	case PROC_REFUSE:
		kid_answered(k, m);
		return 0;
	case PROC_CONNECT:
		return kid_connect(k, m);
	default:
		return ERR_FORMAT;
	}
}

/* Its end of the socket is closed: waitpid() tells the rest. One that only
 * closed the socket is of no use any more. */
static void
kid_gone(void *ctx, struct ipc *p)
{
	struct kid *k = ctx;

	ipc_close(p);
	k->ipc = NULL;
	if (k->pid > 0)
		kill(k->pid, SIGKILL);
}

static const struct ipc_ops kid_ipc_ops = {
	.packet = kid_packet,
	.gone = kid_gone,
};

static void
kid_exec(const char *path, int fd)
{
	char *argv[] = { strdup(path), NULL };	/* ps shows whose it is */
	sigset_t none;

	/* dup2 onto itself would keep the close-on-exec flag. */
	if (fd == PROC_FD)
		fcntl(fd, F_SETFD, 0);
	else if (dup2(fd, PROC_FD) < 0)
		_exit(EX_OSERR);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	execv(path, argv);
	_exit(EX_UNAVAILABLE);
}

static int
kid_fork(struct kid *k, int *ret_fd)
{
	const char *name = priv_role_name(k->kind->role);
	char path[4096];
	int sv[2];

	if (str_format(path, sizeof path, "%s/%s",
	    k->parent->conf->libexec_dir, name) != 0 ||
	    access(path, X_OK) < 0) {
		LOG_EV(LOG_ERR, "child.missing", NULL, KV_A("process", name),
		    KV_T("why", "it is not in libexec_dir"));
		return -1;
	}
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) < 0)
		return -1;
	k->pid = fork();
	if (k->pid == 0)
		kid_exec(path, sv[1]);
	close(sv[1]);
	if (k->pid < 0) {
		k->pid = 0;
		close(sv[0]);
		return -1;
	}
	*ret_fd = sv[0];
	return 0;
}

static void
kid_start_later(struct kid *k)
{
	timer_arm(&k->restart, k->backoff_ms);
	k->backoff_ms = k->backoff_ms == 0 ? KID_BACKOFF_MIN_MS :
	    k->backoff_ms * 2;
	if (k->backoff_ms > KID_BACKOFF_MAX_MS)
		k->backoff_ms = KID_BACKOFF_MAX_MS;
}

void
kid_start(struct kid *k)
{
	int fd = -1;

	if (kid_fork(k, &fd) < 0) {
		if (!k->parent->ready)
			parent_stop(k->parent, EX_OSERR);
		else
			kid_start_later(k);
		return;
	}
	kid_enter(k, KID_STARTING);
	parent_names_taken(k);
	k->ipc = ipc_new(k->parent->loop, fd,
	    priv_role_name(k->kind->role), &kid_ipc_ops, k);
	if (k->ipc == NULL) {
		close(fd);	/* it ends by itself, and is started again */
		return;
	}
	kid_feed(k, k->parent->conf, &k->parent->listeners, true);
}

static void
kid_restart_due(void *ctx)
{
	struct kid *k = ctx;

	/* It would begin with what is being replaced, and keep that. */
	if (k->parent->next != NULL)
		timer_arm(&k->restart, RELOAD_RETRY_MS);
	else if (!k->parent->stopping && k->pid == 0)
		kid_start(k);
}

static void
kid_died(struct kid *k, int status)
{
	struct parent *p = k->parent;
	bool steady = k->state == KID_READY &&
	    clock_mono_ms() - k->ready_ms >= KID_STEADY_MS;

	if (!p->stopping && !(k->renewing && WIFEXITED(status) &&
	    WEXITSTATUS(status) == 0))
		LOG_EV(LOG_ERR, "child.died", NULL,
		    KV_A("process", priv_role_name(k->kind->role)),
		    KV_I("pid", k->pid),
		    KV_I("signal", WIFSIGNALED(status) ? WTERMSIG(status) : 0),
		    KV_I("exit", WIFEXITED(status) ? WEXITSTATUS(status) : 0));
	k->pid = 0;
	k->renewing = false;
	parent_clear_table(k);
	ipc_close(k->ipc);
	k->ipc = NULL;
	kid_enter(k, KID_DOWN);
	if (k->asked) {
		k->asked = false;
		parent_reload_settle(p);
	}
	if (p->stopping)
		return;
	if (!p->ready && WIFEXITED(status)) {
		parent_stop(p, WEXITSTATUS(status) ? WEXITSTATUS(status) :
		    EX_SOFTWARE);
		return;
	}
	k->restarts++;
	if (steady)
		k->backoff_ms = 0;
	kid_start_later(k);
}

void
parent_reap(struct parent *p)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		for (size_t i = 0; i < p->n_kids; i++)
			if (p->kids[i].pid == pid)
				kid_died(&p->kids[i], status);
}

void
parent_add_kids(struct parent *p)
{
	int workers = 0;

	timer_init(&p->reload_timer, p->loop, parent_reload_due, p);
	for (size_t i = 0; i < p->prog->n_children; i++) {
		const struct parent_child *kind = &p->prog->children[i];
		unsigned int n = kind->one_a_core ? parent_workers(p) : 1;

		for (; n > 0 && p->n_kids < PARENT_KIDS_MAX; n--) {
			struct kid *k = &p->kids[p->n_kids++];

			k->parent = p;
			k->kind = kind;
			k->worker = kind->serves_tcp ? workers++ : -1;
			kid_enter(k, KID_DOWN);
			timer_init(&k->restart, p->loop, kid_restart_due, k);
		}
	}
}

size_t
parent_kids_alive(const struct parent *p)
{
	size_t n = 0;

	for (size_t i = 0; i < p->n_kids; i++)
		n += p->kids[i].pid > 0;
	return n;
}

/* ---------------------------------------------------------------- reload -- */

/* What cannot change while processes hold it open. */
static int
parent_same_folders(const struct conf *a, const struct conf *b,
    struct err *reterr)
{
	const struct {
		const char *key, *a, *b;
	} rows[] = {
		{ "run_dir", a->run_dir, b->run_dir },
		{ "db_dir", a->db_dir, b->db_dir },
		{ "spool_dir", a->spool_dir, b->spool_dir },
		{ "mail_root", a->mail_root, b->mail_root },
		{ "libexec_dir", a->libexec_dir, b->libexec_dir },
	};

	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (strcmp(rows[i].a, rows[i].b) != 0)
			return err_set(reterr, ERR_CONFIG,
			    "%s: a change needs a restart", rows[i].key);
	if (a->workers != b->workers)
		return err_set(reterr, ERR_CONFIG,
		    "workers: a change needs a restart");
	return 0;
}

static int
parent_load_next(struct parent *p, struct err *reterr)
{
	int64_t end;
	int r;

	if (p->renewed != NULL) {
		p->next = p->renewed;
		p->renewed = NULL;
		parent_tls_seed(p, p->next);
		return parent_bind(p, p->next, &p->listeners,
		    &p->next_listeners, reterr);
	}
	if ((r = conf_load(&p->args, &p->next, reterr)) != 0)
		return r;
	if ((r = parent_same_folders(p->conf, p->next, reterr)) != 0)
		return r;
	if (p->prog->needs_tls) {
		cert_watch_take(&p->next_watch, p->next);
		if ((r = conf_load_tls(p->next, &end, reterr)) != 0)
			return r;
		if ((r = parent_tls_load_routes(p, p->next, reterr)) != 0)
			return r;
		if (p->next->n_tls > 0 && end < clock_now_s())
			return err_set(reterr, ERR_CONFIG,
			    "tls_cert: the certificate has expired");
		parent_tls_seed(p, p->next);
	}
	return parent_bind(p, p->next, &p->listeners, &p->next_listeners,
	    reterr);
}

static void
parent_close_listeners(const struct parent_listeners *from,
    const struct parent_listeners *keep)
{
	for (size_t i = 0; i < from->n; i++) {
		bool kept = false;

		for (size_t k = 0; k < keep->n; k++)
			kept |= keep->v[k].fd == from->v[i].fd;
		if (!kept)
			close(from->v[i].fd);
	}
}

/* All agreed: the new configuration is the one. */
static void
parent_reload_commit(struct parent *p)
{
	for (size_t i = 0; i < p->n_kids; i++)
		if (p->kids[i].ipc != NULL && p->kids[i].state == KID_READY)
			kid_tell(&p->kids[i], PROC_COMMIT, -1);
	parent_close_listeners(&p->listeners, &p->next_listeners);
	p->listeners = p->next_listeners;
	conf_unref(p->conf);
	p->conf = p->next;
	p->next = NULL;
	parent_log_listeners(&p->listeners, true);
	for (size_t i = 0; i < p->listeners.n; i++)
		p->listeners.v[i].is_new = false;
	if (!p->renewing)
		p->tls_watch = p->next_watch;
	LOG_EV(LOG_NOTICE, p->renewing ? "tls.renewed" : "reload.done", NULL);
	parent_tls_taken(p);
	parent_names_look(p, !p->renewing);
}

static void
parent_reload_abandon(struct parent *p, const char *why)
{
	for (size_t i = 0; i < p->n_kids; i++) {
		p->kids[i].asked = false;
		if (p->kids[i].ipc != NULL && p->kids[i].state == KID_READY)
			kid_tell(&p->kids[i], PROC_ABANDON, -1);
	}
	parent_close_listeners(&p->next_listeners, &p->listeners);
	conf_unref(p->next);
	p->next = NULL;
	conf_unref(p->renewed);
	p->renewed = NULL;
	parent_open_log(p, p->conf, NULL);
	LOG_EV(LOG_ERR, p->renewing ? "tls.refused" : "reload.refused", NULL,
	    KV_T("why", why));
}

/* `why` NULL: it went well. */
static void
parent_reload_end(struct parent *p, const char *why)
{
	struct control_call *call = p->reload_call;

	if (!p->reloading)
		return;
	p->reload_call = NULL;
	timer_stop(&p->reload_timer);
	if (why == NULL)
		parent_reload_commit(p);
	else
		parent_reload_abandon(p, why);
	p->next_listeners.n = 0;
	if (!p->renewing)
		sd_notify(0, "READY=1");
	p->reloading = p->renewing = false;
	if (call != NULL && why == NULL)
		control_done(call);
	else if (call != NULL)
		control_fail(call, EX_CONFIG, "%s", why);
	call = p->again_call;
	p->again_call = NULL;
	if (p->again) {
		p->again = false;
		parent_reload(p, call);
	}
}

static void
parent_reload_settle(struct parent *p)
{
	for (size_t i = 0; i < p->n_kids; i++)
		if (p->kids[i].asked)
			return;
	parent_reload_end(p, NULL);
}

static bool
parent_kids_settled(const struct parent *p)
{
	for (size_t i = 0; i < p->n_kids; i++)
		if (p->kids[i].state == KID_STARTING)
			return false;
	return true;
}

/* A child that is just starting has the old configuration on its way: wait
 * until it is there. */
static void
parent_reload_due(void *ctx)
{
	struct parent *p = ctx;
	struct err e = { 0 };

	if (p->next != NULL) {
		parent_reload_end(p, "a process did not answer in time");
		return;
	}
	if (!parent_kids_settled(p)) {
		if (++p->reload_waits > RELOAD_TRIES)
			parent_reload_end(p, "a process does not start");
		else
			timer_arm(&p->reload_timer, RELOAD_RETRY_MS);
		return;
	}
	if (parent_load_next(p, &e) != 0 ||
	    parent_open_log(p, p->next, &e) != 0) {
		parent_reload_end(p, e.text);
		return;
	}
	timer_arm(&p->reload_timer, RELOAD_MS);
	for (size_t i = 0; i < p->n_kids; i++) {
		struct kid *k = &p->kids[i];

		if (k->state == KID_READY && k->ipc != NULL) {
			k->asked = true;
			kid_feed(k, p->next, &p->next_listeners, false);
		}
	}
	parent_reload_settle(p);
}

static void
parent_reload_begin(struct parent *p, struct control_call *call, bool renewing)
{
	p->reloading = true;
	p->renewing = renewing;
	p->reload_call = call;
	p->reload_waits = 0;
	p->next_listeners.n = 0;
	if (!renewing)
		sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%lld",
		    (long long)clock_mono_ms() * 1000);
	parent_reload_due(p);
}

void
parent_take(struct parent *p, struct conf *next)
{
	if (p->reloading || p->stopping) {
		conf_unref(next);
		return;
	}
	p->renewed = next;
	parent_reload_begin(p, NULL, true);
}

void
parent_reload(struct parent *p, struct control_call *call)
{
	if (p->renewing && !p->again && !p->stopping) {
		p->again = true;	/* behind the renewal */
		p->again_call = call;
		return;
	}
	if (p->reloading || p->stopping) {
		if (call != NULL)
			control_fail(call, EX_TEMPFAIL, "%s", p->stopping ?
			    "it is stopping" : "a reload is running already");
		return;
	}
	parent_reload_begin(p, call, false);
}
