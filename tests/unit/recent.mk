# Tests of what is kept of past sessions.
if HAVE_CMOCKA
RECENT_TESTS = tests/unit/t_recentdb tests/unit/t_recent \
	tests/unit/t_smtp_past tests/unit/t_event
check_PROGRAMS += $(RECENT_TESTS)
TESTS += $(RECENT_TESTS)
tests_unit_t_recentdb_SOURCES = tests/unit/t_recentdb.c \
	tests/unit/db_scratch.h tests/unit/db_fixture.h
tests_unit_t_recentdb_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_recent_SOURCES = tests/unit/t_recent.c auth/paths.c \
	auth/recent_rate.c auth/recent_tell.c
tests_unit_t_recent_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_smtp_past_SOURCES = tests/unit/t_smtp_past.c $(SMTP_FAKE)
tests_unit_t_smtp_past_LDADD = submitd/smtp/libsmtp.a auth/libauthc.a \
	submitd/smtp/libsmtpparse.a $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_t_event_SOURCES = tests/unit/t_event.c auth/event.c
tests_unit_t_event_LDADD = $(RUN_LIBS) $(CMOCKA_LIBS)
endif
