# Tests of submitd/smtp/header*.c and from.c.
if HAVE_CMOCKA
HEADER_TESTS = tests/unit/t_smtp_from tests/unit/t_smtp_header
check_PROGRAMS += $(HEADER_TESTS)
TESTS += $(HEADER_TESTS)
tests_unit_t_smtp_from_SOURCES = tests/unit/t_smtp_from.c
tests_unit_t_smtp_from_LDADD = submitd/smtp/libsmtpparse.a $(RUN_LIBS) \
	$(CMOCKA_LIBS)
tests_unit_t_smtp_header_SOURCES = tests/unit/t_smtp_header.c
tests_unit_t_smtp_header_LDADD = submitd/smtp/libsmtpparse.a $(RUN_LIBS) \
	$(CMOCKA_LIBS)
endif
