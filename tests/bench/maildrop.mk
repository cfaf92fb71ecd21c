# How long a large Maildir takes to open (make tests/bench/maildrop).
EXTRA_PROGRAMS += tests/bench/maildrop
tests_bench_maildrop_SOURCES = tests/bench/maildrop.c $(MAILDROP_SOURCES) \
	$(UIDL_SOURCES)
tests_bench_maildrop_LDADD = $(RUN_LIBS)
