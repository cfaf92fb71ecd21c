/*
 * t_roll.c - the roll of sessions: whom KICK ends, what WHO is told, however
 * many there are and whoever leaves meanwhile.
 */
#include "config.h"

#include "auth/roll.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/err.h"
#include "tests/unit/unit.h"

#define SESSIONS 500

struct session {
	struct roll_entry	 entry;
	char			 user[16], login[16];
	struct addr		 peer;
	bool			 ended;
};

static struct session sessions[SESSIONS];
static struct roll *roll;
static const struct authc_notices *notices;
static loop_fn *deferred;
static void *deferred_ctx;
static unsigned int n_ended, n_told, n_ends, n_turns, room;
static bool away;

int
loop_defer(struct loop *l, loop_fn *fn, void *ctx)
{
	(void)l;
	assert_null(deferred);		/* one at a time is enough here */
	deferred = fn;
	deferred_ctx = ctx;
	return 0;
}

static void
turn(void)
{
	loop_fn *fn = deferred;

	deferred = NULL;
	n_turns++;
	fn(deferred_ctx);
}

static void
run(void)
{
	n_turns = 0;
	while (deferred != NULL)
		turn();
}

struct authc *
authc_new_with(struct loop *l, const char *path,
    const struct authc_notices *n, void *ctx)
{
	(void)l, (void)path, (void)ctx;
	notices = n;
	return (struct authc *)&notices;
}

int
authc_who_entry(struct authc *a, uint32_t serial,
    const struct authc_session_info *s)
{
	(void)a, (void)serial;
	if (away)
		return ERR_AWAY;
	if (room == 0)
		return ERR_LIMIT;
	room--;
	n_told++;
	assert_true(s->since_s > 0);
	assert_non_null(s->peer);
	return 0;
}

int
authc_who_end(struct authc *a, uint32_t serial)
{
	(void)a;
	assert_true(serial > 0);
	if (room == 0)
		return ERR_LIMIT;
	room--;
	n_ends++;
	return 0;
}

static void
describe(void *session, struct authc_session_info *ret)
{
	struct session *s = session;

	ret->sid = "sid";
	ret->user = s->user;
	ret->login = s->login[0] == '\0' ? NULL : s->login;
	ret->peer = &s->peer;
}

static void
kick(void *session)
{
	struct session *s = session;

	assert_false(s->ended);
	s->ended = true;
	n_ended++;
	roll_leave(roll, &s->entry);
}

static int
setup(void **state)
{
	static const struct roll_ops ops = { describe, kick };

	(void)state;
	roll = roll_new(NULL, "auth", &ops);
	memset(sessions, 0, sizeof(sessions));
	deferred = NULL;
	n_ended = n_told = n_ends = 0;
	room = 1u << 30;
	away = false;
	for (unsigned int i = 0; i < SESSIONS; i++) {
		char ip[16];

		snprintf(sessions[i].user, sizeof(sessions[i].user), "user%u",
		    i % 50);
		snprintf(sessions[i].login, sizeof(sessions[i].login), "%s",
		    i % 50 == 9 ? "secretary" : i == 42 ? "user7" : "");
		snprintf(ip, sizeof(ip), "192.0.%u.%u", i % 2, i / 2);
		assert_int_equal(addr_parse_ip(ip, &sessions[i].peer), 0);
		roll_join(roll, &sessions[i].entry, &sessions[i]);
	}
	return roll == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	(void)state;
	free(roll);
	return 0;
}

static void
test_kick(void **state)
{
	static const struct {
		const char *name, *user, *net;
		unsigned int ended;
	} rows[] = {
		{ "a user, and by him", "user7", NULL, 11 },
		{ "by a user", "secretary", NULL, 10 },
		{ "nobody", "user77", NULL, 0 },
		{ "one address", "", "192.0.1.17/32", 1 },
		{ "a user from a network", "user8", "192.0.1.0/24", 0 },
		{ "a user from his network", "user9", "192.0.1.0/24", 10 },
		{ "a network", "", "192.0.0.0/25", 128 },
		{ "all", "", NULL, SESSIONS },
	};

	for (size_t i = 0; i < ROWS(rows); i++) {
		struct net net = { .bits = 0 };

		teardown(state);
		setup(state);
		if (rows[i].net != NULL)
			assert_int_equal(net_parse(rows[i].net, &net), 0);
		notices->kick(roll, rows[i].user, &net, 0);
		notices->kick(roll, rows[i].user, &net, 0);
		ROW_EQ(rows[i].name, n_ended, 0);	/* not in this turn */
		run();
		ROW_EQ(rows[i].name, n_ended, rows[i].ended);
		ROW_EQ(rows[i].name, n_turns >= n_ended / 32, true);
	}
}

/* One that is told late ends no session that began after it. */
static void
test_kick_late(void **state)
{
	struct net any = { .bits = 0 };

	(void)state;
	sessions[0].entry.since_s = 1000;
	sessions[50].entry.since_s = 1001;
	notices->kick(roll, "user0", &any, 1000);
	run();
	assert_int_equal(n_ended, 1);
	assert_true(sessions[0].ended);
	notices->kick(roll, "", &any, 1001);
	run();
	assert_int_equal(n_ended, 2);
	assert_true(sessions[50].ended);
}

/* Sessions that go by themselves while they wait for their end. */
static void
test_leave(void **state)
{
	struct net any = { .bits = 0 };

	(void)state;
	notices->kick(roll, "", &any, 0);
	turn();
	assert_in_range(n_ended, 1, 100);
	for (size_t i = 100; i < SESSIONS; i++)
		roll_leave(roll, &sessions[i].entry);
	run();
	assert_int_equal(n_ended, 100);
	notices->who(roll, 1);
	run();
	assert_int_equal(n_told, 0);
	assert_int_equal(n_ends, 1);
	roll_join(roll, &sessions[200].entry, &sessions[200]);
	notices->kick(roll, "user0", &any, 0);
	run();
	assert_int_equal(n_ended, 101);
}

static void
test_who(void **state)
{
	struct net any = { .bits = 0 };

	(void)state;
	notices->who(roll, 1);
	assert_int_equal(n_told, 0);
	run();
	assert_int_equal(n_told, SESSIONS);
	assert_int_equal(n_ends, 1);
	assert_in_range(n_turns, SESSIONS / 32, SESSIONS);
	/* Two questions, a full connection, and the next one to be told goes. */
	n_told = n_ends = 0;
	room = 100;
	notices->who(roll, 2);
	notices->who(roll, 3);
	run();
	assert_int_equal(n_told, 100);
	for (size_t i = 100; i < 110; i++)
		roll_leave(roll, &sessions[i].entry);
	room = 1u << 30;
	notices->drained(roll);
	run();
	assert_int_equal(n_told, 2 * (SESSIONS - 10));
	assert_int_equal(n_ends, 2);
	/* Doomed sessions are told of no more. */
	n_told = 0;
	room = 0;
	notices->who(roll, 4);
	run();
	notices->kick(roll, "", &any, 0);
	run();
	room = 1u << 30;
	notices->drained(roll);
	run();
	assert_int_equal(n_told, 0);
	assert_int_equal(n_ends, 3);
}

static void
test_too_many_questions(void **state)
{
	(void)state;
	room = 0;
	for (uint32_t i = 1; i <= 8; i++)
		notices->who(roll, i);
	room = 1;
	notices->who(roll, 9);		/* ended at once */
	assert_int_equal(n_ends, 1);
	run();
	room = 1u << 30;
	away = true;
	notices->drained(roll);
	run();
	assert_int_equal(n_told, 0);
	away = false;
	notices->drained(roll);		/* the questions went with authd */
	run();
	assert_int_equal(n_ends, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_kick, setup, teardown),
		cmocka_unit_test_setup_teardown(test_kick_late, setup,
		    teardown),
		cmocka_unit_test_setup_teardown(test_leave, setup, teardown),
		cmocka_unit_test_setup_teardown(test_who, setup, teardown),
		cmocka_unit_test_setup_teardown(test_too_many_questions, setup,
		    teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
