/*
 * t_send_hosts.c - the hosts of domains, asked of a name server with signed and
 * other zones (tests/e2e/dns_server.py), and the addresses that mail by MX may
 * not go to.
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
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/clock.h"
#include "lib/conf_route.h"
#include "lib/log.h"
#include "submitd/send/address_policy.h"
#include "submitd/send/hosts.h"
#include "submitd/send/resolve.h"

#define TLSA "1 1 00112233445566778899aabbccddeeff" \
	"00112233445566778899aabbccddeeff\n"

/* s.test is signed and its key the trust anchor; p.test is not. */
static const char zones[] =
    "$ZONE p.test\n"
    "two MX 20 h2\n" "two MX 10 h1\n"
    "h1 A 192.0.2.1\n" "h1 AAAA 2001:db8::1\n" "h2 A 192.0.2.2\n"
    "null MX 0 .\n" "nullmore MX 0 .\n" "nullmore MX 10 h2\n"
    "implicit A 192.0.2.3\n" "nothing TXT x\n"
    "alias CNAME two\n" "aliasimp CNAME implicit\n" "dangling CNAME gone\n"
    "nohost MX 10 gone\n" "nohost MX 20 nothing\n"
    "partly MX 10 gone\n" "partly MX 20 h2\n"
    "loopback A 127.0.0.1\n" "loopback AAAA ::1\n" "loopmx MX 5 loopback\n"
    "private MX 10 priv\n" "priv A 10.1.2.3\n" "priv A 192.0.2.4\n"
    "mapped AAAA ::ffff:127.0.0.1\n" "nat64 AAAA 64:ff9b::10.0.0.1\n"
    "nat64ok AAAA 64:ff9b::192.0.2.5\n" "allowed A 10.9.0.1\n"
    "own MX 10 h1\n" "own MX 20 me.test.\n" "own MX 30 h2\n"
    "ownfirst MX 10 ME.test.\n" "ownfirst MX 10 h1\n"
    "ownaddr MX 10 h1\n" "ownaddr MX 20 self\n" "ownaddr MX 20 h2\n"
    "self A 192.0.2.99\n" "selfimp CNAME self\n" "ownmapped MX 1 selfm\n"
    "selfm AAAA ::ffff:192.0.2.99\n"
    "away MX 10 sf\n" "sf A 192.0.2.6\n" "awaypartly MX 10 sf\n"
    "awaypartly MX 20 h2\n" "sfmx MX 10 h1\n" "rfmx MX 10 h1\n"
    "six A 192.0.2.7\n" "six AAAA 2001:db8::7\n" "big MX 10 h1\n"
    "crooked MX 10 h1\n" "tosigned MX 10 mx.s.test.\n"
    "$FAULT sf.p.test servfail\n" "$FAULT sfmx.p.test servfail MX\n"
    "$FAULT rfmx.p.test refused MX\n" "$FAULT six.p.test servfail AAAA\n"
    "$FAULT big.p.test truncate MX\n" "$FAULT crooked.p.test garbage\n"
    "$ZONE s.test signed\n"
    "@ MX 10 mx\n" "mx A 192.0.2.10\n" "mx AAAA 2001:db8::10\n"
    "_25._tcp.mx TLSA 3 " TLSA "_2525._tcp.mx TLSA 2 " TLSA
    "notlsa MX 10 bare\n" "bare A 192.0.2.11\n"
    "unusable MX 10 u\n" "u A 192.0.2.12\n" "_25._tcp.u TLSA 1 " TLSA
    "mixed MX 10 m\n" "m A 192.0.2.13\n" "_25._tcp.m TLSA 0 " TLSA
    "_25._tcp.m TLSA 3 " TLSA "_25._tcp.m TLSA 2 " TLSA
    "implicit A 192.0.2.14\n" "_25._tcp.implicit TLSA 3 " TLSA
    "toplain MX 10 h1.p.test.\n"
    "bogus MX 10 mx\n" "bogusa MX 10 ba\n" "ba A 192.0.2.15\n"
    "bogust MX 10 bt\n" "bt A 192.0.2.16\n" "_25._tcp.bt TLSA 3 " TLSA
    "sft MX 10 st\n" "st A 192.0.2.17\n" "_25._tcp.st TLSA 3 " TLSA
    "stripped MX 10 mx\n" "bogust2 MX 10 bt\n" "bogust2 MX 20 mx\n"
    "cname MX 10 al\n" "al CNAME mx\n"
    "cname2 MX 10 al2\n" "al2 CNAME bare\n" "_25._tcp.al2 TLSA 3 " TLSA
    "cname3 MX 10 al3\n" "al3 CNAME h2.p.test.\n" "_25._tcp.al3 TLSA 3 " TLSA
    "cname4 MX 10 al4\n" "al4 CNAME h2.p.test.\n"
    "cname5 MX 10 al5\n" "al5 CNAME h2.p.test.\n" "_25._tcp.al5 TLSA 3 " TLSA
    "$FAULT _25._tcp.al5.s.test bogus\n"
    "tcname MX 10 tc\n" "tc A 192.0.2.18\n" "_25._tcp.tc CNAME _d\n"
    "_d TLSA 3 " TLSA "null MX 0 .\n"
    "$FAULT bogus.s.test bogus\n" "$FAULT ba.s.test bogus\n"
    "$FAULT _25._tcp.bt.s.test bogus\n" "$FAULT _25._tcp.st.s.test servfail\n"
    "$FAULT stripped.s.test unsigned\n"
    "$END\n";

/* ----------------------------------------------------------------- server -- */

static char	anchor[] = "/tmp/t_send_hosts.XXXXXX";
static pid_t	dns_pid;
static int	dns_stdin;

static void
dns_open(void)
{
	const char *src = getenv("srcdir");
	char script[512], where[64] = "";
	int in[2], out[2];
	FILE *said;

	close(mkstemp(anchor));
	snprintf(script, sizeof(script), "%s/tests/e2e/dns_server.py",
	    src != NULL ? src : ".");
	assert_int_equal(pipe(in) | pipe(out), 0);
	dns_pid = fork();
	if (dns_pid == 0) {
		dup2(in[0], 0);
		dup2(out[1], 1);
		close(in[1]);
		close(out[0]);
		execlp("python3", "python3", "-B", script, anchor, NULL);
		_exit(127);
	}
	close(in[0]);
	close(out[1]);
	dns_stdin = in[1];
	assert_int_equal(write(in[1], zones, strlen(zones)), strlen(zones));
	/* A whole line: with PYTHONUNBUFFERED it comes in pieces. */
	said = fdopen(out[0], "r");
	assert_non_null(said);
	assert_non_null(fgets(where, sizeof(where), said));
	where[strcspn(where, "\n")] = '\0';
	fclose(said);
	setenv("SUBMITD_TEST_DNS", where, 1);
	setenv("SUBMITD_TEST_ANCHOR", anchor, 1);
}

static void
dns_close(void)
{
	close(dns_stdin);
	waitpid(dns_pid, NULL, 0);
	unlink(anchor);
}

/* ------------------------------------------------------------------- hosts -- */

struct hosts_row {
	const char	*domain;	/* or, with '=', the route's host */
	const char	*want;
	enum conf_tls_level tls;
	enum conf_family family;
};

#define D CONF_TLS_DANE
#define NXD "FAIL 5.1.2 there is no domain "
#define NOA "FAIL 5.4.4 no address is known for the hosts of "
#define SKIP "FAIL 5.4.4 no address that mail may be sent to is known for "
#define LOOP "FAIL 5.4.6 mail loop: this server is the mail host of "
#define AWAY "TEMP 4.4.3 the name servers do not answer for "
#define BOGUS "TEMP 4.7.5 DNSSEC or DANE does not verify for "
#define H1 "h1.p.test 2001:db8::1 192.0.2.1;"
#define H2 "h2.p.test 192.0.2.2;"
#define MX "mx.s.test 2001:db8::10 192.0.2.10 secure dane 1 mx.s.test;"
/* clang-format off */
static const struct hosts_row hosts_rows[] = {
	{ "two.p.test", H1 H2, 0, 0 },
	{ "two.p.test", "h1.p.test 192.0.2.1;" H2, 0, CONF_FAMILY_IPV4 },
	{ "two.p.test", "h1.p.test 2001:db8::1;", 0, CONF_FAMILY_IPV6 },
	{ "null.p.test", "FAIL 5.1.10 no mail is taken (null MX) at null.p.test", 0, 0 },
	{ "nullmore.p.test", H2, 0, 0 },
	{ "implicit.p.test", "implicit.p.test 192.0.2.3;", 0, 0 },
	{ "nothing.p.test", NOA "nothing.p.test", 0, 0 },
	{ "gone.p.test", NXD "gone.p.test", 0, 0 },
	{ "alias.p.test", H1 H2, 0, 0 },
	{ "aliasimp.p.test", "aliasimp.p.test 192.0.2.3;", 0, 0 },
	{ "dangling.p.test", NXD "dangling.p.test", 0, 0 },
	{ "nohost.p.test", NOA "nohost.p.test", 0, 0 },
	{ "partly.p.test", H2, 0, 0 },
	{ "loopback.p.test", SKIP "loopback.p.test", 0, 0 },
	{ "loopmx.p.test", SKIP "loopmx.p.test", 0, 0 },
	{ "private.p.test", "priv.p.test 192.0.2.4;", 0, 0 },
	{ "mapped.p.test", SKIP "mapped.p.test", 0, 0 },
	{ "nat64.p.test", SKIP "nat64.p.test", 0, 0 },
	{ "nat64ok.p.test", "nat64ok.p.test 64:ff9b::c000:205;", 0, 0 },
	{ "allowed.p.test", "allowed.p.test 10.9.0.1;", 0, 0 },
	{ "own.p.test", H1, 0, 0 },
	{ "ownfirst.p.test", LOOP "ownfirst.p.test", 0, 0 },
	{ "ownaddr.p.test", H1, 0, 0 },
	{ "self.p.test", LOOP "self.p.test", 0, 0 },
	{ "selfimp.p.test", LOOP "selfimp.p.test", 0, 0 },
	{ "ownmapped.p.test", LOOP "ownmapped.p.test", 0, 0 },
	{ "me.test", NXD "me.test", 0, 0 },
	{ "away.p.test", AWAY "away.p.test", 0, 0 },
	{ "awaypartly.p.test", H2, 0, 0 },
	{ "sfmx.p.test", AWAY "sfmx.p.test", 0, 0 },
	{ "rfmx.p.test", AWAY "rfmx.p.test", 0, 0 },
	{ "six.p.test", "six.p.test 192.0.2.7;", 0, 0 },
	{ "big.p.test", H1, 0, 0 },
	{ "no..name", AWAY "no..name", 0, 0 },
	{ "[192.0.2.8]", "192.0.2.8 192.0.2.8;", 0, 0 },
	{ "[ipv6:2001:db8::8]", "2001:db8::8 2001:db8::8;", 0, 0 },
	{ "[IPv6:2001:db8::8]", NOA "[IPv6:2001:db8::8]", 0, CONF_FAMILY_IPV4 },
	{ "[127.0.0.1]", SKIP "[127.0.0.1]", 0, 0 },
	{ "[IPv6:::1]", SKIP "[IPv6:::1]", 0, 0 },
	{ "[IPv6:::ffff:10.0.0.1]", SKIP "[IPv6:::ffff:10.0.0.1]", 0, 0 },
	{ "[192.0.2.99]", LOOP "[192.0.2.99]", 0, 0 },
	{ "[x-new:abc]", NOA "[x-new:abc]", 0, 0 },
	{ "=h1.p.test", H1, 0, 0 },
	{ "=h1.p.test:2525", "h1.p.test 2001:db8::1 192.0.2.1 :2525;", 0, 0 },
	{ "=127.0.0.1:2525", "127.0.0.1 127.0.0.1 :2525;", 0, 0 },
	{ "=[::1]:2525", "::1 ::1 :2525;", 0, 0 },
	{ "=localhost", "localhost 127.0.0.1;", 0, CONF_FAMILY_IPV4 },
	{ "=loopback.p.test", "loopback.p.test ::1 127.0.0.1;", 0, 0 },
	{ "=gone.p.test", "TEMP 4.4.4 there is no host gone.p.test", 0, 0 },
	{ "=nothing.p.test", "TEMP 4.4.4 there is no address for host nothing.p.test", 0, 0 },
	{ "=sf.p.test", AWAY "sf.p.test", 0, 0 },
	{ "=unix:/run/lmtp", "unix:/run/lmtp;", 0, 0 },
	{ "s.test", MX, D, 0 },
	{ "s.test", "mx.s.test 2001:db8::10 192.0.2.10;", CONF_TLS_VERIFY, 0 },
	{ "notlsa.s.test", "bare.s.test 192.0.2.11 secure;", D, 0 },
	{ "unusable.s.test", "u.s.test 192.0.2.12 secure dane 0 u.s.test;", D, 0 },
	{ "mixed.s.test", "m.s.test 192.0.2.13 secure dane 2 m.s.test;", D, 0 },
	{ "implicit.s.test", "implicit.s.test 192.0.2.14 secure dane 1 implicit.s.test;", D, 0 },
	{ "toplain.s.test", H1, D, 0 },
	{ "tosigned.p.test", "mx.s.test 2001:db8::10 192.0.2.10;", D, 0 },
	{ "two.p.test", H1 H2, D, 0 },
	{ "null.s.test", "FAIL 5.1.10 no mail is taken (null MX) at null.s.test", D, 0 },
	{ "gone.s.test", NXD "gone.s.test", D, 0 },
	{ "bogus.s.test", BOGUS "bogus.s.test", D, 0 },
	{ "bogusa.s.test", BOGUS "bogusa.s.test", D, 0 },
	{ "bogust.s.test", BOGUS "bogust.s.test", D, 0 },
	{ "sft.s.test", BOGUS "sft.s.test", D, 0 },
	{ "stripped.s.test", BOGUS "stripped.s.test", D, 0 },
	{ "bogust2.s.test", MX, D, 0 },
	{ "bogus.s.test", "mx.s.test 2001:db8::10 192.0.2.10;", CONF_TLS_MAY, 0 },
	{ "cname.s.test", "al.s.test 2001:db8::10 192.0.2.10 secure dane 1 mx.s.test;", D, 0 },
	{ "cname2.s.test", "al2.s.test 192.0.2.11 secure dane 1 al2.s.test;", D, 0 },
	{ "cname3.s.test", "al3.s.test 192.0.2.2 dane 1 al3.s.test;", D, 0 },
	{ "cname4.s.test", "al4.s.test 192.0.2.2;", D, 0 },
	{ "cname5.s.test", BOGUS "cname5.s.test", D, 0 },
	{ "tcname.s.test", "tc.s.test 192.0.2.18 secure dane 1 tc.s.test;", D, 0 },
	{ "sfmx.p.test", BOGUS "sfmx.p.test", D, 0 },
	{ "=mx.s.test", MX, D, 0 },
	{ "=mx.s.test:2525", "mx.s.test 2001:db8::10 192.0.2.10 :2525 secure dane 1 mx.s.test;", D, 0 },
	{ "=ba.s.test", BOGUS "ba.s.test", D, 0 },
};
/* clang-format on */

struct got {
	struct loop	*loop;
	unsigned int	 calls;
	char		 text[2048];
};

static void
over(void *ctx)
{
	loop_stop(ctx);
}

static void
got_add(struct got *g, const char *fmt, ...)
{
	size_t n = strlen(g->text);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(g->text + n, sizeof(g->text) - n, fmt, ap);
	va_end(ap);
}

static void
got_host(struct got *g, const struct hosts_host *h)
{
	char text[ADDR_STRLEN];

	got_add(g, "%s", h->name);
	for (size_t i = 0; i < h->n_addrs; i++)
		got_add(g, " %s", addr_ip_text(&h->addrs[i], text));
	if (h->n_addrs > 0 && h->addrs[0].port != 25)
		got_add(g, " :%u", h->addrs[0].port);
	if (h->secure)
		got_add(g, " secure");
	if (h->dane)
		got_add(g, " dane %zu %s", h->n_tlsa, h->tlsa_base);
	got_add(g, ";");
}

static void
got_fn(void *ctx, enum hosts_verdict v, struct hosts *h, const char *text)
{
	struct got *g = ctx;

	g->calls++;
	loop_stop(g->loop);
	if (v != HOSTS_OK) {
		assert_null(h);
		got_add(g, "%s %s", v == HOSTS_TEMP ? "TEMP" : "FAIL", text);
		return;
	}
	for (size_t i = 0; i < h->n; i++)
		got_host(g, &h->host[i]);
	hosts_free(h);
}

static void
got_run(struct got *g)
{
	struct timer t;

	timer_init(&t, g->loop, over, g->loop);
	timer_arm(&t, 40000);
	loop_run(g->loop);
	timer_free(&t);
}

static struct net	allow_net = { { [10] = 0xff, [11] = 0xff, 10, 9 }, 112 };
static struct addr	own_addr = { { [10] = 0xff, [11] = 0xff, 192, 0, 2, 99 },
	25 };
static char		own_name[] = "me.test";

static void
test_hosts(void **state)
{
	struct conf conf = { .hostname = own_name,
		.mx_allow_networks = { &allow_net, 1 },
		.listen_submission = { &own_addr, 1 } };
	struct loop *l = loop_new();
	struct resolve *r = resolve_new(l, NULL);

	(void)state;
	assert_true(resolve_validates(r));
	for (size_t i = 0; i < sizeof(hosts_rows) / sizeof(*hosts_rows); i++) {
		const struct hosts_row *row = &hosts_rows[i];
		bool fixed = row->domain[0] == '=';
		struct conf_route route = { .port = 25, .tls = row->tls,
			.via = fixed ? CONF_VIA_SMTP : CONF_VIA_MX,
			.address_family = row->family };
		struct got g = { .loop = l };
		char host[256];

		snprintf(host, sizeof(host), "%s", row->domain + fixed);
		route.host = fixed ? host : NULL;
		assert_non_null(hosts_find(r, &conf, &route, host, got_fn,
		    &g));
		assert_int_equal(g.calls, 0);
		got_run(&g);
		if (g.calls != 1 || strcmp(g.text, row->want) != 0)
			print_error("%s: %u %s\n", row->domain, g.calls,
			    g.text);
		assert_int_equal(g.calls, 1);
		assert_string_equal(g.text, row->want);
	}
	resolve_free(r);
	loop_free(l);
}

/* At every stage a query can be given up, and the resolver ended. */
static void
test_cancel(void **state)
{
	static const char *const domains[] = { "two.p.test", "s.test",
		"[192.0.2.8]", "bogus.s.test", "gone.p.test", "[x]" };
	struct conf conf = { .hostname = own_name };
	struct conf_route route = { .port = 25, .tls = CONF_TLS_DANE,
		.via = CONF_VIA_MX };

	(void)state;
	for (int ms = 0; ms < 40; ms++) {
		struct loop *l = loop_new();
		struct resolve *r = resolve_new(l, NULL);
		struct hosts_query *q[6];
		struct got g[6] = { 0 };
		struct timer t;

		timer_init(&t, l, over, l);
		for (size_t i = 0; i < 6; i++) {
			g[i].loop = loop_new();		/* not stopped */
			q[i] = hosts_find(r, &conf, &route, domains[i], got_fn,
			    &g[i]);
			assert_non_null(q[i]);
		}
		timer_arm(&t, ms);
		loop_run(l);
		for (size_t i = 0; i < 6; i++) {
			if (g[i].calls == 0)
				hosts_cancel(q[i]);
			loop_free(g[i].loop);
		}
		timer_free(&t);
		resolve_free(r);
		loop_free(l);
	}
}

/* More at a time than libunbound is given: all are answered. */
static void
test_many(void **state)
{
	struct conf conf = { .hostname = own_name };
	struct conf_route route = { .port = 25, .via = CONF_VIA_MX };
	struct loop *l = loop_new();
	struct resolve *r = resolve_new(l, NULL);
	static struct got g[600];
	struct got last = { .loop = l };
	char domain[64];
	unsigned int calls = 0;

	(void)state;
	for (size_t i = 0; i < 600; i++) {
		g[i].loop = loop_new();
		snprintf(domain, sizeof(domain), i % 2 ? "two.p.test" :
		    "none-%zu.p.test", i);
		assert_non_null(hosts_find(r, &conf, &route, domain, got_fn,
		    &g[i]));
	}
	assert_non_null(hosts_find(r, &conf, &route, "last.p.test", got_fn,
	    &last));
	for (int turn = 0; turn < 200 && calls < 600; turn++) {
		struct timer t;

		timer_init(&t, l, over, l);
		timer_arm(&t, 50);
		loop_run(l);
		timer_free(&t);
		calls = 0;
		for (size_t i = 0; i < 600; i++)
			calls += g[i].calls;
	}
	assert_int_equal(calls, 600);
	assert_int_equal(last.calls, 1);
	for (size_t i = 0; i < 600; i++) {
		assert_memory_equal(g[i].text, i % 2 ? H1 H2 : NXD,
		    i % 2 ? sizeof(H1 H2) : strlen(NXD));
		loop_free(g[i].loop);
	}
	resolve_free(r);
	loop_free(l);
}

/* No anchor: DANE cannot be, and mail waits instead of going out without. */
static void
test_no_anchor(void **state)
{
	struct conf conf = { .hostname = own_name };
	struct conf_route route = { .port = 25, .via = CONF_VIA_MX,
		.tls = CONF_TLS_DANE };
	struct loop *l = loop_new();
	struct got g = { .loop = l };
	struct resolve *r;

	(void)state;
	setenv("SUBMITD_TEST_ANCHOR", "/nonexistent", 1);
	r = resolve_new(l, NULL);
	assert_false(resolve_validates(r));
	hosts_find(r, &conf, &route, "s.test", got_fn, &g);
	got_run(&g);
	assert_string_equal(g.text, "TEMP 4.7.5 there is no trust anchor for "
	    "DNSSEC, which tls = dane needs; to s.test");
	setenv("SUBMITD_TEST_ANCHOR", anchor, 1);
	resolve_free(r);
	loop_free(l);
}

/* --------------------------------------------------------------- addresses -- */

struct address_row {
	const char	*addr;
	enum address_verdict want;
	const char	*inner;		/* NULL: itself */
};

#define OK ADDRESS_OK
#define NO ADDRESS_FORBIDDEN
/* clang-format off */
static const struct address_row address_rows[] = {
	{ "0.0.0.0", NO, NULL }, { "0.1.2.3", NO, NULL }, { "1.0.0.1", OK, NULL },
	{ "9.255.255.255", OK, NULL }, { "10.0.0.0", NO, NULL },
	{ "10.255.255.255", NO, NULL }, { "11.0.0.1", OK, NULL },
	{ "100.63.255.255", OK, NULL }, { "100.64.0.1", NO, NULL },
	{ "100.127.255.255", NO, NULL }, { "100.128.0.1", OK, NULL },
	{ "127.0.0.1", NO, NULL }, { "127.255.255.254", NO, NULL },
	{ "169.253.0.1", OK, NULL }, { "169.254.169.254", NO, NULL },
	{ "172.15.0.1", OK, NULL }, { "172.16.0.1", NO, NULL },
	{ "172.31.255.255", NO, NULL }, { "172.32.0.1", OK, NULL },
	{ "192.167.0.1", OK, NULL }, { "192.168.0.1", NO, NULL },
	{ "192.169.0.1", OK, NULL }, { "223.255.255.255", OK, NULL },
	{ "224.0.0.1", NO, NULL }, { "239.255.255.255", NO, NULL },
	{ "240.0.0.1", NO, NULL }, { "255.255.255.255", NO, NULL },
	{ "::", NO, "0.0.0.0" }, { "::1", NO, "0.0.0.1" },
	{ "::7f00:1", NO, "127.0.0.1" }, { "::c000:201", OK, "192.0.2.1" },
	{ "::ffff:127.0.0.1", NO, NULL }, { "::ffff:192.0.2.1", OK, NULL },
	{ "fe80::1", NO, NULL }, { "febf::1", NO, NULL },
	{ "fec0::1", NO, NULL }, { "fc00::1", NO, NULL },
	{ "fdff::1", NO, NULL }, { "fbff::1", OK, NULL },
	{ "ff02::1", NO, NULL }, { "2001:db8::1", OK, NULL },
	{ "2002:7f00:1::1", NO, "127.0.0.1" },
	{ "2002:c000:201::1", OK, "192.0.2.1" },
	{ "2002:a00:1:2:3:4:5:6", NO, "10.0.0.1" },
	{ "64:ff9b:1::7f00:1", NO, "127.0.0.1" },
	{ "64:ff9b:1::c000:201", OK, "192.0.2.1" },
	{ "64:ff9b:1:7f00:0:100::", NO, "127.0.0.1" },
	{ "64:ff9b:1:c0:0:201::", OK, "192.0.2.1" },
	{ "64:ff9b:1:c000:2:100::", OK, "192.0.2.1" },
	{ "64:ff9b:1:210a:0:1::", NO, "10.0.0.1" },
	{ "64:ff9b:1:aa:a:1:100:0", NO, "10.0.1.1" },
	{ "::ffff:0:127.0.0.1", NO, "127.0.0.1" },
	{ "::ffff:0:192.0.2.1", OK, "192.0.2.1" },
};
/* clang-format on */

static void
test_addresses(void **state)
{
	struct conf conf = { .hostname = own_name };
	struct address_policy p;

	(void)state;
	assert_int_equal(address_policy_make(&conf, 25, &p), 0);
	for (size_t i = 0; i < sizeof(address_rows) / sizeof(*address_rows);
	    i++) {
		const struct address_row *row = &address_rows[i];
		struct addr a, in, want;

		assert_int_equal(addr_parse_ip(row->addr, &a), 0);
		if (address_check(&p, &a) != row->want)
			print_error("%s\n", row->addr);
		assert_int_equal(address_check(&p, &a), row->want);
		if (row->inner == NULL)
			continue;
		in = address_inner(&a);
		addr_parse_ip(row->inner, &want);
		if (!addr_ip_eq(&in, &want))
			print_error("%s\n", row->addr);
		assert_true(addr_ip_eq(&in, &want));
	}
	address_policy_free(&p);
}

/* Our own: at that port only, a wildcard is every address of the machine, and
 * mx_allow_networks does not open it. */
static void
test_own(void **state)
{
	struct addr listen[2], a;
	struct net loopback;
	struct conf conf = { .hostname = own_name,
		.listen_submission = { listen, 2 },
		.mx_allow_networks = { &loopback, 1 } };
	struct address_policy p;

	(void)state;
	assert_int_equal(net_parse("127.0.0.0/8", &loopback), 0);
	addr_parse("0.0.0.0:2525", &listen[0]);
	addr_parse("[2001:db8::5]:26", &listen[1]);
	addr_parse_ip("127.0.0.1", &a);
	assert_int_equal(address_policy_make(&conf, 25, &p), 0);
	assert_int_equal(address_check(&p, &a), OK);
	addr_parse_ip("127.0.0.2", &a);
	assert_int_equal(address_check(&p, &a), OK);
	addr_parse_ip("127.0.0.1", &a);
	address_policy_free(&p);
	assert_int_equal(address_policy_make(&conf, 2525, &p), 0);
	assert_int_equal(address_check(&p, &a), ADDRESS_OWN);
	addr_parse_ip("127.0.0.2", &a);		/* no interface has it */
	assert_int_equal(address_check(&p, &a), ADDRESS_OWN);
	addr_parse_ip("64:ff9b::127.0.0.3", &a);
	assert_int_equal(address_check(&p, &a), ADDRESS_OWN);
	addr_parse_ip("192.0.2.7", &a);
	assert_int_equal(address_check(&p, &a), OK);
	address_policy_free(&p);
	assert_int_equal(address_policy_make(&conf, 26, &p), 0);
	addr_parse_ip("2001:db8::5", &a);
	assert_int_equal(address_check(&p, &a), ADDRESS_OWN);
	address_policy_free(&p);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_own),
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_cancel),
		cmocka_unit_test(test_many),
		cmocka_unit_test(test_no_anchor),
	};
	int failed;

#ifndef SUBMITD_TEST_BUILD
	return 77;			/* only test builds can be told */
#endif
	clock_init();
	dns_open();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	dns_close();
	return failed;
}
