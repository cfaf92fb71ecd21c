/*
 * params.h - the parameters of MAIL and RCPT (RFC 5321 section 4.1.2, RFC
 * 1870, 4954 section 5, 6152). Pure; fuzzed.
 */
#ifndef SUBMITD_SMTP_PARAMS_H
#define SUBMITD_SMTP_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "submitd/smtp/reply.h"

struct smtp_params {
	uint64_t	size;		/* SIZE=, or 0 */
	bool		eightbit;	/* BODY=8BITMIME */
};

/* `s` is what stands behind the path. SMTP_R_NONE, or the refusal. */
enum smtp_reply smtp_params_mail(const char *s, size_t len,
	    uint64_t size_limit, struct smtp_params *ret);
/* RCPT has no parameter here: the extensions with one are not offered. */
enum smtp_reply smtp_params_rcpt(const char *s, size_t len);

#endif
