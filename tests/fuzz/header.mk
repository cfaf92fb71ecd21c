# Fuzz targets of submitd/smtp/from.c and header*.c.
check_PROGRAMS += tests/fuzz/fuzz_smtp_from tests/fuzz/fuzz_smtp_header
if !FUZZ
TESTS += tests/fuzz/fuzz_smtp_from tests/fuzz/fuzz_smtp_header
endif
tests_fuzz_fuzz_smtp_from_SOURCES = tests/fuzz/fuzz_smtp_from.c \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_smtp_from_LDADD = $(FUZZ_MAIN) $(SMTP_PARSE_LIBS)
tests_fuzz_fuzz_smtp_header_SOURCES = tests/fuzz/fuzz_smtp_header.c \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_smtp_header_LDADD = $(FUZZ_MAIN) $(SMTP_PARSE_LIBS)
EXTRA_DIST += tests/fuzz/header.dict tests/fuzz/corpus/smtp_from \
	tests/fuzz/corpus/smtp_header
