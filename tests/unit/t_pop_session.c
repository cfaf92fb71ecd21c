/*
 * t_pop_session.c - POP3 sessions without a network (pop_fake.h): what a client
 * says, what it is told, and what happens to its maildrop.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "tests/unit/pop_fake.h"

#define CLEAR_CAPA	"TOP\r\nUIDL\r\nRESP-CODES\r\nAUTH-RESP-CODE\r\n" \
			"PIPELINING\r\n"
#define LAST_CAPA	"EXPIRE NEVER\r\nLOGIN-DELAY 0\r\nUTF8 USER\r\nLANG\r\n" \
			"IMPLEMENTATION submitd\r\n.\r\n"
#define TLS_CAPA	CLEAR_CAPA "USER\r\nSASL SCRAM-SHA-256-PLUS PLAIN LOGIN\r\n" \
			LAST_CAPA
#define WRONG		"-ERR [AUTH] User name or password is wrong\r\n"
#define NOT_OFFERED	"-ERR Authentication mechanism not offered: choose " \
			"another one in your mail program, as a rule " \
			"\"normal password\"\r\n"
#define NO_LANG		"-ERR There is no such language here\r\n"
#define BARE		"-ERR Lines end with CR LF and hold no NUL\r\n"
#define TLS_ONLY	"-ERR This server takes passwords over TLS only: set " \
			"your mail program to use STARTTLS (STLS) or SSL/TLS\r\n"
/* base64 of "\0alice@example.org\0pass word" and of another password */
#define RIGHT64		"AGFsaWNlQGV4YW1wbGUub3JnAHBhc3Mgd29yZA=="
#define DIGEST		"abcd0000000000000000000000000000"
#define WRONG64		"AGFsaWNlQGV4YW1wbGUub3JnAHgg"

enum from { CLEAR, SECURED, IN };	/* STLS not yet, TLS, logged in */

/* What is said in one piece and what is answered; everything also octet by
 * octet, except where `whole` (what stands behind STLS counts). */
static const struct talk {
	const char	*name;
	enum from	 from;
	const char	*say;
	const char	*want;
	const char	*removed;	/* afterwards; NULL: nothing */
	int		 closed;
	int		 whole;
} talks[] = {
	{ .name = "capa in clear", .from = CLEAR, .say = "CAPA\r\n",
	    .want = "+OK Capability list follows\r\n" CLEAR_CAPA "STLS\r\n"
	    LAST_CAPA },
	{ .name = "capa under TLS", .from = SECURED, .say = "capa\r\n",
	    .want = "+OK Capability list follows\r\n" TLS_CAPA },
	{ .name = "capa logged in", .from = IN, .say = "CAPA\r\n",
	    .want = "+OK Capability list follows\r\n" TLS_CAPA },
	{ .name = "no login in clear", .from = CLEAR,
	    .say = "USER a\r\nPASS b\r\nAUTH PLAIN\r\nAUTH\r\nAPOP a "
	    DIGEST "\r\n",
	    .want = TLS_ONLY TLS_ONLY TLS_ONLY TLS_ONLY TLS_ONLY },
	{ .name = "a USER in clear is forgotten", .from = CLEAR, .whole = 1,
	    .say = "USER alice@example.org\r\nSTLS\r\n|PASS pass word\r\n",
	    .want = TLS_ONLY "+OK Begin TLS negotiation\r\n"
	    "-ERR USER comes first\r\n" },
	{ .name = "octets behind STLS", .from = CLEAR, .whole = 1, .closed = 1,
	    .say = "STLS\r\nUSER alice@example.org\r\n",
	    .want = "-ERR Commands behind STLS\r\n" },
	{ .name = "half a line behind STLS", .from = CLEAR, .whole = 1,
	    .closed = 1, .say = "STLS\r\nU",
	    .want = "-ERR Commands behind STLS\r\n" },
	{ .name = "STLS under TLS", .from = SECURED, .say = "STLS\r\n",
	    .want = "-ERR TLS is active already\r\n" },
	{ .name = "STLS logged in", .from = IN, .say = "STLS\r\n",
	    .want = "-ERR Only before login\r\n" },
	{ .name = "user and pass", .from = SECURED,
	    .say = "USER alice@example.org\r\nPASS pass word\r\nSTAT\r\n",
	    .want = "+OK Send the password\r\n+OK 3 messages (55 octets)\r\n"
	    "+OK 3 55\r\n" },
	{ .name = "wrong password", .from = SECURED,
	    .say = "USER alice@example.org\r\nPASS pass  word\r\n"
	    "PASS pass word\r\n",
	    .want = "+OK Send the password\r\n" WRONG
	    "-ERR USER comes first\r\n" },
	{ .name = "unknown user", .from = SECURED,
	    .say = "USER nobody\r\nPASS x\r\n",
	    .want = "+OK Send the password\r\n" WRONG },
	{ .name = "no name, no password", .from = SECURED,
	    .say = "USER\r\nPASS x\r\nUSER a\r\nPASS\r\n",
	    .want = "-ERR USER needs a name\r\n-ERR USER comes first\r\n"
	    "+OK Send the password\r\n" WRONG },
	{ .name = "capa between", .from = SECURED,
	    .say = "USER alice@example.org\r\nCAPA\r\nPASS pass word\r\n",
	    .want = "+OK Send the password\r\n+OK Capability list follows\r\n"
	    TLS_CAPA "+OK 3 messages (55 octets)\r\n" },
	{ .name = "auth with initial response", .from = SECURED,
	    .say = "auth plain " RIGHT64 "\r\n",
	    .want = "+OK 3 messages (55 octets)\r\n" },
	{ .name = "auth with challenge", .from = SECURED,
	    .say = "AUTH PLAIN\r\n" RIGHT64 "\r\nAUTH\r\n",
	    .want = "+ \r\n+OK 3 messages (55 octets)\r\n"
	    "-ERR You are logged in already\r\n" },
	{ .name = "auth wrong", .from = SECURED,
	    .say = "AUTH PLAIN " WRONG64 "\r\nAUTH PLAIN\r\n" WRONG64 "\r\n",
	    .want = WRONG "+ \r\n" WRONG },
	{ .name = "auth given up", .from = SECURED,
	    .say = "AUTH PLAIN\r\n*\r\nCAPA x\r\n",
	    .want = "+ \r\n-ERR Given up, as you asked\r\n"
	    "-ERR CAPA takes no argument\r\n" },
	{ .name = "auth not base64", .from = SECURED,
	    .say = "AUTH PLAIN\r\nAGE \r\nAUTH PLAIN AGE\r\n"
	    "AUTH PLAIN AB==\r\nAUTH PLAIN A G\r\n",
	    .want = "+ \r\n-ERR The response cannot be read\r\n"
	    "-ERR The response cannot be read\r\n"
	    "-ERR The response cannot be read\r\n"
	    "-ERR The response cannot be read\r\n" },
	{ .name = "auth empty initial response", .from = SECURED,
	    .say = "AUTH PLAIN =\r\n", .want = WRONG },
	{ .name = "auth other mechanism", .from = SECURED,
	    .say = "AUTH CRAM-MD5\r\n"
	    "AUTH XXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXXX\r\n",
	    .want = NOT_OFFERED
	    NOT_OFFERED },
	{ .name = "auth alone", .from = SECURED, .say = "AUTH\r\n",
	    .want = "+OK Mechanisms follow\r\nSCRAM-SHA-256-PLUS\r\nPLAIN\r\n"
	    "LOGIN\r\n.\r\n" },
	{ .name = "the first challenge is ours", .from = SECURED,
	    .say = "AUTH SCRAM-SHA-256-PLUS\r\n" RIGHT64 "\r\nNOOP\r\n",
	    .want = "+ \r\n" NOT_OFFERED
	    "-ERR Log in first\r\n" },
	{ .name = "the first challenge given up", .from = SECURED,
	    .say = "AUTH SCRAM-SHA-256-PLUS\r\n*\r\nAUTH "
	    "SCRAM-SHA-256-PLUS\r\nA\r\nAUTH PLAIN " RIGHT64 "\r\n",
	    .want = "+ \r\n-ERR Given up, as you asked\r\n+ \r\n"
	    "-ERR The response cannot be read\r\n"
	    "+OK 3 messages (55 octets)\r\n" },
	{ .name = "apop where there is none", .from = SECURED,
	    .say = "APOP alice@example.org " DIGEST "\r\n"
	    "AUTH APOP\r\n",
	    .want = NOT_OFFERED
	    NOT_OFFERED },
	{ .name = "a bare LF for a response", .from = SECURED, .whole = 1,
	    .say = "AUTH PLAIN\r\n|AA\n|NOOP\r\n",
	    .want = "+ \r\n" BARE "-ERR Log in first\r\n" },
	{ .name = "too many failures", .from = SECURED, .closed = 1,
	    .say = "AUTH PLAIN AAA=\r\nAUTH PLAIN AAA=\r\nAUTH PLAIN AAA=\r\n"
	    "AUTH PLAIN AAA=\r\nAUTH PLAIN AAA=\r\nAUTH PLAIN AAA=\r\n",
	    .want = WRONG WRONG WRONG WRONG WRONG },
	{ .name = "utf8 at any time before login", .from = CLEAR, .whole = 1,
	    .say = "utf8\r\n|STLS\r\n|UTF8\r\n|USER alice@example.org\r\n|"
	    "UTF8\r\n|PASS pass word\r\n|UTF8\r\n",
	    .want = "+OK UTF-8 it is\r\n+OK Begin TLS negotiation\r\n"
	    "+OK UTF-8 it is\r\n+OK Send the password\r\n"
	    "+OK UTF-8 it is\r\n+OK 3 messages (55 octets)\r\n"
	    "-ERR You are logged in already\r\n" },
	{ .name = "utf8 takes no argument", .from = SECURED,
	    .say = "UTF8 USER\r\n",
	    .want = "-ERR UTF8 takes no argument\r\n" },
	{ .name = "languages", .from = CLEAR, .say = "LANG\r\n",
	    .want = "+OK Languages follow\r\nen English\r\n"
	    "i-default Default language\r\n.\r\n" },
	{ .name = "a language", .from = IN,
	    .say = "LANG *\r\nlang EN\r\nLANG en-GB\r\nLANG en-x-a\r\n"
	    "LANG I-DEFAULT\r\nLANG de\r\nLANG e\r\nLANG -\r\nLANG en en\r\n"
	    "LANG i\r\nLANG *-en\r\n",
	    .want = "+OK i-default Language changed\r\n"
	    "+OK en Language changed\r\n+OK en Language changed\r\n"
	    "+OK en Language changed\r\n+OK i-default Language changed\r\n"
	    NO_LANG NO_LANG NO_LANG NO_LANG NO_LANG NO_LANG },
	{ .name = "quit before login", .from = SECURED, .closed = 1,
	    .say = "QUIT\r\nCAPA\r\n", .want = "+OK Bye\r\n" },
	{ .name = "stat and lists", .from = IN,
	    .say = "STAT\r\nLIST\r\nLIST 2\r\nUIDL\r\nUIDL 3 \r\n",
	    .want = "+OK 3 55\r\n+OK 3 messages (55 octets)\r\n1 31\r\n"
	    "2 24\r\n3 0\r\n.\r\n+OK 2 24\r\n+OK 3 messages\r\n1 uid1\r\n"
	    "2 uid2\r\n3 uid3\r\n.\r\n+OK 3 uid3\r\n" },
	{ .name = "retr", .from = IN, .say = "RETR 1\r\nRETR 2\r\nRETR 3\r\n",
	    .want = "+OK Message follows\r\nSubject: one\r\n\r\nhello\r\n..\r\n"
	    "...x\r\n.\r\n+OK Message follows\r\nSubject: two\r\n\r\nb1\r\n"
	    "b2\r\n.\r\n+OK Message follows\r\n.\r\n" },
	{ .name = "top", .from = IN, .say = "TOP 1 0\r\nTOP 2 1\r\nTOP 3 5\r\n",
	    .want = "+OK Top follows\r\nSubject: one\r\n\r\n.\r\n"
	    "+OK Top follows\r\nSubject: two\r\n\r\nb1\r\n.\r\n"
	    "+OK Top follows\r\n.\r\n" },
	{ .name = "odd arguments", .from = IN,
	    .say = "RETR\r\nRETR x\r\nRETR 0\r\nRETR 4\r\nRETR -1\r\n"
	    "RETR 1 1\r\nRETR 18446744073709551617\r\nTOP 1\r\nTOP 1 x\r\n"
	    "TOP 1 -1\r\nTOP 1 1 1\r\nDELE +1\r\nRETR 01\r\n",
	    .want = "-ERR A message number is expected\r\n"
	    "-ERR A message number is expected\r\n-ERR No such message\r\n"
	    "-ERR No such message\r\n-ERR A message number is expected\r\n"
	    "-ERR One message number is expected\r\n-ERR No such message\r\n"
	    "-ERR TOP needs a number of lines\r\n"
	    "-ERR TOP needs a number of lines\r\n"
	    "-ERR TOP needs a number of lines\r\n"
	    "-ERR TOP needs a number of lines\r\n"
	    "-ERR A message number is expected\r\n"
	    "+OK Message follows\r\nSubject: one\r\n\r\nhello\r\n..\r\n"
	    "...x\r\n.\r\n" },
	{ .name = "a deleted message is invisible", .from = IN,
	    .say = "DELE 1\r\nSTAT\r\nLIST\r\nUIDL\r\nLIST 1\r\nUIDL 1\r\n"
	    "RETR 1\r\nTOP 1 0\r\nDELE 1\r\n",
	    .want = "+OK Deleted\r\n+OK 2 24\r\n+OK 2 messages (24 octets)\r\n"
	    "2 24\r\n3 0\r\n.\r\n+OK 2 messages\r\n2 uid2\r\n3 uid3\r\n.\r\n"
	    "-ERR That message is deleted\r\n-ERR That message is deleted\r\n"
	    "-ERR That message is deleted\r\n-ERR That message is deleted\r\n"
	    "-ERR That message is deleted\r\n" },
	{ .name = "rset undoes", .from = IN, .closed = 1,
	    .say = "DELE 1\r\nDELE 2\r\nRSET\r\nSTAT\r\nQUIT\r\n",
	    .want = "+OK Deleted\r\n+OK Deleted\r\n"
	    "+OK 3 messages (55 octets)\r\n+OK 3 55\r\n+OK Bye\r\n" },
	{ .name = "quit removes", .from = IN, .closed = 1, .removed = "13",
	    .say = "DELE 1\r\nDELE 3\r\nQUIT\r\nNOOP\r\n",
	    .want = "+OK Deleted\r\n+OK Deleted\r\n+OK Bye\r\n" },
	{ .name = "eof removes nothing", .from = IN,
	    .say = "DELE 1\r\nQUIT", .want = "+OK Deleted\r\n" },
	{ .name = "quit with an argument is none", .from = IN,
	    .say = "DELE 1\r\nQUIT now\r\n",
	    .want = "+OK Deleted\r\n-ERR QUIT takes no argument\r\n" },
	{ .name = "commands of before", .from = IN,
	    .say = "USER a\r\nPASS b\r\nAPOP a b\r\nNOOP\r\n\r\n",
	    .want = "-ERR You are logged in already\r\n"
	    "-ERR You are logged in already\r\n-ERR You are logged in already\r\n"
	    "+OK Done\r\n-ERR Unknown command\r\n" },
	{ .name = "bare LF", .from = IN, .whole = 1, .say = "NOOP\n|NOOP\r\n",
	    .want = BARE "+OK Done\r\n" },
	{ .name = "too many bad ones", .from = SECURED, .closed = 1,
	    .say = "X\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\n"
	    "X\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\nX\r\n",
	    .want = "-ERR Unknown command\r\n-ERR Unknown command\r\n"
	    "-ERR Unknown command\r\n-ERR Unknown command\r\n"
	    "-ERR Unknown command\r\n-ERR Unknown command\r\n"
	    "-ERR Unknown command\r\n-ERR Unknown command\r\n"
	    "-ERR Unknown command\r\n-ERR Unknown command\r\n"
	    "-ERR Unknown command\r\n-ERR Unknown command\r\n"
	    "-ERR Unknown command\r\n-ERR Unknown command\r\n"
	    "-ERR Unknown command\r\n-ERR Unknown command\r\n"
	    "-ERR Unknown command\r\n-ERR Unknown command\r\n"
	    "-ERR Unknown command\r\n-ERR Unknown command\r\n"
	    "-ERR Too many bad commands: error_limit = 20\r\n" },
};

/* Where a '|' stands in `say`, the piece ends. */
static void
talk_say(const struct talk *t, size_t piece)
{
	char *copy = strdup(t->say), *p, *save = NULL;

	if (t->whole)
		for (p = strtok_r(copy, "|", &save); p != NULL;
		    p = strtok_r(NULL, "|", &save))
			fake_say(p);
	else
		fake_send(copy, strlen(copy), piece);
	free(copy);
}

static void
talk_try(const struct talk *t, size_t piece)
{
	fake_new(t->from == CLEAR ? FAKE_POP3 : FAKE_POP3S);
	if (t->from == IN)
		fake_login();
	assert_int_equal(fake_drop_is_open(), t->from == IN);
	fake_clear();
	talk_say(t, piece);
	assert_string_equal(fake_output(), t->want);
	assert_int_equal(fake_is_closed(), t->closed);
	fake_gone("eof");
	assert_string_equal(fake_removed(), t->removed == NULL ? "" :
	    t->removed);
	assert_int_equal(fake_open_exchanges(), 0);
	fake_free();
}

static void
test_talks(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(talks) / sizeof(talks[0]); i++) {
		print_message("%s\n", talks[i].name);
		talk_try(&talks[i], 100000);
		if (talks[i].whole)
			continue;
		talk_try(&talks[i], 1);
		talk_try(&talks[i], 7);
	}
}

/* ---------------------------------------------------- others that fail -- */

static void
test_greeting(void **state)
{
	(void)state;
	fake_new(FAKE_POP3);
	assert_string_equal(fake_output(), "+OK pop.example.org POP3 ready\r\n");
	assert_false(fake_is_secured());
	fake_free();
	fake_new(FAKE_POP3S);
	assert_string_equal(fake_output(), "+OK pop.example.org POP3 ready\r\n");
	assert_true(fake_is_secured());
	fake_free();
}

/* Before the greeting a client is silent, or never hears it. */
static void
test_silence(void **state)
{
	(void)state;
	fake_new_silent();
	assert_string_equal(fake_output(), "");
	fake_end_silence();
	assert_string_equal(fake_output(), "+OK pop.example.org POP3 ready\r\n");
	fake_free();

	fake_new_silent();
	fake_send("\x16\x03\x01\x02\x00\x01", 6, 6);
	assert_string_equal(fake_output(), "\x15\x03\x01");	/* … and a 0 */
	assert_true(fake_is_closed());
	fake_end_silence();
	fake_free();

	fake_new_silent();
	fake_say("CAPA\r\n");
	assert_string_equal(fake_output(), "-ERR Wait for the greeting before "
	    "you send anything\r\n");
	assert_true(fake_is_closed());
	fake_free();

	fake_new_silent();
	fake_gone("eof");
	assert_string_equal(fake_output(), "");
	assert_true(fake_is_closed());
	fake_free();
}

/* The time-stamp is an other one each time, and only where it is of use. */
static void
test_apop(void **state)
{
	static const struct {
		const char	*say, *want;
	} rows[] = {
		{ "APOP alice@example.org " DIGEST "\r\n",
		    "+OK 3 messages (55 octets)\r\n" },
		{ "apop alice@example.org ABCD0000000000000000000000000000\r\n",
		    "+OK 3 messages (55 octets)\r\n" },
		{ "APOP alice@example.org abce0000000000000000000000000000\r\n",
		    WRONG },
		{ "APOP nobody " DIGEST "\r\n", WRONG },
		{ "APOP no body " DIGEST "\r\n", WRONG },
		{ "APOP\r\n", "-ERR The response cannot be read\r\n" },
		{ "APOP  " DIGEST "\r\n",
		    "-ERR The response cannot be read\r\n" },
		{ "APOP alice@example.org\r\n",
		    "-ERR The response cannot be read\r\n" },
		{ "APOP alice@example.org abcd\r\n",
		    "-ERR The response cannot be read\r\n" },
		{ "APOP alice@example.org x" DIGEST "\r\n",
		    "-ERR The response cannot be read\r\n" },
	};
	char first[128] = "";

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s", rows[i].say);
		fake_new_with_secrets(i % 2 == 0 ? FAKE_POP3S : FAKE_POP3);
		assert_memory_equal(fake_output(),
		    "+OK pop.example.org POP3 ready <", 32);
		assert_non_null(strstr(fake_output(), "@pop.example.org>\r\n"));
		assert_string_not_equal(fake_output(), first);
		snprintf(first, sizeof(first), "%s", fake_output());
		if (!fake_is_secured())
			fake_say("STLS\r\n");
		fake_clear();
		fake_say(rows[i].say);
		assert_string_equal(fake_output(), rows[i].want);
		assert_int_equal(fake_drop_is_open(), rows[i].want[0] == '+');
		fake_free();
	}
}

static void
test_kick(void **state)
{
	(void)state;
	fake_new(FAKE_POP3S);
	assert_string_equal(fake_who(), ".");
	fake_login();
	assert_string_equal(fake_who(), "alice@example.org.");
	fake_say("DELE 1\r\n");
	fake_kick("bob@example.org");
	assert_false(fake_is_closed());
	fake_kick("alice@example.org");
	assert_true(fake_is_closed());
	assert_string_equal(fake_removed(), "");
	assert_string_equal(fake_who(), ".");
	fake_free();
	fake_new(FAKE_POP3S);
	fake_login();
	fake_kick("");
	fake_kick("");
	assert_true(fake_is_closed());
	fake_free();
	/* Who is not logged in stays. */
	fake_new(FAKE_POP3S);
	fake_set_mbox(MBOXC_INUSE, MBOXC_OK, MBOXC_OK);
	fake_login();
	assert_string_equal(fake_who(), ".");
	fake_kick("");
	assert_false(fake_is_closed());
	fake_free();
}

static void
test_takeover(void **state)
{
	static const struct {
		const char	*name;
		int		 in;
		uint64_t	 takeover_s;
		int64_t		 silent_ms;
		int		 closed;
	} rows[] = {
		{ "silent", 1, 60, 60000, 1 },
		{ "not yet", 1, 60, 59000, 0 },
		{ "switched off", 1, 0, 600000, 0 },
		{ "not logged in", 0, 60, 600000, 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		print_message("%s\n", rows[i].name);
		fake_new(FAKE_POP3S);
		fake_set_policy(0, 0, rows[i].takeover_s);
		if (rows[i].in) {
			fake_login();
			fake_say("DELE 1\r\n");
		}
		fake_clear();
		fake_wanted(rows[i].silent_ms);
		assert_string_equal(fake_output(), "");
		assert_int_equal(fake_is_closed(), rows[i].closed);
		assert_string_equal(fake_removed(), "");
		fake_free();
	}
}

/* RFC 1939 section 3: ten minutes at least, whatever idle_timeout is (5 here),
 * and at its end no reply and no removal. */
static void
test_rfc1939_3_idle(void **state)
{
	(void)state;
	fake_new(FAKE_POP3S);
	assert_int_equal(fake_deadline_ms(), 600000);
	fake_login();
	assert_int_equal(fake_deadline_ms(), 600000);
	fake_say("DELE 1\r\n");
	fake_clear();
	fake_gone("timeout");
	assert_string_equal(fake_output(), "");
	assert_true(fake_is_closed());
	assert_string_equal(fake_removed(), "");
	fake_free();
}

/* What the administrator has set is told in all states. */
static void
test_policy(void **state)
{
	(void)state;
	fake_new(FAKE_POP3);
	fake_set_policy(30, 120, 60);
	for (int i = 0; i < 3; i++) {
		fake_clear();
		fake_say("CAPA\r\n");
		assert_non_null(strstr(fake_output(), "\r\nEXPIRE 30\r\n"));
		assert_non_null(strstr(fake_output(),
		    "\r\nLOGIN-DELAY 120\r\n"));
		if (i == 0)
			fake_say("STLS\r\n");
		else if (i == 1)
			fake_login();
	}
	fake_free();
}

/* RFC 6856 section 2.1 */
static void
test_utf8_message(void **state)
{
	static const struct {
		const char	*file, *say, *plain, *utf8;
	} rows[] = {
		{ "Subject: \u00e9\n\n\u00e9\n", "RETR 1\r\n",
		    "+OK Message follows\r\nSubject: =?utf-8?Q?=C3=A9?=\r\n"
		    "\r\n\u00e9\r\n.\r\n",
		    "+OK Message follows\r\nSubject: \u00e9\r\n\r\n\u00e9\r\n"
		    ".\r\n" },
		{ "Subject: \u00e9\n\na\nb\n", "TOP 1 1\r\n",
		    "+OK Top follows\r\nSubject: =?utf-8?Q?=C3=A9?=\r\n"
		    "\r\na\r\n.\r\n",
		    "+OK Top follows\r\nSubject: \u00e9\r\n\r\na\r\n.\r\n" },
		{ "Subject: \u00e9\n\na\n", "TOP 1 0\r\n",
		    "+OK Top follows\r\nSubject: =?utf-8?Q?=C3=A9?=\r\n"
		    "\r\n.\r\n",
		    "+OK Top follows\r\nSubject: \u00e9\r\n\r\n.\r\n" },
		{ "Subject: e\r\n\r\n\u00e9\r\n", "RETR 1\r\n",
		    "+OK Message follows\r\nSubject: e\r\n\r\n\u00e9\r\n.\r\n",
		    "+OK Message follows\r\nSubject: e\r\n\r\n\u00e9\r\n.\r\n" },
		{ "\n\u00e9: x\n\n", "RETR 1\r\n",
		    "+OK Message follows\r\n\r\n\u00e9: x\r\n\r\n.\r\n",
		    "+OK Message follows\r\n\r\n\u00e9: x\r\n\r\n.\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < 2 * sizeof(rows) / sizeof(rows[0]); i++) {
		fake_new(FAKE_POP3S);
		if (i % 2 == 1)
			fake_say("UTF8\r\n");
		fake_login();
		fake_set_file(rows[i / 2].file);
		fake_say(rows[i / 2].say);
		assert_string_equal(fake_output(), i % 2 == 1 ?
		    rows[i / 2].utf8 : rows[i / 2].plain);
		fake_free();
	}
}

/* Too long to be made into one of encoded-words: no stranger's message keeps a
 * program from those behind it. */
static void
test_utf8_too_long(void **state)
{
	const size_t size = 300 * 1024;
	char *file = malloc(size + 8);
	const char *out;

	(void)state;
	memset(file, 'x', size);
	for (size_t i = 70; i < size; i += 71)
		memcpy(file + i - 2, "\n ", 2);
	memcpy(file, "S: \u00e9", 5);
	memcpy(file + size - 3, "\u00e9\n", 3);
	memcpy(file + size, "\n\u00e9\n", 5);
	fake_new(FAKE_POP3S);
	fake_login();
	fake_set_file(file);
	fake_say("RETR 1\r\nNOOP\r\n");
	out = fake_output();
	assert_memory_equal(out, "+OK Message follows\r\nS: ??x", 27);
	assert_non_null(strstr(out, "x??\r\n\r\n\u00e9\r\n.\r\n+OK Done\r\n"));
	fake_free();
	free(file);
}

static void
test_without_certificate(void **state)
{
	(void)state;
	fake_new_without_tls();
	fake_clear();
	fake_say("CAPA\r\n");
	assert_string_equal(fake_output(), "+OK Capability list follows\r\n"
	    CLEAR_CAPA LAST_CAPA);
	fake_clear();
	fake_say("STLS\r\n");
	assert_string_equal(fake_output(),
	    "-ERR [SYS/TEMP] TLS is not available at the moment\r\n");
	fake_free();
}

static const struct login_case {
	const char		*name;
	enum authp_verdict	 authd;
	enum mboxc_verdict	 mbox;
	const char		*want;		/* how the reply begins */
} login_cases[] = {
	{ "good", AUTHP_OK, MBOXC_OK, "+OK 3 messages" },
	{ "bad password", AUTHP_BADCRED, MBOXC_OK, "-ERR [AUTH] " },
	{ "authd away", AUTHP_TEMP, MBOXC_OK, "-ERR [SYS/TEMP] " },
	{ "handle void", AUTHP_VOID, MBOXC_OK, "-ERR [SYS/TEMP] " },
	{ "nonsense", AUTHP_NOTSENDER, MBOXC_OK, "-ERR [SYS/TEMP] " },
	{ "in use", AUTHP_OK, MBOXC_INUSE, "-ERR [IN-USE] " },
	{ "mailbox fails", AUTHP_OK, MBOXC_TEMP, "-ERR [SYS/TEMP] " },
	{ "mailbox is broken", AUTHP_OK, MBOXC_PERM, "-ERR [SYS/PERM] " },
	{ "too soon", AUTHP_OK, MBOXC_DELAY, "-ERR [LOGIN-DELAY] " },
	{ "no such verdict", AUTHP_OK, MBOXC_GONE, "-ERR [SYS/TEMP] " },
	{ "ticket void", AUTHP_OK, MBOXC_VOID, "-ERR [SYS/TEMP] " },
	{ "popd-mbox away", AUTHP_OK, MBOXC_VERDICT__COUNT,
	    "-ERR [SYS/TEMP] " },
};

static void
test_login_failures(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(login_cases) / sizeof(login_cases[0]);
	    i++) {
		const struct login_case *c = &login_cases[i];

		print_message("%s\n", c->name);
		fake_new(FAKE_POP3S);
		fake_set_help("Call 1");
		fake_set_authd(c->authd);
		fake_set_mbox(c->mbox, MBOXC_OK, MBOXC_OK);
		fake_say("USER alice@example.org\r\n");
		fake_clear();
		fake_say("PASS pass word\r\n");
		assert_memory_equal(fake_output(), c->want, strlen(c->want));
		assert_int_equal(strstr(fake_output(), "Call 1") != NULL,
		    c->want[0] == '-');
		assert_int_equal(fake_names_session(), c->want[0] == '-');
		assert_false(fake_is_closed());
		/* It may try again in the same session. */
		fake_set_authd(AUTHP_OK);
		fake_set_mbox(MBOXC_OK, MBOXC_OK, MBOXC_OK);
		fake_login();
		assert_true(fake_drop_is_open());
		fake_free();
	}
}

static void
test_fetch_failures(void **state)
{
	(void)state;
	fake_new(FAKE_POP3S);
	fake_login();
	fake_set_mbox(MBOXC_OK, MBOXC_GONE, MBOXC_OK);
	fake_say("RETR 1\r\nNOOP\r\n");
	assert_string_equal(fake_output(),
	    "-ERR That message is not there any more\r\n+OK Done\r\n");
	fake_clear();
	fake_set_mbox(MBOXC_OK, MBOXC_TEMP, MBOXC_OK);
	fake_say("TOP 1 1\r\nNOOP\r\n");
	assert_string_equal(fake_output(), "-ERR [SYS/TEMP] The message cannot "
	    "be read at the moment, try again later\r\n+OK Done\r\n");
	fake_free();
}

static void
test_update_fails(void **state)
{
	(void)state;
	fake_new(FAKE_POP3S);
	fake_login();
	fake_set_mbox(MBOXC_OK, MBOXC_OK, MBOXC_TEMP);
	fake_say("DELE 1\r\nQUIT\r\n");
	assert_string_equal(fake_output(), "+OK Deleted\r\n-ERR [SYS/TEMP] "
	    "Some deleted messages were not removed\r\n");
	assert_true(fake_is_closed());
	fake_free();
}

static void
test_ends_that_remove_nothing(void **state)
{
	static const char *const whys[] = { "eof", "reset", "timeout", "mbox" };

	(void)state;
	for (size_t i = 0; i < 4; i++) {
		fake_new(FAKE_POP3S);
		fake_login();
		fake_say("DELE 1\r\n");
		fake_clear();
		if (strcmp(whys[i], "mbox") == 0)
			fake_lose_mbox();
		else
			fake_gone(whys[i]);
		assert_true(fake_is_closed());
		assert_string_equal(fake_removed(), "");
		assert_string_equal(fake_output(), "");	/* RFC 1939 section 3 */
		fake_free();
	}
}

/* ------------------------------------------------------------------ bounds */

static void
test_long_lines(void **state)
{
	size_t n = 3 * 1024 * 1024;
	char *text = malloc(n);

	(void)state;
	memset(text, 'A', n);
	fake_new(FAKE_POP3S);
	fake_clear();
	fake_send(text, n, 4096);		/* no line's end */
	assert_string_equal(fake_output(), "-ERR That line is too long\r\n");
	fake_say("\r\nNOOP\r\n");
	fake_say("AUTH PLAIN\r\n");
	fake_clear();
	fake_send(text, 20000, 4096);
	fake_say("\r\n");
	assert_string_equal(fake_output(), "-ERR That line is too long\r\n");
	assert_int_equal(fake_open_exchanges(), 0);
	fake_clear();
	/* 255 and 12,288 octets with CR LF just fit. */
	fake_send(text, 253, 4096);
	fake_say("\r\n");
	fake_say("AUTH PLAIN ");
	fake_send(text, 12288 - 13, 4096);
	fake_say("\r\n");
	assert_string_equal(fake_output(), "-ERR Unknown command\r\n"
	    "-ERR The response cannot be read\r\n");
	fake_free();
	free(text);
}

static void
test_big_message(void **state)
{
	size_t lines = 400000;
	char *text = malloc(lines * 3 + 1), *want;
	size_t n = 0;

	(void)state;
	for (size_t i = 0; i < lines; i++)
		memcpy(text + 3 * i, ".x\n", 3);
	text[lines * 3] = '\0';
	fake_new(FAKE_POP3S);
	fake_login();
	fake_set_file(text);
	fake_say("RETR 1\r\nNOOP\r\n");	/* fake_check(): never much pending */
	want = strdup(fake_output());
	for (char *p = strchr(want, '\n') + 1; memcmp(p, "..x\r\n", 5) == 0;
	    p += 5)
		n++;
	assert_int_equal(n, lines);
	assert_string_equal(want + strlen(want) - 15,
	    "\r\n.\r\n+OK Done\r\n");
	free(want);
	fake_free();
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_greeting),
		cmocka_unit_test(test_silence),
		cmocka_unit_test(test_talks),
		cmocka_unit_test(test_takeover),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_rfc1939_3_idle),
		cmocka_unit_test(test_utf8_message),
		cmocka_unit_test(test_utf8_too_long),
		cmocka_unit_test(test_without_certificate),
		cmocka_unit_test(test_apop),
		cmocka_unit_test(test_kick),
		cmocka_unit_test(test_login_failures),
		cmocka_unit_test(test_fetch_failures),
		cmocka_unit_test(test_update_fails),
		cmocka_unit_test(test_ends_that_remove_nothing),
		cmocka_unit_test(test_long_lines),
		cmocka_unit_test(test_big_message),
	};

	log_open("test", "test", "/dev/null");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
