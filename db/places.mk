db_libstore_a_SOURCES += \
	db/placesdb.c db/placesdb.h db/placesdb_private.h \
	db/placesdb_record.c db/placesdb_write.c
