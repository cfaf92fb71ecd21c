# What the workers read of authd.
FUZZ_AUTHC = tests/fuzz/fuzz_authc
check_PROGRAMS += $(FUZZ_AUTHC)
if !FUZZ
TESTS += $(FUZZ_AUTHC)
endif
EXTRA_DIST += tests/fuzz/corpus/authc
tests_fuzz_fuzz_authc_SOURCES = tests/fuzz/fuzz_authc.c tests/fuzz/fuzz.h \
	auth/authc.c auth/event.c
tests_fuzz_fuzz_authc_LDADD = $(FUZZ_MAIN) $(RUN_LIBS)
