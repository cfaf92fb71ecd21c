/*
 * t_userdb.c - db/userdb.c and db/dbenv.c: users, aliases, the lock, versions,
 * several threads, and an owner that is killed.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "db/dbenv.h"
#include "db/dbenv_private.h"
#include "db/relay_cache.h"
#include "db/userdb.h"
#include "tests/unit/db_scratch.h"

static struct dbenv *env;
static struct userdb *db;

static int
t_open(void **state)
{
	struct err e = { 0 };

	(void)state;
	if (dbenv_open(scratch_dir, &env, &e) != 0 ||
	    userdb_open(env, &db, &e) != 0) {
		print_error("%s\n", e.text);
		return -1;
	}
	return 0;
}

static int
t_close(void **state)
{
	(void)state;
	userdb_close(db);
	dbenv_close(env);
	db = NULL;
	env = NULL;
	return 0;
}

static int
t_setup(void **state)
{
	return scratch_make() == 0 ? t_open(state) : -1;
}

static int
t_teardown(void **state)
{
	t_close(state);
	return scratch_remove();
}

static int
add(const char *user)
{
	struct user_record r = { .flags = USER_MAY_POP };
	struct err e;

	return userdb_add(db, user, &r, &e);
}

static void
t_users(void **state)
{
	struct user_record r;
	struct err e;
	char user[MAILBOX_SIZE] = "";

	(void)state;
	assert_int_equal(userdb_get(db, "a@x.org", &r, &e), ERR_NOTFOUND);
	assert_int_equal(userdb_first(db, user, &e), ERR_NOTFOUND);
	assert_int_equal(add("b@x.org"), 0);
	assert_int_equal(add("a@x.org"), 0);
	assert_int_equal(add("a@x.org"), ERR_EXISTS);
	assert_int_equal(userdb_get(db, "a@x.org", &r, &e), 0);
	assert_int_equal(r.seq, 2);
	assert_int_equal(userdb_first(db, user, &e), 0);
	assert_string_equal(user, "b@x.org");
	user[0] = '\0';
	assert_int_equal(userdb_next(db, user, &r, &e), 0);
	assert_string_equal(user, "a@x.org");
	assert_int_equal(userdb_next(db, user, &r, &e), 0);
	assert_string_equal(user, "b@x.org");
	assert_int_equal(userdb_next(db, user, &r, &e), ERR_NOTFOUND);
	assert_int_equal(userdb_delete(db, "b@x.org", &r, &e), 0);
	assert_int_equal(r.seq, 1);
	assert_int_equal(userdb_delete(db, "b@x.org", NULL, &e), ERR_NOTFOUND);
	assert_int_equal(userdb_first(db, user, &e), 0);
	assert_string_equal(user, "a@x.org");
}

static int
edit_quota(void *ctx, struct user_record *r)
{
	(void)ctx;
	r->quota_octets++;
	r->seq = 99;		/* not his to change */
	return 0;
}

static int
edit_never(void *ctx, struct user_record *r)
{
	(void)ctx;
	r->quota_octets = 1000;
	return ERR_DENIED;
}

static int
edit_wrong(void *ctx, struct user_record *r)
{
	(void)ctx;
	r->n_credentials = RECORD_CREDENTIALS_MAX + 1;
	return 0;
}

static void
t_update(void **state)
{
	struct user_record r;
	struct err e;

	(void)state;
	assert_int_equal(add("a@x.org"), 0);
	assert_int_equal(userdb_update(db, "a@x.org", edit_quota, NULL,
	    &r, &e), 0);
	assert_int_equal(r.quota_octets, 1);
	assert_int_equal(userdb_update(db, "a@x.org", edit_never, NULL, NULL,
	    &e), ERR_DENIED);
	assert_int_equal(userdb_update(db, "a@x.org", edit_wrong, NULL, NULL,
	    &e), ERR_LIMIT);
	assert_int_equal(userdb_update(db, "b@x.org", edit_quota, NULL,
	    NULL, &e), ERR_NOTFOUND);
	assert_int_equal(userdb_get(db, "a@x.org", &r, &e), 0);
	assert_int_equal(r.quota_octets, 1);
	assert_int_equal(r.seq, 1);
}

static void
t_aliases(void **state)
{
	struct err e;
	char s[MAILBOX_SIZE] = "";

	(void)state;
	assert_int_equal(userdb_alias_add(db, "i@x.org", "a@x.org", &e),
	    ERR_NOTFOUND);
	assert_int_equal(add("a@x.org"), 0);
	assert_int_equal(add("a@x.orgs"), 0);
	assert_int_equal(userdb_alias_add(db, "j@x.org", "a@x.org", &e), 0);
	assert_int_equal(userdb_alias_add(db, "i@x.org", "a@x.org", &e), 0);
	assert_int_equal(userdb_alias_add(db, "k@x.org", "a@x.orgs", &e), 0);
	assert_int_equal(userdb_alias_add(db, "i@x.org", "a@x.orgs", &e),
	    ERR_EXISTS);
	assert_int_equal(userdb_alias_add(db, "a@x.orgs", "a@x.org", &e),
	    ERR_EXISTS);
	assert_int_equal(add("i@x.org"), ERR_EXISTS);
	assert_non_null(strstr(e.text, "user"));
	assert_int_equal(userdb_resolve(db, "i@x.org", s, &e), 0);
	assert_string_equal(s, "a@x.org");
	assert_int_equal(userdb_resolve(db, "a@x.org", s, &e), 0);
	assert_int_equal(userdb_resolve(db, "z@x.org", s, &e), ERR_NOTFOUND);
	s[0] = '\0';
	assert_int_equal(userdb_alias_next(db, "a@x.org", s, &e), 0);
	assert_string_equal(s, "i@x.org");
	assert_int_equal(userdb_alias_next(db, "a@x.org", s, &e), 0);
	assert_string_equal(s, "j@x.org");
	assert_int_equal(userdb_alias_next(db, "a@x.org", s, &e),
	    ERR_NOTFOUND);
	assert_int_equal(userdb_alias_delete(db, "a@x.org", NULL, &e),
	    ERR_DENIED);
	assert_int_equal(userdb_alias_delete(db, "j@x.org", s, &e), 0);
	assert_string_equal(s, "a@x.org");
	assert_int_equal(userdb_alias_delete(db, "j@x.org", s, &e),
	    ERR_NOTFOUND);
	assert_int_equal(userdb_delete(db, "a@x.org", NULL, &e), 0);
	assert_int_equal(userdb_resolve(db, "i@x.org", s, &e), ERR_NOTFOUND);
	assert_int_equal(userdb_resolve(db, "a@x.org", s, &e), ERR_NOTFOUND);
	assert_int_equal(userdb_resolve(db, "k@x.org", s, &e), 0);
}

static void
t_find_local(void **state)
{
	static char x[] = "x.org", y[] = "y.org", *names[] = { x, y };
	const struct conf_list both = { .v = names, .n = 2 };
	const struct conf_list one = { .v = names, .n = 1 };
	struct err e;
	char s[MAILBOX_SIZE];

	(void)state;
	assert_int_equal(add("a@x.org"), 0);
	assert_int_equal(add("b@x.org"), 0);
	assert_int_equal(add("b@y.org"), 0);
	assert_int_equal(userdb_alias_add(db, "a@y.org", "b@x.org", &e), 0);
	assert_int_equal(userdb_find_local(db, "a", &both, s, &e), 0);
	assert_string_equal(s, "a@x.org");
	assert_int_equal(userdb_find_local(db, "b", &both, s, &e),
	    ERR_EXISTS);
	assert_int_equal(userdb_find_local(db, "b", &one, s, &e), 0);
	assert_int_equal(userdb_find_local(db, "c", &both, s, &e),
	    ERR_NOTFOUND);
}

static void
t_lock(void **state)
{
	struct dbenv *second = NULL;
	struct err e;
	char pid[24];

	(void)state;
	assert_int_equal(dbenv_open(scratch_dir, &second, &e), ERR_EXISTS);
	(void)snprintf(pid, sizeof(pid), "%ld", (long)getpid());
	assert_non_null(strstr(e.text, pid));
	assert_int_equal(dbenv_open("no/such/folder", &second, &e),
	    ERR_SYSTEM);
}

static int
put_version(void *ctx, DB_TXN *txn, struct err *reterr)
{
	static const uint8_t newer[4] = { 0, 0, 0, DBENV_VERSION + 1 };

	(void)reterr;
	return dbenv_put(ctx, txn, "version", 7, newer, sizeof(newer), 0);
}

static void
t_newer_version(void **state)
{
	struct dbenv *other = NULL;
	struct err e;
	DB *meta;

	assert_int_equal(dbenv_open_db(env, "meta.db", &meta, &e), 0);
	assert_int_equal(dbenv_txn(env, DBENV_SYNC, put_version, meta,
	    "meta", &e), 0);
	meta->close(meta, 0);
	t_close(state);
	assert_int_equal(dbenv_open(scratch_dir, &other, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "newer version"));
}

static void
t_modes(void **state)
{
	char path[512];
	struct dirent *de;
	struct stat st;
	DIR *d = opendir(scratch_dir);

	(void)state;
	assert_non_null(d);
	assert_int_equal(add("a@x.org"), 0);
	while ((de = readdir(d)) != NULL) {
		if (de->d_name[0] == '.')
			continue;
		(void)snprintf(path, sizeof(path), "%s/%s", scratch_dir,
		    de->d_name);
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(st.st_mode & 07777, 0600);
	}
	closedir(d);
}

static void
t_reopen(void **state)
{
	struct user_record r;
	struct err e;

	assert_int_equal(add("a@x.org"), 0);
	assert_int_equal(dbenv_checkpoint(env, &e), 0);
	t_close(state);
	assert_int_equal(t_open(state), 0);
	assert_int_equal(userdb_get(db, "a@x.org", &r, &e), 0);
}

#define THREADS	4
#define ROUNDS	50

static void *
thread_run(void *arg)
{
	const char *name = arg;
	char user[MAILBOX_SIZE];
	struct err e;
	intptr_t bad = 0;

	for (int i = 0; i < ROUNDS; i++) {
		(void)snprintf(user, sizeof(user), "%s%d@x.org", name, i);
		bad += add(user) != 0;
		bad += userdb_update(db, "shared@x.org", edit_quota,
		    NULL, NULL, &e) != 0;
	}
	return (void *)bad;
}

static void
t_threads(void **state)
{
	static char names[THREADS][2] = { "a", "b", "c", "d" };
	pthread_t th[THREADS];
	struct user_record r;
	struct err e;
	void *bad;

	(void)state;
	assert_int_equal(add("shared@x.org"), 0);
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&th[i], NULL, thread_run,
		    names[i]), 0);
	for (int i = 0; i < THREADS; i++) {
		assert_int_equal(pthread_join(th[i], &bad), 0);
		assert_null(bad);
	}
	assert_int_equal(userdb_get(db, "shared@x.org", &r, &e), 0);
	assert_int_equal(r.quota_octets, THREADS * ROUNDS);
}

static const struct addr client = { .ip = { [10] = 0xff, [11] = 0xff, 192, 0,
    2, 1 } };

/* Adds users, aliases and grants for ever and says which were committed, until
 * it is killed. */
static void
writer(int fd, uint32_t from)
{
	const struct relay_grant_args args = { .ttl_s = 60,
	    .source = GRANT_POP };
	struct relay_cache *rc;
	struct err e;
	char user[MAILBOX_SIZE], alias[MAILBOX_SIZE];

	if (t_open(NULL) != 0 || relay_cache_open(env, 128, &rc, &e) != 0)
		_exit(1);
	for (uint32_t n = from;; n++) {
		(void)snprintf(user, sizeof(user), "u%u@x.org", n);
		(void)snprintf(alias, sizeof(alias), "a%u@x.org", n);
		if (add(user) != 0 ||
		    userdb_alias_add(db, alias, user, &e) != 0 ||
		    relay_cache_grant(rc, &client, user, &args, n, NULL,
		    &e) != 0)
			_exit(2);
		if (write(fd, &n, sizeof(n)) != sizeof(n))
			_exit(3);
		if (n % 64 == 0 && dbenv_checkpoint(env, &e) != 0)
			_exit(4);
	}
}

static uint32_t
kill_one_writer(uint32_t from, useconds_t life_us)
{
	uint32_t n, last = from - 1;
	int fds[2], status;
	pid_t pid;

	assert_int_equal(pipe(fds), 0);
	assert_true((pid = fork()) >= 0);
	if (pid == 0) {
		close(fds[0]);
		writer(fds[1], from);
	}
	close(fds[1]);
	assert_int_equal(read(fds[0], &n, sizeof(n)), sizeof(n));
	last = n;
	usleep(life_us);
	kill(pid, SIGKILL);
	while (read(fds[0], &n, sizeof(n)) == (ssize_t)sizeof(n))
		last = n;
	close(fds[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status));
	return last;
}

/* All that was committed by then is there. */
static void
check_committed(uint32_t last)
{
	struct relay_cache *rc;
	struct grant_record g;
	struct user_record r;
	struct err e;
	char s[MAILBOX_SIZE], user[MAILBOX_SIZE];

	assert_int_equal(relay_cache_open(env, 128, &rc, &e), 0);
	for (uint32_t n = 1; n <= last; n++) {
		(void)snprintf(user, sizeof(user), "u%u@x.org", n);
		assert_int_equal(userdb_get(db, user, &r, &e), 0);
		(void)snprintf(s, sizeof(s), "a%u@x.org", n);
		assert_int_equal(userdb_resolve(db, s, s, &e), 0);
		assert_string_equal(s, user);
		assert_int_equal(relay_cache_lookup(rc, &client, user, n, &g,
		    &e), 0);
	}
	relay_cache_close(rc);
}

static void
t_killed_owner(void **state)
{
	struct user_record r;
	struct err e;
	char s[MAILBOX_SIZE], user[MAILBOX_SIZE];
	uint32_t next = 1, last;

	for (int round = 0; round < 20; round++) {
		t_close(state);
		last = kill_one_writer(next, (useconds_t)(round * 1700));
		assert_int_equal(t_open(state), 0);
		check_committed(last);
		/* What was under way is there wholly or not at all. */
		(void)snprintf(user, sizeof(user), "u%u@x.org", last + 1);
		if (userdb_get(db, user, &r, &e) == 0)
			assert_int_equal(userdb_delete(db, user, NULL, &e), 0);
		else
			assert_int_equal(userdb_resolve(db, user, s, &e),
			    ERR_NOTFOUND);
		next = last + 1;
	}
}

int
main(void)
{
#define ROW(f) cmocka_unit_test_setup_teardown(f, t_setup, t_teardown)
	static const struct CMUnitTest tests[] = {
		ROW(t_users),
		ROW(t_update),
		ROW(t_aliases),
		ROW(t_find_local),
		ROW(t_lock),
		ROW(t_newer_version),
		ROW(t_modes),
		ROW(t_reopen),
		ROW(t_threads),
		ROW(t_killed_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
