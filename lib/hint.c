/*
 * hint.c - see hint.h. Runs in submitd-smtp and popd-pop.
 */
#include "lib/hint.h"

#include <string.h>

/* Clear text where a ClientHello was to come first. */
static const char *
hint_of_text(const struct conn *c)
{
	size_t len;
	const uint8_t *p = conn_first(c, &len);

	switch (tls_first_look(p, len)) {
	case TLS_FIRST_TEXT:
		return TLS_ALERT_CLEAR_ON_TLS;
	case TLS_FIRST_HTTP:
		return TLS_ALERT_HTTP;
	default:
		return TLS_ALERT_NOT_TLS;
	}
}

const struct tls_alert *
hint_of_end(const struct conn *c, const char *why, bool implicit)
{
	const struct tls_alert *a = tls_alert_find(why);
	size_t heard;

	(void)conn_first(c, &heard);
	if (strcmp(why, "timeout") == 0)
		return tls_alert_find(heard == 0 && implicit ?
		    TLS_ALERT_SILENT : TLS_ALERT_SLOW);
	if (a == NULL || (heard == 0 && strcmp(a->word, TLS_ALERT_CLOSED) == 0))
		return NULL;
	if (implicit && strcmp(a->word, TLS_ALERT_NOT_TLS) == 0)
		return tls_alert_find(hint_of_text(c));
	return a;
}

bool
hint_is_wrong_mode(const struct tls_alert *a)
{
	static const char *const words[] = { TLS_ALERT_CLEAR_ON_TLS,
	    TLS_ALERT_SILENT, TLS_ALERT_TLS_ON_CLEAR, TLS_ALERT_EARLY };

	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		if (strcmp(a->word, words[i]) == 0)
			return true;
	return false;
}

bool
hint_is_hello(struct conn *c)
{
	const struct buf *in = conn_input(c);

	return buf_len(in) > 0 && tls_first_look(buf_data(in), buf_len(in)) ==
	    TLS_FIRST_HELLO;
}
