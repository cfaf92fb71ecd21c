# Tests of sending limits.
if HAVE_CMOCKA
check_PROGRAMS += tests/unit/t_quota
TESTS += tests/unit/t_quota
tests_unit_t_quota_SOURCES = tests/unit/t_quota.c tests/unit/db_scratch.h tests/unit/db_fixture.h \
	auth/quota.c auth/quota_window.c auth/authc_limit.c
tests_unit_t_quota_LDADD = $(STORE_LIBS) $(RUN_LIBS) $(CMOCKA_LIBS)
endif
