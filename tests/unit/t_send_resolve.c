/*
 * t_send_resolve.c - names to addresses against a name server in a thread
 * (SUBMITD_TEST_DNS, test builds only), literals and localhost without one.
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
#include <arpa/inet.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "submitd/send/dns_answer.h"
#include "submitd/send/resolve.h"

static int dns_fd;
static uint16_t dns_port;
static unsigned int dns_asked;		/* about "both.test" */

struct dns_name {
	const char	*name;		/* first label */
	unsigned int	 rcode;
	const char	*a, *aaaa;
};

static const struct dns_name dns_names[] = {
	{ "both", 0, "192.0.2.1", "2001:db8::1" },
	{ "four", 0, "192.0.2.4", NULL },
	{ "six", 0, NULL, "2001:db8::6" },
	{ "none", 0, NULL, NULL },
	{ "nowhere", 3, NULL, NULL },
	{ "refused", 5, NULL, NULL },
};

/* Appends a record with a pointer to the question's name. */
static size_t
dns_put(uint8_t *p, unsigned int type, const char *text)
{
	uint16_t len = type == DNS_TYPE_A ? 4 : 16;
	const uint8_t head[12] = { 0xc0, 0x0c, 0, (uint8_t)type, 0, 1, 0, 0, 0,
		60, 0, (uint8_t)len };

	memcpy(p, head, sizeof(head));
	inet_pton(type == DNS_TYPE_A ? AF_INET : AF_INET6, text, p + 12);
	return sizeof(head) + len;
}

static size_t
dns_answer(uint8_t *p, size_t len)
{
	size_t end = 12;
	unsigned int type;
	char label[64] = "";

	memcpy(label, p + 13, p[12] < 63 ? p[12] : 63);
	while (end < len && p[end] != 0)
		end += p[end] + 1u;
	type = (unsigned int)p[end + 1] << 8 | p[end + 2];
	end += 5;			/* of the question */
	p[2] = 0x85;			/* QR, AA, RD */
	p[3] = 0x80;
	memset(p + 6, 0, 6);		/* without EDNS */
	if (strcasecmp(label, "both") == 0)
		dns_asked++;
	for (size_t i = 0; i < sizeof(dns_names) / sizeof(*dns_names); i++) {
		const struct dns_name *n = &dns_names[i];
		const char *text = type == DNS_TYPE_A ? n->a :
		    type == DNS_TYPE_AAAA ? n->aaaa : NULL;

		if (strcasecmp(label, n->name) != 0)
			continue;
		p[3] |= (uint8_t)n->rcode;
		if (text == NULL)
			return end;
		p[7] = 1;
		return end + dns_put(p + end, type, text);
	}
	p[3] |= 3;
	return end;
}

static void *
dns_run(void *arg)
{
	uint8_t packet[1024];
	struct sockaddr_in from;

	(void)arg;
	for (;;) {
		socklen_t len = sizeof(from);
		ssize_t n = recvfrom(dns_fd, packet, 512, 0,
		    (struct sockaddr *)&from, &len);
		if (n <= 0)
			return NULL;
		if (n > 17)
			(void)!sendto(dns_fd, packet, dns_answer(packet,
			    (size_t)n), 0, (struct sockaddr *)&from, len);
	}
}

static void
dns_open(void)
{
	struct sockaddr_in sin = { .sin_family = AF_INET,
		.sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t len = sizeof(sin);
	pthread_t thread;
	char where[32];

	dns_fd = socket(AF_INET, SOCK_DGRAM, 0);
	assert_int_equal(bind(dns_fd, (struct sockaddr *)&sin, len), 0);
	getsockname(dns_fd, (struct sockaddr *)&sin, &len);
	dns_port = ntohs(sin.sin_port);
	snprintf(where, sizeof(where), "127.0.0.1@%u", dns_port);
	setenv("SUBMITD_TEST_DNS", where, 1);
	assert_int_equal(pthread_create(&thread, NULL, dns_run, NULL), 0);
	pthread_detach(thread);
}

/* ------------------------------------------------------------------- rows -- */

struct resolve_row {
	const char	*host;
	const char	*want;		/* addresses, one space between */
	enum resolve_what what;
};

/* clang-format off */
static const struct resolve_row resolve_rows[] = {
	{ "192.0.2.9", "192.0.2.9", RESOLVE_FOUND },
	{ "2001:db8::9", "2001:db8::9", RESOLVE_FOUND },
	{ "[2001:db8::9]", "2001:db8::9", RESOLVE_FOUND },
	{ "localhost", "127.0.0.1 ::1", RESOLVE_FOUND },
	{ "LOCALHOST", "127.0.0.1 ::1", RESOLVE_FOUND },
	{ "both.test", "2001:db8::1 192.0.2.1", RESOLVE_FOUND },
	{ "four.test", "192.0.2.4", RESOLVE_FOUND },
	{ "six.test", "2001:db8::6", RESOLVE_FOUND },
	{ "none.test", "", RESOLVE_NO_DATA },
	{ "nowhere.test", "", RESOLVE_NO_NAME },
	{ "refused.test", "", RESOLVE_AWAY },
	{ "no..name", "", RESOLVE_AWAY },
};
/* clang-format on */

struct answer {
	struct loop	*loop;
	char		 got[512];
	enum resolve_what what;
	unsigned int	 calls;
};

static void
answer_fn(void *ctx, const struct resolve_found *f)
{
	struct answer *a = ctx;
	char text[ADDR_STRLEN];

	a->calls++;
	for (size_t i = 0; i < f->n; i++) {
		if (i > 0)
			strcat(a->got, " ");
		strcat(a->got, addr_ip_text(&f->addrs[i], text));
		assert_int_equal(f->addrs[i].port, 0);
	}
	a->what = f->what;
	loop_stop(a->loop);
}

static const struct resolve_how both = { .kinds = RESOLVE_A | RESOLVE_AAAA };

static void
loop_over(void *ctx)
{
	loop_stop(ctx);
}

static void
test_rows(void **state)
{
	struct loop *l = loop_new();
	struct resolve *r;
	struct timer t;

	(void)state;
	r = resolve_new(l, NULL);
	assert_non_null(r);
	timer_init(&t, l, loop_over, l);
	for (size_t i = 0; i < sizeof(resolve_rows) / sizeof(*resolve_rows);
	    i++) {
		const struct resolve_row *row = &resolve_rows[i];
		struct answer a = { .loop = l };

		assert_non_null(resolve_addrs(r, row->host, &both, answer_fn, &a));
		assert_int_equal(a.calls, 0);	/* never from within */
		timer_arm(&t, 25000);
		loop_run(l);
		if (a.calls != 1 || strcmp(a.got, row->want) != 0)
			print_error("%s: %u, %s %d\n", row->host, a.calls,
			    a.got, a.what);
		assert_int_equal(a.calls, 1);
		assert_string_equal(a.got, row->want);
		assert_int_equal(a.what, row->what);
	}
	timer_free(&t);
	resolve_free(r);
	loop_free(l);
}

/* For its TTL an answer is kept; a cancelled query is silent. */
static void
test_cache_and_cancel(void **state)
{
	struct loop *l = loop_new();
	struct resolve *r = resolve_new(l, NULL);
	struct answer a = { .loop = l };
	unsigned int asked;
	struct timer t;

	(void)state;
	timer_init(&t, l, loop_over, l);
	resolve_cancel(resolve_addrs(r, "four.test", &both, answer_fn, &a));
	resolve_cancel(resolve_addrs(r, "localhost", &both, answer_fn, &a));
	timer_arm(&t, 100);
	loop_run(l);
	assert_int_equal(a.calls, 0);
	timer_stop(&t);
	resolve_addrs(r, "both.test", &both, answer_fn, &a);
	loop_run(l);
	asked = dns_asked;
	assert_true(asked > 0);
	for (int i = 0; i < 5; i++) {
		resolve_addrs(r, "both.test", &both, answer_fn, &a);
		loop_run(l);
	}
	assert_int_equal(a.calls, 6);
	assert_int_equal(dns_asked, asked);
	timer_free(&t);
	resolve_free(r);
	loop_free(l);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_cache_and_cancel),
	};

#ifndef SUBMITD_TEST_BUILD
	return 77;			/* only test builds can be told */
#endif
	clock_init();
	dns_open();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
