# Tests of submitd/smtp/.
SMTP_FAKE = tests/unit/smtp_fake.c tests/unit/smtp_fake.h tests/unit/conn_fake.h \
	tests/unit/smtp_fake_private.h tests/unit/smtp_fake_spool.c \
	tests/unit/smtp_fake_client.c
if HAVE_CMOCKA
SMTP_TESTS = tests/unit/t_smtp_parse tests/unit/t_smtp_content \
	tests/unit/t_smtp_command tests/unit/t_smtp_session \
	tests/unit/t_smtp_extension tests/unit/t_smtp_message
check_PROGRAMS += $(SMTP_TESTS)
TESTS += $(SMTP_TESTS)
tests_unit_t_smtp_parse_SOURCES = tests/unit/t_smtp_parse.c
tests_unit_t_smtp_parse_LDADD = submitd/smtp/libsmtpparse.a $(RUN_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_t_smtp_content_SOURCES = tests/unit/t_smtp_content.c
tests_unit_t_smtp_content_LDADD = submitd/smtp/libsmtpparse.a $(RUN_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_t_smtp_command_SOURCES = tests/unit/t_smtp_command.c \
	$(SMTP_FAKE)
tests_unit_t_smtp_command_LDADD = submitd/smtp/libsmtp.a auth/libauthc.a \
	submitd/smtp/libsmtpparse.a $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_t_smtp_extension_SOURCES = tests/unit/t_smtp_extension.c \
	$(SMTP_FAKE)
tests_unit_t_smtp_extension_LDADD = submitd/smtp/libsmtp.a auth/libauthc.a \
	submitd/smtp/libsmtpparse.a $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_t_smtp_message_SOURCES = tests/unit/t_smtp_message.c \
	$(SMTP_FAKE)
tests_unit_t_smtp_message_LDADD = submitd/smtp/libsmtp.a auth/libauthc.a \
	submitd/smtp/libsmtpparse.a $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_t_smtp_session_SOURCES = tests/unit/t_smtp_session.c \
	$(SMTP_FAKE)
tests_unit_t_smtp_session_LDADD = submitd/smtp/libsmtp.a auth/libauthc.a \
	submitd/smtp/libsmtpparse.a $(RUN_LIBS) $(CMOCKA_LIBS)
endif
