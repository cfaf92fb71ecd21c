/*
 * smtp_fake.h - a submission session without a network: what it asks of the
 * connection, the loop, authd and submitd-spool is answered here.
 *
 * authd knows alice@example.org and bob@example.org, both with the password
 * "secret"; example.org is local. Answers come when the session is back in the
 * loop, never from within the question, as the real ones do.
 */
#ifndef SUBMITD_TESTS_SMTP_FAKE_H
#define SUBMITD_TESTS_SMTP_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/authp.h"
#include "lib/buf.h"
#include "lib/conf.h"
#include "submitd/spool/client.h"

enum fake_service { FAKE_SUBMISSION, FAKE_SUBMISSIONS, FAKE_LMTP };

struct fake;

/* A session that has been greeted (and has TLS where it begins with it). */
struct fake *fake_new(enum fake_service service);
/* One in clear that waits for who may speak before it, and greets when told. */
struct fake *fake_new_silent(void);
void	fake_end_silence(struct fake *f);
void	fake_free(struct fake *f);
/* EHLO and AUTH, as alice; the answers are thrown away. */
void	fake_login(struct fake *f);

/* A transaction of alice's; a header and a message of hers. */
#define TX "MAIL FROM:<alice@example.org>\r\nRCPT TO:<bob@example.org>\r\n"
#define HEAD "From: alice@example.org\r\nDate: x\r\nMessage-ID: <y>\r\n"
#define MSG HEAD "\r\nhi\r\n.\r\n"

/* A session so far, as alice; the answers are thrown away. */
enum fake_begin { CLEAR, TLS, EHLOED, LOGGED_IN };
struct fake *fake_begin(enum fake_begin b);

/* The client sends; at most `piece` octets come in one turn. */
void	fake_send(struct fake *f, const void *p, size_t len, size_t piece);
void	fake_say(struct fake *f, const char *text);
/* The client goes away; its time is over. */
void	fake_gone(struct fake *f);
void	fake_timeout(struct fake *f);

/* What the session has sent since fake_new() or fake_clear(). */
const char *fake_output(struct fake *f);
void	fake_clear(struct fake *f);
/* The codes of its replies: "220 250 530". */
const char *fake_codes(struct fake *f);

bool	fake_is_closed(const struct fake *f);
unsigned int fake_commits(const struct fake *f);
unsigned int fake_open_exchanges(const struct fake *f);
/* The last committed message, and its recipients joined by commas. */
const char *fake_message(struct fake *f);
const char *fake_rcpts(struct fake *f);
/* What authd was told of the session: "WHY CODE STATUS USER KIND SENDER HELO
 * FLAGS MESSAGES". */
const char *fake_event(struct fake *f);
/* What the last envelope asks for, see smtp_fake.c. */
const char *fake_asked(struct fake *f);

/* How the others behave from now on. */
void	fake_set_grant(struct fake *f, bool granted);	/* alice's */
void	fake_set_authd(struct fake *f, enum authp_verdict all); /* OK: normal */
void	fake_set_spool(struct fake *f, enum spoolc_verdict begin,
	    enum spoolc_verdict commit);
void	fake_set_room(struct fake *f, uint64_t octets);
void	fake_set_slow_spool(struct fake *f);	/* full after each piece */
void	fake_set_next_hop(struct fake *f, const char *next_hop);
void	fake_set_help(struct fake *f, const char *text);
void	fake_set_limits(struct fake *f, uint64_t octets, uint64_t rcpts);
void	fake_set_own_limit(struct fake *f, uint64_t octets);	/* alice's */
struct conf *fake_conf(struct fake *f);
/* The window of data_min_rate. */
void	fake_set_rate(struct fake *f, uint64_t octets, int64_t window_ms);
void	fake_set_no_tls(struct fake *f);
void	fake_set_extensions(struct fake *f, unsigned int set);
void	fake_set_secrets(struct fake *f, bool has);
/* authd's notices. The users that WHO tells, and a dot at the end. */
void	fake_kick(struct fake *f, const char *user);
const char *fake_who(struct fake *f);

/* Aborts when something is not as it must always be. */
void	fake_check(struct fake *f);

#endif
