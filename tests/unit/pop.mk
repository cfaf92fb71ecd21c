# popd
if HAVE_CMOCKA
POP_TESTS = tests/unit/t_pop_wire tests/unit/t_pop_command \
	tests/unit/t_pop_maildrop
check_PROGRAMS += $(POP_TESTS)
TESTS += $(POP_TESTS)
tests_unit_t_pop_wire_SOURCES = tests/unit/t_pop_wire.c popd/wire.c
tests_unit_t_pop_wire_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_pop_wire_LDADD = $(CMOCKA_LIBS)
tests_unit_t_pop_command_SOURCES = tests/unit/t_pop_command.c \
	$(POP_SESSION_SOURCES)
tests_unit_t_pop_command_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_pop_command_LDADD = $(POP_SESSION_LIBS) $(CMOCKA_LIBS)
tests_unit_t_pop_maildrop_SOURCES = tests/unit/t_pop_maildrop.c \
	popd/mbox/maildrop.c popd/mbox/name.c popd/wire.c
tests_unit_t_pop_maildrop_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_pop_maildrop_LDADD = $(RUN_LIBS) $(CMOCKA_LIBS)
endif
