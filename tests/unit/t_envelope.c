/*
 * t_envelope.c - queue files' octets, the Received field, counting Received.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>

#include "auth/authp.h"
#include "lib/err.h"
#include "lib/msg.h"
#include "submitd/spool/envelope.h"
#include "submitd/spool/header.h"
#include "submitd/spool/wishes.h"
#include "tests/unit/unit.h"

#define ID "abcdefghijklmnop"

static struct envelope
sample(char **rcpts, size_t n)
{
	static char sender[] = "a@example.org", user[] = "u@example.org",
	    peer[] = "192.0.2.7", tls[] = "TLSv1.3:TLS_AES_256_GCM_SHA384:"
	    "X25519", mech[] = "PLAIN", sid[] = "sidsidsidsidsid2",
	    helo[] = "client.example.net";
	struct envelope e = { .id = ID, .sender = sender, .user = user,
		.kind = AUTHP_KIND_SASL, .peer = peer, .tls = tls,
		.mech = mech, .sid = sid, .helo = helo,
		.arrived_s = 1795000000, .eightbit = true, .rcpts = rcpts,
		.n_rcpts = n };

	return e;
}

static void
test_envelope_round(void **state)
{
	static const size_t counts[] = { 1, 2, 240, 241, 5000 };

	(void)state;
	for (size_t c = 0; c < sizeof(counts) / sizeof(counts[0]); c++) {
		size_t n = counts[c], len;
		char **rcpts = calloc(n, sizeof(*rcpts));
		struct envelope e, back;
		uint8_t *p;

		for (size_t i = 0; i < n; i++) {
			rcpts[i] = malloc(64);
			snprintf(rcpts[i], 64, "rcpt%zu@example.com", i);
		}
		e = sample(rcpts, n);
		assert_int_equal(envelope_pack(&e, &p, &len), 0);
		assert_int_equal(envelope_unpack(p, len, &back), 0);
		assert_string_equal(back.id, ID);
		assert_string_equal(back.sender, e.sender);
		assert_string_equal(back.user, e.user);
		assert_string_equal(back.peer, e.peer);
		assert_string_equal(back.tls, e.tls);
		assert_int_equal(back.kind, e.kind);
		assert_int_equal(back.arrived_s, e.arrived_s);
		assert_true(back.eightbit);
		assert_int_equal(back.n_rcpts, n);
		for (size_t i = 0; i < n; i++)
			assert_string_equal(back.rcpts[i], rcpts[i]);
		envelope_free(&back);
		/* Cut anywhere it is refused. */
		for (size_t cut = 0; cut < len; cut += 1 + len / 500)
			assert_int_not_equal(envelope_unpack(p, cut, &back), 0);
		free(p);
		for (size_t i = 0; i < n; i++)
			free(rcpts[i]);
		free(rcpts);
	}
}

static void
test_asked_round(void **state)
{
	static char envid[] = "Q+2B", orcpt[] = "utf-8;\\x{E4}@b.example",
	    one[] = "\xc3\xa4@example.com", two[] = "b@example.com";
	char *rcpts[] = { one, two };
	struct spool_dsn dsn[] = { { 0, NULL },
		{ SPOOL_NOTIFY_SUCCESS | SPOOL_NOTIFY_DELAY, orcpt } };
	struct envelope e = sample(rcpts, 2), back;
	uint8_t *p;
	size_t len;

	(void)state;
	e.smtputf8 = e.foreign = true;
	e.ret = SPOOL_RET_HDRS;
	e.envid = envid;
	e.dsn = dsn;
	e.wishes = (struct spool_wishes){ .hold_until_s = 1795000060,
		.by_mode = SPOOL_BY_NOTIFY, .by_trace = true,
		.by_s = 1795003600, .priority = -9, .requiretls = true };
	assert_int_equal(envelope_pack(&e, &p, &len), 0);
	assert_int_equal(envelope_unpack(p, len, &back), 0);
	assert_true(back.smtputf8);
	assert_true(back.foreign);
	assert_int_equal(back.ret, SPOOL_RET_HDRS);
	assert_string_equal(back.envid, envid);
	assert_int_equal(back.dsn[0].notify, 0);
	assert_null(back.dsn[0].orcpt);
	assert_int_equal(back.dsn[1].notify, dsn[1].notify);
	assert_string_equal(back.dsn[1].orcpt, orcpt);
	assert_int_equal(back.wishes.hold_until_s, e.wishes.hold_until_s);
	assert_int_equal(back.wishes.by_mode, SPOOL_BY_NOTIFY);
	assert_true(back.wishes.by_trace);
	assert_int_equal(back.wishes.by_s, e.wishes.by_s);
	assert_int_equal(back.wishes.priority, -9);
	assert_true(back.wishes.requiretls);
	assert_false(back.wishes.tls_optional);
	envelope_free(&back);
	free(p);
}

/* As versions 1 to 3 wrote it. */
static void
test_old_of(unsigned int version)
{
	static const char *const head[] = { ID, "a@example.org", "u@example.org" },
	    *const rest[] = { "192.0.2.7", "", "PLAIN", "sid", "helo" };
	static const struct spool_wishes wishes = { .priority = 7 };
	struct msg_out *m = malloc(sizeof(*m));
	uint8_t p[2000];
	struct envelope e;
	size_t len = 0;

	for (int i = 0; i < 2; i++) {
		msg_begin(m, (uint16_t)(2 * version - 1 + (unsigned int)i), 0);
		for (size_t k = 0; i == 0 && k < 3; k++)
			msg_put_str(m, head[k]);
		if (i == 0)
			msg_put_u8(m, AUTHP_KIND_SASL);
		for (size_t k = 0; i == 0 && k < 5; k++)
			msg_put_str(m, rest[k]);
		if (i == 0) {
			msg_put_u64(m, 1795000000);
			msg_put_u8(m, 1);
			msg_put_u32(m, 1);
			if (version >= 2) {
				msg_put_u8(m, 1);
				msg_put_u8(m, SPOOL_RET_FULL);
				msg_put_str(m, "Q");
			}
			if (version >= 3)
				spool_wishes_put(m, &wishes);
		} else {
			msg_put_u16(m, 1);
			msg_put_str(m, "b@example.com");
			if (version >= 2) {
				msg_put_u8(m, SPOOL_NOTIFY_DELAY);
				msg_put_str(m, "");
			}
		}
		p[len] = p[len + 1] = 0;
		p[len + 2] = (uint8_t)(m->len >> 8);
		p[len + 3] = (uint8_t)m->len;
		memcpy(p + len + 4, m->data, m->len);
		len += 4 + m->len;
	}
	free(m);
	assert_int_equal(envelope_unpack(p, len, &e), 0);
	assert_string_equal(e.rcpts[0], "b@example.com");
	assert_string_equal(e.envid, version == 1 ? "" : "Q");
	assert_int_equal(e.smtputf8, version >= 2);
	assert_int_equal(e.dsn != NULL, version >= 2);
	assert_int_equal(e.wishes.priority, version >= 3 ? 7 : 0);
	assert_false(e.foreign);
	assert_int_equal(e.wishes.hold_until_s, 0);
	envelope_free(&e);
	/* A head of one version, recipients of another. */
	p[4 + 3] ^= 8;
	assert_int_not_equal(envelope_unpack(p, len, &e), 0);
}

static void
test_old(void **state)
{
	(void)state;
	test_old_of(1);
	test_old_of(2);
	test_old_of(3);
}

static void
test_header_round(void **state)
{
	struct envelope_header h = { .envelope_len = 100,
		.content_offset = ENVELOPE_HEADER_SIZE + 100,
		.content_len = 5, .envelope_crc = 7, .tls_optional = true },
		back;
	uint8_t p[ENVELOPE_HEADER_SIZE];

	(void)state;
	envelope_header_pack(&h, p);
	assert_int_equal(envelope_header_unpack(p, &back), 0);
	assert_int_equal(back.content_len, 5);
	assert_int_equal(back.envelope_crc, 7);
	assert_true(back.tls_optional);
	for (size_t i = 0; i < sizeof(p); i++) {
		p[i] ^= 0x10;
		assert_int_equal(envelope_header_unpack(p, &back), ERR_FORMAT);
		p[i] ^= 0x10;
	}
	h.content_offset++;
	envelope_header_pack(&h, p);
	assert_int_equal(envelope_header_unpack(p, &back), ERR_FORMAT);
}

static void
test_result_round(void **state)
{
	struct envelope_result r = { .rcpt = 3, .state = ENVELOPE_PENDING,
		.tries = 4, .next_try_s = 1795000000, .told = true,
		.text = "451 4.3.0 try again" }, back;
	uint8_t p[ENVELOPE_RESULT_MAX];
	size_t n = envelope_result_pack(&r, p);

	(void)state;
	assert_int_equal(envelope_result_unpack(p, n, &back), n);
	assert_int_equal(back.rcpt, 3);
	assert_int_equal(back.tries, 4);
	assert_true(back.told);
	assert_int_equal(back.next_try_s, r.next_try_s);
	assert_string_equal(back.text, r.text);
	for (size_t cut = 0; cut < n; cut++)
		assert_int_equal(envelope_result_unpack(p, cut, &back),
		    ERR_FORMAT);
	for (size_t i = 0; i < n; i++) {
		p[i] ^= 1;
		assert_int_equal(envelope_result_unpack(p, n, &back),
		    ERR_FORMAT);
		p[i] ^= 1;
	}
	memset(r.text, 'x', sizeof(r.text));	/* not even a NUL */
	n = envelope_result_pack(&r, p);
	assert_int_equal(envelope_result_unpack(p, n, &back), n);
	assert_int_equal(strlen(back.text), SPOOL_TEXT_MAX);
}

/* A hold record has a kind of its own, and no other form may pass for it. */
static void
test_hold_round(void **state)
{
	struct envelope_result r = { .rcpt = ENVELOPE_RCPT_HOLD,
		.state = ENVELOPE_HOLD__ALL, .next_try_s = 1795000000,
		.text = "uid 0" }, back;
	uint8_t p[ENVELOPE_RESULT_MAX];
	size_t n = envelope_result_pack(&r, p);
	uint32_t crc;

	(void)state;
	assert_int_equal(envelope_result_unpack(p, n, &back), n);
	assert_int_equal(back.rcpt, ENVELOPE_RCPT_HOLD);
	assert_int_equal(back.state, ENVELOPE_HOLD__ALL);
	assert_int_equal(back.next_try_s, r.next_try_s);
	assert_string_equal(back.text, "uid 0");
	p[0] = 'R';
	crc = envelope_crc(p, n - 4);
	for (size_t i = 0; i < 4; i++)
		p[n - 4 + i] = (uint8_t)(crc >> (24 - 8 * i));
	assert_int_equal(envelope_result_unpack(p, n, &back), ERR_FORMAT);
}

struct received_case {
	const char *name;
	uint8_t kind;
	const char *helo, *peer, *user, *rcpt, *tls;
	const char *want;	/* unfolded, between "from" and the date */
};

static const struct received_case received_cases[] = {
	{ "authenticated", AUTHP_KIND_SASL, "client.example.net", "192.0.2.7",
	  "u@example.org", "b@example.com",
	  "TLSv1.3:TLS_AES_256_GCM_SHA384:X25519",
	  "client.example.net ([192.0.2.7]) by mx.example.org with ESMTPSA id "
	  ID " (authenticated as u@example.org) for <b@example.com> tls "
	  "TLS_AES_256_GCM_SHA384 group X25519" },
	{ "grant, IPv6, no helo", AUTHP_KIND_GRANT, "", "2001:db8::1",
	  "u@example.org", "b@example.com", "",
	  "unknown ([IPv6:2001:db8::1]) by mx.example.org with ESMTPS id "
	  ID " (relay grant of u@example.org) for <b@example.com>" },
	{ "network without owner", AUTHP_KIND_NETWORK, "[192.0.2.7]",
	  "192.0.2.7", "", "b@example.com", "",
	  "[192.0.2.7] ([192.0.2.7]) by mx.example.org with ESMTPS id "
	  ID " (trusted network) for <b@example.com>" },
	{ "network with owner", AUTHP_KIND_NETWORK, "a.example",
	  "192.0.2.7", "o@example.org", "b@example.com", "",
	  "a.example ([192.0.2.7]) by mx.example.org with ESMTPS id "
	  ID " (trusted network, owner o@example.org) for <b@example.com>" },
	{ "received", AUTHP_KIND_RECEIVE, "mx.example.net", "unknown", "",
	  "b@example.com", "", "mx.example.net by mx.example.org with LMTP id "
	  ID " for <b@example.com>" },
	{ "helo that would add a line", AUTHP_KIND_SASL, "x\r\nBcc: y",
	  "192.0.2.7", "u@example.org", "b@example.com", "",
	  "unknown ([192.0.2.7]) by mx.example.org with ESMTPSA id "
	  ID " (authenticated as u@example.org) for <b@example.com>" },
	{ "user that would end the comment", AUTHP_KIND_SASL, "a.example",
	  "192.0.2.7", "u)\r\n(@x", "postmaster", "evil\r\nX: y:z",
	  "a.example ([192.0.2.7]) by mx.example.org with ESMTPSA id "
	  ID " (authenticated as u\\)\?\?\\(@x)" },
};

/* Takes the folds out, which are white space before a tab. */
static void
unfold(char *s)
{
	char *d = s;

	for (; *s != '\0'; s++) {
		if (s[0] == '\r' && s[1] == '\n' && s[2] == '\t') {
			*d++ = ' ';
			s += 2;
		} else {
			*d++ = *s;
		}
	}
	*d = '\0';
}

/* RFC 6710: a priority stands there, and no other than was asked for. */
static void
test_received_priority(void **state)
{
	static char rcpt[] = "b@example.com", empty[] = "", helo[] = "a.test";
	char *rcpts = rcpt, got[HEADER_RECEIVED_SIZE];
	struct envelope e = sample(&rcpts, 1);

	(void)state;
	e.user = e.peer = e.tls = empty;
	e.helo = helo;
	for (int p = -9; p <= 9; p++) {
		char want[24];

		e.wishes.priority = (int8_t)p;
		assert_true(header_received(&e, "mx.example.org", "", got,
		    sizeof(got)) > 0);
		unfold(got);
		snprintf(want, sizeof(want), " PRIORITY %d; ", p);
		assert_int_equal(strstr(got, want) != NULL, p != 0);
		assert_int_equal(strstr(got, "PRIORITY") != NULL, p != 0);
	}
}

static void
test_received(void **state)
{
	(void)state;
	for (size_t i = 0;
	    i < sizeof(received_cases) / sizeof(received_cases[0]); i++) {
		const struct received_case *c = &received_cases[i];
		char *rcpt = strdup(c->rcpt);
		struct envelope e = sample(&rcpt, 1);
		char got[HEADER_RECEIVED_SIZE], want[HEADER_RECEIVED_SIZE];
		int n;

		e.kind = c->kind;
		e.helo = strdup(c->helo);
		e.peer = strdup(c->peer);
		e.user = strdup(c->user);
		e.tls = strdup(c->tls);
		n = header_received(&e, "mx.example.org", "", got, sizeof(got));
		assert_int_equal(n, strlen(got));
		unfold(got);
		snprintf(want, sizeof(want), "Received: from %s; "
		    "Wed, 18 Nov 2026 11:06:40 +0000\r\n", c->want);
		ROW_STR(c->name, got, want);
		assert_true(header_received(&e, "mx.example.org", "", got, 64) < 0);
		free(rcpt);
		free(e.helo);
		free(e.peer);
		free(e.user);
		free(e.tls);
	}
}

/* A token stands for address, EHLO name and user. */
static void
test_received_origin(void **state)
{
	char rcpt[] = "b@example.com", *r = rcpt, token[AUTHP_ORIGIN_MAX + 1];
	char got[HEADER_RECEIVED_SIZE];
	struct envelope e = sample(&r, 1);

	(void)state;
	e.kind = AUTHP_KIND_SASL;
	e.helo = (char[]){ "client.example.net" };
	e.peer = (char[]){ "192.0.2.7" };
	e.user = (char[]){ "u@example.org" };
	e.tls = (char[]){ "" };
	memset(token, 'a', sizeof(token) - 1);
	for (size_t n = 1; n < sizeof(token); n++) {
		token[n] = '\0';
		assert_true(header_received(&e, "mx.example.org", token, got,
		    sizeof(got)) > 0);
		assert_null(strstr(got, "192.0.2.7"));
		assert_null(strstr(got, "client"));
		assert_null(strstr(got, "u@example.org"));
		assert_non_null(strstr(got, "from unknown (origin"));
		for (char *line = strtok(got, "\n"); line != NULL;
		    line = strtok(NULL, "\n"))
			assert_true(strlen(line) <= 79);
		token[n] = 'a';
	}
}

/* The longest that everything may be: folded, no line above 998. */
static void
test_received_long(void **state)
{
	char user[AUTHP_USER_MAX + 1], rcpt[AUTHP_USER_MAX + 1];
	char helo[256], got[HEADER_RECEIVED_SIZE], *r = rcpt;
	struct envelope e = sample(&r, 1);

	(void)state;
	memset(user, '(', sizeof(user) - 1);
	user[sizeof(user) - 1] = '\0';
	memset(helo, 'h', sizeof(helo) - 1);
	helo[sizeof(helo) - 1] = '\0';
	for (size_t i = 63; i < sizeof(helo) - 1; i += 64)
		helo[i] = '.';
	memcpy(rcpt, helo, sizeof(rcpt) - 1);
	rcpt[sizeof(rcpt) - 1] = '\0';
	rcpt[60] = '@';
	rcpt[sizeof(rcpt) - 2] = 'x';
	e.user = user;
	e.helo = helo;
	assert_true(header_received(&e, helo, "", got, sizeof(got)) > 0);
	for (char *line = strtok(got, "\n"); line != NULL;
	    line = strtok(NULL, "\n"))
		assert_true(strlen(line) < 998);
}

struct scan_case {
	const char *name, *text;
	unsigned int want;
	bool	     tls_optional;
};

static const struct scan_case scan_cases[] = {
	{ "none", "Subject: x\r\n\r\nReceived: body\r\n", 0, false },
	{ "two, in any case", "Received: a\r\nRECEIVED: b\r\n\r\n", 2, false },
	{ "a folded line is not one", "Subject: x\r\n Received: y\r\n\r\n", 0, false },
	{ "space before the colon", "Received : y\r\n\r\n", 1, false },
	{ "a longer name", "Received-SPF: y\r\nX-Received: z\r\n\r\n", 0, false },
	{ "no end of header", "Received: y", 1, false },
	{ "empty", "", 0, false },
	/* RFC 8689 section 5 */
	{ "TLS-Required", "TLS-Required: No\r\n\r\n", 0, true },
	{ "in any case", "A: b\r\ntls-required:NO \t\r\nReceived: x\r\n\r\n", 1, true },
	{ "folded", "TLS-Required:\r\n No\r\nA: b\r\n\r\n", 0, true },
	{ "at the end", "TLS-Required: no", 0, true },
	{ "yes", "TLS-Required: Yes\r\n\r\n", 0, false },
	{ "nothing", "TLS-Required:\r\n\r\n", 0, false },
	{ "more than No", "TLS-Required: No way\r\n\r\n", 0, false },
	{ "more in a fold", "TLS-Required: No\r\n way\r\n\r\n", 0, false },
	{ "no in a fold of another", "TLS-Required: way\r\n No\r\n\r\n", 0, false },
	{ "not the field", "TLS-Required-X: No\r\nX-TLS-Required: No\r\nT: no\r\n\r\n", 0, false },
	{ "in the body", "A: b\r\n\r\nTLS-Required: No\r\n", 0, false },
	{ "a fold of another field", "A: b\r\n TLS-Required: No\r\n\r\n", 0, false },
};

static void
test_scan(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(scan_cases) / sizeof(scan_cases[0]);
	    i++) {
		const struct scan_case *c = &scan_cases[i];
		size_t len = strlen(c->text);

		for (size_t cut = 0; cut <= len; cut++) {
			struct header_scan h;

			header_scan_init(&h);
			header_scan_feed(&h, c->text, cut);
			header_scan_feed(&h, c->text + cut, len - cut);
			if (h.received != c->want)
				print_error("%s, cut at %zu\n", c->name, cut);
			assert_int_equal(h.received, c->want);
			assert_int_equal(header_scan_tls_optional(&h),
			    c->tls_optional);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_envelope_round),
		cmocka_unit_test(test_asked_round),
		cmocka_unit_test(test_old),
		cmocka_unit_test(test_header_round),
		cmocka_unit_test(test_result_round),
		cmocka_unit_test(test_hold_round),
		cmocka_unit_test(test_received),
		cmocka_unit_test(test_received_priority),
		cmocka_unit_test(test_received_origin),
		cmocka_unit_test(test_received_long),
		cmocka_unit_test(test_scan),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
