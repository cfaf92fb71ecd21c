# Tests of what checks passwords.
if HAVE_CMOCKA
VERIFY_TESTS = tests/unit/t_hash tests/unit/t_verify tests/unit/t_pace
check_PROGRAMS += $(VERIFY_TESTS)
TESTS += $(VERIFY_TESTS)
tests_unit_t_hash_SOURCES = tests/unit/t_hash.c
tests_unit_t_hash_LDADD = $(CORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_verify_SOURCES = tests/unit/t_verify.c tests/unit/db_scratch.h
tests_unit_t_verify_LDADD = $(CORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_pace_SOURCES = tests/unit/t_pace.c auth/pace.c
tests_unit_t_pace_LDADD = $(CMOCKA_LIBS)
endif
EXTRA_DIST += tests/bench/login-timing tests/e2e/t_verify.py
