# what popd/ makes
sbin_PROGRAMS += popd/popd
popd_popd_SOURCES = popd/popd.c
popd_popd_LDADD = $(PARENT_LIBS)
dist_man_MANS += popd/popd.8

include popd/mbox/local.mk
include popd/pop/local.mk
