/*
 * tls_alert.h - what goes wrong before a session is under TLS, by name, with
 * what it means: alerts of clients (RFC 8446 section 6), failures on our side,
 * and the wrong mode on a port. One table for the log (`why`, `hint`), for
 * replies and for what an administrator tells the person who calls.
 *
 * Pure: looks at no connection and logs nothing.
 */
#ifndef SUBMITD_TLS_ALERT_H
#define SUBMITD_TLS_ALERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct tls_alert {
	int		 reason;	/* OpenSSL's, or 0: not one of its */
	const char	*word;		/* "unknown_ca": `why` in the log */
	const char	*hint;		/* what it means: `hint` in the log */
	const char	*tell;		/* what to tell the person, a sentence */
};

/* The words of what OpenSSL does not know. */
#define TLS_ALERT_OTHER		"tls_failure"
#define TLS_ALERT_CLOSED	"closed_in_handshake"
#define TLS_ALERT_NOT_TLS	"not_tls"
#define TLS_ALERT_HTTP		"http"
#define TLS_ALERT_CLEAR_ON_TLS	"clear_on_tls_port"
#define TLS_ALERT_SILENT	"silent_on_tls_port"
#define TLS_ALERT_SLOW		"handshake_timeout"
#define TLS_ALERT_TLS_ON_CLEAR	"tls_on_starttls_port"
#define TLS_ALERT_EARLY		"talked_before_greeting"

/* The row of an OpenSSL error code; that of TLS_ALERT_OTHER for what has none,
 * never NULL. */
const struct tls_alert *tls_alert_of(unsigned long code);
/* The row of that word, with or without "tls:" before it, or NULL. */
const struct tls_alert *tls_alert_find(const char *word);
/* The i-th row, or NULL: for tests. */
const struct tls_alert *tls_alert_row(size_t i);

/* What the first octets of a connection are. */
enum tls_first {
	TLS_FIRST_TEXT,		/* may be a command */
	TLS_FIRST_HELLO,	/* a ClientHello, SSL 2's form included */
	TLS_FIRST_HTTP,		/* begins with an HTTP verb */
	TLS_FIRST_OTHER		/* neither TLS nor text */
};
enum tls_first tls_first_look(const uint8_t *p, size_t len);
/* A verb of HTTP, in its case, as whole word. */
bool	tls_first_is_http(const char *verb, size_t len);

/* The fatal alert unexpected_message, for who begins TLS on a port that begins
 * in clear: a whole record. */
#define TLS_ALERT_RECORD	"\x15\x03\x01\x00\x02\x02\x0a"
#define TLS_ALERT_RECORD_LEN	7u

/* The client is too old for the TLS that this server speaks. NULL: no. */
bool	tls_alert_is_old(const struct tls_alert *a);

#endif
