/*
 * t_proxy.c - PROXY headers, octet by octet, and the argument of XCLIENT.
 */
#include "lib/proxy.h"

#include <string.h>

#include "submitd/smtp/xclient_params.h"
#include "tests/unit/unit.h"

#define V2 "\r\n\r\n\0\r\nQUIT\n"
#define SIX "\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01"

struct row {
	const char	*name, *octets;
	size_t		 len, used;	/* of octets, of the header */
	int		 r;
	const char	*client;	/* addr_text(), or ip when no port */
};
#define OK(name, octets, rest, client) \
	{ name, octets rest, sizeof(octets rest) - 1, sizeof(octets) - 1, 0, \
	  client }
#define BAD(name, octets) \
	{ name, octets, sizeof(octets) - 1, 0, ERR_FORMAT, NULL }
#define MORE(name, octets) \
	{ name, octets, sizeof(octets) - 1, sizeof(octets) - 1, PROXY_MORE, NULL }

static const struct row rows[] = {
	OK("v1 TCP4", "PROXY TCP4 192.0.2.1 192.0.2.9 5000 587\r\n", "EHLO a\r\n",
	    "192.0.2.1:5000"),
	OK("v1 TCP6", "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n", "\x16\x03\x01",
	    "[2001:db8::1]:1"),
	OK("v1 the longest", "PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1 "
	    "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n", "",
	    "[ffff:ffff:ffff:ffff:ffff:ffff:ffff:fff1]:65535"),
	OK("v1 a mapped address counts as what it is",
	    "PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "", "192.0.2.1:1"),
	OK("v1 UNKNOWN", "PROXY UNKNOWN\r\n", "x", "unknown"),
	OK("v1 UNKNOWN with addresses", "PROXY UNKNOWN 192.0.2.1 192.0.2.2 1 2"
	    "\r\n", "", "unknown"),
	BAD("v1 LF alone", "PROXY TCP4 192.0.2.1 192.0.2.9 5000 587\n"),
	BAD("v1 CR within", "PROXY TCP4 192.0.2.1\r192.0.2.9 5000 587\r\n"),
	BAD("v1 two spaces", "PROXY TCP4  192.0.2.1 192.0.2.9 5000 587\r\n"),
	BAD("v1 space at the end", "PROXY TCP4 192.0.2.1 192.0.2.9 1 2 \r\n"),
	BAD("v1 more words", "PROXY TCP4 192.0.2.1 192.0.2.9 1 2 3\r\n"),
	BAD("v1 fewer words", "PROXY TCP4 192.0.2.1 192.0.2.9 1\r\n"),
	BAD("v1 nothing", "PROXY \r\n"),
	BAD("v1 lower case", "proxy TCP4 192.0.2.1 192.0.2.9 5000 587\r\n"),
	BAD("v1 another family", "PROXY TCP4 2001:db8::1 ::1 5000 587\r\n"),
	BAD("v1 short address", "PROXY TCP4 192.0.2 192.0.2.9 5000 587\r\n"),
	BAD("v1 port", "PROXY TCP4 192.0.2.1 192.0.2.9 65536 587\r\n"),
	BAD("v1 port with zero", "PROXY TCP4 192.0.2.1 192.0.2.9 05 587\r\n"),
	BAD("v1 port signed", "PROXY TCP4 192.0.2.1 192.0.2.9 +5 587\r\n"),
	BAD("v1 UDP", "PROXY UDP4 192.0.2.1 192.0.2.9 5000 587\r\n"),
	BAD("v1 no end", "PROXY UNKNOWN xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
	    "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"),
	MORE("v1 begun", "PROXY TCP4 192.0.2.1"),
	MORE("v1 CR and no LF", "PROXY UNKNOWN\r"),
	MORE("one octet", "P"),
	BAD("EHLO", "EHLO a\r\n"),
	BAD("ClientHello", "\x16\x03\x01"),
	BAD("one wrong octet", "Q"),

	OK("v2 TCP4", V2 "\x21\x11\0\x0c\xc0\0\2\1\xc0\0\2\x09\x13\x88\2\x4b",
	    "EHLO", "192.0.2.1:5000"),
	OK("v2 TCP6", V2 "\x21\x21\0\x24" SIX SIX "\0\1\0\2", "",
	    "[2001:db8::1]:1"),
	OK("v2 TLVs", V2 "\x21\x11\0\x10\xc0\0\2\1\xc0\0\2\x09\x13\x88\2\x4b"
	    "\x04\0\1x", "\x16", "192.0.2.1:5000"),
	OK("v2 LOCAL", V2 "\x20\0\0\0", "x", "unknown"),
	OK("v2 LOCAL with an address", V2 "\x20\x11\0\x0c\xc0\0\2\1\xc0\0\2\x09"
	    "\x13\x88\2\x4b", "", "unknown"),
	OK("v2 unspecified", V2 "\x21\0\0\0", "", "unknown"),
	OK("v2 UNIX", V2 "\x21\x31\0\2ab", "", "unknown"),
	OK("v2 UDP", V2 "\x21\x12\0\x0c\xc0\0\2\1\xc0\0\2\x09\x13\x88\2\x4b", "",
	    "unknown"),
	OK("v2 no address", V2 "\x21\x11\0\x0c\0\0\0\0\xc0\0\2\x09\0\1\2\x4b", "",
	    "unknown"),
	BAD("v2 version", V2 "\x31\x11\0\x0c\xc0\0\2\1\xc0\0\2\x09\x13\x88\2\x4b"),
	BAD("v2 command", V2 "\x22\x11\0\x0c\xc0\0\2\1\xc0\0\2\x09\x13\x88\2\x4b"),
	BAD("v2 family", V2 "\x21\x41\0\0"),
	BAD("v2 protocol", V2 "\x21\x13\0\0"),
	BAD("v2 too short for it", V2 "\x21\x11\0\x0b\xc0\0\2\1\xc0\0\2\x09\x13"
	    "\x88\2"),
	BAD("v2 too short for TCP6", V2 "\x21\x21\0\x04\1\2\3\4"),
	BAD("v2 too long", V2 "\x21\x11\x10\0"),
	MORE("v2 begun", V2 "\x21"),
	MORE("v2 address begun", V2 "\x21\x11\0\x0c\xc0\0\2"),
};

static void
test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct row *w = &rows[i];
		struct proxy_header h;
		char text[ADDR_STRLEN];
		size_t used;

		ROW_EQ(w->name, proxy_parse((const uint8_t *)w->octets, w->len,
		    &h, &used), w->r);
		if (w->r < 0)
			continue;
		ROW_EQ(w->name, used, w->used);
		if (w->r == 0)
			ROW_STR(w->name, h.client.port != 0 &&
			    !addr_is_none(&h.client) ?
			    addr_text(&h.client, text) :
			    addr_ip_text(&h.client, text), w->client);
	}
}

/* However it is cut, it is the same header, and all before its end is its. */
static void
test_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		const struct row *w = &rows[i];
		struct proxy_header h;
		size_t used, n;

		for (n = 0; w->r == 0 && n < w->used; n++) {
			ROW_EQ(w->name, proxy_parse((const uint8_t *)w->octets,
			    n, &h, &used), PROXY_MORE);
			ROW_EQ(w->name, used, n);
		}
	}
}

static const struct {
	const char		*arg;
	enum smtp_reply		 r;
	const char		*addr;	/* "": none was said */
	const char		*helo;
} xclients[] = {
	{ "ADDR=192.0.2.1 PORT=5 NAME=a.example HELO=b PROTO=ESMTP",
	    SMTP_R_NONE, "192.0.2.1:5", "b" },
	{ "port=5 addr=192.0.2.1", SMTP_R_NONE, "192.0.2.1:5", "" },
	{ "ADDR=IPV6:2001:db8::1", SMTP_R_NONE, "[2001:db8::1]:0", "" },
	{ "ADDR=ipv6:2001+3Adb8::1 PROTO=smtp", SMTP_R_NONE,
	    "[2001:db8::1]:0", "" },
	{ "ADDR=[UNAVAILABLE] NAME=[TEMPUNAVAIL]", SMTP_R_NONE, "[::]:0", "" },
	{ "HELO=[192.0.2.1]", SMTP_R_NONE, "", "[192.0.2.1]" },
	{ "HELO=a+20b", SMTP_R_NONE, "", "a b" },
	{ "LOGIN=anna@example.org", SMTP_R_XCLIENT_LOGIN, "", "" },
	{ "ADDR=192.0.2.1 LOGIN=[UNAVAILABLE]", SMTP_R_XCLIENT_LOGIN, "", "" },
	{ "ADDR=2001:db8::1", SMTP_R_XCLIENT_SYNTAX, "", "" },
	{ "ADDR=IPV6:192.0.2.1", SMTP_R_XCLIENT_SYNTAX, "", "" },
	{ "ADDR=192.0.2.256", SMTP_R_XCLIENT_SYNTAX, "", "" },
	{ "ADDR=localhost", SMTP_R_XCLIENT_SYNTAX, "", "" },
	{ "ADDR=", SMTP_R_XCLIENT_SYNTAX, "", "" },
	{ "ADDR", SMTP_R_XCLIENT_SYNTAX, "", "" },
	{ "ADDR=192.0.2.1 ADDR=192.0.2.2", SMTP_R_XCLIENT_SYNTAX, "", "" },
	{ "PORT=65536", SMTP_R_XCLIENT_SYNTAX, "", "" },
	{ "PROTO=HTTP", SMTP_R_XCLIENT_SYNTAX, "", "" },
	{ "HELO=a+2", SMTP_R_XCLIENT_SYNTAX, "", "" },
	{ "HELO=a+0D", SMTP_R_XCLIENT_SYNTAX, "", "" },
	{ "OTHER=a", SMTP_R_XCLIENT_SYNTAX, "", "" },
	{ "", SMTP_R_XCLIENT_SYNTAX, "", "" },
};

static void
test_xclient(void **state)
{
	char arg[512], text[ADDR_STRLEN];
	struct smtp_xclient x;

	(void)state;
	for (size_t i = 0; i < ROWS(xclients); i++) {
		strcpy(arg, xclients[i].arg);
		ROW_EQ(xclients[i].arg, smtp_xclient_parse(arg, &x),
		    xclients[i].r);
		if (xclients[i].r != SMTP_R_NONE)
			continue;
		ROW_EQ(xclients[i].arg, x.has_addr, xclients[i].addr[0] != 0);
		ROW_STR(xclients[i].arg, x.helo, xclients[i].helo);
		if (x.has_addr)
			ROW_STR(xclients[i].arg, addr_text(&x.addr, text),
			    xclients[i].addr);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_xclient),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
