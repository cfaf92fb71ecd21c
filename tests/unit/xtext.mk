# Tests of what SMTPUTF8, CHUNKING and DSN need.
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_xtext
TESTS += tests/unit/t_xtext
tests_unit_t_xtext_SOURCES = tests/unit/t_xtext.c tests/unit/unit.h
tests_unit_t_xtext_LDADD = $(RUN_LIBS) $(CMOCKA_LIBS)
endif
