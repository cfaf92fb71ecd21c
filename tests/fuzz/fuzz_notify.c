/*
 * fuzz_notify.c - a feeder's line: whatever it is, what is taken from it lies
 * within it and holds no space and no control.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "auth/notify_line.h"
#include "db/record.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *line = malloc(len + 1);
	struct notify_line l;

	FUZZ_CHECK(line != NULL);
	if (len > 0)
		memcpy(line, data, len);
	line[len] = '\n';
	if (notify_line_parse(line, len, &l) == NULL) {
		FUZZ_CHECK(len <= NOTIFY_LINE_MAX);
		FUZZ_CHECK(l.user > line && l.user_len > 0);
		FUZZ_CHECK(l.user + l.user_len < line + len);
		FUZZ_CHECK(strlen(l.user) == l.user_len);
		for (size_t i = 0; i < l.user_len; i++)
			FUZZ_CHECK((uint8_t)l.user[i] > ' ' &&
			    l.user[i] != 0x7f);
		FUZZ_CHECK(l.protocol < GRANT_PROTO__END);
		FUZZ_CHECK(l.verb == NOTIFY_LOGIN ||
		    (l.protocol == 0 && l.tls == NOTIFY_TLS_UNSAID));
	}
	free(line);
	return 0;
}
