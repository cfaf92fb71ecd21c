# Tests of what checks passwords.
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_hash
TESTS += tests/unit/t_hash
tests_unit_t_hash_SOURCES = tests/unit/t_hash.c
tests_unit_t_hash_LDADD = $(CORE_LIBS) $(CMOCKA_LIBS)
endif
