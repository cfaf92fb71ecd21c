/*
 * address.h - the reverse-path and forward-path of RFC 5321 section 4.1.2.
 * Pure; fuzzed.
 */
#ifndef SUBMITD_SMTP_ADDRESS_H
#define SUBMITD_SMTP_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/mailbox.h"

enum smtp_path_result {
	SMTP_PATH_OK = 0,
	SMTP_PATH_SYNTAX,	/* 501 */
	SMTP_PATH_UNQUALIFIED,	/* 554: RFC 6409 section 4.2 */
};

struct smtp_path {
	struct mailbox	mailbox;	/* unless null or postmaster */
	bool		null;		/* <> */
	bool		postmaster;	/* <postmaster>, without a domain */
};

/* UTF-8 is taken (mailbox.utf8 tells); whether it may be is the caller's to say.
 * `s` is what stands behind "FROM:" or "TO:"; spaces in front are taken, as
 * real clients send them. On SMTP_PATH_OK *ret_used octets belong to the path
 * and the next one, if any, is a space. A source route is checked and left out
 * (RFC 5321 appendix C): only the mailbox behind it counts. */
enum smtp_path_result smtp_path_parse(const char *s, size_t len,
	    struct smtp_path *ret, size_t *ret_used);

/* The argument of EHLO is a domain or an address literal: what may stand in
 * Received. */
bool	smtp_helo_is_name(const char *s);

#endif
