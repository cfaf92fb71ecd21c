# Fuzz target of db/record.c.
check_PROGRAMS += tests/fuzz/fuzz_record
if !FUZZ
TESTS += tests/fuzz/fuzz_record
endif
tests_fuzz_fuzz_record_SOURCES = tests/fuzz/fuzz_record.c
tests_fuzz_fuzz_record_LDADD = $(FUZZ_MAIN) $(STORE_LIBS)
EXTRA_DIST += tests/fuzz/corpus/record
