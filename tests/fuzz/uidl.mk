# Fuzz targets of the files with UIDLs.
FUZZ_UIDL = tests/fuzz/fuzz_uidl_map tests/fuzz/fuzz_uidl_dovecot \
	tests/fuzz/fuzz_uidl_courier
check_PROGRAMS += $(FUZZ_UIDL)
if !FUZZ
TESTS += $(FUZZ_UIDL)
endif
FUZZ_UIDL_SOURCES = tests/fuzz/fuzz_uidl.h $(UIDL_SOURCES) \
	$(UIDL_IMPORT_SOURCES) popd/mbox/name.c
FUZZ_UIDL_LIBS = lib/librun.a $(OPENSSL_LIBS)
tests_fuzz_fuzz_uidl_map_SOURCES = tests/fuzz/fuzz_uidl_map.c \
	$(FUZZ_UIDL_SOURCES)
tests_fuzz_fuzz_uidl_map_LDADD = $(FUZZ_MAIN) $(FUZZ_UIDL_LIBS)
tests_fuzz_fuzz_uidl_dovecot_SOURCES = tests/fuzz/fuzz_uidl_dovecot.c \
	$(FUZZ_UIDL_SOURCES)
tests_fuzz_fuzz_uidl_dovecot_LDADD = $(FUZZ_MAIN) $(FUZZ_UIDL_LIBS)
tests_fuzz_fuzz_uidl_courier_SOURCES = tests/fuzz/fuzz_uidl_courier.c \
	$(FUZZ_UIDL_SOURCES)
tests_fuzz_fuzz_uidl_courier_LDADD = $(FUZZ_MAIN) $(FUZZ_UIDL_LIBS)
EXTRA_DIST += tests/fuzz/corpus/uidl_map tests/fuzz/corpus/uidl_dovecot \
	tests/fuzz/corpus/uidl_courier
