# UIDLs of other POP3 servers
if HAVE_CMOCKA
UIDL_TESTS = tests/unit/t_uidl
check_PROGRAMS += $(UIDL_TESTS)
TESTS += $(UIDL_TESTS)
tests_unit_t_uidl_SOURCES = tests/unit/t_uidl.c $(UIDL_SOURCES) \
	$(UIDL_IMPORT_SOURCES) \
	popd/mbox/name.c
tests_unit_t_uidl_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_uidl_LDADD = $(RUN_LIBS) $(CMOCKA_LIBS)
endif
