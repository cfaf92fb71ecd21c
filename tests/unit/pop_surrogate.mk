# Headers in UTF-8 for clients that do not know it
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_pop_surrogate
TESTS += tests/unit/t_pop_surrogate
tests_unit_t_pop_surrogate_SOURCES = tests/unit/t_pop_surrogate.c \
	popd/pop/surrogate.c
tests_unit_t_pop_surrogate_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_pop_surrogate_LDADD = lib/librun.a $(CMOCKA_LIBS)
endif
