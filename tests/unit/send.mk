# Tests of submitd-send.
if HAVE_CMOCKA
SEND_TESTS = tests/unit/t_send_pure tests/unit/t_send_dsn \
	tests/unit/t_send_retry tests/unit/t_send_hop tests/unit/t_send_client \
	tests/unit/t_send_resolve
check_PROGRAMS += $(SEND_TESTS)
TESTS += $(SEND_TESTS)
SEND_TEST_LIBS = submitd/send/libsend.a $(RUN_LIBS) $(UNBOUND_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_t_send_pure_SOURCES = tests/unit/t_send_pure.c
tests_unit_t_send_pure_LDADD = $(SEND_TEST_LIBS)
tests_unit_t_send_dsn_SOURCES = tests/unit/t_send_dsn.c
tests_unit_t_send_dsn_LDADD = $(SEND_TEST_LIBS)
tests_unit_t_send_retry_SOURCES = tests/unit/t_send_retry.c
tests_unit_t_send_retry_LDADD = $(SEND_TEST_LIBS)
tests_unit_t_send_hop_SOURCES = tests/unit/t_send_hop.c \
	tests/unit/send_server.c tests/unit/send_server.h
tests_unit_t_send_hop_LDADD = $(SEND_TEST_LIBS)
tests_unit_t_send_client_SOURCES = tests/unit/t_send_client.c \
	tests/unit/send_server.c tests/unit/send_server.h
tests_unit_t_send_client_LDADD = $(SEND_TEST_LIBS)
tests_unit_t_send_resolve_SOURCES = tests/unit/t_send_resolve.c
tests_unit_t_send_resolve_LDADD = $(SEND_TEST_LIBS)
endif
