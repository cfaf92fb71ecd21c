# Tests of how submitd-send finds hosts.
if HAVE_CMOCKA
HOSTS_TESTS = tests/unit/t_send_dns tests/unit/t_send_hosts \
	tests/unit/t_send_tlsa
check_PROGRAMS += $(HOSTS_TESTS)
TESTS += $(HOSTS_TESTS)
tests_unit_t_send_dns_SOURCES = tests/unit/t_send_dns.c
tests_unit_t_send_dns_LDADD = $(SEND_TEST_LIBS)
tests_unit_t_send_tlsa_SOURCES = tests/unit/t_send_tlsa.c
tests_unit_t_send_tlsa_LDADD = $(SEND_TEST_LIBS)
tests_unit_t_send_hosts_SOURCES = tests/unit/t_send_hosts.c
tests_unit_t_send_hosts_LDADD = $(SEND_TEST_LIBS)
endif
EXTRA_DIST += tests/e2e/dns_server.py tests/e2e/t_mx.py
