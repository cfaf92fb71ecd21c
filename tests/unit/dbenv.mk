# Tests of what keeps the database: db/dbenv*.c.
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_dbenv
TESTS += tests/unit/t_dbenv
tests_unit_t_dbenv_SOURCES = tests/unit/t_dbenv.c tests/unit/db_scratch.h \
	tests/unit/unit.h
tests_unit_t_dbenv_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
endif
