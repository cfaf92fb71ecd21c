# Fuzz target of db/usagedb_record.c.
check_PROGRAMS += tests/fuzz/fuzz_usage
if !FUZZ
TESTS += tests/fuzz/fuzz_usage
endif
tests_fuzz_fuzz_usage_SOURCES = tests/fuzz/fuzz_usage.c
tests_fuzz_fuzz_usage_LDADD = $(FUZZ_MAIN) $(STORE_LIBS)
EXTRA_DIST += tests/fuzz/corpus/usage
