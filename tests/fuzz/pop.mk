# Fuzz targets of popd/.
FUZZ_POP = tests/fuzz/fuzz_pop_session tests/fuzz/fuzz_pop_wire \
	tests/fuzz/fuzz_pop_name
check_PROGRAMS += $(FUZZ_POP)
if !FUZZ
TESTS += $(FUZZ_POP)
endif
tests_fuzz_fuzz_pop_session_SOURCES = tests/fuzz/fuzz_pop_session.c \
	$(POP_FAKE_SOURCES)
tests_fuzz_fuzz_pop_session_LDADD = $(FUZZ_MAIN) $(POP_FAKE_LIBS)
tests_fuzz_fuzz_pop_wire_SOURCES = tests/fuzz/fuzz_pop_wire.c popd/wire.c
tests_fuzz_fuzz_pop_wire_LDADD = $(FUZZ_MAIN)
tests_fuzz_fuzz_pop_name_SOURCES = tests/fuzz/fuzz_pop_name.c popd/mbox/name.c
tests_fuzz_fuzz_pop_name_LDADD = $(FUZZ_MAIN) lib/librun.a $(OPENSSL_LIBS)
EXTRA_DIST += tests/fuzz/corpus/pop_session tests/fuzz/corpus/pop_wire \
	tests/fuzz/corpus/pop_name
