# The database: linked by authd-core alone.
noinst_LIBRARIES += db/libstore.a
db_libstore_a_SOURCES = db/quotadb.c db/quotadb.h \
	db/dbenv.c db/dbenv.h db/dbenv_private.h db/dbenv_backup.c \
	db/dbenv_check.c db/dbenv_space.c db/dbenv_sweep.c db/dbenv_flush.c \
	db/fields.c db/fields.h \
	db/record.c db/record.h db/userdb.c db/userdb.h db/userdb_private.h \
	db/userdb_address.c db/userdb_index.c db/relay_cache.c db/relay_cache.h \
	db/relay_cache_private.h db/relay_cache_walk.c db/relay_cache_remove.c
include db/places.mk
include db/origin.mk
include db/usage.mk

STORE_LIBS = db/libstore.a lib/librun.a $(DB_LIBS) $(OPENSSL_LIBS)

# The administrator's command: it never links the database.
sbin_PROGRAMS += db/submitctl
dist_man_MANS += db/submitctl.8 db/submitctl-protocol.7
db_submitctl_SOURCES = db/submitctl.c db/submitctl.h db/submitctl_output.c \
	db/submitctl_password.c db/submitctl_user.c db/submitctl_queue.c \
	db/submitctl_service.c db/submitctl_db.c db/submitctl_credential.c \
	db/submitctl_session.c db/submitctl_blocked.c \
	db/submitctl_limits.c db/submitctl_trace.c db/submitctl_grant.c
db_submitctl_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
db_submitctl_LDADD = $(PARENT_LIBS)
include db/import.mk
include db/recent.mk
include db/report.mk
include db/maildrop.mk
