/*
 * t_quota.c - sending limits: windows that slide, holds, what stays over a
 * restart, and what a class gives.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>

#include "auth/authc.h"
#include "auth/quota.h"
#include "db_fixture.h"

#define T0	1700000040	/* 20 s behind a minute */
#define USER	"anna@example.org"

static struct quotadb *db;
static struct quota *q;
static int me, other;		/* owners of holds */

static void
open_all(void)
{
	struct err e = { 0 };

	open_env();
	assert_int_equal(quotadb_open(env, &db, &e), 0);
	q = quota_new(db);
	assert_non_null(q);
}

static void
close_all(void)
{
	quota_free(q);
	quotadb_close(db);
	dbenv_close(env);
}

static void
save(int64_t now_s)
{
	struct err e = { 0 };

	assert_int_equal(quota_write(q, now_s, &e), 0);
}

static struct quota_rule
rule(enum quota_which which, uint64_t max)
{
	struct quota_rule r = { .action = CONF_DEFER };

	r.max[which] = max;
	return r;
}

/* A whole message: 0 or ERR_LIMIT. */
static int
message(const struct quota_rule *r, uint32_t recipients, int64_t now_s)
{
	struct quota_sent s = { .user = USER, .owner = &me,
	    .recipients = recipients, .octets = 10 };
	struct quota_over over;
	int rc = quota_hold(q, USER, r, recipients, &me, now_s, &s.hold,
	    &over);

	return rc != 0 ? rc : quota_book(q, &s, r, now_s, &over);
}

static uint64_t
used(enum quota_which which, int64_t now_s)
{
	const struct quota_rule none = { .action = CONF_DEFER };
	struct quota_use use[QUOTA__COUNT];
	uint64_t octets;

	assert_int_equal(quota_show(q, USER, &none, now_s, use, &octets), 0);
	return use[which].used;
}

/* A message every `every_s` for three days: no window holds more than the
 * limit, and the limit is used. */
static void
t_window_slides(void **state)
{
	static const struct {
		const char	*name;
		enum quota_which which;
		uint32_t	 recipients;
		uint64_t	 max;
		int64_t		 every_s, window_s, late_s;
	} rows[] = {
		{ "messages an hour", QUOTA_MESSAGES_HOUR, 1, 100, 7, 3600,
		  60 },
		{ "recipients an hour", QUOTA_RECIPIENTS_HOUR, 3, 90, 11, 3600,
		  60 },
		{ "messages a day", QUOTA_MESSAGES_DAY, 1, 200, 67, 86400,
		  900 },
		{ "recipients a day", QUOTA_RECIPIENTS_DAY, 10, 990, 59, 86400,
		  900 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct quota_rule r = rule(rows[i].which, rows[i].max);
		size_t room = 300000, n = 0, from = 0, begun;
		int64_t *at = calloc(room, sizeof(*at)), end;
		struct err e = { 0 };

		end = T0 + 3 * rows[i].window_s;
		for (int64_t t = T0; t < end; t += rows[i].every_s) {
			assert_true(n < room);
			if (message(&r, rows[i].recipients, t) == 0)
				at[n++] = t;
			while (at[from] + rows[i].window_s <= t)
				from++;
			if ((n - from) * (rows[i].which <= QUOTA_MESSAGES_DAY ?
			    1 : rows[i].recipients) > rows[i].max)
				fail_msg("%s: %zu", rows[i].name, n - from);
		}
		/* A round of it takes the window and what it eases late. */
		begun = (size_t)(3 * rows[i].window_s / (rows[i].window_s +
		    rows[i].late_s)) * (rows[i].max / (rows[i].which <=
		    QUOTA_MESSAGES_DAY ? 1 : rows[i].recipients));
		if (n < begun)
			fail_msg("%s: only %zu, not %zu", rows[i].name, n,
			    begun);
		free(at);
		assert_int_equal(quota_forget(q, USER, &e), 0);
	}
}

static void
t_eases(void **state)
{
	struct quota_rule r = rule(QUOTA_MESSAGES_HOUR, 3);
	struct quota_over over;

	(void)state;
	assert_int_equal(message(&r, 1, T0), 0);
	assert_int_equal(message(&r, 1, T0 + 600), 0);
	assert_int_equal(message(&r, 1, T0 + 1200), 0);
	assert_int_equal(message(&r, 1, T0 + 1200), ERR_LIMIT);
	assert_int_equal(quota_check(q, USER, &r, 1, T0 + 1200, &over),
	    ERR_LIMIT);
	assert_int_equal(over.which, QUOTA_MESSAGES_HOUR);
	assert_int_equal(over.max, 3);
	assert_int_equal(over.used, 3);
	assert_in_range(over.eases_s, T0 + 3600, T0 + 3660);
	assert_int_equal(message(&r, 1, over.eases_s - 1), ERR_LIMIT);
	assert_int_equal(message(&r, 1, over.eases_s), 0);
	/* What alone is more than the limit never fits. */
	r = rule(QUOTA_RECIPIENTS_DAY, 50);
	assert_int_equal(quota_check(q, USER, &r, 51, T0, &over), ERR_LIMIT);
	assert_int_equal(over.eases_s, 0);
	assert_int_equal(quota_check(q, USER, &r, 46, T0 + 1200, &over), 0);
}

/* Whoever has begun counts, and what he gives up does not. */
static void
t_holds(void **state)
{
	struct quota_rule r = rule(QUOTA_MESSAGES_HOUR, 10);
	struct quota_sent s = { .user = USER, .owner = &me, .recipients = 1 };
	struct quota_over over;
	uint32_t hold[20];
	int n = 0;

	(void)state;
	for (int i = 0; i < 20; i++)
		n += quota_hold(q, USER, &r, 1, i % 2 ? &me : (void *)&other,
		    T0, &hold[i], &over) == 0;
	assert_int_equal(n, 10);
	assert_int_equal(over.used, 10);
	assert_int_equal(over.eases_s, T0 + 60);
	quota_release(q, hold[1], &other);	/* it is not his */
	assert_int_equal(used(QUOTA_MESSAGES_HOUR, T0), 10);
	quota_release(q, hold[1], &me);
	quota_release(q, hold[1], &me);
	assert_int_equal(used(QUOTA_MESSAGES_HOUR, T0), 9);
	quota_release_all(q, &other);
	assert_int_equal(used(QUOTA_MESSAGES_HOUR, T0), 4);
	s.hold = hold[3];
	assert_int_equal(quota_book(q, &s, &r, T0, &over), 0);
	assert_int_equal(used(QUOTA_MESSAGES_HOUR, T0), 4);
	/* A hold that is gone, and one of another: there has to be room. */
	s.hold = hold[2];
	assert_int_equal(quota_book(q, &s, &r, T0, &over), 0);
	s.hold = hold[5];
	s.owner = &other;
	assert_int_equal(quota_book(q, &s, &r, T0, &over), 0);
	assert_int_equal(used(QUOTA_MESSAGES_HOUR, T0), 6);
	for (int i = 0; i < 4; i++)
		assert_int_equal(message(&r, 1, T0), 0);
	assert_int_equal(quota_book(q, &s, &r, T0, &over), ERR_LIMIT);
	/* Those that nobody ends go by time. */
	quota_tick(q, T0 + QUOTA_HOLD_S - 1);
	assert_int_equal(used(QUOTA_MESSAGES_HOUR, T0), 10);
	quota_tick(q, T0 + QUOTA_HOLD_S);
	assert_int_equal(used(QUOTA_MESSAGES_HOUR, T0), 7);
}

static void
t_actions(void **state)
{
	struct quota_rule r = rule(QUOTA_RECIPIENTS_HOUR, 2);
	struct quota_over over;
	uint32_t hold;

	(void)state;
	r.action = CONF_LOG;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(quota_hold(q, USER, &r, 2, &me, T0, &hold,
		    &over), 0);
		assert_true(hold != 0);
		assert_int_equal(over.which, i == 0 ? QUOTA__COUNT :
		    QUOTA_RECIPIENTS_HOUR);
	}
	assert_int_equal(used(QUOTA_RECIPIENTS_HOUR, T0), 6);
	r.action = CONF_REJECT;
	assert_int_equal(quota_hold(q, USER, &r, 1, &me, T0, &hold, &over),
	    ERR_LIMIT);
	assert_int_equal(over.action, CONF_REJECT);
	assert_int_equal(hold, 0);
	/* Nobody else pays for it. */
	assert_int_equal(quota_check(q, "bob@example.org", &r, 1, T0, &over),
	    0);
}

static void
t_restart(void **state)
{
	struct quota_rule none = { .action = CONF_DEFER };
	struct quota_rule r = rule(QUOTA_RECIPIENTS_DAY, 10);
	uint64_t removed = 0;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(message(&none, 4, T0), 0);
	assert_int_equal(message(&none, 4, T0 + 7200), 0);
	save(T0 + 7200);
	assert_int_equal(message(&none, 1, T0 + 7200), 0);
	save(T0 + 7200);
	close_all();
	open_all();
	assert_int_equal(used(QUOTA_MESSAGES_DAY, T0 + 7200), 3);
	assert_int_equal(used(QUOTA_MESSAGES_HOUR, T0 + 7200), 2);
	assert_int_equal(message(&r, 2, T0 + 7200), ERR_LIMIT);
	assert_int_equal(message(&r, 1, T0 + 7200), 0);
	save(T0 + 7200);
	/* Nothing counts any more: it is swept away. */
	close_all();
	open_all();
	assert_int_equal(quotadb_sweep(db, T0 + 7200 + 86400, 100, &removed,
	    &e), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(quotadb_sweep(db, T0 + 7200 + QUOTADB_KEEP_S + 121,
	    100, &removed, &e), 0);
	assert_int_equal(removed, 1);
	assert_int_equal(used(QUOTA_MESSAGES_DAY, T0 + 7200), 0);
	/* Forgotten in memory and in the database. */
	assert_int_equal(message(&none, 4, T0), 0);
	save(T0);
	assert_int_equal(quota_forget(q, USER, &e), 0);
	assert_int_equal(used(QUOTA_MESSAGES_DAY, T0), 0);
	close_all();
	open_all();
	assert_int_equal(used(QUOTA_MESSAGES_DAY, T0), 0);
}

/* A clock set back forgives nothing, and makes nothing last. */
static void
t_clock_back(void **state)
{
	struct quota_rule r = rule(QUOTA_MESSAGES_HOUR, 2);
	int64_t back = T0 - 40 * 86400;

	(void)state;
	assert_int_equal(message(&r, 1, T0 - 300), 0);
	assert_int_equal(message(&r, 1, T0), 0);
	assert_int_equal(message(&r, 1, back), ERR_LIMIT);
	assert_int_equal(message(&r, 1, back + 3600), ERR_LIMIT);
	assert_int_equal(message(&r, 1, back + 3661), 0);
}

/* More users than there is room for, and as many days as it takes. */
static void
t_bounded(void **state)
{
	const struct quota_rule none = { .action = CONF_DEFER };
	struct quota_window w = { 0 };
	struct quota_sent s = { .recipients = 1, .octets = 1 };
	struct quota_over over;
	struct quotadb_use use;
	char name[64];

	(void)state;
	for (int64_t t = T0; t < T0 + 4 * 86400; t += 20) {
		quota_window_trim(&w, t);
		assert_int_equal(quota_window_add(&w, t, 1, 2, 3), 0);
	}
	assert_in_range(w.n, 100, QUOTADB_SLOTS - 8);
	assert_in_range(quota_window_used(&w, QUOTA_MESSAGES_DAY,
	    T0 + 4 * 86400 - 20), 86400 / 20, (86400 + 900) / 20);
	assert_in_range(quota_window_used(&w, QUOTA_RECIPIENTS_HOUR,
	    T0 + 4 * 86400 - 20), 2 * 3600 / 20, 2 * 3660 / 20);
	quota_window_save(&w, &use);
	assert_int_equal(use.n, w.n);
	quota_window_free(&w);
	s.user = name;
	for (unsigned int i = 0; i < QUOTA_USERS_MAX + 100; i++) {
		(void)snprintf(name, sizeof(name), "u%u@example.org", i);
		assert_int_equal(quota_book(q, &s, &none, T0, &over), 0);
		if (i % 4096 == 0)
			save(T0);
	}
	save(T0);
	close_all();
	open_all();
	for (unsigned int i = 0; i < 4096 * 4; i += 511) {
		struct quota_rule r = rule(QUOTA_MESSAGES_DAY, 1);

		(void)snprintf(name, sizeof(name), "u%u@example.org", i);
		assert_int_equal(quota_check(q, name, &r, 1, T0, &over),
		    ERR_LIMIT);
	}
}

static void
t_rules(void **state)
{
	struct conf_class classes[] = {
		{ .item = { .name = (char *)"a" }, .messages_hour = 10,
		  .recipients_day = 100, .action = CONF_REJECT },
		{ .item = { .name = (char *)"b" }, .messages_day = 7,
		  .action = CONF_LOG },
	};
	static const struct {
		const char		*name, *dflt, *class;
		struct user_limits	 own;
		uint64_t		 want[QUOTA__COUNT];
		enum conf_action	 action;
	} rows[] = {
		{ "none", NULL, "", { 0 }, { 0 }, CONF_DEFER },
		{ "his own", NULL, "", { 1, 2, 3, 4, 5 }, { 1, 2, 3, 4 },
		  CONF_DEFER },
		{ "class", NULL, "a", { 0 }, { 10, 0, 0, 100 }, CONF_REJECT },
		{ "own beats class", "b", "a", { 20, 0, 3, 0, 0 },
		  { 20, 0, 3, 100 }, CONF_REJECT },
		{ "default", "b", "", { 0 }, { 0, 7, 0, 0 }, CONF_LOG },
		{ "class is gone", "b", "x", { 0 }, { 0, 7, 0, 0 }, CONF_LOG },
	};
	struct conf c = { .classes = classes, .n_classes = 2 };
	struct quota_rule r;

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		c.default_class = (char *)rows[i].dflt;
		quota_rule_of(&c, rows[i].class, &rows[i].own, &r);
		ROW_EQ(rows[i].name, r.action, rows[i].action);
		for (int k = 0; k < QUOTA__COUNT; k++)
			ROW_EQ(rows[i].name, r.max[k], rows[i].want[k]);
		ROW_EQ(rows[i].name, quota_rule_is_empty(&r), i == 0);
	}
}

static void
t_text(void **state)
{
	static const struct {
		struct authc_limit	 limit;
		const char		*want;
	} rows[] = {
		{ { AUTHP_MESSAGES_HOUR, 100, T0 + 1, false },
		  "100 messages an hour; send again in 1 minute" },
		{ { AUTHP_MESSAGES_DAY, 1, T0 + 61, false },
		  "1 messages a day; send again in 2 minutes" },
		{ { AUTHP_RECIPIENTS_HOUR, 5, T0 - 9, false },
		  "5 recipients an hour; send again in 1 minute" },
		{ { AUTHP_RECIPIENTS_DAY, 5, T0 + 7199, true },
		  "5 recipients a day; send again in 2 hours" },
		{ { AUTHP_RECIPIENTS_DAY, 5, T0 + 90000, true },
		  "5 recipients a day; send again in 25 hours" },
		{ { AUTHP_RECIPIENTS_DAY, 5, 0, true },
		  "5 recipients a day, and this message alone has more" },
	};
	char text[AUTHC_LIMIT_SIZE];

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++)
		assert_string_equal(authc_limit_text(&rows[i].limit, T0,
		    text), rows[i].want);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(t_window_slides, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(t_eases, setup, teardown),
		cmocka_unit_test_setup_teardown(t_holds, setup, teardown),
		cmocka_unit_test_setup_teardown(t_actions, setup, teardown),
		cmocka_unit_test_setup_teardown(t_restart, setup, teardown),
		cmocka_unit_test_setup_teardown(t_clock_back, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(t_bounded, setup, teardown),
		cmocka_unit_test(t_rules),
		cmocka_unit_test(t_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
