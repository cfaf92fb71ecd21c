# submitd-spool, and the client side that submitd-smtp and submitd-send link
noinst_LIBRARIES += submitd/spool/libspoolc.a
submitd_spool_libspoolc_a_SOURCES = \
	submitd/spool/client.c submitd/spool/client_queue.c \
	submitd/spool/client.h submitd/spool/protocol.h \
	submitd/spool/wishes.c submitd/spool/wishes.h

# What is pure or only files, for tests and fuzzers too
noinst_LIBRARIES += submitd/spool/libstore.a
submitd_spool_libstore_a_SOURCES = \
	submitd/spool/envelope.c submitd/spool/envelope.h \
	submitd/spool/header.c submitd/spool/header.h \
	submitd/spool/store.c submitd/spool/store.h \
	submitd/spool/spares.c submitd/spool/spares.h \
	submitd/spool/journal.c submitd/spool/journal.h \
	submitd/spool/journal_private.h submitd/spool/journal_recover.c \
	submitd/spool/journal_write.c \
	submitd/spool/journal_record.c submitd/spool/journal_record.h \
	submitd/spool/wishes.c submitd/spool/wishes.h

# The process but for its main, for tests
noinst_LIBRARIES += submitd/spool/libspool.a
submitd_spool_libspool_a_SOURCES = submitd/spool/spool.h \
	submitd/spool/txn.c submitd/spool/txn_get.c \
	submitd/spool/txn_private.h submitd/spool/sender.c \
	submitd/spool/sender_report.c submitd/spool/sender_private.h \
	submitd/spool/queue.c submitd/spool/queue.h \
	submitd/spool/flush.c submitd/spool/flush.h \
	submitd/spool/room.c \
	submitd/spool/users.c submitd/spool/limit.c \
	submitd/spool/recover.c submitd/spool/control.c \
	submitd/spool/control_walk.c submitd/spool/control_change.c \
	submitd/spool/control_private.h
submitd_spool_libspool_a_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)

pkglibexec_PROGRAMS += submitd/spool/submitd-spool
submitd_spool_submitd_spool_SOURCES = submitd/spool/main.c
submitd_spool_submitd_spool_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
submitd_spool_submitd_spool_LDADD = submitd/spool/libspool.a \
	submitd/spool/libstore.a auth/libauthc.a $(CONTROL_LIBS)
