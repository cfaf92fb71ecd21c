/*
 * fuzz_smtp_path.c - the paths of MAIL and RCPT: whatever is taken must be
 * printable, bounded and free of what a line or a header is cut by.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/str.h"
#include "lib/xtext.h"
#include "submitd/smtp/address.h"

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

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct smtp_path path;
	size_t used;

	if (smtp_path_parse((const char *)data, len, &path,
	    &used) != SMTP_PATH_OK)
		return 0;
	if (used > len)
		abort();
	if (!path.null && !path.postmaster)
		check_mailbox(&path.mailbox);
	return 0;
}
