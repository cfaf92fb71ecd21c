# connections and messages between processes
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_ipc tests/unit/t_conn
TESTS += tests/unit/t_ipc tests/unit/t_conn
tests_unit_t_ipc_SOURCES = tests/unit/t_ipc.c
tests_unit_t_ipc_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_ipc_LDADD = $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_t_conn_SOURCES = tests/unit/t_conn.c
tests_unit_t_conn_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_conn_LDADD = $(RUN_LIBS) $(CMOCKA_LIBS)
endif
