# Fuzz target of auth/trace.c.
check_PROGRAMS += tests/fuzz/fuzz_trace
if !FUZZ
TESTS += tests/fuzz/fuzz_trace
endif
tests_fuzz_fuzz_trace_SOURCES = tests/fuzz/fuzz_trace.c auth/trace.c
tests_fuzz_fuzz_trace_LDADD = $(FUZZ_MAIN) lib/librun.a $(OPENSSL_LIBS)
EXTRA_DIST += tests/fuzz/corpus/trace
