/*
 * ticket.h - session handles and tickets: what a worker shows, instead of
 * being believed.
 *
 * Both are octets with an HMAC-SHA256 under a key that only authd-core has, so
 * that they hold over its restart. A handle says where a session's TCP peer
 * is; a ticket says on whose account mail may be sent, or a maildrop opened.
 * That the user is still enabled and so on is looked up at each use, not here.
 */
#ifndef SUBMITD_AUTH_TICKET_H
#define SUBMITD_AUTH_TICKET_H

#include <stddef.h>
#include <stdint.h>

#include "auth/authp.h"
#include "lib/addr.h"
#include "lib/mailbox.h"

#define TICKET_KEY_SIZE 32

struct ticket_handle {
	char		sid[AUTHP_SID_MAX + 1];
	struct addr	peer;
	struct addr	local;
	uint8_t		service;	/* enum authp_service */
	uint8_t		receives;	/* it came by lmtp_listen: no peer */
	int64_t		issued_s;
};

struct ticket {
	uint8_t		kind;		/* enum authp_kind */
	uint8_t		service;
	char		user[MAILBOX_SIZE];	/* whose mail it is; "": a
						 * network's senders */
	char		login[MAILBOX_SIZE];	/* SASL: who logged in */
	struct addr	peer;
	char		tls[AUTHP_TLS_MAX + 1];
	char		mech[AUTHP_MECH_MAX + 1];
	char		sid[AUTHP_SID_MAX + 1];
	int64_t		issued_s;
	uint64_t	generation;	/* of his credential */
	int64_t		created_s;	/* of login, else user: not of his
					 * successor */
	int64_t		granted_s;	/* of the grant */
};

/* Write into dst (AUTHP_HANDLE_MAX, AUTHP_TICKET_MAX octets); return the
 * length, or ERR_LIMIT, ERR_NOMEM. */
int	ticket_handle_seal(const uint8_t key[TICKET_KEY_SIZE],
	    const struct ticket_handle *h, uint8_t *dst);
int	ticket_seal(const uint8_t key[TICKET_KEY_SIZE], const struct ticket *t,
	    uint8_t *dst);

/* ERR_DENIED: the MAC is wrong. ERR_LIMIT: issued more than max_age_s ago, or
 * in the future. ERR_FORMAT cannot happen to what we sealed. */
int	ticket_handle_open(const uint8_t key[TICKET_KEY_SIZE], const void *p,
	    size_t len, int64_t now_s, uint64_t max_age_s,
	    struct ticket_handle *ret);
int	ticket_open(const uint8_t key[TICKET_KEY_SIZE], const void *p,
	    size_t len, int64_t now_s, uint64_t max_age_s,
	    struct ticket *ret);

#endif
