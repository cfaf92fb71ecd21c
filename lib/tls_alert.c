/*
 * tls_alert.c - see tls_alert.h. Pure; linked into the processes that face the
 * network, authd-core and submitctl.
 */
#include "lib/tls_alert.h"

#include <string.h>

#include <openssl/err.h>
#include <openssl/ssl.h>

/* What a client's alert is as OpenSSL's reason. */
#define ALERT(n) (SSL_AD_REASON_OFFSET + (n))

#define TELL_CERTIFICATE "The mail program does not trust this server's " \
	"certificate: see that the server's name in its settings is the one " \
	"in the certificate, and that a virus scanner does not stand between."
#define TELL_OLD "The mail program or its system is too old for this " \
	"server's TLS: update it, or use another program."
#define TELL_PORT "The mail program has the wrong kind of security for this " \
	"port: set SSL/TLS with port 465 (sending) or 995 (fetching), or " \
	"STARTTLS with port 587 or 110."
#define TELL_AGAIN "The connection broke while TLS was being set up: try " \
	"again, from another network too; a virus scanner or firewall may " \
	"stand between."
#define TELL_NOT_MAIL "Something that is no mail program has called; there " \
	"is nothing to set right."
#define TELL_OWN_CERTIFICATE "The certificate that the mail program sends " \
	"for itself was refused: choose another one, or none."

/* clang-format off */
static const struct tls_alert tls_alerts[] = {
	/* Alerts that clients send, RFC 8446 section 6 and its registry. */
	{ ALERT(10), "unexpected_message",
	  "the client did not expect what we sent", TELL_AGAIN },
	{ ALERT(20), "bad_record_mac",
	  "octets were changed on the way, or the client is broken", TELL_AGAIN },
	{ ALERT(21), "decryption_failed",
	  "octets were changed on the way, or the client is broken", TELL_AGAIN },
	{ ALERT(22), "record_overflow",
	  "the client takes no records of our size", TELL_AGAIN },
	{ ALERT(30), "decompression_failure",
	  "the client is broken: we do not compress", TELL_OLD },
	{ ALERT(40), "handshake_failure",
	  "the client finds no parameters that it accepts", TELL_OLD },
	{ ALERT(41), "no_certificate",
	  "the client speaks SSL 3 only", TELL_OLD },
	{ ALERT(42), "bad_certificate",
	  "the client does not accept our certificate", TELL_CERTIFICATE },
	{ ALERT(43), "unsupported_certificate",
	  "the client cannot use a certificate of this kind: an RSA one beside "
	  "it helps old clients", TELL_OLD },
	{ ALERT(44), "certificate_revoked",
	  "our certificate was revoked by its authority", TELL_CERTIFICATE },
	{ ALERT(45), "certificate_expired",
	  "our certificate has expired for the client: renew it, or its clock "
	  "is wrong",
	  "The mail program takes the server's certificate for too old: see that "
	  "date and time of the device are right." },
	{ ALERT(46), "certificate_unknown",
	  "the client does not accept our certificate; often its person was "
	  "asked and said no, or the name is not in it", TELL_CERTIFICATE },
	{ ALERT(47), "illegal_parameter",
	  "the client finds our handshake wrong", TELL_OLD },
	{ ALERT(48), "unknown_ca",
	  "the client does not know the authority of our certificate: the chain "
	  "in tls_cert is incomplete, or the authority is new or our own",
	  TELL_CERTIFICATE },
	{ ALERT(49), "access_denied",
	  "the client's policy refuses our certificate", TELL_CERTIFICATE },
	{ ALERT(50), "decode_error",
	  "the client could not read our handshake", TELL_OLD },
	{ ALERT(51), "decrypt_error",
	  "the client could not check our signature", TELL_OLD },
	{ ALERT(60), "export_restriction",
	  "the client is from the time of export ciphers", TELL_OLD },
	{ ALERT(70), "protocol_version",
	  "the client does not speak TLS 1.2 or 1.3", TELL_OLD },
	{ ALERT(71), "insufficient_security",
	  "the client wants stronger parameters than we agreed to",
	  "The mail program wants stronger encryption than this server offers." },
	{ ALERT(80), "internal_error",
	  "the client failed by itself", TELL_AGAIN },
	{ ALERT(86), "inappropriate_fallback",
	  "the client fell back to an older TLS though we speak a newer one",
	  TELL_AGAIN },
	{ ALERT(90), "user_canceled",
	  "the person at the client stopped it", TELL_CERTIFICATE },
	{ ALERT(100), "no_renegotiation",
	  "the client wanted to renegotiate", TELL_OLD },
	{ ALERT(109), "missing_extension",
	  "the client misses an extension in our handshake", TELL_OLD },
	{ ALERT(110), "unsupported_extension",
	  "the client did not ask for an extension that it got", TELL_OLD },
	{ ALERT(111), "certificate_unobtainable",
	  "the client could not fetch a certificate", TELL_CERTIFICATE },
	{ ALERT(112), "unrecognized_name",
	  "the client does not know the name it asked for", TELL_CERTIFICATE },
	{ ALERT(113), "bad_certificate_status_response",
	  "the client wants a certificate status (OCSP) that it did not get",
	  TELL_CERTIFICATE },
	{ ALERT(116), "certificate_required",
	  "the client wants a certificate", TELL_CERTIFICATE },
	{ ALERT(120), "no_application_protocol_alert",
	  "the client wants another protocol (ALPN)", TELL_NOT_MAIL },

	/* What we find wrong. */
	{ SSL_R_UNSUPPORTED_PROTOCOL, "old_protocol",
	  "the client speaks no TLS 1.2 or newer", TELL_OLD },
	{ SSL_R_VERSION_TOO_LOW, "old_protocol_hello",
	  "the client speaks no TLS 1.2 or newer", TELL_OLD },
	{ SSL_R_UNKNOWN_PROTOCOL, "unknown_protocol",
	  "the client speaks no TLS 1.2 or newer", TELL_OLD },
	{ SSL_R_NO_SHARED_CIPHER, "no_shared_cipher",
	  "the client offers no ECDHE with AEAD; tls_legacy = yes lets clients "
	  "in that have ECDHE with CBC, an RSA certificate those without ECDSA",
	  TELL_OLD },
	{ SSL_R_NO_SUITABLE_KEY_SHARE, "no_shared_group",
	  "the client offers none of X25519, P-256 and P-384", TELL_OLD },
	{ SSL_R_NO_SHARED_GROUPS, "no_shared_groups",
	  "the client offers none of X25519, P-256 and P-384", TELL_OLD },
	{ SSL_R_NO_SHARED_SIGNATURE_ALGORITHMS, "no_shared_signature",
	  "the client knows no signature that our certificate's key can make: "
	  "an RSA one beside it helps", TELL_OLD },
	{ SSL_R_NO_SUITABLE_SIGNATURE_ALGORITHM, "no_suitable_signature",
	  "the client knows no signature that our certificate's key can make: "
	  "an RSA one beside it helps", TELL_OLD },
	{ SSL_R_INAPPROPRIATE_FALLBACK, "fallback_refused",
	  "the client fell back to an older TLS though it speaks a newer one: "
	  "somebody on the way may have broken its first try", TELL_AGAIN },
	{ SSL_R_NO_APPLICATION_PROTOCOL, "no_application_protocol",
	  "the client offers (ALPN) other protocols than mail: a browser, or an "
	  "attack across protocols", TELL_NOT_MAIL },
	{ SSL_R_NO_RENEGOTIATION, "renegotiation",
	  "the client wanted to renegotiate", TELL_OLD },
	{ SSL_R_CERTIFICATE_VERIFY_FAILED, "client_certificate",
	  "the client's own certificate cannot be used", TELL_OWN_CERTIFICATE },
	{ SSL_R_BAD_SIGNATURE, "client_signature",
	  "the client does not have the key of its certificate",
	  TELL_OWN_CERTIFICATE },
	{ SSL_R_EXCESSIVE_MESSAGE_SIZE, "client_chain_size",
	  "the client sent more certificates than we take", TELL_OWN_CERTIFICATE },
	{ SSL_R_DECRYPTION_FAILED_OR_BAD_RECORD_MAC, "bad_record",
	  "octets were changed on the way, or the client is broken", TELL_AGAIN },
	{ SSL_R_BAD_RECORD_TYPE, "bad_record_type",
	  "octets were lost or added on the way, or behind STARTTLS", TELL_AGAIN },
	{ SSL_R_UNEXPECTED_MESSAGE, "unexpected_message_received",
	  "the client sent what does not belong there", TELL_AGAIN },
	{ SSL_R_LENGTH_MISMATCH, "length_mismatch",
	  "the client sent a malformed handshake", TELL_AGAIN },
	{ SSL_R_UNEXPECTED_EOF_WHILE_READING, TLS_ALERT_CLOSED,
	  "the client hung up without a word: often it does not accept our "
	  "certificate", TELL_CERTIFICATE },
	{ SSL_R_WRONG_VERSION_NUMBER, TLS_ALERT_NOT_TLS,
	  "what came is no TLS", TELL_PORT },
	{ SSL_R_HTTP_REQUEST, TLS_ALERT_HTTP,
	  "a browser or an HTTP client", TELL_NOT_MAIL },
	{ SSL_R_HTTPS_PROXY_REQUEST, "http_proxy",
	  "somebody looks for an HTTP proxy", TELL_NOT_MAIL },

	/* The wrong mode on a port. */
	{ 0, TLS_ALERT_CLEAR_ON_TLS,
	  "a command in clear on a port that begins with TLS: the mail program "
	  "is set to STARTTLS or to no encryption; it needs SSL/TLS here, or "
	  "port 587 (110) with STARTTLS", TELL_PORT },
	{ 0, TLS_ALERT_SILENT,
	  "the client said nothing on a port that begins with TLS: it waits for a "
	  "greeting in clear; the mail program needs SSL/TLS here, or port 587 "
	  "(110) with STARTTLS", TELL_PORT },
	{ 0, TLS_ALERT_SLOW,
	  "the handshake was not over in time", TELL_AGAIN },
	{ 0, TLS_ALERT_TLS_ON_CLEAR,
	  "a TLS handshake on a port that begins in clear: the mail program is "
	  "set to SSL/TLS; it needs STARTTLS here, or port 465 (995) with "
	  "SSL/TLS", TELL_PORT },
	{ 0, TLS_ALERT_EARLY,
	  "the client talked before our greeting: no mail program does that, but "
	  "a balancer does whose PROXY header this listener does not expect "
	  "(proxy_from)",
	  TELL_NOT_MAIL },
	{ 0, TLS_ALERT_OTHER,
	  "the handshake failed for a reason without a name here", TELL_AGAIN },
};
/* clang-format on */

#define N_ALERTS (sizeof(tls_alerts) / sizeof(tls_alerts[0]))

const struct tls_alert *
tls_alert_row(size_t i)
{
	return i < N_ALERTS ? &tls_alerts[i] : NULL;
}

const struct tls_alert *
tls_alert_of(unsigned long code)
{
	int reason = ERR_GET_LIB(code) == ERR_LIB_SSL ?
	    ERR_GET_REASON(code) : 0;

	for (size_t i = 0; i < N_ALERTS && reason != 0; i++)
		if (tls_alerts[i].reason == reason)
			return &tls_alerts[i];
	return tls_alert_find(TLS_ALERT_OTHER);
}

const struct tls_alert *
tls_alert_find(const char *word)
{
	if (strncmp(word, "tls:", 4) == 0)
		word += 4;
	for (size_t i = 0; i < N_ALERTS; i++)
		if (strcmp(tls_alerts[i].word, word) == 0)
			return &tls_alerts[i];
	return NULL;
}

/* ------------------------------------------------------ the first octets -- */

bool
tls_first_is_http(const char *verb, size_t len)
{
	static const char *const verbs[] = { "GET", "HEAD", "POST", "PUT",
	    "DELETE", "OPTIONS", "TRACE", "CONNECT", "PATCH", "PRI" };

	for (size_t i = 0; i < sizeof(verbs) / sizeof(verbs[0]); i++)
		if (strlen(verbs[i]) == len && memcmp(verb, verbs[i], len) == 0)
			return true;
	return false;
}

/* A record of type handshake, version 3.x; or SSL 2's header with a ClientHello
 * of 3.x (RFC 5246 appendix E.2). */
static bool
tls_first_is_hello(const uint8_t *p, size_t len)
{
	if (p[0] == 0x16)
		return len < 2 || p[1] == 0x03;
	return len >= 4 && (p[0] & 0x80) && p[2] == 0x01 && p[3] <= 0x03;
}

enum tls_first
tls_first_look(const uint8_t *p, size_t len)
{
	size_t word = 0;

	if (len == 0)
		return TLS_FIRST_TEXT;
	if (tls_first_is_hello(p, len))
		return TLS_FIRST_HELLO;
	while (word < len && p[word] > ' ' && p[word] < 0x7f)
		word++;
	if (word < len && p[word] == ' ' &&
	    tls_first_is_http((const char *)p, word))
		return TLS_FIRST_HTTP;
	return word == len || p[word] == ' ' || p[word] == '\t' ||
	    p[word] == '\r' || p[word] == '\n' ? TLS_FIRST_TEXT :
	    TLS_FIRST_OTHER;
}

bool
tls_alert_is_old(const struct tls_alert *a)
{
	return a != NULL && strcmp(a->tell, TELL_OLD) == 0;
}
