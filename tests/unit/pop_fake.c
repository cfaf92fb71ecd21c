/*
 * pop_fake.c - see pop_fake.h. Linked in front of lib/ and auth/, whose
 * functions of the same names are then left out.
 */
#include "config.h"
#include "tests/unit/pop_fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "popd/pop/command.h"
#include "popd/pop/session.h"
#include "tests/unit/conn_fake.h"

#define FAKE_CALLS_MAX	64u
#define FAKE_TURNS_MAX	100000u

const struct fake_message fake_messages[FAKE_MESSAGES] = {
	{ "Subject: one\n\nhello\n.\n..x\n",
	    "Subject: one\r\n\r\nhello\r\n..\r\n...x\r\n", 31 },
	{ "Subject: two\r\n\r\nb1\r\nb2", "Subject: two\r\n\r\nb1\r\nb2\r\n",
	    24 },
	{ "", "", 0 },
};

enum fake_kind { FAKE_DEFER, FAKE_AUTH, FAKE_OPEN, FAKE_FETCH };

struct fake_call {
	enum fake_kind	 kind;
	void		(*fn)(void);
	void		*ctx;
	uint32_t	 id;
	uint16_t	 type;			/* FAKE_AUTH */
	uint32_t	 exchange;
	char		 text[512];
	size_t		 len;
	bool		 is_start;
	bool		 has_ir;
};

struct conn {
	const struct conn_ops	*ops;
	void			*ctx;
	struct buf		 in;
	struct buf		 out;
	bool			 paused;
	bool			 tls;
	bool			 closed;
	int64_t			 deadline;	/* ms; 0: none */
	uint64_t		 in_octets;
};

struct mboxc_drop {
	bool		 open;
	bool		 closed;
	mboxc_open_fn	*fn;
	mboxc_fetch_fn	*fetched;
	loop_fn		*lost;
	void		*ctx;
	size_t		 index;
	struct mboxc_message messages[FAKE_MESSAGES];
	char		 removed[FAKE_MESSAGES + 1];
};

static struct {
	struct pop_server	 server;
	const struct authc_notices *notices;
	void			*notices_ctx;
	bool			 has_secrets;
	struct conf		 conf;
	struct conn		 conn;
	struct mboxc_drop	 drop;
	struct buf		 output;
	struct fake_call	 calls[FAKE_CALLS_MAX];
	size_t			 n_calls;
	uint32_t		 last_id;
	unsigned int		 exchanges;
	size_t			 sessions;
	enum authp_verdict	 authd;
	enum mboxc_verdict	 on_open, on_fetch, on_update;
	const char		*file;
	char			 removed[FAKE_MESSAGES + 1];
	char			*text;
	bool			 named;		/* a session's id was in it */
} fake;

static void
fake_must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "pop_fake: %s\n", what);
	abort();
}

static struct fake_call *
fake_call(enum fake_kind kind, void (*fn)(void), void *ctx)
{
	struct fake_call *c = &fake.calls[fake.n_calls];

	fake_must(fake.n_calls < FAKE_CALLS_MAX, "too many calls are open");
	memset(c, 0, sizeof(*c));
	c->kind = kind;
	c->fn = fn;
	c->ctx = ctx;
	c->id = ++fake.last_id;
	fake.n_calls++;
	return c;
}

static void
fake_cancel(enum fake_kind kind, uint32_t id)
{
	for (size_t i = 0; i < fake.n_calls; i++) {
		if (fake.calls[i].kind != kind ||
		    (id != 0 && fake.calls[i].id != id))
			continue;
		memmove(&fake.calls[i], &fake.calls[i + 1],
		    (--fake.n_calls - i) * sizeof(fake.calls[0]));
		i--;
	}
}

/* ------------------------------------------------------------ loop, conf -- */

int
loop_defer(struct loop *l, loop_fn *fn, void *ctx)
{
	(void)l;
	fake_call(FAKE_DEFER, (void (*)(void))fn, ctx);
	return 0;
}

struct conf *
conf_ref(struct conf *c)
{
	c->refs++;
	return c;
}

void
conf_unref(struct conf *c)
{
	fake_must(c->refs > 0, "a conf is given back twice");
	c->refs--;
}

void
acceptor_left(struct acceptor *a)
{
	(void)a;
	fake_must(fake.sessions > 0, "a session has left twice");
	fake.sessions--;
}

void
tls_describe(SSL *ssl, char dst[TLS_DESC_SIZE])
{
	(void)ssl;
	strcpy(dst, "TLSv1.3:FAKE");
}

/* ------------------------------------------------------------------ conn -- */

struct conn *
conn_new(struct loop *l, int fd, size_t in_max, const struct conn_ops *ops,
    void *ctx)
{
	(void)l;
	(void)fd;
	fake.conn = (struct conn){ .ops = ops, .ctx = ctx };
	buf_init(&fake.conn.in, in_max);
	buf_init(&fake.conn.out, CONN_OUT_MAX);
	return &fake.conn;
}

static void
fake_secured(void *ctx)
{
	struct conn *c = ctx;

	if (c->closed)
		return;
	c->tls = true;
	c->ops->secured(c->ctx);
}

int
conn_start_server_tls(struct conn *c, SSL_CTX *ctx)
{
	(void)ctx;
	fake_must(!c->tls && !c->closed, "TLS is started twice");
	if (buf_len(&c->in) > 0)
		return ERR_FORMAT;
	return loop_defer(NULL, fake_secured, c);
}

SSL *
conn_ssl(const struct conn *c)
{
	(void)c;
	return NULL;
}

size_t
conn_look(struct conn *c)
{
	return buf_len(&c->in);
}

struct buf *
conn_input(struct conn *c)
{
	return &c->in;
}

int
conn_write(struct conn *c, const void *p, size_t len)
{
	return c->closed ? 0 : buf_append(&c->out, p, len);
}

size_t
conn_pending(const struct conn *c)
{
	return buf_len(&c->out);
}

void
conn_pause(struct conn *c)
{
	c->paused = true;
}

static void
fake_input(void *ctx)
{
	struct conn *c = ctx;

	if (!c->closed && !c->paused)
		c->ops->input(c->ctx);
}

void
conn_resume(struct conn *c)
{
	fake_must(!c->closed, "a closed connection is resumed");
	c->paused = false;
	loop_defer(NULL, fake_input, c);
}

void
conn_deadline(struct conn *c, int64_t ms)
{
	c->deadline = ms;
}

void
conn_close(struct conn *c, bool flush)
{
	if (c->closed)
		return;
	c->closed = true;
	if (flush)
		buf_append(&fake.output, buf_data(&c->out), buf_len(&c->out));
	buf_free(&c->out);
}

int
conn_fd(const struct conn *c)
{
	return c->closed ? -1 : STDERR_FILENO;
}

const struct addr *
conn_local(const struct conn *c)
{
	static const struct addr none;

	(void)c;
	return &none;
}

uint64_t
conn_octets_in(const struct conn *c)
{
	return c->in_octets;
}

uint64_t
conn_octets_out(const struct conn *c)
{
	(void)c;
	return buf_len(&fake.output);
}

/* ----------------------------------------------------------------- authd -- */

static struct fake_call *
fake_ask(uint16_t type, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	struct fake_call *c = fake_call(FAKE_AUTH, (void (*)(void))fn, ctx);

	c->type = type;
	if (ret_call != NULL)
		*ret_call = c->id;
	return c;
}

int
authc_session(struct authc *a, int sock_fd, enum authp_service service,
    const char *sid, const struct addr *claim, authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	(void)claim;
	(void)a;
	fake_must(sock_fd >= 0 && service == AUTHP_POP && strlen(sid) == 16,
	    "SESSION is wrong");
	fake_ask(AUTHP_SESSION, fn, ctx, ret_call);
	return 0;
}

int
authc_sasl_start(struct authc *a, const struct authc_handle *handle,
    const struct authc_start *st, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	struct fake_call *c;

	(void)a;
	fake_must(st->tls[0] != '\0', "START before TLS");
	fake_must(handle->len == 6 || (st->sock_fd >= 0 &&
	    st->service == AUTHP_POP && strlen(st->sid) == 16),
	    "SESSION is wrong");
	c = fake_ask(AUTHP_SASL_START, fn, ctx, ret_call);
	c->has_ir = st->ir != NULL;
	c->is_start = strcmp(st->mech, "PLAIN") == 0;
	c->len = st->ir_len < sizeof(c->text) ? st->ir_len : 0;
	memcpy(c->text, st->ir == NULL ? "" : st->ir, c->len);
	return 0;
}

int
authc_sasl_step(struct authc *a, uint32_t exchange, const void *resp,
    size_t len, authc_fn *fn, void *ctx, uint32_t *ret_call)
{
	struct fake_call *c = fake_ask(AUTHP_SASL_STEP, fn, ctx, ret_call);

	(void)a;
	fake_must(exchange == 7 && fake.exchanges == 1, "STEP of no exchange");
	c->len = len < sizeof(c->text) ? len : 0;
	memcpy(c->text, resp, c->len);
	return 0;
}

int
authc_apop(struct authc *a, const struct authc_handle *handle, const char *tls,
    const char *name, const char *challenge,
    const uint8_t digest[AUTHP_DIGEST_SIZE], authc_fn *fn, void *ctx,
    uint32_t *ret_call)
{
	static const uint8_t right[AUTHP_DIGEST_SIZE] = { 0xab, 0xcd };
	struct fake_call *c;

	(void)a;
	fake_must(handle->len == 6 && tls[0] != '\0' && challenge[0] == '<' &&
	    strstr(challenge, "@pop.example.org>") != NULL, "APOP is wrong");
	c = fake_ask(AUTHP_APOP, fn, ctx, ret_call);
	c->is_start = strcmp(name, "alice@example.org") == 0 &&
	    memcmp(digest, right, sizeof(right)) == 0;
	return 0;
}

struct authc *
authc_new_with(struct loop *l, const char *path,
    const struct authc_notices *n, void *ctx)
{
	(void)l;
	(void)path;
	fake.notices = n;
	fake.notices_ctx = ctx;
	return (struct authc *)&fake;
}

bool
authc_has_secrets(const struct authc *a)
{
	(void)a;
	return fake.has_secrets;
}

int
authc_who_entry(struct authc *a, uint32_t serial,
    const struct authc_session_info *s)
{
	(void)a;
	(void)serial;
	fake_must(s->service == AUTHP_POP && s->mech[0] != '\0' &&
	    s->tls[0] != '\0', "WHO_ENTRY is wrong");
	fake_must(buf_append(&fake.output, s->user, strlen(s->user)) == 0,
	    "memory");
	return 0;
}

void
authc_event(struct authc *a, const struct authc_event *e)
{
	(void)a;
	fake_must(e->service == AUTHP_POP && e->sid[0] != '\0',
	    "EVENT is wrong");
}

int
authc_who_end(struct authc *a, uint32_t serial)
{
	(void)a;
	(void)serial;
	fake_must(buf_append(&fake.output, ".", 1) == 0, "memory");
	return 0;
}

void
authc_sasl_cancel(struct authc *a, uint32_t exchange)
{
	(void)a;
	fake_must(exchange == 7 && fake.exchanges == 1,
	    "CANCEL of no exchange");
	fake.exchanges--;
}

void
authc_cancel(struct authc *a, uint32_t call)
{
	(void)a;
	fake_cancel(FAKE_AUTH, call);
}

static void
fake_authd(struct fake_call *c)
{
	static const char right[] = "\0alice@example.org\0pass word";
	struct authc_reply r = { .verdict = fake.authd };

	if (c->type == AUTHP_SASL_STEP)
		fake.exchanges--;
	if (r.verdict != AUTHP_TEMP && c->type == AUTHP_SESSION) {
		r.verdict = AUTHP_OK;
		r.blob = "HANDLE";
		r.blob_len = 6;
	} else if (r.verdict == AUTHP_OK && c->type == AUTHP_APOP &&
	    c->is_start) {
		r.blob = "TICKET";
		r.blob_len = 6;
		r.user = "alice@example.org";
	} else if (r.verdict == AUTHP_OK && c->type == AUTHP_SASL_START &&
	    !c->is_start) {
		r.verdict = AUTHP_BADMECH;
	} else if (r.verdict == AUTHP_OK && c->type == AUTHP_SASL_START &&
	    !c->has_ir) {
		r.verdict = AUTHP_CONTINUE;
		r.exchange = 7;
		fake.exchanges++;
	} else if (r.verdict == AUTHP_OK && c->len == sizeof(right) - 1 &&
	    memcmp(c->text, right, c->len) == 0) {
		r.blob = "TICKET";
		r.blob_len = 6;
		r.user = "alice@example.org";
	} else if (r.verdict == AUTHP_OK) {
		r.verdict = AUTHP_BADCRED;
	}
	((authc_fn *)c->fn)(c->ctx, &r);
}

/* ------------------------------------------------------------ the maildrop */

struct mboxc_drop *
mboxc_open(struct mboxc *m, const void *ticket, size_t ticket_len,
    mboxc_open_fn *fn, loop_fn *lost, void *ctx)
{
	struct mboxc_drop *d = &fake.drop;

	(void)m;
	fake_must(ticket_len == 6 && memcmp(ticket, "TICKET", 6) == 0,
	    "another ticket");
	fake_must(!d->open, "two maildrops are open");
	if (fake.on_open == MBOXC_VERDICT__COUNT)
		return NULL;
	*d = (struct mboxc_drop){ .open = true, .lost = lost, .ctx = ctx };
	for (int i = 0; i < FAKE_MESSAGES; i++) {
		d->messages[i].octets = fake_messages[i].octets;
		snprintf(d->messages[i].uidl, sizeof(d->messages[i].uidl),
		    "uid%d", i + 1);
	}
	fake_call(FAKE_OPEN, (void (*)(void))fn, ctx)->type = 0;
	return d;
}

size_t
mboxc_count(const struct mboxc_drop *d)
{
	(void)d;
	return FAKE_MESSAGES;
}

uint64_t
mboxc_octets(const struct mboxc_drop *d)
{
	uint64_t all = 0;

	for (size_t i = 0; i < FAKE_MESSAGES; i++)
		all += d->messages[i].octets;
	return all;
}

const struct mboxc_message *
mboxc_message(const struct mboxc_drop *d, size_t i)
{
	fake_must(d->open && i < FAKE_MESSAGES, "no such message");
	return &d->messages[i];
}

int
mboxc_fetch(struct mboxc_drop *d, size_t i, mboxc_fetch_fn *fn)
{
	fake_must(d->open && i < FAKE_MESSAGES, "FETCH of no message");
	d->index = i;
	fake_call(FAKE_FETCH, (void (*)(void))fn, d->ctx);
	return 0;
}

int
mboxc_update(struct mboxc_drop *d, const uint8_t *bits, mboxc_open_fn *fn)
{
	size_t n = 0;

	fake_must(d->open && fake.removed[0] == '\0', "UPDATE twice");
	for (int i = 0; i < FAKE_MESSAGES; i++)
		if (bits[i / 8] & 1u << i % 8)
			d->removed[n++] = (char)('1' + i);
	fake_call(FAKE_OPEN, (void (*)(void))fn, d->ctx)->type = 1;
	return 0;
}

void
mboxc_close(struct mboxc_drop *d)
{
	if (d == NULL)
		return;
	fake_must(d->open, "a maildrop is closed twice");
	d->open = false;
	fake_cancel(FAKE_OPEN, 0);
	fake_cancel(FAKE_FETCH, 0);
}

static void
fake_mbox(struct fake_call *c)
{
	enum mboxc_verdict v = c->type == 0 ? fake.on_open : fake.on_update;

	if (c->type == 1 && v == MBOXC_OK)
		strcpy(fake.removed, fake.drop.removed);
	((mboxc_open_fn *)c->fn)(c->ctx, v);
}

static void
fake_fetch(struct fake_call *c)
{
	const char *text = fake.file != NULL ? fake.file :
	    fake_messages[fake.drop.index].stored;
	int fd = -1;

	if (fake.on_fetch == MBOXC_OK) {
		fd = memfd_create("message", MFD_CLOEXEC);
		fake_must(fd >= 0 && write(fd, text, strlen(text)) ==
		    (ssize_t)strlen(text) && lseek(fd, 0, SEEK_SET) == 0,
		    "memfd");
	}
	((mboxc_fetch_fn *)c->fn)(c->ctx, fake.on_fetch, fd);
}

/* --------------------------------------------------------------- driving -- */

static void
fake_turn(void)
{
	struct fake_call c = fake.calls[0];

	fake.n_calls--;
	memmove(&fake.calls[0], &fake.calls[1],
	    fake.n_calls * sizeof(fake.calls[0]));
	if (c.kind == FAKE_DEFER)
		((loop_fn *)c.fn)(c.ctx);
	else if (c.kind == FAKE_AUTH)
		fake_authd(&c);
	else if (c.kind == FAKE_OPEN)
		fake_mbox(&c);
	else
		fake_fetch(&c);
}

/* Until nobody has anything to do any more. */
static void
fake_run(void)
{
	struct conn *c = &fake.conn;
	unsigned int turns = 0;

	for (;;) {
		fake_must(++turns < FAKE_TURNS_MAX, "it never comes to rest");
		if (fake.n_calls > 0) {
			fake_turn();
		} else if (buf_len(&c->out) > 0 && !c->closed) {
			buf_append(&fake.output, buf_data(&c->out),
			    buf_len(&c->out));
			buf_free(&c->out);
			c->ops->drained(c->ctx);
		} else {
			break;
		}
		fake_check();
	}
}

static void
fake_begin(enum fake_service service, bool with_tls, bool secrets)
{
	static char hostname[] = "pop.example.org";
	static SSL_CTX *tls_ctx;
	struct acceptor_client client = { .peer = { .port = 1 },
	    .listener = service == FAKE_POP3S ? CONF_POP3S : CONF_POP3 };

	memset(&fake, 0, sizeof(fake));
	buf_init(&fake.output, 64 * 1024 * 1024);
	fake.conf.hostname = hostname;
	fake.conf.refs = 1;
	fake.conf.error_limit = 20;
	fake.conf.login_limit = 5;
	fake.conf.command_limit = 1000;
	fake.conf.idle_timeout_s = 300;
	fake.conf.stranger_timeout_s = 1200;
	fake.conf.output_limit = 32 * 1024;
	fake.conf.sessions_per_user = 250;
	fake.sessions = 1;
	TAILQ_INIT(&fake.server.sessions);
	fake.server.conf = &fake.conf;
	if (tls_ctx == NULL)	/* kept: a fuzzer makes many sessions */
		tls_ctx = SSL_CTX_new(TLS_server_method());
	if (with_tls)
		fake.server.tls.ctx[CONF_POP3] =
		    fake.server.tls.ctx[CONF_POP3S] = tls_ctx;
	fake.has_secrets = secrets;
	fake.conf.mechanisms = CONF_MECH_BIT(CONF_SCRAM_SHA_256_PLUS) |
	    CONF_MECH_BIT(CONF_PLAIN) | CONF_MECH_BIT(CONF_APOP) |
	    CONF_MECH_BIT(CONF_LOGIN);
	fake.server.roll = roll_new(NULL, "auth", &pop_session_roll);
	fake_must(fake.server.roll != NULL, "memory");
	fake.server.authc = roll_authc(fake.server.roll);
	fake_must(pop_session_accept(&fake.server, 0, &client) == 0,
	    "not accepted");
	fake_run();
}

void
fake_new(enum fake_service service)
{
	fake_begin(service, true, false);
}

void
fake_new_without_tls(void)
{
	fake_begin(FAKE_POP3, false, false);
}

void
fake_new_with_secrets(enum fake_service service)
{
	fake_begin(service, true, true);
}

void
fake_new_silent(void)
{
	conn_fake_silence.wanted = true;
	fake_begin(FAKE_POP3, true, false);
	conn_fake_silence.wanted = false;
}

void
fake_end_silence(void)
{
	conn_fake_end_silence();
	fake_run();
}

void
fake_kick(const char *user)
{
	struct net any = { .bits = 0 };

	fake.notices->kick(fake.notices_ctx, user, &any);
	fake_run();
}

const char *
fake_who(void)
{
	fake_clear();
	fake.notices->who(fake.notices_ctx, 7);
	fake_run();
	return fake_output();
}

void
fake_free(void)
{
	if (!fake.conn.closed)
		fake_gone("eof");
	fake_must(TAILQ_EMPTY(&fake.server.sessions) && fake.sessions == 0 &&
	    fake.conf.refs == 1, "the session is not freed");
	buf_free(&fake.conn.in);
	buf_free(&fake.conn.out);
	buf_free(&fake.output);
	free(fake.server.roll);
	free(fake.text);
}

void
fake_send(const void *p, size_t len, size_t piece)
{
	struct conn *c = &fake.conn;
	const uint8_t *from = p;
	size_t n;

	while (len > 0 && !c->closed) {
		n = c->in.max - buf_len(&c->in);
		fake_must(n > 0, "the input is full and nobody takes it");
		n = n > piece ? piece : n;
		n = n > len ? len : n;
		buf_append(&c->in, from, n);
		c->in_octets += n;
		from += n;
		len -= n;
		fake_input(c);
		fake_run();
	}
}

void
fake_say(const char *text)
{
	fake_send(text, strlen(text), strlen(text));
}

void
fake_login(void)
{
	if (!fake.conn.tls)
		fake_say("STLS\r\n");
	fake_say("USER alice@example.org\r\n");
	fake_say("PASS pass word\r\n");
	fake_clear();
}

void
fake_gone(const char *why)
{
	if (!fake.conn.closed)
		fake.conn.ops->gone(fake.conn.ctx, why);
	fake_run();
}

void
fake_lose_mbox(void)
{
	fake.drop.lost(fake.drop.ctx);
	fake_run();
}

int64_t
fake_deadline_ms(void)
{
	return fake.conn.deadline;
}

void
fake_wanted(int64_t silent_ms)
{
	struct pop_session *s = TAILQ_FIRST(&fake.server.sessions);

	s->alive_ms = clock_mono_ms() - silent_ms;
	pop_drop_wanted(s);
	fake_run();
}

/* They are others each time. */
static bool
fake_leave_out_ids(char *text)
{
	char id[STR_ID_SIZE], *p = text;
	bool any = false;

	while ((p = strstr(p, " [")) != NULL) {
		if (str_copy_n(id, sizeof(id), p + 2, strnlen(p + 2,
		    STR_ID_SIZE - 1)) == 0 && str_is_id(id) &&
		    strncmp(p + 1 + STR_ID_SIZE, "]\r\n", 3) == 0) {
			memmove(p, p + 2 + STR_ID_SIZE,
			    strlen(p + 2 + STR_ID_SIZE) + 1);
			any = true;
		} else {
			p++;
		}
	}
	return any;
}

const char *
fake_output(void)
{
	free(fake.text);
	fake.text = malloc(buf_len(&fake.output) + 1);
	if (buf_len(&fake.output) > 0)
		memcpy(fake.text, buf_data(&fake.output),
		    buf_len(&fake.output));
	fake.text[buf_len(&fake.output)] = '\0';
	fake.named = fake_leave_out_ids(fake.text);
	return fake.text;
}

bool
fake_names_session(void)
{
	return fake.named;
}

void
fake_clear(void)
{
	buf_consume(&fake.output, buf_len(&fake.output));
}

bool
fake_is_closed(void)
{
	return fake.conn.closed;
}

bool
fake_is_secured(void)
{
	return fake.conn.tls;
}

bool
fake_drop_is_open(void)
{
	return fake.drop.open;
}

const char *
fake_removed(void)
{
	return fake.removed;
}

unsigned int
fake_open_exchanges(void)
{
	return fake.exchanges;
}

void
fake_set_authd(enum authp_verdict all)
{
	fake.authd = all;
}

void
fake_set_mbox(enum mboxc_verdict open, enum mboxc_verdict fetch,
    enum mboxc_verdict update)
{
	fake.on_open = open;
	fake.on_fetch = fetch;
	fake.on_update = update;
}

void
fake_set_file(const char *text)
{
	fake.file = text;
}

void
fake_set_help(const char *text)
{
	static char help[512];

	snprintf(help, sizeof(help), "%s", text);
	fake.conf.help_text = help;
}

void
fake_set_policy(uint64_t expire_days, uint64_t login_delay_s,
    uint64_t takeover_s)
{
	fake.conf.pop_expire_days = expire_days;
	fake.conf.login_delay_s = login_delay_s;
	fake.conf.pop_takeover_s = takeover_s;
}

void
fake_check(void)
{
	fake_must(!fake.drop.open || fake.conn.tls, "a maildrop without TLS");
	fake_must(!fake.conn.closed || (!fake.drop.open &&
	    fake.exchanges == 0), "closed, but something is still open");
	fake_must(fake.conn.closed || fake.conn.deadline > 0 ||
	    fake.conn.ops == NULL, "no deadline");
	fake_must(buf_len(&fake.conn.out) < 4 * CONN_OUT_HIGH,
	    "the output is not bounded");
}
