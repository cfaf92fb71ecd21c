/*
 * fuzz_recent.c - what the database may hold of past sessions: whatever is
 * decoded is encoded again to the same octets, its messages lie within it, and
 * there are words for it.
 */
#include "tests/fuzz/fuzz.h"

#include <stdlib.h>
#include <string.h>

#include "auth/recent_tell.h"
#include "db/recentdb.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct recent_record r;
	static struct recent_words w;
	static uint8_t again[RECENT_RECORD_MAX];
	struct recent_message m;
	size_t at = 0, before;
	int n;

	if (recent_decode(data, size, &r) != 0)
		return 0;
	n = recent_encode(&r, again);
	FUZZ_CHECK(n >= 0 && (size_t)n == size &&
	    memcmp(again, data, size) == 0);
	for (before = 0; recent_next_message(&r, &at, &m); before = at) {
		FUZZ_CHECK(at > before && at <= r.sent_len);
		FUZZ_CHECK(strlen(m.qid) == RECENT_SID_SIZE - 1);
		FUZZ_CHECK(strlen(m.sender) < sizeof(m.sender));
	}
	recent_tell(&r, &w);
	FUZZ_CHECK(memchr(w.failed, '\0', sizeof(w.failed)) != NULL);
	FUZZ_CHECK(memchr(w.tell, '\0', sizeof(w.tell)) != NULL);
	return 0;
}
