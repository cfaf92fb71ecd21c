/*
 * t_verify.c - auth/verify.c and auth/census.c: which of several passwords it
 * was, the success cache, and what stands in for users who are not there.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "auth/scram.h"
#include "auth/verify.h"
#include "lib/str.h"
#include "tests/unit/db_scratch.h"

#define USER "alice@example.org"
#define NOW 1000000

static const uint8_t key[32] = { 9 };

struct scene {
	struct census		*census;
	struct verify		*verify;
	struct user_record	 rec;
	struct verify_ask	 ask;
};

static void
add(struct user_record *r, const char *label, const char *password,
    uint32_t iterations, uint64_t generation)
{
	struct user_credential *c = user_credential_add(r,
	    CREDENTIAL_PASSWORD, label);

	assert_non_null(c);
	c->generation = generation;
	c->scope = CREDENTIAL_SCOPE_ALL;
	if (password != NULL)
		assert_int_equal(scram_set_keys(c, password, strlen(password),
		    r->salt, r->salt_len, iterations, false), 0);
}

static int
setup(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	s->census = census_new(4096);
	s->verify = verify_new(key, s->census);
	s->rec.flags = USER_FLAGS_NEW;
	str_copy(s->rec.maildir, sizeof(s->rec.maildir), "a");
	assert_int_equal(scram_salt_of(key, USER, s->rec.salt), 0);
	s->rec.salt_len = SCRAM_SALT;
	s->ask = (struct verify_ask){ .user = USER, .rec = &s->rec,
	    .may = true, .scope = CREDENTIAL_SMTP, .now_s = NOW };
	*state = s;
	return 0;
}

static int
teardown(void **state)
{
	struct scene *s = *state;

	verify_free(s->verify);
	census_free(s->census);
	free(s);
	return 0;
}

/* The label that it was; NULL: refused. */
static const char *
check(struct scene *s, const char *password, bool cached)
{
	static struct verify_found f;
	int r;

	assert_int_equal(verify_is_cached(s->verify, &s->ask, password,
	    strlen(password)), cached);
	r = verify_password(s->verify, &s->ask, password, strlen(password),
	    &f);
	assert_true(r == 0 || r == ERR_DENIED);
	if (r == 0)
		assert_int_equal(f.cached, cached);
	return r == 0 ? f.label : NULL;
}

static void
t_which(void **state)
{
	struct scene *s = *state;

	add(&s->rec, "", "main", 4096, 1);
	add(&s->rec, "phone", "phone-word", 4096, 2);
	add(&s->rec, "old", "old-word", 5000, 3);
	assert_string_equal(check(s, "main", false), "");
	assert_string_equal(check(s, "phone-word", false), "phone");
	assert_string_equal(check(s, "old-word", false), "old");
	assert_string_equal(check(s, "old-word", true), "old");
	assert_null(check(s, "wrong", false));
	s->ask.label = "phone";
	assert_null(check(s, "main", false));
	assert_string_equal(check(s, "phone-word", true), "phone");
	s->ask.label = "none";
	assert_null(check(s, "phone-word", false));
	s->ask.label = NULL;
	s->ask.may = false;
	assert_null(check(s, "main", false));
}

/* The log is told of a right password that opens nothing. */
static void
t_barred(void **state)
{
	static const struct {
		const char	*password;
		const char	*label;
		const char	*barred;
	} rows[] = {
		{ "main", NULL, NULL },
		{ "phone-word", NULL, "scope" },
		{ "phone-word", "phone", "scope" },
		{ "old-word", NULL, "expired" },
		{ "old-word", "old", "expired" },
		{ "old-word", "phone", NULL },
		{ "wrong", NULL, NULL },
	};
	struct scene *s = *state;
	struct verify_found f;

	add(&s->rec, "", "main", 4096, 1);
	add(&s->rec, "phone", "phone-word", 4096, 2);
	add(&s->rec, "old", "old-word", 5000, 3);
	user_credential_find(&s->rec, CREDENTIAL_PASSWORD, "phone")->scope =
	    CREDENTIAL_POP;
	user_credential_find(&s->rec, CREDENTIAL_PASSWORD, "old")->expires_s =
	    NOW;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		s->ask.label = rows[i].label;
		assert_int_equal(verify_password(s->verify, &s->ask,
		    rows[i].password, strlen(rows[i].password), &f),
		    i == 0 ? 0 : ERR_DENIED);
		if (rows[i].barred == NULL)
			assert_null(f.barred);
		else
			assert_string_equal(f.barred, rows[i].barred);
	}
}

/* Nothing is found after any change. */
static void
t_cache(void **state)
{
	struct scene *s = *state;
	struct user_credential *c;

	add(&s->rec, "", "main", 4096, 1);
	add(&s->rec, "phone", "phone-word", 4096, 2);
	assert_non_null(check(s, "phone-word", false));
	s->ask.now_s += VERIFY_CACHE_S + 1;
	assert_non_null(check(s, "phone-word", false));
	assert_non_null(check(s, "phone-word", true));
	c = user_credential_find(&s->rec, CREDENTIAL_PASSWORD, "phone");
	c->scope = CREDENTIAL_POP;
	assert_null(check(s, "phone-word", false));
	c->scope = CREDENTIAL_SCOPE_ALL;
	assert_non_null(check(s, "phone-word", true));
	c->expires_s = s->ask.now_s + 10;
	assert_non_null(check(s, "phone-word", false));
	assert_non_null(check(s, "phone-word", true));
	s->ask.now_s += 10;
	assert_null(check(s, "phone-word", false));
	s->ask.now_s -= 10;
	user_credential_remove(&s->rec, c);
	assert_null(check(s, "phone-word", false));
	add(&s->rec, "phone", "phone-word", 4096, 3);
	assert_non_null(check(s, "phone-word", false));
	s->rec.changed_s++;
	assert_non_null(check(s, "phone-word", false));
	s->ask.user = "bob@example.org";
	assert_non_null(check(s, "phone-word", false));
}

static void
t_hash(void **state)
{
	struct scene *s = *state;
	struct verify_scram k;

	str_copy(s->rec.hash, sizeof(s->rec.hash),
	    "{CRYPT}$2a$04$abcdefghijklmnopqrstuujydOTSfIH/d5oUHpsygqV5X9xJL"
	    "Qc6e");
	add(&s->rec, "", NULL, 0, 1);
	assert_string_equal(check(s, "correct horse", false), "");
	assert_string_equal(check(s, "correct horse", true), "");
	assert_null(check(s, "wrong", false));
	assert_int_equal(verify_scram(s->verify, &s->ask, false, &k), 0);
	assert_true(k.only_hash && !k.real && k.iterations == 4096);
	assert_memory_equal(k.salt, s->rec.salt, SCRAM_SALT);
	add(&s->rec, "phone", "phone-word", 4096, 2);
	assert_string_equal(check(s, "phone-word", false), "phone");
	assert_string_equal(check(s, "correct horse", false), "");
	s->ask.may = false;
	assert_int_equal(verify_scram(s->verify, &s->ask, false, &k), 0);
	assert_true(!k.only_hash && !k.real);
}

static void
t_scram(void **state)
{
	struct scene *s = *state;
	struct verify_scram k, again, fake;
	uint8_t stored[SCRAM_KEY], server[SCRAM_KEY];

	add(&s->rec, "", "main", 5000, 1);
	add(&s->rec, "phone", "phone-word", 5000, 2);
	assert_int_equal(verify_scram(s->verify, &s->ask, false, &k), 0);
	assert_true(k.real && k.iterations == 5000 && k.found.generation == 1);
	scram_derive("main", 4, k.salt, k.salt_len, 5000, stored, server);
	assert_memory_equal(k.stored_key, stored, SCRAM_KEY);
	s->ask.label = "phone";
	assert_int_equal(verify_scram(s->verify, &s->ask, false, &k), 0);
	assert_true(k.real && k.found.generation == 2);
	/* A label that is not there, SHA-1 that is not there, or a user who
	 * may not: his salt, and keys that fit nothing. */
	s->ask.label = "tablet";
	assert_int_equal(verify_scram(s->verify, &s->ask, false, &fake), 0);
	assert_true(!fake.real && fake.iterations == 5000);
	assert_memory_equal(fake.salt, k.salt, sizeof(k.salt));
	assert_memory_not_equal(fake.stored_key, stored, SCRAM_KEY);
	s->ask.label = NULL;
	assert_int_equal(verify_scram(s->verify, &s->ask, true, &fake), 0);
	assert_true(!fake.real && fake.iterations == 5000);
	s->ask.may = false;
	assert_int_equal(verify_scram(s->verify, &s->ask, false, &fake), 0);
	assert_true(!fake.real);
	assert_memory_equal(fake.salt, k.salt, sizeof(k.salt));
	/* Before he came and after he has gone: the same salt. */
	s->ask.rec = NULL;
	assert_int_equal(verify_scram(s->verify, &s->ask, false, &fake), 0);
	assert_int_equal(verify_scram(s->verify, &s->ask, false, &again), 0);
	assert_memory_equal(fake.salt, k.salt, sizeof(k.salt));
	assert_memory_equal(&fake, &again, sizeof(fake));
	assert_int_equal(fake.iterations, 4096);
}

/* Unknown names cost what users cost, in proportion. */
static void
t_census(void **state)
{
	struct scene *s = *state;
	struct user_record bcrypt = { .hash = "$2a$04$abcdefghijklmnopqrstuu"
	    "jydOTSfIH/d5oUHpsygqV5X9xJLQc6e" };
	struct census_class plain, scram;
	unsigned int n[3] = { 0 };

	add(&s->rec, "", "main", 5000, 1);
	for (unsigned int i = 0; i < 300; i++)
		census_changed(s->census, "b", NULL, &bcrypt);
	for (unsigned int i = 0; i < 100; i++)
		census_changed(s->census, "a", NULL, &s->rec);
	s->rec.credentials[0].iterations = 6000;
	census_changed(s->census, "c", NULL, &s->rec);
	for (unsigned int i = 0; i < 64; i++) {
		uint8_t draw[2] = { (uint8_t)i, (uint8_t)(i * 7) };

		census_pick(s->census, draw, &plain, &scram);
		assert_true(scram.iterations == 5000 ||
		    scram.iterations == 6000);
		assert_string_equal(scram.hash, "");
		if (strcmp(plain.hash, "BLF-CRYPT/4") == 0)
			n[0]++;
		else
			n[plain.iterations == 5000 ? 1 : 2]++;
	}
	assert_in_range(n[0], 44, 48);
	assert_in_range(n[1], 14, 18);
	assert_in_range(n[2], 1, 2);
	/* They change, and go. */
	for (unsigned int i = 0; i < 300; i++)
		census_changed(s->census, "b", &bcrypt, &s->rec);
	for (unsigned int i = 0; i < 64; i++) {
		uint8_t draw[2] = { (uint8_t)i, 0 };

		census_pick(s->census, draw, &plain, &scram);
		assert_string_equal(plain.hash, "");
		assert_int_equal(plain.iterations, scram.iterations);
	}
	s->ask.rec = NULL;
	assert_null(check(s, "main", false));
}

static void
t_walk(void **state)
{
	struct scene *s = *state;
	struct dbenv *env;
	struct userdb *db;
	char here[1024];
	struct census *other = census_new(4096);
	struct census_class a, b, c;
	char user[64];
	uint8_t draw[2] = { 7, 7 };

	assert_int_equal(scratch_make(), 0);
	assert_int_equal(dbenv_open(scratch_dir, &env, NULL), 0);
	assert_int_equal(userdb_open(env, &db, NULL), 0);
	assert_non_null(getcwd(here, sizeof(here)));
	add(&s->rec, "", "main", 5000, 1);
	for (unsigned int i = 0; i < 30; i++) {
		str_format(user, sizeof(user), "u%u@example.org", i);
		str_copy(s->rec.maildir, sizeof(s->rec.maildir), user);
		assert_int_equal(userdb_add(db, user, &s->rec, NULL), 0);
	}
	userdb_set_watch(db, census_changed, s->census);
	assert_int_equal(census_walk(s->census, db, 20, NULL), 0);
	census_pick(s->census, draw, &a, &b);
	assert_int_equal(a.iterations, 4096);	/* not counted to the end */
	assert_int_equal(userdb_delete(db, "u0@example.org", NULL, NULL), 0);
	assert_int_equal(userdb_delete(db, "u9@example.org", NULL, NULL), 0);
	assert_int_equal(census_walk(s->census, db, 20, NULL), ERR_NOTFOUND);
	census_pick(s->census, draw, &a, &b);
	assert_int_equal(a.iterations, 5000);
	/* All of them go: so do their numbers. */
	for (unsigned int i = 1; i < 30; i++) {
		str_format(user, sizeof(user), "u%u@example.org", i);
		if (i != 9)
			assert_int_equal(userdb_delete(db, user, NULL, NULL),
			    0);
		if (i == 28) {		/* there is one left */
			assert_int_equal(chdir(scratch_dir), 0);
			assert_int_equal(census_save(s->census, NULL), 0);
			census_load(other);
			census_pick(other, draw, &a, &c);
			assert_int_equal(a.iterations, 5000);
			unlink("census");
			assert_int_equal(chdir(here), 0);
		}
	}
	census_pick(s->census, draw, &a, &b);
	assert_int_equal(a.iterations, 4096);
	userdb_close(db);
	dbenv_close(env);
	assert_int_equal(scratch_remove(), 0);
	census_free(other);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(t_which, setup, teardown),
		cmocka_unit_test_setup_teardown(t_barred, setup, teardown),
		cmocka_unit_test_setup_teardown(t_cache, setup, teardown),
		cmocka_unit_test_setup_teardown(t_hash, setup, teardown),
		cmocka_unit_test_setup_teardown(t_scram, setup, teardown),
		cmocka_unit_test_setup_teardown(t_census, setup, teardown),
		cmocka_unit_test_setup_teardown(t_walk, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
