# Imported hashes.
check_PROGRAMS += tests/fuzz/fuzz_hash
if !FUZZ
TESTS += tests/fuzz/fuzz_hash
endif
tests_fuzz_fuzz_hash_SOURCES = tests/fuzz/fuzz_hash.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_hash_LDADD = $(FUZZ_MAIN) $(CORE_LIBS)
EXTRA_DIST += tests/fuzz/corpus/hash
