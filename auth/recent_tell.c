/*
 * recent_tell.c - see recent_tell.h. Pure; in authd-core.
 */
#include "config.h"
#include "auth/recent_tell.h"

#include <string.h>

#include "auth/authp.h"
#include "lib/str.h"
#include "lib/tls_alert.h"

#define HS	AUTHP_PAST_HANDSHAKE
#define MASKED	AUTHP_PAST_MASKED
#define CLEAR	AUTHP_PAST_EHLO_CLEAR
#define ACLEAR	AUTHP_PAST_AUTH_CLEAR
#define STLS	AUTHP_PAST_STARTTLS
#define FAILED	AUTHP_PAST_LOGIN_FAILED

#define SET_STARTTLS "In the mail program's settings for sending choose the " \
	"security STARTTLS with port 587, or SSL/TLS with port 465."
#define PASSWORD "The password is not the right one: type it anew in the mail " \
	"program, in the settings for receiving and in those for sending."
#define PLAIN_ONCE "Set the mail program to \"password, normal\" once; after " \
	"that the encrypted way works too."
#define TLS_OPENED "Something between the program and this server opens TLS, " \
	"such as a virus scanner: switch off its look at mail."
#define MALFORMED "The message itself is malformed: the program that made it " \
	"is at fault; another one, or a newer one, does better."
#define ADMIN_LOOK "This is the administrator's to set right: see the log of " \
	"this session."
#define LATER "That was a passing trouble of this server, or of its load: the " \
	"program may simply try again."
#define PROGRAM "The program does not keep to the protocol; a person can do " \
	"nothing about it but use another, or a newer one."

/* The first row that fits. What is NULL or 0 fits all. */
static const struct tell_row {
	unsigned int	 flags;		/* all of these */
	unsigned int	 code;		/* of the refusal */
	const char	*status;
	const char	*reason;	/* authd's own, of a login that failed */
	const char	*why;		/* the session ended */
	unsigned int	 not_flags;	/* none of these */
	const char	*failed;	/* NULL: what was answered */
	const char	*tell;
} tell_rows[] = {
	/* Something stands on the way. */
	{ .flags = MASKED, .failed = "STARTTLS came as XXXX: something on the "
	    "way overwrites it", .tell = "A firewall between the caller and "
	    "this server removes STARTTLS (Cisco PIX or ASA: fixup protocol "
	    "smtp, inspect esmtp). Use SSL/TLS with port 465, or have its "
	    "inspection of SMTP switched off." },

	/* Logins: authd knows more than it answered. */
	{ .reason = "nouser", .failed = "login: there is no such user",
	  .tell = "The user name is wrong: it is the whole mail address, such "
	    "as anna@example.org." },
	{ .reason = "badpass", .failed = "login: wrong password",
	  .tell = PASSWORD },
	{ .reason = "blocked", .failed = "login: not looked at, for too many "
	    "wrong ones came before", .tell = "Too many wrong passwords came "
	    "from there, often from a second device that has an old one: find "
	    "it. The block ends by itself; \"submitctl blocked list\" shows it, "
	    "\"blocked clear\" ends it." },
	{ .reason = "disabled", .failed = "login: the user is disabled",
	  .tell = "The account is disabled: \"submitctl user enable\" opens it "
	    "again." },
	{ .reason = "expired", .failed = "login: this app password has expired",
	  .tell = "The password of this device has expired: give it a new one." },
	{ .reason = "scope", .failed = "login: this app password is for another "
	    "service", .tell = "The password is right, but not for this: one "
	    "made for receiving cannot send, and the other way round." },
	{ .reason = "notpermitted", .failed = "login: not permitted for that "
	    "user", .tell = "He may not log in here, or not act for the other "
	    "user: see \"submitctl user show\" and \"user allow-as list\"." },
	{ .reason = "authzid", .failed = "login: for another user's account",
	  .tell = "The program names two users; the second one (authorization "
	    "name) must be left empty." },
	{ .reason = "nokeys", .failed = "login: no keys for this mechanism yet",
	  .tell = PLAIN_ONCE },
	{ .reason = "transition", .failed = "login: no keys for this mechanism "
	    "yet", .tell = PLAIN_ONCE },
	{ .reason = "nosecret", .failed = "login: no secret for this mechanism",
	  .tell = "Set the mail program to \"password, normal\", not to "
	    "CRAM-MD5 or APOP." },
	{ .reason = "nocert", .failed = "login: unknown client certificate",
	  .tell = "The certificate that the program shows is not known here: "
	    "choose another one, or set it to log in with a password." },
	{ .reason = "binding", .failed = "login: TLS ends somewhere else",
	  .tell = TLS_OPENED },
	{ .reason = "downgrade", .failed = "login: the mechanisms offered were "
	    "changed on the way", .tell = TLS_OPENED },
	{ .reason = "changed", .failed = "login: the password was changed "
	    "meanwhile", .tell = PASSWORD },
	{ .reason = "seal", .failed = "login: the secret cannot be read",
	  .tell = ADMIN_LOOK },

	/* Refusals of SMTP. */
	{ .code = 530, .status = "5.7.0", .not_flags = STLS, .flags = ACLEAR,
	  .failed = "it wanted to log in without encryption",
	  .tell = SET_STARTTLS },
	{ .flags = CLEAR, .code = 530, .status = "5.7.0",
	  .failed = "it wanted to send without encryption",
	  .tell = SET_STARTTLS },
	{ .code = 530, .status = "5.7.0", .failed = "it wanted to send without "
	    "having logged in", .tell = "Switch on authentication for the "
	    "outgoing server in the mail program, with the user name and "
	    "password of receiving; or, where that still counts, "
	    "fetch mail first, then send." },
	{ .code = 535, .tell = PASSWORD },
	{ .code = 432, .tell = PLAIN_ONCE },
	{ .code = 504, .failed = "it wants a way to log in that is not offered "
	    "here", .tell = "Set the mail program to \"password, normal\" under "
	    "STARTTLS or SSL/TLS." },
	{ .code = 450, .status = "4.7.1", .failed = "a brown-out: it wanted to "
	    "send without having logged in", .tell = "Switch on authentication "
	    "for the outgoing server in the mail program, with the user name and "
	    "password of receiving. The brown-out ends by itself, and is there to "
	    "find who has not done that." },
	{ .code = 553, .status = "5.7.1", .failed = "the sender's address is not "
	    "one of this user's", .tell = "The From address in the mail program "
	    "is not one that this user may send as: correct it, or add it with "
	    "\"submitctl user alias add\"." },
	{ .code = 550, .status = "5.7.1", .tell = "The address in From is not "
	    "one that this user may send as, or he is over a limit: the answer "
	    "says which." },
	{ .code = 452, .status = "4.7.1", .failed = NULL, .tell = "The user has "
	    "sent as much as he may in this time: the answer says when it goes "
	    "on. If it was not he, somebody has his password." },
	{ .code = 550, .status = "5.1.1", .failed = "a recipient does not exist",
	  .tell = "The recipient's address is wrong: see that it is written "
	    "right, in the address book too." },
	{ .code = 550, .status = "5.4.4", .tell = "This server has no way to "
	    "send to that domain: the administrator sets next_hop, or a route." },
	{ .code = 552, .status = "5.3.4", .failed = "the message was too large",
	  .tell = "The message with its attachments is larger than this server "
	    "takes: send fewer or smaller ones, or a link." },
	{ .code = 452, .status = "4.5.3", .failed = "too many recipients for one "
	    "message", .tell = "Send to fewer recipients at once." },
	{ .code = 452, .status = "4.3.1", .failed = "the server had no room",
	  .tell = "The server's disk was full; the program may try again later." },
	{ .code = 550, .status = "5.6.0", .tell = MALFORMED },
	{ .code = 554, .status = "5.4.6", .tell = "The message goes round in a "
	    "circle: two servers forward it to each other." },
	{ .code = 554, .status = "5.6.0", .tell = MALFORMED },
	{ .code = 501, .status = "5.1.3", .failed = "a recipient's address is "
	    "malformed", .tell = "The recipient's address is not written "
	    "right." },
	{ .code = 501, .status = "5.1.7", .failed = "the sender's address is "
	    "malformed", .tell = "The sender's address in the mail program's "
	    "settings is not written right." },
	{ .code = 553, .status = "5.6.7", .tell = "The address has letters such "
	    "as ä, and the program does not know how to send to such ones." },
	{ .code = 454, .tell = LATER },
	{ .code = 451, .tell = LATER },
	{ .code = 421, .why = "slow", .tell = "The connection was too slow for "
	    "so large a message, or broke down on the way: a better network, or "
	    "a smaller message. The administrator's key is data_min_rate." },
	{ .code = 421, .why = "stranger", .failed = "it did not log in for too "
	    "long", .tell = "The program keeps a connection and never logs in: "
	    "switch on authentication for the outgoing server." },
	{ .code = 421, .status = "4.7.0", .why = "logins", .tell = PASSWORD },
	{ .code = 421, .status = "4.7.0", .why = "kicked", .failed = "an "
	    "administrator ended it", .tell = "" },
	{ .code = 421, .status = "4.7.0", .why = "void", .failed = "its login "
	    "did not hold any more", .tell = "The user was disabled, his "
	    "password changed, or his login too old: the program logs in anew "
	    "by itself." },
	{ .code = 421, .status = "4.7.0", .tell = "A limit was reached, which "
	    "the answer names: fewer connections at once, or less haste." },
	{ .code = 421, .tell = LATER },
	{ .code = 503, .tell = PROGRAM },
	{ .code = 502, .tell = PROGRAM },
	{ .code = 501, .tell = PROGRAM },
	{ .code = 500, .tell = PROGRAM },
	{ .code = 555, .tell = PROGRAM },

	/* Refusals of POP3: response codes. */
	{ .status = "AUTH", .tell = PASSWORD },
	{ .status = "IN-USE", .failed = "the mailbox was open in another "
	    "session", .tell = "Another device or program fetches mail at the "
	    "same moment: it works as soon as that is done. Have them fetch "
	    "less often." },
	{ .status = "SYS/TEMP", .tell = LATER },
	{ .status = "SYS/PERM", .failed = "the mailbox cannot be opened",
	  .tell = ADMIN_LOOK },
	{ .status = "LOGIN-DELAY", .failed = "it came again too soon",
	  .tell = "The program looks for mail more often than login_delay "
	    "lets it: set it to a longer time. What it sends is taken "
	    "meanwhile." },
	{ .status = "-", .flags = ACLEAR, .not_flags = STLS,
	  .failed = "it wanted to log in without encryption", .tell = "In the "
	    "mail program's settings for receiving choose the security STARTTLS "
	    "with port 110, or SSL/TLS with port 995." },
	{ .status = "-", .tell = PROGRAM },

	/* No refusal, and yet nothing came of it. */
	{ .why = "takeover", .failed = "it fell silent, and a newer session of "
	    "this user took its mailbox over", .tell = "Telephones go to sleep "
	    "with the session open: nothing was lost or removed, and the next "
	    "look for mail works." },
	{ .why = "message.broken", .failed = "a message's file changed while "
	    "it was fetched", .tell = ADMIN_LOOK },
	{ .why = "mbox.lost", .failed = "popd-mbox ended under it",
	  .tell = LATER },
	{ .flags = FAILED, .why = "logins", .tell = PASSWORD },
	{ .flags = CLEAR, .not_flags = STLS, .failed = "it said EHLO and never "
	    "came to STARTTLS", .tell = "If the program reports that the server "
	    "offers no STARTTLS, something on the way hides it (a firewall, a "
	    "virus scanner): use SSL/TLS with port 465." },
};

#define N_ROWS (sizeof(tell_rows) / sizeof(tell_rows[0]))

static bool
tell_is(const char *want, const char *is)
{
	return want == NULL || strcmp(want, is) == 0;
}

static bool
tell_fits(const struct tell_row *w, const struct recent_record *r)
{
	const char *status = r->status;

	/* A "-ERR" without a response code. */
	if (*status == '\0' && r->code == 0 && r->text[0] != '\0')
		status = "-";
	return (r->flags & w->flags) == w->flags &&
	    (r->flags & w->not_flags) == 0 &&
	    (w->code == 0 || w->code == r->code) &&
	    tell_is(w->status, status) && tell_is(w->reason, r->reason) &&
	    tell_is(w->why, r->why);
}

/* What the client was answered. */
static void
tell_answer(const struct recent_record *r, char *dst, size_t size)
{
	if (r->code != 0)
		(void)str_format(dst, size, "%u %s%s%s", r->code, r->status,
		    r->status[0] != '\0' ? " " : "", r->text);
	else if (r->status[0] != '\0')
		(void)str_format(dst, size, "-ERR [%s] %s", r->status,
		    r->text);
	else if (r->text[0] != '\0')
		(void)str_format(dst, size, "-ERR %s", r->text);
	else
		dst[0] = '\0';
}

static bool
tell_tls(const struct recent_record *r, struct recent_words *ret)
{
	const struct tls_alert *a = tls_alert_find(r->why);

	if (a == NULL && (r->flags & HS))
		a = tls_alert_find(strcmp(r->why, "timeout") == 0 ?
		    TLS_ALERT_SLOW : TLS_ALERT_CLOSED);
	if (a == NULL)
		return false;
	(void)str_format(ret->failed, sizeof(ret->failed), "%s%s (%s)",
	    (r->flags & HS) ? "TLS: " : "", a->word, a->hint);
	(void)str_copy(ret->tell, sizeof(ret->tell), a->tell);
	return true;
}

static bool
tell_row(const struct recent_record *r, struct recent_words *ret)
{
	char answer[RECENT_FAILED_SIZE / 2];

	for (const struct tell_row *w = tell_rows; w < tell_rows + N_ROWS;
	    w++) {
		/* He got in, or sent, all the same. */
		if ((w->reason != NULL || w->flags == FAILED) && r->kind != 0)
			continue;
		if (!tell_fits(w, r))
			continue;
		tell_answer(r, answer, sizeof(answer));
		if (w->failed == NULL)
			(void)str_copy(ret->failed, sizeof(ret->failed),
			    answer);
		else if (answer[0] == '\0')
			(void)str_copy(ret->failed, sizeof(ret->failed),
			    w->failed);
		else
			(void)str_format(ret->failed, sizeof(ret->failed),
			    "%s (%s)", w->failed, answer);
		(void)str_copy(ret->tell, sizeof(ret->tell), w->tell);
		return true;
	}
	tell_answer(r, ret->failed, sizeof(ret->failed));
	return ret->failed[0] != '\0';
}

/* Nobody was refused anything. */
static void
tell_rest(const struct recent_record *r, struct recent_words *ret)
{
	static const char *const ends[][2] = {
		{ "timeout", "it fell silent" },
		{ "reset", "the connection broke off" },
		{ "eof", "it hung up" },
	};

	if (r->kind != 0)
		return;
	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++)
		if (strcmp(r->why, ends[i][0]) == 0)
			(void)str_format(ret->failed, sizeof(ret->failed),
			    "%s before it logged in or sent anything",
			    ends[i][1]);
}

void
recent_tell(const struct recent_record *r, struct recent_words *ret)
{
	memset(ret, 0, sizeof(*ret));
	if (r->bits != 0 && r->bits < 128) {
		(void)str_format(ret->failed, sizeof(ret->failed), "%u more "
		    "sessions from this network, by people not known here",
		    r->n);
		(void)str_copy(ret->tell, sizeof(ret->tell), "Too many to be "
		    "kept one by one; the log has them.");
		return;
	}
	if (!tell_tls(r, ret) && !tell_row(r, ret))
		tell_rest(r, ret);
}

const char *
recent_tell_sentence(size_t i)
{
	return i < N_ROWS ? tell_rows[i].tell : NULL;
}
