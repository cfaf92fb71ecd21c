# LOGIN-DELAY
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_pop_delay
TESTS += tests/unit/t_pop_delay
tests_unit_t_pop_delay_SOURCES = tests/unit/t_pop_delay.c popd/mbox/delay.c
tests_unit_t_pop_delay_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_pop_delay_LDADD = lib/librun.a $(CMOCKA_LIBS)
endif
