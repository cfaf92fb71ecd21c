/*
 * params.h - the parameters of MAIL and RCPT (RFC 5321 section 4.1.2, RFC
 * 1870, 3461 section 4, 4954 section 5, 6152, 6531 section 3.4, and those of
 * extension.h). Pure; fuzzed.
 */
#ifndef SUBMITD_SMTP_PARAMS_H
#define SUBMITD_SMTP_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "submitd/smtp/extension.h"
#include "submitd/smtp/reply.h"
#include "submitd/spool/client.h"

#define SMTP_PARAM_NAME_SIZE	32u

struct smtp_params {
	uint64_t	size;		/* SIZE=, or 0 */
	bool		eightbit;	/* BODY=8BITMIME */
	bool		smtputf8;
	enum spool_ret	ret;
	char		envid[SPOOL_ENVID_MAX + 1];	/* xtext, "": none */
	struct spool_wishes wishes;
	char		bad[SMTP_PARAM_NAME_SIZE];	/* refused: its keyword */
};

struct smtp_rcpt_params {
	uint8_t	notify;		/* enum spool_notify, 0: nothing was said */
	char	orcpt[SPOOL_ORCPT_MAX + 1];	/* all ASCII, "": none */
	char	bad[SMTP_PARAM_NAME_SIZE];	/* refused: its keyword */
};

struct smtp_params_limits {
	uint64_t	size;		/* of a message */
	unsigned int	extensions;	/* set of enum smtp_extension: spoken */
	bool		lmtp;		/* without AUTH and DSN */
	int64_t		now_s;
};

/* `s` is what stands behind the path. SMTP_R_NONE, or the refusal. */
enum smtp_reply smtp_params_mail(const char *s, size_t len,
	    const struct smtp_params_limits *limits, struct smtp_params *ret);
/* `smtputf8`: MAIL had it, so that ORCPT may hold UTF-8 (RFC 6533). */
enum smtp_reply smtp_params_rcpt(const char *s, size_t len, bool smtputf8,
	    struct smtp_rcpt_params *ret);
/* In LMTP there are none. `bad` gets the keyword of one. */
enum smtp_reply smtp_params_rcpt_lmtp(const char *s, size_t len,
	    char bad[SMTP_PARAM_NAME_SIZE]);
/* The refusal's text ends with the keyword. */
bool	smtp_params_are_named(enum smtp_reply r);

#endif
