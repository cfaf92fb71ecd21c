/*
 * t_userdb_batch.c - db/userdb_batch.c: many users in one transaction; one that
 * cannot be taken does not hold up the others and leaves nothing behind.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "db/dbenv.h"
#include "db/userdb.h"
#include "db/userdb_batch.h"
#include "tests/unit/db_scratch.h"

static struct dbenv *env;
static struct userdb *db;

static int
t_setup(void **state)
{
	struct err e = { 0 };

	(void)state;
	if (scratch_make() != 0 || dbenv_open(scratch_dir, &env, &e) != 0 ||
	    userdb_open(env, &db, &e) != 0) {
		print_error("%s\n", e.text);
		return -1;
	}
	return 0;
}

static int
t_teardown(void **state)
{
	(void)state;
	userdb_close(db);
	dbenv_close(env);
	return scratch_remove();
}

/* What each item wants: its record's note, or not to be touched. */
struct want {
	const char	*note;		/* NULL: keep */
	int		 code;		/* < 0: refuse */
	bool		 same;
	uint64_t	 seq;
	uint8_t		 certificate;	/* != 0: he has this one */
};

static int
decide(void *ctx, size_t i, const struct user_record *was,
    struct user_record *is, struct err *reterr)
{
	const struct want *w = (const struct want *)ctx + i;
	struct user_credential *c;

	if (w->code < 0)
		return err_set(reterr, w->code, "not him");
	if (w->note == NULL)
		return USERDB_BATCH_KEEP;
	if (w->same)
		return USERDB_BATCH_SAME;
	(void)strcpy(is->note, w->note);
	if (was == NULL) {
		is->flags = USER_FLAGS_NEW;
		is->seq = w->seq;
		c = user_credential_add(is, CREDENTIAL_PASSWORD, "");
		c->scope = CREDENTIAL_SCOPE_ALL;
		c->generation = 1;
	}
	if (w->certificate != 0) {
		c = user_credential_add(is, CREDENTIAL_CERTIFICATE, "c");
		c->scope = CREDENTIAL_SCOPE_ALL;
		c->generation = 2;
		memset(c->stored_key, w->certificate, RECORD_KEY);
	}
	return USERDB_BATCH_PUT;
}

static void
batch(struct userdb_batch_item *items, size_t n, struct want *w, bool dry)
{
	struct err e = { 0 };

	for (size_t i = 0; i < n; i++)
		items[i].err.text[0] = '\0';
	if (userdb_batch(db, items, n, decide, w, dry, &e) != 0)
		fail_msg("%s", e.text);
}

static const char *
note_of(const char *user)
{
	static struct user_record r;

	return userdb_get(db, user, &r, NULL) == 0 ? r.note : NULL;
}

static void
t_add_update(void **state)
{
	struct userdb_batch_item it[] = { { .user = "a@x.org" },
	    { .user = "b@x.org" }, { .user = "c@x.org" } };
	struct want w[] = { { .note = "1" }, { .note = "2" },
	    { .note = NULL } };

	(void)state;
	batch(it, 3, w, true);
	assert_int_equal(it[0].result, USERDB_BATCH_ADDED);
	assert_null(note_of("a@x.org"));
	batch(it, 3, w, false);
	assert_int_equal(it[0].result, USERDB_BATCH_ADDED);
	assert_int_equal(it[1].result, USERDB_BATCH_ADDED);
	assert_int_equal(it[2].result, USERDB_BATCH_KEPT);
	assert_string_equal(note_of("a@x.org"), "1");
	w[0].note = "3";
	w[1].same = true;
	batch(it, 3, w, false);
	assert_int_equal(it[0].result, USERDB_BATCH_UPDATED);
	assert_int_equal(it[1].result, USERDB_BATCH_UNCHANGED);
	assert_string_equal(note_of("a@x.org"), "3");
}

static void
t_lists(void **state)
{
	static const char *const one[] = { "p@x.org", "q@x.org" };
	static const char *const two[] = { "q@x.org", "@y.org" };
	static const char *const other[] = { "b@x.org" };
	struct userdb_batch_item it[] = { { .user = "a@x.org",
	    .aliases = { one, 2, true, true } },
	    { .user = "b@x.org" } };
	struct want w[] = { { .note = "1" }, { .note = "1" } };
	char user[MAILBOX_SIZE] = "";

	(void)state;
	batch(it, 2, w, false);
	assert_int_equal(userdb_resolve(db, "p@x.org", user, NULL), 0);
	assert_string_equal(user, "a@x.org");
	w[0].same = w[1].same = true;
	it[0].aliases.v = two;
	it[0].allow_as = (struct userdb_batch_list){ other, 1, true, true };
	batch(it, 2, w, false);
	assert_int_equal(it[0].result, USERDB_BATCH_UPDATED);
	assert_int_equal(userdb_resolve(db, "p@x.org", user, NULL),
	    ERR_NOTFOUND);
	assert_int_equal(userdb_resolve(db, "any@y.org", user, NULL), 0);
	assert_int_equal(userdb_allows_as(db, "a@x.org", "b@x.org", NULL), 0);
	batch(it, 2, w, false);
	assert_int_equal(it[0].result, USERDB_BATCH_UNCHANGED);
	it[0].allow_as.n = 0;
	it[0].aliases = (struct userdb_batch_list){ one, 1, true, false };
	batch(it, 2, w, false);
	assert_int_equal(userdb_allows_as(db, "a@x.org", "b@x.org", NULL),
	    ERR_NOTFOUND);
	assert_int_equal(userdb_resolve(db, "p@x.org", user, NULL), 0);
	assert_int_equal(userdb_resolve(db, "q@x.org", user, NULL), 0);
}

static void
t_failures(void **state)
{
	static const char *const taken[] = { "a@x.org" };
	static const char *const nobody[] = { "nobody@x.org" };
	struct userdb_batch_item it[] = { { .user = "a@x.org" },
	    { .user = "b@x.org", .aliases = { taken, 1, true, true } },
	    { .user = "c@x.org" },
	    { .user = "d@x.org", .allow_as = { nobody, 1, true, true } },
	    { .user = "e@x.org" }, { .user = "f@x.org" } };
	struct want w[] = { { .note = "1", .certificate = 7 }, { .note = "2" },
	    { .note = "3", .code = ERR_DENIED }, { .note = "4" },
	    { .note = "5", .certificate = 7 }, { .note = "6" } };
	uint64_t n = 0;

	(void)state;
	batch(it, 6, w, false);
	assert_int_equal(it[0].result, USERDB_BATCH_ADDED);
	assert_int_equal(it[1].result, USERDB_BATCH_FAILED);
	assert_non_null(strstr(it[1].err.text, "a@x.org"));
	assert_int_equal(it[2].result, USERDB_BATCH_FAILED);
	assert_string_equal(it[2].err.text, "not him");
	assert_int_equal(it[3].result, USERDB_BATCH_FAILED);
	assert_int_equal(it[4].result, USERDB_BATCH_FAILED);
	assert_int_equal(it[5].result, USERDB_BATCH_ADDED);
	assert_null(note_of("b@x.org"));
	assert_null(note_of("d@x.org"));
	assert_null(note_of("e@x.org"));
	assert_string_equal(note_of("f@x.org"), "6");
	assert_int_equal(userdb_count(db, USERDB_COUNT_USERS, &n, NULL), 0);
	assert_int_equal(n, 2);
}

static void
t_order(void **state)
{
	struct userdb_batch_item it[] = { { .user = "a@x.org" },
	    { .user = "b@x.org" }, { .user = "c@x.org" } };
	struct want w[] = { { .note = "1", .seq = 9 }, { .note = "2", .seq = 3 },
	    { .note = "3", .seq = 9 } };
	struct user_record r;
	char user[MAILBOX_SIZE];

	(void)state;
	batch(it, 3, w, false);
	assert_int_equal(userdb_first(db, user, NULL), 0);
	assert_string_equal(user, "b@x.org");
	assert_int_equal(userdb_get(db, "c@x.org", &r, NULL), 0);
	assert_int_equal(r.seq, 10);
}

#define T(f) cmocka_unit_test_setup_teardown(f, t_setup, t_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
		T(t_add_update), T(t_lists), T(t_failures), T(t_order),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
