# The spool's files.
check_PROGRAMS += tests/fuzz/fuzz_envelope
if !FUZZ
TESTS += tests/fuzz/fuzz_envelope
endif
EXTRA_DIST += tests/fuzz/corpus/envelope
tests_fuzz_fuzz_envelope_SOURCES = tests/fuzz/fuzz_envelope.c \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_envelope_LDADD = $(FUZZ_MAIN) submitd/spool/libstore.a \
	$(RUN_LIBS)
