# How mail is submitted, and notes that wait to be written.
db_libstore_a_SOURCES += db/usagedb.c db/usagedb.h db/usagedb_record.c \
	db/waiting.c db/waiting.h
