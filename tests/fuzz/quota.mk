# Fuzz target of db/quotadb.c.
check_PROGRAMS += tests/fuzz/fuzz_quota
if !FUZZ
TESTS += tests/fuzz/fuzz_quota
endif
tests_fuzz_fuzz_quota_SOURCES = tests/fuzz/fuzz_quota.c
tests_fuzz_fuzz_quota_LDADD = $(FUZZ_MAIN) $(STORE_LIBS)
EXTRA_DIST += tests/fuzz/corpus/quota
