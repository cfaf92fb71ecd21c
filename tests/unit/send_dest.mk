# Destinations of submitd-send.
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_send_dest
TESTS += tests/unit/t_send_dest
tests_unit_t_send_dest_SOURCES = tests/unit/t_send_dest.c
tests_unit_t_send_dest_LDADD = submitd/send/libsend.a \
	submitd/spool/libspoolc.a $(RUN_LIBS) $(UNBOUND_LIBS) $(CMOCKA_LIBS)
endif
