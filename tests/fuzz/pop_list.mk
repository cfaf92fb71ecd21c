# Fuzz targets of the lists of Maildirs.
FUZZ_POP_LIST = tests/fuzz/fuzz_pop_kept tests/fuzz/fuzz_pop_listing
check_PROGRAMS += $(FUZZ_POP_LIST)
if !FUZZ
TESTS += $(FUZZ_POP_LIST)
endif
tests_fuzz_fuzz_pop_kept_SOURCES = tests/fuzz/fuzz_pop_kept.c \
	$(MAILDROP_SOURCES) $(UIDL_SOURCES)
tests_fuzz_fuzz_pop_kept_LDADD = $(FUZZ_MAIN) $(RUN_LIBS)
tests_fuzz_fuzz_pop_listing_SOURCES = tests/fuzz/fuzz_pop_listing.c \
	popd/mbox/listing.c
tests_fuzz_fuzz_pop_listing_LDADD = $(FUZZ_MAIN)
EXTRA_DIST += tests/fuzz/corpus/pop_kept tests/fuzz/corpus/pop_listing
