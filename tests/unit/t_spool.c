/*
 * t_spool.c - submitd-spool from both of its sides, over its real sockets, with
 * an authd that answers what the ticket says: everything but the process.
 *
 *	t_spool rate MESSAGES CONCURRENT OCTETS DIR
 * measures instead: messages a second, and the longest time the loop was held.
 */
#include "config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "auth/authp.h"
#include "lib/clock.h"
#include "lib/conf.h"
#include "lib/fio.h"
#include "lib/log.h"
#include "submitd/spool/client.h"
#include "submitd/spool/protocol.h"
#include "submitd/spool/spool.h"
#include "tests/unit/unit.h"

#define BODY "Subject: hello\r\n\r\n.text\r\n"

static char root[200];
static struct conf conf = { .hostname = (char[]){ "mx.example.org" },
	.message_size_limit = 8 * 1024 * 1024, .spool_min_free = 1,
	.received_limit = 100 };
static struct loop *loop;
static struct spool *sp;
static struct ipc_listener *listeners[3];
static struct spoolc *client;
static struct spoolq *sender;
static void *dead[400][2];
static size_t n_dead;
static unsigned int waiting;		/* callbacks that are still to come */

/* -------------------------------------------------------------- fake authd -- */

#define RESERVATION 0x01020304u
static int n_held;		/* reserved, and not yet booked or returned */

/* The ticket is "BEGIN/COMMIT": the verdicts of the two phases as digits. */
static int
auth_packet(void *ctx, struct ipc *p, struct msg_in *m, int fd)
{
	static struct msg_out out;
	const char *from;
	const void *ticket;
	uint32_t recipients, reservation;
	uint64_t octets;
	uint8_t phase, verdict;
	size_t len;

	(void)ctx;
	assert_int_equal(fd, -1);
	msg_get_blob(m, &ticket, &len, AUTHP_TICKET_MAX);
	msg_get_str(m, &from, AUTHP_SENDER_MAX);
	msg_get_u8(m, &phase);
	msg_get_u32(m, &recipients);
	msg_get_u64(m, &octets);
	msg_get_u32(m, &reservation);
	assert_int_equal(msg_get_end(m), 0);
	assert_int_equal(m->type, AUTHP_TICKET);
	assert_int_equal(reservation, phase == AUTHP_BEGIN ? 0 : RESERVATION);
	if (phase == AUTHP_ABORT) {
		n_held--;
		return 0;
	}
	assert_true(recipients > 0);
	assert_int_equal(len, 2);
	verdict = (uint8_t)(((const char *)ticket)[phase] - '0');
	msg_begin(&out, AUTHP_TICKET | AUTHP_REPLY, m->id);
	msg_put_u8(&out, verdict);
	if (verdict == AUTHP_OK) {
		msg_put_str(&out, "u@example.org");
		msg_put_u8(&out, AUTHP_KIND_SASL);
		msg_put_str(&out, "192.0.2.7");
		msg_put_str(&out, "TLSv1.3:TLS_AES_256_GCM_SHA384:X25519");
		msg_put_str(&out, "PLAIN");
		msg_put_str(&out, "sidsidsidsidsid2");
		msg_put_str(&out, "");		/* origin */
		msg_put_u32(&out, phase == AUTHP_BEGIN ? RESERVATION : 0);
		n_held += phase == AUTHP_BEGIN ? 1 : -1;
	} else if (verdict == AUTHP_LIMIT) {
		msg_put_u8(&out, AUTHP_RECIPIENTS_DAY);
		msg_put_u64(&out, 50);
		msg_put_u64(&out, 0);
		msg_put_u8(&out, phase == AUTHP_COMMIT);
	}
	return ipc_send(p, &out, -1);
}

static void
auth_gone(void *ctx, struct ipc *p)
{
	(void)ctx;
	ipc_close(p);
}

static const struct ipc_ops auth_ops = {
	.packet = auth_packet,
	.gone = auth_gone,
};

static void
auth_accepted(void *ctx, int fd, uid_t uid, pid_t pid)
{
	(void)ctx;
	(void)uid;
	(void)pid;
	assert_non_null(ipc_new(loop, fd, "test", &auth_ops, NULL));
}

/* --------------------------------------------------------------- the spool -- */

static const struct queue_hooks hooks = {
	.told = sender_told,
	.left = sender_left,
};

static int
bind_here(const char *name)
{
	int dir = open(".", O_RDONLY | O_DIRECTORY), fd;
	struct err err;

	fd = ipc_bind(dir, name, 0600, getuid(), getgid(), &err);
	if (fd < 0)
		fail_msg("%s", err.text);
	close(dir);
	return fd;
}

static void
spool_begin(void)
{
	static const char *const names[] = { "auth", "smtp", "send" };
	ipc_accepted_fn *fns[] = { auth_accepted, txn_accepted,
		sender_accepted };
	struct err err;

	loop = loop_new();
	sp = calloc(1, sizeof(*sp));
	sp->loop = loop;
	sp->conf = &conf;
	TAILQ_INIT(&sp->peers);
	assert_int_equal(store_open(&sp->store, "spool", getuid(), getgid(),
	    &err), 0);
	sp->writers = pool_new(loop, 2, 10000);
	sp->flush = flush_new(loop, &sp->store);
	sp->queue = queue_new(loop, sp->flush, &hooks, sp);
	sp->auth = authc_new(loop, "auth");
	assert_int_equal(recover_run(sp, &err), 0);
	for (int i = 0; i < 3; i++) {
		listeners[i] = ipc_listen(loop, bind_here(names[i]),
		    getuid(), names[i], fns[i], sp);
		assert_non_null(listeners[i]);
	}
}

/* As a crash would: nothing is flushed that was not. */
static void
spool_end(void)
{
	spoolc_free(client);
	spoolq_free(sender);
	client = NULL;
	sender = NULL;
	pool_free(sp->writers);
	flush_free(sp->flush);
	store_close(&sp->store);
	/* The rest is memory of a process that would be gone; it stays
	 * reachable, so that only true leaks are found. */
	assert_true(n_dead < ROWS(dead));
	dead[n_dead][0] = sp;
	dead[n_dead++][1] = loop;
}

static void
stop_when_up(void *ctx)
{
	static struct timer t;
	bool *started = ctx;

	if (!*started)
		assert_int_equal(timer_init(&t, loop, stop_when_up, ctx), 0);
	*started = true;
	if (authc_is_up(sp->auth) && spoolc_is_up(client)) {
		timer_free(&t);
		loop_stop(loop);
	} else {
		timer_arm(&t, 5);
	}
}

static void
client_begin(void)
{
	bool started = false;

	client = spoolc_new(loop, "smtp", conf.message_size_limit * 2);
	stop_when_up(&started);
	loop_run(loop);
}

static void
called(void)
{
	assert_true(waiting > 0);
	if (--waiting == 0)
		loop_stop(loop);
}

static void
wait_for(unsigned int n)
{
	waiting = n;
	loop_run(loop);
}

/* ---------------------------------------------------------------- messages -- */

struct put {			/* one message on its way in */
	const char	*ticket, *body;
	const char	*const *rcpts;
	size_t		 n_rcpts, len, sent;
	uint64_t	 size;
	bool		 smtputf8;
	uint8_t		 ret;
	const char	*envid;
	const struct spool_dsn *dsn;
	struct spool_wishes wishes;
	struct spoolc_txn *txn;
	enum spoolc_verdict verdict;
	bool		 committed;	/* the verdict is commit's */
	char		 id[SPOOLC_TEXT_MAX + 1];
	void		(*then)(struct put *p);
};

static void
put_end(struct put *p, enum spoolc_verdict v, const char *id)
{
	p->verdict = v;
	p->txn = NULL;
	assert_int_equal(str_copy(p->id, sizeof(p->id), id), 0);
	assert_int_equal(v == SPOOLC_OK, str_is_id(p->id));
	if (p->then != NULL)
		p->then(p);
	else
		called();
}

static void
put_committed(void *ctx, enum spoolc_verdict v, const char *id)
{
	struct put *p = ctx;

	p->committed = true;
	put_end(p, v, id);
}

static void
put_more(void *ctx)
{
	struct put *p = ctx;

	while (p->sent < p->len) {
		size_t n = p->len - p->sent;

		if (spoolc_full(p->txn))
			return;
		if (n > 16384)
			n = 16384;
		spoolc_data(p->txn, p->body + p->sent, n);
		p->sent += n;
	}
	spoolc_commit(p->txn, put_committed);
}

static void
put_begun(void *ctx, enum spoolc_verdict v, const char *id)
{
	struct put *p = ctx;

	if (v != SPOOLC_OK)
		put_end(p, v, id);
	else
		put_more(p);
}

static const char *const one_rcpt[] = { "b@example.com" };

static void
put(struct put *p)
{
	struct spoolc_envelope env = { .ticket = p->ticket, .ticket_len = 2,
		.sender = "a@example.org", .rcpts = p->rcpts,
		.n_rcpts = p->n_rcpts, .helo = "client.example.net",
		.size = p->size, .smtputf8 = p->smtputf8, .ret = p->ret,
		.envid = p->envid, .dsn = p->dsn, .wishes = p->wishes };

	p->sent = 0;
	p->txn = spoolc_begin(client, &env, put_begun, put_more, p);
	assert_non_null(p->txn);
}

static void
put_one(struct put *p)
{
	if (p->ticket == NULL)
		p->ticket = "00";
	if (p->rcpts == NULL) {
		p->rcpts = one_rcpt;
		p->n_rcpts = 1;
	}
	if (p->len == 0)
		p->len = strlen(p->body);
	put(p);
	wait_for(1);
}

/* ------------------------------------------------------------- submitd-send -- */

static struct spoolq_msg *told[64];
static size_t n_told;
static char gone_id[STR_ID_SIZE];

static void
on_entry(void *ctx, struct spoolq_msg *m)
{
	(void)ctx;
	assert_true(n_told < 64);
	told[n_told++] = m;
	if (waiting > 0)
		called();
}

static void
on_gone(void *ctx, const char *id)
{
	(void)ctx;
	str_copy(gone_id, sizeof(gone_id), id);
}

static void
on_reset(void *ctx)
{
	(void)ctx;
}

static const struct spoolq_ops sender_client_ops = {
	.entry = on_entry,
	.gone = on_gone,
	.reset = on_reset,
};

static void
forget_told(void)
{
	while (n_told > 0)
		spoolq_msg_free(told[--n_told]);
}

/* Connects as submitd-send and waits for `n` entries. */
static void
sender_begin(unsigned int n)
{
	sender = spoolq_new(loop, "send", &sender_client_ops, NULL);
	wait_for(n);
	assert_int_equal(n_told, n);
}

static int open_fd;
static uint64_t open_offset;

static void
on_open(void *ctx, int fd, uint64_t offset)
{
	(void)ctx;
	open_fd = fd;
	open_offset = offset;
	called();
}

static void
on_bounce(void *ctx, bool ok)
{
	*(bool *)ctx = ok;
	called();
}

static size_t
files_in(const char *dir)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	size_t n = 0;

	while ((e = readdir(d)) != NULL)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* ------------------------------------------------------------------- tests -- */

struct verdict_case {
	const char *name, *ticket;
	uint64_t size;
	size_t octets;		/* of the body, or 0: BODY */
	unsigned int received;	/* so many Received in front */
	uint64_t min_free;
	enum spoolc_verdict want;
	bool at_commit;
};

static const struct verdict_case verdict_cases[] = {
	{ "taken", "00", 0, 0, 0, 1, SPOOLC_OK, true },
	{ "void at begin", "60", 0, 0, 0, 1, SPOOLC_VOID, false },
	{ "void at commit", "06", 0, 0, 0, 1, SPOOLC_VOID, true },
	{ "no authorisation", "40", 0, 0, 0, 1, SPOOLC_VOID, false },
	{ "another's sender", "50", 0, 0, 0, 1, SPOOLC_NOTSENDER, false },
	{ "sender taken away", "05", 0, 0, 0, 1, SPOOLC_NOTSENDER, true },
	{ "authd cannot say", "30", 0, 0, 0, 1, SPOOLC_TEMP, false },
	{ "announced too big", "00", 9000000, 0, 0, 1, SPOOLC_TOOBIG, false },
	{ "is too big", "00", 0, 9000000, 0, 1, SPOOLC_TOOBIG, true },
	{ "is far too big", "00", 0, 20000000, 0, 1, SPOOLC_TOOBIG, true },
	{ "largest", "00", 8388608, 8388608, 0, 1, SPOOLC_OK, true },
	{ "100 Received", "00", 0, 0, 100, 1, SPOOLC_OK, true },
	{ "101 Received", "00", 0, 0, 101, 1, SPOOLC_LOOP, true },
	{ "limit at begin", "<0", 0, 0, 0, 1, SPOOLC_LIMIT, false },
	{ "limit at commit", "0<", 0, 0, 0, 1, SPOOLC_OVER, true },
	{ "no space", "00", 0, 0, 0, 1ull << 60, SPOOLC_NOSPACE, false },
};

static void
test_verdicts(void **state)
{
	size_t taken = 0;

	(void)state;
	spool_begin();
	client_begin();
	for (size_t i = 0; i < ROWS(verdict_cases); i++) {
		const struct verdict_case *c = &verdict_cases[i];
		struct put p = { .ticket = c->ticket, .size = c->size };
		char *body = calloc(1, c->octets + 100000);

		memset(body, 'x', c->octets);
		for (unsigned int k = 0; k < c->received; k++)
			strcat(body, "Received: a\r\n");
		if (c->octets == 0)
			strcat(body, BODY);
		p.body = body;
		conf.spool_min_free = c->min_free;
		put_one(&p);
		ROW_EQ(c->name, p.verdict, c->want);
		ROW_EQ(c->name, p.committed, c->at_commit);
		if (p.verdict == SPOOLC_LIMIT || p.verdict == SPOOLC_OVER)
			assert_string_equal(p.id, "50 recipients a day, and "
			    "this message alone has more");
		taken += p.verdict == SPOOLC_OK;
		free(body);
	}
	conf.spool_min_free = 1;
	assert_int_equal(files_in("spool/queue"), taken);
	assert_int_equal(files_in("spool/tmp"), 0);
	assert_int_equal(sp->n_txns, 0);
	assert_int_equal(sp->reserved, 0);
	spool_end();
}

/* What is told, read, and given results for, and a crash between. */
static void
test_way_out(void **state)
{
	static const char *const rcpts[] = { "b@example.com", "postmaster",
		"\"c d\"@example.com" };
	struct put p = { .body = BODY, .rcpts = rcpts, .n_rcpts = 2 };
	char buf[2000], want[600];
	ssize_t n;

	(void)state;
	spool_begin();
	client_begin();
	put_one(&p);
	assert_int_equal(p.verdict, SPOOLC_OK);
	sender_begin(1);
	assert_string_equal(told[0]->id, p.id);
	assert_string_equal(told[0]->sender, "a@example.org");
	assert_string_equal(told[0]->user, "u@example.org");
	assert_int_equal(told[0]->n_rcpts, 2);
	assert_string_equal(told[0]->rcpts[1].address, "postmaster");
	spoolq_open(sender, p.id, on_open, NULL);
	wait_for(1);
	assert_true(open_fd >= 0);
	assert_int_equal(fcntl(open_fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	n = pread(open_fd, buf, sizeof(buf) - 1, (off_t)open_offset);
	assert_int_equal(n, told[0]->octets);
	buf[n] = '\0';
	snprintf(want, sizeof(want), "id %s (authenticated as u@example.org)",
	    p.id);
	assert_non_null(strstr(buf, want));
	assert_non_null(strstr(buf, "from client.example.net ([192.0.2.7])"));
	assert_null(strstr(buf, "for <"));
	assert_string_equal(buf + n - strlen(BODY), BODY);
	close(open_fd);

	/* One done, one put off; then the process dies. */
	spoolq_done(sender, p.id, 0, "250 2.0.0 taken");
	spoolq_defer(sender, p.id, 1, 1900000000, true, "451 4.0.0 later");
	spoolq_open(sender, "aaaaaaaaaaaaaaaa", on_open, NULL);
	wait_for(1);
	assert_int_equal(open_fd, -1);
	forget_told();
	spool_end();
	spool_begin();
	client_begin();
	sender_begin(1);
	assert_int_equal(told[0]->rcpts[0].state, SPOOLQ_DONE);
	assert_int_equal(told[0]->rcpts[1].state, SPOOLQ_PENDING);
	assert_int_equal(told[0]->rcpts[1].tries, 1);
	assert_true(told[0]->rcpts[1].told);
	assert_int_equal(told[0]->rcpts[1].next_try_s, 1900000000);
	assert_string_equal(queue_find(sp->queue, p.id)->rcpts[1].last,
	    "451 4.0.0 later");
	forget_told();

	/* The administrator wants it tried now. */
	waiting = 1;
	queue_try_now(queue_find(sp->queue, p.id));
	loop_run(loop);
	assert_int_equal(told[0]->rcpts[1].next_try_s, 0);
	forget_told();

	/* It fails for good: a bounce first, then the result. */
	bool ok = false;
	spoolq_bounce(sender, p.id, BODY, strlen(BODY), on_bounce, &ok);
	wait_for(2);		/* the answer, and the bounce's own entry */
	assert_true(ok);
	assert_int_equal(n_told, 1);
	assert_string_equal(told[0]->sender, "");
	assert_string_equal(told[0]->user, "");
	assert_string_equal(told[0]->rcpts[0].address, "a@example.org");
	assert_int_equal(told[0]->octets, strlen(BODY));
	spoolq_bounce(sender, told[0]->id, BODY, 3, on_bounce, &ok);
	wait_for(1);
	assert_false(ok);	/* none for a bounce */
	spoolq_fail(sender, p.id, 1, "550 5.1.1 no");
	spoolq_done(sender, told[0]->id, 0, "250");
	spoolq_open(sender, p.id, on_open, NULL);
	wait_for(1);
	assert_int_equal(open_fd, -1);
	forget_told();
	spool_end();
	assert_int_equal(files_in("spool/queue"), 0);
}

/* What a client asked for comes to the sender, after a crash as well; and who
 * has his message stays until the report is given. */
static void
test_asked(void **state)
{
	static const char *const rcpts[] = { "\xc3\xa4@example.com",
	    "b@example.com" };
	static char orcpt[] = "rfc822;b+2B@example.com";
	static const struct spool_dsn dsn[] = {
	    { 0, NULL }, { SPOOL_NOTIFY_SUCCESS, orcpt } };
	struct put p = { .body = "TLS-Required: No\r\n" BODY,
	    .rcpts = rcpts, .n_rcpts = 2,
	    .smtputf8 = true, .ret = SPOOL_RET_HDRS, .envid = "Q+2B",
	    .dsn = dsn, .wishes = { .priority = 3, .by_mode = SPOOL_BY_RETURN,
	    .by_s = 1900000000 } };
	bool ok = false;

	(void)state;
	spool_begin();
	client_begin();
	put_one(&p);
	assert_int_equal(p.verdict, SPOOLC_OK);
	for (int crash = 0; crash < 2; crash++) {
		sender_begin(1);
		assert_true(told[0]->smtputf8);
		assert_int_equal(told[0]->ret, SPOOL_RET_HDRS);
		assert_string_equal(told[0]->envid, "Q+2B");
		assert_int_equal(told[0]->wishes.priority, 3);
		assert_int_equal(told[0]->wishes.by_mode, SPOOL_BY_RETURN);
		assert_int_equal(told[0]->wishes.by_s, 1900000000);
		assert_true(told[0]->wishes.tls_optional);
		assert_int_equal(told[0]->rcpts[0].dsn.notify, 0);
		assert_null(told[0]->rcpts[0].dsn.orcpt);
		assert_int_equal(told[0]->rcpts[1].dsn.notify,
		    SPOOL_NOTIFY_SUCCESS);
		assert_string_equal(told[0]->rcpts[1].dsn.orcpt, orcpt);
		assert_int_equal(told[0]->rcpts[1].state, crash ?
		    SPOOLQ_DELIVERED : SPOOLQ_PENDING);
		if (crash)
			break;
		spoolq_delivered(sender, p.id, 1, "250 taken");
		spoolq_done(sender, p.id, 0, "250 taken");
		spoolq_open(sender, "aaaaaaaaaaaaaaaa", on_open, NULL);
		wait_for(1);
		forget_told();
		spool_end();
		spool_begin();
		client_begin();
	}
	forget_told();
	spoolq_bounce(sender, p.id, BODY, strlen(BODY), on_bounce, &ok);
	wait_for(2);
	assert_true(ok);
	/* It can only become done. */
	spoolq_fail(sender, p.id, 1, "550 no");
	spoolq_open(sender, p.id, on_open, NULL);
	wait_for(1);
	assert_true(open_fd >= 0);
	close(open_fd);
	spoolq_done(sender, p.id, 1, "250 taken");
	spoolq_done(sender, told[0]->id, 0, "250");
	spoolq_open(sender, p.id, on_open, NULL);
	wait_for(1);
	assert_int_equal(open_fd, -1);
	forget_told();
	spool_end();
	assert_int_equal(files_in("spool/queue"), 0);
}

/* UTF-8 without SMTPUTF8 is a worker's lie. */
static void
test_utf8_unsaid(void **state)
{
	static const char *const rcpts[] = { "\xc3\xa4@example.com" };
	struct put p = { .body = BODY, .rcpts = rcpts, .n_rcpts = 1 };

	(void)state;
	spool_begin();
	client_begin();
	put_one(&p);
	assert_int_equal(p.verdict, SPOOLC_TEMP);
	spool_end();
}

/* More recipients than a packet holds, and more octets than a window. */
static void
test_large(void **state)
{
	enum { RCPTS = 2000, OCTETS = 5000000 };
	char **rcpts = calloc(RCPTS, sizeof(*rcpts));
	char *body = malloc(OCTETS), *back = malloc(OCTETS);
	struct put p = { .body = body, .len = OCTETS, .n_rcpts = RCPTS };

	(void)state;
	for (size_t i = 0; i < OCTETS; i++)
		body[i] = (char)('a' + (i * 7 + i / 1000) % 26);
	for (size_t i = 0; i < RCPTS; i++) {
		rcpts[i] = malloc(300);
		snprintf(rcpts[i], 300, "%zu@%0*d.example.com", i, 60, 1);
	}
	p.rcpts = (const char *const *)rcpts;
	spool_begin();
	client_begin();
	put_one(&p);
	assert_int_equal(p.verdict, SPOOLC_OK);
	sender_begin(1);
	assert_int_equal(told[0]->n_rcpts, RCPTS);
	for (size_t i = 0; i < RCPTS; i++)
		assert_string_equal(told[0]->rcpts[i].address, rcpts[i]);
	spoolq_open(sender, p.id, on_open, NULL);
	wait_for(1);
	assert_int_equal(pread(open_fd, back, OCTETS, (off_t)(open_offset +
	    told[0]->octets - OCTETS)), OCTETS);
	assert_memory_equal(body, back, OCTETS);
	close(open_fd);
	queue_delete(queue_find(sp->queue, p.id), NULL, NULL);
	forget_told();
	spool_end();
	assert_int_equal(files_in("spool/queue"), 0);
	for (size_t i = 0; i < RCPTS; i++)
		free(rcpts[i]);
	free(rcpts);
	free(body);
	free(back);
}

static void
tick(void *ctx)
{
	(void)ctx;
	called();
}

static void
wait_ms(int64_t ms)
{
	struct timer t = { 0 };

	assert_int_equal(timer_init(&t, loop, tick, NULL), 0);
	timer_arm(&t, ms);
	wait_for(1);
	timer_free(&t);
}

static void
never(void *ctx, enum spoolc_verdict v, const char *id)
{
	(void)ctx;
	(void)v;
	(void)id;
	fail();
}

static void
on_begun_stop(void *ctx, enum spoolc_verdict v, const char *id)
{
	(void)ctx;
	(void)id;
	assert_int_equal(v, SPOOLC_OK);
	called();
}

/* Given up at every stage, by the session and by the worker's death. */
static void
test_given_up(void **state)
{
	static char data[100000];
	struct spoolc_envelope env = { .ticket = "00", .ticket_len = 2,
		.sender = "", .rcpts = one_rcpt, .n_rcpts = 1, .helo = "" };
	struct spoolc_txn *t;

	(void)state;
	spool_begin();
	client_begin();
	t = spoolc_begin(client, &env, never, NULL, NULL);
	spoolc_abort(t);
	t = spoolc_begin(client, &env, on_begun_stop, NULL, NULL);
	wait_for(1);
	spoolc_data(t, data, sizeof(data));
	wait_ms(20);
	assert_int_equal(files_in("spool/tmp"), 1);
	spoolc_abort(t);
	wait_ms(20);
	assert_int_equal(files_in("spool/tmp"), 0);
	t = spoolc_begin(client, &env, on_begun_stop, NULL, NULL);
	wait_for(1);
	spoolc_data(t, data, sizeof(data));
	spoolc_free(client);
	client = NULL;
	wait_ms(50);
	assert_int_equal(sp->n_txns, 0);
	assert_int_equal(sp->reserved, 0);
	assert_int_equal(files_in("spool/tmp"), 0);
	assert_int_equal(files_in("spool/queue"), 0);
	spool_end();
}

/* ------------------------------------------------------------ broken peers -- */

static struct msg_out bad_msg;

static void
bad_head(uint16_t type, uint32_t slot)
{
	msg_begin(&bad_msg, type, 1);
	msg_put_u32(&bad_msg, slot);
}

/* A BEGIN with these; n recipients are announced and one is given. */
static void
bad_begin(const char *from, const char *to, uint32_t n)
{
	bad_head(SPOOL_BEGIN, 0);
	msg_put_blob(&bad_msg, "00", 2);
	msg_put_str(&bad_msg, from);
	msg_put_str(&bad_msg, "helo");
	msg_put_u64(&bad_msg, 0);
	msg_put_u8(&bad_msg, 0);
	msg_put_u32(&bad_msg, n);
	msg_put_u16(&bad_msg, 1);
	msg_put_str(&bad_msg, to);
}

static bool
bad_make(int what, struct ipc *p)
{
	static char chunk[SPOOL_CHUNK + 1];

	switch (what) {
	case 0:		/* what only submitd-send may ask */
		msg_begin(&bad_msg, SPOOLQ_OPEN, 1);
		msg_put_str(&bad_msg, "aaaaaaaaaaaaaaaa");
		return true;
	case 1:
		bad_head(SPOOL_COMMIT, 3);
		msg_put_blob(&bad_msg, "", 0);
		return true;
	case 2:
		bad_head(SPOOL_ABORT, SPOOL_SLOTS);
		return true;
	case 3:
		bad_begin("a@example.org", "b@example.com\r\nX: y", 1);
		return true;
	case 4:
		bad_begin("a@example.org>\r\nRCPT TO:<x", "b@example.com", 1);
		return true;
	case 5:
		bad_begin("a@example.org", "b@example.com", 0);
		return true;
	case 6:
		bad_begin("a@example.org", "b@example.com", 1);
		msg_put_u8(&bad_msg, 0);	/* one octet too much */
		return true;
	case 7:		/* twice into one slot */
		bad_begin("a@example.org", "b@example.com", 2);
		ipc_send(p, &bad_msg, -1);
		return true;
	case 8:		/* more than was announced */
		bad_begin("a@example.org", "b@example.com", 2);
		ipc_send(p, &bad_msg, -1);
		bad_head(SPOOL_RCPTS, 0);
		msg_put_u16(&bad_msg, 2);
		msg_put_str(&bad_msg, "b@example.com");
		msg_put_str(&bad_msg, "b@example.com");
		return true;
	case 9:		/* a window and more without waiting */
		bad_begin("a@example.org", "b@example.com", 2);
		ipc_send(p, &bad_msg, -1);
		bad_head(SPOOL_DATA, 0);
		msg_put_blob(&bad_msg, chunk, SPOOL_CHUNK);
		for (size_t i = 0; i < SPOOL_WINDOW / SPOOL_CHUNK; i++)
			ipc_send(p, &bad_msg, -1);
		return true;
	case 10:
		bad_begin("a@example.org", "b@example.com", 2);
		ipc_send(p, &bad_msg, -1);
		bad_head(SPOOL_DATA, 0);
		msg_put_blob(&bad_msg, chunk, SPOOL_CHUNK + 1);
		return true;
	case 11:	/* a commit before the begin was taken */
		bad_begin("a@example.org", "b@example.com", 2);
		ipc_send(p, &bad_msg, -1);
		bad_head(SPOOL_COMMIT, 0);
		msg_put_blob(&bad_msg, "", 0);
		return true;
	default:
		return false;
	}
}

static int
bad_packet(void *ctx, struct ipc *p, struct msg_in *m, int fd)
{
	(void)ctx;
	(void)p;
	(void)m;
	(void)fd;
	return 0;
}

static void
bad_gone(void *ctx, struct ipc *p)
{
	(void)ctx;
	ipc_close(p);
	called();
}

static const struct ipc_ops bad_ops = {
	.packet = bad_packet,
	.gone = bad_gone,
};

static struct ipc *
bad_connect(const char *name)
{
	struct sockaddr_un sun = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

	strcpy(sun.sun_path, name);
	assert_int_equal(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	return ipc_new(loop, fd, "bad", &bad_ops, NULL);
}

/* A worker that breaks the protocol is dropped, and leaves nothing. */
static void
test_broken_peers(void **state)
{
	struct ipc *p;

	(void)state;
	spool_begin();
	client_begin();
	for (int i = 0;; i++) {
		p = bad_connect("smtp");
		if (!bad_make(i, p)) {
			ipc_close(p);
			break;
		}
		ipc_send(p, &bad_msg, -1);
		wait_for(1);
		assert_int_equal(sp->n_txns, 0);
	}
	p = bad_connect("send");	/* which may not begin */
	bad_begin("a@example.org", "b@example.com", 1);
	ipc_send(p, &bad_msg, -1);
	wait_for(1);
	assert_null(sp->sender);
	assert_int_equal(files_in("spool/tmp"), 0);
	assert_true(spoolc_is_up(client));
	spool_end();
}

/* What a crash or a careless hand leaves never stops the rest. */
static void
test_recovery(void **state)
{
	struct put p = { .body = BODY }, q = { .body = BODY };
	char path[100];
	int fd;

	(void)state;
	spool_begin();
	client_begin();
	put_one(&p);
	put_one(&q);
	spool_end();
	snprintf(path, sizeof(path), "spool/queue/%.16s", p.id);
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "X", 1, 60), 1);
	close(fd);
	assert_int_equal(symlink("/etc/passwd", "spool/queue/bbbbbbbbbbbbbbbb"),
	    0);
	assert_int_equal(mkdir("spool/queue/cccccccccccccccc", 0700), 0);
	assert_int_equal(mkfifo("spool/queue/dddddddddddddddd", 0600), 0);
	assert_int_equal(symlink("x", "spool/queue/readme"), 0);
	close(open("spool/tmp/left", O_CREAT | O_WRONLY, 0600));
	spool_begin();
	assert_int_equal(queue_count(sp->queue), 1);
	assert_non_null(queue_find(sp->queue, q.id));
	assert_int_equal(files_in("spool/bad"), 5);
	assert_int_equal(files_in("spool/tmp"), 0);
	queue_delete(queue_find(sp->queue, q.id), NULL, NULL);
	spool_end();
}

/* Every file operation of eight commits at once fails in turn: what got its OK
 * is there after a restart, and nothing else is. */
static void
test_faults(void **state)
{
	enum { N = 8 };
	unsigned int failed = 1, n;

	(void)state;
	for (n = 1; failed > 0; n++) {
		struct put p[N];

		assert_int_equal(system("rm -rf spool"), 0);
		spool_begin();
		client_begin();
		fio_fail_at(n, n % 2 == 0 ? ENOSPC : EIO);
		for (int i = 0; i < N; i++) {
			p[i] = (struct put){ .ticket = "00", .body = BODY,
				.len = strlen(BODY), .rcpts = one_rcpt,
				.n_rcpts = 1 };
			put(&p[i]);
		}
		wait_for(N);
		fio_fail_at(0, 0);
		assert_int_equal(files_in("spool/tmp"), 0);
		spool_end();
		spool_begin();
		failed = 0;
		for (int i = 0; i < N; i++) {
			failed += p[i].verdict != SPOOLC_OK;
			if (p[i].verdict == SPOOLC_OK)
				assert_non_null(queue_find(sp->queue, p[i].id));
			else
				assert_int_equal(p[i].verdict, n % 2 == 0 ?
				    SPOOLC_NOSPACE : SPOOLC_TEMP);
		}
		assert_int_equal(queue_count(sp->queue), N - failed);
		spool_end();
	}
}

/* -------------------------------------------------------------------- rate -- */

static unsigned int rate_left;
static int64_t rate_last_us, rate_worst_us;

static void
rate_again(struct put *p)
{
	assert_int_equal(p->verdict, SPOOLC_OK);
	if (rate_left > 0) {
		rate_left--;
		put(p);
	} else {
		called();
	}
}

static void
rate_beat(void *ctx)
{
	int64_t now_us = clock_now_us();

	if (now_us - rate_last_us > rate_worst_us)
		rate_worst_us = now_us - rate_last_us;
	rate_last_us = now_us;
	timer_arm(ctx, 1);
}

static int
rate(unsigned int messages, unsigned int concurrent, size_t octets)
{
	struct put *p = calloc(concurrent, sizeof(*p));
	char *body = malloc(octets);
	struct timer beat = { 0 };
	int64_t began_us;
	double s;

	memset(body, 'x', octets);
	spool_begin();
	client_begin();
	timer_init(&beat, loop, rate_beat, &beat);
	rate_last_us = began_us = clock_now_us();
	timer_arm(&beat, 1);
	rate_left = messages - concurrent;
	for (unsigned int i = 0; i < concurrent; i++) {
		p[i] = (struct put){ .ticket = "00", .body = body,
			.len = octets, .rcpts = one_rcpt, .n_rcpts = 1,
			.then = rate_again };
		put(&p[i]);
	}
	wait_for(concurrent);
	s = (double)(clock_now_us() - began_us) / 1e6;
	printf("%u messages of %zu octets, %u at a time: %.0f a second; "
	    "loop held %.1f ms at most\n", messages, octets, concurrent,
	    messages / s, (double)rate_worst_us / 1e3);
	assert_int_equal(queue_count(sp->queue), messages);
	spool_end();
	return 0;
}

/* -------------------------------------------------------------------- main -- */

static int
enter(const char *parent)
{
	snprintf(root, sizeof(root), "%s/t_spool.XXXXXX", parent);
	umask(077);
	return mkdtemp(root) == NULL || chdir(root) != 0;
}

static int
setup(void **state)
{
	(void)state;
	log_open("t_spool", "t_spool", "log");
	return 0;
}

static int
clean(void **state)
{
	(void)state;
	return system("rm -rf spool auth smtp send log");
}

static int
leave(void)
{
	char cmd[300];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	return system(cmd) == 0 && chdir("/") == 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_verdicts, setup, clean),
		cmocka_unit_test_setup_teardown(test_way_out, setup, clean),
		cmocka_unit_test_setup_teardown(test_asked, setup, clean),
		cmocka_unit_test_setup_teardown(test_utf8_unsaid, setup, clean),
		cmocka_unit_test_setup_teardown(test_large, setup, clean),
		cmocka_unit_test_setup_teardown(test_given_up, setup, clean),
		cmocka_unit_test_setup_teardown(test_broken_peers, setup, clean),
		cmocka_unit_test_setup_teardown(test_recovery, setup, clean),
		cmocka_unit_test_setup_teardown(test_faults, setup, clean),
	};
	int r;

	if (enter(argc == 6 ? argv[5] : "/tmp") != 0)
		return 1;
	if (argc == 6 && strcmp(argv[1], "rate") == 0)
		r = rate((unsigned int)atoi(argv[2]),
		    (unsigned int)atoi(argv[3]), (size_t)atol(argv[4]));
	else
		r = cmocka_run_group_tests(tests, NULL, NULL);
	return leave() != 0 ? 1 : r;
}
