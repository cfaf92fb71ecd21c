/*
 * login.c - SASL exchanges and APOP: the requests, and which exchange of which
 * session is open. What a message means is in login_mech.c, how it ends in
 * login_end.c.
 *
 * Runs on the loop of authd-core. An exchange that is CHECKING belongs to a
 * thread of the pool until login_checked(). Passwords are zeroed as soon as
 * they were checked, and are in no log line.
 *
 *	START ──> WANT_FIRST, WANT_USER, WANT_PASS, WANT_NEXT ──> STEP …
 *	  └─────────> CHECKING (thread) ──> reply, gone
 *	                  └──> DELAYED (a failure waits) ──> reply, gone
 */
#include "config.h"

#include "auth/login_private.h"

#include <stdlib.h>
#include <string.h>

#include "auth/apop.h"
#include "auth/mechs.h"
#include "auth/scram.h"
#include "lib/clock.h"
#include "lib/str.h"

#define LOGIN_SESSION_MAX 4u		/* exchanges of one session */

/* Sessions */

static struct login **
login_session(struct peer *p, const char *sid)
{
	/* A worker that chose them harms only itself. */
	return &p->sessions[str_hash(sid, strlen(sid)) % OPS_SESSIONS];
}

/* False: that session has as many exchanges as it may. */
static bool
login_join(struct login *l, const struct ticket_handle *h)
{
	struct login **head = login_session(l->peer, h->sid);
	unsigned int n = 0;

	for (struct login *o = *head; o != NULL; o = o->same)
		n += strcmp(o->handle.sid, h->sid) == 0;
	l->handle = *h;
	l->same = *head;
	*head = l;
	return n < LOGIN_SESSION_MAX;
}

static void
login_leave(struct login *l)
{
	struct login **at = login_session(l->peer, l->handle.sid);

	while (*at != NULL && *at != l)
		at = &(*at)->same;
	if (*at != NULL)
		*at = l->same;
	l->peer->logins[l->slot] = NULL;
	l->peer->n_logins--;
	l->peer = NULL;
}

void
login_free(struct login *l)
{
	if (l->peer != NULL)
		login_leave(l);
	if (l->state == LOGIN_DELAYED)
		login_undelay();
	timer_free(&l->delay);
	saslx_clear(&l->x);
	scram_free_password(l->password);
	conf_unref(l->conf);
	free(l);
}

static struct login *
login_find(struct peer *p, uint32_t exchange)
{
	struct login *l = p->logins[exchange % AUTHP_EXCHANGES_MAX];

	return l != NULL && l->exchange == exchange ? l : NULL;
}

/* The last reply but the one of success. */
void
login_end(struct login *l, enum authp_verdict v)
{
	if (l->peer != NULL)
		ops_reply_verdict(l->peer, l->type, l->id, v);
	login_free(l);
}

/* Who lets us wait, or waits for his delay to be over, must not shut others out
 * by the hundreds: the oldest of them goes. Its client hears TEMP. */
static void
login_make_room(struct peer *p)
{
	struct login *oldest = NULL;

	for (unsigned int i = 0; i < AUTHP_EXCHANGES_MAX; i++) {
		struct login *l = p->logins[i];

		if (l != NULL && l->state != LOGIN_CHECKING &&
		    (oldest == NULL || l->born_ms < oldest->born_ms))
			oldest = l;
	}
	if (oldest == NULL)
		return;
	if (oldest->state == LOGIN_DELAYED)
		login_end(oldest, AUTHP_TEMP);
	else
		login_free(oldest);
}

static struct login *
login_new(struct peer *p, enum conf_mech mech)
{
	struct login *l;
	unsigned int slot = p->serial % AUTHP_EXCHANGES_MAX;

	if (p->n_logins >= AUTHP_EXCHANGES_MAX)
		login_make_room(p);
	if (p->n_logins >= AUTHP_EXCHANGES_MAX)
		return NULL;
	while (p->logins[slot] != NULL)
		slot = (slot + 1) % AUTHP_EXCHANGES_MAX;
	l = calloc(1, sizeof(*l));
	if (l == NULL)
		return NULL;
	l->peer = p;
	l->slot = slot;
	l->exchange = ++p->serial * AUTHP_EXCHANGES_MAX + slot;
	l->born_ms = clock_mono_ms();
	l->conf = conf_ref(p->core->conf);
	saslx_init(&l->x, p->core, l->conf, mech, p->role == ROLE_POP);
	l->state = mech == CONF_LOGIN ? LOGIN_WANT_USER : LOGIN_WANT_FIRST;
	p->logins[slot] = l;
	p->n_logins++;
	return l;
}

void
login_ask(struct login *l, enum login_state next, const void *challenge,
    size_t len)
{
	struct msg_out m;

	l->state = next;
	ops_reply_begin(&m, l->type, l->id, AUTHP_CONTINUE);
	msg_put_u32(&m, l->exchange);
	msg_put_blob(&m, challenge, len);
	ops_reply(l->peer, &m);
}

/* Requests */

/* It is offered at the listener by which this session came. */
static bool
login_is_offered(const struct core *core, const struct ticket_handle *h,
    enum conf_mech m, const char *tls)
{
	size_t l = conf_listener_of(core->conf,
	    h->service == AUTHP_POP, &h->local);

	if (tls[0] == '\0' || !mechs_may_try(core->conf, l, m))
		return false;
	return (m != CONF_CRAM_MD5 && m != CONF_APOP) || core->has_secrets;
}

/* The -PLUS of this one is offered there too. */
static bool
login_has_plus(const struct login *l)
{
	size_t at = conf_listener_of(l->conf,
	    l->handle.service == AUTHP_POP, &l->handle.local);

	return (l->x.mech == CONF_SCRAM_SHA_256 &&
	    mechs_may_try(l->conf, at, CONF_SCRAM_SHA_256_PLUS)) ||
	    (l->x.mech == CONF_SCRAM_SHA_1 &&
	    mechs_may_try(l->conf, at, CONF_SCRAM_SHA_1_PLUS));
}

/* NULL: the request is answered. */
static struct login *
login_open(struct peer *p, const struct msg_in *m,
    const struct ticket_handle *h, int mech, const char *tls)
{
	struct login *l;

	if (mech < 0 || !login_is_offered(p->core, h, (enum conf_mech)mech,
	    tls)) {
		ops_reply_verdict(p, m->type, m->id, AUTHP_BADMECH);
		return NULL;
	}
	if ((l = login_new(p, (enum conf_mech)mech)) == NULL) {
		ops_reply_verdict(p, m->type, m->id, AUTHP_TEMP);
		return NULL;
	}
	l->type = m->type;
	l->id = m->id;
	if (!login_join(l, h)) {
		login_end(l, AUTHP_TEMP);
		return NULL;
	}
	l->asked_ms = l->born_ms;
	str_copy(l->tls, sizeof(l->tls), tls);
	l->x.plus_offered = login_has_plus(l);
	return l;
}

int
login_op_start(struct peer *p, struct msg_in *m, int fd)
{
	const void *handle, *ir, *binding_data, *cert;
	size_t handle_len, ir_len, binding_len, cert_len;
	const char *tls, *name, *binding;
	struct ticket_handle h;
	struct login *l;
	uint8_t has_ir;
	int mech, r;

	msg_get_blob(m, &handle, &handle_len, AUTHP_HANDLE_MAX);
	msg_get_str(m, &tls, AUTHP_TLS_MAX);
	msg_get_str(m, &name, AUTHP_MECH_MAX);
	msg_get_u8(m, &has_ir);
	msg_get_blob(m, &ir, &ir_len, AUTHP_RESP_MAX);
	msg_get_str(m, &binding, AUTHP_BINDING_MAX);
	msg_get_blob(m, &binding_data, &binding_len, AUTHP_BINDING_DATA_MAX);
	msg_get_blob(m, &cert, &cert_len, AUTHP_CERT_SIZE);
	r = ops_get_session(p, m, fd, handle, handle_len, &h);
	if (r == 0 && h.receives)
		r = ERR_DENIED;
	if (m->error != 0 || !ops_is_tls_text(tls) || has_ir > 1 ||
	    (!has_ir && ir_len != 0) ||
	    (cert_len != 0 && cert_len != AUTHP_CERT_SIZE))
		return ERR_FORMAT;
	if (r == ERR_AWAY || r == ERR_DENIED) {
		ops_reply_verdict(p, m->type, m->id, r == ERR_AWAY ?
		    AUTHP_TEMP : AUTHP_VOID);
		return 0;
	}
	if (r != 0)
		return r;
	mech = conf_mech_find(name);
	if (mech == CONF_APOP)		/* has a request of its own */
		mech = -1;
	if ((l = login_open(p, m, &h, mech, tls)) == NULL)
		return 0;
	l->is_new = handle_len == 0;
	saslx_set_binding(&l->x, binding, binding_data, binding_len);
	l->has_cert = cert_len > 0;
	if (l->has_cert)
		memcpy(l->cert, cert, cert_len);
	login_feed(l, has_ir ? (ir_len > 0 ? ir : "") : NULL, ir_len);
	return 0;
}

int
login_op_apop(struct peer *p, struct msg_in *m, int fd)
{
	const void *handle, *digest;
	size_t handle_len, digest_len;
	const char *tls, *name, *challenge;
	struct ticket_handle h;
	struct login *l;

	(void)fd;
	msg_get_blob(m, &handle, &handle_len, AUTHP_HANDLE_MAX);
	msg_get_str(m, &tls, AUTHP_TLS_MAX);
	msg_get_str(m, &name, AUTHP_NAME_MAX);
	msg_get_str(m, &challenge, AUTHP_CHALLENGE_MAX);
	msg_get_blob(m, &digest, &digest_len, AUTHP_DIGEST_SIZE);
	if (msg_get_end(m) != 0 || !ops_is_tls_text(tls) ||
	    digest_len != AUTHP_DIGEST_SIZE)
		return ERR_FORMAT;
	if (ops_get_handle(p, handle, handle_len, &h) != 0 || h.receives) {
		ops_reply_verdict(p, m->type, m->id, AUTHP_VOID);
		return 0;
	}
	if ((l = login_open(p, m, &h, CONF_APOP, tls)) == NULL)
		return 0;
	saslx_set_login(&l->x, name, strlen(name));
	l->result = saslx_apop(&l->x, challenge, digest);
	if (!apop_is_challenge(challenge, h.sid, h.issued_s,
	    l->conf->hostname)) {
		l->x.why = "challenge";
		l->result = SASLX_DENIED;
	}
	if (l->result != SASLX_TEMP && login_is_blocked(l))
		l->result = SASLX_DENIED;
	login_finish(l);
	return 0;
}

int
login_op_step(struct peer *p, struct msg_in *m, int fd)
{
	const void *resp;
	size_t len;
	uint32_t exchange;
	struct login *l;

	(void)fd;
	msg_get_u32(m, &exchange);
	msg_get_blob(m, &resp, &len, AUTHP_RESP_MAX);
	if (msg_get_end(m) != 0)
		return ERR_FORMAT;
	if ((l = login_find(p, exchange)) == NULL) {
		ops_reply_verdict(p, m->type, m->id, AUTHP_TEMP);
		return 0;
	}
	if (l->state >= LOGIN_CHECKING)
		return ERR_FORMAT;	/* one request at a time */
	l->type = m->type;
	l->id = m->id;
	l->asked_ms = clock_mono_ms();
	login_feed(l, len > 0 ? resp : "", len);
	return 0;
}

/* True: its check waited, and will not be. */
static bool
login_unqueue(struct login *l)
{
	return l->state == LOGIN_CHECKING && fair_cancel(&l->job);
}

int
login_op_cancel(struct peer *p, struct msg_in *m, int fd)
{
	uint32_t exchange;
	struct login *l;

	(void)fd;
	msg_get_u32(m, &exchange);
	if (msg_get_end(m) != 0)
		return ERR_FORMAT;
	l = login_find(p, exchange);
	/* One that is being checked goes on to its reply. */
	if (l != NULL && l->state < LOGIN_CHECKING)
		login_free(l);
	else if (l != NULL && login_unqueue(l))
		login_end(l, AUTHP_TEMP);
	return 0;
}

void
login_end_all(struct peer *p)
{
	for (unsigned int i = 0; i < AUTHP_EXCHANGES_MAX; i++) {
		struct login *l = p->logins[i];

		if (l == NULL)
			continue;
		if (l->state != LOGIN_CHECKING || login_unqueue(l))
			login_free(l);
		else
			login_leave(l);	/* login_checked() frees it */
	}
}

void
login_expire(struct peer *p, int64_t now_ms)
{
	for (unsigned int i = 0; i < AUTHP_EXCHANGES_MAX; i++) {
		struct login *l = p->logins[i];

		if (l != NULL && l->state < LOGIN_CHECKING &&
		    now_ms - l->born_ms > AUTHP_EXCHANGE_S * 1000)
			login_free(l);
	}
}
