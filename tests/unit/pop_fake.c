/*
 * pop_fake.c - see pop_fake.h. Linked in front of lib/ and auth/, whose
 * functions of the same names are then left out.
 */
#include "config.h"
#include "tests/unit/pop_fake.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/err.h"
#include "popd/pop/command.h"
#include "tests/unit/conn_fake.h"
#include "tests/unit/pop_fake_private.h"

#define FAKE_TURNS_MAX	100000u

struct fake fake;

void
fake_must(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "pop_fake: %s\n", what);
	abort();
}

struct fake_call *
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

void
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
conn_more(struct conn *c, bool more)
{
	(void)c;
	(void)more;
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

	fake.notices->kick(fake.notices_ctx, user, &any, 0);
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
