/*
 * t_recent.c - past sessions in authd-core: the bound by network, damaged
 * paths, and the words that an outcome gets.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "auth/authp.h"
#include "auth/paths.h"
#include "auth/recent_rate.h"
#include "auth/recent_tell.h"
#include "lib/str.h"
#include "lib/tls_alert.h"

#define NOW 1700000000

static struct addr
ip(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(text, &a), 0);
	return a;
}

/* -------------------------------------------------------------------- rate -- */

static char left_text[256];

static void
left(void *ctx, const struct rate_left *l)
{
	char net[ADDR_STRLEN], one[96];

	(void)ctx;
	assert_int_equal(str_format(one, sizeof(one), "%s:%u ",
	    net_text(&l->net, net), l->n), 0);
	strcat(left_text, one);
}

static unsigned int
take(struct rate *r, const char *from, bool named, unsigned int n,
    int64_t now_s)
{
	struct addr a = ip(from);
	unsigned int taken = 0;

	for (unsigned int i = 0; i < n; i++)
		taken += rate_take(r, &a, named, now_s);
	return taken;
}

static void
test_rate(void **state)
{
	struct rate *r = rate_new(left, NULL);

	(void)state;
	left_text[0] = '\0';
	assert_non_null(r);
	assert_int_equal(take(r, "192.0.2.1", false, 50, NOW), RATE_PLAIN);
	/* A neighbour is of the same network; who names somebody has more. */
	assert_int_equal(take(r, "192.0.2.200", false, 50, NOW + 9), 0);
	assert_int_equal(take(r, "192.0.2.200", true, 70, NOW + 9),
	    RATE_NAMED);
	assert_int_equal(take(r, "192.0.3.1", false, 50, NOW + 9), RATE_PLAIN);
	assert_int_equal(take(r, "2001:db8:1:2::3", false, 12, NOW + 9),
	    RATE_PLAIN);
	assert_int_equal(take(r, "2001:db8:1:3::3", false, 12, NOW + 9), 0);
	assert_string_equal(left_text, "");
	/* The window is over: what was left out is told of, once. */
	assert_int_equal(take(r, "192.0.2.1", false, 5, NOW + RATE_WINDOW_S),
	    5);
	assert_string_equal(left_text, "192.0.2.0/24:100 ");
	for (unsigned int i = 0; i < 8; i++)
		rate_tick(r, NOW + 2 * RATE_WINDOW_S);
	assert_non_null(strstr(left_text, "192.0.3.0/24:40 "));
	assert_non_null(strstr(left_text, "2001:db8:1::/48:14 "));
	/* A clock that was set back begins a new window. */
	assert_int_equal(take(r, "192.0.2.1", false, 50, NOW - 50),
	    RATE_PLAIN);
	left_text[0] = '\0';
	rate_free(r);
	assert_string_equal(left_text, "192.0.2.0/24:40 ");
}

static void
test_rate_all(void **state)
{
	struct rate *r = rate_new(left, NULL);
	unsigned int taken = 0;
	char text[32];

	(void)state;
	assert_non_null(r);
	for (unsigned int i = 0; i < 20000; i++) {
		assert_int_equal(str_format(text, sizeof(text), "10.%u.%u.1",
		    i >> 8, i & 255), 0);
		taken += take(r, text, true, 1, NOW);
	}
	assert_int_equal(taken, RATE_ALL);
	/* Those who name nobody leave room for those who do. */
	taken = 0;
	for (unsigned int i = 0; i < 1000; i++) {
		assert_int_equal(str_format(text, sizeof(text), "10.9.%u.1",
		    i & 255), 0);
		taken += take(r, text, false, 1, NOW + 1);
	}
	assert_int_equal(taken, RATE_ALL / 2);
	assert_int_equal(take(r, "192.0.2.1", true, 1, NOW + 1), 1);
	rate_free(r);
}

/* ------------------------------------------------------------------- paths -- */

#define EHLO	AUTHP_PAST_EHLO_CLEAR
#define STLS	AUTHP_PAST_STARTTLS
#define MASKED	AUTHP_PAST_MASKED
#define ACLEAR	AUTHP_PAST_AUTH_CLEAR

static const struct path_case {
	const char	*name;
	struct { unsigned int n; uint32_t flags; } notes[3];
	bool		 damaged;
} path_cases[] = {
	{ "one that is masked", { { 1, EHLO | MASKED } }, true },
	{ "one of many is masked", { { 30, STLS }, { 1, EHLO | MASKED } },
	    false },
	{ "EHLO and no more", { { PATHS_NEVER, EHLO } }, true },
	{ "too few to tell", { { PATHS_NEVER - 1, EHLO } }, false },
	{ "others get through", { { 3, STLS }, { 20, EHLO } }, false },
	{ "guessers", { { 100, EHLO | ACLEAR } }, false },
	{ "scanners that say nothing", { { 100, 0 } }, false },
	{ "good ones", { { 100, STLS } }, false },
};

static void
test_paths(void **state)
{
	unsigned int pos, begins;
	struct addr a = ip("192.0.2.1");
	struct path path;

	(void)state;
	for (size_t i = 0; i < sizeof(path_cases) / sizeof(path_cases[0]);
	    i++) {
		const struct path_case *c = &path_cases[i];
		struct paths *p = paths_new();

		assert_non_null(p);
		begins = pos = 0;
		for (size_t k = 0; k < 3; k++)
			for (unsigned int n = 0; n < c->notes[k].n; n++)
				begins += paths_note(p, &a, c->notes[k].flags,
				    NOW, &path);
		if (paths_next(p, &pos, NOW, &path) != c->damaged ||
		    begins != c->damaged)
			fail_msg("%s", c->name);
		/* Two days later nothing is left of it. */
		pos = 0;
		assert_false(paths_next(p, &pos, NOW + 2 * PATHS_FADE_S,
		    &path));
		paths_free(p);
	}
}

/* Many good networks do not push a damaged one out. */
static void
test_paths_full(void **state)
{
	struct paths *p = paths_new();
	struct addr a = ip("192.0.2.1");
	struct path path;
	unsigned int pos = 0;
	char text[32];

	(void)state;
	assert_non_null(p);
	assert_true(paths_note(p, &a, MASKED, NOW, &path));
	for (unsigned int i = 0; i < 60000; i++) {
		assert_int_equal(str_format(text, sizeof(text), "10.%u.%u.1",
		    i >> 8, i & 255), 0);
		a = ip(text);
		(void)paths_note(p, &a, STLS, NOW, &path);
	}
	assert_true(paths_next(p, &pos, NOW, &path));
	assert_int_equal(path.masked, 1);
	assert_false(paths_next(p, &pos, NOW, &path));
	paths_free(p);
}

/* ------------------------------------------------------------------- words -- */

static const struct tell_case {
	const char	*name;
	uint8_t		 kind;
	uint32_t	 flags;
	uint16_t	 code;
	const char	*status, *text, *reason, *why;
	const char	*failed, *tell;		/* parts of them; "": empty */
} tell_cases[] = {
	{ "all well", 1, STLS, 0, "", "", "", "quit", "", "" },
	{ "all well at the second try", 1, AUTHP_PAST_LOGIN_FAILED, 0, "", "",
	    "badpass", "quit", "", "" },
	{ "wrong password", 0, STLS | AUTHP_PAST_LOGIN_FAILED, 535, "5.7.8",
	    "User name or password is wrong", "badpass", "quit",
	    "login: wrong password (535 5.7.8 User", "type it anew" },
	{ "wrong name", 0, STLS, 535, "5.7.8", "x", "nouser", "eof",
	    "no such user", "whole mail address" },
	{ "blocked", 0, 0, 0, "AUTH", "x", "blocked", "failures", "not looked "
	    "at", "second device" },
	{ "authd said nothing", 0, 0, 535, "5.7.8", "x", "", "eof",
	    "535 5.7.8 x", "type it anew" },
	{ "POP3, in use", 0, 0, 0, "IN-USE", "x", "", "quit",
	    "another session (-ERR [IN-USE] x)", "same moment" },
	{ "POP3, broken", 0, 0, 0, "SYS/PERM", "x", "", "quit",
	    "cannot be opened (-ERR [SYS/PERM] x)", "administrator" },
	{ "POP3, too soon", 0, 0, 0, "LOGIN-DELAY", "x", "", "quit",
	    "too soon (-ERR [LOGIN-DELAY] x)", "longer time" },
	{ "POP3, taken over", 1, 0, 0, "", "", "", "takeover",
	    "newer session", "Telephones" },
	{ "POP3, no code", 0, 0, 0, "", "Unknown command", "", "bad",
	    "-ERR Unknown command", "protocol" },
	{ "POP3, login in clear", 0, ACLEAR, 0, "", "TLS only", "", "quit",
	    "without encryption (-ERR TLS only)", "port 995" },
	{ "POP3, that and then STLS", 0, ACLEAR | STLS, 0, "", "TLS only", "",
	    "quit", "-ERR TLS only", "protocol" },
	{ "clear AUTH", 0, EHLO | ACLEAR, 530, "5.7.0", "Must", "", "quit",
	    "log in without encryption", "STARTTLS with port 587" },
	{ "clear MAIL", 0, EHLO, 530, "5.7.0", "Must", "", "quit",
	    "send without encryption", "STARTTLS with port 587" },
	{ "no login", 0, STLS, 530, "5.7.0", "Authentication required", "",
	    "quit", "without having logged in", "fetch mail first" },
	{ "not his", 1, STLS, 553, "5.7.1", "You may not", "", "quit",
	    "not one of this user's (553", "alias add" },
	{ "masked", 0, EHLO | MASKED, 500, "5.5.2", "Unknown command", "",
	    "eof", "XXXX", "fixup protocol smtp" },
	{ "EHLO alone", 0, EHLO, 0, "", "", "", "quit", "never came to "
	    "STARTTLS", "hides it" },
	{ "an alert", 0, AUTHP_PAST_HANDSHAKE, 0, "", "", "",
	    "tls:unknown_ca", "TLS: unknown_ca (", "does not trust" },
	{ "hung up in the handshake", 0, AUTHP_PAST_HANDSHAKE, 0, "", "", "",
	    "eof", "TLS: " TLS_ALERT_CLOSED, "certificate" },
	{ "slow handshake", 0, AUTHP_PAST_HANDSHAKE, 0, "", "", "", "timeout",
	    "TLS: " TLS_ALERT_SLOW, "" },
	{ "a scan", 0, 0, 0, "", "", "", "eof", "it hung up before", "" },
	{ "kicked", 1, STLS, 421, "4.7.0", "Your session", "", "kicked",
	    "an administrator ended it", "" },
	{ "slow data", 1, STLS, 421, "4.4.2", "The message", "", "slow",
	    "421 4.4.2 The message", "data_min_rate" },
	{ "a stranger for too long", 0, STLS, 421, "4.4.2", "Nobody", "",
	    "stranger", "did not log in for too long (421", "authentication" },
	{ "HTTP in clear", 0, 0, 0, "", "", "", "http", "http (", "" },
	{ "a code nobody knows", 1, STLS, 559, "5.9.9", "Odd", "", "quit",
	    "559 5.9.9 Odd", "" },
};

static void
test_words(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(tell_cases) / sizeof(tell_cases[0]);
	    i++) {
		const struct tell_case *c = &tell_cases[i];
		struct recent_record r = { .kind = c->kind, .n = 1,
		    .bits = 128, .service = c->code == 0 ? 2 : 1,
		    .flags = c->flags, .code = c->code };
		struct recent_words w;

		str_copy(r.status, sizeof(r.status), c->status);
		str_copy(r.text, sizeof(r.text), c->text);
		str_copy(r.reason, sizeof(r.reason), c->reason);
		str_copy(r.why, sizeof(r.why), c->why);
		recent_tell(&r, &w);
		if ((c->failed[0] == '\0' && w.failed[0] != '\0') ||
		    strstr(w.failed, c->failed) == NULL ||
		    strstr(w.tell, c->tell) == NULL)
			fail_msg("%s: \"%s\", \"%s\"", c->name, w.failed,
			    w.tell);
	}
}

/* Every sentence has room, and ends as one. */
static void
test_sentences(void **state)
{
	const struct tls_alert *a;
	const char *s;

	(void)state;
	for (size_t i = 0; (s = recent_tell_sentence(i)) != NULL; i++) {
		assert_true(strlen(s) < RECENT_TELL_SIZE);
		if (*s != '\0')
			assert_int_equal(s[strlen(s) - 1], '.');
	}
	for (size_t i = 0; (a = tls_alert_row(i)) != NULL; i++) {
		assert_true(strlen(a->tell) < RECENT_TELL_SIZE);
		assert_true(strlen(a->hint) + strlen(a->word) + 16 <
		    RECENT_FAILED_SIZE);
		assert_true(strlen(a->word) + 4 < RECENT_WHY_SIZE);
	}
}

static void
test_summary(void **state)
{
	struct recent_record r = { .bits = 120, .n = 523 };
	struct recent_words w;

	(void)state;
	recent_tell(&r, &w);
	assert_non_null(strstr(w.failed, "523 more sessions"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rate),
		cmocka_unit_test(test_rate_all),
		cmocka_unit_test(test_paths),
		cmocka_unit_test(test_paths_full),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_sentences),
		cmocka_unit_test(test_summary),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
