# Lists of Maildirs that popd-mbox keeps.
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_pop_list
TESTS += tests/unit/t_pop_list
tests_unit_t_pop_list_SOURCES = tests/unit/t_pop_list.c $(MAILDROP_SOURCES) \
	$(UIDL_SOURCES) tests/unit/maildrop_scratch.h
tests_unit_t_pop_list_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_pop_list_LDADD = $(RUN_LIBS) $(CMOCKA_LIBS)
endif
