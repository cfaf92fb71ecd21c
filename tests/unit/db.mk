# Tests of db/ and of the SCRAM keys.
if HAVE_CMOCKA
DB_TESTS = tests/unit/t_record tests/unit/t_userdb tests/unit/t_relay_cache \
	tests/unit/t_scram
check_PROGRAMS += $(DB_TESTS)
TESTS += $(DB_TESTS)
tests_unit_t_record_SOURCES = tests/unit/t_record.c
tests_unit_t_record_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_userdb_SOURCES = tests/unit/t_userdb.c tests/unit/db_scratch.h
tests_unit_t_userdb_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_relay_cache_SOURCES = tests/unit/t_relay_cache.c \
	tests/unit/db_scratch.h
tests_unit_t_relay_cache_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_scram_SOURCES = tests/unit/t_scram.c auth/scram.c
tests_unit_t_scram_LDADD = lib/librun.a $(OPENSSL_LIBS) $(IDN_LIBS) \
	$(CMOCKA_LIBS)
endif
