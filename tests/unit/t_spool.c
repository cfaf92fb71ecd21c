/*
 * t_spool.c - submitd-spool from the side of submitd-smtp, over its real sockets,
 * with an authd that answers what the ticket says: everything but the process.
 *
 *	t_spool journal|files MESSAGES CONCURRENT OCTETS DIR
 * measures instead: messages a second, and the longest time the loop was held.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/conf_route.h"
#include "submitd/spool/journal.h"
#include "tests/unit/spool_fake.h"

struct verdict_case {
	const char *name, *ticket;
	uint64_t size;
	size_t octets;		/* of the body, or 0: BODY */
	unsigned int received;	/* so many Received in front */
	uint64_t min_free;
	enum spoolc_verdict want;
	bool at_commit;
};

/* A message of up to SPOOL_CHUNK octets comes as a whole and hears all at commit;
 * one that is announced as larger hears at begin what can be known then. */
#define SAID 40000

static const struct verdict_case verdict_cases[] = {
	{ "taken", "00", 0, 0, 0, 1, SPOOLC_OK, true },
	{ "taken, announced", "00", SAID, 0, 0, 1, SPOOLC_OK, true },
	{ "grown beyond a packet", "00", 0, 40000, 0, 1, SPOOLC_OK, true },
	{ "void at begin", "60", SAID, 0, 0, 1, SPOOLC_VOID, false },
	{ "void at commit", "06", SAID, 0, 0, 1, SPOOLC_VOID, true },
	{ "void, whole", "60", 0, 0, 0, 1, SPOOLC_VOID, true },
	{ "void, grown", "60", 0, 40000, 0, 1, SPOOLC_VOID, true },
	{ "no authorisation", "40", SAID, 0, 0, 1, SPOOLC_VOID, false },
	{ "no authorisation, whole", "40", 0, 0, 0, 1, SPOOLC_VOID, true },
	{ "another's sender", "50", SAID, 0, 0, 1, SPOOLC_NOTSENDER, false },
	{ "another's, whole", "50", 0, 0, 0, 1, SPOOLC_NOTSENDER, true },
	{ "sender taken away", "05", SAID, 0, 0, 1, SPOOLC_NOTSENDER, true },
	{ "authd cannot say", "30", SAID, 0, 0, 1, SPOOLC_TEMP, false },
	{ "cannot say, whole", "30", 0, 0, 0, 1, SPOOLC_TEMP, true },
	{ "announced too big", "00", 9000000, 0, 0, 1, SPOOLC_TOOBIG, false },
	{ "is too big", "00", 0, 9000000, 0, 1, SPOOLC_TOOBIG, true },
	{ "is far too big", "00", 0, 20000000, 0, 1, SPOOLC_TOOBIG, true },
	{ "largest", "00", 8388608, 8388608, 0, 1, SPOOLC_OK, true },
	{ "his own limit", "000", 100000, 100000, 0, 1, SPOOLC_OK, true },
	{ "more, announced", "000", 100001, 0, 0, 1, SPOOLC_TOOBIG, false },
	{ "more than his", "000", 0, 101025, 0, 1, SPOOLC_TOOBIG, true },
	{ "100 Received", "00", 0, 0, 100, 1, SPOOLC_OK, true },
	{ "101 Received", "00", 0, 0, 101, 1, SPOOLC_LOOP, true },
	{ "101 Received, begun", "00", SAID, 0, 101, 1, SPOOLC_LOOP, true },
	{ "limit at begin", "<0", SAID, 0, 0, 1, SPOOLC_LIMIT, false },
	{ "limit, grown", "<0", 0, 40000, 0, 1, SPOOLC_LIMIT, true },
	{ "limit at commit", "0<", SAID, 0, 0, 1, SPOOLC_OVER, true },
	{ "limit, whole", "<0", 0, 0, 0, 1, SPOOLC_LIMIT, true },
	{ "no space", "00", SAID, 0, 0, 1ull << 60, SPOOLC_NOSPACE, false },
	{ "no space, whole", "00", 0, 0, 0, 1ull << 60, SPOOLC_NOSPACE, true },
	{ "no space, grown", "00", 0, 40000, 0, 1ull << 60, SPOOLC_NOSPACE,
	  true },
};

static void
test_verdicts(void **state)
{
	size_t taken = 0;

	(void)state;
	n_booked = 0;
	spool_begin_journal();
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
	/* What is removed by a thread takes its time. */
	for (int i = 0; i < 1000 && sp->n_txns > 0; i++)
		wait_ms(10);
	assert_int_equal(files_in("spool/queue") + in_journal(), taken);
	assert_int_equal(n_booked, taken);
	assert_int_equal(files_in("spool/tmp"), 0);
	assert_int_equal(sp->n_txns, 0);
	assert_int_equal(sp->reserved, 0);
	spool_end();
}

/* Mail by LMTP is for users here: whatever submitd-smtp says, none of it goes
 * out again. */
static void
test_received(void **state)
{
	static const char *const here[] = { "b@example.org", "postmaster" },
	    *const both[] = { "b@example.org", "b@example.com" },
	    *const moved[] = { "b@moved.example.org" };
	static const struct {
		const char *name, *ticket;
		const char *const *rcpts;
		size_t n;
		enum spoolc_verdict want;
		const char *body;
	} rows[] = {
		{ "all local", "00r", here, 2, SPOOLC_OK, NULL },
		{ "it was here", "00r", here, 1, SPOOLC_LOOP,
		  "X: y\r\nDELIVERED-TO: <B@example.org>\r\n" BODY },
		{ "last field", "00r", here, 1, SPOOLC_LOOP,
		  "Delivered-To: b@example.org\r\n\r\nx\r\n" },
		{ "elsewhere", "00r", here, 1, SPOOLC_OK,
		  "Delivered-To: bb@example.org\r\n" BODY },
		{ "for one of two", "00r", here, 2, SPOOLC_OK,
		  "Delivered-To: b@example.org\r\n" BODY },
		{ "in its text", "00r", here, 1, SPOOLC_OK,
		  "X: y\r\n\r\nDelivered-To: b@example.org\r\n" },
		{ "sent on by who got it", "00", here, 1, SPOOLC_OK,
		  "Delivered-To: b@example.org\r\n" BODY },
		{ "one elsewhere", "00r", both, 2, SPOOLC_VOID, NULL },
		{ "local by name, with a route", "00r", moved, 1, SPOOLC_VOID, NULL },
		{ "not by LMTP", "00", both, 2, SPOOLC_OK, NULL },
	};
	struct conf_route local = { .via = CONF_VIA_LOCAL },
	    away = { .via = CONF_VIA_MX }, moves = { .via = CONF_VIA_SMTP,
	    .domains = { .v = (char *[]){ (char[]){ "moved.example.org" } },
	    .n = 1 } };

	(void)state;
	conf.local_domains = (struct conf_list){ .v = (char *[]){
	    (char[]){ "example.org" }, (char[]){ "moved.example.org" } },
	    .n = 2 };
	conf.route_local = &local;
	conf.route_next_hop = &away;
	conf.routes = &moves;
	conf.n_routes = 1;
	spool_begin();
	client_begin();
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct put p = { .ticket = rows[i].ticket,
			.body = rows[i].body != NULL ? rows[i].body : BODY,
			.rcpts = rows[i].rcpts, .n_rcpts = rows[i].n };

		put_one(&p);
		ROW_EQ(rows[i].name, p.verdict, rows[i].want);
	}
	spool_end();
	conf.local_domains.n = conf.n_routes = 0;
}

struct limit_case {
	const char *name;
	uint64_t messages, octets;
	unsigned int fit;	/* of bodies that are announced or not */
	size_t body;
	bool announced, at_commit;
	const char *text;
};

static const struct limit_case limit_cases[] = {
	{ "messages", 3, 0, 3, 500000, true, false,
	  "3 messages wait for delivery at most (spool_user_messages)" },
	{ "messages, not announced", 3, 0, 3, 500000, false, true,
	  "3 messages wait for delivery at most (spool_user_messages)" },
	{ "small messages", 3, 0, 3, 1000, false, true,
	  "3 messages wait for delivery at most (spool_user_messages)" },
	{ "octets, announced", 100, 1 << 20, 2, 500000, true, false,
	  "1024 KiB wait for delivery at most (spool_user_limit)" },
	{ "octets, as they come", 100, 1 << 20, 2, 500000, false, true,
	  "1024 KiB wait for delivery at most (spool_user_limit)" },
};

static void
test_user_limit(void **state)
{
	enum { OCTETS = 500000 };
	char *body = malloc(OCTETS);

	(void)state;
	memset(body, 'x', OCTETS);
	for (size_t i = 0; i < ROWS(limit_cases); i++) {
		const struct limit_case *c = &limit_cases[i];
		unsigned int taken = 0;
		struct put p = { .body = body, .len = c->body,
			.size = c->announced ? c->body : 0 };

		n_booked = 0;
		conf.spool_user_messages = c->messages;
		conf.spool_user_limit = c->octets;
		spool_begin();
		client_begin();
		do {
			p.committed = false;
			put_one(&p);
			taken += p.verdict == SPOOLC_OK;
		} while (p.verdict == SPOOLC_OK && taken < 10);
		ROW_EQ(c->name, p.verdict, SPOOLC_FULL);
		ROW_EQ(c->name, p.committed, c->at_commit);
		ROW_EQ(c->name, taken, c->fit);
		ROW_STR(c->name, p.id, c->text);
		/* What was booked with the refused one is taken back. */
		for (int k = 0; n_booked > (int)taken && k < 1000; k++)
			wait_ms(10);
		ROW_EQ(c->name, n_booked, taken);
		/* One that leaves makes room. */
		queue_delete(queue_first(sp->queue), NULL, NULL);
		put_one(&p);
		ROW_EQ(c->name, p.verdict, SPOOLC_OK);
		while (queue_first(sp->queue) != NULL)
			queue_delete(queue_first(sp->queue), NULL, NULL);
		for (int k = 0; sp->n_txns > 0 && k < 1000; k++)
			wait_ms(10);
		assert_null(queue_user_first(sp->queue));
		spool_end();
	}
	conf.spool_user_messages = 10000000;
	conf.spool_user_limit = 0;
	free(body);
}

static unsigned int begun_ok, begun_temp;

static void
on_begun(void *ctx, enum spoolc_verdict v, const char *id)
{
	(void)id;
	begun_ok += v == SPOOLC_OK;
	begun_temp += v == SPOOLC_TEMP;
	if (v != SPOOLC_OK)
		*(struct spoolc_txn **)ctx = NULL;
	called();
}

/* A taken-over submitd-smtp opens what it can, with all that can be in it. */
static void
test_recipients(void **state)
{
	enum { RCPTS = 10000, OPEN = 30 };
	struct put p = { .ticket = "00", .body = BODY };
	const char **rcpts = calloc(RCPTS + 1, sizeof(*rcpts));
	struct spoolc_envelope env = { .sender = "a@example.org",
		.rcpts = rcpts, .n_rcpts = RCPTS, .helo = "" };
	struct spoolc_txn *open[OPEN];
	char address[255];
	size_t n;

	(void)state;
	memset(address, 'a', 254);
	memset(address + 64, '@', 1);
	for (size_t i = 65; i < 254; i++)
		address[i] = i % 60 == 0 ? '.' : 'b';
	address[254] = '\0';
	for (size_t i = 0; i <= RCPTS; i++)
		rcpts[i] = address;
	spool_begin();
	client_begin();
	/* In more packets than one; refused before all of them are there. */
	p.rcpts = rcpts;
	p.n_rcpts = RCPTS;
	put_one(&p);
	assert_int_equal(p.verdict, SPOOLC_OK);
	p.ticket = "60";
	put_one(&p);
	assert_int_equal(p.verdict, SPOOLC_VOID);
	p.ticket = "00";
	p.n_rcpts = RCPTS + 1;
	put_one(&p);
	assert_int_equal(p.verdict, SPOOLC_TEMP);
	/* So much and no more for one submitd-smtp, which stays connected. */
	env.ticket = "00";
	env.ticket_len = 2;
	for (n = 0; n < OPEN && begun_temp == 0; n++) {
		/* What was refused may still be on its way. */
		while ((open[n] = spoolc_begin(client, &env, on_begun, NULL,
		    &open[n])) == NULL)
			wait_ms(1);
		wait_for(1);
	}
	assert_int_equal(begun_ok + 1, n);
	assert_in_range(begun_ok, 5, 20);
	while (n-- > 0)
		spoolc_abort(open[n]);
	while (sp->n_txns > 0)
		wait_ms(1);
	wait_ms(100);
	p.n_rcpts = RCPTS;
	put_one(&p);
	assert_int_equal(p.verdict, SPOOLC_OK);
	free(rcpts);
	spool_end();
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

static void
wait_files(const char *dir, size_t n)
{
	for (int i = 0; i < 1000 && files_in(dir) != n; i++)
		wait_ms(10);
	assert_int_equal(files_in(dir), n);
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
	static char data[200000];
	struct spoolc_envelope env = { .ticket = "00", .ticket_len = 2,
		.sender = "", .rcpts = one_rcpt, .n_rcpts = 1, .helo = "" };
	struct spoolc_txn *t;

	(void)state;
	n_booked = 0;
	spool_begin();
	client_begin();
	/* What nobody has been asked about. */
	t = spoolc_begin(client, &env, never, NULL, NULL);
	assert_true(spoolc_is_begun(t));
	spoolc_data(t, data, 1000);
	spoolc_abort(t);
	/* While authd is asked, and books it. */
	t = spoolc_begin(client, &env, never, NULL, NULL);
	spoolc_data(t, data, 1000);
	spoolc_commit(t, never);
	spoolc_abort(t);
	env.size = sizeof(data);
	t = spoolc_begin(client, &env, on_begun_stop, NULL, NULL);
	wait_for(1);
	spoolc_data(t, data, 1000);
	spoolc_commit(t, never);
	spoolc_abort(t);
	t = spoolc_begin(client, &env, never, NULL, NULL);
	assert_false(spoolc_is_begun(t));
	spoolc_abort(t);
	t = spoolc_begin(client, &env, on_begun_stop, NULL, NULL);
	wait_for(1);
	spoolc_data(t, data, sizeof(data));
	wait_files("spool/tmp", 1);
	spoolc_abort(t);
	wait_files("spool/tmp", 0);
	t = spoolc_begin(client, &env, on_begun_stop, NULL, NULL);
	wait_for(1);
	spoolc_data(t, data, sizeof(data));
	spoolc_free(client);
	client = NULL;
	for (int i = 0; i < 1000 && sp->n_txns > 0; i++)
		wait_ms(10);
	assert_int_equal(sp->n_txns, 0);
	assert_int_equal(sp->reserved, 0);
	for (int i = 0; i < 1000 && n_booked > 0; i++)
		wait_ms(10);
	assert_int_equal(n_booked, 0);
	wait_files("spool/tmp", 0);
	assert_int_equal(files_in("spool/queue"), 0);
	spool_end();
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
	spool_begin_journal();
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

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_verdicts,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_received,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_recipients,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_user_limit,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_utf8_unsaid,
		    fake_setup, fake_clean),
		cmocka_unit_test_setup_teardown(test_given_up,
		    fake_setup, fake_clean),
	};
	int r;

	if (argc == 6 && strcmp(argv[1], "files") == 0)
		segment_octets = 0;
	else if (argc == 6)
		segment_octets = JOURNAL_SIZE;
	if (fake_enter(argc == 6 ? argv[5] : "/tmp") != 0)
		return 1;
	if (argc == 6)
		r = rate((unsigned int)atoi(argv[2]),
		    (unsigned int)atoi(argv[3]), (size_t)atol(argv[4]));
	else
		r = cmocka_run_group_tests(tests, NULL, NULL);
	return fake_leave() != 0 ? 1 : r;
}
