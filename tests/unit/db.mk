# Tests of db/ and of the SCRAM keys.
if HAVE_CMOCKA
DB_TESTS = tests/unit/t_record tests/unit/t_userdb tests/unit/t_relay_cache \
	tests/unit/t_scram tests/unit/t_submitctl
check_PROGRAMS += $(DB_TESTS)
TESTS += $(DB_TESTS)
tests_unit_t_record_SOURCES = tests/unit/t_record.c
tests_unit_t_record_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_userdb_SOURCES = tests/unit/t_userdb.c tests/unit/db_scratch.h
tests_unit_t_userdb_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_relay_cache_SOURCES = tests/unit/t_relay_cache.c \
	tests/unit/db_scratch.h
tests_unit_t_relay_cache_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_scram_SOURCES = tests/unit/t_scram.c
tests_unit_t_scram_LDADD = $(CORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_submitctl_SOURCES = tests/unit/t_submitctl.c \
	tests/unit/db_scratch.h $(CONTROL_SOURCES)
tests_unit_t_submitctl_LDADD = $(CORE_LIBS) $(PARENT_LIBS) $(CMOCKA_LIBS)
EXTRA_tests_unit_t_submitctl_DEPENDENCIES = db/submitctl
endif
EXTRA_DIST += tests/tsan.supp
