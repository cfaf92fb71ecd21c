# Tests of what grants are made by.
if HAVE_CMOCKA
GRANT_TESTS = tests/unit/t_shared
check_PROGRAMS += $(GRANT_TESTS)
TESTS += $(GRANT_TESTS)
tests_unit_t_shared_SOURCES = tests/unit/t_shared.c
tests_unit_t_shared_LDADD = $(CORE_LIBS) $(CMOCKA_LIBS)
endif
