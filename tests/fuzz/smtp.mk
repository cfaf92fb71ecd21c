# Fuzz targets of submitd/smtp/.
FUZZ_SMTP = tests/fuzz/fuzz_smtp_path tests/fuzz/fuzz_smtp_params \
	tests/fuzz/fuzz_smtp_command tests/fuzz/fuzz_smtp_content \
	tests/fuzz/fuzz_smtp_chunk tests/fuzz/fuzz_smtp_session
check_PROGRAMS += $(FUZZ_SMTP)
if !FUZZ
TESTS += $(FUZZ_SMTP)
endif
SMTP_PARSE_LIBS = submitd/smtp/libsmtpparse.a $(RUN_LIBS)
tests_fuzz_fuzz_smtp_path_SOURCES = tests/fuzz/fuzz_smtp_path.c
tests_fuzz_fuzz_smtp_path_LDADD = $(FUZZ_MAIN) $(SMTP_PARSE_LIBS)
tests_fuzz_fuzz_smtp_params_SOURCES = tests/fuzz/fuzz_smtp_params.c \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_smtp_params_LDADD = $(FUZZ_MAIN) submitd/spool/libspoolc.a \
	$(SMTP_PARSE_LIBS)
tests_fuzz_fuzz_smtp_command_SOURCES = tests/fuzz/fuzz_smtp_command.c \
	tests/fuzz/fuzz.h $(SMTP_FAKE)
tests_fuzz_fuzz_smtp_command_LDADD = $(FUZZ_MAIN) submitd/smtp/libsmtp.a \
	auth/libauthc.a $(SMTP_PARSE_LIBS)
tests_fuzz_fuzz_smtp_content_SOURCES = tests/fuzz/fuzz_smtp_content.c
tests_fuzz_fuzz_smtp_content_LDADD = $(FUZZ_MAIN) $(SMTP_PARSE_LIBS)
tests_fuzz_fuzz_smtp_chunk_SOURCES = tests/fuzz/fuzz_smtp_chunk.c \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_smtp_chunk_LDADD = $(FUZZ_MAIN) $(SMTP_PARSE_LIBS)
tests_fuzz_fuzz_smtp_session_SOURCES = tests/fuzz/fuzz_smtp_session.c \
	$(SMTP_FAKE)
tests_fuzz_fuzz_smtp_session_LDADD = $(FUZZ_MAIN) submitd/smtp/libsmtp.a auth/libauthc.a \
	$(SMTP_PARSE_LIBS)
EXTRA_DIST += tests/fuzz/smtp.dict tests/fuzz/corpus/smtp_path \
	tests/fuzz/corpus/smtp_params tests/fuzz/corpus/smtp_command \
	tests/fuzz/corpus/smtp_content tests/fuzz/corpus/smtp_chunk \
	tests/fuzz/corpus/smtp_session
