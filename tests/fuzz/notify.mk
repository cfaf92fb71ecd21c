# Fuzz target of auth/notify_line.c.
check_PROGRAMS += tests/fuzz/fuzz_notify
if !FUZZ
TESTS += tests/fuzz/fuzz_notify
endif
tests_fuzz_fuzz_notify_SOURCES = tests/fuzz/fuzz_notify.c auth/notify_line.c
tests_fuzz_fuzz_notify_LDADD = $(FUZZ_MAIN) lib/librun.a $(OPENSSL_LIBS)
EXTRA_DIST += tests/fuzz/corpus/notify
