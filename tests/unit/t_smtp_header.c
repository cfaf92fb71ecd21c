/*
 * t_smtp_header.c - the header section as it passes by: what is refused, what is
 * asked, what is added and taken out, with the input cut at every octet.
 */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "submitd/smtp/header.h"

#define DATE "Date: Sun, 22 Nov 2026 05:13:48 +0000\r\n"
#define MSGID "Message-ID: <id@host.example>\r\n"
#define ANNA "anna@example.org"
#define FROM "From: " ANNA "\r\n"
#define ADDED DATE MSGID
#define ALL FROM ADDED			/* to a header with none of them */
#define REST "Date: x\r\nMessage-ID: <y>\r\n"

#define X50 "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"

enum { REJECT = SENDER_REJECT, ADD = SENDER_ADD, LOGS = SENDER_LOG,
	NULL_SENDER = 4, SHADOW = 8, NO_USER = 16 };

struct kept {
	char	p[8192];
	size_t	len;
};

struct header_case {
	const char		*name;
	const char		*input;
	const char		*want;		/* NULL: refused */
	unsigned int		 how;
	enum smtp_header_fault	 fault;		/* found or logged */
	const char		*field;		/* at fault */
	const char		*asked;		/* "a b", NULL: nothing */
};

static const struct header_case fixups[] = {
	{ "all is there", FROM REST "\r\nbody\r\n", FROM REST "\r\nbody\r\n",
	    0, 0, NULL, NULL },
	{ "in any case", "FROM: " ANNA "\r\nDATE: x\r\nmessage-id: <y>\r\n\r\nb\r\n",
	    "FROM: " ANNA "\r\nDATE: x\r\nmessage-id: <y>\r\n\r\nb\r\n",
	    0, 0, NULL, NULL },
	{ "all is missing", "Subject: x\r\n\r\nbody\r\n",
	    "Subject: x\r\n" ALL "\r\nbody\r\n", 0, 0, NULL, NULL },
	{ "date missing", FROM "Message-ID: <y>\r\n\r\n",
	    FROM "Message-ID: <y>\r\n" DATE "\r\n", 0, 0, NULL, NULL },
	{ "id missing", FROM "Date: x\r\n\r\n", FROM "Date: x\r\n" MSGID "\r\n",
	    0, 0, NULL, NULL },
	{ "folded lines are passed", FROM "Subject: x\r\n Date: y\r\n\r\n",
	    FROM "Subject: x\r\n Date: y\r\n" ADDED "\r\n", 0, 0, NULL, NULL },
	{ "a tab folds", FROM "Subject: x\r\n\tFrom: y\r\n\r\n",
	    FROM "Subject: x\r\n\tFrom: y\r\n" ADDED "\r\n", 0, 0, NULL, NULL },
	{ "longer names are others", FROM "Dates: x\r\nMessage-IDs: y\r\n"
	    "Fromm: z\r\n\r\n", FROM "Dates: x\r\nMessage-IDs: y\r\nFromm: z"
	    "\r\n" ADDED "\r\n", 0, 0, NULL, NULL },
	{ "the body does not count", "Subject: x\r\n\r\n" FROM FROM,
	    "Subject: x\r\n" ALL "\r\n" FROM FROM, 0, 0, NULL, NULL },
	{ "no header", "hello there\r\n", ALL "\r\nhello there\r\n",
	    0, 0, NULL, NULL },
	{ "header is empty", "\r\nbody\r\n", ALL "\r\nbody\r\n",
	    0, 0, NULL, NULL },
	{ "nothing at all", "", ALL, 0, 0, NULL, NULL },
	{ "header only", "Subject: x\r\n", "Subject: x\r\n" ALL,
	    0, 0, NULL, NULL },
	{ "first line is folded", " x\r\n", ALL "\r\n x\r\n",
	    0, 0, NULL, NULL },
	{ "a line that is no field ends it", FROM "hello\r\n" FROM "\r\nb\r\n",
	    FROM ADDED "\r\nhello\r\n" FROM "\r\nb\r\n", 0, 0, NULL, NULL },
	{ "a line of mbox", "From x@y.example Sun Nov 22\r\n\r\nb\r\n",
	    ALL "\r\nFrom x@y.example Sun Nov 22\r\n\r\nb\r\n",
	    0, 0, NULL, NULL },
	{ "a colon alone is no field", ": x\r\n\r\n", ALL "\r\n: x\r\n\r\n",
	    0, 0, NULL, NULL },
	{ "two of them", "::\r\n\r\n", ALL "\r\n::\r\n\r\n",
	    0, 0, NULL, NULL },
	{ "empty fields", FROM "Date:\r\nMessage-ID:\r\n\r\n",
	    FROM "Date:\r\nMessage-ID:\r\n\r\n", 0, 0, NULL, NULL },
	{ "a name of 8 bits and no colon", "Gr\xc3\xbc\xc3\x9f Gott: x\r\n",
	    ALL "\r\nGr\xc3\xbc\xc3\x9f Gott: x\r\n", 0, 0, NULL, NULL },
	{ "a long name is no field", X50 X50 X50 ": x\r\n\r\n",
	    ALL "\r\n" X50 X50 X50 ": x\r\n\r\n", 0, 0, NULL, NULL },
	/* drop_headers */
	{ "Bcc goes", FROM REST "Bcc: a@b.example,\r\n c@d.example\r\nTo: x\r\n"
	    "\r\nBcc: y\r\n", FROM REST "To: x\r\n\r\nBcc: y\r\n",
	    0, 0, NULL, NULL },
	{ "more of them", "return-path: <x>\r\nBCC:\r\n" FROM REST
	    "Resent-Bcc: y\r\nBcc: z\r\n\r\n", FROM REST "\r\n",
	    0, 0, NULL, NULL },
	{ "nothing but what goes", "Bcc: x\r\n\r\nb\r\n", ALL "\r\nb\r\n",
	    0, 0, NULL, NULL },
	{ "Bccs stays", FROM REST "Bccs: x\r\n\r\n", FROM REST "Bccs: x\r\n\r\n",
	    0, 0, NULL, NULL },
	/* the rules */
	{ "two From", FROM FROM REST "\r\n", NULL, 0, SMTP_HEADER_TWICE, "From",
	    NULL },
	{ "two Sender", FROM "Sender: " ANNA "\r\nsender: " ANNA "\r\n" REST
	    "\r\n", NULL, 0, SMTP_HEADER_TWICE, "Sender", NULL },
	{ "two Date", FROM REST "date: y\r\n\r\n", NULL, 0, SMTP_HEADER_TWICE,
	    "Date", NULL },
	{ "two Message-ID", FROM REST "MESSAGE-ID: y\r\n\r\n", NULL, 0,
	    SMTP_HEADER_TWICE, "Message-ID", NULL },
	{ "two To", FROM REST "To: x\r\nCc: y\r\nTo: z\r\n\r\n", NULL, 0,
	    SMTP_HEADER_TWICE, "To", NULL },
	{ "two Cc", FROM REST "Cc: x\r\nCc: z\r\n\r\n", NULL, 0,
	    SMTP_HEADER_TWICE, "Cc", NULL },
	{ "two Subject", FROM REST "Subject: x\r\nSubject: z\r\n\r\n", NULL, 0,
	    SMTP_HEADER_TWICE, "Subject", NULL },
	{ "two Received", FROM REST "Received: x\r\nReceived: z\r\n\r\n",
	    FROM REST "Received: x\r\nReceived: z\r\n\r\n", 0, 0, NULL, NULL },
	{ "a space before the colon", "From : " ANNA "\r\n" REST "\r\n", NULL,
	    0, SMTP_HEADER_SPACE, "From", NULL },
	{ "a tab", FROM REST "X-Y\t: z\r\n\r\n", NULL, 0, SMTP_HEADER_SPACE,
	    "X-Y", NULL },
	{ "8 bits in a name", FROM "D\xc3\xa4te: x\r\n\r\n", NULL, 0,
	    SMTP_HEADER_NAME, "D\xc3\xa4te", NULL },
	{ "a control in a name", FROM "X\x01Y: x\r\n\r\n", NULL, 0,
	    SMTP_HEADER_NAME, "X\x01Y", NULL },
	{ "two From, logged", FROM FROM REST "\r\n", FROM FROM REST "\r\n",
	    SHADOW, SMTP_HEADER_TWICE, "From", NULL },
	{ "a space, logged", "From : " ANNA "\r\n" REST "\r\n",
	    "From : " ANNA "\r\n" REST "\r\n", SHADOW, SMTP_HEADER_SPACE,
	    "From", NULL },
	{ "From unreadable", "From: Anna\r\n\r\n", NULL, 0,
	    SMTP_HEADER_ADDRESS, "From", NULL },
	{ "From empty", "From:\r\n\r\n", NULL, 0, SMTP_HEADER_ADDRESS, "From",
	    NULL },
	{ "a group in From", "From: x: " ANNA ";\r\n\r\n", NULL, 0,
	    SMTP_HEADER_ADDRESS, "From", NULL },
	{ "unreadable, logged", "From: Anna\r\n" REST "\r\n",
	    "From: Anna\r\n" REST "\r\n", SHADOW | LOGS, SMTP_HEADER_ADDRESS,
	    "From", NULL },
	{ "unreadable, but senders count", "From: Anna\r\n" REST "\r\n", NULL,
	    SHADOW, SMTP_HEADER_ADDRESS, "From", NULL },
	{ "resent by a neighbour, Sender added", "Resent-From: " ANNA "\r\nFrom: "
	    "bob@example.org\r\n" REST "\r\n", NULL, ADD, SMTP_HEADER_FOREIGN,
	    "From", "bob@example.org" },
	{ "two in Sender", FROM "Sender: " ANNA ", " ANNA "\r\n" REST "\r\n",
	    NULL, 0, SMTP_HEADER_ADDRESS, "Sender", NULL },
	{ "no From, no sender", "Subject: x\r\n\r\n", NULL, NULL_SENDER,
	    SMTP_HEADER_NO_FROM, "From", NULL },
	{ "the same, logged", "Subject: x\r\n" REST "\r\n",
	    "Subject: x\r\n" REST "\r\n", NULL_SENDER | SHADOW,
	    SMTP_HEADER_NO_FROM, "From", NULL },
	/* whose it is */
	{ "the sender in other letters", "From: \"A\" <Anna@Example.ORG>\r\n" REST
	    "\r\n", "From: \"A\" <Anna@Example.ORG>\r\n" REST "\r\n",
	    0, 0, NULL, NULL },
	{ "another own one", "From: own@example.org\r\n" REST "\r\nb\r\n",
	    "From: own@example.org\r\n" REST "\r\nb\r\n", 0, 0, NULL,
	    "own@example.org" },
	{ "folded", "From: Anna\r\n <own@example.org>\r\n" REST "\r\nb\r\n",
	    "From: Anna\r\n <own@example.org>\r\n" REST "\r\nb\r\n", 0, 0,
	    NULL, "own@example.org" },
	{ "asked with <>", FROM REST "\r\n", NULL, NULL_SENDER,
	    SMTP_HEADER_FOREIGN, "From", ANNA },
	{ "own with <>", "From: own@example.org\r\n" REST "\r\n",
	    "From: own@example.org\r\n" REST "\r\n", NULL_SENDER, 0, NULL,
	    "own@example.org" },
	{ "another's", "From: bob@x.example\r\n" REST "\r\n", NULL, 0,
	    SMTP_HEADER_FOREIGN, "From", "bob@x.example" },
	{ "one of two", "From: " ANNA ", bob@x.example\r\n" REST "\r\n", NULL,
	    0, SMTP_HEADER_FOREIGN, "From", "bob@x.example" },
	{ "Sender is another's", FROM "Sender: bob@x.example\r\n" REST "\r\n",
	    NULL, 0, SMTP_HEADER_FOREIGN, "Sender", "bob@x.example" },
	{ "header only, asked", "From: own@example.org\r\n" REST,
	    "From: own@example.org\r\n" REST, 0, 0, NULL, "own@example.org" },
	{ "no field behind, asked", "From: own@example.org\r\n" REST "hi\r\n",
	    "From: own@example.org\r\n" REST "\r\nhi\r\n", 0, 0, NULL,
	    "own@example.org" },
	{ "logged", "From: bob@x.example\r\n" REST "\r\n",
	    "From: bob@x.example\r\n" REST "\r\n", LOGS, 0, NULL,
	    "bob@x.example" },
	/* add-sender */
	{ "Sender added", "From: bob@x.example\r\n" REST "\r\nb\r\n",
	    "From: bob@x.example\r\n" REST "Sender: " ANNA "\r\n\r\nb\r\n",
	    ADD, 0, NULL, "bob@x.example" },
	{ "Sender is there", "From: bob@x.example\r\nSender: own@example.org"
	    "\r\n" REST "\r\n", "From: bob@x.example\r\nSender: "
	    "own@example.org\r\n" REST "\r\n", ADD, 0, NULL,
	    "bob@x.example own@example.org" },
	{ "Sender replaced", "From: bob@x.example\r\nSender: Eve\r\n"
	    " <eve@x.example>\r\n" REST "\r\nb\r\n", "From: bob@x.example\r\n"
	    REST "Sender: " ANNA "\r\n\r\nb\r\n", ADD, 0, NULL,
	    "bob@x.example eve@x.example" },
	{ "Sender first", "Sender: eve@x.example\r\nFrom: bob@x.example\r\n"
	    REST "\r\nb\r\n", "From: bob@x.example\r\n" REST "Sender: " ANNA
	    "\r\n\r\nb\r\n", ADD, 0, NULL, "eve@x.example bob@x.example" },
	{ "Sender unreadable", FROM "Sender: Eve\r\n" REST "\r\nb\r\n",
	    FROM REST "Sender: " ANNA "\r\n\r\nb\r\n", ADD, 0, NULL, NULL },
	{ "nothing to do", FROM "Sender: " ANNA "\r\n" REST "\r\nb\r\n",
	    FROM "Sender: " ANNA "\r\n" REST "\r\nb\r\n", ADD, 0, NULL, NULL },
	{ "of the user", "From: bob@x.example\r\n" REST "\r\n",
	    "From: bob@x.example\r\n" REST "Sender: user@example.org\r\n\r\n",
	    ADD | NULL_SENDER, 0, NULL, "bob@x.example" },
	{ "of nobody", "From: bob@x.example\r\n" REST "\r\n", NULL,
	    ADD | NULL_SENDER | NO_USER, SMTP_HEADER_FOREIGN, "Sender",
	    "bob@x.example" },
	/* resent */
	{ "resent", "Resent-From: " ANNA "\r\nFrom: bob@x.example\r\nSender: "
	    "eve@x.example\r\n" REST "\r\n", "Resent-From: " ANNA "\r\nFrom: "
	    "bob@x.example\r\nSender: eve@x.example\r\n" REST "\r\n",
	    0, 0, NULL, "bob@x.example eve@x.example" },
	{ "resent, by a neighbour", "Resent-From: " ANNA "\r\nFrom: "
	    "bob@example.org\r\n" REST "\r\n", NULL, 0, SMTP_HEADER_FOREIGN,
	    "From", "bob@example.org" },
	{ "resent by another", "Resent-From: bob@x.example\r\n" FROM REST
	    "\r\n", NULL, 0, SMTP_HEADER_FOREIGN, "Resent-From",
	    "bob@x.example" },
	{ "the last block", "Resent-From: own@example.org\r\nResent-To: x\r\n"
	    "Resent-From: bob@x.example\r\nResent-Sender: eve@x.example\r\n"
	    FROM REST "\r\n", "Resent-From: own@example.org\r\nResent-To: x\r\n"
	    "Resent-From: bob@x.example\r\nResent-Sender: eve@x.example\r\n"
	    FROM REST "\r\n", 0, 0, NULL, "own@example.org" },
	{ "Resent-Sender is another's", "Resent-From: " ANNA "\r\nResent-Sender: "
	    "eve@x.example\r\n" FROM REST "\r\n", NULL, 0,
	    SMTP_HEADER_FOREIGN, "Resent-Sender", "eve@x.example" },
	{ "resent for another", "Resent-From: bob@x.example\r\nResent-Sender: "
	    "own@example.org\r\n" FROM REST "\r\n", "Resent-From: bob@x.example"
	    "\r\nResent-Sender: own@example.org\r\n" FROM REST "\r\n", ADD, 0,
	    NULL, "bob@x.example own@example.org" },
	{ "resent, no From", "Resent-From: " ANNA "\r\n\r\n",
	    "Resent-From: " ANNA "\r\n" ALL "\r\n", 0, 0, NULL, NULL },
	{ "resent, no From, no sender", "Resent-From: " ANNA "\r\n\r\n", NULL,
	    NULL_SENDER, SMTP_HEADER_NO_FROM, "From", NULL },
	{ "Resent-Sender alone", "Resent-Sender: eve@x.example\r\n" FROM REST
	    "\r\n", "Resent-Sender: eve@x.example\r\n" FROM REST "\r\n", 0, 0,
	    NULL, "eve@x.example" },
	{ "Resent-To alone", "Resent-To: x\r\nFrom: bob@x.example\r\n\r\n",
	    NULL, 0, SMTP_HEADER_FOREIGN, "From", "bob@x.example" },
};

static void
keep(void *ctx, const void *p, size_t len)
{
	struct kept *k = ctx;

	assert_true(k->len + len < sizeof(k->p));
	if (len > 0)
		memcpy(k->p + k->len, p, len);
	k->len += len;
}

static char *dropped[] = { (char[]){ "Bcc" }, (char[]){ "Return-Path" } };

static struct conf
conf_of(unsigned int how)
{
	static char host[] = "host.example";

	return (struct conf){
		.hostname = host,
		.sender_policy = how & 3,
		.header_policy = how & SHADOW ? SHADOW_LOG : SHADOW_ENFORCE,
		.header_size_limit = 4000, .header_count_limit = 20,
		.drop_headers = { dropped, 2 },
	};
}

/* Those that begin with "own" are; the others at x.example are nobody's here. */
static void
answer(struct smtp_header *h, const char *want)
{
	uint8_t owned[AUTHP_FROM_MAX];
	char got[2000] = "";

	for (size_t i = 0; i < h->n_addresses; i++) {
		const char *a = h->addresses[i]->text;

		strcat(got, i > 0 ? " " : "");
		strcat(got, a);
		owned[i] = strncmp(a, "own", 3) == 0 ? AUTHP_OWNED_YES :
		    h->rules.conf->sender_policy == SENDER_LOG ?
		    AUTHP_OWNED_LOGGED : strstr(a, "@x.example") != NULL ?
		    AUTHP_OWNED_STRANGER : AUTHP_OWNED_NO;
	}
	assert_non_null(want);
	assert_string_equal(got, want);
	smtp_header_answer(h, owned);
	assert_int_equal(h->state, SMTP_HEADER_BODY);
}

static void
put(struct smtp_header *h, const char *p, size_t len, const char *asked)
{
	size_t used;

	if (h->found.fault != SMTP_HEADER_OK)
		return;
	used = smtp_header_put(h, (const uint8_t *)p, len);
	if (h->state == SMTP_HEADER_ASK) {
		answer(h, asked);
		put(h, p + used, len - used, asked);
	} else {
		assert_int_equal(used, len);
	}
}

static void
check(const struct header_case *c, size_t a, size_t b)
{
	struct conf conf = conf_of(c->how);
	struct smtp_header_rules rules = {
		.conf = &conf, .now_s = 1795324428, .id = "id",
		.sender = c->how & NULL_SENDER ? "" : ANNA,
		.user = c->how & NO_USER ? "" : "user@example.org",
	};
	size_t len = strlen(c->input);
	struct kept k = { .len = 0 };
	struct smtp_header_found *f;
	struct smtp_header h;

	smtp_header_begin(&h, &rules, keep, &k);
	put(&h, c->input, a, c->asked);
	put(&h, c->input + a, b - a, c->asked);
	put(&h, c->input + b, len - b, c->asked);
	smtp_header_end(&h);
	if (h.state == SMTP_HEADER_ASK)
		answer(&h, c->asked);
	f = c->want != NULL ? &h.logged : &h.found;
	assert_int_equal(f->fault, c->fault);
	if (c->field != NULL)
		assert_string_equal(f->field, c->field);
	assert_int_equal(h.found.fault != SMTP_HEADER_OK, c->want == NULL);
	k.p[k.len] = '\0';
	if (c->want != NULL)
		assert_string_equal(k.p, c->want);
	smtp_header_free(&h);
}

static void
test_header(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(fixups) / sizeof(fixups[0]); i++) {
		const struct header_case *c = &fixups[i];
		size_t len = strlen(c->input);

		print_message("header: %s\n", c->name);
		for (size_t a = 0; a <= len; a++)
			for (size_t b = a; b <= len; b += len > 60 ? 7 : 1)
				check(c, a, b);
	}
}

static enum smtp_header_fault
fault_of(const char *text, unsigned int how)
{
	struct conf conf = conf_of(how);
	struct smtp_header_rules rules = {
		.conf = &conf, .id = "id", .sender = ANNA, .user = "",
	};
	struct kept k = { .len = 0 };
	struct smtp_header h;
	enum smtp_header_fault f;

	smtp_header_begin(&h, &rules, keep, &k);
	smtp_header_put(&h, (const uint8_t *)text, strlen(text));
	smtp_header_end(&h);
	f = h.found.fault;
	smtp_header_free(&h);
	return f;
}

static void
test_limits(void **state)
{
	static char text[200000];
	size_t n;

	(void)state;
	strcpy(text, FROM "X: ");
	n = strlen(text);
	memset(text + n, 'x', 5000);
	strcpy(text + n + 5000, "\r\n\r\n");
	assert_int_equal(fault_of(text, 0), SMTP_HEADER_SIZE);
	assert_int_equal(fault_of(text, SHADOW), SMTP_HEADER_SIZE);
	/* The body is not counted, and is not cut. */
	strcpy(text + n, "y\r\n\r\n");
	memset(text + n + 5, 'x', 5000);
	assert_int_equal(fault_of(text, 0), SMTP_HEADER_OK);
	strcpy(text, FROM);
	for (int i = 0; i < 19; i++)
		strcat(text, "X: y\r\n z\r\n");
	assert_int_equal(fault_of(text, 0), SMTP_HEADER_OK);
	strcat(text, "X: y\r\n");
	assert_int_equal(fault_of(text, SHADOW), SMTP_HEADER_COUNT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
