# submitd-local
noinst_LIBRARIES += submitd/local/libdeliver.a
submitd_local_libdeliver_a_SOURCES = \
	submitd/local/usage.c submitd/local/usage.h \
	submitd/local/deliver.c submitd/local/deliver.h

pkglibexec_PROGRAMS += submitd/local/submitd-local
submitd_local_submitd_local_SOURCES = \
	submitd/local/main.c submitd/local/protocol.h
submitd_local_submitd_local_LDADD = submitd/local/libdeliver.a \
	auth/libauthc.a $(RUN_LIBS)
