# Tests of how submitd-send finds hosts.
if HAVE_CMOCKA
HOSTS_TESTS = tests/unit/t_send_dns
check_PROGRAMS += $(HOSTS_TESTS)
TESTS += $(HOSTS_TESTS)
tests_unit_t_send_dns_SOURCES = tests/unit/t_send_dns.c
tests_unit_t_send_dns_LDADD = $(SEND_TEST_LIBS)
endif
