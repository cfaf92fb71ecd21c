# Measuring: built on demand (make tests/bench/lookups), never by make check.
EXTRA_PROGRAMS = tests/bench/lookups tests/bench/grants
tests_bench_grants_SOURCES = tests/bench/grants.c tests/bench/waits.c \
	tests/bench/waits.h
tests_bench_grants_LDADD = $(STORE_LIBS) $(RUN_LIBS)
tests_bench_lookups_SOURCES = tests/bench/lookups.c
tests_bench_lookups_LDADD = $(STORE_LIBS) $(RUN_LIBS)
EXTRA_DIST += tests/bench/users tests/bench/guessing tests/bench/cold-morning \
	tests/bench/submission tests/bench/slow_flush.c \
	tests/bench/beside.py tests/bench/pop
include tests/bench/maildrop.mk
