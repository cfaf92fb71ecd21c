# Fuzz targets of submitd/send/.
FUZZ_SEND = tests/fuzz/fuzz_send_reply tests/fuzz/fuzz_send_dns \
	tests/fuzz/fuzz_send_dsn tests/fuzz/fuzz_send_client
check_PROGRAMS += $(FUZZ_SEND)
if !FUZZ
TESTS += $(FUZZ_SEND)
endif
FUZZ_SEND_LIBS = submitd/send/libsend.a $(RUN_LIBS) $(UNBOUND_LIBS)
tests_fuzz_fuzz_send_reply_SOURCES = tests/fuzz/fuzz_send_reply.c
tests_fuzz_fuzz_send_reply_LDADD = $(FUZZ_MAIN) $(FUZZ_SEND_LIBS)
tests_fuzz_fuzz_send_dns_SOURCES = tests/fuzz/fuzz_send_dns.c
tests_fuzz_fuzz_send_dns_LDADD = $(FUZZ_MAIN) $(FUZZ_SEND_LIBS)
tests_fuzz_fuzz_send_dsn_SOURCES = tests/fuzz/fuzz_send_dsn.c
tests_fuzz_fuzz_send_dsn_LDADD = $(FUZZ_MAIN) $(FUZZ_SEND_LIBS)
tests_fuzz_fuzz_send_client_SOURCES = tests/fuzz/fuzz_send_client.c
tests_fuzz_fuzz_send_client_LDADD = $(FUZZ_MAIN) $(FUZZ_SEND_LIBS) \
	$(UNBOUND_LIBS)
EXTRA_DIST += tests/fuzz/corpus/send_client tests/fuzz/corpus/send_reply tests/fuzz/corpus/send_dns \
	tests/fuzz/corpus/send_dsn
