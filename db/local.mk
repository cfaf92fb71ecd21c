# The database: linked by authd-core alone.
noinst_LIBRARIES += db/libstore.a
db_libstore_a_SOURCES = \
	db/dbenv.c db/dbenv.h db/dbenv_private.h db/record.c db/record.h \
	db/userdb.c db/userdb.h db/relay_cache.c db/relay_cache.h

STORE_LIBS = db/libstore.a lib/librun.a $(DB_LIBS)
