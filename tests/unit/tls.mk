# alerts and hints, certificates by name, the watch on their files
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_tls_alert
TESTS += tests/unit/t_tls_alert
tests_unit_t_tls_alert_SOURCES = tests/unit/t_tls_alert.c
tests_unit_t_tls_alert_CFLAGS = $(AM_CFLAGS) $(CMOCKA_CFLAGS)
tests_unit_t_tls_alert_LDADD = $(RUN_LIBS) $(CMOCKA_LIBS)
endif
