# Tests of what grants are made by.
if HAVE_CMOCKA
GRANT_TESTS = tests/unit/t_shared tests/unit/t_grant_loss
check_PROGRAMS += $(GRANT_TESTS)
TESTS += $(GRANT_TESTS)
tests_unit_t_shared_SOURCES = tests/unit/t_shared.c
tests_unit_t_shared_LDADD = $(CORE_LIBS) $(CMOCKA_LIBS)
tests_unit_t_grant_loss_SOURCES = tests/unit/t_grant_loss.c \
	tests/unit/db_scratch.h
tests_unit_t_grant_loss_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
endif
