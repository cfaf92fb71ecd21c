# The pure parts of lib/.
FUZZ_LIB = tests/fuzz/fuzz_line tests/fuzz/fuzz_msg tests/fuzz/fuzz_mailbox \
	tests/fuzz/fuzz_conf tests/fuzz/fuzz_conf_scan
check_PROGRAMS += $(FUZZ_LIB)
if !FUZZ
TESTS += $(FUZZ_LIB)
endif
EXTRA_DIST += tests/fuzz/corpus/line tests/fuzz/corpus/msg \
	tests/fuzz/corpus/mailbox tests/fuzz/corpus/conf \
	tests/fuzz/corpus/conf_scan
tests_fuzz_fuzz_line_SOURCES = tests/fuzz/fuzz_line.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_line_LDADD = $(FUZZ_MAIN) $(RUN_LIBS)
tests_fuzz_fuzz_msg_SOURCES = tests/fuzz/fuzz_msg.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_msg_LDADD = $(FUZZ_MAIN) $(RUN_LIBS)
tests_fuzz_fuzz_mailbox_SOURCES = tests/fuzz/fuzz_mailbox.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_mailbox_LDADD = $(FUZZ_MAIN) $(RUN_LIBS)
tests_fuzz_fuzz_conf_SOURCES = tests/fuzz/fuzz_conf.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_conf_LDADD = $(FUZZ_MAIN) $(RUN_LIBS)
tests_fuzz_fuzz_conf_scan_SOURCES = tests/fuzz/fuzz_conf_scan.c \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_conf_scan_LDADD = $(FUZZ_MAIN) lib/libparent.a $(RUN_LIBS)
