/*
 * fuzz_smtp_path.c - paths and parameters of MAIL and RCPT: whatever is taken
 * must be printable, bounded and free of what a line or a header is cut by.
 */
#include "config.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "submitd/smtp/address.h"
#include "submitd/smtp/params.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void
check_mailbox(const struct mailbox *m)
{
	if (strlen(m->text) > MAILBOX_MAX || strchr(m->text, '@') == NULL)
		abort();
	for (const char *p = m->text; *p != '\0'; p++)
		if (*p <= ' ' || *p > '~')
			abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const char *s = (const char *)data;
	struct smtp_params params;
	struct smtp_path path;
	size_t used;

	if (smtp_path_parse(s, len, &path, &used) == SMTP_PATH_OK) {
		if (used > len)
			abort();
		if (!path.null && !path.postmaster)
			check_mailbox(&path.mailbox);
		smtp_params_rcpt(s + used, len - used);
		s += used;
		len -= used;
	}
	if (smtp_params_mail(s, len, 1000, &params) == SMTP_R_NONE &&
	    params.size > 1000)
		abort();
	return 0;
}
