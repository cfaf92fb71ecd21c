/*
 * ops.c - authd-core's peers and the table of what each role may ask.
 *
 * Runs on the loop of authd-core. A request that is not in the role's row, is
 * malformed, or brings a descriptor it should not, drops the peer.
 */
#include "auth/ops.h"

#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "auth/notice.h"
#include "auth/quota.h"
#include "lib/clock.h"
#include "lib/log.h"
#include "lib/str.h"

#define OPS_PEERS_MAX		256u
#define OPS_PEERS_ROLE_MAX	64u	/* of one role */

struct ops {
	struct core	*core;
	struct peer	*peers;
	unsigned int	 n_peers;
	unsigned int	 n_role[ROLE__COUNT];
};

struct ops_socket {
	struct ops	*ops;
	enum priv_role	 role;
};

static int	ops_op_session(struct peer *p, struct msg_in *m, int fd);

#define BY(role) (1u << (role))
#define BY_SESSIONS (BY(ROLE_SMTP) | BY(ROLE_POP))

enum op_fd { FD_NONE, FD_ONE, FD_MAYBE };	/* the handler owns it */

static const struct op {
	unsigned int	by;
	enum op_fd	fd;
	int		(*run)(struct peer *p, struct msg_in *m, int fd);
} ops_table[AUTHP__COUNT] = {
	/* request		    may be asked by   fd	 run */
	[AUTHP_SESSION] =	{ BY_SESSIONS,	      FD_ONE,   ops_op_session },
	[AUTHP_SASL_START] =	{ BY_SESSIONS,	      FD_MAYBE, login_op_start },
	[AUTHP_SASL_STEP] =	{ BY_SESSIONS,	      FD_NONE,  login_op_step },
	[AUTHP_SASL_CANCEL] =	{ BY_SESSIONS,	      FD_NONE,  login_op_cancel },
	[AUTHP_MAIL] =		{ BY(ROLE_SMTP),      FD_NONE,  mail_op_mail },
	[AUTHP_RCPT] =		{ BY(ROLE_SMTP),      FD_NONE,  address_op_rcpt },
	[AUTHP_TICKET] =	{ BY(ROLE_SPOOL),     FD_NONE,  mail_op_ticket },
	[AUTHP_MAILDROP] =	{ BY(ROLE_MBOX),      FD_NONE,
				  address_op_maildrop },
	[AUTHP_DELIVER] =	{ BY(ROLE_LOCAL),     FD_NONE,
				  address_op_deliver },
	[AUTHP_APOP] =		{ BY(ROLE_POP),	      FD_NONE,  login_op_apop },
	[AUTHP_FROM] =		{ BY(ROLE_SMTP),      FD_NONE,  mail_op_from },
	[AUTHP_WHO_ENTRY] =	{ BY_SESSIONS,	      FD_NONE,
				  notice_op_who_entry },
	[AUTHP_WHO_END] =	{ BY_SESSIONS,	      FD_NONE,
				  notice_op_who_end },
	[AUTHP_EVENT] =		{ BY_SESSIONS,	      FD_NONE,
				  recent_op_event },
	[AUTHP_USERS] =		{ BY(ROLE_SPOOL),     FD_NONE,  notice_op_users },
};

void
ops_reply_begin(struct msg_out *m, uint16_t type, uint32_t id,
    enum authp_verdict v)
{
	msg_begin(m, type | AUTHP_REPLY, id);
	msg_put_u8(m, (uint8_t)v);
}

static void
ops_reap(void *ctx)
{
	struct peer *p = ctx;

	login_end_all(p);
	free(p);
}

/* Marks; the reaper frees, for a handler further down may still use p. */
static void
ops_close(struct peer *p)
{
	struct peer **at = &p->core->ops->peers;

	if (p->closed)
		return;
	p->closed = true;
	while (*at != p)
		at = &(*at)->next;
	*at = p->next;
	p->core->ops->n_peers--;
	p->core->ops->n_role[p->role]--;
	p->core->stats.peers_gone++;
	ipc_close(p->ipc);
	notice_peer_gone(p->core);
	if (p->role == ROLE_SPOOL)
		quota_release_all(p->core->quota, p);
	if (loop_defer(p->core->loop, ops_reap, p) != 0)
		LOG_EV(LOG_ERR, "auth.nomem", NULL,
		    KV_A("peer", priv_role_name(p->role)));
}

void
ops_reply(struct peer *p, const struct msg_out *m)
{
	int r;

	if (p->closed)
		return;
	r = ipc_send(p->ipc, m, -1);
	if (r == 0 || r == ERR_AWAY || p->closed)
		return;
	/* A reply that is lost would leave a client waiting. */
	LOG_EV(LOG_ERR, "auth.peer.drop", NULL,
	    KV_A("peer", priv_role_name(p->role)), KV_A("why", err_name(r)));
	ops_close(p);
}

void
ops_reply_verdict(struct peer *p, uint16_t type, uint32_t id,
    enum authp_verdict v)
{
	struct msg_out m;

	ops_reply_begin(&m, type, id, v);
	ops_reply(p, &m);
}

bool
ops_is_tls_text(const char *s)
{
	return strspn(s, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789._:+-") == strlen(s);
}

int
ops_get_handle(struct peer *p, const void *blob, size_t len,
    struct ticket_handle *ret)
{
	int r = ticket_handle_open(p->core->keys.ticket, blob, len,
	    clock_now_s(), p->core->conf->session_max_s, ret);
	uint8_t service = p->role == ROLE_POP ? AUTHP_POP : AUTHP_SMTP;

	if (r == 0 && ret->service != service)
		r = ERR_DENIED;
	if (r == ERR_DENIED)
		LOG_EV(LOG_WARNING, "auth.badhandle", NULL,
		    KV_A("peer", priv_role_name(p->role)));
	return r;
}

int
ops_ticket_holds(struct core *core, const struct ticket *t,
    const struct user_record *user, uint32_t refused, int64_t now_s)
{
	const bool other = strcmp(t->login, t->user) != 0;
	struct user_record rec;
	int r = 0;

	if (other) {
		r = userdb_allows_as(core->userdb, t->login, t->user, NULL);
		if (r == 0)
			r = userdb_get(core->userdb, t->login, &rec, NULL);
		if (r != 0)
			return r;
		user = &rec;
	}
	if ((user->flags & refused) || user->created_s != t->created_s ||
	    !user_record_holds(user, t->generation, now_s))
		r = ERR_NOTFOUND;
	if (other)
		record_user_clear(&rec);
	return r;
}

/* SESSION: where it comes from is read from the socket itself, and is not a word
 * of the worker's. */
static int
ops_read_unix(const struct core *core, int fd, struct ticket_handle *h)
{
	const char *path = core->conf->lmtp_listen;
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	struct ucred who = { .uid = UINT32_MAX };
	socklen_t len = sizeof(sun), who_len = sizeof(who);

	if (getsockname(fd, (struct sockaddr *)&sun, &len) < 0 ||
	    len <= offsetof(struct sockaddr_un, sun_path))
		return ERR_FORMAT;
	/* A worker could bind a socket of its own: who has connected counts,
	 * and that is not its own user. */
	if (path == NULL || h->service != AUTHP_SMTP || strncmp(sun.sun_path,
	    path, sizeof(sun.sun_path)) != 0 ||
	    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &who_len) < 0 ||
	    !conf_lmtp_takes(core->conf, who.uid))
		return ERR_DENIED;
	h->receives = 1;
	return 0;
}

static int
ops_read_socket(const struct core *core, int fd, struct ticket_handle *h)
{
	struct sockaddr_storage ss;
	socklen_t len = sizeof(ss);
	int type = 0;
	socklen_t type_len = sizeof(type);

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) < 0 ||
	    type != SOCK_STREAM)
		return ERR_FORMAT;
	/* A client that has hung up meanwhile is no fault of the worker's. */
	if (getpeername(fd, (struct sockaddr *)&ss, &len) < 0)
		return errno == ENOTCONN ? ERR_AWAY : ERR_FORMAT;
	if (ss.ss_family == AF_UNIX)
		return ops_read_unix(core, fd, h);
	if (addr_from_sockaddr((struct sockaddr *)&ss, &h->peer) != 0)
		return ERR_FORMAT;
	len = sizeof(ss);
	if (getsockname(fd, (struct sockaddr *)&ss, &len) < 0 ||
	    addr_from_sockaddr((struct sockaddr *)&ss, &h->local) != 0)
		return ERR_FORMAT;
	return 0;
}

/* A claim that the peer speaks for another client: believed from the peers
 * that the listener names, and from those of proxy_from nothing else is. */
static int
ops_take_claim(struct peer *p, struct ticket_handle *h, const char *claim)
{
	const struct conf *c = p->core->conf;
	size_t l = conf_listener_of(c, h->service == AUTHP_POP, &h->local);
	bool proxied = !h->receives && conf_listener_is_proxied(c, l);
	char ip[ADDR_STRLEN];
	struct addr peer = h->peer;

	if (claim[0] == '\0' && !proxied)
		return 0;
	if (claim[0] != '\0' && addr_parse_peer(claim, &h->peer) != 0)
		return ERR_FORMAT;
	if (claim[0] != '\0' && (proxied ?
	    conf_listener_takes_proxy(c, l, &peer) :
	    conf_listener_takes_xclient(c, l, &peer)))
		return 0;
	LOG_EV(LOG_WARNING, "auth.badclaim", h->sid,
	    KV_A("peer", priv_role_name(p->role)),
	    KV_A("rip", addr_ip_text(&peer, ip)), KV_S("claim", claim),
	    KV_A("service", conf_listener_name(c, l)));
	return ERR_DENIED;
}

/* The fields of SESSION, and the socket, which is closed. 0, ERR_AWAY or
 * ERR_DENIED are answers; for any other the peer is dropped. */
static int
ops_know_session(struct peer *p, struct msg_in *m, int fd,
    struct ticket_handle *ret)
{
	const char *sid, *claim;
	int r = 0;

	*ret = (struct ticket_handle){ .issued_s = clock_now_s() };
	msg_get_str(m, &sid, AUTHP_SID_MAX);
	msg_get_u8(m, &ret->service);
	msg_get_str(m, &claim, AUTHP_ADDRESS_MAX);
	if (msg_get_end(m) != 0 || fd < 0 || !str_is_id(sid) ||
	    ret->service != (p->role == ROLE_POP ? AUTHP_POP : AUTHP_SMTP))
		r = ERR_FORMAT;
	if (r == 0)
		r = ops_read_socket(p->core, fd, ret);
	if (fd >= 0)
		close(fd);
	str_copy(ret->sid, sizeof(ret->sid), sid);
	return r == 0 ? ops_take_claim(p, ret, claim) : r;
}

static int
ops_op_session(struct peer *p, struct msg_in *m, int fd)
{
	struct ticket_handle h;
	uint8_t blob[AUTHP_HANDLE_MAX];
	uint32_t id = m->id;
	struct msg_out out;
	int r = ops_know_session(p, m, fd, &h), len;

	if (r == ERR_AWAY || r == ERR_DENIED) {
		ops_reply_verdict(p, AUTHP_SESSION, id, r == ERR_AWAY ?
		    AUTHP_TEMP : AUTHP_VOID);
		return 0;
	}
	if (r != 0)
		return r;
	len = ticket_handle_seal(p->core->keys.ticket, &h, blob);
	if (len < 0) {
		ops_reply_verdict(p, AUTHP_SESSION, id, AUTHP_TEMP);
		return 0;
	}
	ops_reply_begin(&out, AUTHP_SESSION, id, AUTHP_OK);
	msg_put_blob(&out, blob, (size_t)len);
	ops_reply(p, &out);
	return 0;
}

int
ops_get_session(struct peer *p, struct msg_in *m, int fd, const void *handle,
    size_t len, struct ticket_handle *ret)
{
	int r;

	if (len == 0)
		return ops_know_session(p, m, fd, ret);
	if (fd >= 0)
		close(fd);
	if (fd >= 0 || msg_get_end(m) != 0)
		return ERR_FORMAT;
	r = ops_get_handle(p, handle, len, ret);
	return r == 0 ? 0 : ERR_DENIED;
}

static int
ops_packet(void *ctx, struct ipc *ipc, struct msg_in *m, int fd)
{
	struct peer *p = ctx;
	const struct op *op = m->type < AUTHP__COUNT ? &ops_table[m->type] :
	    NULL;

	(void)ipc;
	if (op != NULL && (op->by & BY(p->role)) && (op->fd == FD_MAYBE ||
	    (op->fd == FD_ONE) == (fd >= 0)))
		return op->run(p, m, fd);
	if (fd >= 0)
		close(fd);
	return ERR_DENIED;
}

static void
ops_gone(void *ctx, struct ipc *ipc)
{
	(void)ipc;
	ops_close(ctx);
}

static const struct ipc_ops ops_ipc = {
	.packet = ops_packet, .gone = ops_gone,
};

static void
ops_accepted(void *ctx, int fd, uid_t uid, pid_t pid)
{
	struct ops_socket *s = ctx;
	struct ops *o = s->ops;
	struct peer *p = NULL;

	if (o->n_peers < OPS_PEERS_MAX &&
	    o->n_role[s->role] < OPS_PEERS_ROLE_MAX)
		p = calloc(1, sizeof(*p));
	if (p != NULL) {
		p->core = o->core;
		p->role = s->role;
		p->ipc = ipc_new(o->core->loop, fd, priv_role_name(s->role),
		    &ops_ipc, p);
	}
	if (p == NULL || p->ipc == NULL) {
		LOG_EV(LOG_WARNING, "auth.peer.refused", NULL,
		    KV_A("peer", priv_role_name(s->role)),
		    KV_I("uid", uid), KV_I("pid", pid),
		    KV_U("peers", o->n_peers));
		close(fd);
		free(p);
		return;
	}
	p->next = o->peers;
	o->peers = p;
	o->n_peers++;
	o->n_role[s->role]++;
	notice_peer_new(p);
}

struct peer *
ops_peers(struct core *core)
{
	return core->ops->peers;
}

struct ops *
ops_new(struct core *core)
{
	struct ops *o = calloc(1, sizeof(*o));

	if (o != NULL)
		o->core = core;
	return o;
}

int
ops_listen(struct ops *o, int fd, enum priv_role role, uid_t uid)
{
	struct ops_socket *s = malloc(sizeof(*s));	/* for the process's life */

	if (s == NULL)
		return ERR_NOMEM;
	*s = (struct ops_socket){ .ops = o, .role = role };
	if (ipc_listen(o->core->loop, fd, uid, priv_role_name(role),
	    ops_accepted, s) == NULL) {
		free(s);
		return ERR_NOMEM;
	}
	return 0;
}

void
ops_tick(struct ops *o)
{
	int64_t now_ms = clock_mono_ms();

	for (struct peer *p = o->peers; p != NULL; p = p->next)
		login_expire(p, now_ms);
}
