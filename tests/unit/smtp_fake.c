/*
 * smtp_fake.c - see smtp_fake.h. Defines the functions of lib/conn.h,
 * auth/authc.h, lib/acceptor.h and submitd/smtp/worker.h that a session calls
 * (smtp_fake_spool.c: those of submitd/spool/client.h), so that the real ones
 * are not linked.
 */
#include "config.h"
#include "tests/unit/smtp_fake.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/acceptor.h"
#include "lib/log.h"
#include "lib/str.h"
#include "lib/tls.h"
#include "submitd/smtp/session.h"
#include "tests/unit/smtp_fake_private.h"
#include "tests/unit/conn_fake.h"

struct fake *fake;

/* ------------------------------------------------------------------ loop -- */

struct fake_call *
fake_later(void (*run)(struct fake *, struct fake_call *))
{
	struct fake_call *c;

	if (fake->n_calls == FAKE_CALLS)
		abort();
	c = &fake->calls[fake->n_calls++];
	memset(c, 0, sizeof(*c));
	c->run = run;
	c->id = ++fake->next_call;
	return c;
}

static void
fake_loop(struct fake *f)
{
	struct fake_call c;

	while (f->n_calls > 0) {
		c = f->calls[0];
		memmove(f->calls, f->calls + 1,
		    --f->n_calls * sizeof(f->calls[0]));
		if (!c.cancelled)
			c.run(f, &c);
		free(c.text);
	}
}

static void
run_deferred(struct fake *f, struct fake_call *c)
{
	(void)f;
	c->fn(c->ctx);
}

int
loop_defer(struct loop *l, loop_fn *fn, void *ctx)
{
	struct fake_call *c = fake_later(run_deferred);

	(void)l;
	c->fn = fn;
	c->ctx = ctx;
	return 0;
}

/* ------------------------------------------------------------------ conn -- */

struct conn *
conn_new(struct loop *l, int fd, size_t in_max, const struct conn_ops *ops,
    void *ctx)
{
	struct conn *c = calloc(1, sizeof(*c));

	(void)l;
	(void)fd;
	if (c == NULL)
		abort();
	buf_init(&c->in, in_max);
	c->ops = ops;
	c->ctx = ctx;
	fake->conn = c;
	return c;
}

static void
run_secured(struct fake *f, struct fake_call *call)
{
	struct conn *c = f->conn;

	(void)call;
	if (c->closed)
		return;
	c->handshake = false;
	c->tls = true;
	c->ops->secured(c->ctx);
}

int
conn_start_server_tls(struct conn *c, SSL_CTX *ctx)
{
	(void)ctx;
	if (buf_len(&c->in) > 0)
		return ERR_FORMAT;
	c->handshake = true;
	fake_later(run_secured);
	return 0;
}

SSL *
conn_ssl(const struct conn *c)
{
	(void)c;
	return NULL;
}

void
tls_describe(SSL *ssl, char dst[TLS_DESC_SIZE])
{
	(void)ssl;
	strcpy(dst, "TLSv1.3:TEST");
}

size_t
conn_look(struct conn *c)
{
	return buf_len(&c->in);
}

bool
conn_has_more(const struct conn *c)
{
	return buf_len(&c->in) > 0;
}

struct buf *
conn_input(struct conn *c)
{
	return &c->in;
}

int
conn_write(struct conn *c, const void *p, size_t len)
{
	if (c->closed)
		abort();
	return buf_append(&fake->out, p, len);
}

void
conn_pause(struct conn *c)
{
	c->paused = true;
}

static void
run_input(struct fake *f, struct fake_call *call)
{
	struct conn *c = f->conn;

	(void)call;
	if (!c->closed && !c->paused && !c->handshake)
		c->ops->input(c->ctx);
}

void
conn_resume(struct conn *c)
{
	c->paused = false;
	if (buf_len(&c->in) > 0)
		fake_later(run_input);
}

void
conn_idle_timeout(struct conn *c, int64_t ms)
{
	(void)c;
	(void)ms;
}

void
conn_deadline(struct conn *c, int64_t ms)
{
	(void)c;
	(void)ms;
}

void
conn_close(struct conn *c, bool flush)
{
	(void)flush;
	c->closed = true;
}

int
conn_fd(const struct conn *c)
{
	(void)c;
	return 0;
}

const struct addr *
conn_local(const struct conn *c)
{
	return &c->local;
}

uint64_t
conn_octets_in(const struct conn *c)
{
	(void)c;
	return 0;
}

uint64_t
conn_octets_out(const struct conn *c)
{
	(void)c;
	return 0;
}

void
acceptor_left(struct acceptor *a)
{
	(void)a;
	fake->left++;
}

void
smtp_worker_idle(struct smtp_worker *w)
{
	(void)w;
}

struct smtp_settings *
smtp_settings_ref(struct smtp_settings *st)
{
	st->refs++;
	return st;
}

void
smtp_settings_unref(struct smtp_settings *st)
{
	st->refs--;
}

bool
conf_is_local_domain(const struct conf *c, const char *domain)
{
	return strcmp(domain, c->local_domains.v[0]) == 0;
}

/* The domain none.example has a route that is none; else next_hop decides. */
const struct conf_route *
conf_route_find(const struct conf *c, const char *domain)
{
	static const struct conf_route none = { .via = CONF_VIA_NONE };

	if (strcmp(domain, "none.example") == 0)
		return &none;
	return conf_is_local_domain(c, domain) ? c->route_local :
	    c->route_next_hop;
}

/* ----------------------------------------------------------------- authd -- */

static void
run_answer(struct fake *f, struct fake_call *c)
{
	if (c->reply.verdict == AUTHP_CONTINUE)
		f->exchanges++;
	c->answer(c->ctx, &c->reply);
}

static int
fake_answer(authc_fn *fn, void *ctx, enum authp_verdict v, uint32_t *ret_call,
    struct fake_call **ret)
{
	struct fake_call *c = fake_later(run_answer);

	c->answer = fn;
	c->ctx = ctx;
	c->reply.verdict = fake->authd != AUTHP_OK ? fake->authd : v;
	c->reply.blob = "ticket";
	c->reply.blob_len = 6;
	c->reply.handle = "handle";
	c->reply.handle_len = 6;
	c->reply.user = "alice@example.org";
	c->reply.kind = AUTHP_KIND_SASL;
	if (ret_call != NULL)
		*ret_call = c->id;
	if (ret != NULL)
		*ret = c;
	return 0;
}

int
authc_session(struct authc *a, int sock_fd, enum authp_service service,
    const char *sid, const struct addr *claim, authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	(void)claim;
	(void)a;
	(void)sock_fd;
	if (service != AUTHP_SMTP || !str_is_id(sid))
		abort();
	return fake_answer(fn, ctx, AUTHP_OK, ret_call, NULL);
}

static bool
fake_password_is_right(const void *ir, size_t len)
{
	static const char right[] = "\0alice\0secret";

	return len == sizeof(right) - 1 && memcmp(ir, right, len) == 0;
}

/* authd asks for `prompt`. */
static int
fake_prompt(authc_fn *fn, void *ctx, uint32_t exchange, const char *prompt,
    uint32_t *ret_call)
{
	struct fake_call *c;

	fake_answer(fn, ctx, AUTHP_CONTINUE, ret_call, &c);
	c->reply.exchange = exchange;
	c->reply.blob = prompt;
	c->reply.blob_len = strlen(prompt);
	return 0;
}

enum { PROMPT_PLAIN = 1, PROMPT_USER, PROMPT_PASS };

int
authc_sasl_start(struct authc *a, const struct authc_handle *handle,
    const struct authc_start *st, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	const char *mech = st->mech;

	(void)a;
	if (*st->tls == '\0' || (handle->len == 0 &&
	    (st->service != AUTHP_SMTP || !str_is_id(st->sid))))
		abort();
	if (strcmp(mech, "LOGIN") == 0 && st->ir == NULL)
		return fake_prompt(fn, ctx, PROMPT_USER, "Username:",
		    ret_call);
	if (strcmp(mech, "LOGIN") == 0)
		return fake_prompt(fn, ctx, PROMPT_PASS, "Password:",
		    ret_call);
	if (st->ir == NULL)
		return fake_prompt(fn, ctx, PROMPT_PLAIN, "", ret_call);
	return fake_answer(fn, ctx, strcmp(mech, "PLAIN") == 0 &&
	    fake_password_is_right(st->ir, st->ir_len) ? AUTHP_OK : AUTHP_BADCRED,
	    ret_call, NULL);
}

int
authc_sasl_step(struct authc *a, uint32_t exchange, const void *resp,
    size_t len, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	bool right;

	(void)a;
	if (fake->exchanges == 0)
		abort();
	fake->exchanges--;
	if (exchange == PROMPT_USER)
		return fake_prompt(fn, ctx, PROMPT_PASS, "Password:",
		    ret_call);
	right = exchange == PROMPT_PASS ? len == 6 &&
	    memcmp(resp, "secret", 6) == 0 : fake_password_is_right(resp, len);
	return fake_answer(fn, ctx, right ? AUTHP_OK : AUTHP_BADCRED, ret_call,
	    NULL);
}

struct authc *
authc_new_with(struct loop *l, const char *path,
    const struct authc_notices *n, void *ctx)
{
	(void)l;
	(void)path;
	fake->notices = n;
	fake->notices_ctx = ctx;
	return (struct authc *)fake;
}

bool
authc_has_secrets(const struct authc *a)
{
	(void)a;
	return fake->has_secrets;
}

int
authc_apop(struct authc *a, const struct authc_handle *handle, const char *tls,
    const char *name, const char *challenge,
    const uint8_t digest[AUTHP_DIGEST_SIZE], authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	(void)a, (void)handle, (void)tls, (void)name, (void)challenge;
	(void)digest, (void)fn, (void)ctx, (void)ret_call;
	abort();	/* it is POP3's */
}

int
authc_who_entry(struct authc *a, uint32_t serial,
    const struct authc_session_info *s)
{
	(void)a;
	return buf_append(&fake->told, s->user, strlen(s->user)) != 0 ||
	    serial != 7 || s->service != AUTHP_SMTP;
}

void
authc_event(struct authc *a, const struct authc_event *e)
{
	(void)a;
	(void)str_format(fake->event, sizeof(fake->event),
	    "%s %u %s %s %u %s %s %x %u", e->why, e->code,
	    e->status == NULL ? "-" : e->status, e->user == NULL ? "-" :
	    e->user, e->kind, e->sender == NULL ? "-" : e->sender,
	    e->helo == NULL ? "-" : e->helo, e->flags, e->messages);
}

int
authc_who_end(struct authc *a, uint32_t serial)
{
	(void)a;
	return buf_append(&fake->told, ".", 1) != 0 || serial != 7;
}

void
authc_sasl_cancel(struct authc *a, uint32_t exchange)
{
	(void)a;
	(void)exchange;
	if (fake->exchanges == 0)
		abort();
	fake->exchanges--;
}

int
authc_mail(struct authc *a, const struct authc_handle *handle,
    const struct authc_blob *ticket, const char *tls, const char *sender,
    authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	bool alice = *sender == '\0' || fake->lmtp ||
	    strcmp(sender, "alice@example.org") == 0;
	struct fake_call *c;

	(void)a;
	if (handle == NULL || handle->len == 0 || (*tls == '\0' && !fake->lmtp))
		abort();
	fake_answer(fn, ctx, ticket->len == 0 && !fake->granted ?
	    AUTHP_NOAUTH : alice ? AUTHP_OK : AUTHP_NOTSENDER, ret_call, &c);
	c->reply.kind = fake->lmtp ? AUTHP_KIND_RECEIVE : ticket->len == 0 ?
	    AUTHP_KIND_GRANT : AUTHP_KIND_SASL;
	c->reply.size_limit = fake->size_limit;
	/* alice may while she is logged in, and not under her grant. */
	c->reply.may_prioritise = ticket->len > 0;
	return 0;
}

/* alice's own are those that begin with "alice". */
int
authc_from(struct authc *a, const void *ticket, size_t len,
    const char *const *addresses, size_t n, authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	static char owned[AUTHP_FROM_MAX];
	struct fake_call *c;

	(void)a;
	if (len != 6 || memcmp(ticket, "ticket", 6) != 0 || n == 0 ||
	    n > AUTHP_FROM_MAX)
		abort();
	for (size_t i = 0; i < n; i++)
		owned[i] = strncmp(addresses[i], "alice", 5) == 0 ||
		    fake->conf.sender_policy == SENDER_LOG;
	fake_answer(fn, ctx, AUTHP_OK, ret_call, &c);
	c->reply.blob = owned;
	c->reply.blob_len = n;
	return 0;
}

int
authc_rcpt(struct authc *a, const char *address, authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	bool known = strcmp(address, "alice@example.org") == 0 ||
	    strcmp(address, "bob@example.org") == 0 ||
	    strcmp(address, "postmaster") == 0;

	(void)a;
	return fake_answer(fn, ctx, known ? AUTHP_OK : AUTHP_NOUSER, ret_call,
	    NULL);
}

void
authc_cancel(struct authc *a, uint32_t call)
{
	(void)a;
	for (size_t i = 0; i < fake->n_calls; i++)
		if (fake->calls[i].id == call)
			fake->calls[i].cancelled = true;
}

/* ------------------------------------------------------------ the outside -- */

static char *fake_dropped[] = { (char[]){ "Bcc" },
	(char[]){ "Return-Path" } };

struct fake *
fake_new(enum fake_service service)
{
	struct fake *f = calloc(1, sizeof(*f));
	struct acceptor_client client = { .peer = { .port = 12345 },
	    .listener = service == FAKE_SUBMISSIONS ? CONF_SUBMISSIONS :
	    CONF_SUBMISSION, .local = service == FAKE_LMTP };

	if (f == NULL)
		abort();
	log_set_debug(0);
	fake = f;
	f->lmtp = service == FAKE_LMTP;
	f->local_domain = strdup("example.org");
	f->conf.hostname = strdup("mail.example.org");
	f->conf.local_domains.v = &f->local_domain;
	f->conf.local_domains.n = 1;
	f->route_local.via = CONF_VIA_LOCAL;
	f->route_next_hop.via = CONF_VIA_NONE;
	f->conf.route_local = &f->route_local;
	f->conf.route_next_hop = &f->route_next_hop;
	f->conf.message_size_limit = 100000;
	f->conf.recipient_limit = 10;
	f->conf.line_limit = 65536;
	f->conf.header_size_limit = 20000;
	f->conf.header_count_limit = 100;
	f->conf.received_limit = 100;
	f->conf.drop_headers = (struct conf_list){ fake_dropped, 2 };
	f->conf.error_limit = 10;
	f->conf.login_limit = 5;
	f->conf.command_limit = 1000;
	f->conf.idle_timeout_s = 300;
	f->conf.stranger_timeout_s = 1200;
	f->conf.output_limit = 32 * 1024;
	f->conf.sessions_per_user = 250;
	f->settings.conf = &f->conf;
	f->settings.refs = 1;
	f->settings.tls.ctx[CONF_SUBMISSION] =
	    f->settings.tls.ctx[CONF_SUBMISSIONS] = (SSL_CTX *)&f->settings;
	f->worker.settings = &f->settings;
	buf_init(&f->out, 1 << 24);
	buf_init(&f->text, 1 << 24);
	buf_init(&f->told, 1 << 16);
	f->conf.mechanisms = CONF_MECH_BIT(CONF_SCRAM_SHA_256_PLUS) |
	    CONF_MECH_BIT(CONF_SCRAM_SHA_256) | CONF_MECH_BIT(CONF_PLAIN) |
	    CONF_MECH_BIT(CONF_CRAM_MD5) | CONF_MECH_BIT(CONF_LOGIN);
	f->worker.roll = roll_new(NULL, "auth", &smtp_session_roll);
	if (f->worker.roll == NULL)
		abort();
	f->worker.authc = roll_authc(f->worker.roll);
	if (smtp_session_new(&f->worker, 0, &client) != 0)
		abort();
	fake_loop(f);
	return f;
}

void
fake_free(struct fake *f)
{
	if (!f->conn->closed)
		fake_gone(f);
	/* Whatever happened: nothing is left open anywhere. */
	if (f->exchanges != 0 || f->txns != 0 || f->left != 1 ||
	    f->settings.refs != 1 || f->worker.sessions != NULL)
		abort();
	buf_free(&f->conn->in);
	free(f->conn);
	buf_free(&f->out);
	buf_free(&f->text);
	buf_free(&f->told);
	free(f->worker.roll);
	free(f->local_domain);
	free(f->conf.hostname);
	free(f->conf.next_hop);
	free(f->conf.help_text);
	free(f->message);
	free(f->rcpts);
	free(f);
	fake = NULL;
}

struct fake *
fake_new_silent(void)
{
	struct fake *f;

	conn_fake_silence.wanted = true;
	f = fake_new(FAKE_SUBMISSION);
	conn_fake_silence.wanted = false;
	return f;
}

void
fake_end_silence(struct fake *f)
{
	conn_fake_end_silence();
	fake_loop(f);
}

void
fake_send(struct fake *f, const void *p, size_t len, size_t piece)
{
	const uint8_t *q = p;
	size_t n, room;

	while (len > 0 && !f->conn->closed) {
		room = f->conn->in.max - buf_len(&f->conn->in);
		n = len < piece ? len : piece;
		if (n > room)
			n = room;
		/* Nothing runs any more and nothing can come in: stuck. */
		if (n == 0 || buf_append(&f->conn->in, q, n) != 0)
			abort();
		q += n;
		len -= n;
		run_input(f, NULL);
		fake_loop(f);
	}
}

void
fake_login(struct fake *f)
{
	static const char ehlo[] = "EHLO client.example\r\n";
	static const char tls[] = "STARTTLS\r\n";
	static const char auth[] = "AUTH PLAIN AGFsaWNlAHNlY3JldA==\r\n";

	if (!f->conn->tls)
		fake_send(f, tls, sizeof(tls) - 1, 1000);
	fake_send(f, ehlo, sizeof(ehlo) - 1, 1000);
	fake_send(f, auth, sizeof(auth) - 1, 1000);
	fake_clear(f);
}

void
fake_kick(struct fake *f, const char *user)
{
	struct net any = { .bits = 0 };

	f->notices->kick(f->notices_ctx, user, &any, 0);
	fake_loop(f);
}

void
fake_set_secrets(struct fake *f, bool has)
{
	f->has_secrets = has;
}

const char *
fake_who(struct fake *f)
{
	buf_clear(&f->told);
	f->notices->who(f->notices_ctx, 7);
	fake_loop(f);
	if (buf_append(&f->told, "", 1) != 0)
		abort();
	return (const char *)buf_data(&f->told);
}

void
fake_gone(struct fake *f)
{
	f->conn->ops->gone(f->conn->ctx, "eof");
	fake_loop(f);
}

void
fake_timeout(struct fake *f)
{
	f->conn->ops->gone(f->conn->ctx, "timeout");
	fake_loop(f);
}

const char *
fake_output(struct fake *f)
{
	buf_clear(&f->text);
	if (buf_append(&f->text, buf_data(&f->out), buf_len(&f->out)) != 0 ||
	    buf_append(&f->text, "", 1) != 0)
		abort();
	return (const char *)buf_data(&f->text);
}

void
fake_clear(struct fake *f)
{
	buf_clear(&f->out);
}

const char *
fake_codes(struct fake *f)
{
	const char *p = (const char *)buf_data(&f->out);
	const char *end = p + buf_len(&f->out);

	buf_clear(&f->text);
	while (p != NULL && p < end) {
		if (p[3] == ' ' && buf_printf(&f->text, "%s%.3s",
		    buf_len(&f->text) > 0 ? " " : "", p) != 0)
			abort();
		p = memchr(p, '\n', (size_t)(end - p));
		p = p != NULL ? p + 1 : end;
	}
	if (buf_append(&f->text, "", 1) != 0)
		abort();
	return (const char *)buf_data(&f->text);
}

bool
fake_is_closed(const struct fake *f)
{
	return f->conn->closed;
}

unsigned int
fake_commits(const struct fake *f)
{
	return f->commits;
}

unsigned int
fake_open_exchanges(const struct fake *f)
{
	return f->exchanges;
}

const char *
fake_message(struct fake *f)
{
	return f->message != NULL ? f->message : "";
}

const char *
fake_event(struct fake *f)
{
	return f->event;
}

const char *
fake_asked(struct fake *f)
{
	return f->asked;
}

const char *
fake_rcpts(struct fake *f)
{
	return f->rcpts != NULL ? f->rcpts : "";
}

void
fake_set_grant(struct fake *f, bool granted)
{
	f->granted = granted;
}

void
fake_set_authd(struct fake *f, enum authp_verdict all)
{
	f->authd = all;
}

void
fake_set_spool(struct fake *f, enum spoolc_verdict begin,
    enum spoolc_verdict commit)
{
	f->spool_begin = begin;
	f->spool_commit = commit;
}

void
fake_set_room(struct fake *f, uint64_t octets)
{
	f->spool_room = octets;
}

void
fake_set_slow_spool(struct fake *f)
{
	f->slow_spool = true;
}

void
fake_set_next_hop(struct fake *f, const char *next_hop)
{
	free(f->conf.next_hop);
	f->conf.next_hop = strdup(next_hop);
	f->route_next_hop.via = CONF_VIA_SMTP;
}

void
fake_set_help(struct fake *f, const char *text)
{
	free(f->conf.help_text);
	f->conf.help_text = strdup(text);
}

void
fake_set_limits(struct fake *f, uint64_t octets, uint64_t rcpts)
{
	f->conf.message_size_limit = octets;
	f->conf.recipient_limit = rcpts;
}

void
fake_set_own_limit(struct fake *f, uint64_t octets)
{
	f->size_limit = octets;
}

struct conf *
fake_conf(struct fake *f)
{
	return &f->conf;
}

void
fake_set_rate(struct fake *f, uint64_t octets, int64_t window_ms)
{
	f->conf.data_min_rate = octets;
	f->worker.rate_window_ms = window_ms;
}

void
fake_set_extensions(struct fake *f, unsigned int set)
{
	f->settings.extensions = set;
}

void
fake_set_no_tls(struct fake *f)
{
	f->settings.tls.ctx[CONF_SUBMISSION] =
	    f->settings.tls.ctx[CONF_SUBMISSIONS] = NULL;
}

/* Each line of the output is a reply's line; the end may be the alert that a
 * client of the wrong port gets. */
void
fake_check(struct fake *f)
{
	const char *p = (const char *)buf_data(&f->out);
	const char *end = p + buf_len(&f->out), *nl;

	for (; p != NULL && p < end; p = nl + 1) {
		if (end - p == TLS_ALERT_RECORD_LEN && memcmp(p,
		    TLS_ALERT_RECORD, TLS_ALERT_RECORD_LEN) == 0 &&
		    fake_is_closed(f))
			return;
		if ((nl = memchr(p, '\n', (size_t)(end - p))) == NULL ||
		    nl - p < 5 || nl[-1] != '\r' || !isdigit(p[0]) ||
		    !isdigit(p[1]) || !isdigit(p[2]) ||
		    (p[3] != ' ' && p[3] != '-'))
			abort();
		for (const char *q = p; q < nl - 1; q++)
			if ((*q >= 0 && *q < ' ') || *q == 0x7f)
				abort();
		if (!str_is_utf8(p, (size_t)(nl - p)))
			abort();
		if (nl - p > 511 && strncmp(p, "334", 3) != 0)
			abort();
	}
}
