# Tests of what is kept of past sessions.
if HAVE_CMOCKA
RECENT_TESTS = tests/unit/t_recentdb
check_PROGRAMS += $(RECENT_TESTS)
TESTS += $(RECENT_TESTS)
tests_unit_t_recentdb_SOURCES = tests/unit/t_recentdb.c \
	tests/unit/db_scratch.h
tests_unit_t_recentdb_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
endif
