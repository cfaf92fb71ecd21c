/*
 * reply.c - see reply.h. Pure; runs in submitd-smtp.
 */
#include "config.h"
#include "submitd/smtp/reply.h"

#include <stdio.h>
#include <string.h>

#include "lib/str.h"

#define REPLY_LINE_MAX 510u	/* RFC 5321 section 4.5.3.1.5, without CR LF */
#define REPLY_SID_MAX 32u

#define E SMTP_R_ERROR
#define P SMTP_R_PERSON
#define C SMTP_R_CLOSE

/* clang-format off */
static const struct smtp_reply_row reply_rows[] = {
	[SMTP_R_NONE] =			{ 250, "2.0.0", "OK", 0 },
	[SMTP_R_GREETING] =		{ 220, NULL, "", 0 },
	[SMTP_R_READY_TLS] =		{ 220, "2.0.0", "Ready to start TLS", 0 },
	[SMTP_R_BYE] =			{ 221, "2.0.0", "Bye", C },
	[SMTP_R_AUTH_OK] =		{ 235, "2.7.0", "Authentication successful", 0 },
	[SMTP_R_HELLO] =		{ 250, NULL, "", 0 },
	[SMTP_R_OK] =			{ 250, "2.0.0", "OK", 0 },
	[SMTP_R_SENDER_OK] =		{ 250, "2.1.0", "Sender OK", 0 },
	/* RFC 6710 section 4.1 */
	[SMTP_R_SENDER_OK_LOWERED] =	{ 250, "2.3.6", "0 is the priority: this user "
	    "may not ask for a higher one", 0 },
	[SMTP_R_RCPT_OK] =		{ 250, "2.1.5", "Recipient OK", 0 },
	[SMTP_R_QUEUED] =		{ 250, "2.0.0", "queued as ", 0 },
	[SMTP_R_CHUNK_OK] =		{ 250, "2.0.0", "Octets received: ", 0 },
	[SMTP_R_HELP] =			{ 214, "2.0.0", "", P },
	[SMTP_R_HELP_UNKNOWN] =		{ 504, "5.5.4", "There is no help about that", E },
	[SMTP_R_CANNOT_VRFY] =		{ 252, "2.0.0", "Cannot say whether that "
	    "address exists; send to it and see", 0 },
	[SMTP_R_CANNOT_EXPN] =		{ 252, "2.0.0", "Cannot say who is on that "
	    "list; send to it and see", 0 },
	[SMTP_R_GO_AHEAD] =		{ 354, NULL, "End data with <CR><LF>.<CR><LF>", 0 },

	[SMTP_R_FULL] =			{ 421, "4.3.2", "Too many sessions; try again later", C },
	[SMTP_R_STOPPING] =		{ 421, "4.3.2", "The service is stopping; try again soon", C },
	[SMTP_R_NO_MEMORY] =		{ 421, "4.3.0", "Out of memory; try again later", C },
	[SMTP_R_IDLE] =			{ 421, "4.4.2", "Nothing was heard for too long: ", C },
	[SMTP_R_STRANGER] =		{ 421, "4.4.2", "Nobody has logged in for too long: ", P | C },
	[SMTP_R_TOO_MANY_ERRORS] =	{ 421, "4.7.0", "Too many errors: ", P | C },
	[SMTP_R_TOO_MANY_LOGINS] =	{ 421, "4.7.0", "Too many failed logins: ", P | C },
	[SMTP_R_TOO_MANY_CHEAP] =	{ 421, "4.7.0", "Too many commands without a message: ", C },
	[SMTP_R_CROWDED_ADDRESS] =	{ 421, "4.7.0", "Too many sessions of your address "
	    "have not logged in, and this one was silent for longest: ", P | C },
	[SMTP_R_CROWDED_NETWORK] =	{ 421, "4.7.0", "Too many sessions of your network "
	    "have not logged in, and this one was silent for longest: ", P | C },
	[SMTP_R_CROWDED_USER] =		{ 421, "4.7.0", "You have too many sessions open; "
	    "close some: ", P | C },
	[SMTP_R_VOID] =			{ 421, "4.7.0", "Your login does not hold any more; "
	    "connect and log in again", P | C },
	[SMTP_R_KICKED] =		{ 421, "4.7.0", "Your session was ended by this server; "
	    "connect and log in again", P | C },

	[SMTP_R_TRY_LATER] =		{ 451, "4.3.0", "Temporary failure on this server; "
	    "try again later", P },
	[SMTP_R_AUTH_LATER] =		{ 454, "4.7.0", "Temporary authentication failure; "
	    "try again later", P },
	[SMTP_R_AUTH_TRANSITION] =	{ 432, "4.7.12", "A password transition is needed: "
	    "log in once with AUTH PLAIN", P },
	[SMTP_R_USER_FULL] =		{ 452, "4.3.1", "Too much of your mail waits: ", P },
	[SMTP_R_NO_SPACE] =		{ 452, "4.3.1", "No room for the message now; "
	    "try again later", P },
	[SMTP_R_TOO_MANY_RCPTS] =	{ 452, "4.5.3", "Too many recipients; send to the "
	    "others in another message: ", P },
	[SMTP_R_NO_TLS] =		{ 454, "4.7.0", "TLS is not available: this server "
	    "has no usable certificate", P },

	[SMTP_R_LONG_LINE] =		{ 500, "5.5.2", "Line too long; the octets that it may "
	    "have: ", E },
	[SMTP_R_LONG_RESPONSE] =	{ 500, "5.5.6", "Authentication exchange line is "
	    "longer than 12288 octets", E },
	[SMTP_R_BARE_LINE] =		{ 500, "5.5.2", "Lines end with CR LF and hold no "
	    "other CR, LF or NUL", E },
	[SMTP_R_UNKNOWN_COMMAND] =	{ 500, "5.5.2", "Unknown command", E },
	[SMTP_R_NOT_HERE] =		{ 502, "5.5.1", "Not offered on a submission port", E },
	[SMTP_R_NO_ARGUMENT] =		{ 501, "5.5.4", "This command takes no argument", E },
	[SMTP_R_NEEDS_ARGUMENT] =	{ 501, "5.5.4", "An argument is missing", E },
	[SMTP_R_BAD_NAME] =		{ 501, "5.5.4", "The name has 1 to 255 octets and no "
	    "control characters", E },
	[SMTP_R_MAIL_SYNTAX] =		{ 501, "5.5.4", "Syntax: MAIL FROM:<address> [parameters]", E },
	[SMTP_R_RCPT_SYNTAX] =		{ 501, "5.5.4", "Syntax: RCPT TO:<address>", E },
	[SMTP_R_SENDER_SYNTAX] =	{ 501, "5.1.7", "Bad syntax of the sender's address", E | P },
	[SMTP_R_ADDRESS_SYNTAX] =	{ 501, "5.1.3", "Bad syntax of the recipient's address", E | P },
	[SMTP_R_SENDER_UNQUALIFIED] =	{ 554, "5.1.8", "The sender's domain is not "
	    "fully qualified", E | P },
	[SMTP_R_ADDRESS_UNQUALIFIED] =	{ 554, "5.1.2", "The recipient's domain is not "
	    "fully qualified", E | P },
	[SMTP_R_UTF8] =			{ 553, "5.6.7", "An address with other than ASCII "
	    "characters needs SMTPUTF8 on MAIL", E | P },
	[SMTP_R_PARAM_SYNTAX] =		{ 501, "5.5.4", "Bad syntax of a parameter: ", E },
	[SMTP_R_PARAM_UNKNOWN] =	{ 555, "5.5.4", "Unknown parameter: ", E },
	[SMTP_R_PARAM_TWICE] =		{ 501, "5.5.4", "Parameter given twice: ", E },
	[SMTP_R_PARAM_VALUE] =		{ 501, "5.5.4", "Bad value of parameter ", E },
	[SMTP_R_HOLD_TOO_LONG] =	{ 501, "5.5.4", "A message can be held for 30 days "
	    "at most", E | P },
	[SMTP_R_BY_TOO_SOON] =		{ 555, "5.5.4", "A message can be given 10 s or more "
	    "to be delivered in", E | P },
	[SMTP_R_XCLIENT_SYNTAX] =	{ 501, "5.5.4", "Syntax: XCLIENT with ADDR=, PORT=, "
	    "NAME=, HELO= or PROTO=, each once", E },
	[SMTP_R_XCLIENT_IN_TX] =	{ 503, "5.5.1", "XCLIENT within a transaction", E },
	[SMTP_R_XCLIENT_DENIED] =	{ 550, "5.7.0", "XCLIENT is for listed peers alone", E },
	[SMTP_R_XCLIENT_LOGIN] =	{ 550, "5.7.0", "XCLIENT LOGIN is never believed: log "
	    "in with AUTH", E },
	[SMTP_R_BAD_SEQUENCE] =		{ 503, "5.5.1", "Bad sequence of commands", E },
	[SMTP_R_HELLO_FIRST] =		{ 503, "5.5.1", "Send EHLO first", E },
	[SMTP_R_MAIL_FIRST] =		{ 503, "5.5.1", "Send MAIL first", E },
	[SMTP_R_RCPT_FIRST] =		{ 503, "5.5.1", "Send RCPT first", E },
	[SMTP_R_NO_VALID_RCPT] =	{ 554, "5.5.1", "No valid recipients", 0 },
	[SMTP_R_TLS_ACTIVE] =		{ 503, "5.5.1", "TLS is already active", E },
	[SMTP_R_AUTH_DONE] =		{ 503, "5.5.1", "Already authenticated", E },
	[SMTP_R_AUTH_IN_TX] =		{ 503, "5.5.1", "AUTH is not permitted during a "
	    "mail transaction", E },
	[SMTP_R_NESTED_MAIL] =		{ 503, "5.5.1", "A mail transaction is already "
	    "under way", E },
	[SMTP_R_CHUNKS_BEGUN] =		{ 503, "5.5.1", "The message has begun with BDAT; go "
	    "on with BDAT, or send RSET", E },
	[SMTP_R_CHUNK_SYNTAX] =		{ 501, "5.5.4", "Syntax: BDAT octets [LAST]; what "
	    "follows cannot be told from commands", C },
	[SMTP_R_INJECTION] =		{ 503, "5.5.1", "Nothing may follow STARTTLS before "
	    "the handshake", C },
	[SMTP_R_EARLY] =		{ 554, "5.5.1", "Wait for the greeting before you "
	    "send anything", C },
	[SMTP_R_TLS_FIRST] =		{ 554, "5.7.0", "This port begins with TLS: set "
	    "SSL/TLS in your mail program, or port 587 with STARTTLS", P | C },
	[SMTP_R_PIPELINED_DATA] =	{ 503, "5.5.1", "Wait for 354 before you send the "
	    "message", C },
	[SMTP_R_PIPELINED_RESPONSE] =	{ 503, "5.5.1", "Wait for the challenge before you "
	    "answer it", C },

	[SMTP_R_AUTH_SYNTAX] =		{ 501, "5.5.4", "Syntax: AUTH mechanism "
	    "[initial-response]", E },
	[SMTP_R_AUTH_CANCELLED] =	{ 501, "5.0.0", "Authentication cancelled", E },
	[SMTP_R_AUTH_BASE64] =		{ 501, "5.5.2", "Cannot decode the response", E },
	[SMTP_R_AUTH_MECH] =		{ 504, "5.5.4", "Authentication mechanism not "
	    "offered: choose another one in your mail program, as a rule "
	    "\"normal password\"", E | P },
	[SMTP_R_AUTH_NO_INITIAL] =	{ 501, "5.7.0", "The server speaks first in this "
	    "mechanism", E },
	[SMTP_R_AUTH_FAILED] =		{ 535, "5.7.8", "User name or password is wrong", P },

	[SMTP_R_NEEDS_TLS] =		{ 530, "5.7.0", "Must issue a STARTTLS command first: "
	    "choose STARTTLS as the connection security of the outgoing server in "
	    "your mail program", E | P },
	[SMTP_R_NEEDS_AUTH] =		{ 530, "5.7.0", "Authentication required: switch on "
	    "authentication (SMTP AUTH) in your mail program, with the user name and "
	    "password you fetch mail with", E | P },
	[SMTP_R_NEEDS_CHECK] =		{ 530, "5.7.0", "Authentication required: switch on "
	    "authentication (SMTP AUTH) in your mail program, or check for new mail "
	    "and then send again; from this address no mail was checked in the last ",
	    E | P },
	[SMTP_R_NEEDS_CHECK_AGAIN] =	{ 530, "5.7.0", "Authentication required: check for "
	    "new mail and then send again, or switch on authentication (SMTP AUTH) in "
	    "your mail program; the last mail check from this address lasts no more, "
	    "it counts for ", E | P },
	[SMTP_R_NEEDS_CHECK_FAMILY] =	{ 530, "5.7.0", "Authentication required: switch on "
	    "authentication (SMTP AUTH) in your mail program; checking mail does not "
	    "suffice here, for mail may have been fetched over ", E | P },
	[SMTP_R_GRANTS_ENDED] =		{ 530, "5.7.0", "Authentication required: checking "
	    "mail before sending suffices no more; switch on authentication (SMTP "
	    "AUTH) for the outgoing server in your mail program, with the user name "
	    "and password you fetch mail with", E | P },
	[SMTP_R_BROWNOUT] =		{ 450, "4.7.1", "", P },
	[SMTP_R_NOT_SENDER] =		{ 553, "5.7.1", "You may not send with this sender "
	    "address: ", P },
	[SMTP_R_NULL_SENDER] =		{ 553, "5.7.1", "Nobody can tell whose mail from <> "
	    "is here, for not exactly one user may send from your address: switch on "
	    "authentication (SMTP AUTH) in your mail program, or send with your own "
	    "sender address", P },
	[SMTP_R_LIMIT] =		{ 452, "4.7.1", "Sending limit reached: ", P },
	[SMTP_R_LIMIT_REJECT] =		{ 550, "5.7.1", "Sending limit reached: ", P },
	[SMTP_R_NO_USER] =		{ 550, "5.1.1", "No such user here: ", P },
	[SMTP_R_NO_ROUTE] =		{ 550, "5.4.4", "no next_hop is set on this server, so it "
	    "sends to its own domains only; not to ", P },
	[SMTP_R_ROUTE_NONE] =		{ 550, "5.4.4", "this server is set up to send no mail "
	    "to that domain: ", P },

	[SMTP_R_TOO_BIG] =		{ 552, "5.3.4", "The message is larger than this server "
	    "takes, in octets: ", P },
	[SMTP_R_BARE_CONTENT] =		{ 550, "5.6.0", "Message refused: it holds a bare CR, "
	    "a bare LF or a NUL; lines end with CR LF", P },
	[SMTP_R_LOOP] =			{ 554, "5.4.6", "Too many Received fields, or it was here before: the message "
	    "goes round in a loop; received_limit is ", P },
	[SMTP_R_TOO_BIG_USER] =		{ 552, "5.3.4", "The message is larger than you may "
	    "send, in octets: ", P },
	[SMTP_R_TOO_SLOW] =		{ 421, "4.4.2", "The message comes too slowly; octets a "
	    "second that it takes over a minute: ", P | C },
	[SMTP_R_LONG_CONTENT] =		{ 550, "5.6.0", "A line of the message is longer than "
	    "line_limit, in octets: ", P },
	[SMTP_R_HEADER_SIZE] =		{ 554, "5.6.0", "The message's header is larger than "
	    "header_size_limit, in octets: ", P },
	[SMTP_R_HEADER_COUNT] =		{ 554, "5.6.0", "The message's header has more fields "
	    "than header_count_limit: ", P },
	[SMTP_R_HEADER_TWICE] =		{ 550, "5.6.0", "The message's header has more than one "
	    "field of this name: ", P },
	[SMTP_R_HEADER_SPACE] =		{ 550, "5.6.0", "A field of the message's header has a "
	    "space before its colon: ", P },
	[SMTP_R_HEADER_NAME] =		{ 550, "5.6.0", "The name of a field in the message's "
	    "header is not printable ASCII: ", P },
	[SMTP_R_HEADER_ADDRESS] =	{ 550, "5.6.0", "A field of the message's header cannot "
	    "be read as a list of addresses: ", P },
	[SMTP_R_NO_FROM] =		{ 550, "5.6.0", "The message has no From field, and an empty "
	    "sender to make one of", P },
	[SMTP_R_NOT_FROM] =		{ 550, "5.7.1", "You may not send with this address in the "
	    "message's header: ", P },
};
/* clang-format on */

_Static_assert(sizeof(reply_rows) / sizeof(reply_rows[0]) == SMTP_R__COUNT,
    "each reply has its row");

const struct smtp_reply_row *
smtp_reply_row(enum smtp_reply r)
{
	return &reply_rows[r];
}

struct reply_out {
	char	*dst;
	size_t	 len;		/* so far */
	size_t	 line;		/* where the current line began */
	bool	 utf8;		/* RFC 6531 section 3.7.4.1 */
	size_t	 max;		/* octets of it */
};

/* The octets of the character at s: 1 in ASCII, 0 when it is not to be sent,
 * as no control (C1 is from U+0080 to U+009F) is. */
static size_t
reply_character(const char *s, bool utf8)
{
	unsigned char c = (unsigned char)*s;
	size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;

	if (c < 0x80 || !utf8)
		return c >= ' ' && c <= '~';
	return strnlen(s, n) == n && str_is_utf8(s, n) &&
	    !(c == 0xc2 && (unsigned char)s[1] < 0xa0) ? n : 0;
}

/* Appends what has room on the line; only printable text gets through, so
 * that none can begin a line of its own. */
static void
reply_put(struct reply_out *o, const char *s)
{
	while (*s != '\0') {
		size_t n = reply_character(s, o->utf8);
		const char *c = n > 0 ? s : "?";

		n = n > 0 ? n : 1;
		if (o->len - o->line + n > o->max)
			return;
		memcpy(o->dst + o->len, c, n);
		o->len += n;
		s += n;
	}
}

/* Begins a line; `keep` octets at its end are for reply_end(). */
static void
reply_head(struct reply_out *o, const struct smtp_reply_row *row, char sep,
    size_t keep)
{
	char head[24];

	o->line = o->len;
	o->max = REPLY_LINE_MAX - keep;
	snprintf(head, sizeof(head), "%03u%c%s%s", row->code, sep,
	    row->enhanced != NULL ? row->enhanced : "",
	    row->enhanced != NULL ? " " : "");
	reply_put(o, head);
}

static void
reply_end(struct reply_out *o, const char *tail)
{
	o->max = REPLY_LINE_MAX;
	reply_put(o, tail);
	o->dst[o->len++] = '\r';
	o->dst[o->len++] = '\n';
}

size_t
smtp_reply_format(char dst[SMTP_REPLY_SIZE], enum smtp_reply r,
    const char *detail, const char *help, const char *sid,
    bool utf8)
{
	const struct smtp_reply_row *row = &reply_rows[r];
	bool person = row->flags & SMTP_R_PERSON;
	struct reply_out o = { .dst = dst, .utf8 = utf8 };
	char tail[REPLY_SID_MAX + 4] = "";
	size_t room;
	bool split;

	if (detail == NULL)
		detail = "";
	if (help == NULL || !person)
		help = "";
	if (person && sid != NULL && row->code >= 400)
		snprintf(tail, sizeof(tail), " [%.*s]", (int)REPLY_SID_MAX, sid);
	room = 16 + strlen(row->text) + strlen(detail) + strlen(help) +
	    strlen(tail);
	split = *help != '\0' && room >= REPLY_LINE_MAX;
	reply_head(&o, row, split ? '-' : ' ', split ? 0 : strlen(tail));
	reply_put(&o, row->text);
	reply_put(&o, detail);
	if (split) {
		reply_end(&o, "");
		reply_head(&o, row, ' ', strlen(tail));
	} else if (*help != '\0') {
		reply_put(&o, "; ");
	}
	reply_put(&o, help);
	reply_end(&o, tail);
	return o.len;
}
