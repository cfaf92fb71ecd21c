/*
 * t_grant_loss.c - what a power loss leaves of the grants: each file of the
 * environment is kept as it was when it was last flushed, and what is opened
 * then is that alone. A grant may be lost; one that was revoked must not come
 * back, nor one be lost that the administrator gave.
 */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "db/relay_cache.h"
#include "tests/unit/db_scratch.h"

#define T0 1700000000

static char shadow_dir[] = "shadow.XXXXXX";
static char lost_dir[sizeof(shadow_dir) + 5];	/* the same and ".lost" */
static struct dbenv *env;
static struct relay_cache *rc;
static size_t flushes;
/* The environment's own thread flushes beside us; a copy is whole or not
 * there, and the power does not go in the middle of one. */
static pthread_mutex_t shadow_mutex = PTHREAD_MUTEX_INITIALIZER;

/* Copies the file behind `fd`, if it is one of the environment. */
static void
shadow_keep(int fd)
{
	char link[64], path[4096], to[4160], buf[8192];
	const char *name;
	ssize_t n;
	off_t at = 0;
	int out;

	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if ((n = readlink(link, path, sizeof(path) - 1)) <= 0)
		return;
	path[n] = '\0';
	if (strstr(path, scratch_dir) == NULL ||
	    (name = strrchr(path, '/')) == NULL)
		return;
	pthread_mutex_lock(&shadow_mutex);
	flushes++;
	(void)snprintf(to, sizeof(to), "%s%s", shadow_dir, name);
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_true(out >= 0);
	while ((n = pread(fd, buf, sizeof(buf), at)) > 0) {
		assert_int_equal(write(out, buf, (size_t)n), n);
		at += n;
	}
	close(out);
	pthread_mutex_unlock(&shadow_mutex);
}

/* The power goes: nothing of what follows is kept. */
static void
shadow_cut(void)
{
	pthread_mutex_lock(&shadow_mutex);
	assert_int_equal(rename(shadow_dir, lost_dir), 0);
	assert_int_equal(mkdir(shadow_dir, 0700), 0);
	pthread_mutex_unlock(&shadow_mutex);
}

/* In the place of the C library's, for Berkeley DB too. */
int
fsync(int fd)
{
	shadow_keep(fd);
	return (int)syscall(SYS_fsync, fd);
}

int
fdatasync(int fd)
{
	shadow_keep(fd);
	return (int)syscall(SYS_fdatasync, fd);
}

static void
t_open(const char *dir)
{
	struct err e = { 0 };

	if (dbenv_open(dir, &env, &e) != 0 ||
	    relay_cache_open(env, 128, &rc, &e) != 0)
		fail_msg("%s", e.text);
}

static void
t_close(void)
{
	relay_cache_close(rc);
	dbenv_close(env);
}

static void
t_empty(const char *dir)
{
	char command[64];

	(void)snprintf(command, sizeof(command), "rm -rf %s", dir);
	assert_int_equal(system(command), 0);
}

static void
t_grant(const char *where, const char *user, bool durable)
{
	const struct relay_grant_args args = { .ttl_s = 1800, .generation = 3,
	    .protocol = GRANT_PROTO_POP3, .source = GRANT_POP,
	    .durable = durable };
	struct addr a;

	assert_int_equal(addr_parse_ip(where, &a), 0);
	assert_int_equal(relay_cache_grant(rc, &a, user, &args, T0, NULL,
	    NULL), 0);
}

static size_t
t_count(const struct relay_filter *f)
{
	struct grant_record g = { 0 };
	size_t n = 0;

	while (relay_cache_next(rc, f, &g, NULL) == 0)
		n++;
	return n;
}

/* Grants of 700 users at one address, 3 of "a" elsewhere. */
static void
t_fill(void)
{
	char user[MAILBOX_SIZE];

	for (int i = 0; i < 700; i++) {
		(void)snprintf(user, sizeof(user), "u%03d@x.org", i);
		t_grant("192.0.2.1", user, false);
	}
	t_grant("192.0.2.7", "a@x.org", false);
	t_grant("2001:db8::1", "a@x.org", false);
	t_grant("192.0.2.1", "a@x.org", true);	/* all of them are there now */
}

static void
t_revoked(void **state)
{
	static const struct {
		const char	*name, *net, *user;
		size_t		 gone;
	} rows[] = {
		{ "an address", "192.0.2.7", NULL, 1 },
		{ "a user", NULL, "a@x.org", 3 },
		{ "a user at an address", "192.0.2.1", "u007@x.org", 1 },
		{ "a network, in several parts", "192.0.2.0/24", NULL, 702 },
		{ "all", NULL, NULL, 703 },
	};
	const struct relay_filter all = { 0 };
	struct relay_filter f;
	struct net n;
	uint64_t removed;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		f = (struct relay_filter){ .user = rows[i].user };
		if (rows[i].net != NULL) {
			assert_int_equal(net_parse(rows[i].net, &n), 0);
			f.net = &n;
		}
		assert_int_equal(scratch_make(), 0);
		assert_int_equal(mkdir(shadow_dir, 0700), 0);
		t_open(scratch_dir);
		t_fill();
		assert_int_equal(relay_cache_revoke(rc, &f, &removed, NULL),
		    0);
		assert_int_equal(removed, rows[i].gone);
		shadow_cut();
		t_close();
		t_open(lost_dir);
		if (t_count(&f) != 0)
			fail_msg("%s: %zu came back", rows[i].name,
			    t_count(&f));
		assert_int_equal(t_count(&all), 703 - rows[i].gone);
		t_close();
		t_empty(lost_dir);
		t_empty(shadow_dir);
		assert_int_equal(scratch_remove(), 0);
	}
	assert_true(flushes > 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_revoked),
	};

	if (mkdtemp(shadow_dir) == NULL || rmdir(shadow_dir) != 0)
		return 1;
	(void)snprintf(lost_dir, sizeof(lost_dir), "%s.lost", shadow_dir);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
