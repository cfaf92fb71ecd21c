# Tests of tokens in Received, and of reading it.
if HAVE_CMOCKA
TELLING_TESTS = tests/unit/t_origin tests/unit/t_trace
check_PROGRAMS += $(TELLING_TESTS)
TESTS += $(TELLING_TESTS)
tests_unit_t_origin_SOURCES = tests/unit/t_origin.c auth/origin.c \
	tests/unit/db_scratch.h
tests_unit_t_origin_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_trace_SOURCES = tests/unit/t_trace.c auth/trace.c
tests_unit_t_trace_LDADD = lib/librun.a $(OPENSSL_LIBS) $(CMOCKA_LIBS)
endif
