# Fuzz target of db/recentdb_record.c and auth/recent_tell.c.
check_PROGRAMS += tests/fuzz/fuzz_recent
if !FUZZ
TESTS += tests/fuzz/fuzz_recent
endif
tests_fuzz_fuzz_recent_SOURCES = tests/fuzz/fuzz_recent.c tests/fuzz/fuzz.h \
	auth/recent_tell.c
tests_fuzz_fuzz_recent_LDADD = $(FUZZ_MAIN) $(STORE_LIBS)
EXTRA_DIST += tests/fuzz/corpus/recent
