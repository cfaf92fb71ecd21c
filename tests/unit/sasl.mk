# Tests of the mechanisms and the names of those who log in.
if HAVE_CMOCKA
SASL_TESTS = tests/unit/t_mechs tests/unit/t_names
check_PROGRAMS += $(SASL_TESTS)
TESTS += $(SASL_TESTS)
tests_unit_t_mechs_SOURCES = tests/unit/t_mechs.c
tests_unit_t_mechs_LDADD = auth/libauthc.a $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_t_names_SOURCES = tests/unit/t_names.c
tests_unit_t_names_LDADD = $(CORE_LIBS) $(CMOCKA_LIBS)
endif
