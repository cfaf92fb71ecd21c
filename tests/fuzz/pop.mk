# Fuzz targets of popd/.
FUZZ_POP = tests/fuzz/fuzz_pop_session tests/fuzz/fuzz_pop_wire \
	tests/fuzz/fuzz_pop_name tests/fuzz/fuzz_pop_surrogate \
	tests/fuzz/fuzz_pop_command
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
tests_fuzz_fuzz_pop_surrogate_SOURCES = tests/fuzz/fuzz_pop_surrogate.c \
	popd/pop/surrogate.c
tests_fuzz_fuzz_pop_surrogate_LDADD = $(FUZZ_MAIN) lib/librun.a
tests_fuzz_fuzz_pop_command_SOURCES = tests/fuzz/fuzz_pop_command.c \
	$(POP_FAKE_SOURCES)
tests_fuzz_fuzz_pop_command_LDADD = $(FUZZ_MAIN) $(POP_FAKE_LIBS)
EXTRA_DIST += tests/fuzz/corpus/pop_surrogate tests/fuzz/corpus/pop_command
EXTRA_DIST += tests/fuzz/corpus/pop_session tests/fuzz/corpus/pop_wire \
	tests/fuzz/corpus/pop_name
