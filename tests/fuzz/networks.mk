# Fuzz target of PROXY headers and XCLIENT.
check_PROGRAMS += tests/fuzz/fuzz_proxy
if !FUZZ
TESTS += tests/fuzz/fuzz_proxy
endif
tests_fuzz_fuzz_proxy_SOURCES = tests/fuzz/fuzz_proxy.c tests/fuzz/fuzz.h
tests_fuzz_fuzz_proxy_LDADD = $(FUZZ_MAIN) submitd/smtp/libsmtpparse.a $(RUN_LIBS)
EXTRA_DIST += tests/fuzz/proxy.dict tests/fuzz/corpus/proxy
