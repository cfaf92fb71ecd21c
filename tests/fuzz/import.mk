# Fuzz targets of the formats that users are imported from.
FUZZ_IMPORT = tests/fuzz/fuzz_import_passwd tests/fuzz/fuzz_import_htpasswd \
	tests/fuzz/fuzz_import_sasldb tests/fuzz/fuzz_import_json
check_PROGRAMS += $(FUZZ_IMPORT)
if !FUZZ
TESTS += $(FUZZ_IMPORT)
endif
IMPORT_LIBS = db/libimport.a $(STORE_LIBS) $(RUN_LIBS) $(JANSSON_LIBS)
tests_fuzz_fuzz_import_passwd_SOURCES = tests/fuzz/fuzz_import_passwd.c \
	tests/fuzz/fuzz_import.h tests/fuzz/fuzz.h
tests_fuzz_fuzz_import_passwd_LDADD = $(FUZZ_MAIN) $(IMPORT_LIBS)
tests_fuzz_fuzz_import_htpasswd_SOURCES = tests/fuzz/fuzz_import_htpasswd.c \
	tests/fuzz/fuzz_import.h tests/fuzz/fuzz.h
tests_fuzz_fuzz_import_htpasswd_LDADD = $(FUZZ_MAIN) $(IMPORT_LIBS)
tests_fuzz_fuzz_import_sasldb_SOURCES = tests/fuzz/fuzz_import_sasldb.c \
	tests/fuzz/fuzz_import.h tests/fuzz/fuzz.h
tests_fuzz_fuzz_import_sasldb_LDADD = $(FUZZ_MAIN) $(IMPORT_LIBS)
tests_fuzz_fuzz_import_json_SOURCES = tests/fuzz/fuzz_import_json.c \
	tests/fuzz/fuzz.h
tests_fuzz_fuzz_import_json_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
tests_fuzz_fuzz_import_json_LDADD = $(FUZZ_MAIN) $(IMPORT_LIBS)
EXTRA_DIST += tests/fuzz/corpus/import_passwd \
	tests/fuzz/corpus/import_htpasswd tests/fuzz/corpus/import_sasldb \
	tests/fuzz/corpus/import_json
