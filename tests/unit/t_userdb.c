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
	const struct {
		const char *local, *domain;
		const struct conf_list *domains;
		int want;
		const char *user;
	} rows[] = {
		{ "a", NULL, &both, 0, "a@x.org" },
		{ "b", NULL, &both, ERR_EXISTS, NULL },
		{ "b", NULL, &one, 0, "b@x.org" },
		{ "b", "y.org", &one, 0, "b@y.org" },
		{ "a", "y.org", &both, 0, "a@x.org" },	/* alias at y.org */
		{ "a", "z.org", &both, 0, "a@x.org" },
		{ "c", NULL, &both, ERR_NOTFOUND, NULL },
		{ "c", "y.org", &both, ERR_NOTFOUND, NULL },
	};
	struct err e;
	char s[MAILBOX_SIZE];

	(void)state;
	assert_int_equal(add("a@x.org"), 0);
	assert_int_equal(add("b@x.org"), 0);
	assert_int_equal(add("b@y.org"), 0);
	assert_int_equal(userdb_alias_add(db, "a@y.org", "b@x.org", &e), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		if (userdb_find_local(db, rows[i].local, rows[i].domain,
		    rows[i].domains, s, &e) != rows[i].want ||
		    (rows[i].want == 0 && strcmp(s, rows[i].user) != 0))
			fail_msg("row %zu: %s", i, s);
	}
}

static void
t_resolve(void **state)
{
	static const struct { const char *address, *user; } rows[] = {
		{ "a@x.org", "a@x.org" },
		{ "a+tag@x.org", "a@x.org" },
		{ "a+t+u@x.org", "a@x.org" },
		{ "a+b@x.org", "a+b@x.org" },		/* a user of his own */
		{ "a+b+c@x.org", "a@x.org" },
		{ "i+tag@x.org", "b@y.org" },		/* of an alias */
		{ "+tag@x.org", NULL },
		{ "\"a +t\"@x.org", NULL },
		{ "z@x.org", NULL },
		{ "any@w.org", "b@y.org" },
		{ "any+tag@w.org", "b@y.org" },
		{ "a@w.org", "a@x.org" },		/* before the domain */
		{ "a+tag@w.org", "a@x.org" },
		{ "any@sub.w.org", NULL },
		{ "@w.org", "b@y.org" },
		{ "w.org", NULL },
	};
	char s[MAILBOX_SIZE];
	struct err e;
	int r;

	(void)state;
	assert_int_equal(add("a@x.org"), 0);
	assert_int_equal(add("a+b@x.org"), 0);
	assert_int_equal(add("b@y.org"), 0);
	assert_int_equal(userdb_alias_add(db, "i@x.org", "b@y.org", &e), 0);
	assert_int_equal(userdb_alias_add(db, "@w.org", "b@y.org", &e), 0);
	assert_int_equal(userdb_alias_add(db, "@w.org", "a@x.org", &e),
	    ERR_EXISTS);
	assert_int_equal(userdb_alias_add(db, "a@w.org", "a@x.org", &e), 0);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		r = userdb_resolve(db, rows[i].address, s, &e);
		if (rows[i].user == NULL ? r != ERR_NOTFOUND : r != 0 ||
		    strcmp(s, rows[i].user) != 0)
			fail_msg("%s: %d %s", rows[i].address, r, s);
	}
	assert_int_equal(userdb_delete(db, "b@y.org", NULL, &e), 0);
	assert_int_equal(userdb_resolve(db, "any@w.org", s, &e),
	    ERR_NOTFOUND);
}

static void
t_alias_pairs(void **state)
{
	char user[MAILBOX_SIZE] = "", address[MAILBOX_SIZE] = "";
	struct err e;

	(void)state;
	assert_int_equal(add("a@x.org"), 0);
	assert_int_equal(add("b@x.org"), 0);
	assert_int_equal(userdb_alias_add(db, "q@x.org", "b@x.org", &e), 0);
	assert_int_equal(userdb_alias_add(db, "r@x.org", "a@x.org", &e), 0);
	assert_int_equal(userdb_alias_next_pair(db, user, address, &e), 0);
	assert_string_equal(user, "a@x.org");
	assert_string_equal(address, "r@x.org");
	assert_int_equal(userdb_alias_next_pair(db, user, address, &e), 0);
	assert_string_equal(user, "b@x.org");
	assert_string_equal(address, "q@x.org");
	assert_int_equal(userdb_alias_next_pair(db, user, address, &e),
	    ERR_NOTFOUND);
}

static void
put_cert(struct user_record *r, const char *label, uint8_t octet)
{
	struct user_credential *c = user_credential_add(r,
	    CREDENTIAL_CERTIFICATE, label);

	assert_non_null(c);
	c->generation = 1u + octet;
	memset(c->stored_key, octet, RECORD_KEY);
}

/* ctx: the octets of the certificates that he is to have. */
static int
edit_certs(void *ctx, struct user_record *r)
{
	const char *octets = ctx;
	char label[2] = "";

	while (r->n_credentials > 0)
		user_credential_remove(r, &r->credentials[0]);
	for (const char *p = octets; *p != '\0'; p++) {
		label[0] = *p;
		put_cert(r, label, (uint8_t)*p);
	}
	return 0;
}

static int
find_cert(char octet, char ret[MAILBOX_SIZE])
{
	uint8_t fp[RECORD_KEY];
	struct err e;

	memset(fp, octet, sizeof(fp));
	return userdb_find_certificate(db, fp, ret, &e);
}

static void
t_certificates(void **state)
{
	char s[MAILBOX_SIZE], one[] = "pq", two[] = "qr", dup[] = "xx",
	    late[] = "s", none[] = "";
	struct user_record r = { .flags = USER_MAY_POP };
	struct err e;

	(void)state;
	assert_int_equal(add("a@x.org"), 0);
	assert_int_equal(add("b@x.org"), 0);
	assert_int_equal(userdb_update(db, "a@x.org", edit_certs, one, NULL,
	    &e), 0);
	assert_int_equal(find_cert('p', s), 0);
	assert_string_equal(s, "a@x.org");
	/* Another's: nothing of the change remains. */
	assert_int_equal(userdb_update(db, "b@x.org", edit_certs, two, NULL,
	    &e), ERR_EXISTS);
	assert_non_null(strstr(e.text, "a@x.org"));
	assert_int_equal(find_cert('r', s), ERR_NOTFOUND);
	assert_int_equal(userdb_update(db, "b@x.org", edit_certs, dup, NULL,
	    &e), ERR_EXISTS);
	assert_int_equal(find_cert('x', s), ERR_NOTFOUND);
	assert_int_equal(userdb_update(db, "a@x.org", edit_certs, two, NULL,
	    &e), 0);
	assert_int_equal(find_cert('p', s), ERR_NOTFOUND);
	assert_int_equal(find_cert('r', s), 0);
	assert_int_equal(userdb_update(db, "a@x.org", edit_certs, none, NULL,
	    &e), 0);
	assert_int_equal(find_cert('r', s), ERR_NOTFOUND);
	assert_int_equal(edit_certs(late, &r), 0);
	assert_int_equal(userdb_add(db, "c@x.org", &r, &e), 0);
	assert_int_equal(find_cert('s', s), 0);
	assert_string_equal(s, "c@x.org");
	assert_non_null(user_certificate_find(&r,
	    r.credentials[0].stored_key));
	assert_int_equal(userdb_delete(db, "c@x.org", NULL, &e), 0);
	assert_int_equal(find_cert('s', s), ERR_NOTFOUND);
}

static void
t_allow_as(void **state)
{
	char s[MAILBOX_SIZE] = "";
	struct err e;

	(void)state;
	assert_int_equal(add("a@x.org"), 0);
	assert_int_equal(add("b@x.org"), 0);
	assert_int_equal(add("c@x.org"), 0);
	assert_int_equal(userdb_allow_as_add(db, "a@x.org", "z@x.org", &e),
	    ERR_NOTFOUND);
	assert_int_equal(userdb_allow_as_add(db, "z@x.org", "a@x.org", &e),
	    ERR_NOTFOUND);
	assert_int_equal(userdb_allow_as_add(db, "a@x.org", "a@x.org", &e),
	    ERR_DENIED);
	assert_int_equal(userdb_allow_as_add(db, "a@x.org", "c@x.org", &e), 0);
	assert_int_equal(userdb_allow_as_add(db, "a@x.org", "b@x.org", &e), 0);
	assert_int_equal(userdb_allow_as_add(db, "a@x.org", "b@x.org", &e),
	    ERR_EXISTS);
	assert_int_equal(userdb_allow_as_add(db, "b@x.org", "c@x.org", &e), 0);
	assert_int_equal(userdb_allows_as(db, "a@x.org", "b@x.org", &e), 0);
	assert_int_equal(userdb_allows_as(db, "b@x.org", "a@x.org", &e),
	    ERR_NOTFOUND);
	assert_int_equal(userdb_allow_as_next(db, "a@x.org", s, &e), 0);
	assert_string_equal(s, "b@x.org");
	assert_int_equal(userdb_allow_as_next(db, "a@x.org", s, &e), 0);
	assert_string_equal(s, "c@x.org");
	assert_int_equal(userdb_allow_as_next(db, "a@x.org", s, &e),
	    ERR_NOTFOUND);
	assert_int_equal(userdb_allow_as_delete(db, "a@x.org", "b@x.org", &e),
	    0);
	assert_int_equal(userdb_allow_as_delete(db, "a@x.org", "b@x.org", &e),
	    ERR_NOTFOUND);
	/* With the user goes all about him, from both sides. */
	assert_int_equal(userdb_delete(db, "c@x.org", NULL, &e), 0);
	assert_int_equal(add("c@x.org"), 0);
	assert_int_equal(userdb_allows_as(db, "a@x.org", "c@x.org", &e),
	    ERR_NOTFOUND);
	assert_int_equal(userdb_allows_as(db, "b@x.org", "c@x.org", &e),
	    ERR_NOTFOUND);
}

static int
edit_secret(void *ctx, struct user_record *r)
{
	r->secret_len = ctx != NULL ? 8 : 0;
	return 0;
}

static uint64_t
count(enum userdb_count what)
{
	struct err e;
	uint64_t n;

	assert_int_equal(userdb_count(db, what, &n, &e), 0);
	return n;
}

static void
t_counts(void **state)
{
	struct err e;

	assert_int_equal(count(USERDB_COUNT_USERS), 0);
	assert_int_equal(add("a@x.org"), 0);
	assert_int_equal(add("b@x.org"), 0);
	assert_int_equal(add("b@x.org"), ERR_EXISTS);
	assert_int_equal(count(USERDB_COUNT_USERS), 2);
	for (int i = 0; i < 2; i++)
		assert_int_equal(userdb_update(db, "a@x.org", edit_secret,
		    &e, NULL, &e), 0);
	assert_int_equal(count(USERDB_COUNT_SECRETS), 1);
	assert_int_equal(userdb_recount(db, &e), 0);
	assert_int_equal(count(USERDB_COUNT_USERS), 2);
	assert_int_equal(count(USERDB_COUNT_SECRETS), 1);
	t_close(state);
	assert_int_equal(t_open(state), 0);
	assert_int_equal(count(USERDB_COUNT_USERS), 2);
	assert_int_equal(userdb_update(db, "b@x.org", edit_secret, &e, NULL,
	    &e), 0);
	assert_int_equal(userdb_update(db, "b@x.org", edit_secret, NULL, NULL,
	    &e), 0);
	assert_int_equal(userdb_delete(db, "a@x.org", NULL, &e), 0);
	assert_int_equal(count(USERDB_COUNT_USERS), 1);
	assert_int_equal(count(USERDB_COUNT_SECRETS), 0);
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
		ROW(t_resolve),
		ROW(t_alias_pairs),
		ROW(t_certificates),
		ROW(t_allow_as),
		ROW(t_counts),
		ROW(t_lock),
		ROW(t_newer_version),
		ROW(t_modes),
		ROW(t_reopen),
		ROW(t_threads),
		ROW(t_killed_owner),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
