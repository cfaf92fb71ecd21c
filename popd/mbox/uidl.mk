# UIDLs of other POP3 servers, as popd-mbox reads and keeps them
UIDL_SOURCES = popd/mbox/uidl.c popd/mbox/uidl.h popd/mbox/uidl_private.h \
	popd/mbox/uidl_file.c
popd_mbox_popd_mbox_SOURCES += $(UIDL_SOURCES)
