# Fuzz target of db/placesdb_record.c.
check_PROGRAMS += tests/fuzz/fuzz_places
if !FUZZ
TESTS += tests/fuzz/fuzz_places
endif
tests_fuzz_fuzz_places_SOURCES = tests/fuzz/fuzz_places.c
tests_fuzz_fuzz_places_LDADD = $(FUZZ_MAIN) $(STORE_LIBS)
EXTRA_DIST += tests/fuzz/corpus/places
