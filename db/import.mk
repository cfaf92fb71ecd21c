# Import and export of users: the parsers alone are pure.
noinst_LIBRARIES += db/libimport.a
db_libimport_a_SOURCES = db/import.c db/import.h db/import_record.c \
	db/import_record.h
db_libimport_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)

db_submitctl_SOURCES += db/submitctl_batch.c db/submitctl_batch.h \
	db/submitctl_export.c db/submitctl_import.c db/submitctl_names.c \
	db/submitctl_names.h db/submitctl_source.c db/submitctl_source.h
db_submitctl_LDADD += db/libimport.a $(PARENT_LIBS)

# What reads sasldb2 for submitctl.
pkglibexec_PROGRAMS += db/submitctl-sasldb
db_submitctl_sasldb_SOURCES = db/sasldb.c
db_submitctl_sasldb_LDADD = lib/librun.a $(DB_LIBS)

db_libstore_a_SOURCES += db/userdb_batch.c db/userdb_batch.h
