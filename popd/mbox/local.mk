# a Maildir as a session sees it
MAILDROP_SOURCES = popd/mbox/maildrop.c popd/mbox/maildrop.h popd/mbox/name.c \
	popd/mbox/list.c popd/mbox/list.h popd/mbox/scan.c popd/mbox/cache.c \
	popd/mbox/listing.c popd/mbox/listing.h popd/mbox/kept.c \
	popd/mbox/kept.h popd/mbox/kept_file.c popd/wire.c popd/wire.h
# popd-mbox: opens, locks, lists, deletes in Maildirs
pkglibexec_PROGRAMS += popd/mbox/popd-mbox
popd_mbox_popd_mbox_SOURCES = popd/mbox/main.c popd/mbox/serve.c \
	popd/mbox/serve.h popd/mbox/serve_list.c \
	popd/mbox/delay.c popd/mbox/delay.h popd/mbox/delay_file.c \
	popd/mbox/mbox.h popd/mbox/protocol.h $(MAILDROP_SOURCES)
popd_mbox_popd_mbox_LDADD = auth/libauthc.a $(CONTROL_LIBS)

# asking it: linked by popd-pop
noinst_LIBRARIES += popd/mbox/libmboxc.a
popd_mbox_libmboxc_a_SOURCES = popd/mbox/client.c popd/mbox/client.h \
	popd/mbox/client_list.c popd/mbox/client_private.h \
	popd/mbox/listing.c popd/mbox/listing.h \
	popd/mbox/protocol.h
include popd/mbox/uidl.mk
