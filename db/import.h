/*
 * import.h - users of other servers: the lines of a Dovecot passwd-file, of an
 * htpasswd file and of what the sasldb2 reader prints. Linked by submitctl and
 * authd-core. Pure; fuzzed.
 */
#ifndef SUBMITD_DB_IMPORT_H
#define SUBMITD_DB_IMPORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/mailbox.h"

#define IMPORT_HEAD		4096	/* octets that import_detect() wants */
#define IMPORT_SECRET_SIZE	1040	/* a password of 1,024, or a hash */
#define IMPORT_HASH_MAX		511	/* octets of a hash with its scheme */
#define IMPORT_NOTE_SIZE	256
#define IMPORT_PATH_SIZE	512

enum import_format {
	IMPORT_AUTO,
	IMPORT_PASSWD,			/* Dovecot's passwd-file */
	IMPORT_JSON,			/* our own: import_record.h */
	IMPORT_HTPASSWD,
	IMPORT_SASLDB,			/* Berkeley DB */
	IMPORT_FORMAT__END
};

/* "passwd-file", "json", "htpasswd", "sasldb2"; and back (IMPORT_FORMAT__END:
 * there is none by that name). */
const char *import_format_name(enum import_format f);
enum import_format import_format_of(const char *name);

/* By the first octets of a file; never IMPORT_AUTO. */
enum import_format import_detect(const void *head, size_t len);

/* What one line says. Zero it with import_line_clear(): it holds a secret. */
struct import_line {
	char		name[MAILBOX_SIZE];	/* as it stands there */
	char		realm[MAILBOX_SIZE];	/* sasldb2's, or "" */
	bool		plain;		/* secret is the password itself */
	char		secret[IMPORT_SECRET_SIZE];	/* or "{SCHEME}hash" */
	bool		disabled;	/* locked there */
	bool		has_quota;
	uint64_t	quota_octets;	/* 0: none */
	char		note[IMPORT_NOTE_SIZE];	/* "": none */
	char		maildir[IMPORT_PATH_SIZE];	/* absolute, or "" */
	char		lost[64];	/* a rule of the line that is not kept */
};

/* One line without its end. 0; 1: nothing stands there (blank, a comment);
 * ERR_FORMAT, ERR_LIMIT: *reterr says what, without the secret. */
int	import_line_parse(enum import_format f, const char *line, size_t len,
	    struct import_line *ret, struct err *reterr);
void	import_line_clear(struct import_line *l);

/* A hash as servers write it: "{SCHEME}text", or a bare crypt(3) text. A
 * {PLAIN} one (CLEAR, CLEARTEXT; .b64, .hex) is the password. `dst` has
 * IMPORT_SECRET_SIZE octets. ERR_FORMAT, ERR_LIMIT. */
int	import_secret(const char *text, size_t len, char *dst, bool *ret_plain,
	    struct err *reterr);

/* The canonical user of a name; one without a domain gets `domain` (NULL:
 * refused). ERR_FORMAT. */
int	import_user(const char *name, const char *domain,
	    char dst[MAILBOX_SIZE], struct err *reterr);

#endif
