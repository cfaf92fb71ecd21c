/*
 * fuzz_smtp_path.c - paths and parameters of MAIL and RCPT: whatever is taken
 * must be printable, bounded and free of what a line or a header is cut by.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "lib/xtext.h"
#include "submitd/smtp/address.h"
#include "submitd/smtp/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_mailbox(const struct mailbox *m)
{
	if (strlen(m->text) > MAILBOX_MAX || strchr(m->text, '@') == NULL)
		abort();
	char text[6 * MAILBOX_SIZE], again[sizeof(text)];

	if (!str_is_utf8(m->text, strlen(m->text)))
		abort();
	/* What a report says of it, read again, is itself. */
	if (xtext_utf8_write(text, sizeof(text), m->text) < 0 ||
	    xtext_utf8_address(again, sizeof(again), text, strlen(text),
	    false) < 0 || strcmp(text, again) != 0)
		abort();
	for (const unsigned char *p = (const unsigned char *)m->text;
	    *p != '\0'; p++) {
		/* In a quoted local part there may be a space. */
		if (*p < ' ' || *p == 0x7f || (*p >= 0x80 && !m->utf8))
			abort();
		if (p[0] == 0xc2 && p[1] < 0xa0)
			abort();
	}
}

/* Whatever is kept goes to other servers, and into reports. */
static void
check_rcpt(const char *s, size_t len)
{
	struct smtp_rcpt_params p;
	char text[SPOOL_ORCPT_MAX + 1];

	for (int utf8 = 0; utf8 < 2; utf8++) {
		if (smtp_params_rcpt(s, len, utf8 != 0, &p) != SMTP_R_NONE)
			continue;
		if (p.notify > SPOOL_NOTIFY__ALL ||
		    ((p.notify & SPOOL_NOTIFY_NEVER) && p.notify > 1) ||
		    strlen(p.orcpt) > SPOOL_ORCPT_MAX)
			abort();
		if (p.orcpt[0] != '\0' && (strchr(p.orcpt, ';') == NULL ||
		    xtext_decode(text, sizeof(text), p.orcpt,
		    strlen(p.orcpt)) < 0))
			abort();
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *s = (const char *)data;
	const struct smtp_params_limits limits = { .size = 1000,
		.extensions = SMTP_EXT_ALL, .now_s = 1795000000 };
	struct smtp_params params;
	struct smtp_path path;
	char text[SPOOL_ENVID_MAX + 1];
	size_t used;

	if (smtp_path_parse(s, len, &path, &used) == SMTP_PATH_OK) {
		if (used > len)
			abort();
		if (!path.null && !path.postmaster)
			check_mailbox(&path.mailbox);
		check_rcpt(s + used, len - used);
		s += used;
		len -= used;
	}
	if (smtp_params_mail(s, len, &limits, &params) == SMTP_R_NONE &&
	    (params.size > 1000 || params.ret > SPOOL_RET_HDRS ||
	    params.wishes.hold_until_s > limits.now_s + SMTP_HOLD_MAX_S ||
	    params.wishes.priority < -9 || params.wishes.priority > 9 ||
	    xtext_decode(text, sizeof(text), params.envid,
	    strlen(params.envid)) < 0))
		abort();
	return 0;
}
