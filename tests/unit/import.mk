# Tests of the import of users.
if HAVE_CMOCKA
IMPORT_TESTS = tests/unit/t_import tests/unit/t_import_record \
	tests/unit/t_import_names tests/unit/t_userdb_batch
check_PROGRAMS += $(IMPORT_TESTS)
TESTS += $(IMPORT_TESTS)
tests_unit_t_import_SOURCES = tests/unit/t_import.c
tests_unit_t_import_LDADD = db/libimport.a $(RUN_LIBS) $(CMOCKA_LIBS)
tests_unit_t_import_record_SOURCES = tests/unit/t_import_record.c
tests_unit_t_import_record_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_unit_t_import_record_LDADD = db/libimport.a $(STORE_LIBS) $(RUN_LIBS) \
	$(JANSSON_LIBS) $(CMOCKA_LIBS)
tests_unit_t_import_names_SOURCES = tests/unit/t_import_names.c db/submitctl_names.c \
	db/submitctl_names.h
tests_unit_t_import_names_LDADD = $(CMOCKA_LIBS)
tests_unit_t_userdb_batch_SOURCES = tests/unit/t_userdb_batch.c \
	tests/unit/db_scratch.h
tests_unit_t_userdb_batch_LDADD = $(STORE_LIBS) $(CMOCKA_LIBS)
endif
