/*
 * fuzz_import.h - what a line of any foreign format must keep to, whatever
 * stands in it.
 */
#ifndef SUBMITD_FUZZ_IMPORT_H
#define SUBMITD_FUZZ_IMPORT_H

#include <string.h>

#include "db/import.h"
#include "lib/str.h"
#include "tests/fuzz/fuzz.h"

static inline void
fuzz_import_line(enum import_format f, const uint8_t *data, size_t size)
{
	struct import_line l;
	struct err e = { 0 };
	char user[MAILBOX_SIZE], again[MAILBOX_SIZE];
	int r;

	FUZZ_CHECK(import_detect(data, size) != IMPORT_AUTO);
	r = import_line_parse(f, (const char *)data, size, &l, &e);
	FUZZ_CHECK(memchr(l.name, 0, sizeof(l.name)) != NULL);
	FUZZ_CHECK(memchr(l.secret, 0, sizeof(l.secret)) != NULL);
	FUZZ_CHECK(memchr(l.maildir, 0, sizeof(l.maildir)) != NULL);
	FUZZ_CHECK(r == 0 || l.secret[0] == '\0');
	FUZZ_CHECK(r >= 0 || e.text[0] != '\0');
	if (r != 0)
		return;
	FUZZ_CHECK(l.name[0] != '\0' && l.secret[0] != '\0');
	FUZZ_CHECK(l.maildir[0] == '\0' || l.maildir[0] == '/');
	FUZZ_CHECK(str_is_utf8(l.note, strlen(l.note)));
	FUZZ_CHECK(!l.plain || str_is_utf8(l.secret, strlen(l.secret)));
	FUZZ_CHECK(l.plain || (l.secret[0] == '{' &&
	    strlen(l.secret) <= IMPORT_HASH_MAX));
	if (import_user(l.name, "example.org", user, &e) == 0)
		FUZZ_CHECK(import_user(user, NULL, again, &e) == 0 &&
		    strcmp(user, again) == 0);
	import_line_clear(&l);
}

#endif
