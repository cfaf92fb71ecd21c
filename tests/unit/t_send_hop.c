/*
 * t_send_hop.c - schedule, attempts, the next hop and the SMTP client together,
 * against a scripted server in a thread and a spool that only takes notes.
 *
 * The scripts are those of send_server.h. The notes are what the spool was told:
 * "done 0", "defer 1 +N" …
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/conf_route.h"
#include "lib/clock.h"
#include "lib/fio.h"
#include "lib/log.h"
#include "submitd/send/hop.h"
#include "submitd/send/schedule.h"
#include "submitd/spool/client.h"
#include "tests/unit/send_server.h"

#define MESSAGE "Subject: x\r\n\r\n.dot\r\n..\r\nlast\r\n"
#define EIGHT "Subject: x\r\n\r\n\xc3\xa4\r\n"

/* --------------------------------------------------------------- the spool -- */

static struct {
	struct loop	*loop;
	const char	*message;
	char		 notes[8192];
	char		 texts[8192];	/* the last words of each note */
	char		 bounce[3000000];
	size_t		 parted;	/* octets of it so far */
	size_t		 n;
	size_t		 want;		/* notes; then the loop ends */
	bool		 refuse_open;
	bool		 refuse_bounce;
	unsigned int	 opens;
} spool;

struct spool_call {
	spoolq_open_fn	*open_fn;
	spoolq_bounce_fn *bounce_fn;
	void		*ctx;
};

/* The client's side of the spool, for once without a spool. */
static void	spool_note(const char *fmt, ...)
		    __attribute__((format(printf, 1, 2)));

static void
spool_note(const char *fmt, ...)
{
	size_t at = strlen(spool.notes);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(spool.notes + at, sizeof(spool.notes) - at, fmt, ap);
	va_end(ap);
	if (++spool.n >= spool.want)
		loop_stop(spool.loop);
}

static void
spool_answer(void *ctx)
{
	struct spool_call c = *(struct spool_call *)ctx;
	static unsigned int opened;

	free(ctx);
	/* Small ones come in the answer, others as a file: by turns. */
	if (c.open_fn != NULL && spool.refuse_open)
		c.open_fn(c.ctx, -1, 0, NULL, 0);
	else if (c.open_fn != NULL && ++opened % 2 == 0)
		c.open_fn(c.ctx, fio_memfd("message", spool.message,
		    strlen(spool.message)), 0, NULL, 0);
	else if (c.open_fn != NULL)
		c.open_fn(c.ctx, -1, 0, spool.message, strlen(spool.message));
	else
		c.bounce_fn(c.ctx, !spool.refuse_bounce);
}

static int
spool_call(struct spool_call c)
{
	struct spool_call *copy = malloc(sizeof(c));

	assert_non_null(copy);
	*copy = c;
	return loop_defer(spool.loop, spool_answer, copy);
}

int
spoolq_open(struct spoolq *q, const char *id, bool lent, spoolq_open_fn *fn,
    void *ctx)
{
	(void)q;
	(void)id;
	(void)lent;
	spool.opens++;
	return spool_call((struct spool_call){ .open_fn = fn, .ctx = ctx });
}

int
spoolq_bounce(struct spoolq *q, const char *id,
    const struct spoolq_part *part, spoolq_bounce_fn *fn, void *ctx)
{
	(void)q;
	(void)id;
	assert_true(part->octets < sizeof(spool.bounce));
	assert_true(part->len > 0 && part->len <= 60000);
	assert_true(part->len <= part->octets - part->offset);
	assert_true(part->offset == 0 || part->offset == spool.parted);
	spool.parted = part->offset + part->len;
	memcpy(spool.bounce + part->offset, part->text, part->len);
	spool.bounce[spool.parted] = '\0';
	if (spool.parted == part->octets)
		spool_note("bounce;");
	return spool_call((struct spool_call){ .bounce_fn = fn, .ctx = ctx });
}

static void
spool_text(const char *text)
{
	size_t at = strlen(spool.texts);

	snprintf(spool.texts + at, sizeof(spool.texts) - at, "%s\n", text);
}

int
spoolq_done(struct spoolq *q, const char *id, uint32_t rcpt, const char *text)
{
	(void)q;
	(void)id;
	spool_text(text);
	spool_note("done %u;", rcpt);
	return 0;
}

int
spoolq_defer(struct spoolq *q, const char *id, uint32_t rcpt,
    int64_t next_try_s, bool was_told, const char *text)
{
	(void)q;
	(void)id;
	/* A deadline (RFC 2852) is told of whenever the next try is. */
	assert_true(was_told || next_try_s > clock_now_s());
	spool_text(text);
	spool_note(was_told ? "told %u;" : "defer %u;", rcpt);
	return 0;
}

int
spoolq_delivered(struct spoolq *q, const char *id, uint32_t rcpt,
    const char *text)
{
	(void)q;
	(void)id;
	spool_text(text);
	spool_note("delivered %u;", rcpt);
	return 0;
}

int
spoolq_fail(struct spoolq *q, const char *id, uint32_t rcpt, const char *text)
{
	(void)q;
	(void)id;
	spool_text(text);
	spool_note("fail %u;", rcpt);
	return 0;
}

void
spoolq_msg_free(struct spoolq_msg *m)
{
	for (size_t i = 0; i < m->n_rcpts; i++) {
		free(m->rcpts[i].address);
		free(m->rcpts[i].dsn.orcpt);
	}
	free(m->rcpts);
	free(m->envid);
	free(m->sender);
	free(m->user);
	free(m);
}

static struct spoolq_msg *
spool_msg(const char *sender, const char *const *rcpts, bool eightbit,
    int64_t arrived_s)
{
	struct spoolq_msg *m = calloc(1, sizeof(*m));

	assert_non_null(m);
	str_id(m->id);
	m->sender = strdup(sender);
	m->user = strdup("alice@here.test");
	m->envid = strdup("");
	m->arrived_s = arrived_s;
	m->octets = strlen(spool.message);
	m->eightbit = eightbit;
	while (rcpts[m->n_rcpts] != NULL)
		m->n_rcpts++;
	m->rcpts = calloc(m->n_rcpts, sizeof(*m->rcpts));
	for (size_t i = 0; i < m->n_rcpts; i++)
		m->rcpts[i].address = strdup(rcpts[i]);
	return m;
}

/* --------------------------------------------------------------- the bench -- */

struct bench {
	struct loop	*loop;
	struct resolve	*resolve;
	struct sched	*sched;
	struct hops	*hops;
	struct conf	 conf;
	char		 next_hop[64];
	struct timer	 timer;
};

static void
bench_timeout(void *ctx)
{
	struct bench *b = ctx;

	loop_stop(b->loop);
}

static void
bench_open(struct bench *b, const char *script, bool bytewise)
{
	static char hostname[] = "mx.here.test", local[] = "here.test";
	static char *domains[] = { local };

	memset(b, 0, sizeof(*b));
	memset(&spool, 0, sizeof(spool));
	server_open(script, bytewise);
	snprintf(b->next_hop, sizeof(b->next_hop), "127.0.0.1:%u", server.port);
	b->conf = (struct conf){ .refs = 1, .send_connections = 200, .hostname = hostname,
		.next_hop = b->next_hop, .local_domains = { domains, 1 },
		.retry_min_s = 1, .retry_max_s = 2, .queue_lifetime_s = 86400,
		.delay_warning_s = 4 * 3600 };
	assert_int_equal(conf_routes_make(&b->conf), 0);
	b->loop = spool.loop = loop_new();
	spool.message = MESSAGE;
	b->resolve = resolve_new(b->loop, NULL);
	assert_non_null(b->resolve);
	b->sched = sched_new(b->loop, &b->conf);
	b->hops = hops_new(b->loop, b->resolve, NULL, NULL);
	sched_set_hops(b->sched, b->hops);
	assert_int_equal(timer_init(&b->timer, b->loop, bench_timeout, b), 0);
}

static void
bench_add(struct bench *b, const char *sender, const char *const *rcpts,
    bool eightbit, int64_t age_s)
{
	sched_spoolq_ops.entry(b->sched, spool_msg(sender, rcpts, eightbit,
	    clock_now_s() - age_s));
}

/* Until the spool has so many notes, or `ms` are over. */
static void
bench_run(struct bench *b, size_t want, int64_t ms)
{
	spool.want = want;
	if (spool.n < want) {
		timer_arm(&b->timer, ms);
		loop_run(b->loop);
	}
	timer_stop(&b->timer);
}

/* What is deferred frees itself in another turn or two. */
static void
bench_turns(struct bench *b)
{
	timer_arm(&b->timer, 10);
	loop_run(b->loop);
}

static void
bench_close(struct bench *b)
{
	spool.want = SIZE_MAX;
	sched_spoolq_ops.reset(b->sched);
	bench_turns(b);
	sched_free(b->sched);
	hops_free(b->hops);
	conf_routes_free(&b->conf);
	bench_turns(b);
	server_close();
	resolve_free(b->resolve);
	timer_free(&b->timer);
	loop_free(b->loop);
}

/* ---------------------------------------------------------------- dialogs -- */

#define EHLO "N\nS 220 hi\nC EHLO mx.here.test\nS 250 hop.test\n"
#define EHLO_ALL "N\nS 220 hi\nC EHLO mx.here.test\nS 250-hop.test\n" \
	"S 250-PIPELINING\nS 250-SIZE 1000\nS 250 8bitmime\n"
#define EHLO_UTF8 "N\nS 220 hi\nC EHLO mx.here.test\nS 250-hop.test\n" \
	"S 250-8BITMIME\nS 250 SMTPUTF8\n"
#define EHLO_BY "N\nS 220 hi\nC EHLO\nS 250-hop.test\nS 250 DELIVERBY\n"
#define EHLO_DSN "N\nS 220 hi\nC EHLO mx.here.test\nS 250-hop.test\n" \
	"S 250 DSN\n"
#define MAIL "C MAIL FROM:<a@here.test>\nS 250 ok\n"
#define RCPT1 "C RCPT TO:<x@there.test>\nS 250 ok\n"
#define DATA "C DATA\nS 354 go\nB\n"

struct dialog_row {
	const char	*name;
	const char	*script;
	const char	*sender;	/* NULL: a@here.test */
	const char	*rcpts[4];	/* none: x@there.test */
	const char	*notes;
	const char	*text;		/* stands in a result, or NULL */
	const char	*bounce;	/* stands in the report, or NULL */
	bool		 eightbit;
	const char	*message;	/* NULL: MESSAGE */
	const char	*content;	/* what the server got, or NULL */
	bool		 smtputf8;
	enum spool_ret	 ret;
	const char	*envid;		/* NULL: none */
	uint8_t		 notify;	/* of all recipients */
	const char	*orcpt;
	int64_t		 age_s;
	bool		 owed;		/* delivered before */
	struct spool_wishes wishes;	/* times from now on */
	uint64_t	 min_s;		/* until a retry; 0: 1 s */
	int64_t		 least_ms;	/* that it takes */
};

#define TWO { "x@there.test", "y@there.test" }
#define RCPT2 "C RCPT TO:<y@there.test>\nS 250 ok\n"

/* clang-format off */
static const struct dialog_row dialog_rows[] = {
	{ .name = "a message, one command at a time",
	  .script = EHLO MAIL RCPT1 DATA "S 250 queued as 7\n",
	  .notes = "done 0;", .text = "250 queued as 7",
	  .content = "Subject: x\r\n\r\n..dot\r\n...\r\nlast\r\n" },
	{ .name = "pipelined, SIZE and BODY",
	  .script = EHLO_ALL "C MAIL FROM:<a@here.test> SIZE=30 BODY=8BITMIME\nC RCPT TO:<x@there.test>\nC RCPT TO:<y@there.test>\nR 250 ok|250 ok|250 ok|\n" DATA "S 250 ok\n",
	  .rcpts = TWO, .eightbit = true, .notes = "done 0;done 1;" },
	{ .name = "HELO where EHLO is not known",
	  .script = "N\nS 220 hi\nC EHLO\nS 500 what\nC HELO mx.here.test\nS 250 ok\n" MAIL RCPT1 DATA "S 250 ok\n",
	  .notes = "done 0;" },
	{ .name = "the null sender",
	  .script = EHLO "C MAIL FROM:<>\nS 250 ok\n" RCPT1 DATA "S 250 ok\n",
	  .sender = "", .notes = "done 0;" },
	{ .name = "one of two refused for good",
	  .script = EHLO MAIL "C RCPT TO:<x@there.test>\nS 550 5.1.1 nobody\n" RCPT2 DATA "S 250 ok\n",
	  .rcpts = TWO, .notes = "done 1;bounce;fail 0;", .text = "550 5.1.1 nobody", .bounce = "Final-Recipient: rfc822; x@there.test\r\nAction: failed\r\nStatus: 5.1.1\r\n" },
	{ .name = "both refused: one report",
	  .script = EHLO MAIL "C RCPT\nS 550 5.1.1 nobody\nC RCPT\nS 551 5.1.6 gone\nC RSET\nS 250 ok\n",
	  .rcpts = TWO, .notes = "bounce;fail 0;fail 1;", .bounce = "551 5.1.6 gone" },
	{ .name = "refused for good, null sender: no report",
	  .script = EHLO "C MAIL FROM:<>\nS 250 ok\nC RCPT\nS 550 no\nC RSET\nS 250 ok\n",
	  .sender = "", .notes = "fail 0;" },
	{ .name = "one refused for now",
	  .script = EHLO MAIL "C RCPT\nS 450 4.2.1 greylisted\n" RCPT2 DATA "S 250 ok\n",
	  .rcpts = TWO, .notes = "done 1;defer 0;", .text = "450 4.2.1 greylisted" },
	{ .name = "too many recipients: the rest at once",
	  .script = EHLO MAIL RCPT1 "C RCPT\nS 452 4.5.3 too many\n" DATA "S 250 ok\n" MAIL RCPT2 DATA "S 250 ok\n",
	  .rcpts = TWO, .notes = "done 0;done 1;" },
	{ .name = "too many recipients, and then deferred",
	  .script = EHLO MAIL RCPT1 "C RCPT\nS 452 4.5.3 too many\n" DATA "S 451 later\n",
	  .rcpts = TWO, .notes = "defer 0;defer 1;" },
	{ .name = "two destinations, one report",
	  .script = EHLO MAIL "C RCPT TO:<x@there.test>\nS 550 5.1.1 nobody\nC RSET\nS 250 ok\n",
	  .rcpts = { "x@there.test", "y@here.test" }, .notes = "bounce;fail 0;fail 1;", .text = "550 5.1.1 nobody", .bounce = "Final-Recipient: rfc822; y@here.test\r\nAction: failed\r\nStatus: 5.4.4\r\n" },
	{ .name = "one of two destinations",
	  .script = EHLO MAIL RCPT1 DATA "S 250 2.0.0 ok\n",
	  .rcpts = { "x@there.test", "y@here.test" }, .notes = "done 0;bounce;fail 1;", .bounce = "Final-Recipient: rfc822; y@here.test\r\nAction: failed\r\n" },
	{ .name = "5xx to MAIL", .script = EHLO "C MAIL\nS 550 5.7.1 not you\nC RSET\nS 250 ok\n",
	  .rcpts = TWO, .notes = "bounce;fail 0;fail 1;" },
	{ .name = "5xx to MAIL, pipelined",
	  .script = EHLO_ALL "C MAIL\nC RCPT\nC RCPT\nC DATA\nS 550 5.7.1 not you\nS 503 no\nS 503 no\nS 503 no\nC RSET\nS 250 ok\n",
	  .rcpts = TWO, .notes = "bounce;fail 0;fail 1;", .text = "550 5.7.1 not you" },
	{ .name = "nobody taken, and DATA let in: no empty message",
	  .script = EHLO_ALL "C MAIL\nC RCPT\nC RCPT\nC DATA\nS 250 ok\nS 550 no\nS 551 no\nS 354 go\nZ\n",
	  .rcpts = TWO, .notes = "bounce;fail 0;fail 1;", .text = "551 no" },
	{ .name = "some taken, DATA in the same write",
	  .script = EHLO_ALL "C MAIL\nC RCPT\nC RCPT\nC DATA\nS 250 ok\nS 550 no\nS 250 ok\nS 354 go\nB\nS 250 ok\n",
	  .rcpts = TWO, .notes = "done 1;bounce;fail 0;" },
	{ .name = "4xx to MAIL", .script = EHLO "C MAIL\nS 451 later\nC RSET\nS 250 ok\n", .notes = "defer 0;" },
	{ .name = "5xx to DATA", .script = EHLO MAIL RCPT1 "C DATA\nS 554 no\nC RSET\nS 250 ok\n", .notes = "bounce;fail 0;" },
	{ .name = "4xx to DATA", .script = EHLO MAIL RCPT1 "C DATA\nS 451 no\nC RSET\nS 250 ok\n", .notes = "defer 0;" },
	{ .name = "2xx to DATA", .script = EHLO MAIL RCPT1 "C DATA\nS 250 ok\n", .notes = "defer 0;", .text = "a reply out of place" },
	{ .name = "5xx to the content", .script = EHLO MAIL RCPT1 DATA "S 554 5.6.0 spam\n", .notes = "bounce;fail 0;", .bounce = "554 5.6.0 spam" },
	{ .name = "4xx to the content", .script = EHLO MAIL RCPT1 DATA "S 452 full\n", .notes = "defer 0;" },
	{ .name = "354 to the content", .script = EHLO MAIL RCPT1 DATA "S 354 more\n", .notes = "defer 0;" },
	{ .name = "no answer to the content", .script = EHLO MAIL RCPT1 DATA "X\n", .notes = "defer 0;", .text = "it may come twice" },
	{ .name = "the answer before the content", .script = EHLO MAIL RCPT1 "C DATA\nR 354 go|250 ok|\nZ\n", .notes = "defer 0;" },
	{ .name = "421 at RCPT", .script = EHLO MAIL RCPT1 "C RCPT\nS 421 4.3.2 going down\nX\n", .rcpts = TWO, .notes = "defer 0;defer 1;", .text = "421 4.3.2 going down" },
	{ .name = "the connection drops at MAIL", .script = EHLO "C MAIL\nX\n", .notes = "defer 0;" },
	{ .name = "554 as greeting", .script = "N\nS 554 no service\n", .notes = "defer 0;", .text = "554 no service" },
	{ .name = "421 as greeting", .script = "N\nS 421 busy\nX\n", .notes = "defer 0;" },
	{ .name = "no greeting", .script = "N\nX\n", .notes = "defer 0;", .text = "the connection was closed while waiting for the greeting" },
	{ .name = "garbage as greeting", .script = "N\nS SSH-2.0-OpenSSH\n", .notes = "defer 0;", .text = "garbage instead of a reply" },
	{ .name = "a bare LF", .script = "N\nR 220 hi_\nZ\n", .notes = "defer 0;" },
	{ .name = "4xx to EHLO", .script = "N\nS 220 hi\nC EHLO\nS 450 later\n", .notes = "defer 0;" },
	{ .name = "5xx to HELO", .script = "N\nS 220 hi\nC EHLO\nS 500 no\nC HELO\nS 550 no\n", .notes = "defer 0;" },
	{ .name = "too large by SIZE",
	  .script = "N\nS 220 hi\nC EHLO\nS 250-hop.test\nS 250 SIZE 10\n", .notes = "bounce;fail 0;", .text = "5.3.4 the message has 30 octets, the next hop takes 10" },
	{ .name = "SIZE without a limit",
	  .script = "N\nS 220 hi\nC EHLO\nS 250-hop.test\nS 250 SIZE 0\nC MAIL FROM:<a@here.test> SIZE=30\nS 250 ok\n" RCPT1 DATA "S 250 ok\n", .notes = "done 0;" },
	{ .name = "8 bits without 8BITMIME", .script = EHLO, .eightbit = true, .message = EIGHT, .notes = "bounce;fail 0;", .text = "5.6.3 " },
	{ .name = "said to have 8 bits, without 8BITMIME", .script = EHLO MAIL RCPT1 DATA "S 250 ok\n", .eightbit = true, .notes = "done 0;" },
	/* RFC 6531 */
	{ .name = "SMTPUTF8 is passed on", .script = EHLO_UTF8 "C MAIL FROM:<\xc3\xa4@here.test> SMTPUTF8\nS 250 ok\nC RCPT TO:<x@\xc3\xa4.test>\nS 250 ok\n" DATA "S 250 ok\n",
	  .sender = "\xc3\xa4@here.test", .rcpts = { "x@\xc3\xa4.test" }, .smtputf8 = true, .notes = "done 0;" },
	{ .name = "but not where nobody asked for it", .script = EHLO_UTF8 MAIL RCPT1 DATA "S 250 ok\n", .notes = "done 0;" },
	{ .name = "nor where nothing needs it", .script = EHLO MAIL RCPT1 DATA "S 250 ok\n", .smtputf8 = true, .notes = "done 0;" },
	{ .name = "a U-label goes as A-label", .script = EHLO MAIL "C RCPT TO:<x@xn--4ca.test>\nS 250 ok\n" DATA "S 250 ok\n",
	  .rcpts = { "x@\xc3\xa4.test" }, .smtputf8 = true, .notes = "done 0;" },
	{ .name = "one recipient cannot be named", .script = EHLO MAIL RCPT1 RCPT2 DATA "S 250 ok\n",
	  .rcpts = { "x@there.test", "\xc3\xa4@there.test", "y@there.test" }, .smtputf8 = true, .notes = "done 0;done 2;bounce;fail 1;", .text = "5.6.7 the address has",
	  .bounce = "Final-Recipient: utf-8; \\x{E4}@there.test\r\nAction: failed\r\nStatus: 5.6.7\r\n" },
	{ .name = "the sender cannot be named", .script = EHLO, .sender = "\xc3\xa4@here.test", .smtputf8 = true,
	  .notes = "bounce;fail 0;", .text = "5.6.7 the sender's", .bounce = "\r\nTo: <\xc3\xa4@here.test>\r\n" },
	{ .name = "the header needs it", .script = EHLO, .smtputf8 = true, .message = "Subject: \xc3\xa4\r\n\r\nx\r\n",
	  .notes = "bounce;fail 0;", .text = "5.6.7 the message's header", .bounce = "message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: \xc3\xa4\r\n" },
	{ .name = "only the body has it", .script = EHLO MAIL RCPT1 DATA "S 250 ok\n", .smtputf8 = true, .message = "Subject: a\r\n\r\n\xc3\xa4\r\n", .notes = "done 0;" },
	{ .name = "a body without a header", .script = EHLO MAIL RCPT1 DATA "S 250 ok\n", .smtputf8 = true, .message = "\r\n\xc3\xa4\r\n", .notes = "done 0;" },
	/* RFC 3461 */
	{ .name = "what was asked is passed on", .script = EHLO_DSN "C MAIL FROM:<a@here.test> RET=HDRS ENVID=Q+2B1\nS 250 ok\nC RCPT TO:<x@there.test> NOTIFY=SUCCESS,DELAY ORCPT=rfc822;o+2B@there.test\nS 250 ok\n" DATA "S 250 ok\n",
	  .ret = SPOOL_RET_HDRS, .envid = "Q+2B1", .notify = SPOOL_NOTIFY_SUCCESS | SPOOL_NOTIFY_DELAY, .orcpt = "rfc822;o+2B@there.test", .notes = "done 0;" },
	{ .name = "NEVER is passed on", .script = EHLO_DSN MAIL "C RCPT TO:<x@there.test> NOTIFY=NEVER\nS 250 ok\n" DATA "S 250 ok\n", .notify = SPOOL_NOTIFY_NEVER, .notes = "done 0;" },
	{ .name = "nothing was asked", .script = EHLO_DSN MAIL RCPT1 DATA "S 250 ok\n", .notes = "done 0;" },
	{ .name = "SUCCESS, and the next hop sends no reports", .script = EHLO MAIL RCPT1 DATA "S 250 2.6.0 ok\n",
	  .notify = SPOOL_NOTIFY_SUCCESS, .envid = "Q+2B1", .orcpt = "rfc822;o+2B@there.test", .notes = "delivered 0;bounce;done 0;",
	  .bounce = "Original-Envelope-Id: Q+1\r\nReporting-MTA: dns; mx.here.test\r\n" },
	{ .name = "its report", .script = EHLO MAIL RCPT1 DATA "S 250 2.6.0 ok\n", .notify = SPOOL_NOTIFY_SUCCESS, .orcpt = "rfc822;o+2B@there.test", .notes = "delivered 0;bounce;done 0;",
	  .bounce = "Original-Recipient: rfc822; o+@there.test\r\nFinal-Recipient: rfc822; x@there.test\r\nAction: relayed\r\nStatus: 2.6.0\r\n" },
	{ .name = "SUCCESS, but it fails: silence", .script = EHLO MAIL "C RCPT\nS 550 no\nC RSET\nS 250 ok\n", .notify = SPOOL_NOTIFY_SUCCESS, .notes = "fail 0;" },
	{ .name = "NEVER: silence", .script = EHLO MAIL "C RCPT\nS 550 no\nC RSET\nS 250 ok\n", .notify = SPOOL_NOTIFY_NEVER, .notes = "fail 0;" },
	{ .name = "FAILURE", .script = EHLO MAIL "C RCPT\nS 550 no\nC RSET\nS 250 ok\n", .notify = SPOOL_NOTIFY_FAILURE, .notes = "bounce;fail 0;" },
	{ .name = "FAILURE, from the null sender", .script = EHLO "C MAIL FROM:<>\nS 250 ok\nC RCPT\nS 550 no\nC RSET\nS 250 ok\n", .sender = "", .notify = SPOOL_NOTIFY_FAILURE, .notes = "fail 0;" },
	{ .name = "SUCCESS, from the null sender", .script = EHLO "C MAIL FROM:<>\nS 250 ok\n" RCPT1 DATA "S 250 ok\n", .sender = "", .notify = SPOOL_NOTIFY_SUCCESS, .notes = "done 0;" },
	{ .name = "RET=FULL", .script = EHLO MAIL "C RCPT\nS 550 no\nC RSET\nS 250 ok\n", .ret = SPOOL_RET_FULL, .notes = "bounce;fail 0;",
	  .bounce = "Content-Type: message/rfc822\r\nContent-Transfer-Encoding: 8bit\r\n\r\nSubject: x\r\n\r\n.dot\r\n..\r\nlast\r\n" },
	{ .name = "RET=HDRS", .script = EHLO MAIL "C RCPT\nS 550 no\nC RSET\nS 250 ok\n", .ret = SPOOL_RET_HDRS, .notes = "bounce;fail 0;",
	  .bounce = "Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n\r\n--" },
	{ .name = "DELAY, too early", .script = EHLO MAIL "C RCPT\nS 450 no\nC RSET\nS 250 ok\n", .notify = SPOOL_NOTIFY_DELAY, .age_s = 100, .notes = "defer 0;" },
	{ .name = "DELAY", .script = EHLO MAIL "C RCPT\nS 450 4.2.1 no\nC RSET\nS 250 ok\n", .notify = SPOOL_NOTIFY_DELAY, .age_s = 15000, .notes = "bounce;told 0;",
	  .bounce = "Action: delayed\r\nStatus: 4.2.1\r\nRemote-MTA: dns; 127.0.0.1\r\nWill-Retry-Until: " },
	{ .name = "DELAY is told where nothing was asked", .script = EHLO MAIL "C RCPT\nS 450 no\nC RSET\nS 250 ok\n", .age_s = 15000, .notes = "bounce;told 0;" },
	{ .name = "no DELAY where it was excluded", .script = EHLO MAIL "C RCPT\nS 450 no\nC RSET\nS 250 ok\n", .notify = SPOOL_NOTIFY_FAILURE | SPOOL_NOTIFY_SUCCESS, .age_s = 15000, .notes = "defer 0;" },
	{ .name = "no DELAY of a report", .script = EHLO "C MAIL FROM:<>\nS 250 ok\nC RCPT\nS 450 no\nC RSET\nS 250 ok\n", .sender = "", .age_s = 15000, .notes = "defer 0;" },
	{ .name = "one fails, one waits too long: one report", .script = EHLO MAIL "C RCPT\nS 550 5.1.1 nobody\nC RCPT\nS 450 4.2.1 later\nC RSET\nS 250 ok\n", .rcpts = TWO, .age_s = 15000,
	  .notes = "bounce;fail 0;told 1;", .bounce = "It could not be delivered yet to:\r\n" },
	/* RFC 8689 section 5 */
	{ .name = "REQUIRETLS: only the headers come back", .script = "N\n", .rcpts = { "postmaster-not-here" }, .ret = SPOOL_RET_FULL, .wishes = { .requiretls = true }, .notes = "bounce;fail 0;",
	  .bounce = "Content-Type: text/rfc822-headers\r\n\r\nSubject: x\r\n\r\n--" },
	/* RFC 2852 */
	{ .name = "BY R over: nothing is tried", .script = "N\n", .age_s = 60, .wishes = { .by_mode = SPOOL_BY_RETURN, .by_s = -1 }, .notes = "bounce;fail 0;",
	  .text = "5.4.7 the time", .bounce = "Action: failed\r\nStatus: 5.4.7\r\n" },
	{ .name = "BY R over, and nobody is to hear", .script = "N\n", .age_s = 60, .wishes = { .by_mode = SPOOL_BY_RETURN, .by_s = -1 }, .notify = SPOOL_NOTIFY_NEVER, .notes = "fail 0;" },
	{ .name = "BY R, to who would not return it", .script = EHLO, .wishes = { .by_mode = SPOOL_BY_RETURN, .by_s = 900 }, .notes = "bounce;fail 0;", .text = "5.3.3 " },
	{ .name = "BY R, deferred until it is over", .script = EHLO_BY "C MAIL FROM:<a@here.test> BY=\nS 250 ok\nC RCPT\nS 450 4.2.1 no\nC RSET\nS 250 ok\nC QUIT\nS 221 bye\nX\n", .min_s = 100, .wishes = { .by_mode = SPOOL_BY_RETURN, .by_s = 3 },
	  .notes = "defer 0;bounce;fail 0;", .bounce = "\r\nDeliver-By-Date: " },
	{ .name = "BY N over: told, and tried", .script = EHLO MAIL RCPT1 DATA "S 250 ok\n", .age_s = 60, .wishes = { .by_mode = SPOOL_BY_NOTIFY, .by_s = -1 }, .notes = "bounce;told 0;delivered 0;bounce;done 0;" },
	{ .name = "BY N over before it came", .script = EHLO MAIL "C RCPT\nS 450 no\nC RSET\nS 250 ok\n", .age_s = 10, .wishes = { .by_mode = SPOOL_BY_NOTIFY, .by_s = -20 }, .notes = "defer 0;" },
	{ .name = "BY N, deferred until it is over", .script = EHLO MAIL "C RCPT\nS 450 4.2.1 no\nC RSET\nS 250 ok\nC QUIT\nS 221 bye\nX\n", .min_s = 100, .wishes = { .by_mode = SPOOL_BY_NOTIFY, .by_s = 3 },
	  .notes = "defer 0;bounce;told 0;", .bounce = "Action: delayed\r\nStatus: 4.4.7\r\n" },
	{ .name = "BY with a trace", .script = EHLO_DSN MAIL RCPT1 DATA "S 250 2.6.0 ok\n", .wishes = { .by_mode = SPOOL_BY_NOTIFY, .by_s = 900, .by_trace = true }, .notes = "delivered 0;bounce;done 0;", .bounce = "Action: relayed\r\n" },
	{ .name = "BY with a trace, and nobody is to hear", .script = EHLO_DSN MAIL "C RCPT TO:<x@there.test> NOTIFY=NEVER\nS 250 ok\n" DATA "S 250 2.6.0 ok\n", .notify = SPOOL_NOTIFY_NEVER, .wishes = { .by_mode = SPOOL_BY_NOTIFY, .by_s = 900, .by_trace = true }, .notes = "done 0;" },
	/* RFC 4865 */
	{ .name = "held, and then sent", .script = EHLO MAIL RCPT1 DATA "S 250 ok\n", .age_s = 60, .wishes = { .hold_until_s = 2 }, .notes = "done 0;", .least_ms = 1000 },
	{ .name = "no DELAY of what was held for long", .script = EHLO MAIL "C RCPT\nS 450 no\nC RSET\nS 250 ok\n", .age_s = 15000, .wishes = { .hold_until_s = -100 }, .notes = "defer 0;" },
	{ .name = "a report owed from before a crash", .script = "N\n", .notify = SPOOL_NOTIFY_SUCCESS, .owed = true, .notes = "bounce;done 0;", .bounce = "Action: relayed\r\n" },
	{ .name = "nowhere to go: sender gets the report", .script = "N\n", .rcpts = { "postmaster-not-here" }, .notes = "bounce;fail 0;", .text = "5.4.4 " },
};
/* clang-format on */

static void
dialog_run(const struct dialog_row *row, bool bytewise)
{
	static const char *const one[] = { "x@there.test", NULL };
	struct spoolq_msg *m;
	struct bench b;
	int64_t start_ms;
	size_t want = 0;

	for (const char *p = row->notes; *p != '\0'; p++)
		want += *p == ';';
	bench_open(&b, row->script, bytewise);
	if (row->message != NULL)
		spool.message = row->message;
	m = spool_msg(row->sender != NULL ? row->sender : "a@here.test",
	    row->rcpts[0] != NULL ? row->rcpts : one, row->eightbit,
	    clock_now_s() - row->age_s);
	m->smtputf8 = row->smtputf8;
	m->wishes = row->wishes;
	if (m->wishes.by_mode != SPOOL_BY_NONE)
		m->wishes.by_s += clock_now_s();
	if (m->wishes.hold_until_s != 0)
		m->wishes.hold_until_s += clock_now_s();
	if (row->min_s > 0) {
		b.conf.retry_min_s = b.conf.retry_max_s = row->min_s;
		sched_set_conf(b.sched, &b.conf);
	}
	m->ret = row->ret;
	if (row->envid != NULL) {
		free(m->envid);
		m->envid = strdup(row->envid);
	}
	for (size_t i = 0; i < m->n_rcpts; i++) {
		m->rcpts[i].dsn.notify = row->notify;
		if (row->orcpt != NULL)
			m->rcpts[i].dsn.orcpt = strdup(row->orcpt);
		if (row->owed)
			m->rcpts[i].state = SPOOLQ_DELIVERED;
	}
	sched_spoolq_ops.entry(b.sched, m);
	start_ms = clock_mono_ms();
	bench_run(&b, want, 60000);
	assert_true(clock_mono_ms() - start_ms >= row->least_ms);
	bench_close(&b);
	if (strcmp(spool.notes, row->notes) != 0 || server.error[0] != '\0')
		print_error("%s%s\n%s", row->name, bytewise ? ", bytewise" : "",
		    spool.texts);
	assert_string_equal(spool.notes, row->notes);
	assert_string_equal(server.error, "");
	if (row->text != NULL && strstr(spool.texts, row->text) == NULL) {
		print_error("%s: no \"%s\" in %s", row->name, row->text,
		    spool.texts);
		fail();
	}
	if (row->bounce != NULL)
		assert_non_null(strstr(spool.bounce, row->bounce));
	if (row->content != NULL)
		assert_string_equal(server.content, row->content);
}

static void
test_dialogs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(dialog_rows) / sizeof(*dialog_rows);
	    i++) {
		dialog_run(&dialog_rows[i], false);
		dialog_run(&dialog_rows[i], true);
	}
}

/* --------------------------------------------------------------- schedule -- */

static const char *const to_x[] = { "x@there.test", NULL };

/* Three messages over one connection. */
static void
test_reuse(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, EHLO MAIL RCPT1 DATA "S 250 1\n" MAIL RCPT1 DATA
	    "S 250 2\n" MAIL RCPT1 DATA "S 250 3\nC QUIT\nS 221 bye\n", false);
	for (int i = 0; i < 3; i++)
		bench_add(&b, "a@here.test", to_x, false, 0);
	bench_run(&b, 3, 60000);
	bench_run(&b, SIZE_MAX, 1200);		/* QUIT after a second */
	bench_close(&b);
	assert_string_equal(server.error, "");
	assert_string_equal(spool.notes, "done 0;done 0;done 0;");
}

/* A connection that was idle is gone: no failure, a new one. */
static void
test_reuse_lost(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, EHLO MAIL RCPT1 DATA "S 250 1\nC MAIL\nX\n"
	    EHLO MAIL RCPT1 DATA "S 250 2\n", false);
	bench_add(&b, "a@here.test", to_x, false, 10);
	bench_add(&b, "a@here.test", to_x, false, 5);
	bench_run(&b, 2, 60000);
	bench_close(&b);
	assert_string_equal(spool.notes, "done 0;done 0;");
	assert_string_equal(server.error, "");
}

/* Deferred, and tried again after retry_min (1 s here). */
static void
test_retry(void **state)
{
	struct bench b;
	int64_t start = clock_mono_ms();

	(void)state;
	bench_open(&b, EHLO MAIL "C RCPT\nS 450 later\nC RSET\nS 250 ok\n"
	    "C QUIT\nS 221 bye\nX\n" EHLO MAIL RCPT1 DATA "S 250 ok\n", false);
	bench_add(&b, "a@here.test", to_x, false, 0);
	bench_run(&b, 2, 60000);
	assert_true(clock_mono_ms() - start >= 1000);
	bench_close(&b);
	assert_string_equal(spool.notes, "defer 0;done 0;");
}

/* The next hop is down: what is due is deferred with the one that was tried,
 * by one connection, and all go out when it is back. */
static void
test_down_and_up(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "N\nS 421 down\nX\n" EHLO MAIL RCPT1 DATA "S 250 1\n"
	    MAIL RCPT1 DATA "S 250 2\n" MAIL RCPT1 DATA "S 250 3\n", false);
	b.conf.retry_max_s = 1;
	sched_set_conf(b.sched, &b.conf);
	for (int i = 0; i < 3; i++)
		bench_add(&b, "a@here.test", to_x, false, 0);
	bench_run(&b, 6, 8000);
	bench_close(&b);
	assert_string_equal(spool.notes, "defer 0;defer 0;defer 0;"
	    "done 0;done 0;done 0;");
	assert_string_equal(server.error, "");
}

/* Its time is over: for good, with the report; the null sender's is lost. */
static void
test_expired(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, "N\nS 421 down\nX\n", false);
	bench_add(&b, "a@here.test", to_x, false, 86401);
	bench_add(&b, "", to_x, false, 86401);
	bench_run(&b, 3, 60000);
	bench_close(&b);
	/* In which order is no matter. */
	assert_int_equal(strlen(spool.notes), strlen("bounce;fail 0;fail 0;"));
	assert_non_null(strstr(spool.texts, "4.4.7 given up after 24 hours; "
	    "the last attempt: 421 down"));
	assert_non_null(strstr(spool.bounce, "Status: 4.4.7\r\n"));
}

/* Thousands that fail in one try are one report, which goes in parts. */
static void
test_one_report(void **state)
{
	enum { MANY = 3000 };
	static char names[MANY][8];
	static const char *rcpts[MANY + 1];
	const char *at;
	struct bench b;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < MANY; i++) {
		snprintf(names[i], sizeof(names[i]), "x%zu", i);
		rcpts[i] = names[i];
	}
	bench_open(&b, "N\n", false);
	bench_add(&b, "a@here.test", rcpts, false, 0);
	bench_run(&b, MANY + 1, 20000);
	bench_close(&b);
	assert_int_equal(spool.n, MANY + 1);
	assert_int_equal(strncmp(spool.notes, "bounce;fail 0;fail 1;", 21), 0);
	assert_null(strstr(spool.notes + 1, "bounce;"));
	for (at = spool.bounce; (at = strstr(at, "\r\nFinal-Recipient: ")) !=
	    NULL; at++)
		n++;
	assert_int_equal(n, MANY);
	assert_int_equal(spool.parted, strlen(spool.bounce));
}

/* The spool cannot queue the report: nothing is failed, it comes again. */
static void
test_bounce_refused(void **state)
{
	struct bench b;

	(void)state;
	bench_open(&b, EHLO MAIL "C RCPT\nS 550 no\nC RSET\nS 250 ok\n"
	    "C QUIT\nS 221 bye\nX\n"
	    EHLO MAIL "C RCPT\nS 550 no\nC RSET\nS 250 ok\n", false);
	spool.refuse_bounce = true;
	bench_add(&b, "a@here.test", to_x, false, 0);
	bench_run(&b, 2, 60000);
	bench_close(&b);
	assert_string_equal(spool.notes, "bounce;bounce;");
}

/* Gone or reset in the middle: no result, and no use after free. */
static void
test_cancel(void **state)
{
	static const char *const scripts[] = { "N\n", "N\nS 220 hi\n", EHLO,
		EHLO MAIL, EHLO MAIL RCPT1, EHLO MAIL RCPT1 "C DATA\n",
		EHLO MAIL RCPT1 DATA };

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(scripts) / sizeof(*scripts); i++) {
		struct bench b;
		struct spoolq_msg *m;
		char id[STR_ID_SIZE];

		bench_open(&b, scripts[i / 2], false);
		m = spool_msg("a@here.test", to_x, false, clock_now_s());
		memcpy(id, m->id, sizeof(id));
		sched_spoolq_ops.entry(b.sched, m);
		bench_run(&b, 1, 60);
		if (i % 2 == 0)
			sched_spoolq_ops.gone(b.sched, id);
		else
			sched_spoolq_ops.reset(b.sched);
		sched_spoolq_ops.gone(b.sched, id);	/* does no harm */
		bench_close(&b);
		assert_string_equal(spool.notes, "");
		}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogs),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_reuse_lost),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_down_and_up),
		cmocka_unit_test(test_expired),
		cmocka_unit_test(test_one_report),
		cmocka_unit_test(test_bounce_refused),
		cmocka_unit_test(test_cancel),
	};

	clock_init();
	log_open("t_send_hop", "submitd", "/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
