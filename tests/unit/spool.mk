# the spool and the Maildir writer
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_envelope tests/unit/t_store tests/unit/t_spool
TESTS += tests/unit/t_envelope tests/unit/t_store tests/unit/t_spool
tests_unit_t_envelope_SOURCES = tests/unit/t_envelope.c
tests_unit_t_envelope_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_envelope_LDADD = submitd/spool/libstore.a $(RUN_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_t_store_SOURCES = tests/unit/t_store.c
tests_unit_t_store_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_store_LDADD = submitd/spool/libstore.a \
	submitd/local/libdeliver.a $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_t_spool_SOURCES = tests/unit/t_spool.c
tests_unit_t_spool_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_t_spool_LDADD = submitd/spool/libspool.a \
	submitd/spool/libspoolc.a submitd/spool/libstore.a auth/libauthc.a \
	$(CONTROL_LIBS) $(CMOCKA_LIBS)
endif
