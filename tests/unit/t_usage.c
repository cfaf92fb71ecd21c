/*
 * t_usage.c - how mail is sent: days that move on, what is added to what, what
 * waits and what is written, and how much of strangers' is kept.
 */
#include "unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/statvfs.h>

#include "db/usagedb.h"
#include "db/waiting.h"
#include "db_fixture.h"

#define DAY	86400
#define T0	(20000 * (int64_t)DAY + 3600)
#define ANNA	"anna@example.org"
#define BOB	"bob@example.org"

static struct usagedb *db;
static bool disk_is_full;

/* The database asks it how much is free. */
int
fstatvfs(int fd, struct statvfs *st)
{
	(void)fd;
	memset(st, 0, sizeof(*st));
	st->f_frsize = 4096;
	st->f_bavail = disk_is_full ? 0 : 1 << 20;
	return 0;
}

static void
open_all(void)
{
	struct err e = { 0 };

	open_env();
	assert_int_equal(usagedb_open(env, &db, &e), 0);
}

static void
close_all(void)
{
	usagedb_close(db);
	dbenv_close(env);
}

static void
flush(void)
{
	struct err e = { 0 };

	assert_int_equal(usagedb_flush(db, 0, &e), 0);
}

static struct addr
address(const char *text)
{
	struct addr a;

	assert_int_equal(addr_parse_ip(text, &a), 0);
	return a;
}

static void
sent(const char *user, enum usage_what way, int64_t at_s, const char *tls)
{
	struct usage_last l = { .at_s = at_s };
	struct addr a = address("192.0.2.1");

	memcpy(l.ip, a.ip, sizeof(l.ip));
	(void)snprintf(l.tls, sizeof(l.tls), "%s", tls);
	usagedb_sent(db, user, way, &l);
}

static struct usage_user
user_of(const char *user)
{
	struct usage_user u;
	struct err e = { 0 };

	flush();
	assert_int_equal(usagedb_get(db, user, &u, &e), 0);
	return u;
}

/* ------------------------------------------------------------------- days -- */

static void
t_days(void **state)
{
	static const struct {
		const char	*name;
		int64_t		 at[4];		/* days behind T0's; 0 ends */
		int64_t		 now;
		uint64_t	 sum;
	} rows[] = {
		{ "one day", { 1, 1, 1 }, 1, 3 },
		{ "the thirtieth counts", { 1 }, 30, 1 },
		{ "the one behind it not", { 1 }, 31, 0 },
		{ "days move on", { 1, 2, 31 }, 31, 2 },
		{ "a leap", { 1, 500 }, 500, 1 },
		{ "backwards", { 40, 20, 5 }, 40, 2 },
		{ "the clock was set back", { 40 }, 20, 1 },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct usage_days d = { 0 };

		for (size_t k = 0; k < 4 && rows[i].at[k] > 0; k++)
			usage_days_add(&d, T0 + rows[i].at[k] * DAY, 1);
		ROW_EQ(rows[i].name, usage_days_sum(&d,
		    T0 + rows[i].now * DAY), rows[i].sum);
	}
}

static void
t_classes(void **state)
{
	static const struct {
		const char	*name;
		int64_t		 auth, grant;	/* days ago; 0: never */
		const char	*want;
	} rows[] = {
		{ "nothing", 0, 0, "silent" },
		{ "by login", 1, 0, "ready" },
		{ "by grant", 0, 29, "grant-only" },
		{ "both", 29, 1, "mixed" },
		{ "grants are long ago", 1, 30, "ready" },
		{ "logins are", 30, 1, "grant-only" },
		{ "all is", 30, 31, "silent" },
	};

	(void)state;
	for (size_t i = 0; i < ROWS(rows); i++) {
		struct usage_user u = { .last = { { .at_s = 0 } } };

		if (rows[i].auth > 0)
			usage_days_add(&u.days[USAGE_AUTH],
			    T0 - rows[i].auth * DAY, 1);
		if (rows[i].grant > 0)
			usage_days_add(&u.days[USAGE_GRANT],
			    T0 - rows[i].grant * DAY, 1);
		/* What was refused is no mail. */
		usage_days_add(&u.days[USAGE_REFUSED], T0, 1);
		ROW_STR(rows[i].name, usage_class_name(&u, T0), rows[i].want);
	}
}

/* ---------------------------------------------------------------- counting -- */

static void
t_user(void **state)
{
	struct usage_user u;
	struct err e = { 0 };

	(void)state;
	assert_int_equal(usagedb_get(db, ANNA, &u, &e), ERR_NOTFOUND);
	sent(ANNA, USAGE_GRANT, T0, "TLSv1.2:A");
	sent(ANNA, USAGE_GRANT, T0 + DAY, "TLSv1.2:B");
	usagedb_helo(db, ANNA, USAGE_GRANT, "old-pc");
	u = user_of(ANNA);
	assert_int_equal(u.last[USAGE_GRANT].at_s, T0 + DAY);
	assert_string_equal(u.last[USAGE_GRANT].tls, "TLSv1.2:B");
	assert_string_equal(u.last[USAGE_GRANT].helo, "old-pc");
	assert_int_equal(u.last[USAGE_AUTH].at_s, 0);
	/* Later ones are added to what is written; the name stays. */
	sent(ANNA, USAGE_GRANT, T0 + 2 * DAY, "TLSv1.3:C");
	sent(ANNA, USAGE_AUTH, T0 + 2 * DAY, "TLSv1.3:D");
	sent(BOB, USAGE_AUTH, T0, "TLSv1.3:D");
	u = user_of(ANNA);
	assert_int_equal(usage_days_sum(&u.days[USAGE_GRANT], T0 + 2 * DAY), 3);
	assert_int_equal(usage_days_sum(&u.days[USAGE_AUTH], T0 + 2 * DAY), 1);
	assert_string_equal(u.last[USAGE_GRANT].helo, "old-pc");
	assert_string_equal(u.last[USAGE_GRANT].tls, "TLSv1.3:C");
	/* A new life of the process; a user who was deleted. */
	close_all();
	open_all();
	u = user_of(ANNA);
	assert_int_equal(usage_days_sum(&u.days[USAGE_GRANT], T0 + 2 * DAY), 3);
	sent(ANNA, USAGE_AUTH, T0, "TLSv1.3:D");
	assert_int_equal(usagedb_forget(db, ANNA, &e), 0);
	flush();
	assert_int_equal(usagedb_get(db, ANNA, &u, &e), ERR_NOTFOUND);
	(void)user_of(BOB);
}

static void
t_brownouts(void **state)
{
	struct usage_user u;
	int64_t begin_s = 0;

	(void)state;
	for (unsigned int i = 1; i <= USAGE_BROWNOUTS + 2; i++) {
		begin_s = T0 + i * 3600;
		usagedb_refused(db, ANNA, begin_s, begin_s + 60);
		usagedb_refused(db, ANNA, begin_s, begin_s + 120);
		u = user_of(ANNA);
	}
	/* Of more than are remembered the oldest went. */
	for (unsigned int i = 0; i < USAGE_BROWNOUTS; i++) {
		assert_true(u.brownouts[i].begin_s >= T0 + 3 * 3600);
		assert_int_equal(u.brownouts[i].n, 2);
		assert_int_equal(u.brownouts[i].last_s,
		    u.brownouts[i].begin_s + 120);
	}
	assert_int_equal(usage_days_sum(&u.days[USAGE_REFUSED], begin_s),
	    2 * (USAGE_BROWNOUTS + 2));
}

static void
t_sums(void **state)
{
	static const struct {
		const char	*name;
		int64_t		 from_s, to_s;
		uint64_t	 auth, grant;
	} rows[] = {
		{ "before", T0 - 600, T0, 0, 0 },
		{ "one minute", T0, T0 + 60, 1, 2 },
		{ "the next", T0 + 60, T0 + 120, 1, 0 },
		{ "all", T0, T0 + 3600, 2, 3 },
		{ "none", T0, T0, 0, 0 },
	};
	struct usage_minute m;
	struct err e = { 0 };

	(void)state;
	sent(ANNA, USAGE_AUTH, T0, "");
	sent(ANNA, USAGE_GRANT, T0 + 1, "");
	sent(BOB, USAGE_GRANT, T0 + 59, "");
	flush();
	sent(BOB, USAGE_AUTH, T0 + 60, "");
	sent(BOB, USAGE_GRANT, T0 + 3599, "");
	flush();
	for (size_t i = 0; i < ROWS(rows); i++) {
		assert_int_equal(usagedb_sum(db, rows[i].from_s, rows[i].to_s,
		    &m, &e), 0);
		ROW_EQ(rows[i].name, m.n[USAGE_AUTH], rows[i].auth);
		ROW_EQ(rows[i].name, m.n[USAGE_GRANT], rows[i].grant);
	}
	assert_int_equal(usagedb_sweep(db, T0 + USAGE_MINUTES_KEEP_S + 120,
	    1000, &e), 0);
	assert_int_equal(usagedb_sum(db, T0, T0 + 3600, &m, &e), 0);
	assert_int_equal(m.n[USAGE_GRANT], 1);
	assert_int_equal(m.n[USAGE_AUTH], 0);
}

/* --------------------------------------------------------------- handshakes -- */

static void
old(const char *ip, int64_t at_s, const char *why)
{
	struct usage_old o = { .first_s = at_s, .last_s = at_s, .service = 1,
	    .port = 465 };
	struct addr a = address(ip);

	(void)snprintf(o.why, sizeof(o.why), "%s", why);
	usagedb_old(db, &a, &o);
}

static unsigned int
count_old(struct usage_old *ret_first)
{
	struct usage_old o;
	uint8_t ip[16] = { 0 };
	struct err e = { 0 };
	unsigned int n = 0;

	flush();
	for (; usagedb_next_old(db, ip, &o, &e) == 0; n++)
		if (n == 0)
			*ret_first = o;
	return n;
}

static void
t_old(void **state)
{
	struct usage_old o;
	struct err e = { 0 };

	(void)state;
	old("192.0.2.1", T0 + 5, "old_protocol");
	old("192.0.2.1", T0, "no_shared_cipher");
	old("2001:db8::1", T0, "old_protocol");
	old("2001:db8::2", T0, "old_protocol");		/* the same /64 */
	old("2001:db8:0:1::1", T0, "old_protocol");
	sent(ANNA, USAGE_AUTH, T0, "");
	assert_int_equal(count_old(&o), 3);
	assert_int_equal(o.first_s, T0);
	assert_int_equal(o.last_s, T0 + 5);
	assert_string_equal(o.why, "old_protocol");
	assert_int_equal(usage_days_sum(&o.days, T0), 2);
	assert_int_equal(usagedb_sweep(db, T0 + USAGE_OLD_KEEP_S + 3, 1000,
	    &e), 0);
	assert_int_equal(count_old(&o), 1);
	assert_int_equal(o.last_s, T0 + 5);
	(void)user_of(ANNA);
}

/* Whoever floods pushes out his own. */
static void
t_old_flood(void **state)
{
	char ip[ADDR_STRLEN];
	struct usage_old o;

	(void)state;
	old("192.0.2.1", T0, "old_protocol");
	for (unsigned int i = 0; i < USAGE_OLD_MAX + 3000; i++) {
		(void)snprintf(ip, sizeof(ip), "2001:db8:%x:%x::1", i & 0xff,
		    i >> 8);
		old(ip, T0 + 1, "old_protocol");
		if (i % 2000 == 0)
			flush();
	}
	assert_int_equal(count_old(&o), USAGE_OLD_MAX);
	assert_int_equal(o.last_s, T0);
	/* The count is found again. */
	close_all();
	open_all();
	old("2001:db8:ffff::1", T0 + 1, "old_protocol");
	assert_int_equal(count_old(&o), USAGE_OLD_MAX);
}

/* ----------------------------------------------------------------- waiting -- */

static void
t_due(void **state)
{
	struct err e = { 0 };
	char user[32];

	(void)state;
	assert_false(usagedb_is_due(db, 1000000));
	sent(ANNA, USAGE_AUTH, T0, "");
	assert_true(usagedb_is_due(db, 1000000));
	assert_int_equal(usagedb_flush(db, 1000000, &e), 0);
	sent(ANNA, USAGE_AUTH, T0, "");
	assert_false(usagedb_is_due(db, 1000000 + 59999));
	assert_true(usagedb_is_due(db, 1000000 + 60000));
	/* Many do not wait that long, and more than may be are not kept. */
	for (unsigned int i = 0; i < USAGE_WAITING_MAX * 2; i++) {
		(void)snprintf(user, sizeof(user), "u%u@example.org", i);
		sent(user, USAGE_AUTH, T0, "");
	}
	assert_true(usagedb_is_due(db, 1000000));
}

/* What could not be written is not lost, and not counted twice. */
static void
t_full_disk(void **state)
{
	struct usage_user u;
	struct err e = { 0 };

	(void)state;
	sent(ANNA, USAGE_AUTH, T0, "");
	disk_is_full = true;
	assert_int_not_equal(usagedb_flush(db, 0, &e), 0);
	sent(ANNA, USAGE_AUTH, T0, "");
	assert_int_not_equal(usagedb_flush(db, 0, &e), 0);
	disk_is_full = false;
	u = user_of(ANNA);
	assert_int_equal(usage_days_sum(&u.days[USAGE_AUTH], T0), 2);
}

static void
t_waiting(void **state)
{
	struct waiting *w = waiting_new(2, sizeof(int));
	struct waiting_note *n;
	int *v;

	(void)state;
	for (uint8_t k = 1; k <= 3; k++) {
		n = waiting_put(w, &k, 1);
		v = (int *)n->data;
		assert_int_equal(*v, 0);
		*v = k;
		if (k == 2)		/* the first is the younger again */
			(void)waiting_put(w, &(uint8_t){ 1 }, 1);
	}
	assert_int_equal(waiting_count(w), 2);
	assert_int_equal(waiting_serial(w), 4);
	assert_null(waiting_find(w, &(uint8_t){ 2 }, 1));
	n = waiting_oldest(w);
	assert_int_equal(*(int *)n->data, 1);
	assert_int_equal(*(int *)n->next->data, 3);
	assert_null(n->next->next);
	waiting_drop(w, n);
	assert_null(waiting_find(w, &(uint8_t){ 1 }, 1));
	waiting_free(w);
	waiting_free(NULL);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_days),
		cmocka_unit_test(t_classes),
		cmocka_unit_test(t_waiting),
		T(t_user), T(t_brownouts), T(t_sums), T(t_old),
		T(t_old_flood), T(t_due), T(t_full_disk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
