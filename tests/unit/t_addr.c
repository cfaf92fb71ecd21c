/*
 * t_addr.c - addresses and networks: one canonical form whatever the spelling.
 */
#include "lib/addr.h"

#include <netinet/in.h>
#include <string.h>

#include "lib/err.h"
#include "tests/unit/unit.h"

static void
test_parse_ip(void **state)
{
	static const struct {
		const char *s;
		int r;
		const char *text, *literal;
		bool v4;
	} rows[] = {
		{ "192.0.2.1", 0, "192.0.2.1", "[192.0.2.1]", true },
		{ "127.9.9.9", 0, "127.9.9.9", "[127.9.9.9]", true },
		{ "::1", 0, "::1", "[IPv6:::1]", false },
		{ "2001:DB8::0:1", 0, "2001:db8::1", "[IPv6:2001:db8::1]",
		  false },
		{ "::ffff:192.0.2.1", 0, "192.0.2.1", "[192.0.2.1]", true },
		{ "::ffff:7f00:1", 0, "127.0.0.1", "[127.0.0.1]", true },
		{ "64:ff9b::c000:201", 0, "192.0.2.1", "[192.0.2.1]", true },
		{ "64:ff9b:1::c000:201", 0, "64:ff9b:1::c000:201",
		  "[IPv6:64:ff9b:1::c000:201]", false },
		{ "", ERR_FORMAT, "", "", false },
		{ "192.0.2", ERR_FORMAT, "", "", false },
		{ "192.0.2.256", ERR_FORMAT, "", "", false },
		{ "192.0.2.1 ", ERR_FORMAT, "", "", false },
		{ "fe80::1%eth0", ERR_FORMAT, "", "", false },
		{ "::1]", ERR_FORMAT, "", "", false },
	};
	char text[ADDR_STRLEN];
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].s, addr_parse_ip(rows[i].s, &a), rows[i].r);
		if (rows[i].r != 0)
			continue;
		ROW_STR(rows[i].s, addr_ip_text(&a, text), rows[i].text);
		ROW_STR(rows[i].s, addr_literal(&a, text), rows[i].literal);
		ROW_EQ(rows[i].s, addr_is_v4(&a), rows[i].v4);
	}
}

static void
test_parse(void **state)
{
	static const struct {
		const char *s;
		int r;
		const char *text;
	} rows[] = {
		{ "127.0.0.1:587", 0, "127.0.0.1:587" },
		{ "[::1]:0", 0, "[::1]:0" },
		{ "[::ffff:1.2.3.4]:25", 0, "1.2.3.4:25" },
		{ "0.0.0.0:65535", 0, "0.0.0.0:65535" },
		{ "127.0.0.1", ERR_FORMAT, NULL },
		{ "127.0.0.1:", ERR_FORMAT, NULL },
		{ "127.0.0.1:65536", ERR_FORMAT, NULL },
		{ "127.0.0.1:+1", ERR_FORMAT, NULL },
		{ "[127.0.0.1]:25", ERR_FORMAT, NULL },
		{ "::1:25", ERR_FORMAT, NULL },
		{ "[::1]", ERR_FORMAT, NULL },
		{ "[::1]25", ERR_FORMAT, NULL },
		{ "[::1", ERR_FORMAT, NULL },
		{ ":25", ERR_FORMAT, NULL },
		{ "host:25", ERR_FORMAT, NULL },
		{ "", ERR_FORMAT, NULL },
	};
	char text[ADDR_STRLEN];
	struct addr a;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].s, addr_parse(rows[i].s, &a), rows[i].r);
		if (rows[i].r == 0)
			ROW_STR(rows[i].s, addr_text(&a, text), rows[i].text);
	}
}

static void
test_hostport(void **state)
{
	static const struct {
		const char *s;
		int r;
		const char *host;
		unsigned int port;
	} rows[] = {
		{ "mx.example.org", 0, "mx.example.org", 25 },
		{ "mx.example.org:587", 0, "mx.example.org", 587 },
		{ "[2001:db8::1]:2525", 0, "2001:db8::1", 2525 },
		{ "[2001:db8::1]", 0, "2001:db8::1", 25 },
		{ "1.2.3.4:1", 0, "1.2.3.4", 1 },
		{ "2001:db8::1", ERR_FORMAT, "", 0 },
		{ ":25", ERR_FORMAT, "", 0 },
		{ "host:", ERR_FORMAT, "", 0 },
		{ "host:70000", ERR_FORMAT, "", 0 },
		{ "[]:25", ERR_FORMAT, "", 0 },
		{ "0123456789012345678901234567890123456789:25", ERR_LIMIT,
		  "", 0 },
	};
	char host[32];
	uint16_t port;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].s, addr_split_hostport(rows[i].s, 25, host,
		    sizeof(host), &port), rows[i].r);
		if (rows[i].r != 0)
			continue;
		ROW_STR(rows[i].s, host, rows[i].host);
		ROW_EQ(rows[i].s, port, rows[i].port);
	}
}

static void
test_sockaddr(void **state)
{
	static const char *const rows[] = { "192.0.2.1:25",
	    "[2001:db8::1]:587" };
	struct sockaddr_storage ss;
	struct sockaddr_in6 in6 = { .sin6_family = AF_INET6 };
	struct addr a, b;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		assert_int_equal(addr_parse(rows[i], &a), 0);
		assert_true(addr_to_sockaddr(&a, &ss) <= sizeof(ss));
		assert_int_equal(addr_from_sockaddr((struct sockaddr *)&ss,
		    &b), 0);
		assert_true(addr_ip_eq(&a, &b));
		assert_int_equal(a.port, b.port);
	}
	/* what a dual-stack listener would show */
	memcpy(&in6.sin6_addr, "\0\0\0\0\0\0\0\0\0\0\377\377\1\2\3\4", 16);
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&in6, &a), 0);
	assert_true(addr_is_v4(&a));
	in6.sin6_family = AF_UNIX;
	assert_int_equal(addr_from_sockaddr((struct sockaddr *)&in6, &a),
	    ERR_FORMAT);
}

static void
test_net(void **state)
{
	static const struct {
		const char *net;
		int r;
		const char *text, *in, *out;
	} rows[] = {
		{ "192.0.2.0/24", 0, "192.0.2.0/24", "192.0.2.255",
		  "192.0.3.0" },
		{ "192.0.2.7", 0, "192.0.2.7/32", "192.0.2.7", "192.0.2.6" },
		{ "10.0.0.0/9", 0, "10.0.0.0/9", "10.127.255.255",
		  "10.128.0.0" },
		{ "0.0.0.0/0", 0, "0.0.0.0/0", "8.8.8.8", "2001:db8::1" },
		{ "::/0", 0, "::/0", "2001:db8::1", "8.8.8.8" },
		{ "2001:db8::/33", 0, "2001:db8::/33", "2001:db8:7fff::1",
		  "2001:db8:8000::" },
		{ "::ffff:10.0.0.0/104", 0, "10.0.0.0/8", "10.1.2.3",
		  "11.0.0.0" },
		{ "64:ff9b::/96", 0, "0.0.0.0/0", "1.2.3.4", "::1" },
		{ "192.0.2.1/24", ERR_FORMAT, NULL, NULL, NULL },
		{ "192.0.2.0/33", ERR_FORMAT, NULL, NULL, NULL },
		{ "192.0.2.0/", ERR_FORMAT, NULL, NULL, NULL },
		{ "192.0.2.0/24/8", ERR_FORMAT, NULL, NULL, NULL },
		{ "::/129", ERR_FORMAT, NULL, NULL, NULL },
		{ "/8", ERR_FORMAT, NULL, NULL, NULL },
		{ "x", ERR_FORMAT, NULL, NULL, NULL },
	};
	char text[ADDR_STRLEN];
	struct addr a;
	struct net n;
	size_t i;

	(void)state;
	for (i = 0; i < ROWS(rows); i++) {
		ROW_EQ(rows[i].net, net_parse(rows[i].net, &n), rows[i].r);
		if (rows[i].r != 0)
			continue;
		ROW_STR(rows[i].net, net_text(&n, text), rows[i].text);
		assert_int_equal(addr_parse_ip(rows[i].in, &a), 0);
		ROW_EQ(rows[i].net, net_has(&n, &a), true);
		assert_int_equal(addr_parse_ip(rows[i].out, &a), 0);
		ROW_EQ(rows[i].net, net_has(&n, &a), false);
	}
}

static void
test_overlap(void **state)
{
	static const struct {
		const char	*a, *b;
		bool		 want;
	} rows[] = {
		{ "10.0.0.0/8", "10.1.0.0/16", true },
		{ "10.1.2.3", "10.1.2.3", true },
		{ "10.1.2.3", "10.1.2.4", false },
		{ "0.0.0.0/0", "10.1.2.3", true },
		{ "::/0", "10.1.2.3", false },
		{ "2001:db8::/32", "2001:db8:1::/48", true },
		{ "2001:db8::/32", "2001:db9::/48", false },
	};
	struct net a, b;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(net_parse(rows[i].a, &a), 0);
		assert_int_equal(net_parse(rows[i].b, &b), 0);
		ROW_EQ(rows[i].a, net_overlaps(&a, &b), rows[i].want);
		ROW_EQ(rows[i].b, net_overlaps(&b, &a), rows[i].want);
	}
}

/* Nobody's address. */
static void
test_none(void **state)
{
	struct addr a;
	char text[ADDR_STRLEN];

	(void)state;
	assert_int_equal(addr_parse_peer("unknown", &a), 0);
	assert_true(addr_is_none(&a));
	assert_string_equal(addr_ip_text(&a, text), "unknown");
	assert_string_equal(addr_text(&a, text), "[::]:0");
	assert_int_equal(addr_parse_ip("unknown", &a), ERR_FORMAT);
	assert_int_equal(addr_parse_peer("0.0.0.0", &a), 0);
	assert_true(addr_is_none(&a));
	assert_int_equal(addr_parse_peer("192.0.2.1", &a), 0);
	assert_false(addr_is_none(&a));
	assert_int_equal(addr_parse_peer("none", &a), ERR_FORMAT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_ip),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_hostport),
		cmocka_unit_test(test_sockaddr),
		cmocka_unit_test(test_net),
		cmocka_unit_test(test_overlap),
		cmocka_unit_test(test_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
