# Past sessions.
db_libstore_a_SOURCES += db/recentdb.c db/recentdb.h db/recentdb_record.c
db_submitctl_SOURCES += db/submitctl_recent.c
