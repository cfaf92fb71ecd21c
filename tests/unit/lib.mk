# Tests of what lib/ has without a loop.
if HAVE_CMOCKA
LIB_TESTS = tests/unit/t_str tests/unit/t_buf tests/unit/t_addr \
	tests/unit/t_line tests/unit/t_msg tests/unit/t_mailbox \
	tests/unit/t_maildir tests/unit/t_fio tests/unit/t_log \
	tests/unit/t_tls tests/unit/t_conf
check_PROGRAMS += $(LIB_TESTS)
TESTS += $(LIB_TESTS)
LIB_TEST_LIBS = $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_t_str_SOURCES = tests/unit/t_str.c tests/unit/unit.h
tests_unit_t_str_LDADD = $(LIB_TEST_LIBS)
tests_unit_t_buf_SOURCES = tests/unit/t_buf.c
tests_unit_t_buf_LDADD = $(LIB_TEST_LIBS)
tests_unit_t_addr_SOURCES = tests/unit/t_addr.c
tests_unit_t_addr_LDADD = $(LIB_TEST_LIBS)
tests_unit_t_line_SOURCES = tests/unit/t_line.c
tests_unit_t_line_LDADD = $(LIB_TEST_LIBS)
tests_unit_t_msg_SOURCES = tests/unit/t_msg.c
tests_unit_t_msg_LDADD = $(LIB_TEST_LIBS)
tests_unit_t_mailbox_SOURCES = tests/unit/t_mailbox.c
tests_unit_t_mailbox_LDADD = $(LIB_TEST_LIBS)
tests_unit_t_maildir_SOURCES = tests/unit/t_maildir.c
tests_unit_t_maildir_LDADD = $(LIB_TEST_LIBS)
tests_unit_t_fio_SOURCES = tests/unit/t_fio.c
tests_unit_t_fio_LDADD = $(LIB_TEST_LIBS)
tests_unit_t_log_SOURCES = tests/unit/t_log.c
tests_unit_t_log_LDADD = $(LIB_TEST_LIBS)
tests_unit_t_tls_SOURCES = tests/unit/t_tls.c
tests_unit_t_tls_LDADD = $(LIB_TEST_LIBS)
tests_unit_t_conf_SOURCES = tests/unit/t_conf.c
tests_unit_t_conf_LDADD = lib/libparent.a $(RUN_LIBS) $(CONFUSE_LIBS) \
	$(CMOCKA_LIBS)
endif
