# Tests of guessing's price: counts, the queue, and what is kept of it.
if HAVE_CMOCKA
GUESS_TESTS = tests/unit/t_guess tests/unit/t_fair tests/unit/t_placesdb
check_PROGRAMS += $(GUESS_TESTS)
TESTS += $(GUESS_TESTS)
tests_unit_t_guess_SOURCES = tests/unit/t_guess.c auth/guess.c
tests_unit_t_guess_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_fair_SOURCES = tests/unit/t_fair.c auth/fair.c
tests_unit_t_fair_LDADD = lib/librun.a $(OPENSSL_LIBS) $(CMOCKA_LIBS)
tests_unit_t_placesdb_SOURCES = tests/unit/t_placesdb.c \
	tests/unit/db_scratch.h tests/unit/db_fixture.h
tests_unit_t_placesdb_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
endif
