# Tests of what the workers have of auth/.
if HAVE_CMOCKA
AUTHC_TESTS = tests/unit/t_exchange tests/unit/t_roll
check_PROGRAMS += $(AUTHC_TESTS)
TESTS += $(AUTHC_TESTS)
tests_unit_t_exchange_SOURCES = tests/unit/t_exchange.c auth/exchange.c
tests_unit_t_exchange_LDADD = $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_t_roll_SOURCES = tests/unit/t_roll.c auth/roll.c
tests_unit_t_roll_LDADD = lib/librun.a $(CMOCKA_LIBS)
endif
