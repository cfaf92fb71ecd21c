# PROXY headers and XCLIENT.
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_proxy
TESTS += tests/unit/t_proxy
tests_unit_t_proxy_SOURCES = tests/unit/t_proxy.c
tests_unit_t_proxy_LDADD = submitd/smtp/libsmtpparse.a $(RUN_LIBS) \
	$(CMOCKA_LIBS)
endif
