/*
 * sasldb.c - submitctl-sasldb FILE: prints what a sasldb2 file of Cyrus SASL
 * holds, a line for each password: user, realm and password in base64. Run by
 * "submitctl user import", which reads what it prints.
 *
 * A program of its own, for submitctl does not link Berkeley DB, and a damaged
 * file can only end this process. It opens the file to read, and writes nothing
 * but its output.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sysexits.h>

#include <db.h>

#include "lib/str.h"

#define SASLDB_FIELD_MAX	2048u

/* The file is a stranger's: bounded memory and time, no core with passwords. */
static void
sasldb_confine(void)
{
	const struct rlimit memory = { 512u << 20, 512u << 20 };
	const struct rlimit none = { 0, 0 };
	const struct rlimit cpu = { 600, 600 };

	(void)prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	(void)prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	(void)setrlimit(RLIMIT_CORE, &none);
	(void)setrlimit(RLIMIT_CPU, &cpu);
#ifndef __SANITIZE_ADDRESS__
	(void)setrlimit(RLIMIT_AS, &memory);
#else
	(void)memory;
#endif
}

static int
sasldb_put(const char *p, size_t len, char end)
{
	char text[STR_B64_SIZE(SASLDB_FIELD_MAX)];
	int r = 0;

	if (len > SASLDB_FIELD_MAX)
		len = SASLDB_FIELD_MAX;		/* refused by its reader */
	if (str_b64_encode(text, sizeof(text), p, len) < 0 ||
	    fputs(text, stdout) == EOF || putchar(end) == EOF)
		r = -1;
	explicit_bzero(text, sizeof(text));
	return r;
}

/* A key is user NUL realm NUL property (lib/saslutil.c, sasldb). */
static int
sasldb_record(const DBT *key, const DBT *value)
{
	static const char property[] = "userPassword";
	const char *user = key->data, *end = user + key->size;
	const char *realm, *name;

	realm = memchr(user, '\0', key->size);
	if (realm == NULL)
		return 0;
	realm++;
	name = memchr(realm, '\0', (size_t)(end - realm));
	if (name == NULL)
		return 0;
	name++;
	if ((size_t)(end - name) < sizeof(property) - 1 ||
	    memcmp(name, property, sizeof(property) - 1) != 0 ||
	    (name + sizeof(property) - 1 < end &&
	    name[sizeof(property) - 1] != '\0'))
		return 0;
	if (sasldb_put(user, (size_t)(realm - 1 - user), ' ') != 0 ||
	    sasldb_put(realm, (size_t)(name - 1 - realm), ' ') != 0 ||
	    sasldb_put(value->data, value->size, '\n') != 0)
		return EX_IOERR;
	return 0;
}

static int
sasldb_walk(DB *db, const char *file)
{
	DBC *cursor = NULL;
	DBT key = { 0 }, value = { 0 };
	int code = 0, rc;

	if ((rc = db->cursor(db, NULL, &cursor, 0)) == 0) {
		while (code == 0 && (rc = cursor->get(cursor, &key, &value,
		    DB_NEXT)) == 0)
			code = sasldb_record(&key, &value);
		(void)cursor->close(cursor);
	}
	if (code == 0 && rc != 0 && rc != DB_NOTFOUND) {
		fprintf(stderr, "%s: %s\n", file, db_strerror(rc));
		code = EX_DATAERR;
	}
	return code;
}

int
main(int argc, char **argv)
{
	DB *db = NULL;
	int code, rc;

	if (argc != 2) {
		fputs("usage: submitctl-sasldb FILE\n", stderr);
		return EX_USAGE;
	}
	sasldb_confine();
	if ((rc = db_create(&db, NULL, 0)) == 0) {
		db->set_errfile(db, NULL);
		rc = db->open(db, NULL, argv[1], NULL, DB_UNKNOWN, DB_RDONLY,
		    0);
	}
	if (rc != 0) {
		fprintf(stderr, "%s: %s\n", argv[1], db_strerror(rc));
		if (db != NULL)
			(void)db->close(db, 0);
		return EX_NOINPUT;
	}
	code = sasldb_walk(db, argv[1]);
	(void)db->close(db, 0);
	if (fflush(stdout) != 0 || ferror(stdout))
		code = EX_IOERR;
	return code;
}
