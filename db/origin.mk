# The keys of tokens in Received fields.
db_libstore_a_SOURCES += db/origindb.c db/origindb.h
