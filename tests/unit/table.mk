# Tests of the table of sessions.
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_sessions
TESTS += tests/unit/t_sessions
tests_unit_t_sessions_SOURCES = tests/unit/t_sessions.c
tests_unit_t_sessions_LDADD = $(RUN_LIBS) $(CMOCKA_LIBS)
endif
