# Tests of what keeps the database and its backups.
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_dbenv tests/unit/t_manifest
TESTS += tests/unit/t_dbenv tests/unit/t_manifest
tests_unit_t_dbenv_SOURCES = tests/unit/t_dbenv.c tests/unit/db_scratch.h \
	tests/unit/unit.h
tests_unit_t_dbenv_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_manifest_SOURCES = tests/unit/t_manifest.c tests/unit/unit.h
tests_unit_t_manifest_LDADD = $(CONTROL_LIBS) $(CMOCKA_LIBS)
endif
