# popd-pop: TLS and POP3 sessions
pkglibexec_PROGRAMS += popd/pop/popd-pop
popd_pop_popd_pop_SOURCES = popd/pop/main.c $(POP_SESSION_SOURCES)
popd_pop_popd_pop_LDADD = $(POP_SESSION_LIBS)

# all but main(): tests link it too
POP_SESSION_SOURCES = popd/pop/session.c popd/pop/session.h popd/pop/hint.c \
	popd/pop/command.c popd/pop/command.h popd/pop/login.c \
	popd/pop/limits.c popd/pop/limits.h \
	popd/pop/drop.c popd/pop/drop.h popd/pop/transfer.c \
	popd/pop/transfer.h popd/pop/reply.c popd/pop/reply.h \
	popd/pop/past.c popd/pop/past.h popd/pop/utf8.c \
	popd/pop/surrogate.c popd/pop/surrogate.h \
	popd/wire.c popd/wire.h
POP_SESSION_LIBS = popd/mbox/libmboxc.a auth/libauthc.a $(RUN_LIBS)
