# Tests of what other servers' feeders say.
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_notify
TESTS += tests/unit/t_notify
tests_unit_t_notify_SOURCES = tests/unit/t_notify.c auth/notify_line.c
tests_unit_t_notify_LDADD = lib/librun.a $(OPENSSL_LIBS) $(CMOCKA_LIBS)
endif
EXTRA_DIST += tests/e2e/t_notify.py tests/e2e/t_dovecot.py tests/bench/notify
