/*
 * t_send_dns.c - what comes out of DNS answers, and the order of MX records.
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

#include <cmocka.h>

#include "submitd/send/dns_answer.h"
#include "submitd/send/mx.h"
#include "submitd/send/tlsa.h"

#define DNS_HEAD(rcode, q, a) "\x12\x34\x81" rcode q a "\0\0\0\0"
#define DNS_NAME "\4host\4test\0"
#define DNS_RR_A DNS_NAME "\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\1"
#define DNS_RR_A2 "\xc0\x0c" "\0\1\0\1\0\0\0\x3c\0\4\xc0\0\2\2"
#define DNS_RR_CNAME "\xc0\x0c" "\0\5\0\1\0\0\0\x3c\0\2\xc0\x0c"
#define DNS_RR_AAAA "\xc0\x0c" "\0\x1c\0\1\0\0\0\x3c\0\x10\x20\1\xd\xb8" \
	"\0\0\0\0\0\0\0\0\0\0\0\1"
#define DNS_QUESTION DNS_NAME "\0\1\0\1"

#define DNS_RR(type, len, data) "\xc0\x0c\0" type "\0\1\0\0\0\x3c\0" len data
#define DNS_MX(len, data) DNS_RR("\x0f", len, data)
#define DNS_TLSA(len, data) DNS_RR("\x34", len, data)
#define ONE DNS_HEAD("\x80", "\0\1", "\0\1") DNS_QUESTION
#define TWO DNS_HEAD("\x80", "\0\1", "\0\2") DNS_QUESTION
#define DNS_32 "0123456789abcdef0123456789abcdef"

struct dns_row {
	const char	*name;
	const char	*packet;
	size_t		 len;
	unsigned int	 type;
	int		 want;		/* result */
	unsigned int	 rcode;
	const char	*text;		/* of all records */
};

#define PACKET(p) p, sizeof(p) - 1
/* clang-format off */
static const struct dns_row dns_rows[] = {
	{ "A", PACKET(DNS_HEAD("\x80", "\0\1", "\0\1") DNS_QUESTION DNS_RR_A), DNS_TYPE_A, 0, 0, "host.test 192.0.2.1" },
	{ "no question", PACKET(DNS_HEAD("\x80", "\0\0", "\0\1") DNS_RR_A), DNS_TYPE_A, 0, 0, "host.test 192.0.2.1" },
	{ "alias, then two", PACKET(DNS_HEAD("\x80", "\0\1", "\0\3") DNS_QUESTION DNS_RR_CNAME DNS_RR_A2 DNS_RR_A), DNS_TYPE_A, 0, 0, "host.test 192.0.2.2, host.test 192.0.2.1" },
	{ "AAAA", PACKET(DNS_HEAD("\x80", "\0\1", "\0\1") DNS_QUESTION DNS_RR_AAAA), DNS_TYPE_AAAA, 0, 0, "host.test 2001:db8::1" },
	{ "the other type", PACKET(DNS_HEAD("\x80", "\0\1", "\0\1") DNS_QUESTION DNS_RR_AAAA), DNS_TYPE_A, 0, 0, "" },
	{ "no answer", PACKET(DNS_HEAD("\x80", "\0\1", "\0\0") DNS_QUESTION), DNS_TYPE_A, 0, 0, "" },
	{ "NXDOMAIN", PACKET(DNS_HEAD("\x83", "\0\1", "\0\0") DNS_QUESTION), DNS_TYPE_A, 0, 3, "" },
	{ "fewer records than said", PACKET(DNS_HEAD("\x80", "\0\1", "\0\2") DNS_QUESTION DNS_RR_A), DNS_TYPE_A, ERR_FORMAT, 0, "" },
	{ "an A of 5 octets", PACKET(DNS_HEAD("\x80", "\0\0", "\0\1") DNS_NAME "\0\1\0\1\0\0\0\0\0\5abcde"), DNS_TYPE_A, ERR_FORMAT, 0, "" },
	{ "data behind the end", PACKET(DNS_HEAD("\x80", "\0\0", "\0\1") DNS_NAME "\0\1\0\1\0\0\0\0\0\4abc"), DNS_TYPE_A, ERR_FORMAT, 0, "" },
	{ "a pointer to itself", PACKET(DNS_HEAD("\x80", "\0\0", "\0\1") "\xc0\x0c"), DNS_TYPE_A, ERR_FORMAT, 0, "" },
	{ "a label of type 01", PACKET(DNS_HEAD("\x80", "\0\0", "\0\1") "\x41xxxx\0\0\1\0\1\0\0\0\0\0\4abcd"), DNS_TYPE_A, ERR_FORMAT, 0, "" },
	{ "no head", PACKET("\x12\x34\x81"), DNS_TYPE_A, ERR_FORMAT, 0, "" },
	{ "an owner by pointer", PACKET(ONE DNS_RR_A2), DNS_TYPE_A, 0, 0, "host.test 192.0.2.2" },
	{ "MX", PACKET(ONE DNS_MX("\x08", "\0\x0a\3MX1\xc0\x11")), DNS_TYPE_MX, 0, 0, "10 mx1.test" },
	{ "two, one a pointer", PACKET(TWO DNS_MX("\x04", "\1\0\xc0\x0c") DNS_MX("\x0a", "\0\0\6m-_9zZ\0")), DNS_TYPE_MX, 0, 0, "256 host.test, 0 m-_9zz" },
	{ "null MX", PACKET(ONE DNS_MX("\x03", "\0\0\0")), DNS_TYPE_MX, 0, 0, "0 " },
	{ "no host's name", PACKET(TWO DNS_MX("\x06", "\0\1\2a \0") DNS_MX("\x05", "\0\2\1b\0")), DNS_TYPE_MX, 0, 0, "2 b" },
	{ "a dot in a label", PACKET(ONE DNS_MX("\x07", "\0\1\3a.b\0")), DNS_TYPE_MX, 0, 0, "" },
	{ "a NUL in a label", PACKET(ONE DNS_MX("\x07", "\0\1\3a\0b\0")), DNS_TYPE_MX, 0, 0, "" },
	{ "MX without a name", PACKET(ONE DNS_MX("\x02", "\0\1")), DNS_TYPE_MX, ERR_FORMAT, 0, "" },
	{ "MX, more behind the name", PACKET(ONE DNS_MX("\x05", "\0\1\0xx")), DNS_TYPE_MX, ERR_FORMAT, 0, "" },
	{ "MX, the name goes on behind", PACKET(TWO DNS_MX("\x04", "\0\1\3a") DNS_RR_A2), DNS_TYPE_MX, ERR_FORMAT, 0, "" },
	{ "MX, a pointer to itself", PACKET(ONE DNS_MX("\x04", "\0\1\xc0\x29")), DNS_TYPE_MX, ERR_FORMAT, 0, "" },
	{ "MX, a pointer forwards", PACKET(TWO DNS_MX("\x04", "\0\1\xc0\x2d") DNS_RR_A2), DNS_TYPE_MX, ERR_FORMAT, 0, "" },
	{ "MX, a pointer into the head", PACKET(ONE DNS_MX("\x04", "\0\1\xc0\0")), DNS_TYPE_MX, ERR_FORMAT, 0, "" },
	{ "TLSA", PACKET(ONE DNS_TLSA("\x23", "\3\1\1" DNS_32)), DNS_TYPE_TLSA, 0, 0, "3 1 1 32" },
	{ "TLSA, not usable ones", PACKET(TWO DNS_TLSA("\x23", "\0\1\1" DNS_32) DNS_TLSA("\x04", "\3\1\1x")), DNS_TYPE_TLSA, 0, 0, "0 1 1 32 no, 3 1 1 1 no" },
	{ "TLSA, more not usable", PACKET(TWO DNS_TLSA("\x04", "\3\2\0x") DNS_TLSA("\x03", "\3\0\0")), DNS_TYPE_TLSA, 0, 0, "3 2 0 1 no, 3 0 0 0 no" },
	{ "TLSA, whole", PACKET(TWO DNS_TLSA("\x04", "\2\0\0x") DNS_TLSA("\x04", "\2\0\3x")), DNS_TYPE_TLSA, 0, 0, "2 0 0 1, 2 0 3 1 no" },
	{ "TLSA of 2 octets", PACKET(ONE DNS_TLSA("\2", "\3\1")), DNS_TYPE_TLSA, ERR_FORMAT, 0, "" },
};
/* clang-format on */

#define ROOM 4u

static void
dns_add(char *dst, size_t size, size_t i, const char *fmt, ...)
{
	size_t n = strlen(dst);
	va_list ap;

	if (i > 0)
		n += (size_t)snprintf(dst + n, size - n, ", ");
	va_start(ap, fmt);
	vsnprintf(dst + n, size - n, fmt, ap);
	va_end(ap);
}

static int
dns_text(const struct dns_row *row, size_t len, size_t max, char *dst,
    size_t size, unsigned int *ret_rcode)
{
	const uint8_t *p = (const uint8_t *)row->packet;
	struct dns_addr a[ROOM];
	struct dns_mx mx[ROOM];
	struct dns_tlsa t[ROOM];
	char text[ADDR_STRLEN];
	size_t n;
	int r;

	dst[0] = '\0';
	r = row->type == DNS_TYPE_MX ?
	    dns_answer_mx(p, len, mx, max, &n, ret_rcode) :
	    row->type == DNS_TYPE_TLSA ?
	    dns_answer_tlsa(p, len, t, max, &n, ret_rcode) :
	    dns_answer_addrs(p, len, row->type, a, max, &n, ret_rcode);
	assert_true(n <= max);
	for (size_t i = 0; i < n; i++) {
		if (row->type == DNS_TYPE_MX)
			dns_add(dst, size, i, "%u %s", mx[i].preference,
			    mx[i].host);
		else if (row->type == DNS_TYPE_TLSA)
			dns_add(dst, size, i, "%u %u %u %u%s", t[i].usage,
			    t[i].selector, t[i].matching, t[i].len,
			    tlsa_is_usable(&t[i]) ? "" : " no");
		else
			dns_add(dst, size, i, "%s %s", a[i].owner,
			    addr_ip_text(&a[i].addr, text));
	}
	return r;
}

static void
test_dns(void **state)
{
	char text[512], part[512];
	unsigned int rcode;

	(void)state;
	for (size_t i = 0; i < sizeof(dns_rows) / sizeof(*dns_rows); i++) {
		const struct dns_row *row = &dns_rows[i];
		int r = dns_text(row, row->len, ROOM, text, sizeof(text),
		    &rcode);

		if (r != row->want || strcmp(text, row->text) != 0)
			print_error("%s: %d %s\n", row->name, r, text);
		assert_int_equal(r, row->want);
		assert_string_equal(text, row->text);
		if (r == 0)
			assert_int_equal(rcode, row->rcode);
		/* Cut anywhere: no crash, and nothing that is not there. */
		for (size_t cut = 0; cut < row->len; cut++)
			if (dns_text(row, cut, ROOM, part, sizeof(part),
			    &rcode) == 0)
				assert_string_equal(part, "");
		/* No more than there is room for. */
		(void)dns_text(row, row->len, 1, part, sizeof(part), &rcode);
		assert_null(strchr(part, ','));
	}
}

/* --------------------------------------------------------------------- MX -- */

static size_t
mx_make(struct dns_mx *mx, const char *text)
{
	size_t n = 0;
	int used;

	while (sscanf(text, "%u %255s%n", &mx[n].preference, mx[n].host,
	    &used) == 2) {
		if (strcmp(mx[n].host, ".") == 0)
			mx[n].host[0] = '\0';
		text += used;
		n++;
	}
	return n;
}

struct mx_row {
	const char	*records;
	const char	*want;		/* in order */
	bool		 null, own;
};

/* clang-format off */
static const struct mx_row mx_rows[] = {
	{ "", "", false, false },
	{ "10 a", "a", false, false },
	{ "20 b 10 a 30 c", "a b c", false, false },
	{ "0 .", "", true, false },
	{ "10 .", "", true, false },
	{ "0 . 10 a", "a", false, false },
	{ "0 . 10 .", "", false, false },
	{ "10 a 20 OWN", "a", false, true },
	{ "10 own 20 a", "", false, true },
	{ "10 own 10 a", "", false, true },
	{ "10 a 20 own 20 b 30 c 15 d 40 own", "a d", false, true },
	{ "10 a 20 A 30 b 5 a", "a b", false, false },
	{ "1 a 2 b 3 c 4 d 5 e 6 f", "a b c d", false, false },
};
/* clang-format on */

static void
test_mx_rows(void **state)
{
	struct dns_mx mx[16];
	char text[512];

	(void)state;
	for (size_t i = 0; i < sizeof(mx_rows) / sizeof(*mx_rows); i++) {
		const struct mx_row *row = &mx_rows[i];
		size_t n = mx_make(mx, row->records);
		bool own;

		assert_int_equal(mx_is_null(mx, n), row->null);
		n = mx_order(mx, n, "own", ROOM, &own);
		text[0] = '\0';
		for (size_t k = 0; k < n; k++)
			snprintf(text + strlen(text),
			    sizeof(text) - strlen(text), "%s%s", k > 0 ? " " : "",
			    mx[k].host);
		if (strcmp(text, row->want) != 0)
			print_error("%s: %s\n", row->records, text);
		assert_string_equal(text, row->want);
		assert_int_equal(own, row->own);
	}
}

/* Equal ones come in any order, each of them first about as often. */
static void
test_mx_shuffle(void **state)
{
	unsigned int first[4] = { 0 };
	struct dns_mx mx[8];
	bool own;

	(void)state;
	for (int i = 0; i < 4000; i++) {
		size_t n = mx_make(mx, "20 z 10 a 10 b 10 c 10 d 5 y");

		assert_int_equal(mx_order(mx, n, "own", 8, &own), 6);
		assert_string_equal(mx[0].host, "y");
		assert_string_equal(mx[5].host, "z");
		first[mx[1].host[0] - 'a']++;
	}
	for (int i = 0; i < 4; i++)
		assert_in_range(first[i], 850, 1150);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dns),
		cmocka_unit_test(test_mx_rows),
		cmocka_unit_test(test_mx_shuffle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
