/*
 * t_import.c - db/import.c: the lines of other servers' password files, what
 * they say and what is refused, with a reason and without the secret.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "db/import.h"

#define P IMPORT_PASSWD
#define H IMPORT_HTPASSWD
#define S IMPORT_SASLDB

struct row {
	const char		*name;
	enum import_format	 format;
	const char		*line;
	int			 r;
	const char		*user;
	const char		*secret;	/* or a part of the error's text */
	bool			 plain;
	bool			 disabled;
	const char		*note;
	const char		*maildir;
	uint64_t		 quota;
	const char		*lost;
};

static const struct row rows[] = {
	{ .name = "blank", .format = P, .line = "  \t", .r = 1 },
	{ .name = "comment", .format = P, .line = " # x:y", .r = 1 },
	{ .name = "CR only", .format = H, .line = "\r", .r = 1 },
	{ .name = "plain", .format = P, .line = "anna:{PLAIN}a b ",
	  .user = "anna", .secret = "a b ", .plain = true },
	{ .name = "plain, lower case", .format = P, .line = "anna:{cleartext}x\r",
	  .user = "anna", .secret = "x", .plain = true },
	{ .name = "plain in base64", .format = P,
	  .line = "anna:{PLAIN.b64}c2VjcmV0:", .user = "anna",
	  .secret = "secret", .plain = true },
	{ .name = "plain in hex", .format = P, .line = "anna:{CLEAR.HEX}6162",
	  .user = "anna", .secret = "ab", .plain = true },
	{ .name = "bad hex", .format = P, .line = "anna:{PLAIN.HEX}6g",
	  .r = ERR_FORMAT, .user = "anna", .secret = "encoding" },
	{ .name = "plain, empty", .format = P, .line = "anna:{PLAIN}",
	  .r = ERR_FORMAT, .user = "anna", .secret = "empty" },
	{ .name = "plain, Latin-1", .format = P, .line = "anna:{PLAIN}\xe4",
	  .r = ERR_FORMAT, .user = "anna", .secret = "UTF-8" },
	{ .name = "a scheme stays", .format = P, .line = "a@b.org:{SSHA.HEX}00:::",
	  .user = "a@b.org", .secret = "{SSHA.HEX}00" },
	{ .name = "crypt gets its scheme", .format = P, .line = "a:$2y$05$x:1",
	  .user = "a", .secret = "{CRYPT}$2y$05$x" },
	{ .name = "DES", .format = H, .line = "a:abJnggxhB/yWI",
	  .user = "a", .secret = "{CRYPT}abJnggxhB/yWI" },
	{ .name = "BSDi", .format = H, .line = "a:_J9..rasmBYk8r9AiWNc",
	  .user = "a", .secret = "{CRYPT}_J9..rasmBYk8r9AiWNc" },
	{ .name = "no hash at all", .format = P, .line = "a:hello",
	  .r = ERR_FORMAT, .user = "a", .secret = "neither" },
	{ .name = "trailing blanks of a hash", .format = H,
	  .line = "a:{SHA}AAAA  ", .user = "a", .secret = "{SHA}AAAA" },
	{ .name = "a blank within a hash", .format = H, .line = "a:{SHA}AA AA",
	  .r = ERR_FORMAT, .user = "a", .secret = "character" },
	{ .name = "nothing behind the scheme", .format = P, .line = "a:{SHA}",
	  .r = ERR_FORMAT, .user = "a", .secret = "nothing stands" },
	{ .name = "scheme not closed", .format = P, .line = "a:{SHA",
	  .r = ERR_FORMAT, .user = "a", .secret = "{SCHEME}" },
	{ .name = "no password", .format = P, .line = "a::1000",
	  .r = ERR_FORMAT, .user = "a", .secret = "no password" },
	{ .name = "locked with its hash", .format = P, .line = "a:!!$6$x$y",
	  .user = "a", .secret = "{CRYPT}$6$x$y", .disabled = true },
	{ .name = "locked", .format = P, .line = "a:*:1:1", .r = ERR_FORMAT,
	  .user = "a", .secret = "locked" },
	{ .name = "shadowed", .format = P, .line = "a:x:1:1", .r = ERR_FORMAT,
	  .user = "a", .secret = "locked" },
	{ .name = "no colon", .format = P, .line = "anna", .r = ERR_FORMAT,
	  .user = "", .secret = "USER:HASH" },
	{ .name = "no name", .format = P, .line = ":{SHA}AAAA",
	  .r = ERR_FORMAT, .user = "", .secret = "no name" },
	{ .name = "control in the name", .format = P, .line = "a\tb:{SHA}AAAA",
	  .r = ERR_FORMAT, .user = "", .secret = "control" },
	{ .name = "all fields", .format = P,
	  .line = "anna:{SHA}AA:1:2:Anna M,room 1:/home/anna:/bin/sh:"
	  "userdb_quota_rule=*:storage=2G userdb_mail=maildir:~/Maildir:INDEX=x"
	  "  allow_nets=10.0.0.0/8 nologin", .user = "anna",
	  .secret = "{SHA}AA", .note = "Anna M", .disabled = true,
	  .maildir = "/home/anna/Maildir", .quota = UINT64_C(2) << 30,
	  .lost = "allow_nets" },
	{ .name = "quota in KiB", .format = P,
	  .line = "a:{SHA}AA::::::userdb_quota_rule=*:storage=10",
	  .user = "a", .secret = "{SHA}AA", .quota = 10240 },
	{ .name = "quota in octets", .format = P,
	  .line = "a:{SHA}AA::::::userdb_quota_rule=*:bytes=10",
	  .user = "a", .secret = "{SHA}AA", .quota = 10 },
	{ .name = "mail by %h", .format = P,
	  .line = "a:{SHA}AA::::/v/a::userdb_mail=maildir:%h/m",
	  .user = "a", .secret = "{SHA}AA", .maildir = "/v/a/m" },
	{ .name = "mail by a variable we have not", .format = P,
	  .line = "a:{SHA}AA::::/v/a::userdb_mail=maildir:/v/%u",
	  .user = "a", .secret = "{SHA}AA" },
	{ .name = "htpasswd has two fields", .format = H,
	  .line = "a:{PLAIN}x:y", .user = "a", .secret = "x:y", .plain = true },
	{ .name = "a passwd-file taken for htpasswd", .format = H,
	  .line = "a:$1$aaaaaaaa$NwEcCBudWw20g0sHxX6ED.:1:1::/home/a:",
	  .r = ERR_FORMAT, .user = "a", .secret = "passwd-file" },
	{ .name = "sasldb2", .format = S, .line = "YQ== Yi5vcmc= cHc6MQ==",
	  .user = "a", .secret = "pw:1", .plain = true },
	{ .name = "sasldb2, two fields", .format = S, .line = "YQ== Yi5vcmc=",
	  .r = ERR_FORMAT, .user = "a", .secret = "empty" },
	{ .name = "sasldb2, no base64", .format = S, .line = "YQ== !! cHc=",
	  .r = ERR_FORMAT, .user = "a", .secret = "malformed" },
	{ .name = "sasldb2, a NUL", .format = S, .line = "YQ== Yg== cAB3",
	  .r = ERR_FORMAT, .user = "a", .secret = "UTF-8" },
};

static void
t_lines(void **state)
{
	struct import_line l;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct row *w = &rows[i];
		int r;

		e = (struct err){ 0 };
		r = import_line_parse(w->format, w->line, strlen(w->line), &l,
		    &e);
		if (r != w->r)
			fail_msg("%s: %d (%s)", w->name, r, e.text);
		if (r == 1)
			continue;
		if (strcmp(l.name, w->user) != 0)
			fail_msg("%s: name %s", w->name, l.name);
		if (r != 0 && (strstr(e.text, w->secret) == NULL ||
		    l.secret[0] != '\0'))
			fail_msg("%s: said \"%s\"", w->name, e.text);
		if (r != 0)
			continue;
		if (strcmp(l.secret, w->secret) != 0 || l.plain != w->plain)
			fail_msg("%s: secret %s", w->name, l.secret);
		if (l.disabled != w->disabled || l.quota_octets != w->quota ||
		    l.has_quota != (w->quota != 0))
			fail_msg("%s: disabled or quota", w->name);
		if (strcmp(l.note, w->note ? w->note : "") != 0 ||
		    strcmp(l.maildir, w->maildir ? w->maildir : "") != 0 ||
		    strcmp(l.lost, w->lost ? w->lost : "") != 0)
			fail_msg("%s: note %s maildir %s lost %s", w->name,
			    l.note, l.maildir, l.lost);
	}
}

static void
t_long(void **state)
{
	struct import_line l;
	struct err e = { 0 };
	char line[2000];

	(void)state;
	memset(line, 'x', sizeof(line));
	memcpy(line, "a:{SHA}", 7);
	assert_int_equal(import_line_parse(P, line, 519, &l, &e), ERR_LIMIT);
	assert_int_equal(import_line_parse(P, line, 513, &l, &e), 0);
	memcpy(line, "a:{PLAIN}", 9);
	assert_int_equal(import_line_parse(P, line, 9 + 1024, &l, &e), 0);
	assert_int_equal(import_line_parse(P, line, 1999, &l, &e), ERR_FORMAT);
	memset(line, 'x', sizeof(line));
	line[400] = ':';
	assert_int_equal(import_line_parse(P, line, 500, &l, &e), ERR_FORMAT);
}

static void
t_detect(void **state)
{
	static const struct {
		const char		*name;
		const char		*head;
		size_t			 len;
		enum import_format	 f;
	} heads[] = {
		{ "empty", "", 0, IMPORT_PASSWD },
		{ "json", "\n {\"user\":", 9, IMPORT_JSON },
		{ "one colon", "# c:d:e\na:b\n", 12, IMPORT_HTPASSWD },
		{ "one colon, a scheme", "a:{SSHA}b\n", 10, IMPORT_PASSWD },
		{ "many colons", "a:b:c\n", 6, IMPORT_PASSWD },
		{ "hash file", "\0\0\0\0\1\0\0\0\0\0\0\0\x61\x15\6\0", 16,
		  IMPORT_SASLDB },
		{ "btree, the other end", "\0\0\0\0\1\0\0\0\0\0\0\0\0\5\x31\x62",
		  16, IMPORT_SASLDB },
		{ "cut short", "\0\0\0\0\1\0\0\0\0\0\0\0\x61\x15\6", 15,
		  IMPORT_PASSWD },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(heads) / sizeof(heads[0]); i++)
		if (import_detect(heads[i].head, heads[i].len) != heads[i].f)
			fail_msg("%s", heads[i].name);
	for (int f = IMPORT_AUTO; f < IMPORT_FORMAT__END; f++)
		assert_int_equal(import_format_of(import_format_name(
		    (enum import_format)f)), f);
	assert_int_equal(import_format_of("ldif"), IMPORT_FORMAT__END);
}

static void
t_user(void **state)
{
	static const struct {
		const char *name, *domain, *user;
	} users[] = {
		{ "Anna", "example.org", "anna@example.org" },
		{ "Anna@Other.ORG", "example.org", "anna@other.org" },
		{ "anna", NULL, NULL }, { "a b", "example.org", NULL },
		{ "anna@[127.0.0.1]", NULL, NULL }, { "anna@", NULL, NULL },
		{ "anna", "vm", NULL },
	};
	char user[MAILBOX_SIZE];
	struct err e = { 0 };

	(void)state;
	for (size_t i = 0; i < sizeof(users) / sizeof(users[0]); i++) {
		int r = import_user(users[i].name, users[i].domain, user, &e);

		if (users[i].user == NULL ? r != ERR_FORMAT :
		    r != 0 || strcmp(user, users[i].user) != 0)
			fail_msg("%s: %s", users[i].name, user);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(t_lines), cmocka_unit_test(t_long),
		cmocka_unit_test(t_detect), cmocka_unit_test(t_user),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
