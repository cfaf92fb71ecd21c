/*
 * pop_fake.h - a POP3 session without a network: what it asks of the
 * connection, the loop, authd and popd-mbox is answered here.
 *
 * authd knows alice@example.org with the password "pass word"; her maildrop
 * holds the messages of fake_messages. Answers come when the session is back in
 * the loop, never from within the question, as the real ones do. One at a time.
 */
#ifndef SUBMITD_TESTS_POP_FAKE_H
#define SUBMITD_TESTS_POP_FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "auth/authp.h"
#include "popd/mbox/client.h"

#define FAKE_MESSAGES 3

struct fake_message {
	const char	*stored;
	const char	*wire;		/* dots stuffed */
	uint64_t	 octets;
};
extern const struct fake_message fake_messages[FAKE_MESSAGES];

enum fake_service { FAKE_POP3, FAKE_POP3S };

/* A session that has been greeted (and has TLS where it begins with it). */
void	fake_new(enum fake_service service);
void	fake_new_without_tls(void);	/* pop3, and no certificate */
void	fake_new_with_secrets(enum fake_service service);
/* One of pop3 that waits for who may speak before it, and greets when told. */
void	fake_new_silent(void);
void	fake_end_silence(void);
void	fake_free(void);
/* authd's notices. The users that WHO tells, and a dot at the end. */
void	fake_kick(const char *user);
const char *fake_who(void);
/* STLS where it is needed, USER and PASS; the replies are thrown away. */
void	fake_login(void);

/* The client sends; at most `piece` octets come in one turn. */
void	fake_send(const void *p, size_t len, size_t piece);
void	fake_say(const char *text);		/* one turn */
void	fake_gone(const char *why);		/* the client, or its time */
void	fake_lose_mbox(void);
int64_t	fake_deadline_ms(void);			/* for the next command */
/* Another session wants its maildrop; this one was silent for so long. */
void	fake_wanted(int64_t silent_ms);

/* What the session has sent since fake_new() or fake_clear(), but its id in
 * brackets at lines' ends; whether the last such text had that. */
const char *fake_output(void);
bool	fake_names_session(void);
void	fake_clear(void);

bool	fake_is_closed(void);
bool	fake_is_secured(void);
bool	fake_drop_is_open(void);
/* The messages that were removed: "13", "" for none. */
const char *fake_removed(void);
unsigned int fake_open_exchanges(void);

/* How the others behave from now on. */
void	fake_set_authd(enum authp_verdict all);	/* OK: as above */
void	fake_set_mbox(enum mboxc_verdict open, enum mboxc_verdict fetch,
	    enum mboxc_verdict update);
void	fake_set_file(const char *text);	/* what a fetch gets instead */
void	fake_set_help(const char *text);
void	fake_set_policy(uint64_t expire_days, uint64_t login_delay_s,
	    uint64_t takeover_s);

/* Aborts when something is not as it must always be. */
void	fake_check(void);

#endif
