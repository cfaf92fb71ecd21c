/*
 * fuzz_mailbox.c - what mailbox_parse() takes is printable, splits at its last
 * @, and means the same when its canonical form is read again.
 */
#include "tests/fuzz/fuzz.h"

#include <string.h>

#include "lib/mailbox.h"
#include "lib/maildir.h"
#include "lib/str.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[MAILDIR_PATH_MAX], ascii[MAILBOX_SIZE];
	struct mailbox mb, again;
	size_t i;

	mailbox_is_domain((const char *)data, size);
	mailbox_is_local((const char *)data, size);
	if (mailbox_parse((const char *)data, size, &mb) != 0) {
		FUZZ_CHECK(mb.text[0] == '\0' && mb.canon[0] == '\0');
		return 0;
	}
	FUZZ_CHECK(strlen(mb.text) == size && size <= MAILBOX_MAX);
	FUZZ_CHECK(memcmp(mb.text, data, size) == 0);
	for (i = 0; mb.canon[i] != '\0'; i++)
		if (i < mb.local_len)
			FUZZ_CHECK((unsigned char)mb.canon[i] >= ' ' &&
			    mb.canon[i] != 0x7f);
		else
			FUZZ_CHECK(mb.canon[i] > ' ' && mb.canon[i] <= '~' &&
			    (mb.canon[i] == '@') == (i == mb.local_len));
	FUZZ_CHECK(str_is_utf8(mb.canon, strlen(mb.canon)));
	if (mailbox_ascii(&mb, ascii) == 0) {
		FUZZ_CHECK(!mb.utf8_local);
		FUZZ_CHECK(mailbox_parse(ascii, strlen(ascii), &again) == 0);
		FUZZ_CHECK(strcmp(again.canon, mb.canon) == 0 && !again.utf8);
	}
	FUZZ_CHECK(mb.local_len > 0);
	FUZZ_CHECK(mailbox_domain(mb.canon) == mb.canon + mb.local_len + 1);
	FUZZ_CHECK(mailbox_parse(mb.canon, strlen(mb.canon), &again) == 0);
	FUZZ_CHECK(strcmp(again.canon, mb.canon) == 0);
	if (maildir_expand("%d/%n", mb.canon, path, sizeof(path)) == 0)
		FUZZ_CHECK(path[0] != '/' && strstr(path, "/../") == NULL);
	return 0;
}
