# Tests of tokens in Received.
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_origin
TESTS += tests/unit/t_origin
tests_unit_t_origin_SOURCES = tests/unit/t_origin.c auth/origin.c \
	tests/unit/db_scratch.h
tests_unit_t_origin_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
endif
