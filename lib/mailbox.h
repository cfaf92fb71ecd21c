/*
 * mailbox.h - the Mailbox of RFC 5321 section 4.1.2: syntax and one canonical
 * form, used by the session, the rule, the database and delivery alike. UTF-8 by
 * RFC 6531.
 * Pure; fuzzed.
 */
#ifndef SUBMITD_MAILBOX_H
#define SUBMITD_MAILBOX_H

#include <stdbool.h>
#include <stddef.h>

#define MAILBOX_LOCAL_MAX	64	/* RFC 5321 section 4.5.3.1.1 */
#define MAILBOX_DOMAIN_MAX	255
#define MAILBOX_MAX		254	/* a path is 256 with its brackets */
#define MAILBOX_SIZE		(MAILBOX_MAX + 1)

struct mailbox {
	char	text[MAILBOX_SIZE];	/* as given: what is relayed */
	char	canon[MAILBOX_SIZE];	/* local part, quoted only where it
					 * must be, @domain, in lower case: what
					 * is compared; read again it is itself */
	size_t	local_len;		/* of canon, up to the @ */
	bool	literal;		/* the domain is an address literal */
	bool	utf8;			/* text is not all ASCII: only with
					 * SMTPUTF8 */
	bool	utf8_local;		/* nor is its local part */
};

/* `s` of `len` octets is exactly one mailbox. Dot-string or quoted string, a
 * domain of two labels or more (RFC 6409 section 4.2), or an address literal;
 * UTF-8 in local part and domain as RFC 6531 section 3.3 has it. No NUL, no
 * controls, nothing behind it; a quoted local part is not empty. In canon a
 * U-label stands as its A-label (UTS 46), and a local part is NFC and lower
 * case. ERR_FORMAT, ERR_LIMIT. */
int	mailbox_parse(const char *s, size_t len, struct mailbox *ret);

/* The domain of a canonical address, or NULL. */
const char *mailbox_domain(const char *canon);

/* A host or domain name: labels of letters, digits and inner hyphens (and _ ,
 * which real hosts send), at most 255 octets. */
bool	mailbox_is_domain(const char *s, size_t len);

/* As it may stand where UTF-8 may not: the text itself, or with the domain in
 * A-labels. ERR_NOTFOUND when the local part is not ASCII. */
int	mailbox_ascii(const struct mailbox *m, char dst[MAILBOX_SIZE]);

/* A bare login name: a Dot-string of 1 to 64 octets, in any case. */
bool	mailbox_is_local(const char *s, size_t len);

#endif
