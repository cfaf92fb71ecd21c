/*
 * t_dbenv.c - db/dbenv*.c: versions, large transactions, a copy made while
 * others write, what a check finds, and giving pages back.
 */
#include "config.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "db/dbenv.h"
#include "db/dbenv_private.h"
#include "db/relay_cache.h"
#include "db/userdb.h"
#include "tests/unit/db_scratch.h"
#include "tests/unit/unit.h"

static struct dbenv *env;
static struct userdb *db;
static struct relay_cache *relay;

static int
t_open(void)
{
	struct err e = { 0 };

	if (dbenv_open(scratch_dir, &env, &e) != 0 ||
	    userdb_open(env, &db, &e) != 0 ||
	    relay_cache_open(env, 128, &relay, &e) != 0) {
		print_error("%s\n", e.text);
		return -1;
	}
	return 0;
}

static void
t_close(void)
{
	relay_cache_close(relay);
	userdb_close(db);
	dbenv_close(env);
	relay = NULL;
	db = NULL;
	env = NULL;
}

static int
t_setup(void **state)
{
	(void)state;
	return scratch_make() == 0 ? t_open() : -1;
}

static int
t_teardown(void **state)
{
	(void)state;
	t_close();
	dbenv_scratch_remove(scratch_dir);
	return scratch_remove();
}

static int
add(unsigned int i)
{
	struct user_record r = { .flags = USER_MAY_POP };
	char user[64];
	struct err e;

	(void)snprintf(user, sizeof(user), "user%05u@example.org", i);
	return userdb_add(db, user, &r, &e);
}

static void
grant(unsigned int i)
{
	struct relay_grant_args args = { .ttl_s = 60, .source = GRANT_POP,
	    .protocol = GRANT_PROTO_POP3 };
	struct addr a = { 0 };
	struct err e;

	a.ip[10] = a.ip[11] = 0xff;
	a.ip[12] = 10;
	a.ip[14] = (uint8_t)(i >> 8);
	a.ip[15] = (uint8_t)i;
	assert_int_equal(relay_cache_grant(relay, &a, "user00000@example.org",
	    &args, 1000, NULL, &e), 0);
}

/* ------------------------------------------------------------------ tests -- */

struct put {
	DB		*db;
	const void	*key;
	size_t		 key_len;
	const void	*data;
	size_t		 len;
};

static int
put_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	struct put *p = ctx;

	(void)reterr;
	if (p->data == NULL)
		return dbenv_del(p->db, txn, p->key, p->key_len);
	return dbenv_put(p->db, txn, p->key, p->key_len, p->data, p->len, 0);
}

/* Writes past everything that keeps the files in step. NULL: removes. */
static void
put(const char *file, const void *key, size_t key_len, const void *data,
    size_t len)
{
	struct put p = { NULL, key, key_len, data, len };
	struct err e;

	assert_int_equal(dbenv_open_db(env, file, &p.db, &e), 0);
	assert_int_equal(dbenv_txn(env, DBENV_SYNC, put_txn, &p, file, &e), 0);
	p.db->close(p.db, 0);
}

static uint8_t
stored_version(void)
{
	uint8_t v[4] = { 0 };
	struct dbenv_item it = { .p = v, .size = sizeof(v) };
	struct err e;
	DB *meta;

	assert_int_equal(dbenv_open_db(env, "meta.db", &meta, &e), 0);
	assert_int_equal(dbenv_get(meta, NULL, "version", 7, &it, 0), 0);
	meta->close(meta, 0);
	return v[3];
}

static void
t_versions(void **state)
{
	static const uint8_t old[4] = { 0, 0, 0, 1 };
	static const uint8_t newer[4] = { 0, 0, 0, DBENV_VERSION + 1 };
	struct err e;

	(void)state;
	assert_int_equal(stored_version(), DBENV_VERSION);
	put("meta.db", "version", 7, old, sizeof(old));
	assert_int_equal(stored_version(), 1);
	t_close();
	assert_int_equal(t_open(), 0);
	assert_int_equal(stored_version(), DBENV_VERSION);
	put("meta.db", "version", 7, newer, sizeof(newer));
	t_close();
	assert_int_equal(dbenv_open(scratch_dir, &env, &e), ERR_CONFIG);
	assert_non_null(strstr(e.text, "newer version (format 5, this program "
	    "knows 4)"));
}

static void
t_half_restored(void **state)
{
	char path[64];
	struct err e;

	(void)state;
	t_close();
	(void)snprintf(path, sizeof(path), "%s/" DBENV_RESTORING, scratch_dir);
	close(open(path, O_CREAT | O_WRONLY, 0600));
	assert_int_equal(dbenv_open(scratch_dir, &env, &e), ERR_CORRUPT);
	assert_non_null(strstr(e.text, "authd --recover --from"));
	(void)unlink(path);
	assert_int_equal(t_open(), 0);
}

#define MANY 30000u

static int
many_txn(void *ctx, DB_TXN *txn, struct err *reterr)
{
	char key[40], data[200] = "x";
	int rc = 0;

	(void)reterr;
	for (unsigned int i = 0; i < MANY && rc == 0; i++) {
		(void)snprintf(key, sizeof(key), "%08x", i * 2654435761u);
		rc = dbenv_put(ctx, txn, key, strlen(key), data, sizeof(data),
		    0);
	}
	return rc;
}

/* Far more changes than any batch has, on as many pages. */
static void
t_large_txn(void **state)
{
	struct err e = { 0 };
	DB *many;

	(void)state;
	assert_int_equal(dbenv_open_db(env, "many.db", &many, &e), 0);
	if (dbenv_txn(env, DBENV_SYNC, many_txn, many, "many", &e) != 0)
		fail_msg("%s", e.text);
	many->close(many, 0);
}

static char flaws[4096];

static void
flaw(void *ctx, const char *text)
{
	size_t len = strlen(flaws);

	(void)ctx;
	(void)snprintf(flaws + len, sizeof(flaws) - len, "%s\n", text);
}

static atomic_bool stop;
static atomic_uint written;

static void *
writer(void *ctx)
{
	(void)ctx;
	for (unsigned int i = 1000; !atomic_load(&stop) && i < 60000; i++) {
		if (add(i) != 0)
			break;
		grant(i % 3000);
		atomic_store(&written, i);
	}
	return NULL;
}

static void
t_backup(void **state)
{
	struct dbenv_counts n;
	struct err e = { 0 };
	pthread_t t;
	char path[80];
	unsigned int before, after;

	(void)state;
	for (unsigned int i = 0; i < 300; i++)
		assert_int_equal(add(i), 0);
	atomic_store(&stop, false);
	atomic_store(&written, 0);
	assert_int_equal(pthread_create(&t, NULL, writer, NULL), 0);
	for (unsigned int round = 0; round < 3; round++) {
		while (atomic_load(&written) < 1050 + 100 * round)
			usleep(1000);
		flaws[0] = '\0';
		before = atomic_load(&written) - 999 + 300;
		if (dbenv_backup(env, flaw, NULL, &n, &e) != 0)
			fail_msg("%s", e.text);
		after = atomic_load(&written) - 999 + 301;
		assert_string_equal(flaws, "");
		assert_int_equal(n.flaws, 0);
		assert_in_range(n.users, before, after);
		assert_int_equal(n.addresses, n.users);
		assert_true(n.grants > 0 && n.octets > 0);
		assert_in_range(n.databases, 7, 20);
	}
	atomic_store(&stop, true);
	pthread_join(t, NULL);
	(void)snprintf(path, sizeof(path), "%s/" DBENV_SCRATCH, scratch_dir);
	assert_int_equal(access(path, F_OK), 0);
	dbenv_scratch_remove(scratch_dir);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(add(999), 0);
}

static void
t_flaws(void **state)
{
	static const struct {
		const char	*file, *key;
		size_t		 key_len;
		const char	*data;
		const char	*says;
	} rows[] = {
		{ "users.db", "user00001@example.org", 21, "garbage",
		    "users.db: the record of user00001@example.org is "
		    "unreadable\n" },
		{ "addresses.db", "user00002@example.org", 21, NULL,
		    "users.db: user00002@example.org is not reached by his own "
		    "address\n" },
		{ "addresses.db", "ghost@example.org", 17, "nobody@example.org",
		    "addresses.db: ghost@example.org leads to "
		    "nobody@example.org, who is no user\n" },
		{ "aliases.db", "user00003@example.org\0x@example.org", 35, "",
		    "aliases.db: x@example.org does not lead to "
		    "user00003@example.org\n" },
		{ "order.db", "\0\0\0\0\0\0\0\5", 8, NULL,
		    "users.db: user00004@example.org has no place in the "
		    "order\n" },
		{ "order.db", "short", 5, "user00005@example.org",
		    "order.db: a record is malformed\n" },
		{ "relay_expiry.db", "\0\0\0\0\0\0\4\1nothing", 15, "",
		    "relay_expiry.db: the index names a grant that is not "
		    "there\n" },
		{ "relay_user.db", "a@b.org\0abcdefghijklmnop", 24, "",
		    "relay_user.db: the index names a grant that is not "
		    "there\n" },
		{ "relay_user.db", "a@b.org", 7, "",
		    "relay_user.db: an entry is unreadable\n" },
		{ "certificates.db", "01234567890123456789012345678901", 32,
		    "user00007@example.org", "certificates.db: a certificate "
		    "leads to user00007@example.org, who has it not\n" },
		{ "allowed.db", "aa@b\0user00001@example.org", 26, "",
		    "allowed.db: a@b and user00001@example.org: only half of "
		    "it is there\n" },
		{ "logins.db", "user00001@example.org", 21, "?",
		    "logins.db: a last login is unreadable\n" },
		{ "places.db", "user00001@example.org", 21, "?",
		    "places.db: a place is unreadable\n" },
		{ "counts.db", "users", 5, "\1\1\1\1\1\1\1\1",
		    "counts.db: 72340172838076673 users are counted, 10 are "
		    "there\n" },
		{ "relay.db", "0123456789abcdefa@b.org", 23, "bad",
		    "relay.db: a grant is unreadable\n" },
	};
	struct dbenv_counts n;
	struct err e = { 0 };

	(void)state;
	for (unsigned int i = 0; i < 10; i++)
		assert_int_equal(add(i), 0);
	grant(1);
	for (size_t i = 0; i < ROWS(rows); i++)
		put(rows[i].file, rows[i].key, rows[i].key_len, rows[i].data,
		    rows[i].data != NULL ? strlen(rows[i].data) : 0);
	t_close();
	flaws[0] = '\0';
	assert_int_equal(dbenv_check(scratch_dir, false, flaw, NULL, &n, &e),
	    0);
	for (size_t i = 0; i < ROWS(rows); i++)
		if (strstr(flaws, rows[i].says) == NULL)
			fail_msg("%s is missing in:\n%s", rows[i].says, flaws);
	assert_in_range(n.flaws, ROWS(rows), ROWS(rows) + 4);
	assert_int_equal(n.users, 10);
}

/* A walk over all users passes over one, and ends where it cannot. */
static void
t_unreadable(void **state)
{
	static const char huge[RECORD_MAX + 1] = "x";
	struct user_record r;
	struct err e = { 0 };
	char user[MAILBOX_SIZE] = "";

	(void)state;
	for (unsigned int i = 0; i < 3; i++)
		assert_int_equal(add(i), 0);
	put("users.db", "user00001@example.org", 21, "garbage", 7);
	assert_int_equal(userdb_next(db, user, &r, &e), 0);
	assert_int_equal(userdb_next(db, user, &r, &e), ERR_CORRUPT);
	assert_string_equal(user, "user00001@example.org");
	assert_int_equal(userdb_next(db, user, &r, &e), 0);
	assert_int_equal(userdb_next(db, user, &r, &e), ERR_NOTFOUND);
	assert_int_equal(userdb_recount(db, &e), 0);
	put("users.db", "user00001@example.org", 21, huge, sizeof(huge));
	assert_int_equal(userdb_recount(db, &e), ERR_SYSTEM);
	assert_non_null(strstr(e.text, "user00000@example.org"));
}

/* Octets that rotted on the disk. */
static void
t_bad_page(void **state)
{
	struct dbenv_counts n;
	struct err e = { 0 };
	char path[64], junk[512];
	int fd;

	(void)state;
	for (unsigned int i = 0; i < 200; i++)
		assert_int_equal(add(i), 0);
	t_close();
	(void)snprintf(path, sizeof(path), "%s/users.db", scratch_dir);
	memset(junk, 0x55, sizeof(junk));
	fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, junk, sizeof(junk), 2 * 4096 + 26), 512);
	close(fd);
	flaws[0] = '\0';
	assert_int_equal(dbenv_check(scratch_dir, false, flaw, NULL, &n, &e),
	    0);
	assert_true(n.flaws > 0);
	assert_non_null(strstr(flaws, "users.db: "));
}

static uint64_t users_before, users_after;

static void
compacted(void *ctx, const char *file, uint64_t before, uint64_t after)
{
	(void)ctx;
	if (strcmp(file, "users.db") == 0) {
		users_before = before;
		users_after = after;
	}
}

static void
t_compact(void **state)
{
	struct dbenv_counts n;
	struct err e = { 0 };
	char user[64];

	(void)state;
	for (unsigned int i = 0; i < 3000; i++)
		assert_int_equal(add(i), 0);
	for (unsigned int i = 0; i < 3000; i++) {
		(void)snprintf(user, sizeof(user), "user%05u@example.org", i);
		if (i % 10 != 0)
			assert_int_equal(userdb_delete(db, user, NULL, &e), 0);
	}
	if (dbenv_compact(env, compacted, NULL, &e) != 0)
		fail_msg("%s", e.text);
	if (users_after == 0 || users_after > users_before / 4)
		fail_msg("%llu octets became %llu",
		    (unsigned long long)users_before,
		    (unsigned long long)users_after);
	assert_int_equal(add(1), 0);
	t_close();
	assert_int_equal(dbenv_check(scratch_dir, false, flaw, NULL, &n, &e),
	    0);
	assert_int_equal(n.flaws, 0);
	assert_int_equal(n.users, 301);
}

#define ROW(f) cmocka_unit_test_setup_teardown(f, t_setup, t_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		ROW(t_versions), ROW(t_half_restored), ROW(t_large_txn),
		ROW(t_backup), ROW(t_flaws), ROW(t_unreadable),
		ROW(t_bad_page), ROW(t_compact),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
