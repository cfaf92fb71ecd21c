/*
 * t_send_client.c - the SMTP and LMTP client alone, against a scripted server:
 * walks over hosts, IPv6 and IPv4, LMTP, BDAT, wishes, PIX, busy servers.
 *
 * The events are what the owner was told: "ready", "busy", "sent", "closed"; the
 * outcomes stand in the order of the recipients: D done, F failed, R deferred, N
 * to be tried at once.
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
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/conf_route.h"
#include "lib/fio.h"
#include "lib/log.h"
#include "lib/str.h"
#include "submitd/send/smtp_client_private.h"
#include "tests/unit/send_server.h"

#define MESSAGE "Subject: x\r\n\r\n.dot\r\n..\r\nlast\r\n"
#define RCPTS_MAX 4u

struct client_row {
	const char	*name;
	const char	*script;
	const char	*events;
	const char	*outcomes;
	const char	*texts[RCPTS_MAX];	/* begin so; NULL: anything */
	const char	*addrs;			/* "64": [::1], 127.0.0.1; NULL: "4";
						 * "4/4": two hosts */
	const char	*why;			/* of closed, or NULL */
	const char	*content;		/* NULL: MESSAGE, stuffed */
	const char	*message;
	struct conf_route route;
	struct spool_wishes wishes;
};

struct client_run {
	const struct client_row	*row;
	struct loop		*loop;
	struct timer		 guard;
	struct smtp_client	*client;
	struct smtp_client_txn	 txn;
	struct outcome_rcpt	 rcpts[RCPTS_MAX];
	size_t			 n_rcpts;
	bool			 sent;
	char			 events[256];
	char			 why[1100];
};

static void
run_note(struct client_run *r, const char *event)
{
	if (r->events[0] != '\0')
		strcat(r->events, " ");
	strcat(r->events, event);
}

static void
run_ready(void *ctx)
{
	struct client_run *r = ctx;

	run_note(r, "ready");
	if (r->sent)
		smtp_client_quit(r->client);
	else
		smtp_client_send(r->client, &r->txn);
}

static void
run_sent(void *ctx)
{
	struct client_run *r = ctx;

	r->sent = true;
	run_note(r, "sent");
}

static void
run_busy(void *ctx)
{
	run_note(ctx, "busy");
}

static void
run_closed(void *ctx, bool was_ready, bool remote, const char *why)
{
	struct client_run *r = ctx;

	(void)remote;
	(void)was_ready;
	r->client = NULL;
	snprintf(r->why, sizeof(r->why), "%s", why);
	run_note(r, "closed");
	loop_stop(r->loop);
}

static void
run_guard(void *ctx)
{
	struct client_run *r = ctx;

	if (strstr(r->events, "closed") == NULL)
		run_note(r, "time-out");
	loop_stop(r->loop);
}

static const struct smtp_client_ops run_ops = {
	.ready = run_ready,
	.sent = run_sent,
	.closed = run_closed,
	.busy = run_busy,
};

static void
run_add_addr(struct hosts_host *h, char family)
{
	assert_int_equal(addr_parse_ip(family == '6' ? "::1" : "127.0.0.1",
	    &h->addrs[h->n_addrs]), 0);
	/* 0 stands for one where nobody listens. */
	h->addrs[h->n_addrs++].port = family == '0' ? 1 : server.port;
}

static struct hosts *
run_hosts(const char *addrs)
{
	struct hosts *h = calloc(1, sizeof(*h));

	h->host = calloc(4, sizeof(*h->host));
	h->n = 1;
	for (; *addrs != '\0'; addrs++) {
		struct hosts_host *host = &h->host[h->n - 1];

		str_copy(host->name, sizeof(host->name), "hop.test");
		if (*addrs == '/')
			h->n++;
		else
			run_add_addr(host, *addrs);
	}
	return h;
}

static void
run_open(struct client_run *r, const struct client_row *row, bool bytewise)
{
	const char *m = row->message != NULL ? row->message : MESSAGE;
	static const char *const names[] = { "x@there.test", "y@there.test",
	    "z@there.test", "zz@there.test" };

	memset(r, 0, sizeof(*r));
	r->row = row;
	r->loop = loop_new();
	server_open(row->script, bytewise);
	timer_init(&r->guard, r->loop, run_guard, r);
	timer_arm(&r->guard, 8000);
	r->n_rcpts = strlen(row->outcomes) > 0 ? strlen(row->outcomes) : 1;
	for (size_t i = 0; i < r->n_rcpts; i++) {
		r->rcpts[i].index = (uint32_t)i;
		r->rcpts[i].address = names[i];
	}
	r->txn = (struct smtp_client_txn){ .sender = "a@here.test",
		.rcpts = r->rcpts, .n_rcpts = r->n_rcpts,
		.fd = fio_memfd("message", m, strlen(m)), .octets = strlen(m),
		.wishes = &row->wishes };
}

static void
run_close(struct client_run *r)
{
	smtp_client_abort(r->client);
	timer_arm(&r->guard, 5);		/* the reaper */
	loop_run(r->loop);
	server_close();
	close(r->txn.fd);
	timer_free(&r->guard);
	loop_free(r->loop);
}

static void
run_outcomes(const struct client_run *r, char dst[RCPTS_MAX + 1])
{
	static const char letters[] = { [OUTCOME_NONE] = 'N',
		[OUTCOME_ACCEPTED] = 'A', [OUTCOME_DONE] = 'D',
		[OUTCOME_DEFER] = 'R', [OUTCOME_FAIL] = 'F' };

	memset(dst, 0, RCPTS_MAX + 1);
	for (size_t i = 0; i < r->n_rcpts; i++)
		dst[r->rcpts[i].index] = letters[r->rcpts[i].outcome];
}

static void
run_check(struct client_run *r, bool bytewise)
{
	const struct client_row *row = r->row;
	char got[RCPTS_MAX + 1];

	run_outcomes(r, got);
	if (strcmp(r->events, row->events) != 0 || server.error[0] != '\0' ||
	    (row->outcomes[0] != '\0' && strcmp(got, row->outcomes) != 0))
		print_error("%s%s: %s; %s; %s\n", row->name,
		    bytewise ? ", bytewise" : "", r->events, got, r->why);
	assert_string_equal(server.error, "");
	assert_string_equal(r->events, row->events);
	if (row->outcomes[0] != '\0')
		assert_string_equal(got, row->outcomes);
	if (row->why != NULL && strstr(r->why, row->why) == NULL)
		fail_msg("%s: no \"%s\" in %s", row->name, row->why, r->why);
	for (size_t i = 0; i < r->n_rcpts; i++) {
		const char *want = row->texts[r->rcpts[i].index];

		if (want != NULL && strncmp(outcome_text(&r->rcpts[i]), want,
		    strlen(want)) != 0)
			fail_msg("%s: not \"%s\" but %s", row->name, want,
			    outcome_text(&r->rcpts[i]));
	}
	if (row->content != NULL)
		assert_string_equal(server.content, row->content);
	for (size_t i = 0; i < r->n_rcpts; i++)
		free(r->rcpts[i].text);
}

static void
run_row(const struct client_row *row, bool bytewise)
{
	struct smtp_client_target to = { .hostname = "mx.here.test" };
	struct client_run r;

	run_open(&r, row, bytewise);
	to.hosts = run_hosts(row->addrs != NULL ? row->addrs : "4");
	if (row->route.item.name != NULL)
		to.route = &row->route;
	r.client = smtp_client_new(r.loop, &to, &run_ops, &r);
	assert_non_null(r.client);
	loop_run(r.loop);
	run_close(&r);
	run_check(&r, bytewise);
}

/* ------------------------------------------------------------------- rows -- */

#define EHLO "S 220 hi\nC EHLO mx.here.test\nS 250 hop.test\n"
#define WITH(keywords) "S 220 hi\nC EHLO mx.here.test\nR 250-hop.test|" \
	keywords "|\n"
#define LHLO "N\nS 220 hi\nC LHLO mx.here.test\nR 250-hop.test|250 PIPELINING|\n"
#define MAIL "C MAIL FROM:<a@here.test>\nS 250 ok\n"
#define RCPT1 "C RCPT TO:<x@there.test>\nS 250 ok\n"
#define RCPT2 "C RCPT TO:<y@there.test>\nS 250 ok\n"
#define DATA "C DATA\nS 354 go\nB\n"
#define QUIT "C QUIT\nS 221 bye\n"
#define GOOD EHLO MAIL RCPT1 DATA "S 250 ok\n" QUIT
#define OK "ready sent ready closed"
#define STUFFED "Subject: x\r\n\r\n..dot\r\n...\r\nlast\r\n"
#define ROUTE(...) { .item.name = (char *)"r", __VA_ARGS__ }
#define LMTP ROUTE(.via = CONF_VIA_LMTP, .tls = CONF_TLS_MAY)

/* clang-format off */
static const struct client_row client_rows[] = {
	{ .name = "plain", "N\n" GOOD, OK, "D", .content = STUFFED },
	/* Addresses and hosts. */
	{ .name = "refused at the first address", "N\n" GOOD, OK, "D", .addrs = "04" },
	{ .name = "IPv6 first, as they stand", "N6\n" GOOD, OK, "D", .addrs = "64" },
	{ .name = "5xx as greeting: the next address", "N6\nS 554 no\nN4\n" GOOD, OK, "D", .addrs = "64" },
	{ .name = "5xx as greeting: the next host", "N\nS 554 no\nN\n" GOOD, OK, "D", .addrs = "4/4" },
	{ .name = "4xx to EHLO: the next host", "N\nS 220 hi\nC EHLO\nS 451 no\nN\n" GOOD, OK, "D", .addrs = "4/4" },
	{ .name = "421 everywhere", "N\nS 421 a\nX\nN\nS 421 b\nX\n", "busy busy closed", "", .addrs = "4/4", .why = "421 b" },
	{ .name = "garbage, then a good one", "N\nS what\nN\n" GOOD, OK, "D", .addrs = "4/4" },
	/* 5.7.x over IPv6. */
	{ .name = "5.7.1 to RCPT over IPv6", "N6\n" EHLO MAIL "C RCPT\nS 550 5.7.1 no\nC RSET\nN4\n" GOOD, OK, "D", .addrs = "64" },
	{ .name = "5.7.26 to MAIL over IPv6", "N6\n" EHLO "C MAIL\nS 550 5.7.26 no\nN4\n" GOOD, OK, "D", .addrs = "64" },
	{ .name = "5.7.1 to the content over IPv6", "N6\n" EHLO MAIL RCPT1 DATA "S 554 5.7.1 no\nN4\n" GOOD, OK, "D", .addrs = "64" },
	{ .name = "and the connection drops", "N6\n" EHLO MAIL "C RCPT\nS 550 5.7.1 no\nX\nN4\n" GOOD, OK, "D", .addrs = "64" },
	{ .name = "5.7.1 over both", "N6\n" EHLO MAIL "C RCPT\nS 550 5.7.1 six\nC RSET\nN4\n" EHLO MAIL "C RCPT\nS 550 5.7.1 four\nC RSET\nS 250 ok\n" QUIT, OK, "F", { "550 5.7.1 four" }, "64" },
	{ .name = "5.7.1 over IPv6, IPv4 is closed", "N6\n" EHLO MAIL "C RCPT\nS 550 5.7.1 six\nC RSET\nZ\n", "ready sent closed", "F", { "550 5.7.1 six" }, "60" },
	{ .name = "5.7.1 where there is no IPv4", "N6\n" EHLO MAIL "C RCPT\nS 550 5.7.1 six\nC RSET\nS 250 ok\n" QUIT, OK, "F", { "550 5.7.1 six" }, "6" },
	{ .name = "5.1.1 over IPv6 counts", "N6\n" EHLO MAIL "C RCPT\nS 550 5.1.1 six\nC RSET\nS 250 ok\n" QUIT, OK, "F", { "550 5.1.1 six" }, "64" },
	{ .name = "one of two over IPv4", "N6\n" EHLO MAIL "C RCPT\nS 550 5.7.1 no\n" RCPT2 DATA "S 250 two\nN4\n" EHLO MAIL RCPT1 DATA "S 250 one\n" QUIT, OK, "DD", { "250 one", "250 two" }, "64" },
	{ .name = "4.7.1 over IPv6 is for later", "N6\n" EHLO MAIL "C RCPT\nS 450 4.7.1 grey\nC RSET\nS 250 ok\n" QUIT, OK, "R", .addrs = "64" },
	/* Busy. */
	{ .name = "432 to MAIL", "N\n" EHLO "C MAIL\nS 432 4.3.2 concurrent connections\nC RSET\nS 250 ok\n" QUIT, "ready busy sent ready closed", "R" },
	{ .name = "432 to the content", "N\n" EHLO MAIL RCPT1 DATA "S 432 4.3.2 concurrent connections\n" QUIT, "ready busy sent ready closed", "R" },
	{ .name = "432 to RCPT", "N\n" EHLO MAIL "C RCPT\nS 432 4.3.2 x\nC RSET\nS 250 ok\n" QUIT, "ready busy sent ready closed", "R" },
	{ .name = "432 as greeting and to EHLO", "N\nS 432 4.3.2 a\nN\nS 220 hi\nC EHLO\nS 432 4.3.2 b\n", "busy busy closed", "", .addrs = "4/4", .why = "432 4.3.2 b" },
	{ .name = "454 to RCPT, twice", "N\n" EHLO MAIL "C RCPT\nS 454 4.7.1 later\nC RCPT\nS 454 4.7.1 later\nC RSET\nS 250 ok\n" QUIT, "ready busy sent ready closed", "RR" },
	{ .name = "421 to the content", "N\n" EHLO MAIL RCPT1 DATA "S 421 4.3.2 x\nX\n", "ready busy sent closed", "R" },
	/* LMTP: RFC 2033. */
	{ .name = "LMTP, one by one", LHLO "C MAIL\nC RCPT\nC RCPT\nC RCPT\nC DATA\nR 250 ok|250 ok|250 ok|250 ok|354 go|\nB\nR 250 2.1.5 one|452 4.2.2 full|550 5.2.1 off|\n" QUIT, OK, "DRF",
	  { "250 2.1.5 one", "452 4.2.2 full", "550 5.2.1 off" }, .route = LMTP, .content = STUFFED },
	{ .name = "LMTP, one refused at RCPT", LHLO "C MAIL\nC RCPT\nC RCPT\nC DATA\nR 250 ok|550 5.1.1 no|250 ok|354 go|\nB\nS 250 two\n" QUIT, OK, "FD", { "550 5.1.1 no", "250 two" }, .route = LMTP },
	{ .name = "LMTP, nobody", LHLO "C MAIL\nC RCPT\nC DATA\nR 250 ok|550 5.1.1 no|503 no|\nC RSET\nS 250 ok\n" QUIT, OK, "F", .route = LMTP },
	{ .name = "LMTP, gone between the answers", LHLO "C MAIL\nC RCPT\nC RCPT\nC DATA\nR 250 ok|250 ok|250 ok|354 go|\nB\nS 250 one\nX\n", "ready sent closed", "DR", { "250 one", "4.4.2 " }, .route = LMTP },
	{ .name = "no LHLO", "N\nS 220 hi\nC LHLO\nS 500 what\n", "closed", "", .route = LMTP, .why = "500 what" },
	/* BDAT: RFC 3030. */
	{ .name = "BDAT", "N\n" WITH("250-CHUNKING|250 PIPELINING") "C MAIL\nC RCPT\nR 250 ok|250 ok|\nC BDAT 30 LAST\nD 30\nS 250 ok\n" QUIT, OK, "D", .route = ROUTE(.bdat = true), .content = MESSAGE },
	{ .name = "BDAT is not offered", "N\n" GOOD, OK, "D", .route = ROUTE(.bdat = true) },
	{ .name = "BDAT is not wanted", "N\n" WITH("250 CHUNKING") MAIL RCPT1 DATA "S 250 ok\n" QUIT, OK, "D" },
	{ .name = "BDAT refused", "N\n" WITH("250 CHUNKING") MAIL RCPT1 "C BDAT 30 LAST\nD 30\nS 554 5.6.0 no\nC RSET\nS 250 ok\n" QUIT, OK, "F", .route = ROUTE(.bdat = true) },
	{ .name = "BDAT by LMTP", "N\nS 220 hi\nC LHLO\nR 250-hop|250 CHUNKING|\n" MAIL RCPT1 RCPT2 "C BDAT 30 LAST\nD 30\nS 250 a\nS 450 b\nC RSET\nS 250 ok\n" QUIT, OK, "DR", .route = ROUTE(.via = CONF_VIA_LMTP, .bdat = true) },
	/* Wishes. */
	{ .name = "REQUIRETLS without TLS", "N\n" WITH("250 REQUIRETLS") QUIT, OK, "F", { "5.7.30 REQUIRETLS" }, .wishes = { .requiretls = true } },
	{ .name = "MT-PRIORITY", "N\n" WITH("250 MT-PRIORITY MIXER") "C MAIL FROM:<a@here.test> MT-PRIORITY=-4\nS 250 ok\n" RCPT1 DATA "S 250 ok\n" QUIT, OK, "D", .wishes = { .priority = -4 } },
	{ .name = "MT-PRIORITY is not offered", "N\n" GOOD, OK, "D", .wishes = { .priority = 3 } },
	{ .name = "BY is not offered: return", "N\n" EHLO QUIT, OK, "F", { "5.3.3 " }, .wishes = { .by_mode = SPOOL_BY_RETURN, .by_s = INT32_MAX } },
	{ .name = "BY is not offered: notify", "N\n" GOOD, OK, "D", .wishes = { .by_mode = SPOOL_BY_NOTIFY, .by_s = INT32_MAX } },
	{ .name = "BY, but not that soon", "N\n" WITH("250 DELIVERBY 4000000000") QUIT, OK, "F", { "5.4.7 " }, .wishes = { .by_mode = SPOOL_BY_RETURN, .by_s = INT32_MAX } },
	{ .name = "BY is passed on", "N\n" WITH("250 DELIVERBY 10") "C MAIL FROM:<a@here.test> BY=\nS 250 ok\n" RCPT1 DATA "S 250 ok\n" QUIT, OK, "D", .wishes = { .by_mode = SPOOL_BY_RETURN, .by_s = INT32_MAX } },
	{ .name = "a deadline that has passed", "N\n" WITH("250 DELIVERBY") "C MAIL FROM:<a@here.test> BY=-\nS 250 ok\n" RCPT1 DATA "S 250 ok\n" QUIT, OK, "D", .wishes = { .by_mode = SPOOL_BY_NOTIFY, .by_s = 1 } },
	/* TLS without any. */
	{ .name = "encrypt, no STARTTLS", "N\n" EHLO, "closed", "", .route = ROUTE(.tls = CONF_TLS_ENCRYPT), .why = "4.7.4 hop.test[127.0.0.1]" },
	{ .name = "encrypt, only HELO", "N\nS 220 hi\nC EHLO\nS 500 no\n", "closed", "", .route = ROUTE(.tls = CONF_TLS_ENCRYPT), .why = "500 no" },
	{ .name = "dane without records", "N\n" GOOD, OK, "D", .route = ROUTE(.tls = CONF_TLS_DANE) },
	{ .name = "no login in clear", "N\n" WITH("250 AUTH PLAIN"), "closed", "", .why = "4.7.4", .route = ROUTE(.tls = CONF_TLS_VERIFY, .auth = CONF_AUTH_PLAIN, .auth_user = (char *)"u", .auth_secret = (char *)"s") },
	/* A PIX. */
	{ .name = "a PIX: nothing pipelined", "N\nS 220 ****0***2******\nC EHLO\nR 250-hop|250-PIPELINING|250 XXXXXXXA|\n" MAIL RCPT1 DATA "S 250 ok\n" QUIT, OK, "D", .content = STUFFED },
	{ .name = "a PIX, a long message", "N\nS 220 ********************\nC EHLO\nS 500 no\nC HELO\nS 250 hop\n" MAIL RCPT1 DATA "S 250 ok\n" QUIT, OK, "D", .message = "LONG" },
	{ .name = "a few asterisks are no PIX", "N\nS 220 *** hi ***\nC EHLO\nR 250-hop|250 PIPELINING|\nC MAIL\nC RCPT\nC DATA\nR 250 ok|250 ok|354 go|\nB\nS 250 ok\n" QUIT, OK, "D" },
	/* Sizes at the edges of pieces. */
	{ .name = "an empty message", "N\n" GOOD, OK, "D", .message = "", .content = "" },
};
/* clang-format on */

static void
test_rows(void **state)
{
	static char text[SMTP_CLIENT_PIECE * 3 / 2];

	(void)state;
	memset(text, 'x', sizeof(text) - 3);
	memcpy(text + sizeof(text) - 3, "\r\n", 3);
	for (size_t i = 0; i < sizeof(client_rows) / sizeof(*client_rows);
	    i++) {
		struct client_row row = client_rows[i];

		if (row.message != NULL && strcmp(row.message, "LONG") == 0)
			row.message = row.content = text;
		run_row(&row, false);
		run_row(&row, true);
	}
}

/* The end and what stands in front of it, at each size around a piece. */
static void
test_sizes(void **state)
{
	static char text[SMTP_CLIENT_PIECE + 600];
	struct client_row row = { .name = "sizes", "N\n" GOOD, OK, "D" };

	(void)state;
	for (size_t n = SMTP_CLIENT_PIECE - 3; n < SMTP_CLIENT_PIECE + 520;
	    n += n < SMTP_CLIENT_PIECE + 8 ? 1 : 57) {
		memset(text, 'x', n);
		memcpy(text + n - 2, "\r\n", 3);
		row.message = row.content = text;
		run_row(&row, false);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_sizes),
	};

	clock_init();
	log_open("t_send_client", "t_send_client", "/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
