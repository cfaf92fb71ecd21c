# popd
# A session without a network, for tests and the fuzzer.
POP_FAKE_SOURCES = tests/unit/pop_fake.c tests/unit/pop_fake.h \
	tests/unit/pop_fake_peers.c tests/unit/pop_fake_private.h \
	tests/unit/conn_fake.h \
	$(POP_SESSION_SOURCES)
POP_FAKE_LIBS = auth/libauthc.a $(RUN_LIBS)

if HAVE_CMOCKA
POP_TESTS = tests/unit/t_pop_wire tests/unit/t_pop_command \
	tests/unit/t_pop_maildrop tests/unit/t_pop_session \
	tests/unit/t_acceptor
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
	tests/unit/maildrop_scratch.h \
	$(MAILDROP_SOURCES) $(UIDL_SOURCES)
tests_unit_t_pop_maildrop_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_pop_maildrop_LDADD = $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_t_pop_session_SOURCES = tests/unit/t_pop_session.c \
	$(POP_FAKE_SOURCES)
tests_unit_t_pop_session_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_pop_session_LDADD = $(POP_FAKE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_acceptor_SOURCES = tests/unit/t_acceptor.c
tests_unit_t_acceptor_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_acceptor_LDADD = $(RUN_LIBS) $(CMOCKA_LIBS)
endif
