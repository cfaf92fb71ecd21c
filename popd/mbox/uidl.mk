# UIDLs of other POP3 servers, as popd-mbox reads and keeps them
UIDL_SOURCES = popd/mbox/uidl.c popd/mbox/uidl.h popd/mbox/uidl_private.h \
	popd/mbox/uidl_file.c popd/mbox/ownfile.c popd/mbox/ownfile.h
UIDL_IMPORT_SOURCES = popd/mbox/uidl_import.c popd/mbox/uidl_import.h \
	popd/mbox/uidl_template.c popd/mbox/uidl_dovecot.c \
	popd/mbox/uidl_courier.c
popd_mbox_popd_mbox_SOURCES += $(UIDL_SOURCES) $(UIDL_IMPORT_SOURCES) \
	popd/mbox/control.c popd/mbox/control.h
popd_mbox_popd_mbox_CFLAGS = $(AM_CFLAGS) $(JANSSON_CFLAGS)
