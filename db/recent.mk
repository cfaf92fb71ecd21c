# Past sessions.
db_libstore_a_SOURCES += db/recentdb.c db/recentdb.h db/recentdb_record.c
