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

# The journal's segments.
check_PROGRAMS += tests/fuzz/fuzz_journal
if !FUZZ
TESTS += tests/fuzz/fuzz_journal
endif
EXTRA_DIST += tests/fuzz/corpus/journal tests/fuzz/journal.dict
tests_fuzz_fuzz_journal_SOURCES = tests/fuzz/fuzz_journal.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_journal_LDADD = $(FUZZ_MAIN) submitd/spool/libstore.a \
	$(RUN_LIBS)
