/*
 * spool_fake.c - see spool_fake.h.
 */
#include "config.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "auth/authp.h"
#include "lib/fio.h"
#include "lib/log.h"
#include "submitd/spool/journal.h"
#include "tests/unit/spool_fake.h"

static char root[200];
struct conf conf = { .hostname = (char[]){ "mx.example.org" },
	.message_size_limit = 8 * 1024 * 1024, .spool_min_free = 1,
	.received_limit = 100, .spool_user_messages = 10000000,
	.recipient_limit = 10000 };
uint32_t segment_octets = 256 * 1024;
struct loop *loop;
struct spool *sp;
static struct ipc_listener *listeners[3];
struct spoolc *client;
struct spoolq *sender;
static void *dead[400][2];
static size_t n_dead;
unsigned int waiting;		/* callbacks that are still to come */

/* -------------------------------------------------------------- fake authd -- */

#define RESERVATION 0x01020304u
static int n_held;		/* reserved, and not yet booked or returned */
int n_booked;

static struct ipc *auth_peer;
enum authp_user user_state;

static int
auth_users(struct ipc *p, struct msg_in *m)
{
	static struct msg_out out;
	uint8_t states[AUTHP_USERS_MAX];
	const char *user;
	uint16_t n;

	msg_get_u16(m, &n);
	for (uint16_t i = 0; i < n; i++) {
		msg_get_str(m, &user, AUTHP_USER_MAX);
		states[i] = user_state;
	}
	assert_int_equal(msg_get_end(m), 0);
	msg_begin(&out, AUTHP_USERS | AUTHP_REPLY, m->id);
	msg_put_u8(&out, AUTHP_OK);
	msg_put_blob(&out, states, n);
	return ipc_send(p, &out, -1);
}

void
auth_says(const char *user, enum authp_user state)
{
	static struct msg_out out;

	msg_begin(&out, AUTHP_USER, 0);
	msg_put_str(&out, user);
	msg_put_u8(&out, (uint8_t)state);
	assert_int_equal(ipc_send(auth_peer, &out, -1), 0);
}

/* The ticket is "BEGIN/COMMIT": the verdicts of the two phases as digits, "-" for
 * no answer. What comes as a whole meets both. */
static uint8_t
auth_verdict(const char *ticket, uint8_t phase)
{
	if (phase == AUTHP_WHOLE)
		phase = ticket[0] == '0' ? AUTHP_COMMIT : AUTHP_BEGIN;
	return (uint8_t)(ticket[phase] - '0');
}

/* Told, not asked. */
static bool
auth_is_told(uint8_t phase)
{
	n_held -= phase == AUTHP_ABORT;
	n_booked -= phase == AUTHP_TAKE_BACK;
	return phase == AUTHP_ABORT || phase == AUTHP_TAKE_BACK;
}

static int
auth_packet(void *ctx, struct ipc *p, struct msg_in *m, int fd)
{
	static struct msg_out out;
	const char *from;
	const void *ticket;
	uint32_t recipients, reservation;
	uint64_t octets;
	uint8_t phase, verdict;
	bool received;
	size_t len;

	(void)ctx;
	assert_int_equal(fd, -1);
	if (m->type == AUTHP_USERS)
		return auth_users(p, m);
	msg_get_blob(m, &ticket, &len, AUTHP_TICKET_MAX);
	msg_get_str(m, &from, AUTHP_SENDER_MAX);
	msg_get_u8(m, &phase);
	msg_get_u32(m, &recipients);
	msg_get_u64(m, &octets);
	msg_get_u32(m, &reservation);
	assert_int_equal(msg_get_end(m), 0);
	assert_int_equal(m->type, AUTHP_TICKET);
	assert_int_equal(reservation, phase == AUTHP_COMMIT ||
	    phase == AUTHP_ABORT ? RESERVATION : 0);
	if (auth_is_told(phase) || *(const char *)ticket == '-')
		return 0;
	assert_true(recipients > 0);
	assert_true(len == 2 || len == 3);
	verdict = auth_verdict(ticket, phase);
	received = len == 3 && ((const char *)ticket)[2] == 'r';
	msg_begin(&out, AUTHP_TICKET | AUTHP_REPLY, m->id);
	msg_put_u8(&out, verdict);
	if (verdict == AUTHP_OK) {
		msg_put_str(&out, "u@example.org");
		msg_put_u8(&out, received ? AUTHP_KIND_RECEIVE :
		    AUTHP_KIND_SASL);
		msg_put_str(&out, "192.0.2.7");
		msg_put_str(&out, "TLSv1.3:TLS_AES_256_GCM_SHA384:X25519");
		msg_put_str(&out, "PLAIN");
		msg_put_str(&out, "sidsidsidsidsid2");
		msg_put_str(&out, "");		/* origin */
		msg_put_u32(&out, phase == AUTHP_BEGIN ? RESERVATION : 0);
		msg_put_u64(&out, len == 3 && !received ? USER_LIMIT : 0);
		msg_put_u8(&out, 0);		/* foreign */
		n_held += phase == AUTHP_BEGIN;
		n_held -= phase == AUTHP_COMMIT;
		n_booked += phase != AUTHP_BEGIN;
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
	auth_peer = ipc_new(loop, fd, "test", &auth_ops, NULL);
	assert_non_null(auth_peer);
}

/* --------------------------------------------------------------- the spool -- */

static const struct queue_hooks hooks = {
	.told = sender_told,
	.left = sender_left,
	.held = sender_held,
};

int
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

void
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
	journal_set_size(sp->store.journal, segment_octets);
	sp->writers = pool_new(loop, 2, 10000);
	sp->flush = flush_new(loop, &sp->store);
	sp->queue = queue_new(loop, sp->flush, &hooks, sp);
	sp->auth = authc_new_with(loop, "auth", &users_notices, sp);
	assert_int_equal(recover_run(sp, &err), 0);
	assert_int_equal(users_start(sp), 0);
	assert_int_equal(room_start(sp), 0);
	for (int i = 0; i < 3; i++) {
		listeners[i] = ipc_listen(loop, bind_here(names[i]),
		    getuid(), names[i], fns[i], sp);
		assert_non_null(listeners[i]);
	}
}

static void
wait_tick(void *ctx)
{
	(void)ctx;
	called();
}

void
wait_ms(int64_t ms)
{
	struct timer t = { 0 };

	assert_int_equal(timer_init(&t, loop, wait_tick, NULL), 0);
	timer_arm(&t, ms);
	wait_for(1);
	timer_free(&t);
}

void
spool_begin_journal(void)
{
	struct journal_status status;

	spool_begin();
	do {
		wait_ms(1);
		journal_status(sp->store.journal, &status);
	} while (status.ready < 1 && segment_octets != 0);
}

size_t
in_journal(void)
{
	struct journal_status status;

	journal_status(sp->store.journal, &status);
	return status.messages;
}

/* As a crash would: nothing is flushed that was not. */
void
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

void
client_begin(void)
{
	bool started = false;

	client = spoolc_new(loop, "smtp", conf.message_size_limit * 2);
	stop_when_up(&started);
	loop_run(loop);
}

void
called(void)
{
	assert_true(waiting > 0);
	if (--waiting == 0)
		loop_stop(loop);
}

void
wait_for(unsigned int n)
{
	waiting = n;
	loop_run(loop);
}

/* ---------------------------------------------------------------- messages -- */

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

const char *const one_rcpt[1] = { "b@example.com" };

void
put(struct put *p)
{
	struct spoolc_envelope env = {
		.ticket = p->ticket, .ticket_len = strlen(p->ticket),
		.sender = "a@example.org", .rcpts = p->rcpts,
		.n_rcpts = p->n_rcpts, .helo = "client.example.net",
		.size = p->size, .smtputf8 = p->smtputf8, .ret = p->ret,
		.envid = p->envid, .dsn = p->dsn, .wishes = p->wishes };

	p->sent = 0;
	p->txn = spoolc_begin(client, &env, put_begun, put_more, p);
	assert_non_null(p->txn);
	if (spoolc_is_begun(p->txn))
		put_more(p);
}

void
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

struct spoolq_msg *told[64];
size_t n_told;
char gone_id[STR_ID_SIZE];
char held_id[STR_ID_SIZE];

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
on_held(void *ctx, const char *id)
{
	(void)ctx;
	str_copy(held_id, sizeof(held_id), id);
	if (waiting > 0)
		called();
}

static void
on_reset(void *ctx)
{
	(void)ctx;
}

static const struct spoolq_ops sender_client_ops = {
	.entry = on_entry,
	.gone = on_gone,
	.held = on_held,
	.reset = on_reset,
};

void
forget_told(void)
{
	while (n_told > 0)
		spoolq_msg_free(told[--n_told]);
}

/* Connects as submitd-send and waits for `n` entries. */
void
sender_begin(unsigned int n)
{
	sender = spoolq_new(loop, "send", &sender_client_ops, NULL);
	if (n > 0)
		wait_for(n);
	assert_int_equal(n_told, n);
}

int open_fd;
uint64_t open_offset;

void
on_open(void *ctx, int fd, uint64_t offset, const void *content, size_t len)
{
	(void)ctx;
	open_fd = content != NULL ? fio_memfd("content", content, len) : fd;
	open_offset = offset;
	called();
}

void
on_bounce(void *ctx, bool ok)
{
	*(bool *)ctx = ok;
	called();
}

size_t
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

/* ----------------------------------------------------------------- folders -- */

int
fake_enter(const char *parent)
{
	snprintf(root, sizeof(root), "%s/t_spool.XXXXXX", parent);
	umask(077);
	return mkdtemp(root) == NULL || chdir(root) != 0;
}

int
fake_setup(void **state)
{
	(void)state;
	log_open("t_spool", "t_spool", "log");
	return 0;
}

int
fake_clean(void **state)
{
	(void)state;
	segment_octets = 256 * 1024;
	return system("rm -rf spool auth smtp send queue log");
}

int
fake_leave(void)
{
	char cmd[300];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", root);
	return system(cmd) == 0 && chdir("/") == 0 ? 0 : 1;
}
