# Tests of what leaving POP-before-SMTP behind needs.
if HAVE_CMOCKA
USAGE_TESTS = tests/unit/t_usage tests/unit/t_brownout
check_PROGRAMS += $(USAGE_TESTS)
TESTS += $(USAGE_TESTS)
tests_unit_t_usage_SOURCES = tests/unit/t_usage.c \
	tests/unit/db_scratch.h tests/unit/db_fixture.h
tests_unit_t_usage_LDADD = $(STORE_LIBS) $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_t_brownout_SOURCES = tests/unit/t_brownout.c auth/brownout.c \
	auth/policy.c
tests_unit_t_brownout_LDADD = $(RUN_LIBS) $(CMOCKA_LIBS)
endif
