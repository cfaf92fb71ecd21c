# The list of files in a backup.
check_PROGRAMS += tests/fuzz/fuzz_manifest
if !FUZZ
TESTS += tests/fuzz/fuzz_manifest
endif
EXTRA_DIST += tests/fuzz/corpus/manifest
tests_fuzz_fuzz_manifest_SOURCES = tests/fuzz/fuzz_manifest.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_manifest_LDADD = $(FUZZ_MAIN) $(CONTROL_LIBS)
